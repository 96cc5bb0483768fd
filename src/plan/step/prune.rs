//! A service that Git no longer names is deleted, but never half of them; one that a person had destroyed is deleted, and stays so.

use super::{
    Fleet, Note, Sending, Step, is_sendable,
    look::{hindrance, look, next_look, unseen},
    wait, waiting_for,
};
use crate::{
    name::{CloudName, ServiceKey, Timestamp},
    plan::{
        around::Around,
        reason::{Reason, WaitingOn},
        rolling,
        state::{Ask, Destroyed, Policy, ServiceState},
    },
    rollout::{
        intent::{IntentKey, Order},
        phase::Event,
    },
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
    let holding = holding(state);
    if holding.is_empty() {
        return match state.writing() {
            Some((_, order)) => rolling::under_way(order),
            None => Step::Note(Note::Forget),
        };
    }
    if let Some(message) = held_back(state, around, policy, now) {
        return wait(WaitingOn::Prune { message }, next_look(state, policy));
    }
    prune(state, &holding, &Reason::RemovedFromGit, now)
}

/// Takes away what a person had destroyed, whatever Git asks for. A cloud that was not seen yet keeps no other from being tidied, and
/// what comes back goes again.
pub(super) fn destroyed(
    state: &ServiceState,
    destroyed: &Destroyed,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Step {
    if state.active().is_some() {
        return Step::Move(Event::Destroyed);
    }
    if let Some(step) = look(state, policy, now) {
        return step;
    }
    let (reason, actor) = (destroyed.reason.clone(), destroyed.actor.clone());
    let holding = holding(state);
    if !holding.is_empty() {
        return match around.dependants.first() {
            Some(dependant) => wait(after(dependant), next_look(state, policy)),
            None => prune(state, &holding, &Reason::Destroyed { actor, reason }, now),
        };
    }
    if let Some(on) = unseen(state) {
        return wait(on, next_look(state, policy));
    }
    if let Some((_, order)) = state.writing() {
        return rolling::under_way(order);
    }
    match &state.ask {
        Ask::Absent => Step::Note(Note::Forget),
        Ask::Unknown | Ask::Wanted(_) | Ask::Invalid { .. } if destroyed.gone_at.is_none() => {
            Step::Note(Note::Gone)
        }
        Ask::Unknown | Ask::Wanted(_) | Ask::Invalid { .. } => wait(
            WaitingOn::Destroyed { actor, reason },
            next_look(state, policy),
        ),
    }
}

fn after(dependant: &ServiceKey) -> WaitingOn {
    let message = format!("{dependant}, which depends on it and goes first");
    WaitingOn::Prune { message }
}

/// The clouds where something of it stands.
fn holding(state: &ServiceState) -> Vec<CloudName> {
    let holds = |target: &CloudName| {
        let seen = state.seen(*target);
        seen.is_some_and(|seen| !seen.observed.resources.is_empty())
    };
    state.targets().into_iter().filter(holds).collect()
}

/// A cloud that is ill keeps no other from being tidied.
fn prune(state: &ServiceState, holding: &[CloudName], reason: &Reason, now: Timestamp) -> Step {
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
                    reason: reason.clone(),
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
