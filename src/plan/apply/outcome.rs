//! Takes in what came back: outcomes of orders, measurements and looks.

use std::collections::BTreeMap;

use super::{Write, event};
use crate::{
    diff::FieldDrift,
    name::{CloudName, GateName, Timestamp},
    observed::Observed,
    plan::state::{Live, Policy, Problem, Seen, ServiceState, Severity},
    rollout::{
        evidence::Measurement,
        gate_run::EVIDENCE_MAX,
        intent::{
            BACKOFF_MAX, Failure, Intent, IntentKey, IntentState, Order, Patience, RETRY_AFTER_MAX,
            Response,
        },
    },
};

/// Takes in what became of an order.
pub fn settle(
    state: &mut ServiceState,
    key: &IntentKey,
    outcome: Result<(), Failure>,
    policy: Policy,
    now: Timestamp,
) -> Vec<Write> {
    state.in_flight.orders.remove(key);
    let outcome = outcome.map_err(Failure::shortened);
    let is_rollback = state.active().is_some_and(|it| it.trigger.is_rollback());
    let Some(intent) = state.intents.get_mut(key) else {
        return Vec::new();
    };
    let order = intent.order.clone();
    let patience = patience(intent, is_rollback, policy);
    let is_over = match (&outcome, patience) {
        (Err(failure), Patience::Endless) => stands(&state.live, &order, failure),
        (Ok(()), _) | (Err(_), Patience::Tries(_) | Patience::Time) => false,
    };
    let result = if is_over { Ok(()) } else { outcome.clone() };
    intent.settle(result, patience, now);
    let is_measured = intent.is_done() && matches!(order, Order::Measure { .. });
    let mut writes = Vec::new();
    if is_measured {
        // Its measurements are kept with the rollout; a gate that is asked a thousand times leaves no thousand intents.
        state.intents.remove(key);
        writes.push(Write::DropIntent(key.clone()));
    } else {
        writes.push(Write::Intent(key.clone()));
    }
    match outcome {
        Err(failure) => writes.push(event(
            state,
            Severity::Warning,
            &failure.reason,
            format!("{order}: {}", failure.message),
            now,
        )),
        Ok(()) if key.0.starts_with("drift/") => {
            let message = order.to_string();
            writes.push(event(state, Severity::Info, "DriftRepaired", message, now));
        }
        Ok(()) => {}
    }
    writes
}

/// Whether a way back is at its end in spite of a failure: blue holds what it is to hold, and that this does not answer is nothing that one
/// more try could mend. Whoever waited for it would keep every newer release out.
fn stands(live: &BTreeMap<CloudName, Box<Live>>, order: &Order, failure: &Failure) -> bool {
    let Order::Promote { target, release } = order else {
        return false;
    };
    let seen = live.get(target).filter(|live| live.problem.is_none());
    let seen = seen.and_then(|live| live.seen.as_ref());
    failure.response == Response::Reject && seen.is_some_and(|it| it.observed.blue.holds(*release))
}

/// A way back, a repair and a deletion are never given up. A promotion is given up soon, since users see half of it; what users do not see
/// is tried for a while.
fn patience(intent: &Intent, is_rollback: bool, policy: Policy) -> Patience {
    let key = &intent.key.0;
    let is_endless =
        key.contains("/back/") || key.starts_with("drift/") || key.starts_with("prune/");
    match &intent.order {
        _ if is_endless => Patience::Endless,
        Order::Promote { .. }
        | Order::Repair { .. }
        | Order::Retract { .. }
        | Order::Shift { .. }
            if is_rollback =>
        {
            Patience::Endless
        }
        Order::Promote { .. }
        | Order::Repair { .. }
        | Order::Retract { .. }
        | Order::Shift { .. } => Patience::Tries(policy.attempts_max),
        Order::Build { .. } | Order::Stage { .. } | Order::Measure { .. } | Order::Prune { .. } => {
            Patience::Time
        }
    }
}

/// Takes in one round of a gate.
pub fn measured(
    state: &mut ServiceState,
    gate: &GateName,
    measurements: Vec<Measurement>,
) -> Vec<Write> {
    let Some(rollout) = &mut state.rollout else {
        return Vec::new();
    };
    let Some(run) = rollout.gates.iter_mut().find(|run| run.gate == *gate) else {
        return Vec::new();
    };
    run.measurements.extend(
        measurements
            .into_iter()
            .map(|measurement| measurement.shortened(EVIDENCE_MAX)),
    );
    run.forget_old_evidence();
    rollout.keep_evidence_small();
    vec![Write::Rollout]
}

/// Takes in a look at a target that began at a moment. What began before the newest look is older news, whenever it comes.
pub fn seen(
    state: &mut ServiceState,
    target: CloudName,
    look: Result<(Observed, Vec<FieldDrift>), Failure>,
    began: Timestamp,
) -> Vec<Write> {
    let service = state.key.clone();
    let live = state.live.entry(target).or_insert_with(|| {
        Box::new(Live {
            service,
            target,
            seen: None,
            problem: None,
        })
    });
    match look {
        Ok(_) if live.seen.as_ref().is_some_and(|seen| seen.at > began) => return Vec::new(),
        Ok((observed, drift)) => {
            let is_known = live.problem.is_none()
                && matches!(&live.seen, Some(seen) if seen.observed == observed && seen.drift == drift);
            if let Some(seen) = live.seen.as_mut().filter(|_| is_known) {
                // When it was seen is not worth a write: after a restart it is looked at a little sooner.
                seen.at = began;
                return Vec::new();
            }
            let before = live.seen.as_ref().and_then(|seen| seen.silent_since);
            let silence = observed.silence.clone();
            live.problem = None;
            live.seen = Some(Seen {
                at: began,
                silent_since: silence.as_ref().map(|_| before.unwrap_or(began)),
                observed,
                drift,
            });
            if let Some(silence) = silence.filter(|_| before.is_none()) {
                return vec![Write::Live(target), silent(state, target, &silence, began)];
            }
        }
        Err(failure) => {
            let before = live.problem.as_ref();
            live.problem = Some(Problem {
                failure,
                since: before.map_or(began, |problem| problem.since),
                at: began,
                times: before.map_or(0, |problem| problem.times).saturating_add(1),
            });
        }
    }
    vec![Write::Live(target)]
}

fn silent(state: &ServiceState, target: CloudName, silence: &str, now: Timestamp) -> Write {
    let message = format!("blue on {target} does not answer as its release: {silence}");
    event(state, Severity::Warning, "BlueSilent", message, now)
}

/// The clock went back: what lies in the future now happened just now. Without this, nothing would be looked at until the clock has
/// caught up, and an old look would pass for a new one.
pub fn not_in_the_future(state: &mut ServiceState, now: Timestamp) {
    for live in state.live.values_mut() {
        if let Some(seen) = live.seen.as_mut().filter(|seen| seen.at > now) {
            seen.at = Timestamp::default();
            seen.silent_since = seen.silent_since.map(|since| since.min(now));
        }
        if let Some(problem) = live.problem.as_mut().filter(|problem| problem.at > now) {
            problem.at = now;
        }
    }
    for intent in state.intents.values_mut() {
        match &mut intent.state {
            IntentState::Open { not_before, .. } => {
                *not_before = (*not_before).min(now.after(BACKOFF_MAX.max(RETRY_AFTER_MAX)));
            }
            IntentState::Done { at } => *at = (*at).min(now),
            IntentState::Failed { .. } => {}
        }
    }
    let live_since = &mut state.memory.live_since;
    *live_since = live_since.map(|since| since.min(now));
    if let Some(rollout) = &mut state.rollout {
        rollout.phase.not_in_the_future(now);
        for run in &mut rollout.gates {
            run.since = run.since.min(now);
            // The next of each target is due a while after its last.
            let newest = run.measurements.iter_mut().rev();
            newest
                .take_while(|made| made.finished_at > now)
                .for_each(|made| made.finished_at = now);
        }
    }
}
