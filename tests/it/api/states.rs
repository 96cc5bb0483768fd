//! What is told in each state that a service can be in: phase, sentence and conditions.

use std::time::Duration;

use serde_json::json;
use verdigris::{
    cloud::{
        CloudError,
        fake::{Fault, HandEdit, Operation},
    },
    manifest::spec::DriftMode,
    name::{CloudName, Slot},
    reconcile::handle::Asked,
    status::{ServiceReport, service::phase::ServicePhase},
};

use super::rig::{Finds, Rig, answers, approval, desired, key};

const NAME: &str = "prod/inventory";

/// Phase, sentence, conditions and waits, a line each.
fn told(report: &ServiceReport) -> String {
    let status = &report.status;
    let mut text = format!("{}: {}\n", status.phase.as_str(), status.why);
    for condition in &status.conditions {
        let kind = format!("{:?}", condition.kind);
        let what = if condition.message == status.why {
            ""
        } else {
            &condition.message
        };
        text += format!(
            "  {kind} {} {} {what}",
            condition.status.as_str(),
            condition.reason
        )
        .trim_end();
        text += "\n";
    }
    for target in &status.targets {
        text += &format!("  {} {:?} {:?}\n", target.cloud, target.health, target.sync);
    }
    for waiting in &status.waiting {
        text += &format!("  waits on {}\n", waiting.on);
    }
    text
}

async fn live(rig: &Rig) {
    rig.bring(desired(NAME, 1, vec![answers()]), ServicePhase::Live)
        .await;
}

/// What is told once the service stands there and its loop has looked at it: before that, it still tells of the wait before.
async fn phase(rig: &Rig, phase: ServicePhase, waits_on: &str) -> String {
    let is_so = |it: &ServiceReport| {
        let first = it.status.waiting.first();
        it.status.phase == phase && first.is_some_and(|first| first.on == waits_on)
    };
    told(&*rig.wait(&key(NAME), is_so).await)
}

#[tokio::test]
async fn live_rejected_and_never_deployed() {
    let rig = Rig::new().await;
    rig.handle
        .ask_one(
            &key(NAME),
            Some(&Asked::Invalid(vec![
                "a.yaml:1:1: spec: is missing".to_owned(),
            ])),
        )
        .await;
    insta::assert_snapshot!(
        "never_right",
        phase(&rig, ServicePhase::Invalid, "manifest").await
    );
    live(&rig).await;
    insta::assert_snapshot!("live", phase(&rig, ServicePhase::Live, "nothing").await);
    rig.world.gates_find(&key(NAME), Finds::Bad);
    rig.ask(desired(NAME, 2, vec![answers()])).await;
    insta::assert_snapshot!(
        "rejected",
        phase(&rig, ServicePhase::Rejected, "rejected").await
    );
    rig.handle
        .ask_one(
            &key(NAME),
            Some(&Asked::Invalid(vec![
                "a.yaml:1:1: spec: is missing".to_owned(),
            ])),
        )
        .await;
    let report = rig
        .wait(&key(NAME), |it| !it.status.faults.is_empty())
        .await;
    assert!(report.status.attention);
}

#[tokio::test]
async fn gating_and_waiting_for_approval() {
    let rig = Rig::new().await;
    live(&rig).await;
    rig.world.gates_find(&key(NAME), Finds::Nothing);
    rig.ask(desired(NAME, 2, vec![answers(), approval()])).await;
    insta::assert_snapshot!("gating", phase(&rig, ServicePhase::Gating, "order").await);
    rig.world.gates_find(&key(NAME), Finds::Good);
    rig.ask(desired(NAME, 3, vec![answers(), approval()])).await;
    let told = phase(&rig, ServicePhase::AwaitingApproval, "approval").await;
    let plan = rig.handle.plan(&key(NAME)).await.unwrap().hash.unwrap();
    insta::assert_snapshot!("awaiting_approval", told.replace(&plan.short(), "[plan]"));
}

#[tokio::test]
async fn baking_rolled_back_and_pinned() {
    let rig = Rig::new().await;
    live(&rig).await;
    let mut baking = desired(NAME, 2, vec![answers()]);
    baking.rollout.bake = Duration::from_secs(900);
    let report = rig.bring(baking, ServicePhase::Baking).await;
    assert!(
        report.status.why.starts_with("main@"),
        "{}",
        report.status.why
    );
    rig.post("/api/v1/services/prod/inventory/abort", None)
        .await;
    insta::assert_snapshot!(
        "rolled_back",
        phase(&rig, ServicePhase::RolledBack, "rejected").await
    );
    rig.bring(desired(NAME, 3, vec![]), ServicePhase::Live)
        .await;
    rig.post("/api/v1/services/prod/inventory/rollback", None)
        .await;
    insta::assert_snapshot!("pinned", phase(&rig, ServicePhase::Pinned, "pinned").await);
}

#[tokio::test]
async fn drift_that_is_only_told() {
    let rig = Rig::new().await;
    let mut watched = desired(NAME, 1, vec![]);
    watched.drift = DriftMode::Observe.into();
    rig.bring(watched, ServicePhase::Live).await;
    let edit = HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("1024".to_owned()),
    };
    rig.world.cloud(CloudName::Azure).edit(&key(NAME), edit);
    rig.post("/api/v1/services/prod/inventory/reconcile", None)
        .await;
    insta::assert_snapshot!("drifted", phase(&rig, ServicePhase::Drifted, "drift").await);
}

#[tokio::test]
async fn a_cloud_that_cannot_be_seen_is_unknown_and_not_empty() {
    let rig = Rig::new().await;
    let failure = CloudError::Unreachable {
        cloud: CloudName::Azure,
        operation: "observe".to_owned(),
        message: "connection refused".to_owned(),
    };
    for _ in 0..20 {
        rig.world.cloud(CloudName::Azure).fault(
            Operation::Observe,
            1,
            Fault::Fail(failure.clone()),
        );
    }
    rig.ask(desired(NAME, 1, vec![])).await;
    insta::assert_snapshot!(
        "cloud_unknown",
        phase(&rig, ServicePhase::CloudUnknown, "cloud").await
    );
}

#[tokio::test]
async fn suspended() {
    let rig = Rig::new().await;
    live(&rig).await;
    let body = json!({ "reason": "freeze" });
    rig.post("/api/v1/services/prod/inventory/suspend", Some(body))
        .await;
    insta::assert_snapshot!(
        "suspended_live",
        phase(&rig, ServicePhase::Suspended, "suspended").await
    );
    rig.ask(desired(NAME, 2, vec![])).await;
    rig.wait(&key(NAME), |it| it.status.why.contains("held back"))
        .await;
    insta::assert_snapshot!(
        "suspended_held_back",
        phase(&rig, ServicePhase::Suspended, "suspended").await
    );
}

#[tokio::test]
async fn a_look_that_finds_nothing_new_is_no_change() {
    let rig = Rig::new().await;
    let before = rig
        .bring(desired(NAME, 1, vec![]), ServicePhase::Live)
        .await;
    let before = rig
        .wait(&key(NAME), |it| {
            it.status
                .waiting
                .first()
                .is_some_and(|it| it.on == "nothing")
                && it.key() == before.key()
        })
        .await;
    let mut changes = rig.handle.changes();
    changes.borrow_and_update();
    rig.handle.wake(&key(NAME));
    changes.changed().await.unwrap();
    let after = rig.handle.report(&key(NAME)).unwrap();
    assert_eq!(
        before.metadata.resource_version,
        after.metadata.resource_version
    );
}
