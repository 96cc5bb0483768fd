//! Back to what was live, and staying there: rollback, pin, unpin.

use super::{Taken, onward::abort};
use crate::{
    name::{Actor, ReleaseDigest, Timestamp},
    plan::{
        apply::{self, Write},
        state::{Pin, PinKind, ServiceState},
    },
    rollout::{
        Trigger,
        phase::{Event, Phase},
    },
};

pub(super) fn rollback(
    state: &mut ServiceState,
    to: Option<ReleaseDigest>,
    actor: Actor,
    now: Timestamp,
) -> Taken {
    let phase = state.active().map(|rollout| rollout.phase.clone());
    let before = state.active().and_then(|rollout| rollout.previous);
    if matches!(phase, Some(Phase::Shifting { .. } | Phase::Baking { .. }))
        && (to.is_none() || to == before)
    {
        return abort(state, &actor, None, now);
    }
    may_turn(state)?;
    let to = was_live(state, to)?;
    go_back(state, to, actor, now)
}

/// A rollout that is past its promotion has blue in its hands.
fn may_turn(state: &ServiceState) -> Result<(), String> {
    let phase = state.active().map(|rollout| &rollout.phase);
    match phase.filter(|it| !it.is_before_promotion()) {
        Some(phase) => Err(format!(
            "its rollout is {}; wait for its end or abort it",
            phase.word()
        )),
        None => Ok(()),
    }
}

/// What is under way makes room.
fn make_room(state: &mut ServiceState, for_release: ReleaseDigest, now: Timestamp) -> Taken {
    if state.active().is_none() {
        return Ok(Vec::new());
    }
    let by = Some(for_release);
    let superseded = apply::advance(state, Event::Superseded { by }, now);
    superseded.map_err(|illegal| illegal.to_string())
}

fn go_back(state: &mut ServiceState, to: ReleaseDigest, actor: Actor, now: Timestamp) -> Taken {
    let mut writes = make_room(state, to, now)?;
    // What Git asked for last, where it cannot be read now: the loop must not bring that back.
    let held = state.wanted().or(state.memory.asked);
    let begun = apply::begin(state, to, Trigger::Rollback { held }, actor, now);
    writes.extend(begun.map_err(|unknown| unknown.to_string())?);
    Ok(writes)
}

/// The release to go back to: one that was live, and is not now.
fn was_live(state: &ServiceState, to: Option<ReleaseDigest>) -> Result<ReleaseDigest, String> {
    let Some(to) = to.or(state.memory.previous) else {
        return Err("nothing was promoted before the release that is live".to_owned());
    };
    if state.memory.promoted == Some(to) {
        return Err(format!("release {} is live already", to.short()));
    }
    let record = state.releases.get(&to);
    if record.is_some_and(|record| record.promoted_at.is_some()) {
        Ok(to)
    } else {
        Err(format!(
            "release {} was never live; `history` lists those that were",
            to.short()
        ))
    }
}

pub(super) fn pin(
    state: &mut ServiceState,
    to: Option<ReleaseDigest>,
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Taken {
    let Some(live) = state.memory.promoted else {
        return Err("nothing is live yet".to_owned());
    };
    let to = to.unwrap_or(live);
    if state
        .memory
        .pin
        .as_ref()
        .is_some_and(|pin| pin.release == to && pin.kind == PinKind::Person)
    {
        // It is so already: whoever said it first stands in the record.
        return Ok(Vec::new());
    }
    may_turn(state)?;
    if to != live {
        was_live(state, Some(to))?;
    }
    state.memory.pin = Some(Pin {
        release: to,
        held: state.wanted().or(state.memory.asked),
        actor: actor.clone(),
        at: now,
        kind: PinKind::Person,
        reason,
    });
    let mut writes = vec![Write::Memory];
    writes.extend(if to == live {
        make_room(state, to, now)?
    } else {
        go_back(state, to, actor.clone(), now)?
    });
    Ok(writes)
}

pub(super) fn unpin(state: &mut ServiceState) -> Taken {
    match state.memory.pin.take() {
        Some(_) => Ok(vec![Write::Memory]),
        None => Err("it is not pinned".to_owned()),
    }
}
