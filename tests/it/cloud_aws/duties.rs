//! What blue has besides a version: it comes and goes with the release, and what hands change is seen and repaired.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_lambda::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;
use url::Url;
use verdigris::{
    cloud::{Cloud, CloudError, aws::AwsCloud},
    diff,
    local::lambda::{LambdaEndpoint, LambdaOptions},
    manifest::aws::{
        Architecture, Asynchronous, AwsFunction, Batch, Bucket, Concurrency, Cors, EventSource,
        LogFormat, Logs, Permission, QueueOptions, Topic, UrlAuth, UrlOptions,
    },
    name::{FunctionName, Slot},
    observed::Fields,
};

use crate::{
    cloud_aws::{aws, events},
    cloud_contract::{
        patient::Patient,
        release::{Fixture, Made, reorder, stock},
    },
    peers::model::{Tap, tapped},
};

/// Our own Lambda; it ends with the test. Roles of the fixtures are of this account.
pub(crate) struct Local {
    pub(crate) endpoint: LambdaEndpoint,
    stop: CancellationToken,
    _tap: Tap,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Local {
    pub(crate) async fn start() -> Self {
        Self::pending(Duration::from_millis(10)).await
    }

    /// Nothing takes any time.
    pub(crate) async fn at_once() -> Self {
        Self::pending(Duration::ZERO).await
    }

    async fn pending(pending: Duration) -> Self {
        let stop = CancellationToken::new();
        let options = LambdaOptions {
            pending,
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            ..LambdaOptions::default()
        };
        let (endpoint, tap) = tapped(options, stop.clone()).await;
        Self {
            endpoint,
            stop,
            _tap: tap,
        }
    }

    /// An operation that is named in a header.
    pub(crate) async fn ask(&self, target: &str, body: Value) -> Value {
        let answer = reqwest::Client::new()
            .post(self.endpoint.url.clone())
            .header("x-amz-target", target)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let told: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{target}: {told}");
        told
    }
}

/// Everything that needs no other resource to exist.
fn plenty() -> AwsFunction {
    let dead = "arn:aws:sqs:eu-west-1:123456789012:dead".to_owned();
    AwsFunction {
        architecture: Some(Architecture::Arm64),
        ephemeral_storage: Some(verdigris::manifest::spec::Megabytes(1024)),
        layers: Some(vec![
            "arn:aws:lambda:eu-west-1:123456789012:layer:tools:7".to_owned(),
        ]),
        dead_letter: Some(dead.clone()),
        asynchronous: Some(Asynchronous {
            retries: Some(1),
            on_failure: Some(dead),
            ..Asynchronous::default()
        }),
        concurrency: Some(Concurrency {
            reserved: Some(10),
            provisioned: Some(2),
        }),
        tracing: Some(true),
        logs: Some(Logs {
            format: LogFormat::Json,
            retention: Some(14),
            ..Logs::default()
        }),
        tags: [("team", "shop"), ("cost", "17")]
            .map(|(tag, value)| (tag.to_owned(), value.to_owned()))
            .into(),
        kms_key: Some("arn:aws:kms:eu-west-1:123456789012:key/abc".to_owned()),
        permissions: BTreeMap::from([(
            "bucket".to_owned(),
            Permission {
                principal: "s3.amazonaws.com".to_owned(),
                action: "lambda:InvokeFunction".to_owned(),
                source_arn: Some("arn:aws:s3:::uploads".to_owned()),
                source_account: None,
            },
        )]),
        ..AwsFunction::default()
    }
}

/// A topic and a bucket.
fn announced() -> BTreeMap<String, EventSource> {
    let topic = Topic {
        arn: "arn:aws:sns:eu-west-1:123456789012:news".to_owned(),
        filter: Some(r#"{"kind": ["order"]}"#.to_owned()),
    };
    let bucket = Bucket {
        name: "uploads".to_owned(),
        on: ["s3:ObjectCreated:*".to_owned()].into(),
        prefix: Some("in/".to_owned()),
        suffix: None,
    };
    BTreeMap::from([
        ("news".to_owned(), EventSource::Topic(topic)),
        ("uploads".to_owned(), EventSource::Bucket(bucket)),
    ])
}

/// `stock` answers signed requests of one origin, `reorder` reads a queue its own way and has a schedule, a topic and a bucket.
pub(crate) fn full(fixture: &Fixture, body: &str) -> Made {
    fixture.release_with(body, &[stock(), reorder()], |name, function| {
        let mut aws = plenty();
        if *name == stock() {
            aws.url = Some(UrlOptions {
                auth: UrlAuth::Iam,
                stream: false,
                cors: Some(Cors {
                    origins: BTreeSet::from(["https://shop.example".to_owned()]),
                    max_age: Some(Duration::from_secs(60)),
                    ..Cors::default()
                }),
            });
        } else {
            function.schedule = Some("0 3 1 * MON".to_owned());
            aws.queue = Some(QueueOptions {
                batch: Batch {
                    batch: Some(5),
                    filters: vec![r#"{"body": {"kind": ["order"]}}"#.to_owned()],
                    ..Batch::default()
                },
                max_concurrency: Some(4),
                arn: None,
            });
            aws.events = announced();
        }
        function.aws = Some(Box::new(aws));
    })
}

pub(crate) async fn fields(cloud: &impl Cloud, fixture: &Fixture, slot: Slot) -> Fields {
    let observed = cloud.observe(&fixture.scope()).await.unwrap();
    let content = match slot {
        Slot::Blue => observed.blue,
        Slot::Green => observed.green,
    };
    content.holding().expect("a release").fields.clone()
}

pub(crate) async fn go_live(cloud: &impl Cloud, fixture: &Fixture, made: &Made) {
    cloud.stage(&made.release, &made.package).await.unwrap();
    let release = made.release.digest;
    cloud.promote(&fixture.scope(), release).await.unwrap();
}

#[tokio::test]
async fn everything_that_is_asked_for_is_there_and_goes_with_its_release() {
    let local = Local::start().await;
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let (plain, full) = (fixture.release("plain"), full(&fixture, "full"));
    for made in [&plain, &full, &plain, &full] {
        cloud.stage(&made.release, &made.package).await.unwrap();
        let expected = cloud.expected(&made.release, made.package.code);
        assert_eq!(fields(&cloud, &fixture, Slot::Green).await, expected);
        let release = made.release.digest;
        cloud.promote(&fixture.scope(), release).await.unwrap();
        assert_eq!(fields(&cloud, &fixture, Slot::Blue).await, expected);
    }
    // A rollback takes it all along, without a release at hand.
    let release = plain.release.digest;
    cloud.promote(&fixture.scope(), release).await.unwrap();
    let expected = cloud.expected(&plain.release, plain.package.code);
    assert_eq!(fields(&cloud, &fixture, Slot::Blue).await, expected);
    let rules = local.ask("AWSEvents.ListRules", json!({})).await;
    assert_eq!(rules["Rules"], json!([]), "nothing is left behind");
    cloud.prune(&fixture.scope()).await.unwrap();
    let sources = hand(&local.endpoint.url).list_event_source_mappings();
    let sources = sources.send().await.unwrap();
    assert!(
        sources
            .event_source_mappings()
            .iter()
            .all(|it| it.state() == Some("Deleting"))
    );
}

#[test]
fn fields_say_what_a_person_would_look_for() {
    let fixture = Fixture::new(0);
    let made = full(&fixture, "full");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let cloud = runtime.unwrap().block_on(AwsCloud::new(aws(
        &Url::parse("http://127.0.0.1:9/").unwrap(),
        Duration::ZERO,
    )));
    let told = cloud.expected(&made.release, made.package.code);
    let told: Vec<_> = told
        .iter()
        .filter(|(path, _)| !path.contains(".env.") && !path.ends_with(".package"))
        .filter(|(path, _)| path.starts_with("reorder.") || path.starts_with("stock.url"))
        .map(|(path, value)| format!("{path} = {value}"))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    reorder.architecture = arm64
    reorder.asynchronous = {"retries":1,"onFailure":"arn:aws:sqs:eu-west-1:123456789012:dead"}
    reorder.concurrency.provisioned = 2
    reorder.concurrency.reserved = 10
    reorder.deadLetter = arn:aws:sqs:eu-west-1:123456789012:dead
    reorder.event.s3.uploads = {"name":"uploads","on":["s3:ObjectCreated:*"],"prefix":"in/"}
    reorder.event.sns.news = {"kind":["order"]}
    reorder.event.sqs.orders = {"batch":5,"filters":["{\"body\":{\"kind\":[\"order\"]}}"],"at_most":4}
    reorder.handler = verdigris_shim.handler
    reorder.kmsKey = arn:aws:kms:eu-west-1:123456789012:key/abc
    reorder.layers = arn:aws:lambda:eu-west-1:123456789012:layer:tools:7
    reorder.logs = JSON INFO INFO
    reorder.logs.retention = 14
    reorder.memory = 256
    reorder.permission.bucket = {"principal":"s3.amazonaws.com","action":"lambda:InvokeFunction","sourceArn":"arn:aws:s3:::uploads"}
    reorder.role = arn:aws:iam::123456789012:role/functions
    reorder.runtime = python3.11
    reorder.schedule.cron(0 3 1 * ? *) = enabled
    reorder.schedule.cron(0 3 ? * MON *) = enabled
    reorder.storage = 1024
    reorder.tag.cost = 17
    reorder.tag.team = shop
    reorder.timeout = 10
    reorder.tracing = true
    reorder.traffic = all
    stock.url = signed
    stock.url.cors = {"origins":["https://shop.example"],"maxAge":{"secs":60,"nanos":0}}
    "#);
}

pub(crate) fn hand(endpoint: &Url) -> Client {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
        .region(aws_sdk_lambda::config::Region::new("eu-west-1"))
        .endpoint_url(endpoint.as_str().trim_end_matches('/'))
        .credentials_provider(aws_sdk_lambda::config::Credentials::new(
            "test", "test", None, None, "test",
        ));
    Client::from_conf(config.build())
}

pub(crate) fn lambda_name(fixture: &Fixture, function: &FunctionName) -> String {
    let service = &fixture.service;
    format!("{}-{}-{function}", service.environment, service.service)
}

#[tokio::test]
async fn what_hands_change_is_seen_and_repaired() {
    let local = Local::start().await;
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let hand = hand(&local.endpoint.url);
    let fixture = Fixture::new(0);
    let full = full(&fixture, "full");
    go_live(&cloud, &fixture, &full).await;
    let expected = cloud.expected(&full.release, full.package.code);
    let name = lambda_name(&fixture, &reorder());
    let edits = [
        "batch",
        "mapping",
        "off",
        "rule",
        "reserved",
        "provisioned",
        "asynchronous",
        "permission",
        "url",
        "tag",
        "untag",
        "retention",
        "for ever",
        "subscription",
        "filter",
        "notification",
    ];
    for edit in edits {
        tokio::time::sleep(Duration::from_millis(30)).await;
        by_hand(&local, &hand, &name, &lambda_name(&fixture, &stock()), edit).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let seen = fields(&cloud, &fixture, Slot::Blue).await;
        let told: Vec<String> = diff::fields(&expected, &seen)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(!told.is_empty(), "{edit} is seen");
        told_by_hand(edit, &told);
        let repair = cloud.repair(&full.release, &full.package);
        repair.await.unwrap();
        let seen = fields(&cloud, &fixture, Slot::Blue).await;
        assert_eq!(seen, expected, "{edit} is repaired");
        let before = cloud.0.calls();
        cloud.observe(&fixture.scope()).await.unwrap();
        cloud
            .promote(&fixture.scope(), full.release.digest)
            .await
            .unwrap();
        let after = cloud.0.calls();
        let reads = ["Get", "List", "Describe"];
        let wrote = after.iter().filter(|(call, count)| {
            before.get(*call) != Some(*count) && !reads.iter().any(|it| call.starts_with(it))
        });
        assert_eq!(
            wrote.count(),
            0,
            "{edit} is repaired once: {before:?} {after:?}"
        );
    }
}

/// Values of before and after, where one would look for them.
fn told_by_hand(edit: &str, told: &[String]) {
    let both: &[&str] = match edit {
        "tag" => &["tag.team", "shop", "theirs"],
        "untag" => &["tag.cost", "17"],
        "retention" => &["logs.retention", "14", "365"],
        "for ever" => &["logs.retention", "14"],
        "reserved" => &["concurrency.reserved", "10", "50"],
        _ => &[],
    };
    let told = told.join("\n");
    assert!(both.iter().all(|it| told.contains(it)), "{edit}: {told}");
}

async fn by_hand(local: &Local, hand: &Client, reorder: &str, stock: &str, edit: &str) {
    let mapping = hand.list_event_source_mappings().send().await.unwrap();
    let mappings = mapping.event_source_mappings.unwrap();
    let id = mappings[0].uuid().unwrap();
    let change = hand.update_event_source_mapping().uuid(id);
    match edit {
        "batch" => drop(change.batch_size(7).send().await.unwrap()),
        "off" => drop(change.enabled(false).send().await.unwrap()),
        "mapping" => {
            let gone = hand.delete_event_source_mapping().uuid(id);
            gone.send().await.unwrap();
        }
        "rule" => {
            let rules = local.ask("AWSEvents.ListRules", json!({})).await;
            let rule = &rules["Rules"][0]["Name"];
            local
                .ask("AWSEvents.DisableRule", json!({"Name": rule}))
                .await;
        }
        "permission" => {
            let policy = hand.get_policy().function_name(reorder).qualifier("blue");
            let policy = policy.send().await.unwrap();
            let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
            let id = policy["Statement"][0]["Sid"].as_str().unwrap();
            let gone = hand.remove_permission().function_name(reorder);
            gone.qualifier("blue")
                .statement_id(id)
                .send()
                .await
                .unwrap();
        }
        "url" => {
            let open = hand.update_function_url_config().function_name(stock);
            let open = open.qualifier("blue");
            open.auth_type(aws_sdk_lambda::types::FunctionUrlAuthType::None)
                .send()
                .await
                .unwrap();
        }
        other => around_by_hand(local, hand, reorder, other).await,
    }
}

/// What belongs to a function and is no part of its events or its address.
async fn around_by_hand(local: &Local, hand: &Client, reorder: &str, edit: &str) {
    match edit {
        "reserved" => {
            let more = hand.put_function_concurrency().function_name(reorder);
            more.reserved_concurrent_executions(50)
                .send()
                .await
                .unwrap();
        }
        "provisioned" => {
            let gone = hand.delete_provisioned_concurrency_config();
            gone.function_name(reorder)
                .qualifier("blue")
                .send()
                .await
                .unwrap();
        }
        "asynchronous" => {
            let gone = hand.delete_function_event_invoke_config();
            gone.function_name(reorder)
                .qualifier("blue")
                .send()
                .await
                .unwrap();
        }
        "tag" | "untag" => {
            let arn = hand.get_function().function_name(reorder).send().await;
            let arn = arn.unwrap().configuration.unwrap().function_arn.unwrap();
            match edit {
                "tag" => {
                    let set = hand.tag_resource().resource(arn);
                    let set = set.tags("team", "theirs").tags("other", "theirs too");
                    set.send().await.unwrap();
                }
                _ => {
                    let gone = hand.untag_resource().resource(arn).tag_keys("cost");
                    gone.send().await.unwrap();
                }
            }
        }
        "retention" => {
            let group = format!("/aws/lambda/{reorder}");
            let body = json!({"logGroupName": group, "retentionInDays": 365});
            local.ask("Logs_20140328.PutRetentionPolicy", body).await;
        }
        "for ever" => {
            let body = json!({"logGroupName": format!("/aws/lambda/{reorder}")});
            local.ask("Logs_20140328.DeleteRetentionPolicy", body).await;
        }
        other => topics_by_hand(&local.endpoint.url, other).await,
    }
}

async fn topics_by_hand(url: &url::Url, edit: &str) {
    match edit {
        "subscription" => {
            let gone = [("SubscriptionArn", events::subscription(url).await)];
            events::sns(url, "Unsubscribe", &gone).await;
        }
        "filter" => {
            let change = [
                ("SubscriptionArn", events::subscription(url).await),
                ("AttributeName", "FilterPolicy".to_owned()),
                ("AttributeValue", r#"{"kind":["all"]}"#.to_owned()),
            ];
            events::sns(url, "SetSubscriptionAttributes", &change).await;
        }
        "notification" => {
            let text = events::notifications(url, None).await;
            let text = text.replace("in/", "out/");
            events::notifications(url, Some(text)).await;
        }
        other => panic!("{other}"),
    }
}

/// Every call to EventBridge or Lambda that is lost leaves something for the next promotion to finish.
#[tokio::test]
async fn a_promotion_that_came_half_way_is_finished_by_the_next() {
    let local = Local::start().await;
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let full = full(&fixture, "full");
    cloud.stage(&full.release, &full.package).await.unwrap();
    let scope = fixture.scope();
    let writes = [
        "PutRule",
        "PutTargets",
        "Subscribe",
        "PutBucketNotificationConfiguration",
        "CreateEventSourceMapping",
        "PutFunctionConcurrency",
        "PutProvisionedConcurrencyConfig",
        "PutFunctionEventInvokeConfig",
        "AddPermission",
        "CreateFunctionUrlConfig",
        "CreateAlias",
    ];
    for operation in writes {
        local.endpoint.faults().set(vec![lose_one(operation)]);
        let outcome = cloud.promote(&scope, full.release.digest).await;
        let retried = matches!(
            outcome,
            Err(CloudError::Unreachable { .. } | CloudError::Busy { .. })
        );
        assert!(retried || outcome.is_ok(), "{operation}: {outcome:?}");
        local.endpoint.faults().set(Vec::new());
        tokio::time::sleep(Duration::from_millis(30)).await;
        cloud.promote(&scope, full.release.digest).await.unwrap();
        let expected = cloud.expected(&full.release, full.package.code);
        assert_eq!(
            fields(&cloud, &fixture, Slot::Blue).await,
            expected,
            "{operation}"
        );
        cloud.retract(&scope, full.release.digest).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

fn lose_one(operation: &str) -> verdigris::local::faults::Rule {
    serde_json::from_value(json!({"operation": operation, "loseReply": true, "times": 1})).unwrap()
}

/// A key that runs out in the middle is no refusal, whichever service says so and in whatever words: the order goes on.
#[tokio::test]
async fn keys_that_run_out_in_the_middle_are_survived() {
    let local = Local::start().await;
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let (plain, full) = (fixture.release("plain"), full(&fixture, "full"));
    go_live(&cloud, &fixture, &plain).await;
    let operations = [
        "GetFunction",
        "UpdateFunctionConfiguration",
        "PublishVersion",
        "UpdateAlias",
        "CreateEventSourceMapping",
        "PutRule",
        "CreateLogGroup",
    ];
    let run_out = |operation: &&str| {
        let (status, code) = match *operation {
            "PutRule" | "CreateLogGroup" => (400, "ExpiredTokenException"),
            _ => (403, "ExpiredTokenException"),
        };
        let message = "The security token included in the request is expired";
        let error = json!({"status": status, "code": code, "message": message});
        let rule = json!({"operation": operation, "error": error, "times": 2});
        serde_json::from_value(rule).unwrap()
    };
    let rules = operations.iter().map(run_out).collect();
    local.endpoint.faults().set(rules);
    go_live(&cloud, &fixture, &full).await;
    let expected = cloud.expected(&full.release, full.package.code);
    assert_eq!(fields(&cloud, &fixture, Slot::Blue).await, expected);
}

/// Takes what functions post, until the test ends.
pub(crate) async fn letterbox() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let letters = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&letters);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut text = Vec::new();
                let mut piece = [0; 1024];
                while !String::from_utf8_lossy(&text).contains("\r\n\r\nEND:") {
                    match stream.read(&mut piece).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => text.extend_from_slice(&piece[..read]),
                    }
                    if text.ends_with(b":END") {
                        break;
                    }
                }
                let text = String::from_utf8_lossy(&text).into_owned();
                let body = text.rsplit("\r\n\r\n").next().unwrap_or_default();
                kept.lock()
                    .unwrap()
                    .push(body.trim_end_matches(":END").to_owned());
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                drop(stream.write_all(answer).await);
            });
        }
    });
    (port, letters)
}

/// So many messages were posted, none lost and none twice, some by each of the releases `one` and `two`. It is looked for them so often.
pub(crate) async fn each_once_from_both(letters: &Mutex<Vec<String>>, count: usize, looks: u32) {
    for _ in 0..looks {
        if letters.lock().unwrap().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let letters = letters.lock().unwrap().clone();
    let read: BTreeSet<_> = letters.iter().filter_map(|it| it.split_once(' ')).collect();
    let messages: BTreeSet<_> = read.iter().map(|(_, message)| *message).collect();
    assert_eq!(
        (letters.len(), messages.len()),
        (count, count),
        "{letters:?}"
    );
    let releases: BTreeSet<_> = read.iter().map(|(release, _)| *release).collect();
    assert_eq!(releases, BTreeSet::from(["one", "two"]));
}

/// Posts `release message` for each message.
fn reader(port: u16, release: &str) -> String {
    format!(
        "import urllib.request\n\
         def handler(event, context):\n\
         \x20   for record in event['Records']:\n\
         \x20       body = ('{release} ' + record['body'] + ':END').encode()\n\
         \x20       urllib.request.urlopen('http://127.0.0.1:{port}/', data=body).read()\n\
         \x20   return {{'batchItemFailures': []}}\n"
    )
}

#[tokio::test]
async fn no_message_is_lost_or_taken_twice_while_releases_come_and_go() {
    let local = Local::start().await;
    let cloud = Patient(AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let (port, letters) = letterbox().await;
    let made = |name: &str| fixture.release_of_code(name, &[reorder()], &reader(port, name));
    let (one, two) = (made("one"), made("two"));
    let mut scope = fixture.scope();
    scope.functions = [reorder()].into();
    cloud.stage(&one.release, &one.package).await.unwrap();
    cloud.promote(&scope, one.release.digest).await.unwrap();
    cloud.stage(&two.release, &two.package).await.unwrap();
    let url = local
        .ask("AmazonSQS.GetQueueUrl", json!({"QueueName": "orders"}))
        .await;
    for number in 0..60 {
        let message = json!({"QueueUrl": url["QueueUrl"], "MessageBody": format!("m{number}")});
        local.ask("AmazonSQS.SendMessage", message).await;
        let release = match number {
            20 => Some(two.release.digest),
            40 => Some(one.release.digest),
            _ => None,
        };
        if let Some(release) = release {
            cloud.promote(&scope, release).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    each_once_from_both(&letters, 60, 500).await;
}
