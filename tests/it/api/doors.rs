//! Who may come in.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use secrecy::SecretString;
use verdigris::api::door::Doors;

use super::rig::{Rig, TOKEN, read, request};

fn asked(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut asked = request(method, path, Some(TOKEN), None);
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().unwrap();
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    asked
}

#[tokio::test]
async fn names_of_other_sites_are_not_served_on_loopback() {
    let rig = Rig::new().await;
    for (host, status) in [
        ("127.0.0.1:7654", 200),
        ("[::1]:7654", 200),
        ("evil.test:7654", 421),
    ] {
        let response = rig
            .send(asked(Method::GET, "/api/v1/summary", &[("host", host)]))
            .await;
        assert_eq!(response.status().as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_not_act() {
    let rig = Rig::new().await;
    let table: [(&[(&str, &str)], u16); 6] = [
        (&[], 202),
        (&[("origin", "http://localhost:7654")], 202),
        (&[("sec-fetch-site", "same-origin")], 202),
        (&[("origin", "https://evil.test")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
    ];
    for (headers, status) in table {
        let response = rig
            .send(asked(Method::POST, "/api/v1/reconcile", headers))
            .await;
        assert_eq!(response.status().as_u16(), status, "{headers:?}");
    }
    assert_eq!(rig.wakes.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn beyond_this_machine_reading_takes_a_token_and_the_page_does_not() {
    let doors = Doors {
        public: true,
        hosts: Vec::new(),
    };
    let rig = Rig::behind(doors, None).await;
    let table = [
        ("/api/v1/services", 401),
        ("/metrics", 401),
        ("/", 200),
        ("/healthz", 200),
        ("/dashboard/app.js", 200),
    ];
    for (path, status) in table {
        let without = rig
            .send(request(Method::GET, path, None, None))
            .await
            .status();
        assert_eq!(without.as_u16(), status, "{path}");
        let with = rig
            .send(request(Method::GET, path, Some(TOKEN), None))
            .await
            .status();
        assert_eq!(with, StatusCode::OK, "{path}");
    }
    let hook = rig
        .send(request(Method::POST, "/hooks/github", None, None))
        .await;
    assert_eq!(read(hook).await.1["code"], "secret-required");
}

#[tokio::test]
async fn a_webhook_wakes_the_repositories_when_its_sender_knows_the_secret() {
    let secret = SecretString::from("0123456789");
    let rig = Rig::behind(Doors::loopback(), Some(secret)).await;
    let send = async |headers: &[(&str, &str)], provider: &str| {
        rig.send(asked(Method::POST, &format!("/hooks/{provider}"), headers))
            .await
            .status()
    };
    assert_eq!(
        send(&[("x-gitlab-token", "0123456789")], "gitlab").await,
        202
    );
    assert_eq!(
        send(&[("x-gitlab-token", "0123456780")], "gitlab").await,
        403
    );
    assert_eq!(
        send(&[("x-gitlab-token", "0123456789")], "github").await,
        403
    );
    assert_eq!(rig.wakes.load(Ordering::Relaxed), 1);
    let mut large = asked(
        Method::POST,
        "/hooks/gitlab",
        &[("x-gitlab-token", "0123456789")],
    );
    *large.body_mut() = Body::from(vec![b' '; 1024 * 1024 + 1]);
    assert_eq!(rig.send(large).await.status(), 413);
    assert_eq!(rig.wakes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn every_answer_is_marked() {
    let rig = Rig::new().await;
    for path in [
        "/",
        "/dashboard/app.js",
        "/api/v1/services",
        "/nowhere",
        "/metrics",
    ] {
        let response = rig.send(request(Method::GET, path, None, None)).await;
        let told = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|it| it.to_str().unwrap().to_owned())
        };
        assert!(
            told("content-security-policy")
                .unwrap()
                .starts_with("default-src 'none'; script-src 'self'"),
            "{path}"
        );
        assert_eq!(told("x-frame-options").as_deref(), Some("DENY"));
        assert_eq!(told("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(told("referrer-policy").as_deref(), Some("no-referrer"));
        assert_eq!(told("x-request-id").unwrap().len(), 32);
    }
}
