//! Consumption: packages are run from an address, and are sent to no app.

use std::time::Duration;

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, CloudError, azure::AzureCloud},
    manifest::spec::AzurePlan,
};

use super::{
    local::{GROUP, Local},
    options, release, scope,
    seldom::{cloud_account, drift},
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

#[tokio::test]
async fn triggers_that_could_not_be_told_of_are_told_of_until_it_worked_whoever_comes() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    let error = json!({"status": 409, "code": "Conflict", "message": "the host is starting"});
    let rule = json!({"operation": "syncfunctiontriggers", "error": error});
    let rule = serde_json::from_value(rule).unwrap();
    local.arm.faults().set(vec![rule]);
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let triggers = async |cloud: &AzureCloud| {
        let observed = cloud.observe(&scope(&one)).await.unwrap();
        observed.blue.holding().unwrap().fields["app.triggers"].clone()
    };
    assert_eq!(triggers(&cloud).await, "not told to the platform");
    // Another daemon knows of it, and does not say that it was done while it was not.
    let fresh = consumption(&local.arm.url);
    assert_eq!(triggers(&fresh).await, "not told to the platform");
    let busy = fresh.repair(&one, &package).await.unwrap_err();
    assert!(matches!(busy, CloudError::Busy { .. }), "{busy}");
    assert_eq!(triggers(&fresh).await, "not told to the platform");
    local.arm.faults().set(vec![]);
    fresh.repair(&one, &package).await.unwrap();
    let expected = fresh.expected(&one, package.code);
    let observed = fresh.observe(&scope(&one)).await.unwrap();
    assert_eq!(observed.blue.holding().unwrap().fields, expected);
    let before = fresh.writing_calls();
    fresh.repair(&one, &package).await.unwrap();
    assert_eq!(fresh.writing_calls(), before);
}

#[tokio::test]
async fn packages_that_no_slot_runs_go_and_the_way_back_stays() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let releases = [1, 2, 3].map(|version| release(version, &[]));
    let packages = ["one", "two", "three"].map(|word| local.package(word));
    let there = async || {
        let url = address(&local, "").await;
        let (container, _) = url.rsplit_once('/').unwrap();
        let list = format!("{container}?restype=container&comp=list");
        let asked = reqwest::Client::new().get(list).bearer_auth("x");
        asked.send().await.unwrap().text().await.unwrap()
    };
    let name = |index: usize| format!("{}.zip", packages[index].code.hex());
    for (release, package) in releases.iter().zip(&packages) {
        cloud.stage(release, package).await.unwrap();
        cloud
            .promote(&scope(release), release.digest)
            .await
            .unwrap();
    }
    let listed = there().await;
    let held = [0, 1, 2].map(|index| listed.contains(&name(index)));
    assert_eq!(held, [false, true, true], "{listed}");
    // A rollback needs no package sent, and a release from before is sent again.
    let scope = scope(&releases[1]);
    cloud.promote(&scope, releases[1].digest).await.unwrap();
    assert_eq!(cloud.calls()["blobs.put"], 3);
    cloud.stage(&releases[0], &packages[0]).await.unwrap();
    cloud.promote(&scope, releases[0].digest).await.unwrap();
    let listed = there().await;
    let held = [0, 1, 2].map(|index| listed.contains(&name(index)));
    assert_eq!(held, [true, true, false], "{listed}");
}

#[tokio::test]
async fn whether_a_package_is_there_must_be_known_by_who_may_look() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    let refused = |status: u16| {
        let error = json!({"status": status, "code": "Refused", "message": ""});
        let rule = json!({"operation": "blobs.list", "error": error});
        let rule = serde_json::from_value(rule).unwrap();
        local.arm.faults().set(vec![rule]);
    };
    refused(500);
    let told = cloud.stage(&one, &package).await.unwrap_err();
    assert!(matches!(told, CloudError::Unreachable { .. }), "{told}");
    refused(403);
    cloud.stage(&one, &package).await.unwrap();
}

#[tokio::test]
async fn who_may_not_look_at_old_packages_still_promotes() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let error = json!({"status": 403, "code": "AuthorizationPermissionMismatch", "message": ""});
    let rule = json!({"operation": "blobs.list", "error": error});
    let rule = serde_json::from_value(rule).unwrap();
    local.arm.faults().set(vec![rule]);
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
}

#[tokio::test]
async fn a_package_that_is_gone_is_told_and_a_repair_brings_it_back() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.target.plan = AzurePlan("Y1".to_owned());
    // It looks each time.
    options.limits.details = Duration::ZERO;
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    // Somebody deletes the account, and all that it held is gone with it.
    let account = cloud_account(&local).await;
    let gone = local.to("DELETE", &account, "2025-08-01", &Value::Null);
    gone.await.unwrap();
    let told = drift(&cloud, &one, &expected).await;
    let line = "app.package is missing (a repair puts it there again), and nobody asked for it";
    assert!(told.iter().any(|it| it == line), "{told:?}");
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(drift(&cloud, &one, &expected).await, [""; 0]);
    assert_eq!(cloud.calls()["blobs.put"], 2);
    let writes = cloud.writing_calls();
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(cloud.writing_calls(), writes, "it is quiet again");
}

#[tokio::test]
async fn a_staged_release_whose_package_is_gone_gets_it_again() {
    let local = Local::start().await;
    let cloud = consumption(&local.arm.url);
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    let own = address(&local, "/slots/green").await;
    let deleted = reqwest::Client::new().delete(&own).bearer_auth("x");
    assert_eq!(deleted.send().await.unwrap().status(), 202);
    cloud.stage(&one, &package).await.unwrap();
    assert_eq!(cloud.calls()["blobs.put"], 2);
    let before = cloud.writing_calls();
    cloud.stage(&one, &package).await.unwrap();
    assert_eq!(cloud.writing_calls(), before, "it is there");
}
