//! Roles that functions have of their own: what they may do, and that they come and go with the releases that ask for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use insta::assert_snapshot;
use serde_json::Value;
use url::Url;
use verdigris::{
    clock::{Clock as _, SystemClock},
    cloud::{
        Cloud, CloudError,
        aws::{AwsCloud, AwsOptions},
    },
    diff::{self, FieldDrift},
    local::faults::{Rule, RuleError},
    manifest::aws::{AwsFunction, Rights},
    name::FunctionName,
};

use crate::{
    cloud_aws::{
        aws,
        duties::{Local, hand},
    },
    cloud_contract::{
        patient::Patient,
        peers,
        release::{Fixture, Made, reorder, stock},
    },
};

/// Asks IAM, and gives back the status and the XML.
pub(crate) async fn iam(
    endpoint: &Url,
    action: &str,
    parameters: &[(&str, &str)],
) -> (u16, String) {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action);
    form.append_pair("Version", "2010-05-08");
    let body = form.extend_pairs(parameters).finish();
    let scope = "Credential=123456789012/20260101/us-east-1/iam/aws4_request";
    let answer = reqwest::Client::new()
        .post(endpoint.clone())
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"),
        )
        .body(body)
        .send();
    let answer = answer.await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The policy of a role, with its lists in order.
async fn policy(endpoint: &Url, role: &str) -> Value {
    let names = [("RoleName", role), ("PolicyName", "verdigris")];
    let (status, text) = iam(endpoint, "GetRolePolicy", &names).await;
    assert_eq!(status, 200, "{text}");
    let (_, rest) = text.split_once("<PolicyDocument>").unwrap();
    let (document, _) = rest.split_once("</PolicyDocument>").unwrap();
    let document = document.replace("&quot;", "\"").replace("&#34;", "\"");
    serde_json::from_str(&document).unwrap_or_else(|_| {
        let encoded = format!("policy={document}");
        let mut pairs = url::form_urlencoded::parse(encoded.as_bytes());
        serde_json::from_str(&pairs.next().unwrap().1).unwrap()
    })
}

async fn is_there(endpoint: &Url, role: &str) -> bool {
    iam(endpoint, "GetRole", &[("RoleName", role)]).await.0 == 200
}

fn allowing(fixture: &Fixture, body: &str, action: &str) -> Made {
    fixture.release_with(body, &[stock(), reorder()], |name, function| {
        if *name == stock() {
            let rights = Rights {
                actions: [action.to_owned()].into(),
                on: ["arn:aws:dynamodb:eu-west-1:123456789012:table/orders".to_owned()].into(),
            };
            function.aws = Some(Box::new(AwsFunction {
                allow: BTreeMap::from([("orders".to_owned(), rights)]),
                tracing: Some(true),
                dead_letter: Some("arn:aws:sqs:eu-west-1:123456789012:dead".to_owned()),
                ..AwsFunction::default()
            }));
        }
    })
}

async fn cloud_at(endpoint: &Url) -> Patient<AwsCloud> {
    let options = AwsOptions {
        keep_versions: 0,
        ..aws(endpoint, Duration::ZERO)
    };
    Patient(AwsCloud::new(options).await)
}

/// The role's name at the version that an alias points at.
pub(crate) async fn role_of(endpoint: &Url, fixture: &Fixture, function: &FunctionName) -> String {
    let name = format!("prod-{}-{function}", fixture.service.service);
    let got = hand(endpoint).get_function_configuration();
    let got = got
        .function_name(name)
        .qualifier("blue")
        .send()
        .await
        .unwrap();
    let arn = got.role().unwrap().to_owned();
    arn.rsplit('/').next().unwrap().to_owned()
}

async fn go_live(cloud: &impl Cloud, fixture: &Fixture, made: &Made) {
    cloud.stage(&made.release, &made.package).await.unwrap();
    let release = made.release.digest;
    cloud.promote(&fixture.scope(), release).await.unwrap();
}

/// A role comes with the release that asks for it, is given back by a rollback, and goes when nobody uses it any more.
async fn roles_come_and_go(endpoint: &Url) {
    let cloud = cloud_at(endpoint).await;
    let fixture = Fixture::new(0);
    let read = allowing(&fixture, "one", "dynamodb:GetItem");
    let write = allowing(&fixture, "two", "dynamodb:PutItem");
    go_live(&cloud, &fixture, &read).await;
    let reader = role_of(endpoint, &fixture, &stock()).await;
    let told = policy(endpoint, &reader).await.to_string();
    assert!(told.contains("dynamodb:GetItem"), "{told}");
    assert_eq!(role_of(endpoint, &fixture, &reorder()).await, "functions");

    go_live(&cloud, &fixture, &write).await;
    let writer = role_of(endpoint, &fixture, &stock()).await;
    let told = policy(endpoint, &writer).await.to_string();
    assert!(
        told.contains("dynamodb:PutItem") && !told.contains("GetItem"),
        "{told}"
    );

    // The way back: what runs again may do what it could, and no more.
    let release = read.release.digest;
    cloud.promote(&fixture.scope(), release).await.unwrap();
    assert_eq!(role_of(endpoint, &fixture, &stock()).await, reader);
    assert!(is_there(endpoint, &reader).await);

    for (body, action) in [("three", "dynamodb:Query"), ("four", "dynamodb:Scan")] {
        go_live(&cloud, &fixture, &allowing(&fixture, body, action)).await;
    }
    assert!(
        !is_there(endpoint, &writer).await,
        "nobody goes back that far"
    );
    let last = role_of(endpoint, &fixture, &stock()).await;
    cloud.prune(&fixture.scope()).await.unwrap();
    assert!(!is_there(endpoint, &last).await);
}

#[tokio::test]
async fn roles_come_and_go_with_their_releases() {
    roles_come_and_go(&Local::at_once().await.endpoint.url).await;
}

#[tokio::test]
async fn roles_come_and_go_on_moto() {
    roles_come_and_go(&peers::moto().await.endpoint).await;
}

#[tokio::test]
async fn roles_come_and_go_on_ministack() {
    roles_come_and_go(&peers::ministack().await.endpoint).await;
}

#[tokio::test]
async fn a_role_has_the_rights_that_its_function_needs_and_no_others() {
    let local = Local::at_once().await;
    let endpoint = &local.endpoint.url;
    let cloud = cloud_at(endpoint).await;
    let fixture = Fixture::new(0);
    go_live(
        &cloud,
        &fixture,
        &allowing(&fixture, "one", "dynamodb:GetItem"),
    )
    .await;
    let role = role_of(endpoint, &fixture, &stock()).await;
    let policy = policy(endpoint, &role).await;
    let statements = policy["Statement"].as_array().unwrap().iter();
    let told = statements.map(|it| format!("{} on {}", it["Action"], it["Resource"]));
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r#"
    ["xray:PutTelemetryRecords","xray:PutTraceSegments"] on ["*"]
    ["dynamodb:GetItem"] on ["arn:aws:dynamodb:eu-west-1:123456789012:table/orders"]
    ["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"] on ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/prod-shop0-stock","arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/prod-shop0-stock:*"]
    ["secretsmanager:GetSecretValue"] on ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-db-??????"]
    ["sqs:SendMessage"] on ["arn:aws:sqs:eu-west-1:123456789012:dead"]
    "#);
}

#[tokio::test]
async fn a_role_that_is_not_ours_is_left_alone() {
    let local = Local::at_once().await;
    let endpoint = &local.endpoint.url;
    let cloud = cloud_at(endpoint).await;
    let fixture = Fixture::new(0);
    let made = allowing(&fixture, "one", "dynamodb:GetItem");
    go_live(&cloud, &fixture, &made).await;
    let role = role_of(endpoint, &fixture, &stock()).await;
    cloud.prune(&fixture.scope()).await.unwrap();
    let trust = "{}";
    let theirs = [
        ("RoleName", role.as_str()),
        ("AssumeRolePolicyDocument", trust),
    ];
    assert_eq!(iam(endpoint, "CreateRole", &theirs).await.0, 200);
    let staged = cloud.stage(&made.release, &made.package).await;
    assert!(
        matches!(staged, Err(CloudError::NotOurs { .. })),
        "{staged:?}"
    );
}

/// An operation of IAM and its parameters.
type Edit<'a> = (&'a str, &'a [(&'a str, &'a str)]);

const ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

const ANYBODY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*","Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// The ARN of a managed policy that allows everything. Our own endpoint takes any ARN and knows no policies.
async fn wide(endpoint: &Url) -> String {
    let name = [("PolicyName", "wide"), ("PolicyDocument", ALL)];
    let (_, told) = iam(endpoint, "CreatePolicy", &name).await;
    let made = told.split_once("<Arn>");
    let made = made.and_then(|(_, rest)| rest.split_once("</Arn>"));
    made.map_or("arn:aws:iam::123456789012:policy/wide", |(arn, _)| arn)
        .to_owned()
}

/// What blue's roles are otherwise than asked for.
async fn drift(cloud: &impl Cloud, fixture: &Fixture, made: &Made) -> Vec<FieldDrift> {
    let expected = cloud.expected(&made.release, made.package.code);
    let seen = cloud.observe(&fixture.scope()).await.unwrap();
    let holding = seen.blue.holding().unwrap();
    let told = diff::fields(&expected, &holding.fields).into_iter();
    // Some servers tell other fields otherwise than they were given.
    told.filter(|it| it.field.contains(".role.")).collect()
}

/// What somebody lets our role do, or no longer do, and who may be it, is seen with all that is attached, and what the manifest says is
/// given back.
async fn rights_are_given_back(endpoint: &Url) {
    let cloud = cloud_at(endpoint).await;
    let fixture = Fixture::new(0);
    let made = allowing(&fixture, "one", "dynamodb:GetItem");
    go_live(&cloud, &fixture, &made).await;
    let role = role_of(endpoint, &fixture, &stock()).await;
    let asked = policy(endpoint, &role).await;
    let drift = async || {
        let told = drift(&cloud, &fixture, &made).await.into_iter();
        told.map(|it| it.field).collect::<Vec<_>>()
    };
    assert_eq!(drift().await, [""; 0]);
    let wide = wide(endpoint).await;
    let of_role = ("RoleName", role.as_str());
    let ours = [of_role, ("PolicyName", "verdigris")];
    let more = [&ours[..], &[("PolicyDocument", ALL)]].concat();
    let theirs = [of_role, ("PolicyName", "mine"), ("PolicyDocument", ALL)];
    let attached = [of_role, ("PolicyArn", wide.as_str())];
    let trust = [of_role, ("PolicyDocument", ANYBODY)];
    let edits: [(&[Edit<'_>], &[&str]); 6] = [
        (&[("PutRolePolicy", &more)], &["stock.role.policy"]),
        (&[("DeleteRolePolicy", &ours)], &["stock.role.policy"]),
        (
            &[("DeleteRolePolicy", &ours), ("DeleteRole", &[of_role])],
            &["stock.role.policy", "stock.role.trust"],
        ),
        (&[("PutRolePolicy", &theirs)], &["stock.role.inline.mine"]),
        (
            &[("AttachRolePolicy", &attached)],
            &["stock.role.attached.wide"],
        ),
        (&[("UpdateAssumeRolePolicy", &trust)], &["stock.role.trust"]),
    ];
    for (edit, told) in edits {
        for (operation, parameters) in edit {
            let (status, text) = iam(endpoint, operation, parameters).await;
            assert_eq!(status, 200, "{operation}: {text}");
        }
        assert_eq!(drift().await, told, "{edit:?}");
        let repair = cloud.repair(&made.release, &made.package);
        repair.await.unwrap();
        assert_eq!(drift().await, [""; 0], "{edit:?}");
        assert_eq!(policy(endpoint, &role).await, asked);
    }
    // What hands put into a role and onto it goes with it.
    for (operation, parameters) in [
        ("PutRolePolicy", &theirs[..]),
        ("AttachRolePolicy", &attached),
    ] {
        assert_eq!(iam(endpoint, operation, parameters).await.0, 200);
    }
    cloud.prune(&fixture.scope()).await.unwrap();
    assert!(!is_there(endpoint, &role).await);
}

#[tokio::test]
async fn rights_that_somebody_changed_are_given_back() {
    rights_are_given_back(&Local::at_once().await.endpoint.url).await;
}

#[tokio::test]
async fn rights_that_somebody_changed_are_given_back_on_moto() {
    rights_are_given_back(&peers::moto().await.endpoint).await;
}

#[tokio::test]
async fn rights_that_somebody_changed_are_given_back_on_ministack() {
    rights_are_given_back(&peers::ministack().await.endpoint).await;
}

#[tokio::test]
async fn rights_that_somebody_added_are_told_with_who_did_it() {
    let local = Local::at_once().await;
    let endpoint = &local.endpoint.url;
    let cloud = cloud_at(endpoint).await;
    let fixture = Fixture::new(0);
    let made = allowing(&fixture, "one", "dynamodb:GetItem");
    let since = SystemClock.now().before(Duration::from_secs(60));
    go_live(&cloud, &fixture, &made).await;
    let role = role_of(endpoint, &fixture, &stock()).await;
    let of_role = ("RoleName", role.as_str());
    let attached = [of_role, ("PolicyArn", "arn:aws:iam::aws:policy/Admin")];
    let theirs = [of_role, ("PolicyName", "mine"), ("PolicyDocument", ALL)];
    let trust = [of_role, ("PolicyDocument", ANYBODY)];
    let edits: [Edit<'_>; 3] = [
        ("AttachRolePolicy", &attached),
        ("PutRolePolicy", &theirs),
        ("UpdateAssumeRolePolicy", &trust),
    ];
    for (operation, parameters) in edits {
        assert_eq!(iam(endpoint, operation, parameters).await.0, 200);
    }
    let told = drift(&cloud, &fixture, &made).await;
    let told: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert_snapshot!(told.join("\n"), @r"
    stock.role.attached.Admin is arn:aws:iam::aws:policy/Admin, and nobody asked for it
    stock.role.inline.mine is there, and nobody asked for it
    stock.role.trust is *, lambda.amazonaws.com (policy e6ff29ba963e), not lambda.amazonaws.com
    ");
    let scope = fixture.scope();
    let deeds = async || {
        let deeds = cloud.operate().unwrap().deeds(&scope, since).await;
        deeds.unwrap()
    };
    let named = deeds().await;
    let operations: BTreeSet<_> = named.iter().map(|it| it.operation.as_str()).collect();
    assert_eq!(operations, edits.map(|(operation, _)| operation).into());
    for deed in named {
        let who = "arn:aws:iam::123456789012:user/123456789012";
        assert_eq!((deed.resource.as_str(), deed.who.as_str()), (&*role, who));
    }

    // A repair that fails in the middle is made again.
    let failing = Rule {
        error: Some(RuleError {
            status: 503,
            code: "ServiceUnavailable".to_owned(),
            message: None,
        }),
        ..Rule::of("DetachRolePolicy")
    };
    local.endpoint.faults().set(vec![failing]);
    let failed = cloud.repair(&made.release, &made.package).await;
    assert!(
        matches!(failed, Err(CloudError::Unreachable { .. })),
        "{failed:?}"
    );
    local.endpoint.faults().set(Vec::new());
    let repair = cloud.repair(&made.release, &made.package);
    repair.await.unwrap();
    assert_eq!(drift(&cloud, &fixture, &made).await, []);
    // None of it was done by anybody else.
    assert_eq!(deeds().await.len(), edits.len());
}
