//! AWS's own runtime clients run what we build: our shims under them on the local Lambda, and under our small clients as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicU32, Ordering},
};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use verdigris::{
    build::{
        Builder, Limits,
        recipe::{Entry, HttpRoute, Recipe, Runtime},
    },
    local::lambda::LambdaOptions,
    name::{CloudName, FunctionName, ObjectId, ServiceName},
};

use super::{node_file, node_folder, program};
use crate::local_lambda::{Cloud, Package, options};

const PYTHON: &str = r#"
import json, os, sys

calls = 0

async def app(scope, receive, send):
    global calls
    if scope["type"] != "http":
        return
    calls += 1
    body = (await receive())["body"].decode()
    if "fail" in body:
        raise RuntimeError("as asked")
    told = {"client": "awslambdaric" if "awslambdaric" in sys.modules else "ours", "calls": calls, "process": os.getpid(),
            "seen": scope["method"] + " " + scope["path"], "body": body}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
"#;

const NODE: &str = r"
let calls = 0;

export default async (request) => {
  const body = await request.text();
  if (body.includes('fail')) throw new Error('as asked');
  const client = process.argv[1].includes('aws-lambda-ric') ? 'aws-lambda-ric' : 'ours';
  const seen = `${request.method} ${new URL(request.url).pathname}`;
  return Response.json({ client, calls: ++calls, process: process.pid, seen, body });
};
";

/// What the handler tells of itself.
#[derive(Debug, Deserialize)]
struct Told {
    client: String,
    calls: u32,
    process: u32,
    seen: String,
    body: String,
}

/// A package with one function for requests and one for messages, as the daemon builds it.
pub(super) async fn built(runtime: Runtime, file: &str, code: &str, handler: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let builder = Builder::new(folder.path().to_owned(), Limits::default());
    let workspace = builder.workspace().unwrap();
    let path = workspace.source().join(file);
    std::fs::write(&path, code).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    let entry = Entry {
        handler: handler.to_owned(),
        ..Entry::default()
    };
    let ask = Entry {
        http: Some(HttpRoute {
            methods: Vec::new(),
            path: "/ask/{what}".to_owned(),
        }),
        ..entry.clone()
    };
    let jobs = Entry {
        queue: Some("orders".to_owned()),
        ..entry
    };
    let recipe = Recipe {
        service: ServiceName::new("inventory").unwrap(),
        runtime,
        build: None,
        functions: [("ask", ask), ("jobs", jobs)]
            .into_iter()
            .map(|(name, entry)| (FunctionName::new(name).unwrap(), entry))
            .collect(),
        source_tree: ObjectId::new("a".repeat(40)).unwrap(),
        environment: BTreeMap::new(),
        host: serde_json::Map::new(),
    };
    let built = builder.build(&recipe, workspace).await.unwrap();
    std::fs::read(&built.packages[&CloudName::Aws].path).unwrap()
}

async fn python() -> Package {
    let version = "3.12".to_owned();
    Package {
        zip: built(Runtime::Python { version }, "app.py", PYTHON, "app:app").await,
        handler: "verdigris_shim.handler",
        ..Package::python("")
    }
}

pub(super) async fn node(code: &str) -> Package {
    let version = "22".to_owned();
    Package {
        zip: built(Runtime::Node { version }, "app.mjs", code, "app.mjs").await,
        handler: "verdigris_shim.handler",
        ..Package::node("")
    }
}

/// Calls both functions of the package cold and warm, through the address and through the API.
async fn runs(options: LambdaOptions, package: Package, client: &str) {
    let cloud = Cloud::start(options).await;
    for name in ["ask", "jobs"] {
        let mut package = package.clone();
        let variables = [("VERDIGRIS_FUNCTION", name), ("VERDIGRIS_RELEASE", RELEASE)];
        for (variable, value) in variables {
            package.variables.insert(variable.into(), value.into());
        }
        cloud.create(name, &package).await;
    }
    requests(&cloud, client).await;
    messages(&cloud).await;
}

pub(super) const RELEASE: &str = "sha256:00ff";

async fn requests(cloud: &Cloud, client: &str) {
    let version = cloud.publish("ask").await;
    cloud.alias("ask", "blue", &version).await;
    let address = cloud.address("ask", "blue").await;
    let http = reqwest::Client::new();
    let mut processes = Vec::new();
    for call in 1..=3 {
        let asked = http.post(format!("{address}ask/me?x=1")).body("hello");
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.headers()["x-verdigris-release"], RELEASE);
        let told: Told = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(told.client, client);
        assert_eq!(told.calls, call, "a process is used again: {told:?}");
        assert_eq!(told.seen, "POST /ask/me");
        assert_eq!(told.body, "hello");
        processes.push(told.process);
    }
    processes.dedup();
    assert_eq!(processes.len(), 1);
    let failed = http.post(format!("{address}ask/me")).body("fail");
    assert_eq!(failed.send().await.unwrap().status(), 500);
    let missed = http.get(format!("{address}other")).send().await.unwrap();
    assert_eq!(missed.status(), 404);
}

/// A queue gets back what failed, and only that.
pub(super) async fn messages(cloud: &Cloud) {
    let record = |id: &str, body: &str| {
        json!({
            "messageId": id, "body": body, "eventSource": "aws:sqs", "receiptHandle": "r", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:orders",
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
        })
    };
    let event = json!({"Records": [record("1", "fine"), record("2", "fail"), record("3", "fine")]});
    let (answer, error) = cloud.invoke("jobs", &event.to_string()).await;
    assert_eq!(error, None, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer,
        json!({"batchItemFailures": [{"itemIdentifier": "2"}]})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn awslambdaric_runs_our_python_shim() {
    let theirs = LambdaOptions {
        python: program("python"),
        ..options()
    };
    runs(theirs, python().await, "awslambdaric").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_lambda_ric_runs_our_node_shim() {
    node_file("aws-lambda-ric/bin/index.mjs");
    let theirs = LambdaOptions {
        node_ric: Some(node_folder()),
        ..options()
    };
    runs(theirs, node(NODE).await, "aws-lambda-ric").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_clients_run_the_same_packages() {
    // An environment of its own has no runtime client of AWS's, whatever this machine has.
    let folder = tempfile::tempdir().unwrap();
    let mut bare = tokio::process::Command::new("python3");
    bare.args(["-m", "venv", "--without-pip"])
        .arg(folder.path());
    assert!(bare.status().await.unwrap().success());
    let ours = LambdaOptions {
        python: folder.path().join("bin/python"),
        ..options()
    };
    runs(ours.clone(), python().await, "ours").await;
    runs(ours, node(NODE).await, "ours").await;
}

/// Lambda gives a program this and nothing else.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the program that `a_bootstrap_on_lambda_runtime_answers` runs"]
async fn bootstrap() {
    let calls = AtomicU32::new(0);
    let answer = async |event: LambdaEvent<Value>| {
        let calls = calls.fetch_add(1, Ordering::Relaxed) + 1;
        match event.payload["sku"].as_str() {
            Some(sku) => Ok(json!({
                "sku": sku,
                "calls": calls,
                "request": event.context.request_id,
                "function": event.context.invoked_function_arn,
            })),
            None => Err(Error::from("an article has a number")),
        }
    };
    lambda_runtime::run(service_fn(answer)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_on_lambda_runtime_answers() {
    let ourselves = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec {} --exact {}::bootstrap --ignored --nocapture\n",
        ourselves.display(),
        module_path!().trim_start_matches("it::"),
    );
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &Package::shell(&script)).await;
    let mut requests = BTreeSet::new();
    for call in 1..=3 {
        let (answer, error) = cloud.invoke("stock", r#"{"sku": "a-1"}"#).await;
        assert_eq!(error, None, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["sku"], "a-1");
        assert_eq!(answer["calls"], call, "the process is used again");
        let function = answer["function"].as_str().unwrap();
        assert!(function.ends_with(":function:stock"), "{function}");
        requests.insert(answer["request"].to_string());
    }
    assert_eq!(requests.len(), 3);
    let (answer, error) = cloud.invoke("stock", "{}").await;
    assert_eq!(error.as_deref(), Some("Unhandled"), "{answer}");
    assert!(answer.contains("an article has a number"), "{answer}");
}
