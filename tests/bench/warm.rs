//! One call after the other of a function that is warm, from the client's request to its answer: through the endpoint, what it speaks with
//! the process, the vendor's own client in there where it is installed, and back.
//!
//! `VERDIGRIS_BENCH_CALLS` (2000) says how many. `VERDIGRIS_TEST_VENV`, `VERDIGRIS_TEST_NODE` and `VERDIGRIS_TEST_AZURE_WORKER` say where the
//! vendors' clients are; without them our own small ones run, and Azure's worker is left out. A build without optimisation says so.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(
    clippy::disallowed_methods,
    reason = "sizes and places come from the environment"
)]

#[expect(dead_code, reason = "the other benches use the rest of it")]
mod kit;

use std::{io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{FunctionCode, Runtime, State},
};
use kit::{Figure, line, millis, setting, title};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;
use verdigris::{
    clock::SystemClock,
    local::{
        arm::{self, ArmOptions},
        lambda::{self, LambdaOptions},
    },
};
use zip::{ZipWriter, write::SimpleFileOptions};

const PYTHON: &str = "def handler(event, context):\n    return event\n";
const NODE: &str = "exports.handler = async (event) => event;\n";
const AZURE: &str = "import azure.functions as func\n\ndef main(req: func.HttpRequest) -> func.HttpResponse:\n    return func.HttpResponse(req.get_body())\n";
const TRIGGER: &str = r#"{"bindings": [{"type": "httpTrigger", "authLevel": "anonymous", "direction": "in", "name": "req"}, {"type": "http", "direction": "out", "name": "$return"}]}"#;
/// The least that a handler of one's own can be.
const HANDLER: &str = r#"
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *args): pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
"#;
const HANDLED: &str = r#"{"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "python3", "arguments": ["handler.py"]}, "enableForwardingHttpRequest": true}}"#;

fn place(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Cold once, then warm; the answer is what was asked.
async fn called(what: &'static str, url: Url) {
    // Plain HTTP, so that the figure is the endpoint's and not the vendor's client's.
    let http = reqwest::Client::builder().tcp_nodelay(true);
    let http = http.build().unwrap();
    title(what);
    let mut figure = Figure::new("a warm call");
    for call in 0..setting("VERDIGRIS_BENCH_CALLS", 2_000) + 1 {
        let asked = http.post(url.clone()).body(r#"{"n": 1}"#);
        let start = Instant::now();
        let answer = asked.send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert_eq!(text.replace(' ', ""), r#"{"n":1}"#);
        // The first one starts the process.
        match call {
            0 => line("the first call, ms", &millis(start.elapsed())),
            _ => figure.add(start.elapsed()),
        }
    }
    figure.print();
    line("the 99th of 100, ms", &millis(figure.share(99)));
}

// --- AWS ---

async fn make(client: &Client, name: &str, runtime: Runtime, handler: &str, zip: Vec<u8>) {
    let code = FunctionCode::builder().zip_file(Blob::new(zip)).build();
    let asked = client.create_function().function_name(name);
    let asked = asked.role("arn:aws:iam::123456789012:role/functions");
    let asked = asked.runtime(runtime).handler(handler).code(code);
    asked.send().await.unwrap();
    let is_active = async || {
        let told = client.get_function().function_name(name).send().await;
        told.unwrap().configuration.unwrap().state == Some(State::Active)
    };
    while !is_active().await {
        sleep(Duration::from_millis(20)).await;
    }
}

fn bootstrap() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let built = folder.path().join("bootstrap");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/warm/bootstrap.c");
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-D_GNU_SOURCE", "-O1", "-o"]).arg(&built);
    assert!(compiler.arg(source).status().unwrap().success());
    std::fs::read(built).unwrap()
}

async fn aws(stop: &CancellationToken) {
    let venv = place("VERDIGRIS_TEST_VENV").map(|venv| venv.join("bin/python"));
    let usual = LambdaOptions::default();
    let options = LambdaOptions {
        account: "123456789012".to_owned(),
        python: venv.unwrap_or(usual.python),
        node_ric: place("VERDIGRIS_TEST_NODE"),
        ..LambdaOptions::default()
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let endpoint = lambda::start(address, options, Arc::new(SystemClock), stop.clone());
    let endpoint = endpoint.await.unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint.url.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"));
    let client = Client::from_conf(config.build());
    let (python, node) = (PYTHON.as_bytes(), NODE.as_bytes());
    let provided = bootstrap();
    let cases = [
        (
            "Lambda, Python",
            "python",
            Runtime::Python312,
            zipped(&[("app.py", python)]),
        ),
        (
            "Lambda, Node",
            "node",
            Runtime::Nodejs20x,
            zipped(&[("app.js", node)]),
        ),
        (
            "Lambda, a program of its own",
            "own",
            Runtime::Providedal2023,
            zipped(&[("bootstrap", &provided)]),
        ),
    ];
    for (what, name, runtime, zip) in cases {
        make(&client, name, runtime, "app.handler", zip).await;
        let path = format!("2015-03-31/functions/{name}/invocations");
        called(what, endpoint.url.join(&path).unwrap()).await;
    }
    stop.cancel();
    endpoint.finished().await;
}

// --- Azure ---

async fn azure(stop: &CancellationToken) {
    let worker = place("VERDIGRIS_TEST_AZURE_WORKER");
    let options = ArmOptions {
        python: worker.clone().unwrap_or_default().join("bin/python"),
        ..ArmOptions::default()
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let endpoint = arm::start(address, None, options, Arc::new(SystemClock), stop.clone());
    let endpoint = endpoint.await.unwrap();
    let handled: [(&str, &[u8]); 3] = [
        ("host.json", HANDLED.as_bytes()),
        ("handler.py", HANDLER.as_bytes()),
        ("call/function.json", TRIGGER.as_bytes()),
    ];
    let url = deployed(&endpoint.url, "handled", "custom", zipped(&handled)).await;
    called("Azure, a custom handler in Python", url).await;
    if worker.is_some() {
        let own: [(&str, &[u8]); 3] = [
            ("host.json", br#"{"version": "2.0"}"#),
            ("call/__init__.py", AZURE.as_bytes()),
            ("call/function.json", TRIGGER.as_bytes()),
        ];
        let url = deployed(&endpoint.url, "own", "python", zipped(&own)).await;
        called("Azure, Python under Azure's own worker", url).await;
    }
    stop.cancel();
    endpoint.stopped().await;
}

/// Where the function of a fresh app is called.
async fn deployed(endpoint: &str, name: &str, runtime: &str, zip: Vec<u8>) -> Url {
    let http = reqwest::Client::new();
    let group = format!(
        "{endpoint}/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/bench"
    );
    let put = async |path: &str, body: serde_json::Value| {
        let asked = http.put(format!("{group}{path}?api-version=2025-05-01"));
        let told = asked.bearer_auth("bench").json(&body).send().await.unwrap();
        assert!(told.status().is_success(), "{path}: {}", told.status());
        told.json::<serde_json::Value>().await.unwrap()
    };
    put("", json!({"location": "westeurope"})).await;
    let plan =
        json!({"location": "westeurope", "sku": {"name": "EP1"}, "properties": {"reserved": true}});
    let plan = put("/providers/Microsoft.Web/serverfarms/bench", plan).await;
    let site = format!("/providers/Microsoft.Web/sites/{name}");
    let settings = json!([{"name": "FUNCTIONS_WORKER_RUNTIME", "value": runtime}]);
    let properties = json!({"serverFarmId": plan["id"], "siteConfig": {"appSettings": settings}});
    let made = json!({"location": "westeurope", "kind": "functionapp", "properties": properties});
    let made = put(&site, made).await;
    let hosts = made["properties"]["hostNameSslStates"].as_array().unwrap();
    let scm = hosts.iter().find(|host| host["hostType"] == "Repository");
    let scm = scm.unwrap()["name"].as_str().unwrap().to_owned();
    let pushed = http.post(format!("http://{scm}/api/zipdeploy?isAsync=true"));
    let pushed = pushed.bearer_auth("bench").body(zip).send().await.unwrap();
    let followed = pushed.headers()["location"].to_str().unwrap().to_owned();
    let is_deployed = async || {
        let told = http.get(&followed).bearer_auth("bench").send().await;
        let told: serde_json::Value = told.unwrap().json().await.unwrap();
        told["complete"] == true
    };
    while !is_deployed().await {
        sleep(Duration::from_millis(20)).await;
    }
    let front = made["properties"]["defaultHostName"].as_str().unwrap();
    format!("http://{front}/api/call").parse().unwrap()
}

#[tokio::main]
async fn main() {
    if cfg!(debug_assertions) {
        println!("built without optimisation: a release is quicker");
    }
    aws(&CancellationToken::new()).await;
    azure(&CancellationToken::new()).await;
}
