//! What people may ask of a service, and what becomes of it.

use serde::{Deserialize, Serialize};

use super::{
    apply::{self, Write, event},
    state::{ServiceState, Severity, Suspension},
};
use crate::{
    manifest::{
        spec::{Gate, GateKind},
        strategy::CanaryStep,
    },
    name::{Actor, ReleaseDigest, Timestamp},
    rollout::{
        Approval, Trigger,
        phase::{Event, Phase, StopReason, Why},
    },
};

/// A verb of the API and the command line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Action {
    /// End the bake now. Gates are never skipped.
    Promote,
    Abort {
        reason: Option<String>,
    },
    /// Try a rejected release again, or measure a paused gate again.
    Retry,
    /// Go back to the previous release, or to a named one.
    Rollback {
        to: Option<ReleaseDigest>,
    },
    Suspend {
        reason: String,
        until: Option<Timestamp>,
    },
    /// End a suspension, and let go of a pin.
    Resume,
    Approve,
    /// Look now. The token is echoed in status once it was done.
    Reconcile {
        token: Option<String>,
    },
}

impl Action {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Abort { .. } => "abort",
            Self::Retry => "retry",
            Self::Rollback { .. } => "rollback",
            Self::Suspend { .. } => "suspend",
            Self::Resume => "resume",
            Self::Approve => "approve",
            Self::Reconcile { .. } => "reconcile",
        }
    }
}

/// The action does not fit what the service is doing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot {action} {service}: {message}")]
pub struct Refused {
    pub action: &'static str,
    pub service: String,
    pub message: String,
}

/// Takes an action into the state.
///
/// # Errors
///
/// An action that does not fit; nothing changes then, and the message says what would.
pub fn act(
    state: &mut ServiceState,
    action: Action,
    actor: Actor,
    now: Timestamp,
) -> Result<Vec<Write>, Refused> {
    let word = action.word();
    let refused = |message: String, state: &ServiceState| Refused {
        action: word,
        service: state.key.to_string(),
        message,
    };
    let outcome = match action {
        Action::Promote => promote(state, &actor, now),
        Action::Abort { reason } => abort(state, &actor, reason, now),
        Action::Retry => retry(state, actor.clone(), now),
        Action::Rollback { to } => rollback(state, to, actor.clone(), now),
        Action::Suspend { reason, until } => suspend(state, reason, until, &actor, now),
        Action::Resume => resume(state, now),
        Action::Approve => approve(state, &actor, now),
        Action::Reconcile { token } => {
            forget_age(state);
            state.memory.handled = token.or_else(|| Some(now.to_string()));
            Ok(vec![Write::Memory])
        }
    };
    let mut writes = outcome.map_err(|message| refused(message, state))?;
    let message = format!("{word} asked for by {}", actor.username);
    writes.push(told(
        event(state, Severity::Info, "ActionTaken", message, now),
        actor,
    ));
    Ok(writes)
}

fn told(write: Write, actor: Actor) -> Write {
    match write {
        Write::Event(mut record) => {
            record.actor = actor;
            Write::Event(record)
        }
        Write::Memory
        | Write::Rollout
        | Write::Live(_)
        | Write::Release(_)
        | Write::DropRelease(_)
        | Write::Intent(_)
        | Write::DropIntent(_)
        | Write::History(_)
        | Write::Forget => write,
    }
}

fn promote(state: &mut ServiceState, actor: &Actor, now: Timestamp) -> Result<Vec<Write>, String> {
    match state.active().map(|rollout| rollout.phase.clone()) {
        Some(Phase::AwaitingApproval { .. }) => approve(state, actor, now),
        Some(Phase::Shifting { step, .. }) => end_pause(state, step, now),
        Some(Phase::Baking { since, .. }) => Ok(end_bake(state, since, now)),
        Some(phase) => Err(format!(
            "its rollout is {}; only an approval, a pause of a canary or a bake can be cut short",
            phase.word()
        )),
        None => Err("no rollout is under way".to_owned()),
    }
}

/// The bake is over as of now. Its gates and the last look at the slots still have their say.
fn end_bake(state: &mut ServiceState, since: Timestamp, now: Timestamp) -> Vec<Write> {
    if let Some(rollout) = &mut state.rollout {
        let until = now.max(since);
        rollout.phase = Phase::Baking { since, until };
    }
    vec![Write::Rollout]
}

/// A pause of a canary is over. Its gates are never skipped, and a share that is being given is let arrive.
fn end_pause(state: &mut ServiceState, step: u32, now: Timestamp) -> Result<Vec<Write>, String> {
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

fn abort(
    state: &mut ServiceState,
    actor: &Actor,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Vec<Write>, String> {
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

fn retry(state: &mut ServiceState, actor: Actor, now: Timestamp) -> Result<Vec<Write>, String> {
    if let Some(rollout) = state.active() {
        if let Phase::Shifting { step, .. } = rollout.phase {
            return measure_step_again(state, step, now);
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
    if !state.memory.rejected.contains_key(&wanted) {
        return Err("the release that git asks for was not rejected".to_owned());
    }
    let writes = apply::begin(state, wanted, Trigger::Retry, actor, now);
    let writes = writes.map_err(|unknown| unknown.to_string())?;
    state.memory.rejected.remove(&wanted);
    Ok(writes)
}

/// The gate that could not be judged starts over, with its old measurements gone from the verdict.
fn measure_again(state: &mut ServiceState, now: Timestamp) -> Result<Vec<Write>, String> {
    let mut writes =
        apply::advance(state, Event::Retried, now).map_err(|illegal| illegal.to_string())?;
    if let Some(rollout) = &mut state.rollout {
        rollout.measure_again(now);
        writes.push(Write::Rollout);
    }
    Ok(writes)
}

/// The gates of a canary's step start over. A share that waits for them stays as it is.
fn measure_step_again(
    state: &mut ServiceState,
    step: u32,
    now: Timestamp,
) -> Result<Vec<Write>, String> {
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

fn rollback(
    state: &mut ServiceState,
    to: Option<ReleaseDigest>,
    actor: Actor,
    now: Timestamp,
) -> Result<Vec<Write>, String> {
    let phase = state.active().map(|rollout| rollout.phase.clone());
    let before = state.active().and_then(|rollout| rollout.previous);
    if matches!(phase, Some(Phase::Shifting { .. } | Phase::Baking { .. }))
        && (to.is_none() || to == before)
    {
        return abort(state, &actor, None, now);
    }
    if let Some(phase) = phase.as_ref().filter(|it| !it.is_before_promotion()) {
        return Err(format!(
            "its rollout is {}; wait for its end or abort it",
            phase.word()
        ));
    }
    let to = was_live(state, to)?;
    let mut writes = Vec::new();
    if phase.is_some() {
        let superseded = apply::advance(state, Event::Superseded { by: Some(to) }, now);
        writes = superseded.map_err(|illegal| illegal.to_string())?;
    }
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

fn suspend(
    state: &mut ServiceState,
    reason: String,
    until: Option<Timestamp>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Vec<Write>, String> {
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

fn resume(state: &mut ServiceState, now: Timestamp) -> Result<Vec<Write>, String> {
    let was_suspended = state.suspension(now).is_some();
    let was_pinned = state.memory.pin.take().is_some();
    state.memory.suspension = None;
    if was_suspended || was_pinned {
        Ok(vec![Write::Memory])
    } else {
        Err("it is neither suspended nor pinned".to_owned())
    }
}

fn approve(state: &mut ServiceState, actor: &Actor, now: Timestamp) -> Result<Vec<Write>, String> {
    let Some(rollout) = &mut state.rollout else {
        return Err("no rollout is under way".to_owned());
    };
    if !matches!(rollout.phase, Phase::AwaitingApproval { .. }) {
        return Err(format!(
            "its rollout is {} and waits for no approval",
            rollout.phase.word()
        ));
    }
    let username = &actor.username;
    let has_approved = |given: &Approval| given.actor.username == *username;
    if rollout.approvals.iter().any(has_approved) {
        return Err(format!("{username} has approved already"));
    }
    let may_approve = |gate: &Gate| match &gate.kind {
        GateKind::Approval(approval) => approval.by.is_empty() || approval.by.contains(username),
        GateKind::Http(_)
        | GateKind::Command(_)
        | GateKind::Load(_)
        | GateKind::Parity(_)
        | GateKind::Metric(_) => false,
    };
    if !rollout.spec.gates.iter().any(may_approve) {
        return Err(format!(
            "no approval gate of it lists {username} under `by`"
        ));
    }
    let actor = actor.clone();
    rollout.approvals.push(Approval { actor, at: now });
    Ok(vec![Write::Rollout])
}

/// Makes every target due for a look.
fn forget_age(state: &mut ServiceState) {
    for live in state.live.values_mut() {
        if let Some(seen) = &mut live.seen {
            seen.at = Timestamp::default();
        }
        live.problem = None;
    }
}
