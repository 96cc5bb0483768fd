//! Since when something is in the way: from the record that began it, so that a restart changes no date.

use crate::{
    name::Timestamp,
    plan::{reason::WaitingOn, state::ServiceState},
    rollout::{
        Rollout,
        intent::{Intent, IntentState, Order},
        phase::Phase,
    },
};

/// None where nobody knows: the first read of a repository, by a daemon that just began.
pub(super) fn since(state: &ServiceState, on: &WaitingOn) -> Option<Timestamp> {
    if let Some(name) = on.dated_by_memory() {
        let waits = &state.memory.waits;
        return waits.get(&name).copied().or_else(|| last_move(state));
    }
    match on {
        WaitingOn::Nothing | WaitingOn::Git => None,
        WaitingOn::Cloud { target, .. } | WaitingOn::LastHealthy { ill: target, .. } => {
            let live = state.live.get(target);
            match live.and_then(|live| live.problem.as_ref()) {
                Some(problem) => Some(problem.since),
                None => last_move(state).or(Some(state.memory.created_at)),
            }
        }
        WaitingOn::Answer { target, .. } => state.seen(*target)?.silent_since,
        WaitingOn::Order { order, .. } => recorded_at(state, order).or_else(|| last_move(state)),
        WaitingOn::Gate { gate, .. } => {
            let rollout = state.active()?;
            let run = rollout.gates.iter().find(|run| run.gate == *gate);
            run.map(|run| run.since).or_else(|| last_move(state))
        }
        WaitingOn::Approval { .. } | WaitingOn::Person { .. } | WaitingOn::CanaryPause { .. } => {
            last_move(state)
        }
        WaitingOn::Paused { .. } => Some(state.active()?.pause.as_ref()?.at),
        WaitingOn::Soak { .. } => soaks_since(state).or_else(|| last_move(state)),
        WaitingOn::Bake { .. } => bakes_since(state.active()?),
        WaitingOn::Suspended { .. } => Some(state.memory.suspension.as_ref()?.since),
        WaitingOn::Destroyed { .. } => Some(state.memory.destroyed.as_ref()?.at),
        WaitingOn::Pinned { .. } => Some(state.memory.pin.as_ref()?.at),
        WaitingOn::DriftLoop { target, .. } => state.memory.repaired.get(target)?.stopped,
        WaitingOn::Rejected { release, .. } => Some(state.memory.rejected.get(release)?.at),
        WaitingOn::Manifest { .. }
        | WaitingOn::Window { .. }
        | WaitingOn::Drift { .. }
        | WaitingOn::Prune { .. }
        | WaitingOn::Dependency { .. }
        | WaitingOn::Group { .. }
        | WaitingOn::Environment { .. } => None,
    }
}

/// When the newest rollout came to where it is.
fn last_move(state: &ServiceState) -> Option<Timestamp> {
    let rollout = state.active()?;
    rollout.transitions.last().map(|last| last.at)
}

fn recorded_at(state: &ServiceState, order: &Order) -> Option<Timestamp> {
    let mut intents = state.intents.values();
    intents
        .find(|intent| intent.order == *order)
        .map(|intent| intent.recorded_at)
}

/// When the first cloud was done.
fn soaks_since(state: &ServiceState) -> Option<Timestamp> {
    let done = |intent: &Intent| match (&intent.order, &intent.state) {
        (Order::Promote { .. }, IntentState::Done { at }) => Some(*at),
        (
            Order::Promote { .. }
            | Order::Build { .. }
            | Order::Stage { .. }
            | Order::Measure { .. }
            | Order::Shift { .. }
            | Order::Retract { .. }
            | Order::Repair { .. }
            | Order::Prune { .. },
            IntentState::Done { .. } | IntentState::Open { .. } | IntentState::Failed { .. },
        ) => None,
    };
    state
        .intents
        .values()
        .map(AsRef::as_ref)
        .filter_map(done)
        .max()
}

fn bakes_since(rollout: &Rollout) -> Option<Timestamp> {
    match &rollout.phase {
        Phase::Baking { since, .. } => Some(*since),
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::Paused { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Shifting { .. }
        | Phase::Promoting
        | Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. } => None,
    }
}
