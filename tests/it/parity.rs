//! What one of the clouds cannot do is told with the nearest that it can, by `validate` and by `plan` alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use insta::assert_snapshot;
use verdigris::{
    desired::{DesiredService, Release},
    manifest::{
        aws::{Architecture, AwsFunction, Concurrency},
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
    let told = |functions: &BTreeMap<_, _>, clouds: &[CloudName]| {
        let gaps = gaps(functions, clouds).into_iter();
        gaps.map(|gap| format!("{}: {}", gap.told(), gap.nearest))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(told(&functions(), &CloudName::ALL), "");
    assert_eq!(told(&asking(some()), &[CloudName::Aws]), "");
    assert_snapshot!(told(&asking(some()), &CloudName::ALL), @"
    `aws.architecture: arm64` of stock means nothing to azure: it runs on x86_64 there: build for both, or bring code that needs no building
    `aws.concurrency.reserved` of stock means nothing to azure: limit how far the Function App scales out
    ");
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
    Arc::make_mut(&mut release.content).functions = asking(some());
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
    `aws.concurrency.reserved` of stock means nothing to azure: limit how far the Function App scales out
    ");
}
