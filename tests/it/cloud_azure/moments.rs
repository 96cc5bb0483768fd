//! The Azure client in the moments between two states: a swap under way, a package on its way, a wait for approval.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use verdigris::{
    cloud::{Cloud as _, CloudError, azure::AzureCloud},
    local::{arm::ArmOptions, faults::Rule},
    observed::SlotContent,
};

use super::{cloud, local::Local, options, release, scope};

const SWAP: Duration = Duration::from_millis(1500);

async fn with_slow_swaps() -> Local {
    Local::start_with(ArmOptions {
        swap_time: SWAP,
        ..ArmOptions::default()
    })
    .await
}

fn rule(operation: &str, latency: Duration, lose_reply: bool) -> Rule {
    Rule {
        latency_ms: latency.as_millis().try_into().unwrap(),
        lose_reply,
        times: Some(1),
        ..Rule::of(operation)
    }
}

/// Asks again while the cloud is busy, and tells how often it was.
async fn until_done(act: impl AsyncFn() -> Result<(), CloudError>) -> u32 {
    let mut busy = 0;
    loop {
        match act().await {
            Ok(()) => return busy,
            Err(CloudError::Busy { .. }) => busy += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(busy < 200, "it is busy for ever");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_way_back_waits_for_a_swap_whose_reply_was_lost() {
    let local = with_slow_swaps().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = (release(1, &[]), release(2, &[]));
    let scope = scope(&one);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    cloud.promote(&scope, one.digest).await.unwrap();
    cloud.stage(&two, &local.package("two")).await.unwrap();
    let lost = rule("slotsswap", Duration::ZERO, true);
    local.arm.faults().set(vec![lost]);
    let error = cloud.promote(&scope, two.digest).await.unwrap_err();
    assert!(matches!(error, CloudError::Unreachable { .. }), "{error}");
    // Blue holds the first release still, and will not when the swap ends.
    let busy = until_done(async || cloud.promote(&scope, one.digest).await).await;
    assert!(busy > 0, "it was taken for done in the middle of a swap");
    sleep(SWAP * 2).await;
    let observed = cloud.observe(&scope).await.unwrap();
    assert!(observed.blue.holds(one.digest), "{observed:?}");
    assert!(observed.green.holds(two.digest), "{observed:?}");
}

#[tokio::test]
async fn the_way_back_from_a_first_promotion_waits_for_its_swap() {
    let local = with_slow_swaps().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[]);
    let scope = scope(&one);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let lost = rule("slotsswap", Duration::ZERO, true);
    local.arm.faults().set(vec![lost]);
    cloud.promote(&scope, one.digest).await.unwrap_err();
    let busy = until_done(async || cloud.retract(&scope, one.digest).await).await;
    assert!(busy > 0, "it was taken for done in the middle of a swap");
    sleep(SWAP * 2).await;
    let observed = cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.blue, SlotContent::Empty);
    assert!(observed.green.holds(one.digest), "{observed:?}");
}

#[tokio::test]
async fn what_was_on_green_never_answers_as_the_release_on_its_way() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let (one, two) = (release(1, &[]), release(2, &[]));
    let scope = scope(&one);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    let holding = observed.green.holding().unwrap();
    let base = holding.addresses.values().next().unwrap();
    let url = base.join("stock/42").unwrap();
    let slow = rule("zipdeploy", Duration::from_secs(2), false);
    local.arm.faults().set(vec![slow]);
    let package = local.package("two");
    let watch = async {
        let (mut answers, mut torn) = (0, 0);
        loop {
            if let Ok(answer) = reqwest::get(url.clone()).await {
                let told = answer.headers().get("x-verdigris-release");
                let is_two = told.is_some_and(|told| *told == *two.digest.to_string());
                let body = answer.text().await.unwrap_or_default();
                answers += u32::from(body.starts_with("one"));
                assert!(
                    !is_two || body.starts_with("two"),
                    "`{body}` claims to be two"
                );
                if is_two {
                    return (answers, torn);
                }
            }
            let green = cloud.observe(&scope).await.unwrap().green;
            torn += u32::from(matches!(green, SlotContent::Torn(_)));
            sleep(Duration::from_millis(20)).await;
        }
    };
    let staged = cloud.stage(&two, &package);
    let (staged, (answers, torn)) = tokio::join!(staged, watch);
    staged.unwrap();
    assert!(answers > 0 && torn > 0, "{answers} answers, {torn} looks");
}

#[tokio::test]
async fn an_answer_that_names_no_release_is_no_answer() {
    let local = Local::start().await;
    let mut options = options(&local.arm.url);
    options.limits.start = Duration::from_secs(2);
    let cloud = AzureCloud::new(options).unwrap();
    let one = release(1, &[]);
    let started = Instant::now();
    let error = cloud.stage(&one, &local.nameless_package()).await;
    let Err(CloudError::Unhealthy { message, .. }) = &error else {
        panic!("{error:?}");
    };
    assert!(message.contains("names no release"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn what_was_changed_on_green_since_it_was_staged_is_not_promoted() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let one = release(1, &[("LOG_LEVEL", "info")]);
    let scope = scope(&one);
    let package = local.package("one");
    for (name, value) in [
        ("LOG_LEVEL", "trace"),
        ("ADDED", "by hand"),
        ("AzureWebJobs.reorder.Disabled", "false"),
        ("FUNCTIONS_WORKER_RUNTIME", "python"),
    ] {
        cloud.stage(&one, &package).await.unwrap();
        local.set_on("/slots/green", name, value).await;
        let promoted = cloud.promote(&scope, one.digest).await;
        let is_refused = matches!(promoted, Err(CloudError::NotStaged { .. }));
        assert!(is_refused, "{name}: {promoted:?}");
        assert_eq!(cloud.calls().get("slotsswap"), None, "{name}");
    }
    cloud.stage(&one, &package).await.unwrap();
    local
        .set_on("/slots/green", "WEBSITE_ADDED_BY_PLATFORM", "1")
        .await;
    cloud.promote(&scope, one.digest).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    let fields = &observed.blue.holding().unwrap().fields;
    assert_eq!(*fields, cloud.expected(&one, package.code));
}
