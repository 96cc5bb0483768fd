//! Holding a service where it is, and letting go: pause, suspend, resume; and the word that opens a closed window.

use super::{Taken, go};
use crate::{
    manifest::duration_text,
    name::{Actor, Timestamp},
    plan::{
        apply::{OVERRIDE_HOLDS, Write, event},
        state::{PinKind, ServiceState, Severity, Suspension},
    },
    rollout::{phase::Phase, word::Word},
};

pub(super) fn pause(
    state: &mut ServiceState,
    reason: Option<String>,
    actor: &Actor,
    now: Timestamp,
) -> Taken {
    let rollout = state.rollout.as_mut().filter(|rollout| rollout.is_active());
    let Some(rollout) = rollout else {
        return Err("no rollout is under way; `suspend` keeps the next from beginning".to_owned());
    };
    if rollout.trigger.is_rollback() {
        return Err(
            "a rollback is not paused; `abort` ends it where that is still possible".to_owned(),
        );
    }
    if matches!(rollout.phase, Phase::RollingBack { .. }) {
        return Err("its rollout is RollingBack; the way back is not paused".to_owned());
    }
    if rollout.pause.is_some() {
        // It is so already: whoever said it first stands in the record.
        return Ok(Vec::new());
    }
    rollout.pause = Some(Word {
        actor: actor.clone(),
        reason: reason.unwrap_or_default(),
        at: now,
    });
    Ok(vec![Write::Rollout])
}

pub(super) fn suspend(
    state: &mut ServiceState,
    reason: String,
    until: Option<Timestamp>,
    actor: &Actor,
    now: Timestamp,
) -> Taken {
    if until.is_some_and(|until| until <= now) {
        return Err("the end of the suspension has passed already".to_owned());
    }
    state.memory.suspension = Some(Suspension {
        reason,
        actor: actor.clone(),
        since: now,
        until,
    });
    Ok(vec![Write::Memory])
}

pub(super) fn resume(state: &mut ServiceState, now: Timestamp) -> Taken {
    let mut writes = go::released(state, now);
    let rollout = state.rollout.as_mut().filter(|rollout| rollout.is_active());
    if rollout.and_then(|rollout| rollout.pause.take()).is_some() {
        writes.push(Write::Rollout);
    }
    let is_suspended = state.suspension(now).is_some();
    let of_rollback = state
        .memory
        .pin
        .take_if(|pin| pin.kind == PinKind::Rollback);
    if is_suspended || of_rollback.is_some() {
        state.memory.suspension = None;
        writes.push(Write::Memory);
    }
    match &state.memory.pin {
        _ if !writes.is_empty() => Ok(writes),
        Some(pin) => Err(format!(
            "it is neither paused nor suspended; {} pinned it, and `unpin` lets go",
            pin.actor.username
        )),
        None => Err("it is neither paused, suspended, pinned nor destroyed".to_owned()),
    }
}

pub(super) fn bypass(
    state: &mut ServiceState,
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Taken {
    let windows = state.windows();
    if windows.is_empty() {
        return Err("neither it nor its environment has windows".to_owned());
    }
    let rollout = state.rollout.as_mut().filter(|rollout| rollout.is_active());
    let Some(rollout) = rollout else {
        return Ok(bypass_next(state, reason, actor, now));
    };
    if !rollout.phase.is_before_promotion() {
        return Err(format!(
            "its rollout is {}; windows hold nothing back any more",
            rollout.phase.word()
        ));
    }
    if rollout.bypass.is_some() {
        return Ok(Vec::new());
    }
    let message = format!(
        "rollout {} of {} may be promoted outside its windows, says {}: {reason}",
        rollout.id,
        rollout.revision.short(),
        actor.username
    );
    rollout.bypass = Some(Word {
        actor: actor.clone(),
        reason,
        at: now,
    });
    Ok(vec![
        Write::Rollout,
        event(state, Severity::Warning, "WindowOverridden", message, now),
    ])
}

/// Said before there is a rollout: for the next one, if it begins soon. A word of last week must not open a freeze to what comes today.
fn bypass_next(
    state: &mut ServiceState,
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Vec<Write> {
    let message = format!(
        "the next rollout may be promoted outside its windows, if it begins within {}, says {}: {reason}",
        duration_text(OVERRIDE_HOLDS),
        actor.username
    );
    state.memory.bypass = Some(Word {
        actor: actor.clone(),
        reason,
        at: now,
    });
    vec![
        Write::Memory,
        event(state, Severity::Warning, "WindowOverridden", message, now),
    ]
}
