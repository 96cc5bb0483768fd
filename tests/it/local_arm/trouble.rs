//! Throttling, lost replies, TLS, and the identity endpoints.

use http::Method;
use serde_json::{Value, json};
use verdigris::local::{
    arm::{ArmOptions, RateLimits},
    bucket::Bucket,
    faults::Rule,
};

use super::kit::{Local, SITE, SUBSCRIPTION, at, package};

#[tokio::test]
async fn a_throttled_call_says_when_to_come_again() {
    let local = Local::with_site(ArmOptions::default()).await;
    let rule = Rule {
        throttle: true,
        times: Some(1),
        ..Rule::of("sites.get")
    };
    local.endpoint.faults().set(vec![rule]);
    let reply = local.call(Method::GET, SITE, None).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "1"));
    assert_eq!(reply.body["error"]["code"], "TooManyRequests");
    let reply = local.call(Method::GET, SITE, None).await;
    assert_eq!(reply.status, 200);
    assert!(
        !reply
            .header("x-ms-ratelimit-remaining-subscription-reads")
            .is_empty()
    );
    local.end().await;
}

#[tokio::test]
async fn reads_and_writes_have_buckets_of_their_own() {
    let bucket = |capacity| Bucket {
        capacity,
        per_second: 1,
    };
    let local = Local::start(ArmOptions {
        rate_limits: Some(RateLimits {
            reads: bucket(2),
            writes: bucket(50),
            deletes: bucket(50),
        }),
        ..ArmOptions::default()
    })
    .await;
    let groups = format!("{SUBSCRIPTION}/resourceGroups");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(local.call(Method::GET, &groups, None).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    let group = json!({"location": "westeurope"});
    assert_eq!(
        local
            .call(Method::PUT, &format!("{groups}/g"), Some(&group))
            .await
            .status,
        201
    );
    local.end().await;
}

#[tokio::test]
async fn a_lost_reply_leaves_the_work_done() {
    let local = Local::with_site(ArmOptions::default()).await;
    for operation in ["appsettings.put", "zipdeploy"] {
        let rule = Rule {
            lose_reply: true,
            times: Some(1),
            ..Rule::of(operation)
        };
        local.endpoint.faults().set(vec![rule]);
        let lost = match operation {
            "zipdeploy" => {
                let push = local.http.post(format!(
                    "{}/api/zipdeploy?isAsync=true",
                    local.scm("green").await
                ));
                push.bearer_auth("t")
                    .body(package("r"))
                    .send()
                    .await
                    .map(|_| ())
            }
            _ => {
                let url = format!(
                    "{}{}/config/appsettings?api-version=1",
                    local.endpoint.url,
                    at("green")
                );
                let body = json!({"properties": {"A": "1"}});
                local.send(Method::PUT, &url, Some(&body)).await.map(|_| ())
            }
        };
        assert!(lost.is_err(), "{operation} was answered");
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let front = local.front("green").await;
    assert_eq!(local.text(&format!("{front}/env/A")).await.1, "1");
    let calls = local
        .text(&format!("{}/_verdigris/calls", local.endpoint.url))
        .await
        .1;
    let calls: Value = serde_json::from_str(&calls).unwrap();
    assert_eq!(
        (&calls["appsettings.put"], &calls["slots.put"]),
        (&json!(1), &json!(1))
    );
    local.end().await;
}

#[tokio::test]
async fn tls_works_for_those_who_trust_the_authority_on_every_listener() {
    let local = Local::with_site(ArmOptions::default()).await;
    local.deploy("green", package("r")).await;
    let pem = std::fs::read(&local.endpoint.ca_file).unwrap();
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    let trusting = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    let url = local.endpoint.tls_url.clone().unwrap();
    let metadata: Value = trusting
        .get(format!("{url}/metadata/endpoints?api-version=2022-09-01"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(metadata["resourceManager"], url);
    let token = trusting
        .post(format!("{url}/tenant/oauth2/v2.0/token"))
        .body("grant_type=client_credentials");
    let token: Value = token.send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(token.split('.').count(), 3);
    let list = trusting
        .get(format!("{url}/subscriptions?api-version=2022-12-01"))
        .bearer_auth(token);
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["value"][0]["state"], "Enabled");
    for address in [local.front("green").await, local.scm("green").await] {
        let secure = address.replace("http://", "https://");
        let request = trusting.get(format!("{secure}/")).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), 200, "{secure}");
        assert!(
            local.http.get(format!("{secure}/")).send().await.is_err(),
            "a stranger trusted {secure}"
        );
    }
    local.end().await;
}

#[tokio::test]
async fn web_pages_are_kept_out_of_the_resource_manager_and_not_of_sites() {
    let local = Local::with_site(ArmOptions::default()).await;
    let client = reqwest::Client::new();
    let endpoint = &local.endpoint.url;
    for (path, header, value) in [
        (SITE, "origin", "https://evil.example"),
        (SITE, "sec-fetch-site", "cross-site"),
        (SITE, "host", "evil.example"),
        ("/_verdigris/faults", "sec-fetch-site", "same-site"),
        ("/_verdigris/calls", "host", "evil.example:4567"),
    ] {
        let url = format!("{endpoint}{path}?api-version=2025-05-01");
        let asked = client.delete(url).bearer_auth("token");
        let answer = asked.header(header, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path} {header}: {value}");
    }
    local.get(SITE).await;
    let front = local.front("production").await;
    let asked = client.get(front).header("origin", "https://shop.example");
    assert_ne!(asked.send().await.unwrap().status(), 403);
    local.end().await;
}
