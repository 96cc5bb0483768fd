//! What the place of a slot has besides the package: settings that stay, identity, roles, secrets, CORS, authentication, scale, domains.

use std::sync::Arc;

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, CloudError, azure::AzureCloud},
    desired::Release,
    manifest::{
        azure::{
            ApiFront, Auth, AzureApp, AzureCors, Insights, Network, RoleGrant, Scale, Sticky,
            Unauthenticated,
        },
        spec::{AzurePlan, EnvValue},
    },
    name::{Slot, Timestamp},
    observed::{Fields, SlotContent, talk::LogsWanted},
};

use super::{
    SUBSCRIPTION, cloud, function,
    local::{GROUP, Local, reorder, stock},
    options, release, scope,
    slots::{answer, observe},
};

const SUBNET: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/shop/subnets/functions";
const READER: &str = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1";

/// A release that asks for this.
pub(super) fn asking(version: u8, app: AzureApp) -> Release {
    let mut release = release(version, &[]);
    Arc::make_mut(&mut release.content).azure = Some(Box::new(app));
    release.digest = release.content.digest();
    release
}

fn cors(origin: &str) -> AzureApp {
    AzureApp {
        cors: Some(AzureCors {
            origins: [origin.to_owned()].into(),
            credentials: false,
        }),
        ..AzureApp::default()
    }
}

fn much() -> AzureApp {
    let plain = |text: &str| Some(EnvValue::Plain(text.to_owned()));
    let mode = Sticky {
        blue: plain("live"),
        green: plain("test"),
    };
    AzureApp {
        settings: [("WEBSITE_TIME_ZONE".to_owned(), "UTC".to_owned())].into(),
        sticky: [("MODE".to_owned(), mode)].into(),
        network: Some(Network {
            subnet: SUBNET.to_owned(),
            route_all: true,
        }),
        scale: Some(Scale {
            most: Some(10),
            ready: Some(2),
            warm: None,
        }),
        tags: [("team".to_owned(), "shop".to_owned())].into(),
        ..cors("https://shop.example")
    }
}

/// A release that asks for all that a place may have, and is previewed.
pub(super) fn with_everything(version: u8) -> Release {
    let key = Sticky {
        blue: Some(EnvValue::Secret("key".to_owned())),
        green: Some(EnvValue::Secret("key".to_owned())),
    };
    let auth = Auth {
        tenant: "11111111-2222-3333-4444-555555555555".to_owned(),
        client: "22222222-2222-3333-4444-555555555555".to_owned(),
        audiences: ["api://stock".to_owned()].into(),
        unauthenticated: Unauthenticated::Allow,
        exclude: ["/stock/open".to_owned()].into(),
    };
    let app = AzureApp {
        auth: Some(auth),
        sticky: [("KEY".to_owned(), key)].into(),
        preview: true,
        api: Some(ApiFront {
            path: "shop/stock".to_owned(),
            ..ApiFront::default()
        }),
        ..much()
    };
    without_queues(asking(version, app))
}

/// Green would read blue's queues in a preview: such a service has none.
fn without_queues(mut release: Release) -> Release {
    let mut reorder = function(Some("/reorder"), None);
    reorder.http.as_mut().unwrap().methods = vec!["POST".to_owned()];
    let functions = &mut Arc::make_mut(&mut release.content).functions;
    functions.insert("reorder".parse().unwrap(), Arc::new(reorder));
    release.digest = release.content.digest();
    release
}

pub(super) async fn blue_fields(cloud: &AzureCloud, release: &Release) -> Fields {
    let observed = cloud.observe(&scope(release)).await.unwrap();
    observed.blue.holding().unwrap().fields.clone()
}

async fn settings(local: &Local, slot: &str) -> Value {
    let list = format!("{slot}/config/appsettings/list");
    local.by_hand("POST", &list, &json!({})).await["properties"].clone()
}

async fn web(local: &Local, slot: &str) -> Value {
    let path = format!("{slot}/config/web");
    local.by_hand("GET", &path, &Value::Null).await["properties"].clone()
}

#[tokio::test]
async fn what_a_release_asks_of_its_place_comes_with_it_and_goes_with_it() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = (release(1, &[]), asking(2, much()));
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();

    cloud.stage(&two, &second).await.unwrap();
    assert_eq!(settings(&local, "/slots/green").await["MODE"], "test");
    assert_eq!(settings(&local, "").await["MODE"], Value::Null);
    assert_eq!(web(&local, "").await["functionAppScaleLimit"], 200);

    cloud.promote(&scope(&two), two.digest).await.unwrap();
    assert_eq!(
        blue_fields(&cloud, &two).await,
        cloud.expected(&two, second.code)
    );
    let blue = settings(&local, "").await;
    assert_eq!(
        (&blue["MODE"], &blue["WEBSITE_TIME_ZONE"]),
        (&json!("live"), &json!("UTC"))
    );
    let site = local.by_hand("GET", "", &Value::Null).await;
    assert_eq!(site["properties"]["virtualNetworkSubnetId"], SUBNET);
    assert_eq!(site["tags"]["team"], "shop");
    let found = web(&local, "").await;
    assert_eq!(
        found["cors"]["allowedOrigins"],
        json!(["https://shop.example"])
    );
    assert_eq!(
        (
            &found["functionAppScaleLimit"],
            &found["minimumElasticInstanceCount"]
        ),
        (&json!(10), &json!(2))
    );

    // The way back takes it all away again.
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    assert_eq!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, first.code)
    );
    assert_eq!(settings(&local, "").await["MODE"], Value::Null);
    let found = web(&local, "").await;
    assert_eq!(found["cors"]["allowedOrigins"], json!([]));
    let site = local.by_hand("GET", "", &Value::Null).await;
    assert_eq!(site["tags"]["team"], Value::Null);
    assert_eq!(site["properties"]["virtualNetworkSubnetId"], Value::Null);

    let before = cloud.writing_calls();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.repair(&one, &first).await.unwrap();
    assert_eq!(cloud.writing_calls(), before, "a second pass is quiet");
}

#[tokio::test]
async fn what_people_change_of_a_place_is_seen_and_repaired() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = asking(1, much());
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    let edits = [
        (
            "app.cors",
            "PATCH",
            "/config/web",
            json!({"properties": {"cors": {"allowedOrigins": ["*"]}}}),
        ),
        (
            "app.scale.most",
            "PATCH",
            "/config/web",
            json!({"properties": {"functionAppScaleLimit": 5}}),
        ),
        (
            "app.network",
            "PATCH",
            "",
            json!({"properties": {"virtualNetworkSubnetId": "/other"}}),
        ),
        (
            "app.tag.team",
            "PATCH",
            "",
            json!({"tags": tags_without_team(&local).await}),
        ),
        // The endpoint of this test speaks plain http.
        (
            "app.https",
            "PATCH",
            "",
            json!({"properties": {"httpsOnly": true}}),
        ),
        (
            "app.image",
            "PATCH",
            "/config/web",
            json!({"properties": {"linuxFxVersion": "Python|3.9"}}),
        ),
    ];
    for (field, method, path, body) in edits {
        local.by_hand(method, path, &body).await;
        let found = blue_fields(&cloud, &one).await;
        assert_ne!(found.get(field), expected.get(field), "{field}");
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(blue_fields(&cloud, &one).await, expected, "{field}");
    }
    for (name, value, field) in [
        ("MODE", "other", "sticky.MODE"),
        ("WEBSITE_TIME_ZONE", "CET", "setting.WEBSITE_TIME_ZONE"),
    ] {
        local.set_on_blue(name, value).await;
        let found = blue_fields(&cloud, &one).await;
        assert_ne!(found.get(field), expected.get(field), "{name}");
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(blue_fields(&cloud, &one).await, expected, "{name}");
    }
    assert_eq!(cloud.calls()["zipdeploy"], 1, "no package was sent for it");
}

#[tokio::test]
async fn an_app_that_was_sent_to_sleep_or_told_to_be_somebody_else_is_seen_and_repaired() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.target.plan = AzurePlan("S1".to_owned());
    let cloud = AzureCloud::new(options).unwrap();
    let own = format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shop");
    let app = AzureApp {
        identity: Some(own.clone()),
        ..AzureApp::default()
    };
    let one = asking(1, app);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    assert_eq!(blue_fields(&cloud, &one).await, expected);
    for (field, path, body) in [
        (
            "app.awake",
            "/config/web",
            json!({"properties": {"alwaysOn": false}}),
        ),
        (
            "app.vault",
            "",
            json!({"properties": {"keyVaultReferenceIdentity": "SystemAssigned"}}),
        ),
    ] {
        local.by_hand("PATCH", path, &body).await;
        let found = blue_fields(&cloud, &one).await;
        assert_ne!(found.get(field), expected.get(field), "{field}");
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(blue_fields(&cloud, &one).await, expected, "{field}");
    }
    // The cloud writes names with capitals of its own.
    let writes = [
        ("/config/web", json!({"linuxFxVersion": "PYTHON|3.11"})),
        ("", json!({"keyVaultReferenceIdentity": own.to_uppercase()})),
    ];
    for (path, properties) in writes {
        let body = json!({ "properties": properties });
        local.by_hand("PATCH", path, &body).await;
        assert_eq!(blue_fields(&cloud, &one).await, expected, "{body}");
    }
}

async fn tags_without_team(local: &Local) -> Value {
    let site = local.by_hand("GET", "", &Value::Null).await;
    let mut tags = site["tags"].clone();
    tags.as_object_mut().unwrap().remove("team");
    tags
}

#[tokio::test]
async fn who_brings_no_token_is_refused_where_the_release_says_so() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let auth = Auth {
        tenant: "11111111-2222-3333-4444-555555555555".to_owned(),
        client: "22222222-2222-3333-4444-555555555555".to_owned(),
        audiences: ["api://stock".to_owned()].into(),
        unauthenticated: Unauthenticated::Refuse,
        exclude: ["/stock/open".to_owned()].into(),
    };
    let asked = AzureApp {
        auth: Some(auth),
        ..AzureApp::default()
    };
    let (one, two) = (asking(1, asked), release(2, &[]));
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let observed = cloud.observe(&scope(&one)).await.unwrap();
    let holding = observed.blue.holding().unwrap();
    assert_eq!(holding.fields, cloud.expected(&one, first.code));
    let base = holding.addresses.values().next().unwrap();
    let status = async |path: &str, token: bool| {
        let asked = reqwest::Client::new().get(base.join(path).unwrap());
        let asked = if token { asked.bearer_auth("x") } else { asked };
        asked.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/stock/1", false).await, 401);
    assert_eq!(status("/stock/open", false).await, 200);
    assert_eq!(status("/stock/1", true).await, 200);

    let off = json!({"properties": {"platform": {"enabled": false}}});
    local.by_hand("PUT", "/config/authsettingsV2", &off).await;
    assert_ne!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, first.code)
    );
    cloud.repair(&one, &first).await.unwrap();
    assert_eq!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, first.code)
    );

    cloud.stage(&two, &second).await.unwrap();
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    assert_eq!(
        status("/stock/1", false).await,
        200,
        "nobody asks for tokens now"
    );
}

#[tokio::test]
async fn an_app_may_do_what_it_needs_and_what_is_asked_for() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let data = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/data");
    let grant = RoleGrant {
        role: READER.to_owned(),
        scope: data.clone(),
    };
    let app = AzureApp {
        roles: [("reads".to_owned(), grant)].into(),
        ..AzureApp::default()
    };
    let one = asking(1, app);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    assert_eq!(
        cloud.calls()["roles.put"],
        6,
        "three roles for each of two identities"
    );
    let all = local
        .to(
            "GET",
            &format!(
                "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments"
            ),
            "2022-04-01",
            &Value::Null,
        )
        .await
        .unwrap();
    let scopes: Vec<&str> = all["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["properties"]["scope"].as_str())
        .collect();
    assert_eq!(scopes.iter().filter(|scope| **scope == data).count(), 2);
    // Another release gives nothing twice.
    let two = asking(2, one.content.azure.as_deref().cloned().unwrap());
    cloud.stage(&two, &local.package("two")).await.unwrap();
    assert_eq!(cloud.calls()["roles.put"], 6);
}

#[tokio::test]
async fn a_role_that_we_may_not_give_is_told_with_the_command_that_gives_it() {
    let local = Local::start().await;
    let denied = json!({"rules": [{"operation": "roles.put", "error": {"status": 403, "code": "AuthorizationFailed", "message": "no"}}]});
    let rules = serde_json::from_value(denied["rules"].clone()).unwrap();
    local.arm.faults().set(rules);
    let one = release(1, &[]);
    let error = cloud(&local.arm.url)
        .stage(&one, &local.package("one"))
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, CloudError::Denied { .. }), "{told}");
    assert!(
        told.contains("az role assignment create") && told.contains("grantRoles: false"),
        "{told}"
    );

    local.arm.faults().set(Vec::new());
    for slot in ["", "/slots/green"] {
        local.let_in(slot).await;
    }
    let mut options = options(&local.arm.url);
    options.target.shared.roles_by_people = true;
    let cloud = AzureCloud::new(options).unwrap();
    cloud.stage(&one, &local.package("one")).await.unwrap();
}

#[tokio::test]
async fn an_identity_of_the_users_is_the_apps() {
    let local = Local::start().await;
    let identity =
        format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shop");
    let mut options = options(&local.arm.url);
    options.target.shared.identity = Some(identity.clone());
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let site = local.by_hand("GET", "", &Value::Null).await;
    assert_eq!(site["identity"]["type"], "UserAssigned");
    assert_eq!(
        site["properties"]["keyVaultReferenceIdentity"],
        json!(identity)
    );
    let blue = settings(&local, "").await;
    assert_eq!(
        blue["AzureWebJobsStorage__managedIdentityResourceId"],
        json!(identity)
    );
    assert_eq!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, package.code)
    );
    assert_eq!(cloud.calls()["roles.put"], 2, "both slots are one identity");
}

#[tokio::test]
async fn a_secret_that_is_not_in_the_vault_is_told_by_name() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.limits.start = std::time::Duration::from_secs(2);
    let cloud = AzureCloud::new(options).unwrap();
    let mut one = release(1, &[]);
    let secret = EnvValue::Secret("db".to_owned());
    let content = Arc::make_mut(&mut one.content);
    content.env.insert("LOG_LEVEL".to_owned(), secret);
    one.digest = one.content.digest();
    let package = local.package("one");
    let error = cloud.stage(&one, &package).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("setting `LOG_LEVEL` does not get secret `db` of vault `vg-test` (SecretNotFound): `az keyvault secret set --vault-name vg-test --name db"),
        "{told}"
    );
    let body = json!({"properties": {"value": "hidden"}});
    let id = format!("{GROUP}/providers/Microsoft.KeyVault/vaults/vg-test/secrets/db");
    local.to("PUT", &id, "2023-07-01", &body).await.unwrap();
    cloud.stage(&one, &package).await.unwrap();
    let observed = observe(&cloud, &one).await;
    assert_eq!(answer(&observed, Slot::Green).await, "one hidden");
}

#[tokio::test]
async fn a_deleted_vault_is_brought_back_where_it_was_ours_and_told_where_not() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let vault = format!("{GROUP}/providers/Microsoft.KeyVault/vaults/vg-test");
    local.with_secret("vg-test", "db").await;
    local
        .to("DELETE", &vault, "2023-07-01", &Value::Null)
        .await
        .unwrap();
    let mut one = release(1, &[]);
    Arc::make_mut(&mut one.content)
        .env
        .insert("LOG_LEVEL".to_owned(), EnvValue::Secret("db".to_owned()));
    one.digest = one.content.digest();
    let package = local.package("one");
    let error = cloud.stage(&one, &package).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("az keyvault recover --name vg-test") && told.contains("purge"),
        "{told}"
    );

    let deleted = format!(
        "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/vg-test/purge"
    );
    local
        .to("POST", &deleted, "2023-07-01", &json!({}))
        .await
        .unwrap();
    // Now it is made, with our tags; its secret is put by people.
    let body = json!({"properties": {"value": "hidden"}});
    let id = format!("{vault}/secrets/db");
    let put = local.to("PUT", &id, "2023-07-01", &body);
    let staged = cloud.stage(&one, &package);
    let put_when_there = async {
        while local
            .to("GET", &vault, "2023-07-01", &Value::Null)
            .await
            .is_none()
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        put.await.unwrap();
    };
    let (staged, ()) = tokio::join!(staged, put_when_there);
    staged.unwrap();
    local
        .to("DELETE", &vault, "2023-07-01", &Value::Null)
        .await
        .unwrap();
    let two = {
        let mut two = one.clone();
        let content = Arc::make_mut(&mut two.content);
        content.source_tree = release(2, &[]).content.source_tree.clone();
        two.digest = two.content.digest();
        two
    };
    cloud.stage(&two, &local.package("two")).await.unwrap();
}

#[tokio::test]
async fn a_domain_that_nobody_bound_is_told_before_green_is_touched() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let app = AzureApp {
        domains: ["stock.shop.example".to_owned()].into(),
        ..AzureApp::default()
    };
    let one = asking(1, app);
    let error = cloud.stage(&one, &local.package("one")).await.unwrap_err();
    let told = error.to_string();
    assert!(
        matches!(error, CloudError::Denied { .. }) && told.contains("az functionapp config hostname add --resource-group shop --name vg-test-inventory --hostname stock.shop.example"),
        "{told}"
    );
    assert_eq!(cloud.calls().get("zipdeploy"), None);
    let body = json!({"properties": {}});
    local
        .by_hand("PUT", "/hostNameBindings/stock.shop.example", &body)
        .await;
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    assert_eq!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, package.code)
    );
    local
        .by_hand(
            "DELETE",
            "/hostNameBindings/stock.shop.example",
            &Value::Null,
        )
        .await;
    assert_eq!(
        blue_fields(&cloud, &one).await["app.domain.stock.shop.example"],
        "not bound"
    );
}

#[tokio::test]
async fn names_that_others_have_are_told_with_the_way_out() {
    let local = Local::start().await;
    let theirs = GROUP.replace("shop", "theirs");
    let body = json!({"location": "westeurope"});
    local.to("PUT", &theirs, "2025-04-01", &body).await.unwrap();
    let site = format!("{theirs}/providers/Microsoft.Web/sites/vg-test-inventory");
    local
        .to(
            "PUT",
            &site,
            "2025-05-01",
            &json!({"location": "westeurope", "properties": {}}),
        )
        .await
        .unwrap();
    let one = release(1, &[]);
    let package = local.package("one");
    let error = cloud(&local.arm.url)
        .stage(&one, &package)
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(
        matches!(error, CloudError::Denied { .. })
            && told.contains("the name `vg-test-inventory`")
            && told.contains("another `prefix`"),
        "{told}"
    );
    let account = format!("{theirs}/providers/Microsoft.Storage/storageAccounts/taken");
    local
        .to("PUT", &account, "2025-08-01", &body)
        .await
        .unwrap();
    let mut options = options(&local.arm.url);
    options.target.shared.storage = Some("taken".to_owned());
    options.target.resource_group = "third".to_owned();
    let cloud = AzureCloud::new(options).unwrap();
    let error = cloud.stage(&one, &package).await.unwrap_err();
    assert!(error.to_string().contains("the name `taken`"), "{error}");
}

#[tokio::test]
async fn two_slots_on_one_content_share_are_refused_before_a_package_is_sent() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = (release(1, &[]), release(2, &[]));
    cloud.stage(&one, &local.package("one")).await.unwrap();
    for slot in ["", "/slots/green"] {
        local.set_on(slot, "WEBSITE_CONTENTSHARE", "shared").await;
    }
    let error = cloud.stage(&two, &local.package("two")).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("WEBSITE_CONTENTSHARE=shared") && told.contains("blue's at once"),
        "{told}"
    );
    assert_eq!(cloud.calls()["zipdeploy"], 1);
}

#[tokio::test]
async fn apps_tell_application_insights_how_they_are() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    let workspace = format!("{GROUP}/providers/Microsoft.OperationalInsights/workspaces/shop");
    options.target.shared.insights = Some(Insights::Workspace(workspace));
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let address = settings(&local, "").await["APPLICATIONINSIGHTS_CONNECTION_STRING"].clone();
    assert!(
        address.as_str().unwrap().starts_with("InstrumentationKey="),
        "{address}"
    );
    assert_eq!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, package.code)
    );
    cloud
        .stage(&release(2, &[]), &local.package("two"))
        .await
        .unwrap();
    assert_eq!(cloud.calls()["insights.put"], 1);

    // One component hears all apps of the environment, and each is asked for what its own slots wrote.
    let told = async |service: &str| {
        let wanted = LogsWanted {
            called: Default::default(),
            service: service.parse().unwrap(),
            function: "stock".parse().unwrap(),
            since: Timestamp::default(),
            containing: Some("starts".to_owned()),
            lines_max: 10,
        };
        let told = cloud.operate().unwrap().logs(&wanted).await.unwrap();
        told.lines
            .into_iter()
            .map(|line| line.text)
            .collect::<Vec<_>>()
    };
    let lines = told("test/inventory").await;
    for line in ["one starts", "two starts"] {
        assert!(lines.iter().any(|told| told == line), "{lines:?}");
    }
    assert_eq!(told("test/nobody").await, [""; 0]);
}

#[tokio::test]
async fn gates_ask_green_with_blues_settings_where_a_swap_is_previewed() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let plain = |text: &str| Some(EnvValue::Plain(text.to_owned()));
    let level = Sticky {
        blue: plain("blue's"),
        green: plain("green's"),
    };
    let app = |preview| AzureApp {
        sticky: [("LOG_LEVEL".to_owned(), level.clone())].into(),
        preview,
        ..AzureApp::default()
    };
    let asking = |version, app| without_queues(asking(version, app));
    let (one, two) = (asking(1, app(false)), asking(2, app(true)));
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let second = local.package("two");
    cloud.stage(&two, &second).await.unwrap();
    let observed = cloud.observe(&scope(&two)).await.unwrap();
    let holding = observed.green.holding().unwrap();
    assert_eq!(holding.fields, cloud.expected(&two, second.code));
    let base = holding.addresses.values().next().unwrap();
    let answer = reqwest::get(base.join("stock/1").unwrap()).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "two blue's");
    let before = cloud.writing_calls();
    cloud.stage(&two, &second).await.unwrap();
    assert_eq!(cloud.writing_calls(), before, "a second pass is quiet");
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    assert_eq!(
        blue_fields(&cloud, &two).await,
        cloud.expected(&two, second.code)
    );

    // Another release takes the preview back before it comes.
    let (three, four) = (asking(3, app(true)), asking(4, app(false)));
    cloud.stage(&three, &local.package("three")).await.unwrap();
    cloud.stage(&four, &local.package("four")).await.unwrap();
    let slot = local.by_hand("GET", "/slots/green", &Value::Null).await;
    assert_eq!(slot["properties"]["targetSwapSlot"], Value::Null);
    assert_eq!(
        settings(&local, "/slots/green").await["LOG_LEVEL"],
        "green's"
    );
}

#[tokio::test]
async fn green_that_does_not_start_says_why() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.limits.start = std::time::Duration::from_secs(2);
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    let error = cloud
        .stage(&one, &local.broken_package())
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(told.contains("the host says: Error:"), "{told}");
    assert!(
        told.contains("its log ends:") && told.contains("the program is broken"),
        "{told}"
    );
}

#[tokio::test]
async fn a_blue_that_answers_503_after_its_swap_is_told() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.limits.start = std::time::Duration::from_secs(2);
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let rules = json!([{"operation": "front.production", "error": {"status": 503, "code": "x", "message": "warming"}}]);
    local
        .arm
        .faults()
        .set(serde_json::from_value(rules).unwrap());
    // The second time blue holds the release already: so does a promotion begin whose daemon was killed while it waited.
    for nth in ["first", "second"] {
        let error = cloud.promote(&scope(&one), one.digest).await.unwrap_err();
        let told = error.to_string();
        assert!(
            matches!(error, CloudError::Unhealthy { .. }) && told.contains("answers 503"),
            "the {nth} time: {told}"
        );
    }
    local.arm.faults().clear();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
}

/// What answers in blue's place after its promotion is found by every look of a bake, whether or not a function of it answers HTTP; and by
/// no other look, which would wake an app that sleeps.
#[tokio::test]
async fn looks_of_a_bake_ask_blue_itself() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[]);
    let mut two = release(2, &[]);
    let functions = &mut Arc::make_mut(&mut two.content).functions;
    functions.retain(|name, _| name.as_str() == "reorder");
    two.digest = two.content.digest();
    let packages = [local.package("one"), local.package_of("two", &[reorder()])];
    let rules = json!([{"operation": "front.production", "error": {"status": 503, "code": "x", "message": "warming"}}]);
    for (release, package) in [&one, &two].into_iter().zip(&packages) {
        let scope = scope(release);
        cloud.stage(release, package).await.unwrap();
        cloud.promote(&scope, release.digest).await.unwrap();
        let well = cloud.watch(&scope).await.unwrap();
        assert_eq!(well, cloud.observe(&scope).await.unwrap());
        assert_eq!(
            (well.blue.release(), well.silence),
            (Some(release.digest), None)
        );
        local
            .arm
            .faults()
            .set(serde_json::from_value(rules.clone()).unwrap());
        let silence = cloud.watch(&scope).await.unwrap().silence.unwrap();
        assert!(silence.ends_with("/ answers 503"), "{silence}");
        assert_eq!(cloud.observe(&scope).await.unwrap().silence, None);
        local.arm.faults().clear();
    }
}

/// Whoever asks green, so that its host starts before anybody of ours asks it anything.
async fn ask_green_for_ever(local: &Local) {
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let app = "vg-test-inventory";
        let slot = local.to_app(app, "GET", "/slots/green", &Value::Null);
        if let Some(slot) = slot.await
            && let Some(host) = slot["properties"]["defaultHostName"].as_str()
        {
            drop(reqwest::get(format!("http://{host}/stock/1")).await);
        }
    }
}

#[tokio::test]
async fn functions_that_are_not_those_of_the_release_are_told_by_name_with_the_hosts_own_words() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.limits.start = std::time::Duration::from_secs(2);
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    let refund = || ("refund", reorder().1);
    let sent = [
        (local.package_of("less", &[stock()]), "[stock]", ""),
        (
            local.package_of("more", &[stock(), reorder(), refund()]),
            "[refund, reorder, stock]",
            "",
        ),
        (
            local.broken_package_of(&[stock(), refund()]),
            "[refund, stock]",
            "the host says: Error",
        ),
    ];
    for (package, listed, by_host) in sent {
        let error = tokio::select! {
            staged = cloud.stage(&one, &package) => staged.unwrap_err(),
            () = ask_green_for_ever(&local) => unreachable!("it never ends"),
        };
        let told = error.to_string();
        let expected =
            format!("after 2s slot green lists the functions {listed} and not [reorder, stock]");
        assert!(matches!(error, CloudError::Unhealthy { .. }), "{told}");
        assert!(told.contains(&expected) && told.contains(by_host), "{told}");
        let observed = cloud.observe(&scope(&one)).await.unwrap();
        assert_eq!(observed.blue, SlotContent::Empty, "users saw nothing of it");
        if !by_host.is_empty() {
            assert!(
                told.contains("its log ends:") && told.contains("the program is broken"),
                "{told}"
            );
        }
    }
}
