//! Which conditions are true of a service, each with a stable reason and a sentence.

use super::{
    phase::{ServicePhase, View},
    target::{SlotState, TargetReport},
    waiting::Trouble,
};
use crate::{
    name::Revision,
    plan::state::Ask,
    rollout::{
        Rollout,
        phase::{Phase, StopReason, Why},
    },
    status::condition::{
        ConditionKind::{
            DriftDetected, GatesPassed, Promoted, PrunePending, Ready, Reconciling, Stalled,
        },
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

// === Ready ===

/// The message is the one sentence that says why the newest commit is not live, or that it is.
fn ready(view: &View<'_>, phase: ServicePhase) -> Said {
    let newest = named(view.desired_revision());
    let serving = serving(view);
    let say = |status, reason: &str, message: String| Said::new(Ready, status, reason, message);
    match phase {
        ServicePhase::Live => say(Truth::True, "Succeeded", live(view, &newest)),
        ServicePhase::Unknown => say(
            Truth::Unknown,
            "Progressing",
            "the repository was not read yet".to_owned(),
        ),
        ServicePhase::Invalid => say(Truth::False, "ValidationFailed", invalid(view, &serving)),
        ServicePhase::Pending => say(
            Truth::Unknown,
            "Progressing",
            format!("{newest} is next{}{serving}", waits(view)),
        ),
        ServicePhase::Queued
        | ServicePhase::Building
        | ServicePhase::Staging
        | ServicePhase::Gating
        | ServicePhase::Promoting
        | ServicePhase::Baking => say(
            Truth::Unknown,
            "Progressing",
            format!(
                "{} is {}{}{serving}",
                attempted(view),
                doing(phase),
                waits(view)
            ),
        ),
        ServicePhase::AwaitingApproval => say(
            Truth::Unknown,
            "AwaitingApproval",
            format!(
                "{} waits for approval{}{serving}",
                attempted(view),
                waits(view)
            ),
        ),
        ServicePhase::Paused | ServicePhase::RollingBack => {
            let (reason, message) = why(view);
            say(
                Truth::False,
                reason,
                format!(
                    "{} is {}: {message}{serving}",
                    attempted(view),
                    doing(phase)
                ),
            )
        }
        ServicePhase::Rejected | ServicePhase::RolledBack => rejected(view, &serving),
        ServicePhase::Pinned => say(Truth::False, "Pinned", pinned(view, &newest)),
        ServicePhase::Drifted => say(
            Truth::False,
            "Drifted",
            format!("blue is not as promoted: {}", drift(view)),
        ),
        ServicePhase::Suspended => suspended(view, &newest, &serving),
        ServicePhase::Stalled => say(
            Truth::False,
            "Stalled",
            format!("a person must look: {}", view.stalled.unwrap_or_default()),
        ),
        ServicePhase::CloudUnknown => say(Truth::Unknown, "CloudUnknown", unseen(view)),
        ServicePhase::Removing => say(
            Truth::Unknown,
            "Removing",
            format!("git no longer names it{}", waits(view)),
        ),
        ServicePhase::Removed => say(
            Truth::False,
            "Removed",
            "git no longer names it, and nothing is left of it".to_owned(),
        ),
    }
}

fn live(view: &View<'_>, newest: &str) -> String {
    let clouds: Vec<&str> = view
        .targets
        .iter()
        .map(|target| target.cloud.as_str())
        .collect();
    format!("{newest} is live on {}", clouds.join(" and "))
}

fn invalid(view: &View<'_>, serving: &str) -> String {
    let faults = view.faults();
    let first = faults.first().map(String::as_str).unwrap_or_default();
    match faults.len() {
        0 | 1 => format!("the newest manifest is wrong: {first}{serving}"),
        count => format!("the newest manifest is wrong in {count} places, first: {first}{serving}"),
    }
}

fn rejected(view: &View<'_>, serving: &str) -> Said {
    let Some(rejection) = view.rejection() else {
        return Said::new(Ready, Truth::False, "RevisionRejected", serving);
    };
    let message = format!(
        "{} was rejected: {}{serving}",
        rejection.revision.short(),
        rejection.message
    );
    Said::new(Ready, Truth::False, rejection.reason.clone(), message)
}

fn pinned(view: &View<'_>, newest: &str) -> String {
    let Some(pin) = &view.state.memory.pin else {
        return String::new();
    };
    let at = view
        .revision_of(pin.release)
        .map(|revision| revision.short());
    let at = at.unwrap_or_else(|| pin.release.short());
    let by = &pin.actor.username;
    match pin.held == Some(pin.release) {
        true => format!("pinned at {at} by {by}'s rollback"),
        false => format!(
            "{newest} is held back: pinned at {at} by {by}'s rollback until a newer release or `resume`"
        ),
    }
}

fn suspended(view: &View<'_>, newest: &str, serving: &str) -> Said {
    let because = view.suspended().map(|suspension| {
        let by = &suspension.actor.username;
        format!("suspended by {by}: {}", suspension.reason)
    });
    let because = because.unwrap_or_default();
    let memory = &view.state.memory;
    let is_live = memory.promoted.is_some() && memory.promoted == view.state.wanted();
    if view.is_drifted() {
        let message = format!("{because}; blue is not as promoted: {}", drift(view));
        Said::new(Ready, Truth::False, "Suspended", message)
    } else if is_live {
        let message = format!("{newest} is live; {because}");
        Said::new(Ready, Truth::True, "Succeeded", message)
    } else {
        let message = format!("{newest} is held back: {because}{serving}");
        Said::new(Ready, Truth::False, "Suspended", message)
    }
}

fn unseen(view: &View<'_>) -> String {
    let told = |target: &TargetReport| {
        let problem = target.problem.as_ref()?;
        Some(format!(
            "{} cannot be seen: {}",
            target.cloud, problem.trouble.message
        ))
    };
    let told: Vec<String> = view.targets.iter().filter_map(told).collect();
    told.join("; ")
}

fn drift(view: &View<'_>) -> String {
    let told = |target: &TargetReport| {
        let drift = target.drift.join(", ");
        (!drift.is_empty()).then(|| format!("{}: {drift}", target.cloud))
    };
    let told: Vec<String> = view.targets.iter().filter_map(told).collect();
    told.join("; ")
}

fn doing(phase: ServicePhase) -> &'static str {
    match phase {
        ServicePhase::Queued => "queued",
        ServicePhase::Building => "being built",
        ServicePhase::Staging => "going to green",
        ServicePhase::Gating => "at its gates",
        ServicePhase::Promoting => "being promoted",
        ServicePhase::Baking => "live and baking",
        ServicePhase::Paused => "paused",
        ServicePhase::RollingBack => "rolling back",
        ServicePhase::Unknown
        | ServicePhase::Invalid
        | ServicePhase::Pending
        | ServicePhase::AwaitingApproval
        | ServicePhase::Live
        | ServicePhase::Drifted
        | ServicePhase::Rejected
        | ServicePhase::RolledBack
        | ServicePhase::Pinned
        | ServicePhase::Suspended
        | ServicePhase::Stalled
        | ServicePhase::CloudUnknown
        | ServicePhase::Removing
        | ServicePhase::Removed => phase.as_str(),
    }
}

fn named(revision: Option<Revision>) -> String {
    revision.map_or_else(
        || "the newest commit".to_owned(),
        |revision| revision.short(),
    )
}

fn attempted(view: &View<'_>) -> String {
    let rollout = view.state.active();
    let Some(rollout) = rollout.filter(|rollout| !rollout.trigger.is_rollback()) else {
        let to = rollout.map(|rollout| rollout.revision.clone());
        return format!("the rollback to {}", named(to));
    };
    rollout.revision.short()
}

/// `; waits for gate answers`, unless there is nothing to tell.
fn waits(view: &View<'_>) -> String {
    match view.waiting.first() {
        Some(waiting) if waiting.on != "nothing" => format!("; waits for {}", waiting.text),
        Some(_) | None => String::new(),
    }
}

/// What users get meanwhile.
fn serving(view: &View<'_>) -> String {
    let is_baking = view
        .state
        .active()
        .is_some_and(|rollout| matches!(rollout.phase, Phase::Baking { .. }));
    match view.live_revision() {
        _ if is_baking => String::new(),
        Some(live) => format!("; {} stays live", live.short()),
        None if view.state.memory.promoted.is_none() => "; nothing is live yet".to_owned(),
        None => String::new(),
    }
}

fn why<'a>(view: &View<'a>) -> (&'static str, &'a str) {
    let rollout = view.state.rollout.as_ref();
    match rollout.and_then(|rollout| rollout.phase.why()) {
        Some(Why { reason, message }) => (reason.word(), message),
        None => ("Progressing", ""),
    }
}

// === the others ===

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
        | ServicePhase::Promoting
        | ServicePhase::Baking
        | ServicePhase::RollingBack
        | ServicePhase::AwaitingApproval
        | ServicePhase::CloudUnknown
        | ServicePhase::Removing => true,
        ServicePhase::Drifted => !view.waiting.iter().any(|waiting| waiting.on == "drift"),
        ServicePhase::Invalid
        | ServicePhase::Paused
        | ServicePhase::Live
        | ServicePhase::Rejected
        | ServicePhase::RolledBack
        | ServicePhase::Pinned
        | ServicePhase::Suspended
        | ServicePhase::Stalled
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
        StopReason::GateFailed => say(Truth::False, "Failed"),
        StopReason::GateError => say(Truth::Unknown, "Error"),
        StopReason::GateInconclusive => say(Truth::Unknown, "Inconclusive"),
        StopReason::BuildFailed
        | StopReason::StageFailed
        | StopReason::PromotionFailed
        | StopReason::SlotReverted
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
        (Ask::Absent, ServicePhase::Removing | ServicePhase::Stalled) => {}
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
