//! A Function App with a name and a plan of its own: made by somebody else, taken over, and from then on deployed to, promoted, found again
//! and destroyed by that name.

use std::collections::BTreeSet;

use serde_json::json;
use verdigris::{
    cloud::{Cloud as _, CloudError},
    diff,
    manifest::azure::AzureApp,
    name::Called,
    observed::{Owned, Scope},
};

use super::{
    cloud,
    local::{GROUP, Local},
    places::asking,
    scope,
};

const APP: &str = "Legacy-Shop";

fn app() -> AzureApp {
    AzureApp {
        name: Some(APP.to_lowercase()),
        ..AzureApp::default()
    }
}

/// On a plan that has none of our names.
async fn made_by_hand(local: &Local) -> String {
    let group = json!({ "location": "westeurope" });
    local.to("PUT", GROUP, "2025-04-01", &group).await.unwrap();
    let plan = format!("{GROUP}/providers/Microsoft.Web/serverfarms/theirs");
    let body = json!({
        "location": "westeurope",
        "kind": "elastic",
        "sku": { "name": "EP1", "tier": "ElasticPremium" },
        "properties": { "reserved": true },
    });
    local.to("PUT", &plan, "2025-05-01", &body).await.unwrap();
    let body = json!({
        "location": "westeurope",
        "kind": "functionapp,linux",
        "tags": { "team": "shop" },
        "properties": { "serverFarmId": plan, "reserved": true },
    });
    local.to_app(APP, "PUT", "", &body).await.unwrap();
    plan
}

#[tokio::test]
async fn an_app_keeps_its_name_and_its_plan() {
    let local = Local::start().await;
    let plan = made_by_hand(&local).await;
    let azure = cloud(&local.arm.url);
    let operate = azure.operate().unwrap();
    let found = operate.found().await.unwrap();
    let [theirs] = found.as_slice() else {
        panic!("{found:?}");
    };
    let named = theirs.azure.as_ref().and_then(|app| app.name.as_deref());
    assert_eq!(named, Some("legacy-shop"));

    let (one, two) = (asking(1, app()), asking(2, app()));
    let scope = Scope {
        called: one.content.called(),
        ..scope(&one)
    };
    let foreign = azure.observe(&scope).await.unwrap().foreign;
    assert_eq!(foreign.len(), 1, "{foreign:?}");
    let package = local.package("one");
    let refused = azure.stage(&one, &package).await.unwrap_err();
    assert!(matches!(refused, CloudError::NotOurs { .. }), "{refused}");
    let foreign: BTreeSet<String> = foreign.into_iter().collect();
    operate.adopt(&scope, &foreign).await.unwrap();
    for (release, word) in [(&one, "one"), (&two, "two")] {
        let package = local.package(word);
        azure.stage(release, &package).await.unwrap();
        azure.promote(&scope, release.digest).await.unwrap();
    }
    azure.promote(&scope, one.digest).await.unwrap();
    let observed = azure.observe(&scope).await.unwrap();
    assert!(observed.blue.holds(one.digest), "{observed:?}");
    let holding = observed.blue.holding().unwrap();
    let expected = azure.expected(&one, package.code);
    assert_eq!(diff::fields(&expected, &holding.fields), []);
    for path in ["", "/slots/green"] {
        let site = local.to_app(APP, "GET", path, &json!({})).await.unwrap();
        let stands = site["properties"]["serverFarmId"].as_str().unwrap();
        assert!(stands.eq_ignore_ascii_case(&plan), "{path}: {stands}");
    }
    let nothing = json!({});
    let ours = local.to_app("vg-test-inventory", "GET", "", &nothing).await;
    assert_eq!(ours, None, "no other app was made");

    // The store was lost, and the manifest is gone.
    let azure = cloud(&local.arm.url);
    let owned = azure.inventory().await.unwrap();
    let [
        Owned {
            service: _,
            functions: _,
            called,
            resources: _,
        },
    ] = owned.as_slice()
    else {
        panic!("{owned:?}");
    };
    let named = Called {
        azure: Some(APP.to_lowercase()),
        ..Called::default()
    };
    assert_eq!(*called, named);
    azure.prune(&scope).await.unwrap();
    let gone = local.to_app(APP, "GET", "", &json!({})).await;
    assert_eq!(gone, None);
}

/// Of another kind than the environment's.
#[tokio::test]
async fn an_app_on_a_plan_of_another_kind_is_told() {
    let local = Local::start().await;
    let group = json!({ "location": "westeurope" });
    local.to("PUT", GROUP, "2025-04-01", &group).await.unwrap();
    let body = json!({
        "location": "westeurope",
        "kind": "functionapp,linux",
        "properties": { "reserved": true },
    });
    local.to_app(APP, "PUT", "", &body).await.unwrap();
    let azure = cloud(&local.arm.url);
    let one = asking(1, app());
    let scope = Scope {
        called: one.content.called(),
        ..scope(&one)
    };
    let foreign = azure.observe(&scope).await.unwrap().foreign;
    let foreign: BTreeSet<String> = foreign.into_iter().collect();
    let operate = azure.operate().unwrap();
    operate.adopt(&scope, &foreign).await.unwrap();
    let refused = azure.stage(&one, &local.package("one")).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("on a plan of the kind `Dynamic`"),
        "{refused}"
    );
}
