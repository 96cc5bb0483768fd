//! Stories that our client and our endpoint play for Prism, which hears all of it when a story is over; and faults that it must find.

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, Package, azure::AzureCloud},
    desired::Release,
    manifest::spec::AzurePlan,
    observed::SlotContent,
};

use super::{
    SUBSCRIPTION, judge, local::Local, options, places::with_everything, release, scope, tap::Pair,
};

/// Two releases that were blue; the second is.
pub(super) struct Story {
    pub(super) local: Local,
    pub(super) cloud: AzureCloud,
    pub(super) releases: [Release; 2],
    pub(super) packages: [Package; 2],
}

impl Story {
    pub(super) async fn plain(plan: &str) -> Self {
        let releases = [release(1, &[]), release(2, &[("LOG_LEVEL", "debug")])];
        Self::of(Local::start().await, plan, releases).await
    }

    pub(super) async fn of(local: Local, plan: &str, releases: [Release; 2]) -> Self {
        let mut options = options(&local.arm.url);
        options.target.plan = AzurePlan(plan.to_owned());
        let cloud = AzureCloud::new(options).unwrap();
        let packages = ["one", "two"].map(|word| local.package(word));
        for (release, package) in releases.iter().zip(&packages) {
            cloud.stage(release, package).await.unwrap();
            let scope = scope(release);
            cloud.promote(&scope, release.digest).await.unwrap();
        }
        Self {
            local,
            cloud,
            releases,
            packages,
        }
    }
}

#[tokio::test]
async fn prism_finds_no_fault_in_what_we_send_and_what_our_endpoint_answers() {
    let Story {
        local,
        cloud,
        releases: [one, two],
        packages: [_, second],
    } = Story::plain("EP1").await;
    let scope = scope(&one);
    // Back, and forth again.
    cloud.promote(&scope, one.digest).await.unwrap();
    cloud.promote(&scope, two.digest).await.unwrap();
    local.set_on_blue("LOG_LEVEL", "trace").await;
    local.by_hand("POST", "/stop", &json!({})).await;
    cloud.repair(&two, &second).await.unwrap();
    assert_eq!(cloud.inventory().await.unwrap().len(), 1);
    cloud.prune(&scope).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.blue, SlotContent::Empty);
}

#[tokio::test]
async fn prism_finds_no_fault_in_what_a_place_is_given() {
    let local = Local::start().await;
    local.with_secret("vg-test", "key").await;
    let releases = [with_everything(1), with_everything(2)];
    let story = Story::of(local, "EP1", releases).await;
    let cloud = &story.cloud;
    let plain = release(3, &[]);
    let third = story.local.package("three");
    let scope = scope(&plain);
    // A preview that another release ends, and a place that nobody asks anything of.
    cloud.stage(&plain, &third).await.unwrap();
    cloud.promote(&scope, plain.digest).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert!(observed.blue.holds(plain.digest));
}

#[tokio::test]
async fn prism_finds_no_fault_in_two_apps_and_a_pointer() {
    let story = Story::plain("FC1").await;
    let [one, two] = &story.releases;
    let scope = scope(one);
    story.cloud.promote(&scope, one.digest).await.unwrap();
    let hand = json!({"properties": {"functionAppConfig": Value::Null}});
    let app = "vg-test-inventory-b";
    story.local.to_app(app, "PATCH", "", &hand).await.unwrap();
    story.cloud.repair(two, &story.packages[1]).await.unwrap();
    story.cloud.prune(&scope).await.unwrap();
}

/// A plan that people pay for by the hour: apps are kept awake there.
#[tokio::test]
async fn prism_finds_no_fault_in_apps_on_a_dedicated_plan() {
    let story = Story::plain("S1").await;
    let [one, two] = &story.releases;
    let scope = scope(one);
    let holds = async |on_blue: &Release, on_green: &Release, package: &Package| {
        let observed = story.cloud.observe(&scope).await.unwrap();
        assert!(observed.green.holds(on_green.digest));
        let fields = observed.blue.holding().unwrap().fields.clone();
        assert_eq!(fields, story.cloud.expected(on_blue, package.code));
    };
    holds(two, one, &story.packages[1]).await;
    story.cloud.promote(&scope, one.digest).await.unwrap();
    holds(one, two, &story.packages[0]).await;
    story.local.by_hand("POST", "/stop", &json!({})).await;
    let repair = story.cloud.repair(one, &story.packages[0]);
    repair.await.unwrap();
    holds(one, two, &story.packages[0]).await;
    story.cloud.prune(&scope).await.unwrap();
}

#[tokio::test]
async fn prism_finds_no_fault_in_packages_that_are_run_from_an_address() {
    let story = Story::plain("Y1").await;
    let [one, two] = &story.releases;
    let scope = scope(one);
    story.cloud.promote(&scope, one.digest).await.unwrap();
    story.cloud.promote(&scope, two.digest).await.unwrap();
    story.local.set_on_blue("LOG_LEVEL", "trace").await;
    story.local.by_hand("POST", "/stop", &json!({})).await;
    story.cloud.repair(two, &story.packages[1]).await.unwrap();
    assert_eq!(story.cloud.inventory().await.unwrap().len(), 1);
    story.cloud.prune(&scope).await.unwrap();
    let observed = story.cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.blue, SlotContent::Empty);
    let asked = story.local.tap.asked();
    let synced = asked
        .iter()
        .filter(|(_, path)| path.contains("/syncfunctiontriggers"));
    assert!(synced.count() >= 4, "{asked:?}");
}

/// A call that our client would have sent, with the answer to it.
fn pair(method: &str, path: &str, sent: &Value, (status, answer): (u16, &Value)) -> Pair {
    Pair {
        method: method.to_owned(),
        path: path.to_owned(),
        sent: sent.clone(),
        status,
        answer: answer.clone(),
        links: Default::default(),
        is_ours: true,
    }
}

const PLANTED: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/planted";

/// Below the group of what is planted.
fn at(rest: &str, version: &str) -> String {
    format!("{PLANTED}/providers/Microsoft.{rest}?api-version={version}")
}

fn web(rest: &str) -> String {
    at(&format!("Web/{rest}"), "2025-05-01")
}

/// Calls with one fault each, to apps and their plans.
fn asked_wrongly_of_apps() -> Vec<(&'static str, String, Value)> {
    let with =
        |name: &str, value: Value| json!({"location": "westeurope", "properties": {name: value}});
    vec![
        (
            "GET",
            format!("{PLANTED}/providers/Microsoft.Web/sites/app"),
            Value::Null,
        ),
        ("GET", at("Web/sites/app", "2016-08-01"), Value::Null),
        ("POST", web("sites/app/misspelt"), Value::Null),
        ("PUT", web("sites/app"), json!({"tags": {}})),
        (
            "PUT",
            web("sites/app"),
            with("serverFarm", json!("misspelt")),
        ),
        (
            "PUT",
            web("sites/app/slots/green"),
            with("reserved", json!("yes")),
        ),
        (
            "PUT",
            web("serverfarms/plan"),
            json!({"location": "westeurope", "sku": {"name": 1}}),
        ),
        (
            "POST",
            web("sites/app/slotsswap"),
            json!({"targetSlot": "production"}),
        ),
        (
            "PUT",
            web("sites/app/config/appsettings"),
            json!({"properties": {"A": {}}}),
        ),
    ]
}

/// The same, to what stands around them: each of the other packages that the document is made of.
fn asked_wrongly_around() -> Vec<(&'static str, String, Value)> {
    let place = json!({"location": "westeurope"});
    let with =
        |name: &str, value: Value| json!({"location": "westeurope", "properties": {name: value}});
    let role = "Web/sites/app/providers/Microsoft.Authorization/roleAssignments/one";
    let tags = "Web/sites/app/slots/green/providers/Microsoft.Resources/tags/default";
    let log = format!(
        "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01"
    );
    vec![
        (
            "PUT",
            format!("{PLANTED}?api-version=2025-04-01"),
            json!({"tags": {}}),
        ),
        (
            "PUT",
            at("Storage/storageAccounts/one", "2025-08-01"),
            place.clone(),
        ),
        (
            "PUT",
            at("KeyVault/vaults/one", "2023-07-01"),
            with("tenantId", json!("t")),
        ),
        ("PUT", at("Insights/components/one", "2020-02-02"), place),
        (
            "PUT",
            at("ApiManagement/service/one/apis/two", "2024-05-01"),
            with("paths", json!("a")),
        ),
        (
            "PUT",
            at(role, "2022-04-01"),
            json!({"properties": {"principalId": "p"}}),
        ),
        (
            "PATCH",
            at(tags, "2025-04-01"),
            json!({"operation": "Merge", "properties": {"tag": {}}}),
        ),
        ("GET", log, Value::Null),
    ]
}

/// Prism checks nothing, and says nothing, where it cannot make sense of the document: so every kind of fault is planted once.
#[test]
fn prism_finds_the_faults_that_we_plant_in_calls() {
    let all = asked_wrongly_of_apps().into_iter();
    for (method, path, sent) in all.chain(asked_wrongly_around()) {
        let planted = pair(method, &path, &sent, (204, &Value::Null));
        let found = judge::faults(vec![planted]);
        assert!(!found.is_empty(), "{method} {path}");
    }
}

#[test]
fn prism_finds_the_faults_that_we_plant_in_answers() {
    let wrong = json!({"name": 1, "properties": 1, "value": 1});
    for path in [
        web("sites/app"),
        web("sites/app/functions"),
        format!("{PLANTED}?api-version=2025-04-01"),
        at("Storage/storageAccounts/one", "2025-08-01"),
        at("KeyVault/vaults/one", "2023-07-01"),
        at("Insights/components/one", "2020-02-02"),
        at(
            "ApiManagement/service/one/apis/two/operations",
            "2024-05-01",
        ),
        at(
            "Web/sites/app/providers/Microsoft.Authorization/roleAssignments",
            "2022-04-01",
        ),
        at(
            "Web/sites/app/providers/Microsoft.Insights/metrics",
            "2024-02-01",
        ),
    ] {
        for answer in [(200, &wrong), (403, &wrong)] {
            let planted = pair("GET", &path, &Value::Null, answer);
            assert!(
                !judge::faults(vec![planted]).is_empty(),
                "{path}: {answer:?}"
            );
        }
    }
}

/// Nobody would judge it, and nobody would know.
#[test]
fn prism_tells_of_answers_to_whom_it_may_be_that_the_document_does_not_know() {
    let told = |status| {
        let path = web("sites/app/misspelt");
        let mut planted = pair("GET", &path, &Value::Null, (status, &json!({})));
        planted.is_ours = false;
        judge::faults(vec![planted])
    };
    assert!(!told(200).is_empty());
    assert_eq!(told(404), [""; 0]);
}

/// A link too few and whoever waits never hears of the end; a link too many and they follow one that is not there.
#[test]
fn prism_finds_links_that_the_real_service_would_not_give() {
    let (place, page) = ("location", "azure-asyncoperation");
    let swap = web("sites/app/slots/green/slotsswap");
    let account = at("Storage/storageAccounts/one", "2025-08-01");
    let api = at("ApiManagement/service/one/apis/two", "2024-05-01");
    let group = format!("{PLANTED}?api-version=2025-04-01");
    let none = Value::Null;
    let body = json!({"id": "two"});
    for (method, path, (status, answer), given, is_right) in [
        ("POST", &swap, (202, &none), &[place][..], true),
        ("POST", &swap, (202, &none), &[], false),
        ("POST", &swap, (202, &none), &[place, page], false),
        ("PUT", &account, (202, &none), &[place], true),
        ("PUT", &account, (202, &none), &[page], false),
        ("PUT", &api, (201, &body), &[place, page], true),
        ("PUT", &api, (200, &body), &[page], false),
        ("DELETE", &api, (202, &none), &[place, page], true),
        ("DELETE", &api, (202, &none), &[place], false),
        ("DELETE", &group, (202, &none), &[place], true),
        ("DELETE", &group, (202, &none), &[], false),
        (
            "GET",
            &group,
            (200, &json!({"location": "x"})),
            &[place],
            false,
        ),
    ] {
        let mut planted = pair(method, path, &Value::Null, (status, answer));
        planted.is_ours = false;
        let link = |name: &&'static str| (*name, "http://127.0.0.1/somewhere".to_owned());
        planted.links = given.iter().map(link).collect();
        let told = judge::faults(vec![planted]);
        assert_eq!(
            told.is_empty(),
            is_right,
            "{method} {path} {given:?}: {told:?}"
        );
    }
}
