//! Topics and buckets call blue and nothing else: on our endpoint and on servers that are not ours.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::Method,
    response::Response,
};
use tokio::{net::TcpListener, task::JoinHandle};
use url::{Url, form_urlencoded};
use verdigris::{
    cloud::{Cloud as _, CloudError, aws::AwsCloud},
    manifest::aws::{AwsFunction, Bucket, EventSource, Topic},
};

use crate::{
    cloud_aws::{
        aws,
        duties::{Local, each_once_from_both, letterbox},
    },
    cloud_contract::{
        patient::Patient,
        peers::{self, authorization},
        proxy::forward,
        release::{Fixture, Made, reorder, stock},
    },
};

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:news";
const BUCKET: &str = "uploads";
const THEIRS: &str = "<Id>theirs</Id>";

/// An operation of SNS; its answer.
pub(crate) async fn sns(endpoint: &Url, operation: &str, parameters: &[(&str, String)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", operation);
    form.append_pair("Version", "2010-03-31");
    let asked = form.extend_pairs(parameters).finish();
    peers::ask(endpoint, "eu-west-1/sns", asked).await
}

/// ARNs of all who are subscribed, and what they are.
async fn subscriptions(endpoint: &Url) -> Vec<(String, String)> {
    let about = [("TopicArn", TOPIC.to_owned())];
    let told = sns(endpoint, "ListSubscriptionsByTopic", &about).await;
    let told = roxmltree::Document::parse(&told).unwrap();
    let texts = |name: &str| {
        let named = told.descendants().filter(|it| it.tag_name().name() == name);
        let texts = named.filter_map(|it| it.text().map(str::to_owned));
        texts.collect::<Vec<_>>()
    };
    let arns = texts("SubscriptionArn").into_iter();
    arns.zip(texts("Endpoint")).collect()
}

/// The only one.
pub(crate) async fn subscription(endpoint: &Url) -> String {
    let mut all = subscriptions(endpoint).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).0
}

/// What the bucket tells; first of all it is told what to.
pub(crate) async fn notifications(endpoint: &Url, given: Option<String>) -> String {
    let url = endpoint.join(&format!("{BUCKET}?notification")).unwrap();
    let client = reqwest::Client::new();
    if let Some(text) = given {
        let put = client.put(url.clone()).body(text);
        let put = put.header("authorization", authorization("eu-west-1/s3"));
        let answer = put.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
    let get = client.get(url);
    let get = get.header("authorization", authorization("eu-west-1/s3"));
    get.send().await.unwrap().text().await.unwrap()
}

/// Somebody else's topic and bucket, which tells somebody else, too.
async fn prepare(endpoint: &Url) {
    sns(endpoint, "CreateTopic", &[("Name", "news".to_owned())]).await;
    create_bucket(endpoint).await;
    let theirs = format!(
        "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><QueueConfiguration>{THEIRS}\
         <Queue>arn:aws:sqs:eu-west-1:123456789012:orders</Queue><Event>s3:ObjectRemoved:*</Event></QueueConfiguration>\
         </NotificationConfiguration>"
    );
    let told = notifications(endpoint, Some(theirs)).await;
    assert!(told.contains(THEIRS), "{told}");
}

/// In the region of the functions, else it could not call them.
async fn create_bucket(endpoint: &Url) {
    let place = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    let put = reqwest::Client::new().put(endpoint.join(BUCKET).unwrap());
    let put = put.header("authorization", authorization("eu-west-1/s3"));
    let answer = put.body(place).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

fn told(fixture: &Fixture, body: &str, filter: Option<&str>, prefix: &str) -> Made {
    fixture.release_with(body, &[reorder()], |_, function| {
        function.queue = None;
        let topic = Topic {
            arn: TOPIC.to_owned(),
            filter: filter.map(str::to_owned),
        };
        let bucket = Bucket {
            name: BUCKET.to_owned(),
            on: ["s3:ObjectCreated:*".to_owned()].into(),
            prefix: Some(prefix.to_owned()),
            suffix: Some(".json".to_owned()),
        };
        let aws = AwsFunction {
            events: [
                ("news".to_owned(), EventSource::Topic(topic)),
                ("uploads".to_owned(), EventSource::Bucket(bucket)),
            ]
            .into(),
            ..AwsFunction::default()
        };
        function.aws = Some(Box::new(aws));
    })
}

fn silent(fixture: &Fixture) -> Made {
    fixture.release_with("silent", &[reorder()], |_, function| function.queue = None)
}

async fn events_come_and_go(endpoint: &Url) {
    prepare(endpoint).await;
    let cloud = Patient(AwsCloud::new(aws(endpoint, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let mut scope = fixture.scope();
    scope.functions = [reorder()].into();
    let silent = silent(&fixture);
    let orders = told(&fixture, "orders", Some(r#"{"kind": ["order"]}"#), "in/");
    let all = told(&fixture, "all", None, "other/");
    let code = told(&fixture, "code", None, "other/");
    for made in [&silent, &orders, &all, &code, &orders, &silent, &all] {
        cloud.stage(&made.release, &made.package).await.unwrap();
        let release = made.release.digest;
        cloud.promote(&scope, release).await.unwrap();
        let observed = cloud.observe(&scope).await.unwrap();
        let expected = cloud.expected(&made.release, made.package.code);
        let blue = observed.blue.holding().expect("a release");
        assert_eq!(blue.fields, expected);
        let called: BTreeSet<_> = subscriptions(endpoint)
            .await
            .into_iter()
            .map(|(_, function)| function)
            .collect();
        let wanted = match release == silent.release.digest {
            true => BTreeSet::new(),
            false => BTreeSet::from([blue_arn(&fixture)]),
        };
        assert_eq!(called, wanted);
        let told = notifications(endpoint, None).await;
        assert!(told.contains(THEIRS), "{told}");
        let ours = told.matches("<CloudFunctionConfiguration>").count();
        assert_eq!(ours, wanted.len(), "{told}");
    }
    cloud.prune(&scope).await.unwrap();
    assert_eq!(subscriptions(endpoint).await, []);
    let told = notifications(endpoint, None).await;
    assert!(
        told.contains(THEIRS) && !told.contains("CloudFunction"),
        "{told}"
    );
}

fn blue_arn(fixture: &Fixture) -> String {
    let service = &fixture.service.service;
    format!(
        "arn:aws:lambda:eu-west-1:123456789012:function:prod-{service}-{}:blue",
        reorder()
    )
}

#[tokio::test]
async fn events_come_and_go_on_our_endpoint() {
    let local = Local::start().await;
    events_come_and_go(&local.endpoint.url).await;
}

#[tokio::test]
async fn events_come_and_go_on_moto() {
    let peer = peers::moto().await;
    events_come_and_go(&peer.endpoint).await;
}

#[tokio::test]
async fn events_come_and_go_on_ministack() {
    let peer = peers::ministack().await;
    events_come_and_go(&peer.endpoint).await;
}

/// What they call is the alias, and the alias moves by itself.
#[tokio::test]
async fn a_promotion_that_changes_no_event_asks_neither_topic_nor_bucket_for_anything() {
    let local = Local::at_once().await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::from_secs(300))).await;
    let fixture = Fixture::new(0);
    let mut scope = fixture.scope();
    scope.functions = [reorder()].into();
    let (one, two) = (
        told(&fixture, "one", None, "in/"),
        told(&fixture, "two", None, "in/"),
    );
    for made in [&one, &two] {
        cloud.observe(&scope).await.unwrap();
        cloud.stage(&made.release, &made.package).await.unwrap();
        cloud.observe(&scope).await.unwrap();
        let before = cloud.calls();
        cloud.promote(&scope, made.release.digest).await.unwrap();
        let after = cloud.calls();
        let asked = [
            "Subscribe",
            "PutBucketNotificationConfiguration",
            "AddPermission",
        ]
        .map(|it| {
            after.get(it).copied().unwrap_or_default() - before.get(it).copied().unwrap_or_default()
        });
        let expected = match made.release.digest == one.release.digest {
            true => [1, 1, 2],
            false => [0, 0, 0],
        };
        assert_eq!(asked, expected);
    }
    let seen = cloud.observe(&scope).await.unwrap();
    let expected = cloud.expected(&two.release, two.package.code);
    assert_eq!(seen.blue.holding().expect("a release").fields, expected);
}

/// Posts `release message` for what comes from the topic, and `release key` for what comes from the bucket.
fn teller(port: u16, release: &str) -> String {
    format!(
        "import urllib.request\n\
         def handler(event, context):\n\
         \x20   for record in event['Records']:\n\
         \x20       told = record['Sns']['Message'] if 'Sns' in record else record['s3']['object']['key']\n\
         \x20       body = ('{release} ' + told + ':END').encode()\n\
         \x20       urllib.request.urlopen('http://127.0.0.1:{port}/', data=body).read()\n"
    )
}

#[tokio::test]
async fn nothing_that_is_told_is_lost_or_told_twice_while_releases_come_and_go() {
    let local = Local::start().await;
    let endpoint = &local.endpoint.url;
    let cloud = Patient(AwsCloud::new(aws(endpoint, Duration::ZERO)).await);
    let fixture = Fixture::new(0);
    let (port, letters) = letterbox().await;
    let made = |name: &str| {
        let plain = told(&fixture, name, None, "in/");
        let mut made = fixture.release_of_code(name, &[reorder()], &teller(port, name));
        let content = Arc::make_mut(&mut made.release.content);
        content.functions = plain.release.content.functions.clone();
        made.release.digest = made.release.content.digest();
        made
    };
    let (one, two) = (made("one"), made("two"));
    let mut scope = fixture.scope();
    scope.functions = [reorder()].into();
    cloud.stage(&one.release, &one.package).await.unwrap();
    cloud.promote(&scope, one.release.digest).await.unwrap();
    cloud.stage(&two.release, &two.package).await.unwrap();
    let client = reqwest::Client::new();
    for number in 0..20 {
        let message = [
            ("TopicArn", TOPIC.to_owned()),
            ("Message", format!("m{number}")),
        ];
        sns(endpoint, "Publish", &message).await;
        for folder in ["in", "out"] {
            let key = format!("{BUCKET}/{folder}/{number}.json");
            let put = client.put(endpoint.join(&key).unwrap()).body("{}");
            let put = put.header("authorization", authorization("eu-west-1/s3"));
            assert!(put.send().await.unwrap().status().is_success());
        }
        match number {
            7 => cloud.promote(&scope, two.release.digest).await.unwrap(),
            14 => cloud.promote(&scope, one.release.digest).await.unwrap(),
            _ => {}
        }
    }
    each_once_from_both(&letters, 40, 1_000).await;
}

/// What somebody else writes right after us.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    /// They had read before we wrote.
    Blind,
    /// They had read what we wrote.
    Seeing,
}

#[derive(Debug, Default)]
struct Seen {
    meddlings: Vec<Meddling>,
    writes: usize,
}

/// Stands before a server, and writes what a bucket tells right after us.
struct Meddler {
    endpoint: Url,
    seen: Arc<Mutex<Seen>>,
    server: JoinHandle<()>,
}

type Shared = (Url, reqwest::Client, Arc<Mutex<Seen>>);

impl Meddler {
    async fn before(upstream: &Url, meddlings: &[Meddling]) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            meddlings: meddlings.to_vec(),
            writes: 0,
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = (upstream.clone(), reqwest::Client::new(), Arc::clone(&seen));
        let router = Router::new().fallback(meddle).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            endpoint: Url::parse(&format!("http://{address}/")).unwrap(),
            seen,
            server,
        }
    }

    fn writes(&self) -> usize {
        self.seen.lock().unwrap().writes
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn meddle(State((upstream, client, seen)): State<Shared>, request: Request) -> Response {
    let is_ours = request.method() == Method::PUT && request.uri().query() == Some("notification");
    if !is_ours {
        return forward(&upstream, &client, request).await;
    }
    let next = {
        let mut seen = seen.lock().unwrap();
        seen.writes += 1;
        seen.meddlings.pop()
    };
    let before = notifications(&upstream, None).await;
    let number = before.matches("<Id>late").count() + 1;
    let answer = forward(&upstream, &client, request).await;
    let read = match next {
        None => return answer,
        Some(Meddling::Blind) => before,
        Some(Meddling::Seeing) => notifications(&upstream, None).await,
    };
    let end = "</NotificationConfiguration>";
    let late = format!(
        "<QueueConfiguration><Id>late{number}</Id><Queue>arn:aws:sqs:eu-west-1:123456789012:orders</Queue>\
         <Event>s3:ObjectRemoved:Delete</Event></QueueConfiguration>{end}"
    );
    notifications(&upstream, Some(read.replace(end, &late))).await;
    answer
}

/// Somebody else's notifications come in the same moment as ours: both are there, and nothing that was there is lost.
async fn nobody_is_overwritten(endpoint: &Url) {
    prepare(endpoint).await;
    for (index, (meddling, writes)) in [(Meddling::Blind, 2), (Meddling::Seeing, 1)]
        .into_iter()
        .enumerate()
    {
        let meddler = Meddler::before(endpoint, &[meddling]).await;
        let cloud = Patient(AwsCloud::new(aws(&meddler.endpoint, Duration::ZERO)).await);
        let fixture = Fixture::new(index);
        let mut scope = fixture.scope();
        scope.functions = [reorder()].into();
        let made = told(&fixture, "one", None, &format!("in{index}/"));
        cloud.stage(&made.release, &made.package).await.unwrap();
        let release = made.release.digest;
        cloud.promote(&scope, release).await.unwrap();
        assert_eq!(meddler.writes(), writes, "{meddling:?}");
        let now = notifications(endpoint, None).await;
        let late = format!("<Id>late{}</Id>", index + 1);
        for part in [THEIRS, &late, &blue_arn(&fixture)] {
            assert!(now.contains(part), "{meddling:?}: no {part} in {now}");
        }
        cloud.prune(&scope).await.unwrap();
        let now = notifications(endpoint, None).await;
        assert!(!now.contains(&blue_arn(&fixture)), "{now}");
        assert!(now.contains(THEIRS) && now.contains(&late), "{now}");
    }
}

#[tokio::test]
async fn nobody_is_overwritten_who_writes_in_the_same_moment() {
    nobody_is_overwritten(&Local::at_once().await.endpoint.url).await;
}

#[tokio::test]
async fn nobody_is_overwritten_who_writes_in_the_same_moment_on_moto() {
    nobody_is_overwritten(&peers::moto().await.endpoint).await;
}

#[tokio::test]
async fn nobody_is_overwritten_who_writes_in_the_same_moment_on_ministack() {
    nobody_is_overwritten(&peers::ministack().await.endpoint).await;
}

#[tokio::test]
async fn somebody_who_writes_again_and_again_is_waited_for() {
    let local = Local::at_once().await;
    let endpoint = &local.endpoint.url;
    prepare(endpoint).await;
    let meddler = Meddler::before(endpoint, &[Meddling::Blind; 9]).await;
    let cloud = AwsCloud::new(aws(&meddler.endpoint, Duration::ZERO)).await;
    let fixture = Fixture::new(0);
    let mut scope = fixture.scope();
    scope.functions = [reorder()].into();
    let made = told(&fixture, "one", None, "in/");
    cloud.stage(&made.release, &made.package).await.unwrap();
    let promoted = cloud.promote(&scope, made.release.digest).await;
    assert!(
        matches!(promoted, Err(CloudError::Busy { .. })),
        "{promoted:?}"
    );
    let now = notifications(endpoint, None).await;
    assert!(now.contains(THEIRS) && now.contains("late3"), "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_share_a_bucket_do_not_overwrite_one_another() {
    let local = Local::at_once().await;
    let endpoint = &local.endpoint.url;
    prepare(endpoint).await;
    let cloud = AwsCloud::new(aws(endpoint, Duration::ZERO)).await;
    let services = (0..6).map(async |index| {
        let fixture = Fixture::new(index);
        let made = fixture.release_with("one", &[stock(), reorder()], |name, function| {
            let bucket = Bucket {
                name: BUCKET.to_owned(),
                on: ["s3:ObjectCreated:*".to_owned()].into(),
                prefix: Some(format!("{index}/{name}/")),
                suffix: None,
            };
            function.queue = None;
            function.aws = Some(Box::new(AwsFunction {
                events: [("uploads".to_owned(), EventSource::Bucket(bucket))].into(),
                ..AwsFunction::default()
            }));
        });
        cloud.stage(&made.release, &made.package).await.unwrap();
        let release = made.release.digest;
        cloud.promote(&fixture.scope(), release).await.unwrap();
    });
    futures_util::future::join_all(services).await;
    let now = notifications(endpoint, None).await;
    let ours = now.matches("<CloudFunctionConfiguration>").count();
    assert_eq!(ours, 12, "{now}");
    assert!(now.contains(THEIRS), "{now}");
}
