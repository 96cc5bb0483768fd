//! Function apps written against Azure's own library, under Azure's own worker for Python.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use verdigris::local::arm::ArmOptions;

use super::kit::{Local, archive, at};
use crate::peers::{program, python_of_azure_worker};

const CODE: &str = r#"
import json, logging, os
import azure.functions as func
from shared import words

async def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    logging.info("asked for %s", req.route_params["sku"])
    print("printed on the way")
    told = {"release": words.RELEASE, "method": req.method, "path": req.url.split("/", 3)[3], "sku": req.route_params["sku"],
            "query": dict(req.params), "colour": req.headers.get("x-colour"), "body": req.get_body().decode("latin-1"),
            "mode": os.environ["MODE"], "slot": os.environ["WEBSITE_SLOT_NAME"], "function": context.function_name}
    return func.HttpResponse(json.dumps(told), status_code=203, headers={"x-made": "yes"}, mimetype="application/json")
"#;

const OTHERS: [(&str, &str, &str); 6] = [
    (
        "text",
        "$return",
        "def main(req) -> str:\n    return 'just text'\n",
    ),
    (
        "put",
        "res",
        "import azure.functions as func\ndef main(req: func.HttpRequest, res: func.Out[func.HttpResponse]):\n    res.set(func.HttpResponse('put', status_code=201))\n",
    ),
    (
        "nothing",
        "res",
        "import azure.functions as func\ndef main(req: func.HttpRequest, res: func.Out[func.HttpResponse]):\n    pass\n",
    ),
    (
        "bytes",
        "$return",
        "import azure.functions as func\ndef main(req: func.HttpRequest) -> func.HttpResponse:\n    return func.HttpResponse(req.get_body(), mimetype='application/octet-stream')\n",
    ),
    (
        "boom",
        "$return",
        "def main(req):\n    raise RuntimeError('as asked')\n",
    ),
    (
        "broken",
        "$return",
        "import a_module_that_nobody_has\ndef main(req):\n    return 'never'\n",
    ),
];

const TICK: &str = r#"
import logging
import azure.functions as func

def main(tick: func.TimerRequest) -> None:
    logging.info("ticked, late: %s", tick.past_due)
"#;

fn http(answer: &str, route: Option<&str>) -> String {
    let mut trigger = json!({
        "type": "httpTrigger", "authLevel": "anonymous", "direction": "in", "name": "req", "methods": ["get", "post"],
    });
    if let Some(route) = route {
        trigger["route"] = route.into();
    }
    let bindings = [
        trigger,
        json!({"type": "http", "direction": "out", "name": answer}),
    ];
    json!({"scriptFile": "__init__.py", "bindings": bindings}).to_string()
}

fn app(release: &str) -> Vec<u8> {
    let mut files = vec![
        ("host.json".to_owned(), json!({"version": "2.0"}).to_string()),
        ("shared/words.py".to_owned(), format!("RELEASE = '{release}'\n")),
        ("stock/function.json".to_owned(), http("$return", Some("stock/{sku}"))),
        ("stock/__init__.py".to_owned(), CODE.to_owned()),
        (
            "tick/function.json".to_owned(),
            json!({"bindings": [{"type": "timerTrigger", "direction": "in", "name": "tick", "schedule": "0 0 4 * * *"}]}).to_string(),
        ),
        ("tick/__init__.py".to_owned(), TICK.to_owned()),
    ];
    for (name, answer, code) in OTHERS {
        files.push((format!("{name}/function.json"), http(answer, None)));
        files.push((format!("{name}/__init__.py"), code.to_owned()));
    }
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    archive(&files)
}

fn options() -> ArmOptions {
    ArmOptions {
        python: python_of_azure_worker(),
        ..ArmOptions::default()
    }
}

fn settings(mode: &str) -> Value {
    json!({"FUNCTIONS_WORKER_RUNTIME": "python", "FUNCTIONS_EXTENSION_VERSION": "~4", "MODE": mode})
}

async fn deployed(release: &str) -> (Local, String) {
    let local = Local::with_site(options()).await;
    assert_eq!(local.settings("green", settings("m1")).await.status, 200);
    assert_eq!(local.deploy("green", app(release)).await, 4);
    let front = local.front("green").await;
    (local, front)
}

/// What the slot's log holds, once it holds `text`.
async fn log_with(local: &Local, text: &str) -> String {
    let url = format!("{}/_verdigris/logs/shop-stock/green", local.endpoint.url);
    for _ in 0..200 {
        let (_, log) = local.text(&url).await;
        if log.contains(text) {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{text} is not in the log: {}", local.text(&url).await.1);
}

/// What is asked, with its body, and what is answered: status, kind, body.
type Golden = (
    Method,
    &'static str,
    &'static [u8],
    u16,
    Option<&'static str>,
    &'static [u8],
);

#[tokio::test(flavor = "multi_thread")]
async fn azures_worker_answers_golden_requests() {
    let (local, front) = deployed("r1").await;
    let cases: [Golden; 8] = [
        (
            Method::GET,
            "text",
            b"",
            200,
            Some("text/plain; charset=utf-8"),
            b"just text",
        ),
        (
            Method::GET,
            "put",
            b"",
            201,
            Some("text/plain; charset=utf-8"),
            b"put",
        ),
        (Method::GET, "nothing", b"", 204, None, b""),
        (
            Method::POST,
            "bytes",
            b"\x00\xff\r\n\x80",
            200,
            Some("application/octet-stream"),
            b"\x00\xff\r\n\x80",
        ),
        (
            Method::POST,
            "bytes",
            b"",
            200,
            Some("application/octet-stream"),
            b"",
        ),
        (Method::PUT, "text", b"", 404, None, b""),
        (Method::GET, "none", b"", 404, None, b""),
        (Method::GET, "tick", b"", 404, None, b""),
    ];
    for (method, path, body, status, kind, expected) in cases {
        let asked = local
            .http
            .request(method.clone(), format!("{front}/api/{path}"));
        let told = asked.body(body.to_vec()).send().await.unwrap();
        let headers = told.headers().clone();
        let is = headers
            .get("content-type")
            .map(|kind| kind.to_str().unwrap());
        assert_eq!(
            (told.status().as_u16(), is),
            (status, kind),
            "{method} {path}"
        );
        assert_eq!(told.bytes().await.unwrap(), expected, "{method} {path}");
    }
    local.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_azures_worker_whole() {
    let (local, front) = deployed("r1").await;
    let asked = local
        .http
        .post(format!("{front}/api/stock/4%202?a=1&b=%20x"));
    let asked = asked.header("x-colour", "blue").body("body");
    let told = asked.send().await.unwrap();
    assert_eq!(
        (told.status().as_u16(), &told.headers()["x-made"]),
        (203, &"yes".parse().unwrap())
    );
    let told: Value = told.json().await.unwrap();
    let expected = json!({
        "release": "r1", "method": "POST", "path": "api/stock/4%202?a=1&b=%20x", "sku": "4 2", "query": {"a": "1", "b": " x"},
        "colour": "blue", "body": "body", "mode": "m1", "slot": "green", "function": "stock",
    });
    assert_eq!(told, expected);
    let large = vec![b'x'; 8 << 20];
    let asked = local
        .http
        .post(format!("{front}/api/bytes"))
        .body(large.clone());
    assert!(
        asked.send().await.unwrap().bytes().await.unwrap() == large,
        "8 MiB come back as they went"
    );
    local.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_azures_worker_is_told_and_harms_nothing_else() {
    let (local, front) = deployed("r1").await;
    let (status, text) = local.text(&format!("{front}/api/boom")).await;
    assert_eq!(status, 500);
    assert!(text.contains("RuntimeError: as asked"), "{text}");
    let (status, text) = local.text(&format!("{front}/api/broken")).await;
    assert_eq!(status, 500);
    assert!(text.contains("a_module_that_nobody_has"), "{text}");
    assert_eq!(local.text(&format!("{front}/api/text")).await.0, 200);
    let log = log_with(&local, "function `broken` could not be loaded").await;
    assert!(
        !log.contains("Received FunctionInvocationRequest"),
        "the worker's own steps are left out: {log}"
    );
    let status = local
        .get(&format!("{}/hostruntime/admin/host/status", at("green")))
        .await;
    assert!(
        status.to_string().contains("a_module_that_nobody_has"),
        "{status}"
    );
    let listed = local.get(&format!("{}/functions/text", at("green"))).await;
    assert_eq!(listed["properties"]["language"], "python");
    local.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_is_set_off_by_hand_and_logs_are_kept() {
    let (local, front) = deployed("r1").await;
    assert_eq!(local.text(&format!("{front}/api/stock/7")).await.0, 203);
    let log = log_with(&local, "printed on the way").await;
    assert!(log.contains("asked for 7"), "{log}");
    let keys = local
        .post(
            &format!("{}/host/default/listkeys", at("green")),
            Value::Null,
        )
        .await;
    let master = keys.body["masterKey"].as_str().unwrap();
    let set_off = local.http.post(format!("{front}/admin/functions/tick"));
    let set_off = set_off.header("x-functions-key", master).body("{}");
    assert_eq!(set_off.send().await.unwrap().status(), 202);
    log_with(&local, "ticked, late: False").await;
    local.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_of_azures_workers_loses_no_request() {
    let (local, _) = deployed("r2").await;
    assert_eq!(
        local.settings("production", settings("m2")).await.status,
        200
    );
    assert_eq!(local.deploy("production", app("r1")).await, 4);
    let blue = format!("{}/api/stock/1", local.front("production").await);
    assert_eq!(local.text(&blue).await.0, 203);
    let asking = async {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "r2") {
            let (status, text) = local.text(&blue).await;
            assert_eq!(status, 203, "{text}");
            let told: Value = serde_json::from_str(&text).unwrap();
            seen.push(told["release"].as_str().unwrap().to_owned());
        }
        seen.dedup();
        seen
    };
    let (swapped, seen) = tokio::join!(local.swap(), asking);
    assert_eq!(swapped.status, 200, "{}", swapped.body);
    assert_eq!(seen, ["r1", "r2"]);
    local.end().await;
}

/// Plays a worker by its arguments: says who it is, hangs up at once, and lives on.
const QUITTER: &str = r#"
import socket, sys, time
port, me = int(sys.argv[sys.argv.index("--port") + 1]), sys.argv[sys.argv.index("--workerId") + 1].encode()
started = b"\x12" + bytes([len(me)]) + me
envelope = b"\xa2\x01" + bytes([len(started)]) + started
frame = b"\0" + len(envelope).to_bytes(4, "big") + envelope
line = socket.create_connection(("127.0.0.1", port))
line.sendall(b"POST /AzureFunctionsRpcMessages.FunctionRpc/EventStream HTTP/1.1\r\nhost: here\r\n"
             b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(frame), frame))
line.close()
time.sleep(3600)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_up_and_lives_on_is_told_at_once() {
    let options = ArmOptions {
        python: program("python"),
        start_timeout: Duration::from_secs(50),
        ..ArmOptions::default()
    };
    let local = Local::with_site(options).await;
    local.settings("green", settings("m")).await;
    let package = archive(&[
        ("host.json", &json!({"version": "2.0"}).to_string()),
        ("azure_functions_worker.py", QUITTER),
        ("text/function.json", &http("$return", None)),
    ]);
    local.deploy("green", package).await;
    let (status, text) = local
        .text(&format!("{}/api/text", local.front("green").await))
        .await;
    assert_eq!(status, 503);
    assert!(text.contains("it hung up, and did not end"), "{text}");
    local.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_without_the_worker_says_what_to_install() {
    let bare = ArmOptions {
        python: program("python"),
        ..ArmOptions::default()
    };
    let local = Local::with_site(bare).await;
    local.settings("green", settings("m")).await;
    local.deploy("green", app("r")).await;
    let (status, text) = local
        .text(&format!("{}/api/text", local.front("green").await))
        .await;
    assert_eq!(status, 503);
    assert!(
        text.contains("install the package azure-functions-worker"),
        "{text}"
    );
    local.end().await;
}
