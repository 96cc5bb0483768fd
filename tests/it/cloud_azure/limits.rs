//! What the subscription's buckets hold, learned from the endpoint's answers.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::future::{Either, join_all, select};
use serde_json::json;
use tokio::time::Instant;
use verdigris::{
    cloud::{
        Cloud as _, CloudError,
        azure::{AzureCloud, AzureLimiter, AzureOptions, AzureRates},
    },
    local::{
        arm::{ArmOptions, RateLimits},
        bucket::Bucket,
        faults::Rule,
    },
    name::ServiceName,
};

use super::{SUBSCRIPTION, TOKEN, cloud, local::Local, options, release, scope};

/// Others have left a few calls only, which the answers tell; we alone would have sent 200 at once.
#[tokio::test]
async fn who_is_told_how_few_calls_are_left_never_asks_for_more() {
    let local = Local::start_with(ArmOptions::default()).await;
    let few = Bucket {
        capacity: 10,
        per_second: 30,
    };
    local.arm.limit(Some(RateLimits {
        reads: few,
        ..RateLimits::AZURE
    }));
    let cloud = cloud(&local.arm.url);
    let group = format!(
        "{}/subscriptions/{SUBSCRIPTION}/resourceGroups/shop?api-version=2025-04-01",
        local.arm.url
    );
    let made = reqwest::Client::new().put(group).bearer_auth(TOKEN);
    let made = made.json(&json!({"location": "westeurope"})).send().await;
    assert!(made.unwrap().status().is_success());
    for _ in 0..80 {
        cloud.inventory().await.unwrap();
    }
    assert_eq!(local.arm.refused(), 0);
    assert!(cloud.calls()["sites.list"] >= 80);
}

/// Whoever else reads the same subscription waits, too; and who writes does not.
#[tokio::test]
async fn a_refusal_quiets_the_whole_class_of_the_subscription() {
    let local = Local::start_with(ArmOptions::default()).await;
    let plenty = NonZeroU32::new(1_000).unwrap();
    let limiter = Arc::new(AzureLimiter::new(AzureRates {
        reads_per_second: plenty,
        reads_at_once: plenty,
        writes_per_second: plenty,
        writes_at_once: plenty,
    }));
    let shared = || {
        AzureCloud::new(AzureOptions {
            limiter: Arc::clone(&limiter),
            ..options(&local.arm.url)
        })
        .unwrap()
    };
    let (one, other) = (shared(), shared());
    let release = release(1, &[]);
    other.observe(&scope(&release)).await.unwrap();
    local.arm.faults().set(vec![Rule {
        throttle: true,
        times: Some(1),
        ..Rule::of("sites.list")
    }]);
    let start = Instant::now();
    let refused = one.inventory().await.unwrap_err();
    assert!(
        matches!(refused, CloudError::Throttled { .. }),
        "{refused:?}"
    );
    other.observe(&scope(&release)).await.unwrap();
    // The endpoint says one second.
    assert!(start.elapsed() >= Duration::from_secs(1));
}

/// Turns go to who comes first: thousands who look around must not come before one who has something to do.
#[tokio::test]
async fn who_has_something_to_do_does_not_wait_behind_a_sweep() {
    let local = Local::start_with(ArmOptions::default()).await;
    let plenty = NonZeroU32::new(1_000).unwrap();
    let rates = AzureRates {
        reads_per_second: NonZeroU32::new(50).unwrap(),
        reads_at_once: NonZeroU32::MIN,
        writes_per_second: plenty,
        writes_at_once: plenty,
    };
    let cloud = AzureCloud::new(AzureOptions {
        limiter: Arc::new(AzureLimiter::new(rates)),
        ..options(&local.arm.url)
    })
    .unwrap();
    let release = release(1, &[]);
    let mut scopes = vec![scope(&release); 3_000];
    for (index, scope) in scopes.iter_mut().enumerate() {
        scope.service.service = ServiceName::new(format!("service-{index}")).unwrap();
    }
    // One reading call each, since none is there: a minute.
    let sweep = join_all(scopes.iter().map(async |scope| cloud.observe(scope).await));
    let package = local.package("one");
    let first = select(Box::pin(sweep), Box::pin(cloud.stage(&release, &package))).await;
    let Either::Right((staged, _)) = first else {
        panic!("the sweep came first");
    };
    staged.unwrap();
}
