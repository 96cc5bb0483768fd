//! The custom role of Azure.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, MetricQuestion, azure::AzureCloud},
    desired::Release,
    manifest::{
        azure::Insights,
        gates::{AzureMonitorQuery, MetricSource},
        spec::AzurePlan,
    },
    name::{Slot, Timestamp},
    observed::{
        Scope,
        talk::{Input, Invocation, LogsWanted},
    },
};

use super::{
    consumption::consumption,
    fronts::{APIM, put_management},
    local::{GROUP, Local, stock},
    missing::with_secret,
    options,
    places::with_everything,
    prism::Story,
    release, scope,
};
use crate::policies::{all_were_seen, is_written, named_in};

/// What Azure asks for beside the right to make a call, by its own documents.
const BESIDE: [&str; 5] = [
    // An app is put on a plan, and takes an identity.
    "Microsoft.Web/serverfarms/join/action",
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    // It is put into a subnet: "Integrate your app with an Azure virtual network", permissions.
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/virtualNetworks/subnets/read",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
];

/// What goes to an app's or slot's own deployment host, by its name there: no tap stands before that.
const TO_HOSTS: [&str; 6] = [
    "zipdeploy",
    "publish",
    "deployments.get",
    "deployments.log",
    "logs.list",
    "logs.get",
];

/// Whoever asks such a host for anything must have these, whatever the path.
const OF_HOSTS: [&str; 2] = [
    "Microsoft.Web/sites/publish/Action",
    "Microsoft.Web/sites/slots/publish/Action",
];

/// Rights that Azure does not list, so that a role which names one is refused as a whole, and what gives them nevertheless.
const UNLISTED: [(&str, &str); 1] = [(
    "Microsoft.Web/sites/slots/hostruntime/host/read",
    "Microsoft.Web/sites/slots/*/read",
)];

/// Links that an answer gave, to outside the group that the role is for: they are signed, and no right is listed for them.
const SIGNED: [&str; 1] = ["/providers/Microsoft.Storage/locations/westeurope/asyncoperations/"];

/// What the storage account asks for, by the method of the call.
const BLOBS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";

/// Names of providers as Azure's own list of operations writes them; paths may have any case.
const PROVIDERS: [(&str, &str); 1] = [("microsoft.insights", "Microsoft.Insights")];

/// What is there on slots only: two apps are exchanged otherwise.
const ON_SLOTS: [&str; 5] = [
    "*/read",
    "applySlotConfig/action",
    "operationresults/read",
    "resetSlotConfig/action",
    "slotsswap/action",
];

/// What is asked of sites only: how blue's place is configured, and blue is a site. Of slots the pattern gives the second.
const ON_SITES: [&str; 2] = ["config/read", "hostruntime/host/read"];

/// Rights that calls need and the role does not give. Every test with a tap asks, so that no place is missed that only one of them goes to.
pub(super) fn lacking(asked: &[(String, String)]) -> BTreeSet<String> {
    let in_any_case = |actions: BTreeSet<String>| -> BTreeSet<String> {
        actions.iter().map(|it| it.to_lowercase()).collect()
    };
    let mut needed = BTreeSet::new();
    for (kind, actions) in [("Actions", actions(asked)), ("DataActions", data(asked))] {
        let allowed = in_any_case(allowed(kind));
        let lacks = |action: &String| !allowed.contains(&action.to_lowercase());
        needed.extend(actions.into_iter().filter(lacks));
    }
    needed
}

fn allowed(kind: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string("deploy/azure-role.json").unwrap();
    let role: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(role[kind].clone()).unwrap()
}

/// The rights of calls by method and path, as a role can name them.
fn actions(asked: &[(String, String)]) -> BTreeSet<String> {
    let is_signed = |path: &str| SIGNED.iter().any(|link| path.contains(link));
    let of_manager = asked
        .iter()
        .filter(|(_, path)| !is_blob(path) && !is_signed(path));
    let named = of_manager.map(|(method, path)| action(method, path));
    named
        .map(|action| {
            let unlisted = UNLISTED.iter().find(|(name, _)| *name == action);
            unlisted.map_or(action, |(_, given)| (*given).to_owned())
        })
        .collect()
}

/// Blobs are of the storage account, which has rights of its own.
fn is_blob(path: &str) -> bool {
    path.starts_with("/blobs/")
}

fn data(asked: &[(String, String)]) -> BTreeSet<String> {
    let blobs = asked.iter().filter(|(_, path)| is_blob(path));
    let named = blobs.map(|(method, path)| match method.as_str() {
        "GET" => format!("{BLOBS}/read"),
        "PUT" => format!("{BLOBS}/write"),
        "DELETE" => format!("{BLOBS}/delete"),
        other => panic!("{other} {path}"),
    });
    named.collect()
}

/// Azure Resource Manager makes the name of the right from the path: the types of the resource, and what is done to it.
fn action(method: &str, path: &str) -> String {
    let place = path.split('?').next().unwrap_or_default();
    let (provider, rest) = match place.rsplit_once("/providers/") {
        Some((_, rest)) => rest.split_once('/').unwrap(),
        None => (
            "Microsoft.Resources",
            place.strip_prefix('/').unwrap_or_default(),
        ),
    };
    let known = PROVIDERS.iter().find(|(written, _)| *written == provider);
    let provider = known.map_or(provider, |(_, name)| name);
    // A type, a name, a type, a name; what is only a type at the end is a list, or what is to be done.
    let mut segments: Vec<&str> = rest.split('/').collect();
    // What a tenant has is of one name only, which stands for both.
    if let Some(at) = segments.iter().position(|it| *it == "tenant") {
        segments.insert(at + 1, "");
    }
    let mut types: Vec<&str> = segments.iter().step_by(2).copied().collect();
    let is_open = segments.len() % 2 == 1;
    let verb = match method {
        "GET" => "read",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        // A question to a component reads, whatever its method.
        "POST" if rest.ends_with("/query") => "read",
        "POST" if is_open => "action",
        other => panic!("{other} {path}"),
    };
    // Groups are of no provider; the tags of a resource are the provider's own, beside the right to write the resource.
    if provider == "Microsoft.Resources" && types != ["tags"] {
        types = vec!["subscriptions", "resourceGroups"];
    }
    format!("{provider}/{}/{verb}", types.join("/"))
}

#[test]
fn a_right_is_named_by_the_path() {
    let site = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Web/sites";
    for (method, path, expected) in [
        ("GET", "?x=1".to_owned(), "Microsoft.Web/sites/read"),
        ("PUT", "/app".to_owned(), "Microsoft.Web/sites/write"),
        (
            "POST",
            "/app/slots/green/config/appsettings/list".to_owned(),
            "Microsoft.Web/sites/slots/config/list/action",
        ),
        (
            "POST",
            "/app/slots/green/slotsswap".to_owned(),
            "Microsoft.Web/sites/slots/slotsswap/action",
        ),
        (
            "PATCH",
            "/app/providers/Microsoft.Resources/tags/default".to_owned(),
            "Microsoft.Resources/tags/write",
        ),
        (
            "GET",
            "/app/slots/green/providers/microsoft.insights/metrics?x=y".to_owned(),
            "Microsoft.Insights/metrics/read",
        ),
        (
            "GET",
            "/app/slots/green/operationresults/1?x=y".to_owned(),
            "Microsoft.Web/sites/slots/operationresults/read",
        ),
        (
            "GET",
            "/app/slots/green/hostruntime/admin/host/status".to_owned(),
            "Microsoft.Web/sites/slots/hostruntime/host/read",
        ),
    ] {
        assert_eq!(action(method, &format!("{site}{path}")), expected);
    }
    let tenant = format!("{APIM}/tenant/operationResults/1?x=y");
    assert_eq!(
        action("GET", &tenant),
        "Microsoft.ApiManagement/service/tenant/operationResults/read"
    );
}

/// On plans without slots an app is asked what a slot is asked elsewhere: a right for one alone is a right forgotten.
#[test]
fn what_we_may_do_to_a_slot_we_may_do_to_an_app_and_the_other_way_round() {
    let allowed = allowed("Actions");
    let of_sites = allowed
        .iter()
        .filter_map(|it| it.strip_prefix("Microsoft.Web/sites/"));
    let (slots, sites): (BTreeSet<&str>, BTreeSet<&str>) =
        of_sites.partition(|it| it.starts_with("slots/"));
    let slots: BTreeSet<&str> = slots.iter().map(|it| &it["slots/".len()..]).collect();
    let but: BTreeSet<&str> = ON_SLOTS.into_iter().chain(ON_SITES).collect();
    let alone: BTreeSet<&str> = slots.symmetric_difference(&sites).copied().collect();
    assert_eq!(alone, but);
}

#[test]
fn a_right_that_the_role_does_not_give_is_told() {
    let asked = |method: &str, path: &str| {
        let app = format!("{GROUP}/providers/Microsoft.Web/sites/app");
        (method.to_owned(), format!("{app}{path}?api-version=x"))
    };
    let calls = [
        asked("GET", ""),
        asked("POST", "/slots/green/start"),
        asked("POST", "/slots/green/stop"),
        (
            "PUT".to_owned(),
            "/blobs/account/container/a.zip".to_owned(),
        ),
    ];
    let stop = "Microsoft.Web/sites/slots/stop/action".to_owned();
    assert_eq!(lacking(&calls), BTreeSet::from([stop]));
    let read = ("GET".to_owned(), "/blobs/account/container".to_owned());
    assert_eq!(data(&[read]), BTreeSet::from([format!("{BLOBS}/read")]));
}

/// One name that Azure does not know, and it takes nothing of the role.
#[test]
fn the_role_names_no_right_that_azure_does_not_list() {
    let allowed = allowed("Actions");
    for (unlisted, given) in UNLISTED {
        assert!(!allowed.contains(unlisted), "{unlisted}");
        assert!(allowed.contains(given), "{given}");
        let (before, after) = given.split_once('*').unwrap();
        assert!(unlisted.starts_with(before) && unlisted.ends_with(after));
    }
    let locations = allowed.iter().filter(|it| it.contains("/locations/"));
    let locations: Vec<&String> = locations.collect();
    assert_eq!(
        locations,
        ["Microsoft.KeyVault/locations/deletedVaults/read"]
    );
}

/// The life of a service that asks for everything: secrets, insights, a preview, an API in front, and a release that does not start.
async fn with_all_around(local: &Local) -> [AzureCloud; 2] {
    put_management(local).await;
    let management = APIM.to_owned();
    let mut options = options(&local.arm.url);
    let workspace = format!("{GROUP}/providers/Microsoft.OperationalInsights/workspaces/shop");
    options.target.shared.insights = Some(Insights::Workspace(workspace));
    options.target.shared.api_management = Some(management.clone());
    options.limits.start = std::time::Duration::from_secs(10);
    // Another daemon's API Management lies in another group.
    let mut elsewhere = options.clone();
    let other = management.replace("resourceGroups/shop", "resourceGroups/other");
    elsewhere.target.shared.api_management = Some(other);
    let elsewhere = AzureCloud::new(elsewhere).unwrap();
    let cloud = AzureCloud::new(options).unwrap();
    let (one, two) = (with_everything(1), with_everything(2));
    let scope = scope(&one);
    let vault = format!("{GROUP}/providers/Microsoft.KeyVault/vaults/vg-test");
    let (first, second) = (local.package("one"), local.package("two"));
    // Its vault is made, and a person puts the secret in.
    let put = async {
        let body = json!({"properties": {"value": "hidden"}});
        let id = format!("{vault}/secrets/key");
        while local.to("PUT", &id, "2023-07-01", &body).await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let staged = cloud.stage(&one, &first);
    let (staged, ()) = tokio::join!(staged, put);
    staged.unwrap();
    cloud.promote(&scope, one.digest).await.unwrap();
    // Blue is somebody again before its next release.
    let nobody = json!({"identity": {"type": "None"}});
    local.by_hand("PATCH", "", &nobody).await;
    cloud.stage(&two, &second).await.unwrap();
    let broken = local.broken_package();
    cloud.stage(&release(3, &[]), &broken).await.unwrap_err();
    cloud.stage(&two, &second).await.unwrap();
    cloud.promote(&scope, two.digest).await.unwrap();
    // A function goes away, and its operation with it.
    let mut less = with_everything(4);
    let functions = &mut Arc::make_mut(&mut less.content).functions;
    functions.retain(|name, _| name.as_str() != "reorder");
    less.digest = less.content.digest();
    let package = local.package_of("less", &[stock()]);
    cloud.stage(&less, &package).await.unwrap();
    cloud.promote(&scope, less.digest).await.unwrap();
    // What counts is what was asked.
    drop(cloud.operate().unwrap().found().await);
    drop(elsewhere.operate().unwrap().found().await);
    cloud.prune(&scope).await.unwrap();
    [cloud, elsewhere]
}

/// Three packages that are run from an address, so that the first of them is run by nobody any more.
async fn on_consumption(local: &Local, [one, two, three]: [&Release; 3]) -> AzureCloud {
    let scope = scope(one);
    let small = consumption(&local.arm.url);
    let more = [(one, "first"), (two, "second"), (three, "third")];
    for (release, word) in more {
        let package = local.package(word);
        small.stage(release, &package).await.unwrap();
        small.promote(&scope, release.digest).await.unwrap();
    }
    small.prune(&scope).await.unwrap();
    small
}

/// Two apps and a pointer: a release with a secret, and one that does not start.
async fn on_flex(local: &Local, release: &Release) -> AzureCloud {
    let mut options = options(&local.arm.url);
    options.target.plan = AzurePlan("FC1".to_owned());
    options.limits.start = std::time::Duration::from_secs(10);
    let flex = AzureCloud::new(options).unwrap();
    let one = with_secret(release.clone(), "key");
    let scope = scope(&one);
    flex.stage(&one, &local.package("one")).await.unwrap();
    flex.promote(&scope, one.digest).await.unwrap();
    let broken = local.broken_package();
    flex.stage(release, &broken).await.unwrap_err();
    flex.prune(&scope).await.unwrap();
    flex
}

/// Who did what, what was logged, and a call of either slot.
async fn people_ask(cloud: &AzureCloud, scope: &Scope, until: Timestamp) {
    // What counts is what was asked.
    let operate = cloud.operate().unwrap();
    drop(operate.deeds(scope, until).await);
    let wanted = LogsWanted {
        called: Default::default(),
        service: scope.service.clone(),
        function: "stock".parse().unwrap(),
        since: until,
        containing: None,
        lines_max: 10,
    };
    drop(operate.logs(&wanted).await);
    for slot in [Slot::Blue, Slot::Green] {
        let call = Invocation {
            called: Default::default(),
            service: scope.service.clone(),
            function: "reorder".parse().unwrap(),
            slot,
            input: Input::Message("hello".to_owned()),
        };
        drop(operate.invoke(&call).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_allows_what_we_ask_of_azure_and_nothing_else() {
    let Story {
        local,
        cloud,
        releases: [one, two],
        packages: [first, second],
    } = Story::plain("EP1").await;
    let scope = scope(&one);
    let nothing = json!({});
    local.by_hand("POST", "/stop", &nothing).await;
    cloud.repair(&two, &second).await.unwrap();
    local.by_hand("POST", "/slots/green/stop", &nothing).await;
    cloud.stage(&one, &first).await.unwrap();
    let until = "2026-11-21T10:00:00Z".parse().unwrap();
    people_ask(&cloud, &scope, until).await;
    cloud.inventory().await.unwrap();
    // Why a package was not taken is read in its deployment's log.
    let three = release(3, &[]);
    let mut none = local.package("three");
    none.path = local.folder.path().join("none.zip");
    std::fs::write(&none.path, "this is no zip").unwrap();
    cloud.stage(&three, &none).await.unwrap_err();
    let source = MetricSource::AzureMonitor(AzureMonitorQuery {
        resource: None,
        metric: "Http5xx".to_owned(),
        namespace: None,
        aggregation: "Total".to_owned(),
        filter: None,
        over: std::time::Duration::from_secs(300),
    });
    let question = MetricQuestion {
        called: &Default::default(),
        source: &source,
        service: &one.service.service,
        slot: Slot::Green,
        until,
    };
    // The local endpoint measures nothing; what counts is what it was asked.
    drop(cloud.metric(&question).await);
    let operate = cloud.operate().unwrap();
    // Somebody takes our tags off, and the app is taken over.
    local.by_hand("PATCH", "", &json!({ "tags": {} })).await;
    let theirs = cloud.observe(&scope).await.unwrap().foreign;
    let theirs = theirs.into_iter().collect();
    operate.adopt(&scope, &theirs).await.unwrap();
    cloud.prune(&scope).await.unwrap();
    let [around, elsewhere] = with_all_around(&local).await;
    let flex = on_flex(&local, &one).await;
    let small = on_consumption(&local, [&one, &two, &three]).await;
    let seen = cloud.calls().into_iter().chain(around.calls());
    let seen = seen.chain(elsewhere.calls());
    let seen = seen.chain(flex.calls()).chain(small.calls());
    let seen: BTreeSet<String> = seen.map(|(it, _)| it.to_owned()).collect();
    let named = named_in("src/cloud/azure/arm", r#" = "([a-z.]+)", [A-Z]"#);
    all_were_seen(&named, &seen, "the life of an Azure service");
    let mut actions = actions(&local.tap.asked());
    actions.extend(BESIDE.map(str::to_owned));
    assert!(TO_HOSTS.iter().all(|it| seen.contains(*it)), "{seen:?}");
    actions.extend(OF_HOSTS.map(str::to_owned));
    let role = json!({
        "Name": "Verdigris",
        "IsCustom": true,
        "Description": "What Verdigris does in a resource group.",
        "Actions": actions,
        "NotActions": [],
        "DataActions": data(&local.tap.asked()),
        "NotDataActions": [],
        "AssignableScopes": ["/subscriptions/SUBSCRIPTION/resourceGroups/RESOURCE_GROUP"],
    });
    is_written("azure-role.json", &role);
}
