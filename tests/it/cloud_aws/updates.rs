//! Changes that Lambda takes in and fails at: they are told, and stop nothing that comes after them.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use verdigris::{
    cloud::{Cloud as _, CloudError, aws::AwsCloud},
    local::faults::{Failure, Rule},
    manifest::aws::{Architecture, AwsFunction, Concurrency},
    name::Slot,
};

use crate::{
    cloud_aws::{
        aws,
        duties::{Local, fields, go_live},
    },
    cloud_contract::{
        patient::Patient,
        release::{Fixture, Made, reorder},
    },
};
/// A function of its own, and all that acts on it.
struct Scene {
    local: Local,
    cloud: Patient<AwsCloud>,
    fixture: Fixture,
}

impl Scene {
    async fn new() -> Self {
        let local = Local::start().await;
        Self {
            cloud: Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await),
            fixture: Fixture::new(0),
            local,
        }
    }

    fn release(&self, body: &str) -> Made {
        self.fixture.release(body)
    }

    /// The next call of that operation is taken in and fails.
    fn fail(&self, operation: &str, code: &str) {
        self.local.endpoint.faults().set(vec![Rule {
            fails_later: Some(Failure {
                code: code.to_owned(),
                message: "it could not be done.".to_owned(),
            }),
            times: Some(1),
            ..Rule::of(operation)
        }]);
    }

    async fn stage(&self, made: &Made) -> Result<(), CloudError> {
        self.cloud.stage(&made.release, &made.package).await
    }

    async fn assert_goes_live(&self, made: &Made) {
        go_live(&self.cloud, &self.fixture, made).await;
        let expected = self.cloud.expected(&made.release, made.package.code);
        assert_eq!(
            fields(&self.cloud, &self.fixture, Slot::Blue).await,
            expected
        );
    }
}

#[tokio::test]
async fn a_change_that_failed_does_not_stop_the_next() {
    for operation in ["UpdateFunctionConfiguration", "UpdateFunctionCode"] {
        let scene = Scene::new().await;
        let (one, two, three) = (
            scene.release("one"),
            scene.release("two"),
            scene.release("three"),
        );
        scene.assert_goes_live(&one).await;
        for (made, is_told) in [(&two, true), (&three, false)] {
            scene.fail(operation, "DisabledKMSKey");
            let failed = scene.stage(made).await;
            assert!(
                matches!(failed, Err(CloudError::Denied { .. })),
                "{operation}: {failed:?}"
            );
            assert!(scene.local.endpoint.faults().list()[0].times == Some(0));
            // The same again, after the person did what was advised; and another commit instead.
            if is_told {
                scene.assert_goes_live(made).await;
            }
        }
        let four = scene.release("four");
        scene.assert_goes_live(&four).await;
    }
}

#[tokio::test]
async fn a_function_that_could_not_be_made_is_made_by_the_next_attempt() {
    let scene = Scene::new().await;
    let one = scene.release("one");
    scene.fail("CreateFunction", "SubnetOutOfIPAddresses");
    let failed = scene.stage(&one).await;
    assert!(
        matches!(failed, Err(CloudError::Denied { .. })),
        "{failed:?}"
    );
    scene.assert_goes_live(&one).await;
}

/// Nothing of it was there, whatever is shown: all of it is asked for again.
#[tokio::test]
async fn what_a_failed_change_shows_is_sent_again() {
    let scene = Scene::new().await;
    let plain = scene.release("plain");
    scene.assert_goes_live(&plain).await;
    let key = "arn:aws:kms:eu-west-1:123456789012:key/abc";
    let locked = scene
        .fixture
        .release_with("locked", &[reorder()], |_, function| {
            function.aws = Some(Box::new(AwsFunction {
                kms_key: Some(key.to_owned()),
                ..AwsFunction::default()
            }));
        });
    scene.fail("UpdateFunctionConfiguration", "KMSKeyNotFound");
    assert!(scene.stage(&locked).await.is_err());
    let before = scene.cloud.0.calls();
    scene.stage(&locked).await.unwrap();
    let after = scene.cloud.0.calls();
    let sent = |operation: &str| after[operation] - before[operation];
    assert_eq!(sent("UpdateFunctionConfiguration"), 1);
    let told = scene.local.endpoint.faults().calls();
    assert!(told["UpdateFunctionCode"] > 0, "{}", json!(told));
}

/// Every state that a person can do something about says what.
#[tokio::test]
async fn a_state_says_what_helps() {
    let scene = Scene::new().await;
    let codes = [
        "EniLimitExceeded",
        "SubnetOutOfIPAddresses",
        "InsufficientRolePermissions",
        "ImageAccessDenied",
        "KMSKeyAccessDenied",
        "KMSKeyNotFound",
        "DisabledKMSKey",
        "InvalidStateKMSKey",
        "EFSMountConnectivityError",
        "EFSMountFailure",
        "EFSMountTimeout",
        "InvalidRuntime",
    ];
    let mut told = Vec::new();
    for code in codes {
        scene.fail("CreateFunction", code);
        let fixture = Fixture::new(told.len());
        let made = fixture.release_of(code, &[reorder()]);
        let failed = scene.stage(&made).await.unwrap_err();
        told.push(format!("{}: {failed}", failed.reason()));
    }
    assert_snapshot!(told.join("\n"), @r"
    AccessDenied: aws refused to start function `prod-shop0-reorder`: EniLimitExceeded: it could not be done; the network has no interface left: ask AWS for more, or share subnets and security groups between functions
    AccessDenied: aws refused to start function `prod-shop1-reorder`: SubnetOutOfIPAddresses: it could not be done; a subnet has no address left: name another one, or a larger one
    AccessDenied: aws refused to start function `prod-shop2-reorder`: InsufficientRolePermissions: it could not be done; give the role of the function the permission that the message names
    AccessDenied: aws refused to start function `prod-shop3-reorder`: ImageAccessDenied: it could not be done; let lambda.amazonaws.com read the repository, by its policy
    AccessDenied: aws refused to start function `prod-shop4-reorder`: KMSKeyAccessDenied: it could not be done; the KMS key must be enabled, and the role of the function and the daemon must be let use it (`deploy/aws-policy-extras.json`)
    AccessDenied: aws refused to start function `prod-shop5-reorder`: KMSKeyNotFound: it could not be done; the KMS key must be enabled, and the role of the function and the daemon must be let use it (`deploy/aws-policy-extras.json`)
    AccessDenied: aws refused to start function `prod-shop6-reorder`: DisabledKMSKey: it could not be done; the KMS key must be enabled, and the role of the function and the daemon must be let use it (`deploy/aws-policy-extras.json`)
    AccessDenied: aws refused to start function `prod-shop7-reorder`: InvalidStateKMSKey: it could not be done; the KMS key must be enabled, and the role of the function and the daemon must be let use it (`deploy/aws-policy-extras.json`)
    AccessDenied: aws refused to start function `prod-shop8-reorder`: EFSMountConnectivityError: it could not be done; the function must reach a mount target of the file system: its subnets and security groups must let it, over port 2049
    AccessDenied: aws refused to start function `prod-shop9-reorder`: EFSMountFailure: it could not be done; the function must reach a mount target of the file system: its subnets and security groups must let it, over port 2049
    AccessDenied: aws refused to start function `prod-shop10-reorder`: EFSMountTimeout: it could not be done; the function must reach a mount target of the file system: its subnets and security groups must let it, over port 2049
    HealthCheckFailed: release does not start on aws: function `prod-shop11-reorder`: it could not be done.
    ");
}

/// AWS takes it in, and gives it up later: only its status tells.
#[tokio::test]
async fn what_cannot_be_kept_warm_is_told_and_asked_for_again() {
    let scene = Scene::new().await;
    let warm = scene
        .fixture
        .release_with("warm", &[reorder()], |_, function| {
            function.aws = Some(Box::new(AwsFunction {
                concurrency: Some(Concurrency {
                    reserved: None,
                    provisioned: Some(2),
                }),
                ..AwsFunction::default()
            }));
        });
    scene.fail("PutProvisionedConcurrencyConfig", "");
    go_live(&scene.cloud, &scene.fixture, &warm).await;
    let path = "reorder.concurrency.provisioned";
    let failed =
        "failed (it could not be done): keep less warm, or see in its logs why it does not start";
    // It is in progress for a while.
    while fields(&scene.cloud, &scene.fixture, Slot::Blue).await[path] != failed {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let repair = scene.cloud.repair(&warm.release, &warm.package);
    repair.await.unwrap();
    let expected = scene.cloud.expected(&warm.release, warm.package.code);
    assert_eq!(
        fields(&scene.cloud, &scene.fixture, Slot::Blue).await,
        expected
    );
}

/// The same package, made for another processor, is sent again: only the call that brings code tells Lambda for which.
#[tokio::test]
async fn another_architecture_alone_is_applied() {
    let scene = Scene::new().await;
    let on = |architecture: Architecture| {
        scene
            .fixture
            .release_with("same", &[reorder()], |_, function| {
                function.aws = Some(Box::new(AwsFunction {
                    architecture: Some(architecture),
                    ..AwsFunction::default()
                }));
            })
    };
    for architecture in [Architecture::X86, Architecture::Arm64, Architecture::X86] {
        scene.assert_goes_live(&on(architecture)).await;
    }
}
