//! A plan without slots: two apps, and a pointer that says which of them is blue.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, CloudError, Package, azure::AzureCloud},
    desired::Release,
    local::faults::{Rule, RuleError},
    manifest::{
        azure::{AzureApp, Scale},
        spec::{AzurePlan, Megabytes},
    },
    name::Slot,
    observed::{Observed, SlotContent},
};

use super::{
    local::{GROUP, Local},
    options,
    places::{asking, blue_fields},
    release, scope,
    slots::{answer, observe},
};

const A: &str = "vg-test-inventory-a";
const B: &str = "vg-test-inventory-b";
const TAGS: &str = "/providers/Microsoft.Resources/tags/default";
const SWITCH: &str = "AzureWebJobs.reorder.Disabled";

pub(super) fn flex_cloud(endpoint: &str) -> AzureCloud {
    let mut options = options(endpoint);
    options.target.plan = AzurePlan("FC1".to_owned());
    AzureCloud::new(options).unwrap()
}

async fn site(local: &Local, app: &str) -> Value {
    let found = local.to_app(app, "GET", "", &Value::Null).await;
    found.unwrap_or(Value::Null)
}

async fn pointers(local: &Local) -> [Value; 2] {
    [
        site(local, A).await["tags"]["verdigris-blue"].clone(),
        site(local, B).await["tags"]["verdigris-blue"].clone(),
    ]
}

async fn point(local: &Local, app: &str, operation: &str, word: &str) {
    let tags = json!({ "verdigris-blue": word });
    let body = json!({"operation": operation, "properties": {"tags": tags}});
    local.to_app(app, "PATCH", TAGS, &body).await.unwrap();
}

async fn settings(local: &Local, app: &str) -> Value {
    let list = "/config/appsettings/list";
    let found = local.to_app(app, "POST", list, &json!({})).await;
    found.unwrap()["properties"].clone()
}

/// Which apps read the queue.
async fn readers(local: &Local) -> [bool; 2] {
    [
        settings(local, A).await[SWITCH] != "true",
        settings(local, B).await[SWITCH] != "true",
    ]
}

#[tokio::test]
async fn a_promotion_turns_a_pointer_and_the_way_back_turns_it_again() {
    let local = Local::start().await;
    let cloud = flex_cloud(&local.arm.url);
    let (one, two) = (release(1, &[]), release(2, &[]));
    let (first, second) = (local.package("one"), local.package("two"));

    cloud.stage(&one, &first).await.unwrap();
    assert_eq!(pointers(&local).await, ["a", "a"]);
    let observed = observe(&cloud, &one).await;
    assert_eq!(observed.blue, SlotContent::Empty);
    assert_eq!(answer(&observed, Slot::Green).await, "one -");
    assert!(!readers(&local).await[1], "green reads no queue");

    cloud.promote(&scope(&one), one.digest).await.unwrap();
    assert_eq!(pointers(&local).await, ["b", "b"]);
    assert!(readers(&local).await[1]);
    let observed = observe(&cloud, &one).await;
    let holding = observed.blue.holding().unwrap();
    assert_eq!(holding.fields, cloud.expected(&one, first.code));
    assert_eq!(holding.label, format!("app {B}"));
    assert_eq!(observed.resources.len(), 2);

    cloud.stage(&two, &second).await.unwrap();
    let observed = observe(&cloud, &two).await;
    assert_eq!(answer(&observed, Slot::Blue).await, "one -");
    assert_eq!(answer(&observed, Slot::Green).await, "two -");
    let before = cloud.writing_calls();
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    // The settings of either app, and the pointer on each.
    assert_eq!(cloud.writing_calls() - before, 4);
    assert_eq!(pointers(&local).await, ["a", "a"]);
    assert_eq!(readers(&local).await, [true, false]);
    assert_eq!(
        answer(&observe(&cloud, &two).await, Slot::Blue).await,
        "two -"
    );

    cloud.promote(&scope(&one), one.digest).await.unwrap();
    assert_eq!(
        answer(&observe(&cloud, &one).await, Slot::Blue).await,
        "one -"
    );
    assert_eq!(readers(&local).await, [false, true]);
    let before = cloud.writing_calls();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.repair(&one, &first).await.unwrap();
    cloud.stage(&two, &second).await.unwrap();
    assert_eq!(cloud.writing_calls(), before, "a second pass is quiet");
    assert_eq!(cloud.calls()["publish"], 2, "two packages were ever sent");
    assert_eq!(cloud.inventory().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_first_promotion_is_taken_back_and_everything_of_ours_goes() {
    let local = Local::start().await;
    let cloud = flex_cloud(&local.arm.url);
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.retract(&scope(&one), one.digest).await.unwrap();
    let observed = observe(&cloud, &one).await;
    assert_eq!(observed.blue, SlotContent::Empty);
    assert!(observed.green.holds(one.digest));
    assert!(!readers(&local).await[1]);
    cloud.retract(&scope(&one), one.digest).await.unwrap();

    cloud.prune(&scope(&one)).await.unwrap();
    cloud.prune(&scope(&one)).await.unwrap();
    assert_eq!(observe(&cloud, &one).await, Observed::default());
    let plans = format!("{GROUP}/providers/Microsoft.Web/serverfarms");
    let left = local.to("GET", &plans, "2025-05-01", &Value::Null).await;
    assert_eq!(left.unwrap()["value"], json!([]));
}

#[tokio::test]
async fn a_promotion_that_ends_half_way_is_ended_by_the_next() {
    let local = Local::start().await;
    let cloud = flex_cloud(&local.arm.url);
    let (one, two) = (release(1, &[]), release(2, &[]));
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.stage(&two, &local.package("two")).await.unwrap();
    for operation in ["appsettings.put", "tags.patch"] {
        for is_done in [false, true] {
            let fault = RuleError {
                status: 403,
                code: "Forbidden".to_owned(),
                message: None,
            };
            let once = Rule {
                times: Some(1),
                ..Rule::of(operation)
            };
            // The work is done, its reply is lost, and the call that asks again is refused.
            let lost = Rule {
                lose_reply: true,
                ..once.clone()
            };
            let refused = Rule {
                error: Some(fault),
                ..once
            };
            let lost = Some(lost).filter(|_| is_done);
            let rules = lost.into_iter().chain([refused]).collect();
            local.arm.faults().set(rules);
            half_way(&local, &cloud, (&one, &two)).await;
        }
    }
}

/// A promotion fails, and is asked for again.
async fn half_way(local: &Local, cloud: &AzureCloud, (one, two): (&Release, &Release)) {
    let told = cloud.promote(&scope(two), two.digest).await;
    assert!(told.is_err(), "nothing failed");
    local.arm.faults().clear();
    cloud.promote(&scope(two), two.digest).await.unwrap();
    let observed = observe(cloud, two).await;
    assert!(observed.blue.holds(two.digest));
    assert_eq!(pointers(local).await, ["a", "a"]);
    assert_eq!(readers(local).await, [true, false]);
    cloud.promote(&scope(one), one.digest).await.unwrap();
}

/// A release that asks for instances of a size and a number.
fn sized() -> Release {
    let scale = Some(Scale {
        most: Some(60),
        ready: Some(1),
        warm: None,
    });
    let mut one = asking(
        1,
        AzureApp {
            scale,
            ..AzureApp::default()
        },
    );
    let functions = Arc::make_mut(&mut one.content).functions.values_mut();
    functions.for_each(|function| Arc::make_mut(function).memory = Megabytes(1024));
    one.digest = one.content.digest();
    one
}

#[tokio::test]
async fn what_people_change_of_an_app_is_seen_and_repaired() {
    let local = Local::start().await;
    let cloud = flex_cloud(&local.arm.url);
    let one = sized();
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let config = site(&local, B).await["properties"]["functionAppConfig"].clone();
    let sized = &config["scaleAndConcurrency"];
    assert_eq!(
        (&sized["instanceMemoryMB"], &sized["maximumInstanceCount"]),
        (&json!(2048), &json!(60))
    );
    let expected = cloud.expected(&one, package.code);
    for (path, value, field) in [
        (
            "/scaleAndConcurrency/instanceMemoryMB",
            json!(512),
            "app.memory",
        ),
        (
            "/scaleAndConcurrency/maximumInstanceCount",
            json!(40),
            "app.scale.most",
        ),
        (
            "/scaleAndConcurrency/alwaysReady",
            json!([]),
            "app.scale.ready",
        ),
        ("/runtime/version", json!("3.9"), "app.version"),
        (
            "/deployment/storage/value",
            json!("https://x.blob.core.local/theirs"),
            "app.packages",
        ),
    ] {
        let mut edited = config.clone();
        *edited.pointer_mut(path).unwrap() = value;
        let body = json!({"properties": {"functionAppConfig": edited}});
        local.to_app(B, "PATCH", "", &body).await.unwrap();
        let found = blue_fields(&cloud, &one).await;
        assert_ne!(found.get(field), expected.get(field), "{field}");
        cloud.repair(&one, &package).await.unwrap();
        assert_eq!(blue_fields(&cloud, &one).await, expected, "{field}");
    }
}

#[tokio::test]
async fn what_people_do_to_the_pointer_is_seen_and_repaired() {
    let local = Local::start().await;
    let cloud = flex_cloud(&local.arm.url);
    let one = release(1, &[]);
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let expected = cloud.expected(&one, package.code);
    // Somebody sends users to the empty app.
    point(&local, A, "Merge", "a").await;
    assert_eq!(observe(&cloud, &one).await.blue, SlotContent::Empty);
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(blue_fields(&cloud, &one).await, expected);
    // One word is lost, and the other app still says it.
    point(&local, A, "Delete", "b").await;
    assert_eq!(blue_fields(&cloud, &one).await, expected);
    point(&local, B, "Delete", "b").await;
    let error = cloud.observe(&scope(&one)).await.unwrap_err();
    assert!(error.to_string().contains("verdigris-blue=a"), "{error}");
    assert!(matches!(error, CloudError::Denied { .. }), "{error}");
    point(&local, A, "Merge", "b").await;
    // The blue app is deleted: the other takes its place.
    local.to_app(B, "DELETE", "", &Value::Null).await.unwrap();
    assert_eq!(observe(&cloud, &one).await.blue, SlotContent::Empty);
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(blue_fields(&cloud, &one).await, expected);
    assert_eq!(cloud.calls()["publish"], 2);
}

#[tokio::test]
async fn a_package_waits_for_the_role_that_lets_it_in() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.target.plan = AzurePlan("FC1".to_owned());
    options.target.shared.roles_by_people = true;
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    let error = cloud.stage(&one, &local.package("one")).await.unwrap_err();
    assert!(matches!(error, CloudError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("after some minutes"), "{error}");
    // Once it counts, the same order does the rest.
    let given = flex_cloud(&local.arm.url);
    given.stage(&one, &local.package("one")).await.unwrap();
}

#[tokio::test]
async fn an_app_of_others_at_one_of_the_names_is_left_alone() {
    let local = Local::start().await;
    let body = json!({"location": "westeurope"});
    local.to("PUT", GROUP, "2025-04-01", &body).await.unwrap();
    let body = json!({"location": "westeurope", "tags": {"owner": "them"}, "properties": {}});
    local.to_app(B, "PUT", "", &body).await.unwrap();
    let cloud = flex_cloud(&local.arm.url);
    let one = release(1, &[]);
    let error = cloud.stage(&one, &local.package("one")).await.unwrap_err();
    assert!(matches!(error, CloudError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains(B), "{error}");
    cloud.prune(&scope(&one)).await.unwrap();
    assert_eq!(site(&local, B).await["tags"], json!({"owner": "them"}));
}

/// Fields that blue has and should not have.
async fn surplus(cloud: &AzureCloud, release: &Release, package: &Package) -> Vec<String> {
    let observed = observe(cloud, release).await;
    let expected = cloud.expected(release, package.code);
    let fields = observed.blue.holding().unwrap().fields.clone();
    let other = fields
        .into_iter()
        .filter(|(name, is)| expected.get(name) != Some(is));
    other.map(|(name, is)| format!("{name}: {is}")).collect()
}

#[tokio::test]
async fn a_package_that_went_with_its_storage_account_is_told_and_a_repair_brings_it_back() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.target.plan = AzurePlan("FC1".to_owned());
    // It looks each time.
    options.limits.details = Duration::ZERO;
    let cloud = AzureCloud::new(options).unwrap();
    let (one, two) = (release(1, &[]), release(2, &[]));
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.stage(&two, &second).await.unwrap();
    assert_eq!(surplus(&cloud, &one, &first).await, [""; 0]);
    // Somebody deletes the account, and makes it again.
    let name = &settings(&local, A).await["AzureWebJobsStorage__accountName"];
    let name = name.as_str().unwrap();
    let account = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}");
    let gone = local.to("DELETE", &account, "2025-08-01", &Value::Null);
    gone.await.unwrap();
    let told = surplus(&cloud, &one, &first).await;
    let line = "app.package: missing (a repair puts it there again)";
    assert!(told.iter().any(|it| it == line), "{told:?}");
    cloud.repair(&one, &first).await.unwrap();
    assert_eq!(surplus(&cloud, &one, &first).await, [""; 0]);
    let observed = observe(&cloud, &one).await;
    assert_eq!(answer(&observed, Slot::Blue).await, "one -");
    assert_eq!(cloud.calls()["publish"], 3);
    let writes = cloud.writing_calls();
    cloud.repair(&one, &first).await.unwrap();
    assert_eq!(cloud.writing_calls(), writes, "it is quiet again");
    // Green's is brought back by whoever stages it.
    cloud.stage(&two, &second).await.unwrap();
    assert_eq!(cloud.calls()["publish"], 4);
    assert_eq!(
        answer(&observe(&cloud, &two).await, Slot::Green).await,
        "two -"
    );
    let writes = cloud.writing_calls();
    cloud.stage(&two, &second).await.unwrap();
    assert_eq!(cloud.writing_calls(), writes, "it is there");
}
