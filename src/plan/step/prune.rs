//! A service that Git no longer names is deleted, but never half of them.

use super::{
    Fleet, Note, Sending, Step, is_sendable,
    look::{hindrance, look, next_look, unseen},
    wait, waiting_for,
};
use crate::{
    name::{CloudName, Timestamp},
    plan::{
        around::Around,
        reason::{Reason, WaitingOn},
        rolling,
        state::{Policy, ServiceState},
    },
    rollout::intent::{IntentKey, Order},
};

pub(super) fn absent(
    state: &ServiceState,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Step {
    if state.is_forgotten() {
        return wait(WaitingOn::Nothing, None);
    }
    if let Some(step) = look(state, policy, now) {
        return step;
    }
    if let Some(on) = unseen(state) {
        return wait(on, next_look(state, policy));
    }
    let holds = |target: &CloudName| {
        let seen = state.seen(*target);
        seen.is_some_and(|seen| !seen.observed.resources.is_empty())
    };
    let holding: Vec<CloudName> = state.targets().into_iter().filter(holds).collect();
    if holding.is_empty() {
        return match state.writing() {
            Some((_, order)) => rolling::under_way(order),
            None => Step::Note(Note::Forget),
        };
    }
    if let Some(message) = held_back(state, around, policy, now) {
        return wait(WaitingOn::Prune { message }, next_look(state, policy));
    }
    prune(state, &holding, now)
}

/// A cloud that is ill keeps no other from being tidied.
fn prune(state: &ServiceState, holding: &[CloudName], now: Timestamp) -> Step {
    let mut sendings = Vec::new();
    let mut waits = Vec::new();
    for target in holding {
        let key = IntentKey(format!("prune/{target}"));
        match state.intents.get(&key) {
            Some(intent) if !intent.is_done() && !is_sendable(state, intent, now) => {
                waits.push(waiting_for(state, intent));
            }
            Some(_) | None => match other_order(state, *target, &key) {
                Some(step) => waits.push(step),
                None => sendings.push(Sending {
                    key,
                    order: Order::Prune { target: *target },
                    reason: Reason::RemovedFromGit,
                }),
            },
        }
    }
    if sendings.is_empty() {
        Step::all(waits).unwrap_or_else(|| wait(WaitingOn::Nothing, None))
    } else {
        Step::Send(sendings)
    }
}

/// What is not ours is no hindrance here: it is left alone.
fn other_order(state: &ServiceState, target: CloudName, key: &IntentKey) -> Option<Step> {
    let on = hindrance(state, target, Some(key))?;
    matches!(on, WaitingOn::Order { .. }).then(|| wait(on, None))
}

/// Why nothing is deleted, in the words of what is waited on.
fn held_back(
    state: &ServiceState,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Option<String> {
    if let Some(suspension) = state.suspension(now) {
        return Some(format!(
            "`resume`: removed from git, but suspended because {}",
            suspension.reason
        ));
    }
    if !policy.prune {
        return Some("a person: removed from git, and pruning is off".to_owned());
    }
    if let Some(dependant) = around.dependants.first() {
        return Some(format!(
            "{dependant}, which depends on it and goes first: remove it from git, or what it needs from its `dependsOn`"
        ));
    }
    let Fleet { known, absent } = around.fleet;
    let share = policy.prune_share;
    let is_too_many = absent * 100 > known * share;
    is_too_many.then(|| {
        let environment = &state.key.environment;
        format!(
            "a person: git no longer names {absent} of {known} services of {environment}, and no more than {share} % are deleted at once; \
             `pruneShare: 100` in the configuration lets them go"
        )
    })
}
