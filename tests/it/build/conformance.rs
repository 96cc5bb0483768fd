//! The same requests through both shims of each runtime: no client and no handler can tell the clouds apart.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use verdigris::{
    build::recipe::{Entry, Recipe, Runtime},
    name::{CloudName, CodeDigest},
};

use super::{
    entry, http, node, python, recipe,
    stage::{Host, Lambda, RELEASE, Stage},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// Whose function URL a client of AWS would use; on Azure the shim finds it.
    function: String,
    name: String,
    method: String,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    base64: Option<String>,
    repeat: Option<(String, usize)>,
}

/// An answer as a client gets it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

async fn stage(runtime: Runtime) -> Stage {
    let (web, jobs, build, files): (_, _, _, &[&str]) = match runtime {
        Runtime::Python { .. } => (
            "app:app",
            "app:events",
            None,
            &["python/app.py", "python/drive.py"],
        ),
        Runtime::Node { .. } => (
            "app.mjs:answer",
            "app.mjs",
            None,
            &["node/app.mjs", "node/drive.mjs"],
        ),
        Runtime::Executable => (
            "app",
            "./app",
            Some("cc -Wall -Werror -o app app.c"),
            &["executable/app.c"],
        ),
    };
    let functions = [
        ("pages", http(web, &[], "/{page}")),
        ("echo", http(web, &[], "/echo/{rest+}")),
        ("stock", http(web, &["GET"], "/stock/{sku}")),
        (
            "jobs",
            Entry {
                queue: Some("orders".to_owned()),
                schedule: Some("0 4 * * *".to_owned()),
                ..entry(jobs)
            },
        ),
    ];
    let recipe = Recipe {
        build: build.map(str::to_owned),
        ..recipe(runtime, &functions)
    };
    Stage::set(recipe, files).await
}

// --- both clouds answer alike ---

async fn check_answers(runtime: Runtime, streams: bool) {
    let stage = stage(runtime).await;
    let host = stage.host().await;
    let mut lambdas = BTreeMap::new();
    for function in ["pages", "echo", "stock"] {
        let lambda = match streams {
            true => stage.lambda_that_streams(function).await,
            false => stage.lambda(function).await,
        };
        lambdas.insert(function.to_owned(), lambda);
    }
    let mut shown = String::new();
    for golden in requests() {
        let aws = golden.send_to_aws(&lambdas[&golden.function]).await;
        let azure = exchange(host.port, &golden.wire()).await;
        let (aws, azure) = (aws.show(), azure.show());
        assert_eq!(aws, azure, "{}: aws on the left", golden.name);
        writeln!(
            shown,
            "=== {}: {} {}\n{aws}",
            golden.name, golden.method, golden.target
        )
        .unwrap();
    }
    insta::assert_snapshot!("answers", shown);
}

#[tokio::test]
async fn python_answers_alike_on_both_clouds() {
    check_answers(python(), false).await;
}

#[tokio::test]
async fn node_answers_alike_on_both_clouds() {
    check_answers(node(), false).await;
}

#[tokio::test]
async fn an_executable_answers_alike_on_both_clouds() {
    check_answers(Runtime::Executable, false).await;
}

#[tokio::test]
async fn what_node_streams_on_one_cloud_is_the_same_answer() {
    check_answers(node(), true).await;
}

#[tokio::test]
async fn what_an_executable_streams_on_one_cloud_is_the_same_answer() {
    check_answers(Runtime::Executable, true).await;
}

// --- events ---

async fn check_events(runtime: Runtime) {
    let stage = stage(runtime).await;
    let (lambda, host) = (stage.lambda("jobs").await, stage.host().await);
    let messages = [
        r#"{"sku":"42"}"#,
        "bad",
        "plain \"é\" \u{1f600}",
        "\"quoted\"",
        "NaN",
    ];
    let failed = lambda.invoke(batch("orders", &messages)).await.unwrap();
    assert_eq!(
        failed,
        json!({ "batchItemFailures": [{ "itemIdentifier": "m-1" }] })
    );
    for (index, message) in messages.iter().enumerate() {
        let status = deliver(&host, index, message).await;
        assert_eq!(status, if *message == "bad" { 500 } else { 200 });
    }
    let event = json!({ "version": "0", "id": "call-1", "detail-type": "Scheduled Event", "source": "aws.events",
        "time": "2023-11-14T22:13:20Z", "detail": {} });
    lambda.invoke(event).await.unwrap();
    let system =
        json!({ "sys": { "UtcNow": "2023-11-14T22:13:20Z", "MethodName": "jobs_schedule" } });
    let timer = json!({ "timer": { "IsPastDue": false } });
    assert_eq!(host.invoke("jobs_schedule", timer, system).await, 200);
    assert_eq!(
        stage.seen(CloudName::Aws),
        stage.seen(CloudName::Azure),
        "aws on the left"
    );
    insta::assert_snapshot!("events", stage.seen(CloudName::Aws));
    let held = lambda
        .invoke(batch("orders.fifo", &["bad", "good"]))
        .await
        .unwrap();
    assert_eq!(held["batchItemFailures"].as_array().unwrap().len(), 2);
    assert!(lambda.invoke(json!({ "some": "thing" })).await.is_err());
    let before = stage.seen(CloudName::Aws).len();
    check_events_of_aws(&lambda).await;
    let seen = stage.seen(CloudName::Aws);
    insta::assert_snapshot!("events_of_aws", &seen[before..]);
}

/// Topics, buckets and streams, which Azure has in no form that both share.
async fn check_events_of_aws(lambda: &Lambda) {
    let topic = |message: &str| {
        json!({ "Records": [{ "EventSource": "aws:sns", "EventVersion": "1.0", "Sns": { "Type": "Notification",
            "MessageId": "n-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:news", "Message": message,
            "Timestamp": "2023-11-14T22:13:20.123Z" } }] })
    };
    lambda.invoke(topic(r#"{"sku":"42"}"#)).await.unwrap();
    assert!(lambda.invoke(topic("bad")).await.is_err());
    let bucket = json!({ "Records": [{ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2023-11-14T22:13:20.123Z",
        "s3": { "bucket": { "name": "uploads" }, "object": { "key": "in/a.txt", "size": 7, "sequencer": "01" } } }] });
    lambda.invoke(bucket).await.unwrap();
    // `good`, `bad`, `late` in base64: what is behind the one that fails waits for it.
    let record = |(number, data): (usize, &str)| {
        json!({ "eventSource": "aws:kinesis", "eventID": format!("shard-0:{number}"),
            "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
            "kinesis": { "sequenceNumber": number.to_string(), "data": data, "approximateArrivalTimestamp": 1_700_000_000.5 } })
    };
    let records: Vec<_> = ["Z29vZA==", "YmFk", "bGF0ZQ=="]
        .into_iter()
        .enumerate()
        .map(record)
        .collect();
    let failed = lambda.invoke(json!({ "Records": records })).await.unwrap();
    let expected = json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] });
    assert_eq!(failed, expected);
    let table = json!({ "Records": [{ "eventSource": "aws:dynamodb", "eventID": "e-1", "eventName": "INSERT",
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/stock/stream/2023-11-14T00:00:00.000",
        "dynamodb": { "SequenceNumber": "7", "Keys": { "sku": { "S": "42" } }, "ApproximateCreationDateTime": 1_700_000_000 } }] });
    let failed = lambda.invoke(table).await.unwrap();
    assert_eq!(failed, json!({ "batchItemFailures": [] }));
}

fn batch(queue: &str, messages: &[&str]) -> Value {
    let records = messages.iter().enumerate().map(|(index, body)| {
        json!({ "messageId": format!("m-{index}"), "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
            "attributes": { "ApproximateReceiveCount": "2", "SentTimestamp": "1700000000123" },
            "eventSourceARN": format!("arn:aws:sqs:eu-west-1:123456789012:{queue}"), "awsRegion": "eu-west-1" })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

async fn deliver(host: &Host, index: usize, message: &str) -> u16 {
    let quoted = |text: &str| Value::String(Value::String(text.to_owned()).to_string());
    let metadata = json!({ "Id": quoted(&format!("m-{index}")), "DequeueCount": "2",
        "InsertionTime": "2023-11-14T22:13:20.123Z", "sys": { "UtcNow": "x" } });
    host.invoke("jobs", json!({ "message": quoted(message) }), metadata)
        .await
}

#[tokio::test]
async fn python_gets_the_same_events_on_both_clouds() {
    check_events(python()).await;
}

#[tokio::test]
async fn node_gets_the_same_events_on_both_clouds() {
    check_events(node()).await;
}

#[tokio::test]
async fn an_executable_gets_the_same_events_on_both_clouds() {
    check_events(Runtime::Executable).await;
}

// --- Azure's connections ---

async fn check_connections(runtime: Runtime) {
    let stage = stage(runtime).await;
    let host = stage.host().await;
    assert_eq!(
        exchange(host.port, &wire("GET", "/", &[], b""))
            .await
            .status,
        404,
        "the host asks whether we are there"
    );
    let client = [("Host", "x"), ("X-Forwarded-For", "192.0.2.1")];
    let forged = exchange(host.port, &wire("POST", "/jobs", &client, b"{}")).await;
    assert!(
        forged.body.starts_with(b"POST /jobs\n"),
        "a client's request is no event"
    );
    for nonsense in [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "POST /echo/x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /echo/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ] {
        let status = exchange(host.port, nonsense.as_bytes()).await.status;
        assert_eq!(status, 400, "{nonsense:?}");
    }
    let long = format!("GET /echo/x HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    assert_eq!(exchange(host.port, long.as_bytes()).await.status, 431);
    let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    let chunked = "POST /echo/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nWiki\r\n5\r\npedia\r\n0\r\nX-T: 1\r\n\r\n";
    let last = "GET /stock/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let all = [chunked, chunked, last].concat();
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut text))
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(
        text.matches("content-length: 9\nhost: x\n\nWikipedia")
            .count(),
        2,
        "{text}"
    );
    assert_eq!(
        text.matches("GET /stock/1\nhost: x\n\n").count(),
        1,
        "{text}"
    );
}

#[tokio::test]
async fn python_keeps_connections_and_survives_nonsense() {
    check_connections(python()).await;
}

#[tokio::test]
async fn node_keeps_connections_and_survives_nonsense() {
    check_connections(node()).await;
}

#[tokio::test]
async fn an_executable_keeps_connections_and_survives_nonsense() {
    check_connections(Runtime::Executable).await;
}

#[tokio::test]
async fn a_program_that_does_not_start_is_told_to_lambda() {
    let functions = [("stock", http("app", &["GET"], "/stock"))];
    let recipe = Recipe {
        build: Some("printf '#!/bin/sh\\nexit 7\\n' > app; chmod +x app".to_owned()),
        ..recipe(Runtime::Executable, &functions)
    };
    let stage = Stage::set(recipe, &[]).await;
    let told = stage
        .lambda("stock")
        .await
        .invoke(json!({}))
        .await
        .unwrap_err();
    assert_eq!(
        told["errorMessage"],
        "`app` ended with exit status: 7 before it accepted connections"
    );
}

// === impl Golden ===

impl Golden {
    fn content(&self) -> Vec<u8> {
        let plain = self.body.clone().unwrap_or_default().into_bytes();
        let binary = self
            .base64
            .iter()
            .flat_map(|text| STANDARD.decode(text).unwrap());
        let long = self
            .repeat
            .iter()
            .flat_map(|(text, count)| text.repeat(*count).into_bytes());
        plain.into_iter().chain(binary).chain(long).collect()
    }

    fn wire(&self) -> Vec<u8> {
        let mut headers = vec![("Host", "inventory.example")];
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        wire(&self.method, &self.target, &headers, &self.content())
    }

    /// The event that a function URL makes of a request.
    fn event(&self) -> Value {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut headers = BTreeMap::from([("host".to_owned(), "inventory.example".to_owned())]);
        let mut cookies = Vec::new();
        for (name, value) in &self.headers {
            let name = name.to_lowercase();
            if name == "cookie" {
                cookies.extend(value.split("; ").map(str::to_owned));
            } else {
                let joined = headers.get(&name).map(|known| format!("{known},{value}"));
                headers.insert(name, joined.unwrap_or_else(|| value.clone()));
            }
        }
        let content = self.content();
        let is_text = self.base64.is_none();
        let body = if is_text {
            String::from_utf8(content).unwrap()
        } else {
            STANDARD.encode(content)
        };
        json!({ "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": headers, "cookies": cookies, "body": body, "isBase64Encoded": !is_text,
            "requestContext": { "http": { "method": self.method, "path": path, "sourceIp": "192.0.2.1" } } })
    }

    async fn send_to_aws(&self, lambda: &Lambda) -> Answer {
        let told = lambda.invoke(self.event()).await.unwrap();
        let text = told["body"].as_str().unwrap();
        let body = match told["isBase64Encoded"].as_bool().unwrap() {
            true => STANDARD.decode(text).unwrap(),
            false => text.as_bytes().to_vec(),
        };
        let headers = told["headers"].as_object().unwrap().iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}", value.as_str().unwrap()));
        let cookies = told["cookies"].as_array().unwrap().iter();
        let cookies = cookies.map(|cookie| format!("set-cookie: {}", cookie.as_str().unwrap()));
        let status = told["statusCode"].as_u64().unwrap().try_into().unwrap();
        Answer {
            status,
            headers: headers.chain(cookies).collect(),
            body,
        }
    }
}

impl Answer {
    fn show(&self) -> String {
        let mut headers = self.headers.clone();
        headers.sort();
        assert!(
            headers.contains(&format!("x-verdigris-release: {RELEASE}")),
            "{headers:?}"
        );
        let body = match std::str::from_utf8(&self.body) {
            Ok(text) if text.len() < 2000 && !text.contains('\0') => text.to_owned(),
            Ok(_) | Err(_) => format!(
                "({} bytes, {})",
                self.body.len(),
                CodeDigest::of(&self.body)
            ),
        };
        format!("{}\n{}\n\n{body}\n", self.status, headers.join("\n"))
    }
}

fn requests() -> Vec<Golden> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/build/golden/requests.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A request as it goes over the wire; the characters of a header are its bytes.
pub(super) fn wire(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    if !body.is_empty() || method == "POST" {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    head.push_str("\r\n");
    let narrow = head.chars().map(|c| u8::try_from(u32::from(c)).unwrap());
    narrow.chain(body.iter().copied()).collect()
}

/// Sends a request on a connection of its own, and reads the answer with its framing checked and taken off.
pub(super) async fn exchange(port: u16, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut reply = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut reply))
        .await
        .unwrap();
    assert!(read.is_ok() || !reply.is_empty(), "{read:?}");
    let end = reply
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let body = reply[end + 4..].to_vec();
    let head: String = reply[..end].iter().map(|byte| char::from(*byte)).collect();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let mut headers: Vec<String> = lines.map(str::to_owned).collect();
    let framing = format!("content-length: {}", body.len());
    headers.retain(|line| *line != framing && !line.eq_ignore_ascii_case("connection: close"));
    Answer {
        status,
        headers,
        body,
    }
}
