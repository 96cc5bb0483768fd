//! The quotas of an account, enforced by the endpoint.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use insta::assert_snapshot;
use tokio::time::Instant;
use verdigris::{
    cloud::{
        Cloud as _, CloudError,
        aws::{AccountLimits, AwsCloud, AwsOptions, Quotas},
    },
    local::{
        faults::{Rule, RuleError},
        lambda::{CallQuotas, each_second},
    },
    name::Slot,
    observed::talk::{Input, Invocation},
};

use crate::{
    cloud_aws::{aws, duties::Local},
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

/// Every other call of the same bucket waits as long as the one that was refused; those of another bucket do not have to.
#[tokio::test]
async fn a_refusal_quiets_the_whole_bucket_of_the_account() {
    let local = Local::at_once().await;
    let limits = Arc::new(AccountLimits::new(Quotas {
        get_function: NonZeroU32::new(1_000).unwrap(),
        other: NonZeroU32::new(1_000).unwrap(),
    }));
    let shared = async || {
        let options = AwsOptions {
            limits: Arc::clone(&limits),
            ..aws(&local.endpoint.url, Duration::ZERO)
        };
        AwsCloud::new(options).await
    };
    let (one, other) = (shared().await, shared().await);
    local.endpoint.faults().set(vec![Rule {
        throttle: true,
        times: Some(1),
        ..Rule::of("ListFunctions")
    }]);
    let start = Instant::now();
    let refused = one.inventory().await.unwrap_err();
    assert!(
        matches!(refused, CloudError::Throttled { .. }),
        "{refused:?}"
    );
    other.inventory().await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(other.calls()["ListFunctions"], 1);
}

/// Whether it was done is not known, and twice may be wrong.
#[tokio::test]
async fn a_call_whose_answer_is_lost_is_not_sent_again() {
    let local = Local::at_once().await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let fixture = Fixture::new(0);
    let made = fixture.release_of("one", &[reorder()]);
    cloud.stage(&made.release, &made.package).await.unwrap();
    local.endpoint.faults().set(vec![Rule {
        lose_reply: true,
        ..Rule::of("Invoke")
    }]);
    let call = call_of(&fixture);
    let lost = cloud.operate().unwrap().invoke(&call).await.unwrap_err();
    assert!(matches!(lost, CloudError::Unreachable { .. }), "{lost:?}");
    assert_eq!(local.endpoint.faults().calls()["Invoke"], 1);
}

fn call_of(fixture: &Fixture) -> Invocation {
    Invocation {
        called: Default::default(),
        service: fixture.service.clone(),
        function: reorder(),
        slot: Slot::Green,
        input: Input::Message("hello".to_owned()),
    }
}

/// Lambda refuses calls so, and nothing else.
#[tokio::test]
async fn a_call_that_finds_no_interface_says_what_helps() {
    let local = Local::at_once().await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let fixture = Fixture::new(0);
    let made = fixture.release_of("one", &[reorder()]);
    cloud.stage(&made.release, &made.package).await.unwrap();
    let mut told = Vec::new();
    for (code, message) in [
        ("ENILimitReachedException", "no interface"),
        ("EC2ThrottledException", "slow"),
    ] {
        local.endpoint.faults().set(vec![Rule {
            error: Some(RuleError {
                status: 502,
                code: code.to_owned(),
                message: Some(message.to_owned()),
            }),
            ..Rule::of("Invoke")
        }]);
        let refused = cloud.operate().unwrap().invoke(&call_of(&fixture)).await;
        told.push(refused.unwrap_err().to_string());
    }
    assert_snapshot!(told.join("\n"), @r"
    aws refused Invoke of `prod-shop0-reorder`: ENILimitReachedException: no interface; the network has no interface left: ask AWS for more, or share subnets and security groups between functions
    aws is busy with `prod-shop0-reorder`: EC2ThrottledException: slow
    ");
}

/// Status, code and message, as AWS words them.
const REFUSALS: [(u16, &str, &str); 8] = [
    (
        400,
        "CodeStorageExceededException",
        "Code storage limit exceeded.",
    ),
    (
        400,
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    (
        400,
        "InvalidParameterValueException",
        "Unzipped size must be smaller than 262144000 bytes",
    ),
    (
        400,
        "InvalidParameterValueException",
        "Your request has been throttled by EC2, please make sure you have enough API rate limit.",
    ),
    (
        403,
        "AccessDeniedException",
        "User: arn:aws:iam::1:user/v is not authorized to perform: lambda:GetLayerVersion on resource: x",
    ),
    (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    (
        400,
        "ValidationException",
        "Value '4096' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 3008",
    ),
    (429, "TooManyRequestsException", "Rate exceeded"),
];

/// What is used up, and what nobody may: as AWS words it, and what people are told.
#[tokio::test]
async fn a_refusal_says_what_helps() {
    let local = Local::at_once().await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let mut told = Vec::new();
    for (index, (status, code, message)) in REFUSALS.into_iter().enumerate() {
        local.endpoint.faults().set(vec![Rule {
            error: Some(RuleError {
                status,
                code: code.to_owned(),
                message: Some(message.to_owned()),
            }),
            ..Rule::of("CreateFunction")
        }]);
        let fixture = Fixture::new(index);
        let made = fixture.release_of("one", &[reorder()]);
        let refused = cloud.stage(&made.release, &made.package).await;
        let refused = refused.unwrap_err();
        told.push(format!("{}: {refused}", refused.reason()));
    }
    assert_snapshot!(told.join("\n"), @r"
    AccessDenied: aws refused CreateFunction of `prod-shop0-reorder`: CodeStorageExceededException: Code storage limit exceeded; the account's code storage is full: delete old versions of functions that are not Verdigris's (of its own it keeps the newest few, `clouds.aws.keepVersions`, and those in use), or ask AWS for more
    AccessDenied: aws refused CreateFunction of `prod-shop1-reorder`: InvalidParameterValueException: The role defined for the function cannot be assumed by Lambda; let lambda.amazonaws.com assume the role; a new role takes a few seconds
    UnsupportedSpec: aws does not accept CreateFunction of `prod-shop2-reorder`: InvalidParameterValueException: Unzipped size must be smaller than 262144000 bytes; leave files out of the package, or run an image
    Busy: aws is busy with `prod-shop3-reorder`: InvalidParameterValueException: Your request has been throttled by EC2, please make sure you have enough API rate limit.
    AccessDenied: aws refused CreateFunction of `prod-shop4-reorder`: AccessDeniedException: User: arn:aws:iam::1:user/v is not authorized to perform: lambda:GetLayerVersion on resource: x; let the daemon do `lambda:GetLayerVersion`: `deploy/aws-policy-extras.json` has it
    AccessDenied: aws refused CreateFunction of `prod-shop5-reorder`: UnrecognizedClientException: The security token included in the request is invalid; AWS does not know the access key: give the daemon another one, or another profile or role
    AccessDenied: aws refused CreateFunction of `prod-shop6-reorder`: ValidationException: Value '4096' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 3008; new accounts get 3008 MB for a function: ask AWS for more, or ask for less memory
    Throttled: aws asked us to slow down for 1s
    ");
}
