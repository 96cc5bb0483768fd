//! The second opinion, by orders that must never be given: told to it directly, and (in `misled`) by a planner that was made to give them.

#[cfg(debug_assertions)]
mod misled;

use std::{sync::Arc, time::Duration};

use verdigris::{
    cloud::fake::HandEdit,
    guard,
    manifest::spec::Across,
    name::{CloudName, GateName, Slot, Timestamp},
    observed::SlotContent,
    plan::{
        act::Action,
        state::{Ask, Problem, ServiceState},
    },
    rollout::{
        Trigger,
        intent::{Failure, Order, Response},
        phase::Phase,
    },
};

use crate::stage::{Stage, key, version};

const SETTLED: Duration = Duration::from_secs(300);
const AWS: CloudName = CloudName::Aws;
const AZURE: CloudName = CloudName::Azure;

/// v1 is live, and the rollout of v2 is in this phase.
async fn at(phase: &str) -> ServiceState {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    for cloud in CloudName::ALL {
        stage.cloud(cloud).slow(Duration::from_millis(500));
    }
    stage.commit(&[version("2")]).await;
    stage.until(&key(), phase).await;
    stage.state().await
}

/// Staged, and not measured yet.
async fn gating() -> ServiceState {
    let mut state = at("Staging").await;
    let since = Timestamp::default();
    state.rollout.as_mut().unwrap().phase = Phase::Gating { since };
    state
}

fn problem() -> Problem {
    Problem {
        failure: Failure {
            reason: "Unreachable".to_owned(),
            message: "no route".to_owned(),
            response: Response::Retry,
        },
        since: Timestamp::default(),
        at: Timestamp::default(),
        times: 1,
    }
}

/// What the guard says of an order, once something about the state was changed.
fn opinion(state: &ServiceState, order: &Order, change: impl FnOnce(&mut ServiceState)) -> String {
    opinion_among(state, order, (5, 1), change)
}

fn opinion_among(
    state: &ServiceState,
    order: &Order,
    (known, absent): (usize, usize),
    change: impl FnOnce(&mut ServiceState),
) -> String {
    let mut state = state.clone();
    change(&mut state);
    let fleet = verdigris::plan::step::Fleet { known, absent };
    let around = verdigris::plan::around::Around {
        fleet,
        ..Default::default()
    };
    let said = guard::check(order, &state, &around, 50);
    let said = said.map_or_else(|alarm| alarm.to_string(), |()| "may be given".to_owned());
    let two = version("2").release.digest.short();
    let three = version("3").release.digest.short();
    let said = said.replace(&two, "v2").replace(&three, "v3");
    said.replace(&version("1").release.digest.short(), "v1")
}

fn promote(target: CloudName) -> Order {
    let release = version("2").release.digest;
    Order::Promote { target, release }
}

fn stage(target: CloudName) -> Order {
    let release = version("2").release.digest;
    Order::Stage { target, release }
}

fn build() -> Order {
    let release = version("2").release.digest;
    Order::Build { release }
}

fn measure() -> Order {
    let gate: GateName = "smoke".parse().unwrap();
    Order::Measure { gate, round: 1 }
}

fn ask(state: &mut ServiceState, newer: &str) {
    state.ask = Ask::Wanted(Arc::new(version(newer)));
}

#[tokio::test(start_paused = true)]
async fn what_did_not_pass_is_not_promoted() {
    let gating = gating().await;
    let refused = "refused to promote v2 on aws: its rollout has not passed its gates";
    assert_eq!(opinion(&gating, &promote(AWS), |_| {}), refused);
    let promoting = at("Promoting").await;
    assert_eq!(opinion(&promoting, &promote(AWS), |_| {}), "may be given");
    let forget = |state: &mut ServiceState| state.rollout.as_mut().unwrap().gates.clear();
    assert_eq!(opinion(&promoting, &promote(AWS), forget), refused);
    let only_azure = |state: &mut ServiceState| {
        for run in &mut state.rollout.as_mut().unwrap().gates {
            run.measurements.retain(|it| it.target == Some(AZURE));
        }
    };
    assert_eq!(opinion(&promoting, &promote(AWS), only_azure), refused);
    let back = Order::Retract {
        target: AWS,
        release: version("2").release.digest,
    };
    assert_eq!(
        opinion(&promoting, &back, |_| {}),
        "refused to take v2 off aws: it is not the way back from a first promotion"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_not_touched() {
    let foreign = |state: &mut ServiceState| {
        let seen = state.live.get_mut(&AWS).unwrap().seen.as_mut().unwrap();
        seen.observed.foreign = vec!["arn:theirs".to_owned()];
    };
    let unseen = |state: &mut ServiceState| drop(state.live.remove(&AWS));
    for (phase, order) in [("Staging", stage(AWS)), ("Promoting", promote(AWS))] {
        let state = at(phase).await;
        assert_eq!(opinion(&state, &order, |_| {}), "may be given");
        assert_eq!(
            opinion(&state, &order, foreign),
            "refused to write to aws: `arn:theirs` does not carry our tags"
        );
        assert_eq!(
            opinion(&state, &order, unseen),
            "refused to write to aws: it was never seen"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_share_is_pruned_and_nothing_that_git_names() {
    let state = at("Live").await;
    let prune = Order::Prune { target: AWS };
    let absent = |state: &mut ServiceState| state.ask = Ask::Absent;
    assert_eq!(
        opinion(&state, &prune, |_| {}),
        "refused to prune aws: git still names the service, or was not read"
    );
    assert_eq!(opinion(&state, &prune, absent), "may be given");
    assert_eq!(
        opinion_among(&state, &prune, (5, 3), absent),
        "refused to prune aws: 3 of 5 services would go"
    );
    let unseen = |state: &mut ServiceState| {
        state.ask = Ask::Absent;
        state.live.clear();
    };
    assert_eq!(
        opinion(&state, &prune, unseen),
        "refused to write to aws: it was never seen"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_healthy_cloud_is_not_promoted_on_but_goes_back() {
    let state = at("Promoting").await;
    let refused = "refused to promote on aws: azure is ill, and aws is the last healthy cloud";
    let begin = |state: &mut ServiceState| state.intents.clear();
    let ill = |state: &mut ServiceState| {
        state.live.get_mut(&AZURE).unwrap().problem = Some(problem());
    };
    let empty = |state: &mut ServiceState| {
        let azure = state.live.get_mut(&AZURE).unwrap();
        azure.seen.as_mut().unwrap().observed.blue = SlotContent::Empty;
    };
    let unseen = |state: &mut ServiceState| drop(state.live.remove(&AZURE));
    let said = |change: &dyn Fn(&mut ServiceState)| {
        opinion(&state, &promote(AWS), |state| {
            begin(state);
            change(state);
        })
    };
    assert_eq!(said(&|_| {}), "may be given");
    assert_eq!(said(&ill), refused);
    assert_eq!(said(&empty), refused);
    assert_eq!(said(&unseen), refused);
    assert_eq!(
        opinion(&state, &promote(AZURE), |state| {
            begin(state);
            empty(state);
        }),
        "may be given",
        "the empty one first"
    );
    assert_eq!(
        opinion(&state, &promote(AWS), ill),
        "may be given",
        "what was begun goes on"
    );
    let rollback = |state: &mut ServiceState| {
        ill(state);
        state.rollout.as_mut().unwrap().trigger = Trigger::Rollback { held: None };
        let record = state.releases.get_mut(&version("2").release.digest);
        record.unwrap().promoted_at = Some(Timestamp::default());
    };
    assert_eq!(said(&rollback), "may be given");
}

#[tokio::test(start_paused = true)]
async fn orders_for_a_superseded_release_are_refused() {
    let newer = |state: &mut ServiceState| ask(state, "3");
    let absent = |state: &mut ServiceState| state.ask = Ask::Absent;
    for (phase, order) in [
        ("Building", build()),
        ("Staging", stage(AWS)),
        ("Gating", measure()),
    ] {
        let state = match phase {
            "Gating" => gating().await,
            _ => at("Staging").await,
        };
        assert_eq!(opinion(&state, &order, |_| {}), "may be given");
        let refused = "refused an order for v2: v3 is asked for now";
        assert_eq!(opinion(&state, &order, newer), refused, "{phase}");
        let refused = "refused an order for v2: nothing is asked for now";
        assert_eq!(opinion(&state, &order, absent), refused, "{phase}");
    }
    let state = at("Promoting").await;
    assert_eq!(
        opinion(&state, &promote(AWS), newer),
        "may be given",
        "what is promoting is never overtaken"
    );
    let overtaken = |state: &mut ServiceState| {
        let by = Some(version("3").release.digest);
        state.rollout.as_mut().unwrap().phase = Phase::Superseded { by };
    };
    assert_eq!(
        opinion(&state, &promote(AWS), overtaken),
        "refused an order for v2: v3 is asked for now"
    );
}

// === the planner's own manners ===

#[tokio::test(start_paused = true)]
async fn a_promotion_waits_while_a_cloud_is_ill_and_a_rollback_does_not() {
    for ill in CloudName::ALL {
        let mut stage = Stage::new().await;
        for name in ["1", "2"] {
            stage.commit(&[version(name)]).await;
            stage.pass(SETTLED).await;
        }
        let two = version("2").release.digest;
        let mut three = version("3");
        three.rollout.across = Across::InOrder {
            first: ill,
            soak: Duration::from_secs(120),
        };
        stage.commit(std::slice::from_ref(&three)).await;
        stage.until(&key(), "Promoting").await;
        stage.pass(Duration::from_secs(60)).await;
        stage.cloud(ill).hang(true);
        stage.pass(Duration::from_secs(200)).await;
        let waits = stage.waits_on().await;
        let other = match ill {
            AWS => AZURE,
            AZURE => AWS,
        };
        let words = format!("{ill}, which is ill: {other} is the last healthy cloud");
        assert!(waits.contains(&words), "{waits}");
        let held = |of: CloudName| stage.cloud(of).held(&key(), Slot::Blue);
        assert_eq!(held(other), Some(two), "the healthy side is not touched");
        assert_eq!(held(ill), Some(three.release.digest));
        assert_eq!(stage.phase().await, "Promoting");

        stage.act(Action::Abort { reason: None }).await;
        stage.pass(Duration::from_secs(1)).await;
        stage.cloud(ill).hang(false);
        stage.pass(SETTLED).await;
        assert_eq!(stage.phase().await, "RolledBack");
        assert_eq!(stage.blues().await, [Some(two); 2]);

        stage.cloud(ill).hang(true);
        stage.act(Action::Rollback { to: None }).await;
        stage.pass(Duration::from_secs(2)).await;
        let one = Some(version("1").release.digest);
        assert_eq!(
            held(other),
            one,
            "a rollback goes ahead on {other}: {}",
            stage.waits_on().await
        );
        stage.cloud(ill).hang(false);
        stage.pass(Duration::from_secs(1200)).await;
        assert_eq!(stage.blues().await, [one; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_serves_nobody_is_promoted_first() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let mut two = version("2");
    two.rollout.across = Across::InOrder {
        first: AWS,
        soak: Duration::from_secs(1),
    };
    for cloud in CloudName::ALL {
        stage.cloud(cloud).slow(Duration::from_millis(500));
    }
    stage.commit(std::slice::from_ref(&two)).await;
    stage.until(&key(), "Staging").await;
    stage.cloud(AZURE).edit(&key(), HandEdit::Empty(Slot::Blue));
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
    let events = stage.handle.last_events(1000).await.unwrap();
    assert!(events.iter().all(|event| event.reason != "Stalled"));
}
