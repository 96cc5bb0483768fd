//! Networks, file systems, snapshots, streams, images and streamed answers: what is sent for them, for a first release, for one that
//! changes them, and where blue moves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::http::Method;
use insta::assert_snapshot;
use serde_json::Value;
use url::Url;
use verdigris::{
    cloud::{Cloud as _, aws::AwsCloud},
    local::faults::{Failure, Rule},
    manifest::{
        aws::{AwsFunction, Batch, Cors, EventSource, FileSystem, Start, Stream, UrlOptions, Vpc},
        spec::Runtime,
    },
    name::{FunctionName, Percent},
    observed::Scope,
};

use crate::{
    cloud_aws::{
        aws,
        duties::{Local, hand},
    },
    cloud_contract::{
        patient::Patient,
        peers,
        proxy::{Asked, Proxy},
        release::{Fixture, Made, reorder, stock},
    },
};

/// The cloud with somebody between that writes down what is sent.
struct Wire {
    proxy: Proxy,
    cloud: Patient<AwsCloud>,
    fixture: Fixture,
    function: FunctionName,
    told: Vec<String>,
}

impl Wire {
    async fn to(endpoint: &Url, function: FunctionName) -> Self {
        let proxy = Proxy::new(endpoint).await;
        Self {
            cloud: Patient(AwsCloud::new(aws(&proxy.endpoint, Duration::ZERO)).await),
            proxy,
            fixture: Fixture::new(0),
            function,
            told: Vec::new(),
        }
    }

    fn made(&self, body: &str, asked: &AwsFunction) -> Made {
        let functions = [self.function.clone()];
        let made = self.fixture.release_with(body, &functions, |_, function| {
            function.queue = None;
            function.aws = Some(Box::new(asked.clone()));
        });
        on_python_313(made)
    }

    fn scope(&self) -> Scope {
        let mut scope = self.fixture.scope();
        scope.functions = [self.function.clone()].into();
        scope
    }

    async fn stage(&mut self, what: &str, made: &Made) {
        let staged = self.cloud.stage(&made.release, &made.package);
        staged.await.unwrap();
        self.note(&format!("stage {what}"));
    }

    async fn promote(&mut self, what: &str, made: &Made) {
        let release = made.release.digest;
        let scope = self.scope();
        self.cloud.promote(&scope, release).await.unwrap();
        self.note(&format!("promote {what}"));
    }

    /// What blue has is what the release asks for.
    async fn assert_as_expected(&mut self, made: &Made) {
        let observed = self.cloud.observe(&self.scope()).await.unwrap();
        let blue = observed.blue.holding().expect("a release");
        let expected = self.cloud.expected(&made.release, made.package.code);
        assert_eq!(blue.fields, expected);
        self.proxy.take_requests();
    }

    /// One release after the other goes live, and has what it asks for.
    async fn story(&mut self, releases: &[(&str, &Made)]) {
        for (what, made) in releases {
            self.stage(what, made).await;
            self.promote(what, made).await;
            self.assert_as_expected(made).await;
        }
    }

    fn note(&mut self, what: &str) {
        self.told.push(format!("{what}:"));
        let asked = self.proxy.take_requests();
        let asked: Vec<_> = asked.iter().filter_map(told).collect();
        self.told.extend(asked);
    }

    fn told(&self) -> String {
        self.told.join("\n")
    }
}

/// With a runtime that Lambda takes snapshots of.
fn on_python_313(mut made: Made) -> Made {
    let content = Arc::make_mut(&mut made.release.content);
    content.runtime = Runtime::Python("3.13".to_owned());
    made.release.digest = content.digest();
    made
}

/// What every function and every alias has, and what says nothing of what is asked for here.
const ELSEWHERE: [&str; 17] = [
    "Architectures",
    "CodeSha256",
    "Description",
    "Environment",
    "FunctionName",
    "FunctionVersion",
    "Handler",
    "MemorySize",
    "Name",
    "Publish",
    "RevisionId",
    "Role",
    "RoutingConfig",
    "Runtime",
    "Tags",
    "Timeout",
    "ZipFile",
];

/// One line for a request that writes something of what is asked for here: what it is about, and what it says.
fn told(asked: &Asked) -> Option<String> {
    let is_write = asked.method != Method::GET;
    let of_policy = asked.path.contains("/policy");
    if !is_write || of_policy {
        return None;
    }
    let mut body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let Some(parts) = body.as_object_mut() else {
        let path = plain(&asked.path);
        return Some(format!("  {} {path}", asked.method));
    };
    parts.retain(|name, _| !ELSEWHERE.contains(&name.as_str()));
    // A package is what the function has anyway.
    let is_package = parts
        .get("Code")
        .is_some_and(|it| it["ZipFile"].is_string());
    if is_package {
        parts.remove("Code");
    }
    let is_empty = body.as_object().is_some_and(serde_json::Map::is_empty);
    let path = plain(&asked.path);
    (!is_empty).then(|| format!("  {} {path} {body}", asked.method))
}

/// Without the version of the interface, and with no id that is another one each time.
fn plain(path: &str) -> String {
    let parts = path.split('/').skip(2);
    let parts = parts.map(|it| match it.len() {
        36 => "ID",
        _ => it,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:eu-west-1:123456789012:{resource}")
}

fn networked(subnet: &str, mount: &str) -> AwsFunction {
    AwsFunction {
        vpc: Some(Vpc {
            subnets: [subnet.to_owned(), "subnet-0".to_owned()].into(),
            security_groups: ["sg-1".to_owned()].into(),
            ipv6: mount == "/mnt/two",
        }),
        file_system: Some(FileSystem {
            access_point: arn("elasticfilesystem", "access-point/fsap-0123456789abcdef0"),
            mount: mount.to_owned(),
        }),
        ..AwsFunction::default()
    }
}

fn snapped() -> AwsFunction {
    AwsFunction {
        snap_start: Some(true),
        ..AwsFunction::default()
    }
}

#[tokio::test]
async fn networks_file_systems_and_snapshots_are_sent_when_they_differ_and_taken_away_when_nobody_asks()
 {
    let local = Local::at_once().await;
    let mut wire = Wire::to(&local.endpoint.url, reorder()).await;
    let one = wire.made("same", &networked("subnet-1", "/mnt/one"));
    let two = wire.made("same", &networked("subnet-2", "/mnt/two"));
    let three = wire.made("same", &snapped());
    let code = wire.made("code", &snapped());
    let none = wire.made("code", &AwsFunction::default());
    wire.story(&[
        ("the first", &one),
        ("another network", &two),
        ("none, and a snapshot", &three),
        ("other code", &code),
        ("nothing asked for", &none),
    ])
    .await;
    // What a version has it has for ever: nothing of it moves with blue.
    wire.promote("back", &code).await;
    wire.assert_as_expected(&code).await;
    assert_snapshot!(wire.told(), @r#"
    stage the first:
      POST functions {"FileSystemConfigs":[{"Arn":"arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0123456789abcdef0","LocalMountPath":"/mnt/one"}],"VpcConfig":{"Ipv6AllowedForDualStack":false,"SecurityGroupIds":["sg-1"],"SubnetIds":["subnet-0","subnet-1"]}}
    promote the first:
    stage another network:
      PUT functions/prod-shop0-reorder/configuration {"FileSystemConfigs":[{"Arn":"arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0123456789abcdef0","LocalMountPath":"/mnt/two"}],"VpcConfig":{"Ipv6AllowedForDualStack":true,"SecurityGroupIds":["sg-1"],"SubnetIds":["subnet-0","subnet-2"]}}
    promote another network:
    stage none, and a snapshot:
      PUT functions/prod-shop0-reorder/configuration {"FileSystemConfigs":[],"SnapStart":{"ApplyOn":"PublishedVersions"},"VpcConfig":{"Ipv6AllowedForDualStack":false,"SecurityGroupIds":[],"SubnetIds":[]}}
    promote none, and a snapshot:
    stage other code:
    promote other code:
    stage nothing asked for:
      PUT functions/prod-shop0-reorder/configuration {"SnapStart":{"ApplyOn":"None"}}
    promote nothing asked for:
    promote back:
    "#);
}

fn stream(source: String, batch: u32) -> EventSource {
    EventSource::Stream(Stream {
        arn: source,
        from: Start::Oldest,
        batch: Batch {
            batch: Some(batch),
            window: Some(Duration::from_secs(5)),
            filters: vec![r#"{"eventName": ["INSERT"]}"#.to_owned()],
        },
        parallel: Some(2),
        retries: Some(3),
        max_age: Some(Duration::from_secs(600)),
        bisect: true,
        on_failure: Some(arn("sqs", "dead")),
    })
}

/// All that can be asked for, and nothing but its name.
fn streams(batch: u32) -> AwsFunction {
    let clicks = stream(arn("kinesis", "stream/clicks"), batch);
    let orders = EventSource::Stream(Stream {
        arn: arn("dynamodb", "table/orders/stream/2026-11-22T00:00:00.000"),
        from: Start::Latest,
        batch: Batch::default(),
        parallel: None,
        retries: None,
        max_age: None,
        bisect: false,
        on_failure: None,
    });
    AwsFunction {
        events: BTreeMap::from([("clicks".to_owned(), clicks), ("orders".to_owned(), orders)]),
        ..AwsFunction::default()
    }
}

#[tokio::test]
async fn streams_are_attached_to_blue_when_it_moves_changed_where_they_are_and_taken_off() {
    let local = Local::at_once().await;
    let mut wire = Wire::to(&local.endpoint.url, reorder()).await;
    let one = wire.made("one", &streams(10));
    let code = wire.made("two", &streams(10));
    let larger = wire.made("two", &streams(20));
    let none = wire.made("three", &AwsFunction::default());
    wire.story(&[
        ("the first", &one),
        ("other code", &code),
        ("larger batches", &larger),
        ("no streams", &none),
        ("back", &one),
    ])
    .await;
    assert_snapshot!(wire.told(), @r#"
    stage the first:
    promote the first:
      POST event-source-mappings {"BatchSize":100,"BisectBatchOnFunctionError":false,"Enabled":true,"EventSourceArn":"arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-22T00:00:00.000","FunctionResponseTypes":["ReportBatchItemFailures"],"MaximumBatchingWindowInSeconds":0,"MaximumRecordAgeInSeconds":-1,"MaximumRetryAttempts":-1,"ParallelizationFactor":1,"StartingPosition":"LATEST"}
      POST event-source-mappings {"BatchSize":10,"BisectBatchOnFunctionError":true,"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:eu-west-1:123456789012:dead"}},"Enabled":true,"EventSourceArn":"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks","FilterCriteria":{"Filters":[{"Pattern":"{\"eventName\":[\"INSERT\"]}"}]},"FunctionResponseTypes":["ReportBatchItemFailures"],"MaximumBatchingWindowInSeconds":5,"MaximumRecordAgeInSeconds":600,"MaximumRetryAttempts":3,"ParallelizationFactor":2,"StartingPosition":"TRIM_HORIZON"}
    stage other code:
    promote other code:
    stage larger batches:
    promote larger batches:
      PUT event-source-mappings/ID {"BatchSize":20,"BisectBatchOnFunctionError":true,"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:eu-west-1:123456789012:dead"}},"Enabled":true,"FilterCriteria":{"Filters":[{"Pattern":"{\"eventName\":[\"INSERT\"]}"}]},"FunctionResponseTypes":["ReportBatchItemFailures"],"MaximumBatchingWindowInSeconds":5,"MaximumRecordAgeInSeconds":600,"MaximumRetryAttempts":3,"ParallelizationFactor":2}
    stage no streams:
    promote no streams:
      DELETE event-source-mappings/ID
      DELETE event-source-mappings/ID
    stage back:
    promote back:
      POST event-source-mappings {"BatchSize":100,"BisectBatchOnFunctionError":false,"Enabled":true,"EventSourceArn":"arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-22T00:00:00.000","FunctionResponseTypes":["ReportBatchItemFailures"],"MaximumBatchingWindowInSeconds":0,"MaximumRecordAgeInSeconds":-1,"MaximumRetryAttempts":-1,"ParallelizationFactor":1,"StartingPosition":"LATEST"}
      POST event-source-mappings {"BatchSize":10,"BisectBatchOnFunctionError":true,"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:eu-west-1:123456789012:dead"}},"Enabled":true,"EventSourceArn":"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks","FilterCriteria":{"Filters":[{"Pattern":"{\"eventName\":[\"INSERT\"]}"}]},"FunctionResponseTypes":["ReportBatchItemFailures"],"MaximumBatchingWindowInSeconds":5,"MaximumRecordAgeInSeconds":600,"MaximumRetryAttempts":3,"ParallelizationFactor":2,"StartingPosition":"TRIM_HORIZON"}
    "#);
}

/// What AWS says of a stream that it cannot read is told beside what differs: nothing of it can be repaired from here.
#[tokio::test]
async fn a_stream_that_does_not_reach_its_function_is_told_with_the_way_out() {
    let local = Local::at_once().await;
    let mut wire = Wire::to(&local.endpoint.url, reorder()).await;
    let refused = Rule {
        fails_later: Some(Failure {
            code: "Problem".to_owned(),
            message: "Cannot access stream arn:aws:kinesis:eu-west-1:123456789012:stream/clicks."
                .to_owned(),
        }),
        times: Some(1),
        ..Rule::of("CreateEventSourceMapping")
    };
    local.endpoint.faults().set(vec![refused]);
    let asked = AwsFunction {
        events: BTreeMap::from([(
            "clicks".to_owned(),
            stream(arn("kinesis", "stream/clicks"), 10),
        )]),
        ..AwsFunction::default()
    };
    let made = wire.made("one", &asked);
    wire.story(&[("", &made)]).await;
    let ailing = async || wire.cloud.observe(&wire.scope()).await.unwrap().ailing;
    assert_eq!(
        ailing().await,
        [
            "reorder gets nothing of kinesis.stream/clicks, AWS says: Cannot access stream \
          arn:aws:kinesis:eu-west-1:123456789012:stream/clicks; let the role of the function read it \
          (`aws.allow` gives the function one of its own that may)"
        ]
    );
    // Somebody lets it, and AWS reads on.
    let hand = hand(&local.endpoint.url);
    let mappings = hand.list_event_source_mappings().send().await.unwrap();
    let id = mappings.event_source_mappings()[0].uuid().unwrap();
    let read = hand.update_event_source_mapping().uuid(id).batch_size(10);
    read.send().await.unwrap();
    assert_eq!(ailing().await, [""; 0]);
}

fn streamed(stream: bool, origin: &str) -> AwsFunction {
    let cors = Cors {
        origins: [origin.to_owned()].into(),
        methods: ["GET".to_owned()].into(),
        headers: ["x-trace".to_owned()].into(),
        expose: ["x-cost".to_owned()].into(),
        credentials: true,
        max_age: Some(Duration::from_secs(60)),
    };
    AwsFunction {
        url: Some(UrlOptions {
            stream,
            cors: Some(cors).filter(|_| !origin.is_empty()),
            ..UrlOptions::default()
        }),
        ..AwsFunction::default()
    }
}

/// On a server that is not ours.
#[tokio::test]
async fn an_address_streams_and_answers_other_origins_as_its_release_asks() {
    let peer = peers::ministack().await;
    let mut wire = Wire::to(&peer.endpoint, stock()).await;
    let one = wire.made("one", &streamed(true, "https://shop.example"));
    let code = wire.made("two", &streamed(true, "https://shop.example"));
    let other = wire.made("two", &streamed(true, "https://other.example"));
    let whole = wire.made("two", &streamed(false, ""));
    wire.story(&[
        ("the first", &one),
        ("other code", &code),
        ("another origin", &other),
        ("at once, for no other origin", &whole),
        ("back", &one),
    ])
    .await;
    assert_snapshot!(wire.told(), @r#"
    stage the first:
      POST functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://shop.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
    promote the first:
      POST functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://shop.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
    stage other code:
    promote other code:
    stage another origin:
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://other.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
    promote another origin:
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://other.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://shop.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
    stage at once, for no other origin:
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":false,"AllowHeaders":[],"AllowMethods":[],"AllowOrigins":[],"ExposeHeaders":[]},"InvokeMode":"BUFFERED"}
    promote at once, for no other origin:
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":false,"AllowHeaders":[],"AllowMethods":[],"AllowOrigins":[],"ExposeHeaders":[]},"InvokeMode":"BUFFERED"}
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://other.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
    stage back:
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://shop.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
    promote back:
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":true,"AllowHeaders":["x-trace"],"AllowMethods":["GET"],"AllowOrigins":["https://shop.example"],"ExposeHeaders":["x-cost"],"MaxAge":60},"InvokeMode":"RESPONSE_STREAM"}
      PUT functions/prod-shop0-stock/url {"AuthType":"NONE","Cors":{"AllowCredentials":false,"AllowHeaders":[],"AllowMethods":[],"AllowOrigins":[],"ExposeHeaders":[]},"InvokeMode":"BUFFERED"}
    "#);
}

/// Where aliases are put, and what their addresses do from then on, in the order that they were asked for.
fn moves(asked: &[Asked]) -> Vec<String> {
    let moved = asked.iter().filter(|it| it.method != Method::GET);
    let moved = moved.filter_map(|it| {
        let body: Value = serde_json::from_slice(&it.body).unwrap_or_default();
        let mode = body["InvokeMode"].as_str().unwrap_or("BUFFERED");
        let (_, what) = it.path.split_once("-stock/")?;
        match what.split('/').next()? {
            "aliases" => Some(what.to_owned()),
            "url" => Some(mode.to_owned()),
            _ => None,
        }
    });
    moved.collect()
}

/// Such an address would show an answer in one piece as it is, with status and headers in its body. The other way round nothing is lost.
#[tokio::test]
async fn no_address_streams_while_its_version_answers_in_one_piece() {
    let local = Local::at_once().await;
    let wire = Wire::to(&local.endpoint.url, stock()).await;
    let streams = wire.made("one", &streamed(true, ""));
    let whole = wire.made("two", &streamed(false, ""));
    let mut told = Vec::new();
    for (what, made) in [("", &streams), ("ends", &whole), ("begins", &streams)] {
        let staged = wire.cloud.stage(&made.release, &made.package);
        staged.await.unwrap();
        wire.proxy.take_requests();
        let digest = made.release.digest;
        wire.cloud.promote(&wire.scope(), digest).await.unwrap();
        told.push(format!(
            "{what}: {}",
            moves(&wire.proxy.take_requests()).join(", ")
        ));
    }
    assert_snapshot!(told[1..].join("\n"), @r"
    ends: BUFFERED, aliases/blue, aliases/green, RESPONSE_STREAM
    begins: aliases/blue, RESPONSE_STREAM, BUFFERED, aliases/green
    ");
}

/// Nor does a share of blue's requests go there.
#[tokio::test]
async fn a_release_that_no_longer_streams_is_no_canary() {
    let local = Local::at_once().await;
    let wire = Wire::to(&local.endpoint.url, stock()).await;
    let streams = wire.made("one", &streamed(true, ""));
    let whole = wire.made("two", &streamed(false, ""));
    let scope = wire.scope();
    let share = Percent::new(10).unwrap();
    for (live, next) in [(&whole, &streams), (&streams, &whole)] {
        for made in [live, next] {
            let staged = wire.cloud.stage(&made.release, &made.package);
            staged.await.unwrap();
            if made.release.digest == live.release.digest {
                wire.cloud
                    .promote(&scope, live.release.digest)
                    .await
                    .unwrap();
            }
        }
        let shared = wire.cloud.shift(&scope, next.release.digest, share).await;
        let refused = shared.map_err(|error| error.to_string());
        match live.release.digest == streams.release.digest {
            false => assert_eq!(refused, Ok(())),
            true => {
                let refused = refused.unwrap_err();
                assert!(refused.contains("the end of `stream`"), "{refused}");
            }
        }
    }
}

fn image(digit: char) -> AwsFunction {
    let digest: String = std::iter::repeat_n(digit, 64).collect();
    let registry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    AwsFunction {
        image: Some(format!("{registry}/shop/reorder@sha256:{digest}")),
        ..AwsFunction::default()
    }
}

/// On a server that is not ours: our own runs no images, and says so.
#[tokio::test]
async fn an_image_is_named_by_its_digest_and_a_package_never_takes_its_place() {
    let peer = peers::moto().await;
    let mut wire = Wire::to(&peer.endpoint, reorder()).await;
    let (one, two) = (
        wire.made("same", &image('a')),
        wire.made("same", &image('b')),
    );
    for (what, made) in [("the first", &one), ("another image", &two)] {
        wire.stage(what, made).await;
        wire.promote(what, made).await;
    }
    assert_snapshot!(wire.told(), @r#"
    stage the first:
      POST functions {"Code":{"ImageUri":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/reorder@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},"PackageType":"Image"}
    promote the first:
    stage another image:
      PUT functions/prod-shop0-reorder/code {"ImageUri":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/reorder@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}
    promote another image:
    "#);
    let package = wire.made("same", &AwsFunction::default());
    let refused = wire.cloud.stage(&package.release, &package.package).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("give the function another name"),
        "{refused}"
    );
    wire.told.clear();
    wire.note("refused");
    assert_eq!(wire.told(), "refused:", "nothing was sent");
    let observed = wire.cloud.observe(&wire.scope()).await.unwrap();
    assert_eq!(observed.blue.release(), Some(two.release.digest));
}
