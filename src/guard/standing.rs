//! Whether an order is of the release that is asked for now, and what its target is to users.

use super::Alarm;
use crate::{
    name::{CloudName, ReleaseDigest},
    plan::state::{Ask, PinKind, ServiceState},
    rollout::{
        Rollout, Trigger,
        intent::{IntentState, Order},
        phase::Phase,
    },
};

/// Before its promotion a rollout works for what Git asks for, or for what a person asked for when Git said the same as now.
pub(super) fn is_current(state: &ServiceState, release: ReleaseDigest) -> Result<(), Alarm> {
    let Some(rollout) = state.rollout.as_ref() else {
        return Ok(());
    };
    if state.memory.promoted == Some(release) && rollout.release != release {
        // What blue is meant to hold until another release is live.
        return Ok(());
    }
    let by = match (&rollout.phase, newer(state, rollout)) {
        (Phase::Superseded { by }, _)
            if rollout.release == release && state.memory.promoted != Some(release) =>
        {
            *by
        }
        (phase, Some(by)) if phase.is_before_promotion() => by,
        (_, Some(_) | None) => return Ok(()),
    };
    Err(Alarm::Superseded { release, by })
}

/// What Git asks for in place of the rollout's release; `None` where it does not, or nobody knows.
fn newer(state: &ServiceState, rollout: &Rollout) -> Option<Option<ReleaseDigest>> {
    let asked = match &state.ask {
        Ask::Unknown
        | Ask::Invalid {
            faults: _,
            last_good: None,
        } => return None,
        Ask::Absent => None,
        Ask::Wanted(desired)
        | Ask::Invalid {
            faults: _,
            last_good: Some(desired),
        } => Some(desired.release.digest),
    };
    let is_as_asked = asked == Some(rollout.release);
    let pin = state.memory.pin.as_ref();
    let is_pinned = pin.is_some_and(|pin| pin.kind == PinKind::Person);
    let is_as_held = match rollout.trigger {
        // A person who pins wants what people say, whatever Git asks for; a rollback of what is pinned takes the pin along.
        Trigger::Rollback { held } => asked == held || is_pinned,
        Trigger::Commit | Trigger::Retry => false,
    };
    (!is_as_asked && !is_as_held).then_some(asked)
}

/// A promotion begins on a target that serves users only while the other targets can serve them, too.
pub(super) fn is_not_the_last(
    state: &ServiceState,
    target: CloudName,
    release: ReleaseDigest,
) -> Result<(), Alarm> {
    let Some(rollout) = state.rollout.as_ref() else {
        return Ok(());
    };
    let is_beginning = matches!(rollout.phase, Phase::Promoting)
        && rollout.release == release
        && !rollout.trigger.is_rollback()
        && !was_begun(state, target, release);
    if !is_beginning || state.memory.promoted.is_none() || !serves(state, target) {
        return Ok(());
    }
    let mut others = rollout.targets.iter().filter(|other| **other != target);
    match others.find(|other| !serves(state, **other) || is_ill(state, **other)) {
        Some(ill) => Err(Alarm::LastHealthy { target, ill: *ill }),
        None => Ok(()),
    }
}

/// What was sent once may be sent again: it stands between two releases, and both ways out touch it.
fn was_begun(state: &ServiceState, target: CloudName, release: ReleaseDigest) -> bool {
    state.intents.values().any(|intent| {
        let is_same = intent.order == Order::Promote { target, release };
        let was_sent = match &intent.state {
            IntentState::Open { .. } | IntentState::Done { .. } => true,
            IntentState::Failed { .. } => false,
        };
        is_same && was_sent
    })
}

fn serves(state: &ServiceState, target: CloudName) -> bool {
    let seen = state.live.get(&target).and_then(|live| live.seen.as_ref());
    seen.is_some_and(|seen| seen.observed.blue.holding().is_some())
}

fn is_ill(state: &ServiceState, target: CloudName) -> bool {
    let live = state.live.get(&target);
    live.is_none_or(|live| live.problem.is_some())
}
