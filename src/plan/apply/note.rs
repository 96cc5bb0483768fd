//! Takes in what needs no order: what is learnt, let go, void or forgotten.

use std::collections::BTreeMap;

use super::{Write, event};
use crate::{
    name::{PlanHash, Timestamp},
    plan::{
        reason::WaitingOn,
        repairs,
        state::{InFlight, Memory, ServiceState, Severity},
        step::Note,
    },
    rollout::intent::IntentKey,
};

/// Takes in what needs no order.
pub fn note(state: &mut ServiceState, note: Note, now: Timestamp) -> Vec<Write> {
    match note {
        Note::Learn { promoted } => {
            state.memory.promoted = Some(promoted);
            state.memory.live_since = Some(now);
            let message = format!("blue holds {} on every target", promoted.short());
            vec![
                Write::Memory,
                event(state, Severity::Info, "LiveStateLearnt", message, now),
            ]
        }
        Note::Unpin => {
            state.memory.pin = None;
            let message = "something newer than the rollback is asked for".to_owned();
            vec![
                Write::Memory,
                event(state, Severity::Info, "Unpinned", message, now),
            ]
        }
        Note::VoidApprovals { plan } => void(state, plan, now),
        Note::StopRepairs { target, message } => repairs::stop(state, target, &message, now),
        Note::ForgetRepairs { target } => repairs::forget(state, target),
        Note::Clear { keys } => drop_intents(state, |key| keys.contains(key)),
        Note::Redo { key, message } => {
            let mut writes = drop_intents(state, |it| *it == key);
            let told = event(state, Severity::Warning, "DriftDetected", message, now);
            writes.push(told);
            writes
        }
        Note::Gone => gone(state, now),
        Note::Forget => {
            let message = "removed from git and from every cloud".to_owned();
            let mut writes = drop_intents(state, |_| true);
            writes.extend(state.releases.keys().copied().map(Write::DropRelease));
            writes.extend([
                event(state, Severity::Info, "Pruned", message, now),
                Write::Forget,
            ]);
            let created_at = state.memory.created_at;
            state.memory = Memory::new(state.key.clone(), created_at);
            state.live.clear();
            state.releases.clear();
            state.in_flight = InFlight::default();
            state.rollout = None;
            writes
        }
    }
}

/// What was live is no more; its releases stay, for the day that somebody resumes.
fn gone(state: &mut ServiceState, now: Timestamp) -> Vec<Write> {
    let memory = &mut state.memory;
    let Some(destroyed) = &mut memory.destroyed else {
        return Vec::new();
    };
    destroyed.gone_at = Some(now);
    let message = format!(
        "nothing of it is left on any cloud, as {} asked: {}",
        destroyed.actor.username, destroyed.reason
    );
    destroyed.live = None;
    memory.previous = None;
    memory.pin = None;
    memory.suspension = None;
    memory.repaired.clear();
    let mut writes = drop_intents(state, |_| true);
    writes.extend([
        Write::Memory,
        event(state, Severity::Warning, "Destroyed", message, now),
    ]);
    writes
}

/// Dates what is waited for from now on, and forgets the dates of what no longer is.
pub fn date(state: &mut ServiceState, on: &[WaitingOn], now: Timestamp) -> Vec<Write> {
    let before = &state.memory.waits;
    let dated: BTreeMap<String, Timestamp> = on
        .iter()
        .filter_map(WaitingOn::dated_by_memory)
        .map(|name| {
            let since = before.get(&name).copied().unwrap_or(now);
            (name, since)
        })
        .collect();
    if dated == *before {
        return Vec::new();
    }
    state.memory.waits = dated;
    vec![Write::Memory]
}

/// Words that were given for another plan no longer count, and people are told.
fn void(state: &mut ServiceState, plan: PlanHash, now: Timestamp) -> Vec<Write> {
    let Some(rollout) = &mut state.rollout else {
        return Vec::new();
    };
    let mut who = Vec::new();
    let given = rollout.approvals.iter_mut();
    for approval in given.filter(|given| given.void_since.is_none() && !given.is_for(plan)) {
        approval.void_since = Some(now);
        who.push(approval.actor.username.clone());
    }
    let message = format!(
        "rollout {}: the plan is {} by now, so the approval of {} is void",
        rollout.id,
        plan.short(),
        who.join(" and of ")
    );
    let told = event(state, Severity::Warning, "ApprovalVoid", message, now);
    vec![Write::Rollout, told]
}

pub(in crate::plan) fn drop_intents(
    state: &mut ServiceState,
    is_dropped: impl Fn(&IntentKey) -> bool,
) -> Vec<Write> {
    let keys: Vec<IntentKey> = state
        .intents
        .keys()
        .filter(|key| is_dropped(key))
        .cloned()
        .collect();
    for key in &keys {
        state.intents.remove(key);
    }
    keys.into_iter().map(Write::DropIntent).collect()
}
