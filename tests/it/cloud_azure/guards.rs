//! What the client refuses to do, whatever an endpoint answers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};
use verdigris::{
    cloud::{
        Cloud as _, CloudError, Package,
        azure::{AzureCloud, AzureError, AzureLimits},
    },
    name::CodeDigest,
};

use super::{LIMITS, TOKEN, cloud, options, release, scope};

/// A server that answers as told and remembers what it was asked: `GET /path`, with `+token` where the token came along.
#[derive(Clone)]
struct Told {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Told {
    async fn answering(answer: impl Fn(&str) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let handler = move |request: Request| {
            let line = format!("{} {}", request.method(), request.uri().path());
            let token = request.headers().get("authorization");
            let shown = token.is_some_and(|value| value.to_str().unwrap().contains(TOKEN));
            record
                .lock()
                .unwrap()
                .push(format!("{line}{}", if shown { " +token" } else { "" }));
            let response = answer(&line);
            async move { response }
        };
        let router = Router::new().fallback(handler);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn reply(status: u16, body: &Value) -> Response {
    let builder = Response::builder().status(status);
    let builder = builder.header("content-type", "application/json");
    builder.body(Body::from(body.to_string())).unwrap()
}

fn missing() -> Response {
    reply(
        404,
        &json!({"error": {"code": "ResourceNotFound", "message": "not found"}}),
    )
}

fn tagged() -> Value {
    json!({
        "verdigris-owner": "verdigris",
        "verdigris-service": "inventory",
        "verdigris-environment": "test",
    })
}

/// A site of ours whose green slot holds `release`, as far as its settings say.
fn staged(line: &str, settings: &Value) -> Option<Response> {
    let site = json!({
        "id": "/x", "tags": tagged(),
        "properties": {"defaultHostName": "127.0.0.1:9", "state": "Running"},
    });
    let empty = json!({"properties": {}});
    match line.split_once(' ')? {
        ("GET", path) if path.ends_with("/sites/vg-test-inventory") => Some(reply(200, &site)),
        ("GET", path) if path.ends_with("/slots/green") => Some(reply(200, &site)),
        ("POST", path) if path.ends_with("/green/config/appsettings/list") => {
            Some(reply(200, &json!({ "properties": settings })))
        }
        ("POST", path) if path.ends_with("/config/appsettings/list") => Some(reply(200, &empty)),
        ("GET", path) if path.ends_with("/config/slotConfigNames") => Some(reply(200, &empty)),
        _ => None,
    }
}

fn settings_of(release: &verdigris::desired::Release) -> Value {
    let code = CodeDigest::of(b"x");
    let seal = CodeDigest::of(format!("package={code}\n").as_bytes());
    json!({
        "VERDIGRIS_RELEASE": release.digest,
        "VERDIGRIS_CODE": code,
        "VERDIGRIS_SETTINGS": seal,
    })
}

#[tokio::test]
async fn a_retry_after_of_a_day_is_reported_and_not_waited_for() {
    let server = Told::answering(|_| {
        let mut response = reply(
            429,
            &json!({"error": {"code": "TooManyRequests", "message": ""}}),
        );
        response
            .headers_mut()
            .insert("retry-after", "86400".parse().unwrap());
        response
    })
    .await;
    let started = Instant::now();
    let error = cloud(&server.address).inventory().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(60));
    let CloudError::Throttled { retry_after, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(retry_after, Duration::from_secs(3600));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = options(&format!("http://{}", listener.local_addr().unwrap()));
    options.limits = AzureLimits {
        call: Duration::from_millis(300),
        ..LIMITS
    };
    let cloud = AzureCloud::new(options).unwrap();
    let error = cloud.observe(&scope(&release(1, &[]))).await.unwrap_err();
    assert!(matches!(error, CloudError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().contains("no answer within 0.3s"),
        "{error}"
    );
}

#[tokio::test]
async fn the_token_is_shown_to_no_other_host() {
    let elsewhere = Told::answering(|_| reply(200, &json!({"value": []}))).await;
    let link = format!("{}/more", elsewhere.address);
    let server =
        Told::answering(move |_| reply(200, &json!({"value": [], "nextLink": link}))).await;
    let error = cloud(&server.address).inventory().await.unwrap_err();
    assert!(matches!(error, CloudError::Denied { .. }), "{error}");
    assert!(server.asked()[0].ends_with("+token"));
    assert_eq!(elsewhere.asked(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Told::answering(|_| reply(200, &json!({"value": []}))).await;
    let target = elsewhere.address.clone();
    let server = Told::answering(move |_| {
        let builder = Response::builder().status(307).header("location", &target);
        builder.body(Body::empty()).unwrap()
    })
    .await;
    cloud(&server.address).inventory().await.unwrap_err();
    assert_eq!(elsewhere.asked(), [""; 0]);
}

#[tokio::test]
async fn a_swap_that_leads_to_another_host_is_not_followed_there() {
    let elsewhere = Told::answering(|_| reply(200, &json!({}))).await;
    let target = elsewhere.address.clone();
    let release = release(1, &[]);
    let settings = settings_of(&release);
    let server = Told::answering(move |line| {
        staged(line, &settings).unwrap_or_else(|| {
            let builder = Response::builder().status(202).header("location", &target);
            builder.body(Body::empty()).unwrap()
        })
    })
    .await;
    let cloud = cloud(&server.address);
    let error = cloud
        .promote(&scope(&release), release.digest)
        .await
        .unwrap_err();
    assert!(matches!(error, CloudError::Denied { .. }), "{error}");
    assert_eq!(elsewhere.asked(), [""; 0]);
}

#[tokio::test]
async fn a_swap_of_unknown_outcome_is_sent_once() {
    let release = release(1, &[]);
    let settings = settings_of(&release);
    let server = Told::answering(move |line| {
        staged(line, &settings).unwrap_or_else(|| reply(500, &json!({})))
    })
    .await;
    let cloud = cloud(&server.address);
    let error = cloud
        .promote(&scope(&release), release.digest)
        .await
        .unwrap_err();
    assert!(matches!(error, CloudError::Unreachable { .. }), "{error}");
    assert_eq!(cloud.calls()["slotsswap"], 1);
    assert_eq!(cloud.writing_calls(), 1);
}

#[tokio::test]
async fn a_read_that_fails_is_tried_three_times() {
    let server = Told::answering(|_| reply(502, &json!({}))).await;
    cloud(&server.address).inventory().await.unwrap_err();
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn what_is_not_there_is_empty_and_what_cannot_be_seen_is_an_error() {
    let scope = scope(&release(1, &[]));
    let absent = Told::answering(|_| missing()).await;
    let observed = cloud(&absent.address).observe(&scope).await.unwrap();
    assert_eq!(observed, verdigris::observed::Observed::default());
    let proxy = Told::answering(|_| reply(404, &json!("no such host"))).await;
    cloud(&proxy.address).observe(&scope).await.unwrap_err();
}

#[tokio::test]
async fn a_function_app_without_our_tags_is_never_written() {
    let server = Told::answering(|line| match line.ends_with("/sites/vg-test-inventory") {
        true => reply(
            200,
            &json!({"id": "/theirs", "tags": {"owner": "them"}, "properties": {}}),
        ),
        false if line.starts_with("GET") => missing(),
        false => reply(200, &json!({"properties": {}})),
    })
    .await;
    let cloud = cloud(&server.address);
    let release = release(1, &[]);
    let scope = scope(&release);
    let package = Package {
        code: CodeDigest::of(b"x"),
        path: "/nonexistent".into(),
        size: 1,
    };
    let not_ours = |error| matches!(error, Err(CloudError::NotOurs { .. }));
    assert!(not_ours(cloud.stage(&release, &package).await));
    assert!(not_ours(cloud.promote(&scope, release.digest).await));
    assert!(not_ours(cloud.retract(&scope, release.digest).await));
    assert!(not_ours(cloud.repair(&release, &package).await));
    cloud.prune(&scope).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.foreign, ["/theirs"]);
    assert_eq!(cloud.writing_calls(), 0);
}

#[tokio::test]
async fn no_message_holds_the_token() {
    let server = Told::answering(|_| {
        reply(
            403,
            &json!({"error": {"code": "Forbidden", "message": "no"}}),
        )
    })
    .await;
    let options = options(&server.address);
    assert!(!format!("{options:?}").contains(TOKEN));
    let cloud = AzureCloud::new(options).unwrap();
    let error = cloud.inventory().await.unwrap_err();
    assert!(!format!("{cloud:?} {error:?} {error}").contains(TOKEN));
    assert_eq!(error.to_string(), "azure refused sites.list: Forbidden: no");
}

#[test]
fn an_endpoint_that_is_no_web_address_is_refused() {
    let error = AzureCloud::new(options("ftp://example.org")).unwrap_err();
    assert!(matches!(error, AzureError::Endpoint { .. }), "{error}");
}
