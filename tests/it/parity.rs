//! What one of the clouds cannot do is told with the nearest that it can, by `validate` and by `plan` alike.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use insta::assert_snapshot;
use serde_json::{Value, json};
use verdigris::{
    desired::{DesiredService, Release},
    manifest::{
        aws::{Architecture, AwsFunction, Concurrency},
        azure::AzureApp,
        parity::{FEATURES, gaps},
        spec::{Environment, Functions},
    },
    name::{CloudName, FunctionName},
};

use crate::stage::{Stage, functions, version};

fn asking(aws: AwsFunction) -> Functions {
    let mut functions = functions();
    let stock: FunctionName = "stock".parse().unwrap();
    let stock = functions.get_mut(&stock).unwrap();
    Arc::make_mut(stock).aws = Some(Box::new(aws));
    functions
}

fn some() -> AwsFunction {
    AwsFunction {
        architecture: Some(Architecture::Arm64),
        concurrency: Some(Concurrency {
            reserved: Some(5),
            provisioned: None,
        }),
        ..AwsFunction::default()
    }
}

#[test]
fn only_what_is_asked_for_and_lacking_is_told() {
    let told = |functions: &Functions, clouds: &[CloudName]| {
        let gaps = gaps(functions, None, clouds).into_iter();
        gaps.map(|gap| format!("{}: {}", gap.told(), gap.nearest))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(told(&functions(), &CloudName::ALL), "");
    assert_eq!(told(&asking(some()), &[CloudName::Aws]), "");
    assert_snapshot!(told(&asking(some()), &CloudName::ALL), @"
    `aws.architecture: arm64` of stock means nothing to azure: it runs on x86_64 there: build for both, or bring code that needs no building
    `aws.concurrency.reserved` of stock means nothing to azure: `azure.scale.most` limits how far the app scales out
    ");
}

/// What asks for each feature, as it is kept: below `aws` of a function, or below `azure` of the service.
const ASKINGS: [(&str, &str); 42] = [
    ("aws.architecture: arm64", r#"{"architecture": "arm64"}"#),
    ("aws.ephemeralStorage", r#"{"ephemeralStorage": 1024}"#),
    ("aws.layers", r#"{"layers": ["arn:layer"]}"#),
    (
        "aws.vpc",
        r#"{"vpc": {"subnets": ["s"], "securityGroups": ["g"]}}"#,
    ),
    (
        "aws.fileSystem",
        r#"{"fileSystem": {"accessPoint": "a", "mount": "/mnt/a"}}"#,
    ),
    (
        "aws.concurrency.reserved",
        r#"{"concurrency": {"reserved": 1}}"#,
    ),
    (
        "aws.concurrency.provisioned",
        r#"{"concurrency": {"provisioned": 1}}"#,
    ),
    ("aws.snapStart", r#"{"snapStart": true}"#),
    ("aws.asynchronous", r#"{"asynchronous": {"retries": 1}}"#),
    ("aws.deadLetter", r#"{"deadLetter": "arn:queue"}"#),
    ("aws.tracing", r#"{"tracing": true}"#),
    ("aws.logs", r#"{"logs": {"format": "json"}}"#),
    ("aws.kmsKey", r#"{"kmsKey": "arn:key"}"#),
    ("aws.url.auth: iam", r#"{"url": {"auth": "iam"}}"#),
    (
        "aws.url.cors",
        r#"{"url": {"auth": "none", "cors": {"origins": ["*"]}}}"#,
    ),
    (
        "aws.url.stream",
        r#"{"url": {"auth": "none", "stream": true}}"#,
    ),
    (
        "aws.permissions",
        r#"{"permissions": {"a": {"principal": "*", "action": "lambda:InvokeFunction"}}}"#,
    ),
    (
        "aws.events (stream)",
        r#"{"events": {"a": {"stream": {"arn": "a"}}}}"#,
    ),
    (
        "aws.events (topic)",
        r#"{"events": {"a": {"topic": {"arn": "a"}}}}"#,
    ),
    (
        "aws.events (bucket)",
        r#"{"events": {"a": {"bucket": {"name": "a", "on": ["s3:ObjectCreated:*"]}}}}"#,
    ),
    ("aws.image", r#"{"image": "a@sha256:b"}"#),
    ("aws.role", r#"{"role": "arn:role"}"#),
    (
        "aws.allow",
        r#"{"allow": {"a": {"actions": ["s3:Get*"], "on": ["*"]}}}"#,
    ),
    ("aws.tags", r#"{"tags": {"a": "b"}}"#),
    ("aws.queue.filters", r#"{"queue": {"filters": ["{}"]}}"#),
    (
        "aws.queue.maxConcurrency",
        r#"{"queue": {"maxConcurrency": 2}}"#,
    ),
    ("azure.auth", r#"{"auth": {"tenant": "a", "client": "b"}}"#),
    ("azure.api", r#"{"api": {"path": "shop"}}"#),
    (
        "azure.api.token",
        r#"{"api": {"token": {"openid": "https://a"}}}"#,
    ),
    (
        "azure.api.addresses",
        r#"{"api": {"addresses": ["10.0.0.1"]}}"#,
    ),
    ("azure.api.headers", r#"{"api": {"headers": {"x-a": {}}}}"#),
    ("azure.cors", r#"{"cors": {"origins": ["*"]}}"#),
    ("azure.network", r#"{"network": {"subnet": "a"}}"#),
    ("azure.domains", r#"{"domains": ["shop.example.com"]}"#),
    ("azure.scale", r#"{"scale": {"most": 3}}"#),
    ("azure.sticky", r#"{"sticky": {"A": {}}}"#),
    ("azure.preview", r#"{"preview": true}"#),
    ("azure.settings", r#"{"settings": {"A": "b"}}"#),
    ("azure.host", r#"{"host": {"functionTimeout": "00:05:00"}}"#),
    ("azure.identity", r#"{"identity": "a"}"#),
    (
        "azure.roles",
        r#"{"roles": {"a": {"role": "b", "scope": "c"}}}"#,
    ),
    ("azure.tags", r#"{"tags": {"a": "b"}}"#),
];

fn askings() -> impl Iterator<Item = (&'static str, Value)> {
    ASKINGS
        .into_iter()
        .map(|(name, text)| (name, serde_json::from_str(text).unwrap()))
}

#[test]
fn every_feature_is_told_when_it_is_asked_for_and_only_then() {
    let known: BTreeSet<_> = FEATURES.iter().map(|feature| feature.name).collect();
    let asked: BTreeSet<_> = askings().map(|(name, _)| name).collect();
    assert_eq!(known, asked);
    let nothing = AzureApp::default();
    assert_eq!(gaps(&functions(), Some(&nothing), &CloudName::ALL), []);
    for (name, value) in askings() {
        let (functions, app) = match name.starts_with("aws.") {
            true => (asking(serde_json::from_value(value).unwrap()), None),
            false => (functions(), Some(serde_json::from_value(value).unwrap())),
        };
        let told: Vec<_> = gaps(&functions, app.as_ref(), &CloudName::ALL);
        let mut names: Vec<_> = told.iter().map(|gap| gap.feature).collect();
        // A rule of an API is asked for together with the API.
        names.retain(|it| *it == name || *it != "azure.api");
        assert_eq!(names, [name]);
        let feature = FEATURES.iter().find(|feature| feature.name == name);
        let only = feature.unwrap().only;
        assert_eq!(gaps(&functions, app.as_ref(), &[only]), [], "{name}");
    }
}

/// Who asks for the nearest, too, has lost nothing: of all functions, since an app is all of them.
#[test]
fn what_is_asked_of_both_clouds_is_not_told() {
    let told = |functions: &Functions, app: Value| {
        let app: AzureApp = serde_json::from_value(app).unwrap();
        let gaps = gaps(functions, Some(&app), &CloudName::ALL).into_iter();
        gaps.map(|gap| gap.feature).collect::<Vec<_>>()
    };
    let aws = |value: Value| serde_json::from_value::<AwsFunction>(value).unwrap();
    let cors = json!({"cors": {"origins": ["*"]}});
    let on_aws = json!({"url": {"auth": "none", "cors": {"origins": ["*"]}}});
    let mut some = asking(aws(on_aws.clone()));
    let (_, other) = functions().pop_first().unwrap();
    some.insert("other".parse().unwrap(), other);
    assert_eq!(told(&some, cors.clone()), ["azure.cors"]);
    let mut all = some;
    for function in all.values_mut() {
        Arc::make_mut(function).aws = Some(Box::new(aws(on_aws.clone())));
    }
    assert_eq!(told(&all, cors), Vec::<&str>::new());
    let auth = json!({"auth": {"tenant": "a", "client": "b"}});
    assert_eq!(told(&functions(), auth.clone()), ["azure.auth"]);
    let signed = asking(aws(json!({"url": {"auth": "iam"}})));
    assert_eq!(told(&signed, auth), Vec::<&str>::new());
}

#[test]
fn every_feature_stands_once_in_the_table_and_in_the_readme() {
    let names: BTreeSet<_> = FEATURES.iter().map(|feature| feature.name).collect();
    assert_eq!(names.len(), FEATURES.len());
    let readme = include_str!("../../README.md");
    let missing: Vec<_> = FEATURES
        .iter()
        .filter(|feature| {
            let row = format!(
                "| `{}` | {} | {} |",
                feature.name, feature.only, feature.nearest
            );
            !readme.contains(&row)
        })
        .map(|feature| {
            format!(
                "| `{}` | {} | {} |",
                feature.name, feature.only, feature.nearest
            )
        })
        .collect();
    assert!(
        missing.is_empty(),
        "the README lacks\n{}",
        missing.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_tells_what_validate_tells() {
    let mut stage = Stage::new().await;
    stage.pass(Duration::from_secs(1)).await;
    let plain = version("1");
    let mut release: Release = plain.release.clone();
    let content = Arc::make_mut(&mut release.content);
    content.functions = asking(some());
    let app = json!({"auth": {"tenant": "a", "client": "b"}, "scale": {"most": 3}});
    content.azure = Some(serde_json::from_value(app).unwrap());
    release.digest = release.content.digest();
    let environment: Arc<Environment> = plain.environment.clone();
    let service = DesiredService {
        release,
        environment,
        ..plain
    };
    stage.commit(&[service]).await;
    stage.pass(Duration::from_millis(50)).await;
    let plan = stage.handle.plan(&crate::stage::key()).await.unwrap();
    assert_snapshot!(plan.notes.join("\n"), @"
    `aws.architecture: arm64` of stock means nothing to azure: it runs on x86_64 there: build for both, or bring code that needs no building
    `azure.auth` of the service means nothing to aws: the addresses there stay open to everyone: ask for `aws.url.auth: iam`, check tokens in the code, or put a gateway before both clouds
    ");
}
