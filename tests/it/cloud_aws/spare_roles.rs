//! A role that was made for what was not published in the end is not left behind.

use std::{collections::BTreeMap, time::Duration};

use verdigris::{
    cloud::{Cloud as _, CloudError, aws::AwsCloud},
    local::faults::{Rule, RuleError},
    manifest::aws::{AwsFunction, Rights},
};

use crate::{
    cloud_aws::{
        aws,
        duties::{Local, go_live, hand, lambda_name},
        roles::{iam, role_of},
    },
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
const ILL: (u16, &str) = (500, "ServiceException");

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

impl Scene {
    /// Made by hand, below the service's path.
    async fn with_role(&self, role: &str, tags: &[(&str, &str)]) {
        let path = format!("/verdigris/prod/{}/", self.fixture.service.service);
        let mut asked = vec![
            ("RoleName".to_owned(), role.to_owned()),
            ("Path".to_owned(), path),
            ("AssumeRolePolicyDocument".to_owned(), "{}".to_owned()),
        ];
        for (number, (tag, value)) in (1..).zip(tags) {
            asked.push((format!("Tags.member.{number}.Key"), (*tag).to_owned()));
            asked.push((format!("Tags.member.{number}.Value"), (*value).to_owned()));
        }
        let asked: Vec<_> = asked
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let made = iam(&self.local.endpoint.url, "CreateRole", &asked).await;
        assert_eq!(made.0, 200, "{}", made.1);
    }

    async fn has(&self, role: &str) -> bool {
        let about = [("RoleName", role)];
        iam(&self.local.endpoint.url, "GetRole", &about).await.0 == 200
    }

    async fn prune(&self) {
        self.cloud.prune(&self.fixture.scope()).await.unwrap();
    }
}

#[tokio::test]
async fn of_a_service_that_goes_only_roles_go_that_are_ours_and_of_this_region() {
    let scene = Scene::new().await;
    let service = scene.fixture.service.service.to_string();
    let ours = [
        ("verdigris:owner", "verdigris"),
        ("verdigris:service", service.as_str()),
        ("verdigris:environment", "prod"),
    ];
    let here = [&ours[..], &[("verdigris:region", "eu-west-1")]].concat();
    let elsewhere = [&ours[..], &[("verdigris:region", "us-east-1")]].concat();
    for (role, tags, stays) in [
        ("here", &here[..], false),
        ("elsewhere", &elsewhere, true),
        ("of-no-region", &ours, true),
        ("somebodys", &[], true),
    ] {
        scene.with_role(role, tags).await;
        scene.prune().await;
        assert_eq!(scene.has(role).await, stays, "{role}");
    }
}

/// Somebody took our tags off, so that it is left alone, and goes on with all that it has.
#[tokio::test]
async fn a_function_that_is_left_keeps_its_roles() {
    let scene = Scene::new().await;
    for action in ["dynamodb:GetItem", "dynamodb:PutItem"] {
        scene.go_live(&scene.allowing(action, action)).await;
    }
    assert_eq!(scene.roles().await, 2, "one of the way back");
    let name = lambda_name(&scene.fixture, &stock());
    let arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
    let hand = hand(&scene.local.endpoint.url);
    let untag = hand.untag_resource().resource(arn);
    untag.tag_keys("verdigris:owner").send().await.unwrap();
    scene.prune().await;
    let left = hand.get_function().function_name(name).send().await;
    assert!(left.is_ok(), "{left:?}");
    assert_eq!(scene.roles().await, 2);
}

/// As with a policy of before roles were listed.
#[tokio::test]
async fn who_may_not_list_roles_can_still_take_a_service_away() {
    let scene = Scene::new().await;
    scene.go_live(&scene.plain("plain")).await;
    let refused = Rule {
        error: Some(RuleError {
            status: 403,
            code: "AccessDenied".to_owned(),
            message: Some(
                "User: arn:aws:iam::123456789012:user/us is not authorized to perform: iam:ListRoles on resource: \
                 arn:aws:iam::123456789012:role/verdigris/prod/ because no identity-based policy allows it"
                    .to_owned(),
            ),
        }),
        ..Rule::of("ListRoles")
    };
    scene.local.endpoint.faults().set(vec![refused]);
    scene.prune().await;
    let name = lambda_name(&scene.fixture, &stock());
    let asked = hand(&scene.local.endpoint.url).get_function();
    assert!(asked.function_name(name).send().await.is_err());
}
