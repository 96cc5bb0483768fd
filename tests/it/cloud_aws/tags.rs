//! What we make says that it is ours, and log groups that others made stay as they want them.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use verdigris::{
    cloud::{Cloud as _, aws::AwsCloud},
    local::faults::Rule,
    manifest::aws::{AwsFunction, Logs},
    name::Slot,
};

use crate::{
    cloud_aws::{
        aws,
        duties::{Local, fields, full, go_live, hand, lambda_name},
    },
    cloud_contract::{
        patient::Patient,
        release::{Fixture, Made, reorder, stock},
    },
};

const GROUP: &str = "/shop/stock";

const LOGS: &str = "Logs_20140328";

fn ours(fixture: &Fixture) -> BTreeMap<String, String> {
    let service = &fixture.service;
    [
        ("verdigris:owner", "verdigris".to_owned()),
        ("verdigris:service", service.service.to_string()),
        ("verdigris:environment", service.environment.to_string()),
    ]
    .map(|(tag, value)| (tag.to_owned(), value))
    .into()
}

/// In the words of any of AWS's interfaces.
fn pairs(tags: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if let Some(all) = tags.as_array() {
        let all = all.iter();
        return all
            .map(|it| (text(&it["Key"]), text(&it["Value"])))
            .collect();
    }
    let all = tags.as_object().unwrap().iter();
    all.map(|(tag, value)| (tag.clone(), text(value))).collect()
}

fn group_arn(name: &str) -> String {
    format!("arn:aws:logs:eu-west-1:123456789012:log-group:{name}")
}

#[tokio::test]
async fn everything_that_we_make_and_that_can_say_so_says_that_it_is_ours() {
    let local = Local::at_once().await;
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    go_live(&cloud, &fixture, &full(&fixture, "full")).await;
    let ours = ours(&fixture);
    let hand = hand(&local.endpoint.url);
    let mappings = hand.list_event_source_mappings().send().await.unwrap();
    let mapping = &mappings.event_source_mappings()[0];
    let told = hand.list_tags();
    let told = told.resource(mapping.event_source_mapping_arn().unwrap());
    let told = told.send().await.unwrap().tags.unwrap();
    assert_eq!(told.into_iter().collect::<BTreeMap<_, _>>(), ours);
    let rules = local.ask("AWSEvents.ListRules", json!({})).await;
    let rules = rules["Rules"].as_array().unwrap();
    assert_eq!(rules.len(), 2);
    for rule in rules {
        let about = json!({"ResourceARN": rule["Arn"]});
        let told = local.ask("AWSEvents.ListTagsForResource", about).await;
        assert_eq!(pairs(&told["Tags"]), ours, "{rule}");
    }
    for function in [stock(), reorder()] {
        let name = lambda_name(&fixture, &function);
        let arn = group_arn(&format!("/aws/lambda/{name}"));
        let about = json!({"resourceArn": arn});
        let target = format!("{LOGS}.ListTagsForResource");
        let told = local.ask(&target, about).await;
        assert_eq!(pairs(&told["tags"]), ours);
    }
}

/// `stock` logs to a group with a name of its own.
fn logging(fixture: &Fixture, body: &str, retention: Option<u32>) -> Made {
    fixture.release_with(body, &[stock(), reorder()], |name, function| {
        if *name == stock() {
            function.aws = Some(Box::new(AwsFunction {
                logs: Some(Logs {
                    group: Some(GROUP.to_owned()),
                    retention,
                    ..Logs::default()
                }),
                ..AwsFunction::default()
            }));
        }
    })
}

/// Who made the group before us, if anybody: its tags, and the days for which it keeps.
type Before = Option<(Value, Option<u32>)>;

async fn days(local: &Local) -> Option<u64> {
    let about = json!({"logGroupNamePrefix": GROUP});
    let told = local.ask(&format!("{LOGS}.DescribeLogGroups"), about).await;
    told["logGroups"][0]["retentionInDays"].as_u64()
}

/// How long the group keeps after releases that ask for 30 days, for 14, and twice for nothing.
async fn kept(before: &Before) -> [Option<u64>; 4] {
    let local = Local::at_once().await;
    if let Some((tags, kept)) = before {
        let made = json!({"logGroupName": GROUP, "tags": tags});
        local.ask(&format!("{LOGS}.CreateLogGroup"), made).await;
        if let Some(days) = kept {
            let kept = json!({"logGroupName": GROUP, "retentionInDays": days});
            local.ask(&format!("{LOGS}.PutRetentionPolicy"), kept).await;
        }
    }
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let mut seen = [None; 4];
    for (index, retention) in [Some(30), Some(14), None, None].into_iter().enumerate() {
        let made = logging(&fixture, &format!("release {index}"), retention);
        go_live(&cloud, &fixture, &made).await;
        // Nobody would repair it for ever.
        let expected = cloud.expected(&made.release, made.package.code);
        assert_eq!(fields(&cloud, &fixture, Slot::Blue).await, expected);
        seen[index] = days(&local).await;
    }
    seen
}

#[tokio::test]
async fn a_log_group_keeps_what_was_asked_for_unless_somebody_else_made_it_and_said_otherwise() {
    let ours = json!(ours(&Fixture::new(0)));
    let theirs = json!({"team": "data"});
    let other_service = json!({
        "verdigris:owner": "verdigris", "verdigris:service": "other", "verdigris:environment": "prod",
    });
    let table: [(&str, Before, [Option<u64>; 4]); 6] = [
        ("nobody", None, [Some(30), Some(14), None, None]),
        (
            "we",
            Some((ours, Some(7))),
            [Some(30), Some(14), None, None],
        ),
        (
            "a team, with its days",
            Some((theirs.clone(), Some(90))),
            [Some(90); 4],
        ),
        (
            "a team, with ours by chance",
            Some((theirs.clone(), Some(14))),
            [Some(14); 4],
        ),
        (
            "another service",
            Some((other_service, Some(3))),
            [Some(3); 4],
        ),
        // What it got of us it keeps: from then on it says how long.
        ("a team, for ever", Some((theirs, None)), [Some(30); 4]),
    ];
    for (who, before, expected) in table {
        assert_eq!(kept(&before).await, expected, "made by {who}");
    }
}

/// The answer to what made it was lost: that it is there when it is made again does not mean that anybody uses it.
#[tokio::test]
async fn logs_of_a_new_function_are_kept_as_asked_from_its_first_line_even_where_an_answer_was_lost()
 {
    let local = Local::at_once().await;
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let made = fixture.release_with("one", &[stock()], |_, function| {
        function.aws = Some(Box::new(AwsFunction {
            logs: Some(Logs {
                retention: Some(30),
                ..Logs::default()
            }),
            ..AwsFunction::default()
        }));
    });
    let lost = Rule {
        lose_reply: true,
        times: Some(1),
        ..Rule::of("CreateFunction")
    };
    local.endpoint.faults().set(vec![lost]);
    let mut staged = cloud.stage(&made.release, &made.package).await;
    if staged.is_err() {
        staged = cloud.stage(&made.release, &made.package).await;
    }
    staged.unwrap();
    let left = local.endpoint.faults().list();
    assert_eq!(left[0].times, Some(0), "one answer was lost");
    let group = format!("/aws/lambda/{}", lambda_name(&fixture, &stock()));
    let about = json!({ "logGroupNamePrefix": group });
    let told = local.ask(&format!("{LOGS}.DescribeLogGroups"), about).await;
    assert_eq!(told["logGroups"][0]["retentionInDays"], 30, "{told}");
}
