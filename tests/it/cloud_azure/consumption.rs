//! Consumption: packages are run from an address, and are sent to no app.

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, CloudError, azure::AzureCloud},
    manifest::spec::AzurePlan,
};

use super::{
    local::{GROUP, Local},
    options, release, scope,
};

const APP: &str = "vg-test-inventory";

pub(super) fn consumption(endpoint: &str) -> AzureCloud {
    let mut options = options(endpoint);
    options.target.plan = AzurePlan("Y1".to_owned());
    AzureCloud::new(options).unwrap()
}

async fn settings(local: &Local, slot: &str) -> Value {
    let list = format!("{slot}/config/appsettings/list");
    let found = local.to_app(APP, "POST", &list, &json!({})).await;
    found.unwrap()["properties"].clone()
}

/// The address of the package that a slot runs.
async fn address(local: &Local, slot: &str) -> String {
    let all = settings(local, slot).await;
    all["WEBSITE_RUN_FROM_PACKAGE"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_package_is_put_into_the_storage_account_and_its_address_moves_with_the_code() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let (one, two) = (release(1, &[]), release(2, &[]));
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.stage(&two, &second).await.unwrap();
    let name = |code: verdigris::name::CodeDigest| format!("/{APP}/{}.zip", code.hex());
    assert!(address(&local, "").await.ends_with(&name(first.code)));
    let green = address(&local, "/slots/green").await;
    assert!(green.ends_with(&name(second.code)), "{green}");
    assert!(green.starts_with(local.arm.url.trim_end_matches('/')));

    cloud.promote(&scope(&two), two.digest).await.unwrap();
    assert!(address(&local, "").await.ends_with(&name(second.code)));
    let observed = cloud.observe(&scope(&two)).await.unwrap();
    let holding = observed.blue.holding().unwrap();
    assert_eq!(holding.fields, cloud.expected(&two, second.code));
    let calls = cloud.calls();
    assert_eq!((calls.get("zipdeploy"), calls["blobs.put"]), (None, 2));
    assert_eq!(calls["syncfunctiontriggers"], 4, "each slot, each time");

    let before = cloud.writing_calls();
    cloud.stage(&one, &first).await.unwrap();
    assert_eq!(cloud.writing_calls(), before, "green has it still");
}

#[tokio::test]
async fn another_package_on_blue_is_seen_and_the_right_one_comes_back_without_being_sent() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    let own = address(&local, "").await;
    let package_is = "WEBSITE_RUN_FROM_PACKAGE";
    let read_by = "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID";
    for (name, value) in [
        (package_is, own.replace(".zip", "-other.zip")),
        // The same container and name, of somebody else.
        (package_is, own.replace("127.0.0.1", "localhost")),
        (read_by, "/subscriptions/theirs".to_owned()),
    ] {
        local.set_on_blue(name, &value).await;
        // Whoever starts anew sees it, too.
        let anew = consumption(&local.arm.url);
        for cloud in [&anew, &cloud] {
            let observed = cloud.observe(&scope(&one)).await.unwrap();
            let fields = &observed.blue.holding().unwrap().fields;
            assert_ne!(*fields, expected, "{name}: {value}");
        }
        cloud.repair(&one, &package).await.unwrap();
        let observed = cloud.observe(&scope(&one)).await.unwrap();
        assert_eq!(observed.blue.holding().unwrap().fields, expected);
    }
    assert_eq!(cloud.calls()["blobs.put"], 1);
}

#[tokio::test]
async fn a_release_whose_package_is_elsewhere_by_now_is_not_promoted() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let own = address(&local, "/slots/green").await;
    let theirs = own.replace("127.0.0.1", "localhost");
    let name = "WEBSITE_RUN_FROM_PACKAGE";
    local.set_on("/slots/green", name, &theirs).await;
    let refused = cloud.promote(&scope(&one), one.digest).await.unwrap_err();
    assert!(matches!(refused, CloudError::NotStaged { .. }), "{refused}");
}

#[tokio::test]
async fn who_may_not_write_there_is_told_which_role_is_missing() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let error = json!({"status": 403, "code": "AuthorizationPermissionMismatch", "message": ""});
    let rule = json!({"operation": "blobs.put", "error": error, "times": 1});
    local
        .arm
        .faults()
        .set(vec![serde_json::from_value(rule).unwrap()]);
    let one = release(1, &[]);
    let refused = cloud.stage(&one, &local.package("one")).await.unwrap_err();
    assert!(matches!(refused, CloudError::Denied { .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("AuthorizationPermissionMismatch"), "{told}");
    assert!(told.contains("`Storage Blob Data Contributor`"), "{told}");
    cloud.stage(&one, &local.package("one")).await.unwrap();
}

#[tokio::test]
async fn a_deleted_service_takes_its_packages_with_it() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let all = settings(&local, "").await;
    let account = all["AzureWebJobsStorage__accountName"].as_str().unwrap();
    let account = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{account}");
    let container = format!("{account}/blobServices/default/containers/{APP}");
    let there = async || {
        let found = local.to("GET", &container, "2025-08-01", &Value::Null);
        found.await.is_some()
    };
    assert!(there().await);
    cloud.prune(&scope(&one)).await.unwrap();
    assert!(!there().await);
    cloud.prune(&scope(&one)).await.unwrap();
}
