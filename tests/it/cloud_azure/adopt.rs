//! A Function App that was there before us becomes a service's own.

use std::collections::BTreeSet;

use serde_json::json;
use verdigris::{
    cloud::{Cloud as _, CloudError},
    import::clouds::clouds,
    name::CloudName,
};

use super::{cloud, local::Local, release, scope};

#[tokio::test]
async fn an_app_without_our_tags_is_foreign_until_it_is_adopted_by_its_id() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[]);
    let (scope, package) = (scope(&one), local.package("one"));
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope, one.digest).await.unwrap();
    let theirs = json!({ "tags": { "team": "other" } });
    local.by_hand("PATCH", "", &theirs).await;
    let refused = cloud.stage(&one, &package).await.unwrap_err();
    assert!(matches!(refused, CloudError::NotOurs { .. }), "{refused}");
    let foreign: BTreeSet<_> = cloud
        .observe(&scope)
        .await
        .unwrap()
        .foreign
        .into_iter()
        .collect();
    assert_eq!(foreign.len(), 1);
    let operate = cloud.operate().unwrap();
    let another = BTreeSet::from(["/subscriptions/x/another".to_owned()]);
    operate.adopt(&scope, &another).await.unwrap();
    assert_eq!(
        cloud.observe(&scope).await.unwrap().foreign.len(),
        1,
        "it was not named"
    );
    operate.adopt(&scope, &foreign).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert!(observed.foreign.is_empty() && observed.blue.holds(one.digest));
    let site = local.by_hand("GET", "", &json!({})).await;
    assert_eq!(site["tags"]["team"], "other", "their tags stay");
    let taken = json!({ "tags": { "verdigris-owner": "verdigris", "verdigris-service": "other" } });
    local.by_hand("PATCH", "", &taken).await;
    let refused = operate.adopt(&scope, &foreign).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("belongs to the service `other`"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_app_that_is_not_ours_is_listed_with_its_functions_and_its_settings() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[("LOG_LEVEL", "info")]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let scope = scope(&one);
    cloud.promote(&scope, one.digest).await.unwrap();
    let operate = cloud.operate().unwrap();
    let ours = operate.found().await.unwrap();
    assert_eq!(ours.len(), 1);
    assert!(ours[0].is_ours, "{ours:?}");
    local.by_hand("PATCH", "", &json!({ "tags": {} })).await;
    let found = operate.found().await.unwrap();
    let [app] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(!app.is_ours);
    assert_eq!(app.name, "vg-test-inventory");
    assert_eq!(app.variables["LOG_LEVEL"], "info");
    let names: Vec<_> = app.functions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["reorder", "stock"], "{app:?}");
    let imported = clouds(CloudName::Azure, "shop", &found);
    assert!(imported.manifests.contains("LOG_LEVEL: info"));
    assert!(!imported.manifests.contains("WEBSITE_"));
}
