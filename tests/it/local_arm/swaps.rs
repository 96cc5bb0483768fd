//! Swaps: what moves, what stays, and that nobody who calls blue notices.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use verdigris::local::{
    arm::ArmOptions,
    faults::{Rule, RuleError},
};

use super::kit::{Local, SITE, archive, at, host, package};

async fn with_two_releases(options: ArmOptions) -> Local {
    let local = Local::with_site(options).await;
    assert_eq!(local.deploy("production", package("old")).await, 4);
    assert_eq!(local.deploy("green", package("new")).await, 4);
    local
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_to_blue_fails_while_slots_are_swapped() {
    let local = Arc::new(with_two_releases(ArmOptions::default()).await);
    let blue = local.front("production").await;
    let done = CancellationToken::new();
    let hammers: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(hammer(
                Arc::clone(&local),
                format!("{blue}/x"),
                done.clone(),
            ))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..2 {
        assert_eq!(local.swap().await.status, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    done.cancel();
    let mut seen = Vec::new();
    for hammer in hammers {
        seen.extend(hammer.await.unwrap());
    }
    assert!(
        seen.iter().all(|(status, _)| *status == 200),
        "a request failed"
    );
    for release in ["old GET /x ", "new GET /x "] {
        assert!(
            seen.iter().any(|(_, text)| text == release),
            "{release} never answered"
        );
    }
    assert_eq!(local.text(&format!("{blue}/x")).await.1, "old GET /x ");
}

async fn hammer(local: Arc<Local>, url: String, done: CancellationToken) -> Vec<(u16, String)> {
    let mut seen = Vec::new();
    while !done.is_cancelled() {
        seen.push(local.text(&url).await);
    }
    seen
}

#[tokio::test]
async fn a_request_under_way_ends_on_the_release_that_began_it() {
    let local = with_two_releases(ArmOptions {
        swap_time: Duration::ZERO,
        ..ArmOptions::default()
    })
    .await;
    let blue = local.front("production").await;
    assert_eq!(local.text(&format!("{blue}/x")).await.0, 200);
    let slow = format!("{blue}/slow");
    let (answer, swapped) = tokio::join!(local.text(&slow), local.swap());
    assert_eq!(swapped.status, 200);
    assert_eq!(answer, (200, "old slow".to_owned()));
    assert_eq!(local.text(&format!("{blue}/x")).await.1, "new GET /x ");
    local.end().await;
}

#[tokio::test]
async fn sticky_settings_and_tags_stay_while_content_and_other_settings_move() {
    let local = with_two_releases(ArmOptions::default()).await;
    let sticky = json!({"properties": {"appSettingNames": ["WHERE"]}});
    let path = format!("{SITE}/config/slotConfigNames");
    assert_eq!(
        local.call(Method::PUT, &path, Some(&sticky)).await.status,
        200
    );
    for (slot, what) in [("production", "old"), ("green", "new")] {
        local
            .settings(slot, json!({"WHERE": slot, "WHAT": what}))
            .await;
        let tags = json!({"tags": {"slot": slot}});
        assert_eq!(
            local
                .call(Method::PATCH, &at(slot), Some(&tags))
                .await
                .status,
            200
        );
    }
    assert_eq!(local.swap().await.status, 200);
    for (slot, what) in [("production", "new"), ("green", "old")] {
        let front = local.front(slot).await;
        let told = local.text(&format!("{front}/env/WHERE")).await.1;
        assert_eq!(told, slot, "the running code of {slot}");
        assert_eq!(
            local.text(&format!("{front}/env/WHAT")).await.1,
            what,
            "{slot}"
        );
        let listed = local
            .post(
                &format!("{}/config/appsettings/list", at(slot)),
                Value::Null,
            )
            .await;
        assert_eq!(
            listed.body["properties"],
            json!({"WHERE": slot, "WHAT": what})
        );
        let site = local.get(&at(slot)).await;
        assert_eq!(site["tags"]["slot"], slot);
        assert_eq!(
            site["properties"]["slotSwapStatus"]["sourceSlotName"],
            "green"
        );
    }
    local.end().await;
}

#[tokio::test]
async fn a_swap_that_cannot_warm_up_fails_and_changes_nothing() {
    let local = Local::with_site(ArmOptions::default()).await;
    local.deploy("production", package("old")).await;
    let broken = archive(&[
        ("host.json", &host("sh", "run.sh")),
        ("run.sh", "echo no >&2; exit 3"),
    ]);
    assert_eq!(local.deploy("green", broken).await, 4);
    let ended = local.swap().await;
    assert_eq!(ended.status, 409, "{}", ended.body);
    assert_eq!(ended.body["error"]["code"], "Conflict");
    let blue = local.front("production").await;
    assert_eq!(local.text(&format!("{blue}/x")).await.1, "old GET /x ");
    let site = local.get(SITE).await;
    assert_eq!(site["properties"]["slotSwapStatus"], Value::Null);
    assert_eq!(site["properties"]["inProgressOperationId"], Value::Null);
    local.end().await;
}

#[tokio::test]
async fn a_warm_up_page_must_answer_as_it_was_told_to() {
    let local = with_two_releases(ArmOptions::default()).await;
    let strict =
        json!({"WEBSITE_SWAP_WARMUP_PING_PATH": "/x", "WEBSITE_SWAP_WARMUP_PING_STATUSES": "202"});
    local.settings("green", strict).await;
    assert_eq!(local.swap().await.status, 409);
    let fitting = json!({"WEBSITE_SWAP_WARMUP_PING_PATH": "/x", "WEBSITE_SWAP_WARMUP_PING_STATUSES": "200,202"});
    local.settings("green", fitting).await;
    assert_eq!(local.swap().await.status, 200);
    local.end().await;
}

#[tokio::test]
async fn everything_else_conflicts_while_a_swap_runs() {
    let local = with_two_releases(ArmOptions {
        swap_time: Duration::from_secs(2),
        ..ArmOptions::default()
    })
    .await;
    let body = json!({"targetSlot": "production", "preserveVnet": true});
    let path = format!("{}/slotsswap", at("green"));
    let begun = local.post(&path, body.clone()).await;
    assert_eq!((begun.status, begun.header("content-type")), (202, ""));
    // As there: a place that answers 202, each time with another link, and no page that says it in words.
    assert_eq!(begun.header("azure-asyncoperation"), "");
    let looked = local.send(Method::GET, begun.header("location"), None);
    let looked = looked.await.unwrap();
    assert_eq!((looked.status, &looked.body), (202, &Value::Null));
    assert_ne!(looked.header("location"), begun.header("location"));
    for reply in [
        local.post(&path, body).await,
        local.settings("green", json!({})).await,
    ] {
        assert_eq!(reply.status, 409);
        assert_eq!(reply.body["error"]["code"], "Conflict");
    }
    let scm = local.scm("green").await;
    let push = local
        .http
        .post(format!("{scm}/api/zipdeploy?isAsync=true"))
        .bearer_auth("t");
    assert_eq!(
        push.body(package("other")).send().await.unwrap().status(),
        409
    );
    let done = local.poll(looked.header("location")).await;
    assert_eq!((done.status, &done.body["id"]), (200, &json!(at("green"))));
    assert_eq!(local.settings("green", json!({})).await.status, 200);
    local.end().await;
}

#[tokio::test]
async fn a_swap_can_be_previewed_and_taken_back() {
    let local = with_two_releases(ArmOptions::default()).await;
    let sticky = json!({"properties": {"appSettingNames": ["WHERE"]}});
    local
        .call(
            Method::PUT,
            &format!("{SITE}/config/slotConfigNames"),
            Some(&sticky),
        )
        .await;
    local
        .settings("production", json!({"WHERE": "production"}))
        .await;
    local.settings("green", json!({"WHERE": "green"})).await;
    let told = format!("{}/env/WHERE", local.front("green").await);
    let target = json!({"targetSlot": "production", "preserveVnet": true});
    let steps = [
        ("applySlotConfig", "production"),
        ("resetSlotConfig", "green"),
    ];
    for (step, expected) in steps {
        let reply = local
            .post(&format!("{}/{step}", at("green")), target.clone())
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(local.text(&told).await.1, expected, "after {step}");
    }
    local.end().await;
}

#[tokio::test]
async fn a_swap_fails_midway_or_undoes_itself_when_told_to() {
    let local = with_two_releases(ArmOptions::default()).await;
    let blue = format!("{}/x", local.front("production").await);
    let midway = Rule {
        error: Some(RuleError {
            status: 500,
            code: "InternalServerError".to_owned(),
            message: None,
        }),
        times: Some(1),
        ..Rule::of("swap.midway")
    };
    local.endpoint.faults().set(vec![midway]);
    assert_eq!(local.swap().await.status, 500);
    assert_eq!(local.text(&blue).await.1, "old GET /x ");
    let revert = Rule {
        latency_ms: 300,
        times: Some(1),
        ..Rule::of("swap.revert")
    };
    local.endpoint.faults().set(vec![revert]);
    assert_eq!(local.swap().await.status, 200);
    assert_eq!(local.text(&blue).await.1, "new GET /x ");
    tokio::time::timeout(Duration::from_secs(20), async {
        while local.text(&blue).await.1 != "old GET /x " {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    local.end().await;
}
