//! Answers that are passed on as they are made, by function URL: what AWS's own Node client streams, and ours, and executables.

use std::{fs, path::Path, sync::Arc, time::Duration};

use aws_sdk_lambda::types::InvokeMode;
use reqwest::Response;
use tokio::time::timeout;
use verdigris::{
    build::recipe::Runtime,
    cloud::{self, Cloud as _, aws::AwsCloud},
    local::lambda::LambdaOptions,
    manifest::{
        aws::{AwsFunction, UrlOptions},
        spec::{self, EnvValue, HttpRoute, PathPattern},
    },
    name::{CodeDigest, FunctionName},
};

use super::{
    node_file, node_folder,
    runtime_clients::{RELEASE, built, messages, node},
};
use crate::{
    cloud_aws::{
        aws,
        duties::{Local, hand},
    },
    cloud_contract::release::{Fixture, Made},
    local_lambda::{Cloud, Package, options},
};

/// Says its first words, and the last ones when a file is there that says so.
const NODE: &str = r"
import { existsSync } from 'node:fs';

const told = async (name) => {
  while (!existsSync(`${process.env.SIGNALS}/${name}`)) await new Promise((done) => setTimeout(done, 5));
};

async function* words(name) {
  yield 'first, ';
  await told(name);
  if (name === 'broken') throw new Error('a secret detail');
  yield 'last';
}

const mebibytes = (count) => new ReadableStream({
  pull(stream) {
    if (count === 0) return stream.close();
    count -= 1;
    stream.enqueue(new Uint8Array(1 << 20).fill(120));
  },
});

export default async (request) => {
  const name = new URL(request.url).pathname.split('/').at(-1);
  if (request.method === 'POST') return new Response(null, { status: (await request.text()).includes('fail') ? 500 : 200 });
  if (name === 'elsewhere') return new Response(null, { status: 302, headers: { location: '/there' } });
  if (name === 'large') return new Response(mebibytes(7));
  const headers = new Headers({ 'content-type': 'text/event-stream', 'x-kind': 'words' });
  headers.append('set-cookie', 'a=1');
  headers.append('set-cookie', 'b=2');
  return new Response(words(name), { status: 201, headers });
};
";

/// The same in a program.
const PROGRAM: &str = r#"#!/usr/bin/env python3
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def head(self, status, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.head(500 if b"fail" in body else 200, ("content-length", "0"))

    def do_GET(self):
        name = self.path.split("/")[-1]
        if name == "elsewhere":
            return self.head(302, ("location", "/there"), ("content-length", "0"))
        if name == "large":
            self.head(200, ("content-length", str(7 << 20)))
            return self.wfile.write(b"x" * (7 << 20))
        self.head(201, ("content-type", "text/event-stream"), ("x-kind", "words"), ("set-cookie", "a=1"), ("set-cookie", "b=2"),
                  ("transfer-encoding", "chunked"))
        self.chunk(b"first, ")
        while not os.path.exists(os.environ["SIGNALS"] + "/" + name):
            time.sleep(0.005)
        if name == "broken":
            self.log_message("a secret detail")
            self.close_connection = True
            return
        self.chunk(b"last")
        self.wfile.write(b"0\r\n\r\n")

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

async fn executable() -> Package {
    Package {
        zip: built(Runtime::Executable, "app", PROGRAM, "app").await,
        ..Package::shell("")
    }
}

/// A handler that answers as `NODE` does, with two addresses: one passes its answers on as they are made, the other waits for all of them.
struct Story {
    cloud: Cloud,
    signals: tempfile::TempDir,
    streamed: String,
    whole: String,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Story {
    async fn begin(options: LambdaOptions, mut package: Package) -> Self {
        let cloud = Cloud::start(options).await;
        let signals = tempfile::tempdir().unwrap();
        let folder = signals.path().to_str().unwrap();
        let asked = r#"{"auth":"none","stream":true}"#;
        for name in ["ask", "jobs"] {
            let variables = [
                ("SIGNALS", folder),
                ("VERDIGRIS_FUNCTION", name),
                ("VERDIGRIS_HTTP", asked),
                ("VERDIGRIS_RELEASE", RELEASE),
            ];
            for (variable, value) in variables {
                package.variables.insert(variable.into(), value.into());
            }
            cloud.create(name, &package).await;
        }
        let version = cloud.publish("ask").await;
        cloud.alias("ask", "blue", &version).await;
        cloud.alias("ask", "whole", &version).await;
        let mode = InvokeMode::ResponseStream;
        Self {
            streamed: cloud.address_by("ask", "blue", mode).await,
            whole: cloud.address("ask", "whole").await,
            cloud,
            signals,
        }
    }

    fn tell(&self, name: &str) {
        fs::write(Path::new(self.signals.path()).join(name), "").unwrap();
    }
}

async fn get(address: &str, path: &str) -> Response {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let asked = client.build().unwrap().get(format!("{address}ask/{path}"));
    let answer = timeout(PATIENCE, asked.send()).await;
    answer.expect("the answer does not begin").unwrap()
}

/// Whoever answers: the head that was asked for.
fn check_head(answer: &Response, release: &str) {
    assert_eq!(answer.status(), 201);
    let headers = answer.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["x-kind"], "words");
    assert_eq!(headers["x-verdigris-release"], release);
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

/// The handler says its last words only when the test has read the first ones.
async fn first_words_arrive_before_the_last_are_said(story: &Story) {
    let mut answer = get(&story.streamed, "words").await;
    check_head(&answer, RELEASE);
    let first = timeout(PATIENCE, answer.chunk()).await;
    let first = first.expect("the first words do not arrive").unwrap();
    assert_eq!(first.unwrap(), "first, ");
    story.tell("words");
    assert_eq!(answer.text().await.unwrap(), "last");
}

/// Lambda takes what was told before for a good answer; the reason is in the log alone.
async fn what_breaks_in_the_middle_ends_early(story: &Story) {
    let mut answer = get(&story.streamed, "broken").await;
    check_head(&answer, RELEASE);
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first, ");
    story.tell("broken");
    assert_eq!(answer.text().await.unwrap(), "");
    let log = story
        .cloud
        .log_with("ask", "Error Type: Verdigris.Shim")
        .await;
    assert!(log.contains("a secret detail"), "{log}");
}

async fn answers_are_no_longer_limited_to_six_megabytes(story: &Story) {
    let large = get(&story.streamed, "large").await;
    assert_eq!(large.headers()["content-type"], "application/octet-stream");
    assert_eq!(large.bytes().await.unwrap().len(), 7 << 20);
    assert_eq!(get(&story.whole, "large").await.status(), 502);
}

/// Status and headers come without a body, too, and so do refusals of our own.
async fn answers_without_a_body_keep_their_head(story: &Story) {
    let elsewhere = get(&story.streamed, "elsewhere").await;
    assert_eq!(elsewhere.status(), 302);
    assert_eq!(elsewhere.headers()["location"], "/there");
    assert_eq!(elsewhere.text().await.unwrap(), "");
    let missed = get(&story.streamed, "no/such/path").await;
    assert_eq!(missed.status(), 404);
    assert_eq!(missed.text().await.unwrap(), "not found\n");
}

/// An address that waits for all of an answer shows the same.
async fn an_address_without_streams_answers_the_same(story: &Story) {
    let answer = get(&story.whole, "words").await;
    check_head(&answer, RELEASE);
    assert_eq!(answer.text().await.unwrap(), "first, last");
}

/// What is no request is answered in one piece, and what fails has failed.
async fn events_are_taken_and_refused_as_ever(story: &Story) {
    messages(&story.cloud).await;
    let topic = |message: &str| {
        let told = serde_json::json!({"Records": [{"EventSource": "aws:sns", "Sns": {
            "MessageId": "n-1", "TopicArn": "arn:aws:sns:us-east-1:111122223333:news", "Message": message}}]});
        told.to_string()
    };
    let told = story.cloud.invoke("jobs", &topic("fine")).await;
    assert_eq!(told, ("null".to_owned(), None));
    let (answer, error) = story.cloud.invoke("jobs", &topic("fail")).await;
    assert_eq!(error.as_deref(), Some("Unhandled"), "{answer}");
    let told = story.cloud.invoke("jobs", &topic("fine")).await;
    assert_eq!(told, ("null".to_owned(), None));
}

async fn check(options: LambdaOptions, package: Package) {
    let story = Story::begin(options, package).await;
    first_words_arrive_before_the_last_are_said(&story).await;
    an_address_without_streams_answers_the_same(&story).await;
    what_breaks_in_the_middle_ends_early(&story).await;
    answers_are_no_longer_limited_to_six_megabytes(&story).await;
    answers_without_a_body_keep_their_head(&story).await;
    events_are_taken_and_refused_as_ever(&story).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_lambda_ric_streams_what_a_node_handler_streams() {
    node_file("aws-lambda-ric/bin/index.mjs");
    let theirs = LambdaOptions {
        node_ric: Some(node_folder()),
        ..options()
    };
    check(theirs, node(NODE).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_client_streams_what_a_node_handler_streams() {
    check(options(), node(NODE).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_stream() {
    check(options(), executable().await).await;
}

/// A release of `NODE`, as a manifest asks for it.
fn made(fixture: &Fixture, zip: &Path, signals: &Path, stream: bool) -> Made {
    let ask = FunctionName::new("ask").unwrap();
    let mut made = fixture.release_with("", &[ask], |_, function| {
        function.queue = None;
        function.http = Some(HttpRoute {
            methods: Vec::new(),
            path: PathPattern("/ask/{what}".to_owned()),
        });
        let folder = signals.to_str().unwrap().to_owned();
        let folder = EnvValue::Plain(folder);
        function.env.insert("SIGNALS".to_owned(), folder);
        let url = UrlOptions {
            stream,
            ..UrlOptions::default()
        };
        function.aws = Some(Box::new(AwsFunction {
            url: Some(url),
            ..AwsFunction::default()
        }));
    });
    let content = Arc::make_mut(&mut made.release.content);
    content.runtime = spec::Runtime::Node("22".to_owned());
    made.release.digest = content.digest();
    let bytes = fs::read(zip).unwrap();
    made.package = cloud::Package {
        code: CodeDigest::of(&bytes),
        path: zip.to_owned(),
        size: bytes.len() as u64,
    };
    made
}

/// From `stream` in a manifest to the first words at blue's address, from there to a release without it, and back.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_streams_as_its_manifest_asks() {
    let (local, fixture) = (Local::at_once().await, Fixture::new(0));
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let folder = tempfile::tempdir().unwrap();
    let (zip, signals) = (folder.path().join("zip"), folder.path());
    fs::write(&zip, node(NODE).await.zip).unwrap();
    let of = |stream| made(&fixture, &zip, signals, stream);
    let mut scope = fixture.scope();
    scope.functions = [FunctionName::new("ask").unwrap()].into();
    for (name, stream) in [("one", true), ("two", false), ("three", true)] {
        let Made { release, package } = of(stream);
        cloud.stage(&release, &package).await.unwrap();
        cloud.promote(&scope, release.digest).await.unwrap();
        let url = hand(&local.endpoint.url).get_function_url_config();
        let url = url.function_name("prod-shop0-ask").qualifier("blue");
        let url = url.send().await.unwrap().function_url;
        let tell = || fs::write(signals.join(name), "").unwrap();
        if !stream {
            tell();
        }
        let mut answer = get(&url, name).await;
        check_head(&answer, &release.digest.to_string());
        if stream {
            let first = timeout(PATIENCE, answer.chunk()).await;
            let first = first.expect("the first words do not arrive").unwrap();
            assert_eq!(first.unwrap(), "first, ");
            tell();
        }
        let whole = if stream { "last" } else { "first, last" };
        assert_eq!(answer.text().await.unwrap(), whole);
    }
}
