//! Which conditions are true of a service, each with a stable reason and a sentence.

use super::{
    phase::{ServicePhase, View},
    ready::{drift, ready},
    target::{SlotState, TargetReport},
    waiting::Trouble,
};
use crate::{
    plan::state::Ask,
    rollout::{
        Rollout,
        phase::{Phase, StopReason, Why},
    },
    status::condition::{
        ConditionKind::{DriftDetected, GatesPassed, Promoted, PrunePending, Reconciling, Stalled},
        Said, Truth,
    },
};

pub(super) fn all(view: &View<'_>, phase: ServicePhase) -> Vec<Said> {
    let conditions = [
        Some(ready(view, phase)),
        reconciling(view, phase),
        stalled(view),
        gates_passed(view),
        promoted(view),
        drift_detected(view),
        prune_pending(view),
    ];
    conditions.into_iter().flatten().collect()
}

fn trouble<'a>(view: &'a View<'_>) -> Option<&'a Trouble> {
    view.waiting
        .iter()
        .find_map(|waiting| waiting.failure.as_ref())
}

fn reconciling(view: &View<'_>, phase: ServicePhase) -> Option<Said> {
    let is_working = match phase {
        ServicePhase::Unknown
        | ServicePhase::Pending
        | ServicePhase::Queued
        | ServicePhase::Building
        | ServicePhase::Staging
        | ServicePhase::Gating
        | ServicePhase::Shifting
        | ServicePhase::Promoting
        | ServicePhase::Baking
        | ServicePhase::RollingBack
        | ServicePhase::AwaitingApproval
        | ServicePhase::CloudUnknown
        | ServicePhase::Destroying
        | ServicePhase::Removing => true,
        ServicePhase::Drifted => !view
            .waiting
            .iter()
            .any(|waiting| waiting.on.starts_with("drift")),
        ServicePhase::Invalid
        | ServicePhase::Paused
        | ServicePhase::Live
        | ServicePhase::Rejected
        | ServicePhase::RolledBack
        | ServicePhase::Pinned
        | ServicePhase::Suspended
        | ServicePhase::Stalled
        | ServicePhase::Destroyed
        | ServicePhase::Removed => false,
    };
    let text = view.waiting.first().map(|waiting| waiting.text.clone());
    let text = text.unwrap_or_default();
    match trouble(view) {
        _ if !is_working => None,
        Some(trouble) if trouble.needs_person => None,
        Some(trouble) => {
            let message = trouble.message.clone();
            Some(Said::new(
                Reconciling,
                Truth::True,
                "ProgressingWithRetry",
                message,
            ))
        }
        None => Some(Said::new(Reconciling, Truth::True, "Progressing", text)),
    }
}

fn stalled(view: &View<'_>) -> Option<Said> {
    let say = |reason: &str, message: &str| Said::new(Stalled, Truth::True, reason, message);
    if let Some(message) = view.stalled {
        return Some(say("Halted", message));
    }
    if let Some(fault) = view.faults().first() {
        return Some(say("InvalidManifest", fault));
    }
    let trouble = trouble(view).filter(|trouble| trouble.needs_person)?;
    Some(say(&trouble.reason, &trouble.message))
}

fn gates_passed(view: &View<'_>) -> Option<Said> {
    let rollout = view.state.rollout.as_ref()?;
    let say = |status, reason: &str, message: &str| Said::new(GatesPassed, status, reason, message);
    if rollout.trigger.is_rollback() {
        let message = "what was live before is not measured again";
        return Some(say(Truth::True, "Skipped", message));
    }
    if rollout.spec.gates.is_empty() {
        return Some(say(Truth::True, "Skipped", "no gates are asked for"));
    }
    let passed = || say(Truth::True, "Passed", "");
    Some(match &rollout.phase {
        Phase::Queued | Phase::Building | Phase::Staging => say(Truth::Unknown, "Pending", ""),
        Phase::Gating { since: _ } => say(Truth::Unknown, "Running", ""),
        Phase::AwaitingApproval { since: _ } => say(Truth::Unknown, "AwaitingApproval", ""),
        Phase::Superseded { by: _ } => say(Truth::Unknown, "Superseded", ""),
        Phase::Shifting { step: _, since: _ } => say(Truth::Unknown, "Running", ""),
        Phase::Promoting | Phase::Baking { since: _, until: _ } | Phase::Live => passed(),
        Phase::Paused { why } | Phase::Rejected { why } => {
            judged(why).unwrap_or_else(|| say(Truth::Unknown, "NotRun", &why.message))
        }
        Phase::RollingBack { why } | Phase::RolledBack { why } => {
            judged(why).unwrap_or_else(passed)
        }
    })
}

/// What a stop says about the gates; nothing where they were not its cause.
fn judged(why: &Why) -> Option<Said> {
    let say = |status, reason: &str| Some(Said::new(GatesPassed, status, reason, &why.message));
    match why.reason {
        StopReason::GateFailed | StopReason::ApprovalExpired => say(Truth::False, "Failed"),
        StopReason::GateError => say(Truth::Unknown, "Error"),
        StopReason::GateInconclusive => say(Truth::Unknown, "Inconclusive"),
        StopReason::BuildFailed
        | StopReason::StageFailed
        | StopReason::ShiftFailed
        | StopReason::PromotionFailed
        | StopReason::NotStaged
        | StopReason::SlotReverted
        | StopReason::BlueSilent
        | StopReason::GroupFailed
        | StopReason::Superseded
        | StopReason::Aborted => None,
    }
}

fn promoted(view: &View<'_>) -> Option<Said> {
    let Some(rollout) = &view.state.rollout else {
        let message = "found on every target";
        let is_known = view.state.memory.promoted.is_some();
        return is_known.then(|| Said::new(Promoted, Truth::True, "Promoted", message));
    };
    let (status, reason, message) = moved(rollout);
    Some(Said::new(Promoted, status, reason, message))
}

fn moved(rollout: &Rollout) -> (Truth, &'static str, &str) {
    match &rollout.phase {
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { since: _ }
        | Phase::Promoting => (Truth::Unknown, "Progressing", ""),
        Phase::AwaitingApproval { since: _ } => (Truth::Unknown, "AwaitingApproval", ""),
        Phase::Shifting { step: _, since: _ } => (Truth::Unknown, "Shifting", ""),
        Phase::Paused { why } => (Truth::Unknown, "Paused", &why.message),
        Phase::Baking { since: _, until: _ } => (Truth::Unknown, "Baking", ""),
        Phase::Live => (Truth::True, "Promoted", ""),
        Phase::Superseded { by: _ } => (Truth::False, "Superseded", ""),
        Phase::Rejected { why } if why.reason == StopReason::Aborted => {
            (Truth::False, "Aborted", &why.message)
        }
        Phase::Rejected { why } => (Truth::False, "Rejected", &why.message),
        Phase::RollingBack { why } => (Truth::False, "RollingBack", &why.message),
        Phase::RolledBack { why } => (Truth::False, "RolledBack", &why.message),
    }
}

fn drift_detected(view: &View<'_>) -> Option<Said> {
    let drifted = |target: &&TargetReport| !target.drift.is_empty();
    let first = view.targets.iter().find(drifted)?;
    let reason = match first.blue.state {
        SlotState::Empty | SlotState::Torn => "Deleted",
        SlotState::Whole | SlotState::Unknown => "ManualChange",
    };
    Some(Said::new(DriftDetected, Truth::True, reason, drift(view)))
}

fn prune_pending(view: &View<'_>) -> Option<Said> {
    match (&view.state.ask, view.phase()) {
        (_, ServicePhase::Destroying)
        | (Ask::Absent, ServicePhase::Removing | ServicePhase::Stalled) => {}
        (Ask::Absent | Ask::Unknown | Ask::Wanted(_) | Ask::Invalid { .. }, _) => return None,
    }
    let held = view.waiting.iter().find(|waiting| waiting.on == "prune");
    let (reason, message) = match (held, trouble(view)) {
        (Some(held), _) => ("Blocked", held.text.as_str()),
        (None, Some(trouble)) => ("Failed", trouble.message.as_str()),
        (None, None) => ("Progressing", ""),
    };
    Some(Said::new(PrunePending, Truth::True, reason, message))
}
