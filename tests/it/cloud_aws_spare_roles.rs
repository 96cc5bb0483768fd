//! A role that was made for what was not published in the end is not left behind.

use std::{collections::BTreeMap, time::Duration};

use verdigris::{
    cloud::{Cloud as _, CloudError, aws::AwsCloud},
    local::faults::{Rule, RuleError},
    manifest::aws::{AwsFunction, Rights},
};

use crate::{
    cloud_aws::aws,
    cloud_aws_duties::{Local, go_live},
    cloud_aws_roles::{iam, role_of},
    cloud_contract::release::{Fixture, Made, stock},
};

struct Scene {
    local: Local,
    cloud: AwsCloud,
    fixture: Fixture,
}

impl Scene {
    async fn new() -> Self {
        let local = Local::at_once().await;
        Self {
            cloud: Self::cloud(&local).await,
            fixture: Fixture::new(0),
            local,
        }
    }

    /// As after a restart: nothing is remembered.
    async fn cloud(local: &Local) -> AwsCloud {
        AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await
    }

    fn allowing(&self, body: &str, action: &str) -> Made {
        self.fixture.release_with(body, &[stock()], |_, function| {
            let rights = Rights {
                actions: [action.to_owned()].into(),
                on: ["arn:aws:dynamodb:eu-west-1:123456789012:table/orders".to_owned()].into(),
            };
            function.aws = Some(Box::new(AwsFunction {
                allow: BTreeMap::from([("orders".to_owned(), rights)]),
                ..AwsFunction::default()
            }));
        })
    }

    fn plain(&self, body: &str) -> Made {
        self.fixture.release_of(body, &[stock()])
    }

    async fn go_live(&self, made: &Made) {
        go_live(&self.cloud, &self.fixture, made).await;
    }

    /// Staging, while an operation is refused so.
    async fn staged_while(&self, operation: &str, refusal: (u16, &str), made: &Made) -> CloudError {
        let (status, code) = refusal;
        let failing = Rule {
            error: Some(RuleError {
                status,
                code: code.to_owned(),
                message: Some("made up by the test".to_owned()),
            }),
            ..Rule::of(operation)
        };
        self.local.endpoint.faults().set(vec![failing]);
        let staged = self.cloud.stage(&made.release, &made.package).await;
        self.local.endpoint.faults().set(Vec::new());
        staged.expect_err("a refusal")
    }

    /// How many roles there are below our path.
    async fn roles(&self) -> usize {
        let ours = [("PathPrefix", "/verdigris/")];
        let (status, told) = iam(&self.local.endpoint.url, "ListRoles", &ours).await;
        assert_eq!(status, 200, "{told}");
        told.matches("<RoleName>").count()
    }
}

const INVALID: (u16, &str) = (400, "InvalidParameterValueException");
const ILL: (u16, &str) = (503, "ServiceException");

#[tokio::test]
async fn a_refusal_for_good_takes_the_role_along() {
    let scene = Scene::new().await;
    let first = scene.allowing("one", "dynamodb:GetItem");
    // There is no function, then there is one with another role.
    for operation in ["CreateFunction", "UpdateFunctionConfiguration"] {
        let made = scene.allowing(operation, "dynamodb:PutItem");
        let before = scene.roles().await;
        let refused = scene.staged_while(operation, INVALID, &made).await;
        assert!(matches!(refused, CloudError::Invalid { .. }), "{refused}");
        assert_eq!(scene.roles().await, before, "{operation}");
        scene.go_live(&first).await;
        assert_eq!(scene.roles().await, 1);
    }
    // A role that versions have stays.
    let again = scene.allowing("two", "dynamodb:GetItem");
    scene
        .staged_while("UpdateFunctionConfiguration", INVALID, &again)
        .await;
    assert_eq!(scene.roles().await, 1);
    role_of(&scene.local.endpoint.url, &scene.fixture, &stock()).await;
    scene.go_live(&again).await;
}

#[tokio::test]
async fn an_attempt_that_is_made_again_finds_its_role_and_one_that_is_not_leaves_none() {
    let scene = Scene::new().await;
    scene.go_live(&scene.plain("plain")).await;
    let again = scene.allowing("again", "dynamodb:PutItem");
    for _ in 0..2 {
        let failed = scene
            .staged_while("UpdateFunctionConfiguration", ILL, &again)
            .await;
        assert!(matches!(failed, CloudError::Unreachable { .. }), "{failed}");
        assert_eq!(scene.roles().await, 1, "it will be needed");
    }
    scene.go_live(&again).await;
    assert_eq!(scene.roles().await, 1);
    let given_up = scene.allowing("given up", "dynamodb:Query");
    scene
        .staged_while("UpdateFunctionConfiguration", ILL, &given_up)
        .await;
    assert_eq!(scene.roles().await, 2);
    scene.go_live(&scene.plain("other")).await;
    assert_eq!(scene.roles().await, 1, "that of the way back");
}

/// What was asked for last may have the role, though nothing was published of it: it goes with the next release that does not.
#[tokio::test]
async fn a_role_that_was_asked_for_last_goes_once_something_else_is() {
    let scene = Scene::new().await;
    scene.go_live(&scene.plain("plain")).await;
    let half = scene.allowing("half", "dynamodb:PutItem");
    scene
        .staged_while("UpdateFunctionCode", INVALID, &half)
        .await;
    assert_eq!(scene.roles().await, 1);
    scene.go_live(&scene.plain("other")).await;
    assert_eq!(scene.roles().await, 0);
}

#[tokio::test]
async fn a_service_that_goes_leaves_no_role_whoever_made_it() {
    let mut scene = Scene::new().await;
    scene
        .go_live(&scene.allowing("one", "dynamodb:GetItem"))
        .await;
    let given_up = scene.allowing("given up", "dynamodb:Query");
    scene
        .staged_while("UpdateFunctionConfiguration", ILL, &given_up)
        .await;
    assert_eq!(scene.roles().await, 2);
    scene.cloud = Scene::cloud(&scene.local).await;
    scene.cloud.prune(&scene.fixture.scope()).await.unwrap();
    assert_eq!(scene.roles().await, 0);
}
