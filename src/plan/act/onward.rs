//! On with a rollout, or away with it: promote, abort, retry.

use super::{Taken, approve::approve};
use crate::{
    manifest::{spec::Across, strategy::CanaryStep},
    name::{Actor, Timestamp},
    plan::{
        apply::{self, Write},
        state::{PinKind, ServiceState},
    },
    rollout::{
        Rollout, Trigger,
        phase::{Event, Phase, StopReason, Why},
        word::Hurry,
    },
};

pub(super) fn promote(
    state: &mut ServiceState,
    full: bool,
    actor: &Actor,
    now: Timestamp,
) -> Taken {
    let Some(rollout) = state.active() else {
        return Err("no rollout is under way".to_owned());
    };
    match &rollout.phase {
        Phase::Paused { why } => {
            let message = &why.message;
            return Err(format!(
                "{message}; gates are never skipped: `retry` measures again"
            ));
        }
        Phase::RollingBack { .. } => {
            return Err(
                "its rollout is RollingBack; nothing is promoted on the way back".to_owned(),
            );
        }
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Shifting { .. }
        | Phase::Promoting
        | Phase::Baking { .. }
        | Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RolledBack { .. } => {}
    }
    if full {
        in_full(state, actor, now)
    } else {
        one_step(state, actor, now)
    }
}

/// Ends the wait that is under way, and no other.
fn one_step(state: &mut ServiceState, actor: &Actor, now: Timestamp) -> Taken {
    let Some(rollout) = &mut state.rollout else {
        return Ok(Vec::new());
    };
    if rollout.pause.take().is_some() {
        return Ok(vec![Write::Rollout]);
    }
    match rollout.phase.clone() {
        Phase::AwaitingApproval { .. } => approve(state, None, actor, now),
        Phase::Baking { since, .. } => Ok(end_bake(rollout, since, now)),
        Phase::Shifting { step, .. } => end_pause(state, step, now),
        Phase::Promoting if has_soak(rollout) => {
            hurry(rollout, false, actor, now);
            Ok(vec![Write::Rollout])
        }
        phase @ (Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::Paused { .. }
        | Phase::Promoting
        | Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. }) => Err(format!(
            "its rollout is {}; a pause, an approval, a soak or a bake can be ended, and none is under way: `--full` ends those to come, \
             `override` opens a window",
            phase.word()
        )),
    }
}

/// Ends every wait of this rollout, now and later; of approvals, it gives only the actor's own.
fn in_full(state: &mut ServiceState, actor: &Actor, now: Timestamp) -> Taken {
    let Some(rollout) = &mut state.rollout else {
        return Ok(Vec::new());
    };
    rollout.pause = None;
    hurry(rollout, true, actor, now);
    match rollout.phase.clone() {
        Phase::Baking { since, .. } => Ok(end_bake(rollout, since, now)),
        Phase::AwaitingApproval { .. } => {
            // Whoever may not approve, or has, still ends the waits after the approval.
            approve(state, None, actor, now).ok();
            Ok(vec![Write::Rollout])
        }
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::Paused { .. }
        | Phase::Shifting { .. }
        | Phase::Promoting
        | Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. } => Ok(vec![Write::Rollout]),
    }
}

fn hurry(rollout: &mut Rollout, full: bool, actor: &Actor, now: Timestamp) {
    let is_full = full || rollout.is_in_full();
    rollout.hurry = Some(Hurry {
        actor: actor.clone(),
        at: now,
        full: is_full,
    });
}

/// A pause of a canary is over. Its gates are never skipped, and a share that is being given is let arrive.
fn end_pause(state: &mut ServiceState, step: u32, now: Timestamp) -> Taken {
    let rollout = state.active();
    let steps = rollout.map_or(&[][..], |rollout| rollout.spec.strategy.steps());
    match steps.get(step as usize) {
        Some(CanaryStep::Pause(_)) => {
            apply::advance(state, Event::CanaryStepped, now).map_err(|illegal| illegal.to_string())
        }
        Some(CanaryStep::Gates(_)) => {
            Err("its canary is at its gates, which are never skipped".to_owned())
        }
        Some(CanaryStep::Weight(_)) | None => {
            Err("its canary is not at a pause; ask again when it is".to_owned())
        }
    }
}

fn has_soak(rollout: &Rollout) -> bool {
    match rollout.spec.across {
        Across::InOrder { .. } => !rollout.trigger.is_rollback(),
        Across::Together => false,
    }
}

/// The bake is over as of now. Its gates and the last look at the slots still have their say.
fn end_bake(rollout: &mut Rollout, since: Timestamp, now: Timestamp) -> Vec<Write> {
    let until = now.max(since);
    rollout.phase = Phase::Baking { since, until };
    vec![Write::Rollout]
}

pub(super) fn abort(
    state: &mut ServiceState,
    actor: &Actor,
    reason: Option<String>,
    now: Timestamp,
) -> Taken {
    let Some(rollout) = state.active() else {
        return Err("no rollout is under way".to_owned());
    };
    let because = reason
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let why = Why {
        reason: StopReason::Aborted,
        message: format!("aborted by {}{because}", actor.username),
    };
    let change = if rollout.phase.is_before_promotion() {
        Event::Refused(why)
    } else {
        Event::Failed(why)
    };
    apply::advance(state, change, now).map_err(|illegal| illegal.to_string())
}

pub(super) fn retry(state: &mut ServiceState, actor: Actor, now: Timestamp) -> Taken {
    if let Some(rollout) = state.active() {
        if let Phase::Shifting { step, .. } = rollout.phase {
            return measure_step_again(state, step, now);
        }
        if rollout.is_unclear_in_bake() {
            if let Some(rollout) = &mut state.rollout {
                rollout.watch_again(now);
            }
            return Ok(vec![Write::Rollout]);
        }
        if !matches!(rollout.phase, Phase::Paused { .. }) {
            return Err(format!(
                "its rollout is {}; there is nothing to try again",
                rollout.phase.word()
            ));
        }
        return measure_again(state, now);
    }
    let Some(wanted) = state.wanted() else {
        return Err("git asks for no release of it".to_owned());
    };
    if state
        .memory
        .pin
        .as_ref()
        .is_some_and(|pin| pin.kind == PinKind::Person)
    {
        return Err("it is pinned; `unpin` comes first".to_owned());
    }
    if !state.memory.rejected.contains_key(&wanted) {
        return Err("the release that git asks for was not rejected".to_owned());
    }
    let writes = apply::begin(state, wanted, Trigger::Retry, actor, now);
    let mut writes = writes.map_err(|unknown| unknown.to_string())?;
    state.memory.rejected.remove(&wanted);
    // Whoever tries it again no longer wants it held back by the way back from it.
    if state.memory.pin.take().is_some() {
        writes.push(Write::Memory);
    }
    Ok(writes)
}

/// The gate that could not be judged starts over, with its old measurements gone from the verdict.
fn measure_again(state: &mut ServiceState, now: Timestamp) -> Taken {
    let mut writes =
        apply::advance(state, Event::Retried, now).map_err(|illegal| illegal.to_string())?;
    if let Some(rollout) = &mut state.rollout {
        rollout.measure_again(now);
        writes.push(Write::Rollout);
    }
    Ok(writes)
}

/// The gates of a canary's step start over. A share that waits for them stays as it is.
fn measure_step_again(state: &mut ServiceState, step: u32, now: Timestamp) -> Taken {
    let none = || "its canary is not at gates; there is nothing to try again".to_owned();
    let rollout = state.rollout.as_mut().ok_or_else(none)?;
    let Some(CanaryStep::Gates(names)) = rollout.spec.strategy.steps().get(step as usize) else {
        return Err(none());
    };
    let runs = rollout.gates.iter_mut();
    for run in runs.filter(|run| names.contains(&run.gate)) {
        run.since = now;
        run.measurements.clear();
    }
    Ok(vec![Write::Rollout])
}
