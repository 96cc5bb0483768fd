//! Functions that run: through the API and through their addresses, well and badly.

use std::time::Duration;

use aws_sdk_lambda::{
    primitives::Blob,
    types::{InvocationType, LogType},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use verdigris::local::lambda::LambdaOptions;

use super::{Cloud, Package, options};

const PYTHON: &str = r"
def handler(event, context):
    http = event['requestContext']['http']
    return {
        'statusCode': 201,
        'headers': {'x-seen': http['method'] + ' ' + event['rawPath'], 'content-type': 'text/plain'},
        'cookies': ['a=1', 'b=2'],
        'body': context.function_version + ' ' + event.get('rawQueryString', '') + ' ' + event.get('body', '-'),
    }
";

const NODE: &str = r"
export const handler = async (event, context) => ({
  statusCode: 201,
  headers: { 'x-seen': `${event.requestContext.http.method} ${event.rawPath}`, 'content-type': 'text/plain' },
  cookies: ['a=1', 'b=2'],
  body: `${context.functionVersion} ${event.rawQueryString} ${event.body ?? '-'}`,
});
";

/// A runtime in a dozen lines of shell: any executable can be one.
const SHELL: &str = r#"#!/bin/bash
set -eu
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  event=$(curl -sS -D headers.$$ "$base/next")
  id=$(tr -d '\r' < headers.$$ | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  body=$(EVENT="$event" python3 -c '
import json, os
event = json.loads(os.environ["EVENT"])
http = event["requestContext"]["http"]
print(json.dumps({"statusCode": 201, "headers": {"x-seen": http["method"] + " " + event["rawPath"], "content-type": "text/plain"},
  "cookies": ["a=1", "b=2"],
  "body": os.environ["AWS_LAMBDA_FUNCTION_VERSION"] + " " + event["rawQueryString"] + " " + event.get("body", "-")}))')
  curl -sS -o /dev/null -d "$body" "$base/$id/response"
done
"#;

#[tokio::test]
async fn every_runtime_answers_at_the_address_of_its_alias() {
    let cloud = Cloud::start(options()).await;
    let packages = [
        ("python", Package::python(PYTHON)),
        ("node", Package::node(NODE)),
        ("shell", Package::shell(SHELL)),
    ];
    for (name, package) in packages {
        cloud.create(name, &package).await;
        let version = cloud.publish(name).await;
        cloud.alias(name, "green", &version).await;
        let address = cloud.address(name, "green").await;
        let http = reqwest::Client::new();
        let request = http
            .post(format!("{address}a/b?x=1"))
            .header("content-type", "text/plain");
        let response = request.body("hello").send().await.unwrap();
        assert_eq!(
            response.status(),
            201,
            "{name}: {:?}",
            response.text().await
        );
        assert_eq!(response.headers()["x-seen"], "POST /a/b", "{name}");
        assert_eq!(
            response.headers().get_all("set-cookie").iter().count(),
            2,
            "{name}"
        );
        assert_eq!(response.text().await.unwrap(), "1 x=1 hello", "{name}");
    }
}

#[tokio::test]
async fn an_address_is_closed_until_both_permissions_are_given() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &Package::python(PYTHON)).await;
    cloud.publish("stock").await;
    cloud.alias("stock", "green", "1").await;
    let create = || {
        cloud
            .client
            .create_function_url_config()
            .function_name("stock")
            .qualifier("green")
    };
    let url = create()
        .auth_type("NONE".into())
        .send()
        .await
        .unwrap()
        .function_url;
    let status = || async { reqwest::get(url.as_str()).await.unwrap().status().as_u16() };
    assert_eq!(status().await, 403);
    cloud.open("stock", "green").await;
    assert_eq!(status().await, 201);
    let update = cloud
        .client
        .update_function_url_config()
        .function_name("stock")
        .qualifier("green");
    update.auth_type("AWS_IAM".into()).send().await.unwrap();
    assert_eq!(status().await, 403);
    assert_eq!(
        super::refusal(create().auth_type("NONE".into()).send().await).0,
        409
    );
    cloud
        .client
        .delete_function_url_config()
        .function_name("stock")
        .qualifier("green")
        .send()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(reqwest::get(url.as_str()).await.is_err());
}

#[tokio::test]
async fn functions_that_misbehave_are_told_and_replaced() {
    let cloud = Cloud::start(options()).await;
    let bad = r#"
import os, sys, time
def handler(event, context):
    what = event.get("do")
    if what == "sleep":
        time.sleep(30)
    if what == "exit":
        sys.stdout.flush()
        os._exit(3)
    if what == "raise":
        raise ValueError("wrong")
    if what == "eat":
        x = bytearray(600_000_000)
        time.sleep(30)
    if what == "much":
        return "x" * 7_000_000
    return "fine"
"#;
    let mut package = Package::python(bad);
    package.timeout = 2;
    cloud.create("bad", &package).await;
    let cases = [
        ("sleep", "Task timed out after 2.00 seconds"),
        ("exit", "Runtime exited with error: exit status 3"),
        ("raise", "ValueError"),
        ("eat", "Runtime.OutOfMemory"),
        (
            "much",
            "Response payload size exceeded maximum allowed payload size",
        ),
    ];
    for (what, message) in cases {
        let (body, error) = cloud.invoke("bad", &format!(r#"{{"do": "{what}"}}"#)).await;
        assert_eq!(error.as_deref(), Some("Unhandled"), "{what}: {body}");
        assert!(body.contains(message), "{what}: {body}");
        assert_eq!(
            cloud.invoke("bad", "{}").await,
            ("\"fine\"".to_owned(), None),
            "after {what}"
        );
    }
    let unloadable = [
        (
            "no-module",
            Package::new("python3.12", "absent.handler", &[("app.py", "")]),
            "absent",
        ),
        (
            "no-export",
            Package::node("export const other = 1;"),
            "handler",
        ),
        (
            "no-bootstrap",
            Package::new("provided.al2023", "x", &[("other", "")]),
            "Couldn't find valid bootstrap",
        ),
        (
            "dies",
            Package::shell("#!/bin/sh\nexit 7\n"),
            "exit status 7",
        ),
    ];
    for (name, package, message) in unloadable {
        cloud.create(name, &package).await;
        let (body, error) = cloud.invoke(name, "{}").await;
        assert!(error.is_some() && body.contains(message), "{name}: {body}");
    }
}

#[tokio::test]
async fn what_a_call_writes_is_kept() {
    let cloud = Cloud::start(options()).await;
    cloud
        .create(
            "stock",
            &Package::python("def handler(event, context):\n    print('seen', event['n'])\n"),
        )
        .await;
    let call = |n: u32| {
        cloud
            .client
            .invoke()
            .function_name("stock")
            .payload(Blob::new(format!(r#"{{"n": {n}}}"#)))
    };
    call(1).send().await.unwrap();
    let told = call(2).log_type(LogType::Tail).send().await.unwrap();
    assert_eq!(told.executed_version(), Some("$LATEST"));
    let tail = String::from_utf8(STANDARD.decode(told.log_result().unwrap()).unwrap()).unwrap();
    let starts: Vec<&str> = tail
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(starts, ["START", "seen", "END", "REPORT"], "{tail}");
    assert!(
        tail.contains("seen 2") && tail.contains("Version: $LATEST"),
        "{tail}"
    );
    let logs = cloud.endpoint.url.join("_verdigris/logs/stock").unwrap();
    let logs = reqwest::get(logs).await.unwrap().text().await.unwrap();
    assert!(
        logs.contains("seen 1") && logs.contains("seen 2") && logs.contains("Init Duration"),
        "{logs}"
    );
}

#[tokio::test]
async fn processes_come_with_the_load_and_go_with_it() {
    let quick = LambdaOptions {
        idle_timeout: Duration::from_millis(300),
        ..options()
    };
    let cloud = Cloud::start(quick).await;
    let code = "import os, time\ndef handler(event, context):\n    time.sleep(0.2)\n    return os.getpid()\n";
    cloud.create("stock", &Package::python(code)).await;
    let calls = (0..4).map(|_| cloud.invoke("stock", "{}"));
    let mut pids: Vec<u32> = Vec::new();
    for (body, error) in futures_util::future::join_all(calls).await {
        assert_eq!(error, None, "{body}");
        pids.push(body.parse().unwrap());
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4, "one call at a time per process");
    let alive = |pid: &u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    for _ in 0..100 {
        if !pids.iter().any(alive) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("processes without work are still there: {pids:?}");
}

#[tokio::test]
async fn a_warm_call_waits_for_nothing() {
    let cloud = Cloud::start(options()).await;
    cloud
        .create(
            "stock",
            &Package::python("def handler(event, context):\n    return 1\n"),
        )
        .await;
    cloud.invoke("stock", "{}").await;
    let mut least = Duration::MAX;
    for _ in 0..20 {
        let start = tokio::time::Instant::now();
        cloud.invoke("stock", "{}").await;
        least = least.min(start.elapsed());
    }
    // A delayed acknowledgement in the way would cost each of them 40 ms, a busy machine only some.
    assert!(least < Duration::from_millis(35), "{least:?} a call");
}

#[tokio::test]
async fn an_asynchronous_call_is_finished_before_the_endpoint_is() {
    let cloud = Cloud::start(options()).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("done");
    let code = format!(
        "import time\ndef handler(event, context):\n    time.sleep(0.5)\n    open('{}', 'w').close()\n",
        file.display()
    );
    cloud.create("stock", &Package::python(&code)).await;
    let request = cloud
        .client
        .invoke()
        .function_name("stock")
        .invocation_type(InvocationType::Event);
    assert_eq!(request.send().await.unwrap().status_code(), 202);
    let dry = cloud
        .client
        .invoke()
        .function_name("stock")
        .invocation_type(InvocationType::DryRun);
    assert_eq!(dry.send().await.unwrap().status_code(), 204);
    cloud.stop().await;
    assert!(file.exists());
}

#[tokio::test]
async fn no_process_outlives_the_endpoint() {
    let cloud = Cloud::start(options()).await;
    let code = "import os, time\ndef handler(event, context):\n    if event: time.sleep(60)\n    return os.getpid()\n";
    let mut package = Package::python(code);
    package.timeout = 100;
    cloud.create("stock", &package).await;
    let (pid, _) = cloud.invoke("stock", "{}").await;
    let client = cloud.client.clone();
    let hanging = tokio::spawn(async move {
        client
            .invoke()
            .function_name("stock")
            .payload(Blob::new(r#"{"sleep": true}"#))
            .send()
            .await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    cloud.stop().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    // Cut off with an error document, or with the connection: either way it is over.
    drop(
        tokio::time::timeout(Duration::from_secs(50), hanging)
            .await
            .unwrap(),
    );
}

#[tokio::test]
async fn a_call_in_hand_is_finished_on_the_content_it_began_with() {
    let cloud = Cloud::start(options()).await;
    let code = |text: &str| {
        let sleep = "import time\ndef handler(event, context):\n    time.sleep(event['for'])\n";
        Package::python(&format!("{sleep}    return '{text}'\n"))
    };
    cloud.create("stock", &code("old")).await;
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let update = cloud.client.update_function_code().function_name("stock");
        let update = update.zip_file(Blob::new(code("new").zip));
        update.send().await.unwrap();
        cloud.settle("stock").await;
        let (new, _) = cloud.invoke("stock", r#"{"for": 0}"#).await;
        let delete = cloud.client.delete_function().function_name("stock");
        delete.send().await.unwrap();
        new
    };
    let (old, new) = tokio::join!(cloud.invoke("stock", r#"{"for": 2}"#), change);
    assert_eq!(old, ("\"old\"".to_owned(), None));
    assert_eq!(new, "\"new\"");
}
