//! Servers that are ill, foreign or hostile.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{Ran, finish, program};

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn ask(server: SocketAddr, args: &[&str]) -> Ran {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let ask = move || {
        let folder = tempfile::tempdir().unwrap();
        finish(
            program(folder.path())
                .args(args)
                .env("VERDIGRIS_SERVER", format!("http://{server}")),
        )
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

fn row(name: &str, why: &str) -> Value {
    json!({
        "environment": "prod", "name": name, "generation": 1, "resourceVersion": 1, "phase": "Live", "ready": "True",
        "reason": "Succeeded", "why": why, "attention": false, "suspended": false, "desired": null, "live": null,
        "targets": {}, "gates": { "total": 0, "passed": 0, "failed": 0 }, "since": null
    })
}

const EVIL: &str = "\u{1b}[2J\u{9b}31m\u{202e}gone\nnext\u{7}";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_cannot_steer_the_terminal() {
    let list = json!({ "items": [row("hello", EVIL)], "metadata": {} });
    let event = json!({
        "seq": 1, "time": "2026-11-21T10:00:00Z", "severity": "error", "service": null, "reason": EVIL,
        "message": EVIL, "actor": { "username": EVIL, "automated": false }, "revision": null, "rollout": EVIL
    });
    let events = json!({ "items": [event], "next": 1 });
    let problem = (StatusCode::CONFLICT, Json(json!({ "detail": EVIL })));
    let router = Router::new()
        .route("/api/v1/services", get(|| async { Json(list) }))
        .route("/api/v1/events", get(|| async { Json(events) }))
        .route(
            "/api/v1/services/prod/hello/promote",
            post(|| async { problem }),
        );
    let server = serve(router).await;
    for args in [
        &["get"][..],
        &["get", "-o", "wide"],
        &["get", "-o", "json"],
        &["get", "-o", "yaml"],
        &["get", "-o", "name"],
        &["events", "-o", "wide"],
        &["events", "-o", "json"],
        &["events", "-o", "yaml"],
        &["events", "-o", "name"],
        &["promote", "prod/hello"],
    ] {
        let ran = ask(server, args).await;
        let shown = ran.shown();
        assert!(
            !shown.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}']),
            "{args:?}: {shown:?}"
        );
    }
    let ran = ask(server, &["get"]).await;
    assert!(
        ran.out
            .ends_with("\\u{1b}[2J\\u{9b}31m\\u{202e}gone\\nnext\\u{7}\n"),
        "{:?}",
        ran.out
    );
    let ran = ask(server, &["get", "-o", "json"]).await;
    let same: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(same["items"][0]["why"], EVIL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_apart_from_an_error_and_from_silence() {
    let say = |status: u16, body: Value| {
        let status = StatusCode::from_u16(status).unwrap();
        get(move || async move { (status, Json(body)) })
    };
    let router = Router::new()
        .route("/a/api/v1/services/prod/hello", say(401, json!({ "title": "A token is required", "code": "token-required" })))
        .route("/b/api/v1/services/prod/hello", say(404, json!({ "detail": "no service is called `prod/hello`", "code": "service-not-found" })))
        .route("/c/api/v1/services/prod/hello", say(500, json!({})))
        .route("/d/api/v1/services/prod/hello", get(|| async { "<html>" }))
        .route("/e/api/v1/services/prod/hello", say(200, json!({ "kind": "Other" })));
    let server = serve(router).await;
    for (path, code, told) in [
        (
            "a",
            3,
            "error: A token is required\nhelp: name the token file with --token-file: `verdigris run` prints where it is\n",
        ),
        (
            "b",
            3,
            "error: no service is called `prod/hello`\nhelp: `verdigris get` lists them\n",
        ),
        ("c", 1, "error: "),
        ("d", 1, "error: http://SERVER/d is no daemon of ours: "),
        ("e", 1, "error: the daemon's answer cannot be understood: "),
    ] {
        let address = format!("http://{server}/{path}");
        let ran = ask(server, &["status", "prod/hello", "--server", &address]).await;
        let err = ran.err.replace(&server.to_string(), "SERVER");
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{path}: {err}");
        assert!(err.starts_with(told), "{path}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_with_the_token() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let elsewhere = serve(Router::new().fallback(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { "" }
    }))
    .await;
    let place = format!("http://{elsewhere}/");
    let moved =
        move || async move { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]) };
    let server = serve(Router::new().fallback(moved)).await;
    let ran = ask(server, &["promote", "prod/hello"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_page_by_page() {
    let list = |uri: axum::http::Uri| async move {
        let query = uri.query().unwrap_or_default().to_owned();
        let page = |name: &str, next: Option<&str>| {
            Json(json!({ "items": [row(name, "")], "metadata": { "continue": next } }))
        };
        match query.as_str() {
            "limit=500" => page("one", Some("x y")),
            "limit=500&continue=x+y" => page("two", None),
            other => panic!("{other}"),
        }
    };
    let server = serve(Router::new().route("/api/v1/services", get(list))).await;
    let ran = ask(server, &["get", "-o", "name"]).await;
    assert_eq!(ran.shown(), "prod/one\nprod/two\n--- stderr\n--- exit 0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_two_environments_must_be_written_out() {
    let mut other = row("hello", "");
    other["environment"] = "staging".into();
    let list =
        json!({ "items": [row("hello", ""), other, row("hello-again", "")], "metadata": {} });
    let server = serve(Router::new().route("/api/v1/services", get(|| async { Json(list) }))).await;
    let ran = ask(server, &["status", "hello"]).await;
    assert_eq!(
        ran.shown(),
        "--- stderr\nerror: `hello` runs in 2 environments\nhelp: name one of prod/hello, staging/hello\n--- exit 1\n"
    );
}

/// The stream breaks after each event, and the reader asks for what came after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_taken_up_where_it_broke() {
    let events = |headers: HeaderMap| async move {
        let Some(after) = headers.get("last-event-id") else {
            return Json(json!({ "items": [], "next": 7 })).into_response();
        };
        let after: u64 = after.to_str().unwrap().parse().unwrap();
        if after >= 9 {
            // What cannot be taken up again ends the program.
            return (StatusCode::GONE, Json(json!({ "detail": "no more" }))).into_response();
        }
        let seq = after + 1;
        let event = json!({
            "seq": seq, "time": "2026-11-21T10:00:00Z", "severity": "info", "service": "prod/hello",
            "reason": "Live", "message": format!("event {seq}"), "actor": { "username": "verdigris", "automated": true },
            "revision": null, "rollout": null
        });
        let kind = [(header::CONTENT_TYPE, "text/event-stream")];
        (
            kind,
            format!(":\n\nid: {seq}\ndata: {event}\n\ndata: {{\"cut"),
        )
            .into_response()
    };
    let server = serve(Router::new().route("/api/v1/events", get(events))).await;
    let ran = ask(server, &["events", "--follow"]).await;
    assert_eq!(
        ran.shown(),
        "2026-11-21T10:00:00.000Z  Live                  prod/hello  event 8\n\
         2026-11-21T10:00:00.000Z  Live                  prod/hello  event 9\n\
         --- stderr\nerror: no more\n--- exit 3\n"
    );
}
