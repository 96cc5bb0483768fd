//! What serves the whole environment and is not there any more: told, made again where we make it, and left to people where they do.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, azure::AzureCloud},
    desired::Release,
    manifest::{azure::Insights, spec::EnvValue},
};

use super::{
    fronts::{APIM, cloud_behind, front, with_management},
    local::{GROUP, Local},
    options,
    places::asking,
    release, scope,
    seldom::{cloud_account, drift, looking},
};

async fn delete(local: &Local, id: &str, version: &str) {
    let gone = local.to("DELETE", id, version, &Value::Null).await;
    gone.unwrap();
}

/// On blue and quiet.
async fn serve(cloud: &AzureCloud, local: &Local, release: &Release) {
    let package = local.package("one");
    cloud.stage(release, &package).await.unwrap();
    let scope = scope(release);
    cloud.promote(&scope, release.digest).await.unwrap();
    let expected = cloud.expected(release, package.code);
    assert_eq!(drift(cloud, release, &expected).await, [""; 0]);
}

pub(super) fn with_secret(mut release: Release, secret: &str) -> Release {
    let secret = EnvValue::Secret(secret.to_owned());
    let content = Arc::make_mut(&mut release.content);
    content.env.insert("LOG_LEVEL".to_owned(), secret);
    release.digest = release.content.digest();
    release
}

#[tokio::test]
async fn what_we_make_is_told_where_it_is_gone_and_made_again_with_its_roles() {
    let local = Local::start().await;
    // The environment asks for Application Insights only after this.
    let before = cloud_behind(&local.arm.url);
    let cloud = looking(&local.arm.url);
    let one = release(1, &[]);
    let package = local.package("one");
    before.stage(&one, &package).await.unwrap();
    before.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    let told = drift(&cloud, &one, &expected).await;
    let insights = "environment.insights is missing (a repair makes it), and nobody asked for it";
    assert!(told.iter().any(|it| it == insights), "{told:?}");
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    let account = cloud_account(&local).await;
    let component = format!("{GROUP}/providers/Microsoft.Insights/components/vg-test");
    delete(&local, &account, "2025-08-01").await;
    let storage = "environment.storage is missing (a repair makes a new one, without what the old one held), and nobody asked for it";
    assert_eq!(drift(&cloud, &one, &expected).await, [storage]);
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    for (id, version) in [(&account, "2025-08-01"), (&component, "2020-02-02")] {
        let found = local.to("GET", id, version, &Value::Null).await.unwrap();
        assert_eq!(found["tags"]["verdigris-owner"], "verdigris", "{id}");
        assert_eq!(found["tags"]["team"], "shop", "{id}");
    }
    let writes = cloud.writing_calls();
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(cloud.writing_calls(), writes, "it is quiet again");
    assert!(
        !cloud.calls().contains_key("zipdeploy"),
        "no package was sent"
    );
}

#[tokio::test]
async fn a_vault_is_missed_where_a_service_has_secrets_and_nowhere_else() {
    let local = Local::start().await;
    local.with_secret("vg-test", "db").await;
    let cloud = looking(&local.arm.url);
    let vault = format!("{GROUP}/providers/Microsoft.KeyVault/vaults/vg-test");
    let mut ours = local
        .to("GET", &vault, "2023-07-01", &Value::Null)
        .await
        .unwrap();
    ours["tags"] =
        json!({"verdigris-owner": "verdigris", "verdigris-environment": "test", "team": "shop"});
    ours["properties"]["enableRbacAuthorization"] = json!(true);
    local.to("PUT", &vault, "2023-07-01", &ours).await.unwrap();
    let one = with_secret(release(1, &[]), "db");
    let package = local.package("one");
    serve(&cloud, &local, &one).await;
    let expected = cloud.expected(&one, package.code);
    delete(&local, &vault, "2023-07-01").await;
    assert_eq!(
        drift(&cloud, &one, &expected).await,
        [
            "environment.vault is missing (a repair brings it back with its secrets where Azure still keeps it, and else makes an empty one), and nobody asked for it"
        ]
    );
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    let secret = format!("{vault}/secrets/db");
    let back = local.to("GET", &secret, "2023-07-01", &Value::Null).await;
    assert!(back.is_some(), "its secrets came back");
}

#[tokio::test]
async fn a_gateway_that_is_missing_is_told_and_only_people_can_help() {
    let local = with_management().await;
    let one = asking(1, front(&["203.0.113.7"]));
    let package = local.package("one");
    let cloud = cloud_behind(&local.arm.url);
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let gone = APIM.replace("/service/shop", "/service/gone");
    let mut options = options(&local.arm.url);
    options.limits.details = Duration::ZERO;
    options.target.shared.api_management = Some(gone.clone());
    let cloud = AzureCloud::new(options).unwrap();
    let expected = cloud.expected(&one, package.code);
    let told = drift(&cloud, &one, &expected).await;
    let help = "make it, or name another one by `apiManagement` of the environment's `azure`";
    let line = format!("environment.apiManagement is missing ({help}), and nobody asked for it");
    assert!(told.contains(&line), "{told:?}");
    let refused = cloud.repair(&one, &package).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("azure refused `{gone}`: it is missing: {help}")
    );
}

#[tokio::test]
async fn a_component_of_people_that_is_missing_is_told_and_only_they_can_help() {
    let local = Local::start().await;
    let one = release(1, &[]);
    let package = local.package("one");
    let cloud = cloud_behind(&local.arm.url);
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let gone = format!("{GROUP}/providers/Microsoft.Insights/components/gone");
    let mut options = options(&local.arm.url);
    options.limits.details = Duration::ZERO;
    options.target.shared.insights = Some(Insights::Component(gone.clone()));
    let cloud = AzureCloud::new(options).unwrap();
    let expected = cloud.expected(&one, package.code);
    let help = "make it, or write `workspace` into `insights` of the environment's `azure` to have one made";
    assert_eq!(
        drift(&cloud, &one, &expected).await,
        [format!(
            "environment.insights is missing ({help}), and nobody asked for it"
        )]
    );
    let refused = cloud.repair(&one, &package).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("azure refused `{gone}`: it is missing: {help}")
    );
    assert_eq!(cloud.writing_calls(), 0, "nothing is tried in vain");
}
