//! The quotas of an account, enforced by the endpoint.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use verdigris::{
    cloud::{
        Cloud as _, CloudError,
        aws::{AccountLimits, AwsCloud, AwsOptions, Quotas},
    },
    local::lambda::{CallQuotas, each_second},
};

use crate::{
    cloud_aws::aws,
    cloud_aws_duties::Local,
    cloud_contract::{
        patient::Patient,
        release::{Fixture, reorder},
    },
};

/// Times the real quotas, so that the test ends soon; `tests/bench/limits` has them as they are.
const FASTER: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn services_that_change_at_once_never_ask_too_much() {
    let local = Local::at_once().await;
    let quick = |bucket: verdigris::local::bucket::Bucket| each_second(bucket.per_second * FASTER);
    let CallQuotas {
        get_function,
        get_policy,
        other,
    } = CallQuotas::AWS;
    local.endpoint.limit(Some(CallQuotas {
        get_function: quick(get_function),
        get_policy: quick(get_policy),
        other: quick(other),
    }));
    let real = Quotas::default();
    let quick = |calls: NonZeroU32| calls.checked_mul(NonZeroU32::new(FASTER).unwrap()).unwrap();
    let limits = AccountLimits::new(Quotas {
        get_function: quick(real.get_function),
        other: quick(real.other),
    });
    let cloud = Patient(
        AwsCloud::new(AwsOptions {
            limits: Arc::new(limits),
            ..aws(&local.endpoint.url, Duration::ZERO)
        })
        .await,
    );
    let services = (0..60).map(async |index| {
        let fixture = Fixture::new(index);
        let mut scope = fixture.scope();
        scope.functions = [reorder()].into();
        for body in ["one", "two"] {
            let made = fixture.release_of(body, &[reorder()]);
            cloud.stage(&made.release, &made.package).await?;
            cloud.promote(&scope, made.release.digest).await?;
        }
        Ok::<_, CloudError>(())
    });
    try_join_all(services).await.unwrap();
    assert_eq!(local.endpoint.refused(), 0);
    assert!(cloud.0.calls().values().sum::<u64>() > 1_000);
}

#[tokio::test]
async fn an_account_that_asks_too_much_is_told_to_wait() {
    let local = Local::at_once().await;
    local.endpoint.limit(Some(CallQuotas::AWS));
    let greedy = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let lists = (0..40).map(|_| greedy.inventory());
    let answers = futures_util::future::join_all(lists).await;
    let wait = Duration::from_secs(1);
    let told = |answer: &Result<_, CloudError>| matches!(answer, Err(CloudError::Throttled { retry_after, .. }) if *retry_after == wait);
    let throttled = answers.iter().filter(|answer| told(answer)).count();
    assert_eq!(throttled as u64, local.endpoint.refused());
    assert!(throttled > 0);
}
