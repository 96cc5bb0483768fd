//! `load` and `parity` in a rollout over both local clouds: what they let through, and what they stop.

use verdigris::{
    daemon::run::Daemon, name::ServiceKey, plan::state::ServiceState, rollout::evidence::Evidence,
};

use crate::stage::real::{Site, is_in, is_live, is_of, until, versions};

const SERVICE: &str = "services/inventory/service.yaml";
const APP: &str = "services/inventory/app.py";

/// Where the gates of the example's service begin.
const GATES: &str = "    gates:\n";

const MEASURED: &str = "    gates:
      - load: { rate: 20/s, for: 1s, ramp: 500ms, p50: 10s, p95: 10s, errors: 0% }
      - parity: { requests: tests/golden.http, against: both, ignore: [/version] }
";

fn key() -> ServiceKey {
    "prod/inventory".parse().unwrap()
}

async fn commit(site: &Site, daemon: &Daemon, message: &str, phase: &str) -> ServiceState {
    let commit = site.author.commit(message).unwrap();
    daemon.sources.wake_all();
    until(daemon, &key(), phase, |state| {
        is_of(state, &commit)
            && if phase == "live" {
                is_live(state)
            } else {
                is_in(state, phase)
            }
    })
    .await
}

/// The newest evidence of a gate, in one line for each target.
fn summaries(state: &ServiceState, gate: &str) -> Vec<String> {
    let rollout = state.rollout.as_ref().unwrap();
    let run = rollout.gates.iter().find(|run| run.gate.as_str() == gate);
    let made = run
        .unwrap_or_else(|| panic!("{gate}: {rollout:?}"))
        .measurements
        .iter();
    made.filter_map(|made| made.evidence.summary()).collect()
}

fn why(state: &ServiceState) -> String {
    let rollout = state.rollout.as_ref().unwrap();
    rollout.phase.why().unwrap().message.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_slow_or_answers_otherwise_never_reaches_blue() {
    let site = Site::new().await;
    let golden = "GET /stock/42\n\n### nothing there\nGET /stock/none\n";
    site.author.write("tests/golden.http", golden).unwrap();
    site.edit(SERVICE, GATES, MEASURED);
    let first = site.author.commit("the shop opens, measured").unwrap();
    let daemon = site.local_daemon().await;
    let state = until(&daemon, &key(), "live", |state| {
        is_of(state, &first) && is_live(state)
    })
    .await;
    assert_eq!(
        summaries(&state, "parity"),
        [
            "aws green = azure green: 2 alike; aws: nothing is on blue yet, so there is nothing to compare with; \
          azure: nothing is on blue yet, so there is nothing to compare with"
        ]
    );
    let rollout = state.rollout.as_ref().unwrap();
    let load = rollout
        .gates
        .iter()
        .find(|run| run.gate.as_str() == "load")
        .unwrap();
    for made in &load.measurements {
        let Evidence::Load(evidence) = &made.evidence else {
            panic!("{made:?}");
        };
        assert_eq!(
            (evidence.count, evidence.errors, evidence.ramp_count),
            (20, 0, 5)
        );
        assert!(evidence.requests[0].ends_with("/stock/42"), "{evidence:?}");
    }

    // Another version alone is declared not to matter.
    site.edit(APP, r#"VERSION = "v1""#, r#"VERSION = "v2""#);
    let state = commit(&site, &daemon, "inventory: v2", "live").await;
    assert_eq!(
        summaries(&state, "parity"),
        [
            "aws green = azure green: 2 alike; aws green = aws blue: 2 alike; azure green = azure blue: 2 alike"
        ]
    );

    site.edit(APP, r#""42": 17"#, r#""42": 16"#);
    let state = commit(&site, &daemon, "inventory: another answer", "Rejected").await;
    assert!(
        why(&state).contains("body /left: aws green 16, aws blue 17"),
        "{}",
        why(&state)
    );
    assert_eq!(versions(&state).await, ["v2"; 2], "blue is untouched");

    site.edit(APP, r#""42": 16"#, r#""42": 17"#);
    site.edit(
        APP,
        "    parts = scope",
        "    await asyncio.sleep(0.1)\n    parts = scope",
    );
    site.edit(APP, "import json\n", "import asyncio\nimport json\n");
    site.edit(SERVICE, "p50: 10s", "p50: 50ms");
    let state = commit(&site, &daemon, "inventory: slow", "Rejected").await;
    assert!(
        why(&state).contains("gate load failed: "),
        "{}",
        why(&state)
    );
    assert!(
        why(&state).contains("p50: wanted at most 50 ms, got "),
        "{}",
        why(&state)
    );
    assert_eq!(versions(&state).await, ["v2"; 2], "blue is untouched");
    daemon.stop().await;
}
