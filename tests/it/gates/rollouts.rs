//! What becomes of a rollout by what its gates find, on the stage.

use std::{collections::BTreeMap, time::Duration};

use verdigris::{
    condition::Condition,
    desired::DesiredService,
    manifest::spec::{GateStage, Measure},
    plan::act::Action,
    rollout::evidence::{Evidence, HttpAnswer, HttpEvidence, HttpRequest, Outcome},
};

use crate::stage::{Stage, version};

const SETTLED: Duration = Duration::from_secs(300);

/// An answer of this body after so many milliseconds.
fn answer(status: u16, latency_ms: u64, body: &str) -> (Outcome, Evidence) {
    let evidence = HttpEvidence {
        request: HttpRequest {
            method: "GET".to_owned(),
            url: "http://green/stock/42".to_owned(),
            headers: BTreeMap::new(),
            body: None,
        },
        answer: Some(HttpAnswer {
            status,
            headers: BTreeMap::new(),
            body: body.to_owned(),
            is_cut: false,
            latency_ms,
        }),
        checks: Vec::new(),
        tries: 1,
        name: None,
        captured: BTreeMap::new(),
        earlier: Vec::new(),
    };
    (Outcome::Successful, Evidence::Http(evidence))
}

/// The service at a version, with one gate called `smoke`.
fn with(text: &str, after: GateStage, measure: Measure) -> DesiredService {
    let mut desired = version(text);
    let gate = &mut desired.rollout.gates[0];
    (gate.after, gate.measure) = (after, measure);
    desired
}

fn judged_by(success: &str, failure: Option<&str>) -> Measure {
    Measure {
        success_condition: Some(Condition(success.to_owned())),
        failure_condition: failure.map(|text| Condition(text.to_owned())),
        ..Measure::default()
    }
}

/// Version 1 is live; the gate of version 2 finds these, one after the other.
async fn second(found: Vec<(Outcome, Evidence)>, desired: DesiredService) -> Stage {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    stage
        .world
        .found
        .lock()
        .unwrap()
        .insert("smoke".to_owned(), found);
    stage.commit(&[desired]).await;
    stage.pass(SETTLED).await;
    stage
}

async fn told(stage: &Stage) -> String {
    let rollout = stage.state().await.rollout.unwrap();
    let why = rollout.phase.why().map(|why| why.message.clone());
    format!("{}: {}", rollout.phase.word(), why.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_condition_over_the_evidence_decides() {
    let one = Some("json.left < 1");
    let table = [
        (
            answer(200, 40, r#"{"left":3}"#),
            "json.left > 0",
            one,
            "Live: ",
        ),
        (
            answer(200, 40, r#"{"left":0}"#),
            "json.left > 0",
            None,
            "Rejected: gate smoke failed: aws: 1 failed measurement, 0 forgiven; successCondition `json.left > 0` does not hold; json is {\"left\":0}",
        ),
        (
            answer(200, 40, r#"{"left":0}"#),
            "json.left > 0",
            one,
            "Rejected: gate smoke failed: aws: 1 failed measurement, 0 forgiven; failureCondition `json.left < 1` holds; json is {\"left\":0}",
        ),
        (
            answer(200, 40, r#"{"left":1}"#),
            "json.left > 1",
            one,
            "Paused: gate smoke is inconclusive: aws: 1 inconclusive measurement, 0 forgiven; neither successCondition `json.left > 1` nor failureCondition `json.left < 1` holds; json is {\"left\":1}",
        ),
        (
            answer(200, 40, r#"{"right":1}"#),
            "json.left > 1",
            None,
            "Paused: gate smoke could not be measured: aws: 5 consecutive error measurements, 4 forgiven; successCondition `json.left > 1` cannot be judged: there is no `left`; json is {\"right\":1}",
        ),
        (
            answer(200, 40, "<html>"),
            "json.left > 1",
            None,
            "Paused: gate smoke could not be measured: aws: 5 consecutive error measurements, 4 forgiven; successCondition `json.left > 1` cannot be judged: the answer is no JSON",
        ),
    ];
    for (found, success, failure, wanted) in table {
        let desired = with("2", GateStage::Staging, judged_by(success, failure));
        let stage = second(vec![found], desired).await;
        assert_eq!(told(&stage).await, wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_without_end_watches_blue_until_the_bake_is_over() {
    let watch = || Measure {
        count: None,
        ..judged_by("latencyMs < 300", None)
    };
    let desired = || with("2", GateStage::Promotion, watch());
    let stage = second(vec![answer(200, 40, "")], desired()).await;
    assert_eq!(stage.phase().await, "Live");
    let rollout = stage.state().await.rollout.unwrap();
    let made = rollout.gates[0].measurements.len();
    assert!((18..=24).contains(&made), "two clouds, ten seconds: {made}");
    let mut found = vec![answer(200, 40, ""); 9];
    found.push(answer(200, 800, ""));
    let stage = second(found, desired()).await;
    let told = told(&stage).await;
    assert!(
        told.starts_with("RolledBack: gate smoke failed: "),
        "{told}"
    );
    assert_eq!(stage.blues().await, [Some(version("1").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn enough_successes_in_a_row_are_waited_for() {
    let measure = Measure {
        count: None,
        success_limit: Some(3),
        failure_limit: None,
        ..judged_by("json.left > 0", None)
    };
    let mut found = vec![answer(200, 40, r#"{"left":0}"#); 20];
    found.push(answer(200, 40, r#"{"left":1}"#));
    let stage = second(found, with("2", GateStage::Staging, measure)).await;
    assert_eq!(stage.phase().await, "Live");
}

#[tokio::test(start_paused = true)]
async fn what_is_inconclusive_on_blue_waits_for_a_person() {
    let unclear = answer(200, 40, r#"{"left":1}"#);
    let clear = answer(200, 40, r#"{"left":2}"#);
    let measure = || judged_by("json.left > 1", Some("json.left < 1"));
    let desired = || with("2", GateStage::Promotion, measure());
    let stage = second(vec![unclear.clone(), clear], desired()).await;
    assert_eq!(stage.phase().await, "Baking");
    let waits = stage.waits_on().await;
    assert!(waits.contains("gate smoke is inconclusive"), "{waits}");
    stage.act(Action::Retry).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    let stage = second(vec![unclear], desired()).await;
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("1").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_told_and_not_acted_on() {
    let measure = Measure {
        dry_run: true,
        ..judged_by("latencyMs < 300", None)
    };
    let desired = with("2", GateStage::Staging, measure);
    let stage = second(vec![answer(200, 900, "")], desired).await;
    assert_eq!(stage.phase().await, "Live");
    let made = &stage.state().await.rollout.unwrap().gates[0].measurements;
    let mut whys = made.iter().filter_map(|made| made.outcome.why());
    assert_eq!(
        whys.next_back(),
        Some("successCondition `latencyMs < 300` does not hold; latencyMs is 900")
    );
}
