//! What people ask for, and what they are told when it does not fit.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use serde_json::json;
use verdigris::status::service::phase::ServicePhase;

use super::rig::{Finds, Rig, answers, approval, desired, key, read, request};

#[tokio::test]
async fn acting_takes_a_known_token() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let path = "/api/v1/services/prod/inventory/suspend";
    for token in [None, Some(""), Some("vg_wrong"), Some("é")] {
        let body = Some(json!({ "reason": "sale" }));
        let response = rig.send(request(Method::POST, path, token, body)).await;
        let challenge = response.headers().contains_key("www-authenticate");
        let (status, problem) = read(response).await;
        assert_eq!(
            (status, challenge),
            (StatusCode::UNAUTHORIZED, true),
            "{token:?}"
        );
        assert_eq!(problem["code"], "token-required");
    }
    let report = rig.handle.report(&key("prod/inventory")).unwrap();
    assert_eq!(report.status.suspension, None);
}

#[tokio::test]
async fn a_suspension_holds_a_commit_back_and_resume_lets_it_go() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let path = "/api/v1/services/prod/inventory";
    let (status, problem) = rig.post(&format!("{path}/suspend"), None).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("say why, in `reason`"))
    );
    let reason = json!({ "reason": "freeze" });
    let (status, taken) = rig.post(&format!("{path}/suspend"), Some(reason)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(taken["actor"], "ana");
    assert_eq!(taken["service"]["status"]["suspension"]["reason"], "freeze");
    let held = rig
        .bring(
            desired("prod/inventory", 2, vec![]),
            ServicePhase::Suspended,
        )
        .await;
    assert!(
        held.status
            .why
            .contains("is held back: suspended by ana: freeze"),
        "{}",
        held.status.why
    );
    let (status, _) = rig.post(&format!("{path}/resume"), None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    rig.bring(desired("prod/inventory", 2, vec![]), ServicePhase::Live)
        .await;
    let (status, problem) = rig.post(&format!("{path}/resume"), None).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("action-refused"))
    );
}

#[tokio::test]
async fn an_approval_lets_a_rollout_go_on() {
    let rig = Rig::new().await;
    let asked = desired("prod/inventory", 1, vec![answers(), approval()]);
    rig.bring(asked.clone(), ServicePhase::AwaitingApproval)
        .await;
    let (status, _) = rig
        .post("/api/v1/services/prod/inventory/approve", None)
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    rig.bring(asked, ServicePhase::Live).await;
}

#[tokio::test]
async fn a_rejected_release_is_tried_again_and_a_rollback_pins() {
    let rig = Rig::new().await;
    let path = "/api/v1/services/prod/inventory";
    rig.bring(
        desired("prod/inventory", 1, vec![answers()]),
        ServicePhase::Live,
    )
    .await;
    rig.world.gates_find(&key("prod/inventory"), Finds::Bad);
    rig.bring(
        desired("prod/inventory", 2, vec![answers()]),
        ServicePhase::Rejected,
    )
    .await;
    rig.world.gates_find(&key("prod/inventory"), Finds::Good);
    assert_eq!(
        rig.post(&format!("{path}/retry"), None).await.0,
        StatusCode::ACCEPTED
    );
    rig.wait(&key("prod/inventory"), |it| {
        it.status.phase == ServicePhase::Live
    })
    .await;
    assert_eq!(
        rig.post(&format!("{path}/rollback"), None).await.0,
        StatusCode::ACCEPTED
    );
    let pinned = rig
        .wait(&key("prod/inventory"), |it| {
            it.status.phase == ServicePhase::Pinned
        })
        .await;
    assert_eq!(pinned.status.pin.as_ref().unwrap().actor.username, "ana");
    let (_, history) = rig.get(&format!("{path}/history")).await;
    let outcomes: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["Live", "Live", "Rejected", "Live"]);
    let (_, page) = rig.get(&format!("{path}/history?limit=1")).await;
    assert_eq!(page["continue"], 4);
    let (_, page) = rig.get(&format!("{path}/history?limit=2&before=3")).await;
    assert_eq!(page["items"][0]["id"], "r-2");
}

#[tokio::test]
async fn an_abort_ends_a_rollout_at_its_gates() {
    let rig = Rig::new().await;
    rig.world.gates_find(&key("prod/inventory"), Finds::Nothing);
    rig.bring(
        desired("prod/inventory", 1, vec![answers()]),
        ServicePhase::Gating,
    )
    .await;
    let body = json!({ "reason": "wrong branch" });
    let (status, _) = rig
        .post("/api/v1/services/prod/inventory/abort", Some(body))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let report = rig
        .wait(&key("prod/inventory"), |it| {
            it.status.phase == ServicePhase::Rejected
        })
        .await;
    assert!(
        report.status.why.contains("aborted by ana: wrong branch"),
        "{}",
        report.status.why
    );
}

#[tokio::test]
async fn reconcile_wakes_the_repositories_and_echoes_its_token() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let body = json!({ "token": "deploy-7" });
    let (status, taken) = rig
        .post("/api/v1/services/prod/inventory/reconcile", Some(body))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(
        taken["service"]["status"]["lastHandledReconcileAt"],
        "deploy-7"
    );
    assert_eq!(
        rig.post("/api/v1/reconcile", None).await.0,
        StatusCode::ACCEPTED
    );
    assert_eq!(rig.wakes.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_does_not_fit_is_told_by_a_stable_code() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let service = "/api/v1/services/prod/inventory";
    let table = [
        (
            "/api/v1/services/prod/nobody/retry",
            json!({}),
            404,
            "service-not-found",
        ),
        ("/api/v1/services/PROD/x/retry", json!({}), 400, "bad-name"),
        (
            &format!("{service}/retry"),
            json!({}),
            409,
            "action-refused",
        ),
        (
            &format!("{service}/retry"),
            json!({ "force": true }),
            400,
            "bad-body",
        ),
        (&format!("{service}/retry"), json!([1]), 400, "bad-body"),
        (
            &format!("{service}/rollback"),
            json!({ "to": "v1" }),
            409,
            "action-refused",
        ),
        (
            &format!("{service}/suspend"),
            json!({ "reason": "x".repeat(1001) }),
            400,
            "bad-body",
        ),
        (
            &format!("{service}/suspend"),
            json!({ "reason": "x".repeat(70_000) }),
            413,
            "body-too-large",
        ),
        (
            &format!("{service}/suspend"),
            json!({ "reason": "x", "until": "2020-01-01T00:00:00Z" }),
            409,
            "action-refused",
        ),
        ("/hooks/sourceforge", json!({}), 404, "provider-not-found"),
        ("/nowhere", json!({}), 404, "path-not-found"),
        ("/api/v1/summary", json!({}), 405, "method-not-allowed"),
    ];
    for (path, body, status, code) in table {
        let (got, problem) = rig.post(path, Some(body)).await;
        assert_eq!(
            (got.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{path}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_rollout_is_held_hurried_pinned_and_explained() {
    let rig = Rig::new().await;
    let path = "/api/v1/services/prod/inventory";
    let reason = |text: &str| Some(json!({ "reason": text }));
    for number in [1, 2] {
        let asked = desired("prod/inventory", number, vec![answers()]);
        rig.bring(asked, ServicePhase::Live).await;
    }
    let mut asked = desired("prod/inventory", 3, vec![answers()]);
    asked.rollout.bake = std::time::Duration::from_secs(900);
    rig.bring(asked, ServicePhase::Baking).await;
    let (status, taken) = rig.post(&format!("{path}/pause"), reason("lunch")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let paused = &taken["service"]["status"]["rollout"]["paused"];
    assert_eq!(paused["actor"]["username"], "ana");
    assert_eq!(paused["reason"], "lunch");
    let (status, problem) = rig.post(&format!("{path}/override"), reason("now")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    let full = Some(json!({ "full": true }));
    let (status, _) = rig.post(&format!("{path}/promote"), full).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let is_live = |it: &verdigris::status::ServiceReport| it.status.phase == ServicePhase::Live;
    rig.wait(&key("prod/inventory"), is_live).await;

    // By a rollout, by what begins its digest, and by what nobody is called.
    let (status, _) = rig
        .post(&format!("{path}/rollback"), Some(json!({ "to": "r-1" })))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let is_pinned = |it: &verdigris::status::ServiceReport| it.status.phase == ServicePhase::Pinned;
    let pinned = rig.wait(&key("prod/inventory"), is_pinned).await;
    let (_, why) = rig.get(&format!("{path}/why")).await;
    assert_eq!(why["isLive"], false, "{why}");
    assert_eq!(why["obstacles"][0]["kind"], "pinned", "{why}");
    assert!(why["obstacles"][0]["since"].is_string(), "{why}");
    let (status, problem) = rig
        .post(&format!("{path}/rollback"), Some(json!({ "to": "r-9" })))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("no release that is kept is called `r-9`")
    );
    let digits = &pinned.status.releases.live.unwrap().hex()[..8];
    let here = Some(json!({ "to": digits, "reason": "audit" }));
    let (status, taken) = rig.post(&format!("{path}/pin"), here).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{taken}");
    assert_eq!(taken["service"]["status"]["pin"]["kind"], "person");
    let (status, _) = rig.post(&format!("{path}/unpin"), None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, problem) = rig.post(&format!("{path}/unpin"), None).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("action-refused"))
    );
}

#[tokio::test]
async fn a_service_is_destroyed_by_the_hash_of_what_was_looked_at() {
    let rig = Rig::new().await;
    rig.bring(desired("prod/inventory", 1, vec![]), ServicePhase::Live)
        .await;
    let path = "/api/v1/services/prod/inventory/destroy";
    let (status, plan) = rig.get(path).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(plan["clouds"][0]["cloud"], "aws");
    assert!(!plan["clouds"][0]["goes"].as_array().unwrap().is_empty());
    for (body, status, told) in [
        (
            json!({ "reason": "over" }),
            StatusCode::BAD_REQUEST,
            "name the `plan` by its hash",
        ),
        (
            json!({ "plan": plan["hash"] }),
            StatusCode::BAD_REQUEST,
            "say why",
        ),
        (
            json!({ "plan": "00000000", "reason": "over" }),
            StatusCode::CONFLICT,
            "look at it with `destroy`",
        ),
    ] {
        let (answered, problem) = rig.post(path, Some(body)).await;
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!(answered, status);
        assert!(detail.contains(told), "{detail}");
    }
    let body = json!({ "plan": plan["hash"], "reason": "over" });
    let (status, taken) = rig.post(path, Some(body)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(taken["service"]["status"]["destruction"]["reason"], "over");
    rig.wait(&key("prod/inventory"), |it| {
        it.status.phase == ServicePhase::Destroyed
    })
    .await;
    let (_, plan) = rig.get(path).await;
    assert!(plan["clouds"][0]["goes"].as_array().unwrap().is_empty());
    assert_eq!(plan["notes"][0], "it was destroyed already, by ana");
}
