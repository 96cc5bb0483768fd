//! An API in front of two apps: whoever comes by way of it meets no app that restarts, and no release that was taken back.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use verdigris::{
    cloud::{Cloud as _, azure::AzureCloud},
    local::faults::{Rule, RuleError},
    manifest::spec::AzurePlan,
    observed::SlotContent,
};

use super::{
    fronts::{APIM, front, with_management},
    local::Local,
    options,
    places::{asking, blue_fields},
    scope,
};

const A: &str = "vg-test-inventory-a";
const B: &str = "vg-test-inventory-b";
const NO_FRONT: &str = "there is no front";

fn cloud_on(local: &Local, plan: &str) -> AzureCloud {
    let mut options = options(&local.arm.url);
    options.target.plan = AzurePlan(plan.to_owned());
    options.target.shared.api_management = Some(APIM.to_owned());
    AzureCloud::new(options).unwrap()
}

/// Where the API sends its users.
async fn leads_to(local: &Local) -> Option<String> {
    let api = format!("{APIM}/apis/vg-test-inventory");
    let found = local.to("GET", &api, "2024-05-01", &Value::Null).await?;
    Some(found["properties"]["serviceUrl"].as_str()?.to_owned())
}

/// What a user is answered who comes by way of the API. Where it was turned between two looks, the user comes again.
async fn asked(local: &Local) -> String {
    loop {
        let Some(place) = leads_to(local).await else {
            return NO_FRONT.to_owned();
        };
        let answer = async {
            let answer = reqwest::get(format!("{place}/stock/42")).await?;
            answer.error_for_status()?.text().await
        };
        let told = answer.await;
        let is_same = leads_to(local).await.as_deref() == Some(place.as_str());
        match told {
            Ok(text) => return text,
            Err(error) if is_same => return error.to_string(),
            Err(_) => {}
        }
    }
}

/// What users are answered while this is done, and once after it.
async fn meanwhile(local: &Local, work: impl Future<Output = ()>) -> BTreeSet<String> {
    let done = CancellationToken::new();
    let users = async {
        let mut told = BTreeSet::new();
        while !done.is_cancelled() {
            told.insert(asked(local).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        told.insert(asked(local).await);
        told
    };
    let work = async {
        work.await;
        done.cancel();
    };
    tokio::join!(users, work).0
}

/// Whether the front was written to, and only after that the settings of the app that was blue.
fn the_old_app_comes_last(local: &Local, before: usize, old: &str) {
    let calls = local.tap.asked().split_off(before);
    let settings = format!("/sites/{old}/config/appsettings?");
    let writes = |part: &str| {
        let mut calls = calls.iter().enumerate();
        let is_it = |(_, (method, path)): &(usize, &(String, String))| {
            matches!(method.as_str(), "PUT" | "DELETE") && path.contains(part)
        };
        let first = calls.find(is_it).map(|(index, _)| index);
        let last = calls.rfind(is_it).map(|(index, _)| index);
        (first, last.or(first))
    };
    let ((_, front), (settings, _)) = (writes("/apis/"), writes(&settings));
    assert!(front.is_some() && front < settings, "{calls:#?}");
}

fn only(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[tokio::test]
async fn a_promotion_and_the_way_back_take_users_who_come_by_the_front_along() {
    let local = with_management().await;
    let cloud = cloud_on(&local, "FC1");
    let (one, two) = (asking(1, front(&[])), asking(2, front(&[])));
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    let promoted = async { cloud.promote(&scope(&one), one.digest).await.unwrap() };
    let told = meanwhile(&local, promoted).await;
    assert!(told.is_subset(&only(&[NO_FRONT, "one -"])), "{told:?}");
    assert_eq!(asked(&local).await, "one -");
    assert_eq!(
        blue_fields(&cloud, &one).await,
        cloud.expected(&one, first.code)
    );
    cloud.stage(&two, &second).await.unwrap();
    for (release, package, word, old) in [(&two, &second, "two -", B), (&one, &first, "one -", A)] {
        let before = local.tap.asked().len();
        let promoted = async { cloud.promote(&scope(&one), release.digest).await.unwrap() };
        let told = meanwhile(&local, promoted).await;
        assert!(told.is_subset(&only(&["one -", "two -"])), "{told:?}");
        assert_eq!(asked(&local).await, word);
        the_old_app_comes_last(&local, before, old);
        let expected = cloud.expected(release, package.code);
        assert_eq!(blue_fields(&cloud, release).await, expected);
    }
    let before = cloud.writing_calls();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    cloud.repair(&one, &first).await.unwrap();
    assert_eq!(cloud.writing_calls(), before, "a second pass is quiet");
}

#[tokio::test]
async fn a_first_release_that_is_taken_back_is_in_front_of_nobody() {
    for plan in ["FC1", "EP1"] {
        let local = with_management().await;
        let cloud = cloud_on(&local, plan);
        let one = asking(1, front(&[]));
        let scope = scope(&one);
        cloud.stage(&one, &local.package("one")).await.unwrap();
        cloud.promote(&scope, one.digest).await.unwrap();
        assert_eq!(asked(&local).await, "one -");
        let before = local.tap.asked().len();
        cloud.retract(&scope, one.digest).await.unwrap();
        assert_eq!(asked(&local).await, NO_FRONT, "{plan}");
        if plan == "FC1" {
            the_old_app_comes_last(&local, before, B);
        }
        let observed = cloud.observe(&scope).await.unwrap();
        assert_eq!(observed.blue, SlotContent::Empty);
        let before = cloud.writing_calls();
        cloud.retract(&scope, one.digest).await.unwrap();
        assert_eq!(cloud.writing_calls(), before, "a second pass is quiet");
        // It passes in the end.
        cloud.promote(&scope, one.digest).await.unwrap();
        assert_eq!(asked(&local).await, "one -");
    }
}

/// Fails the next call of this operation.
fn refuse(local: &Local, operation: &str) {
    let error = RuleError {
        status: 403,
        code: "Forbidden".to_owned(),
        message: None,
    };
    local.arm.faults().set(vec![Rule {
        error: Some(error),
        times: Some(1),
        ..Rule::of(operation)
    }]);
}

#[tokio::test]
async fn a_front_that_could_not_be_turned_is_turned_by_the_next_who_tries() {
    let local = with_management().await;
    let cloud = cloud_on(&local, "FC1");
    let (one, two) = (asking(1, front(&[])), asking(2, front(&[])));
    let scope = scope(&one);
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope, one.digest).await.unwrap();
    refuse(&local, "api.delete");
    cloud.retract(&scope, one.digest).await.unwrap_err();
    cloud.retract(&scope, one.digest).await.unwrap();
    assert_eq!(asked(&local).await, NO_FRONT);
    cloud.promote(&scope, one.digest).await.unwrap();

    cloud.stage(&two, &second).await.unwrap();
    refuse(&local, "api.put");
    let promoted = async {
        cloud.promote(&scope, two.digest).await.unwrap_err();
    };
    let told = meanwhile(&local, promoted).await;
    assert_eq!(told, only(&["one -"]), "the old app still serves");
    let before = local.tap.asked().len();
    cloud.promote(&scope, two.digest).await.unwrap();
    assert_eq!(asked(&local).await, "two -");
    the_old_app_comes_last(&local, before, B);

    // A repair does it, too.
    refuse(&local, "api.put");
    cloud.promote(&scope, one.digest).await.unwrap_err();
    let before = local.tap.asked().len();
    cloud.repair(&one, &first).await.unwrap();
    assert_eq!(asked(&local).await, "one -");
    the_old_app_comes_last(&local, before, A);
    let observed = cloud.observe(&scope).await.unwrap();
    let base = observed.blue.holding().unwrap().addresses.values().next();
    let place = base.unwrap().as_str().trim_end_matches('/');
    assert_eq!(leads_to(&local).await.as_deref(), Some(place));
    assert_eq!(observed.green.release(), Some(two.digest));
}

#[tokio::test]
async fn a_blue_that_is_made_again_on_the_other_app_is_what_the_front_leads_to() {
    let local = with_management().await;
    let cloud = cloud_on(&local, "FC1");
    let one = asking(1, front(&[]));
    let package = local.package("one");
    cloud.stage(&one, &package).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    local.to_app(B, "DELETE", "", &Value::Null).await.unwrap();
    cloud.repair(&one, &package).await.unwrap();
    assert_eq!(asked(&local).await, "one -");
    let expected = cloud.expected(&one, package.code);
    assert_eq!(blue_fields(&cloud, &one).await, expected);
}
