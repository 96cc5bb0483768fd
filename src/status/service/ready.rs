//! The one sentence that says why the newest commit is not live, or that it is.

use super::{
    phase::{ServicePhase, View},
    target::TargetReport,
};
use crate::{
    name::Revision,
    plan::state::PinKind,
    rollout::phase::{Phase, Why},
    status::condition::{ConditionKind::Ready, Said, Truth},
};

/// Ready, not ready, or not known yet; the message is the sentence.
pub(super) fn ready(view: &View<'_>, phase: ServicePhase) -> Said {
    let newest = named(view.desired_revision());
    let serving = serving(view);
    let say = |status, reason: &str, message: String| Said::new(Ready, status, reason, message);
    match phase {
        ServicePhase::Live => say(Truth::True, "Succeeded", live(view, &newest)),
        ServicePhase::Invalid => say(Truth::False, "ValidationFailed", invalid(view, &serving)),
        ServicePhase::Queued
        | ServicePhase::Building
        | ServicePhase::Staging
        | ServicePhase::Gating
        | ServicePhase::Shifting
        | ServicePhase::Promoting
        | ServicePhase::Baking
        | ServicePhase::AwaitingApproval => rolling(view, phase, &serving),
        ServicePhase::Paused | ServicePhase::RollingBack => {
            let (reason, message) = why(view);
            let (what, doing) = (attempted(view), doing(phase));
            let message = format!("{what} is {doing}: {message}{serving}");
            say(Truth::False, reason, message)
        }
        ServicePhase::Rejected | ServicePhase::RolledBack => rejected(view, &serving),
        ServicePhase::Pinned => say(Truth::False, "Pinned", pinned(view, &newest)),
        ServicePhase::Drifted => {
            let message = format!("blue is not as promoted: {}", drift(view));
            say(Truth::False, "Drifted", message)
        }
        ServicePhase::Suspended => suspended(view, &newest, &serving),
        ServicePhase::Stalled => {
            let message = format!("a person must look: {}", view.stalled.unwrap_or_default());
            say(Truth::False, "Stalled", message)
        }
        ServicePhase::CloudUnknown => say(Truth::Unknown, "CloudUnknown", unseen(view)),
        ServicePhase::Unknown => {
            let message = "the repository was not read yet".to_owned();
            say(Truth::Unknown, "Progressing", message)
        }
        ServicePhase::Pending => {
            let message = format!("{newest} is next{}{serving}", waits(view));
            say(Truth::Unknown, progress(view), message)
        }
        ServicePhase::Destroying => {
            let message = format!("{}{}", destroyed(view), waits(view));
            say(Truth::False, "Destroying", message)
        }
        ServicePhase::Destroyed => {
            let message = format!("{}; `resume` brings it back", destroyed(view));
            say(Truth::False, "Destroyed", message)
        }
        ServicePhase::Removing => {
            let message = format!("git no longer names it{}", waits(view));
            say(Truth::Unknown, "Removing", message)
        }
        ServicePhase::Removed => {
            let message = "git no longer names it, and nothing is left of it".to_owned();
            say(Truth::False, "Removed", message)
        }
    }
}

/// A rollout is under way, and nothing is wrong with it.
fn rolling(view: &View<'_>, phase: ServicePhase, serving: &str) -> Said {
    let what = attempted(view);
    if phase == ServicePhase::AwaitingApproval {
        let message = format!("{what} waits for {}{serving}", first_wait(view));
        return Said::new(Ready, Truth::Unknown, "AwaitingApproval", message);
    }
    let message = format!("{what} is {}{}{serving}", doing(phase), waits(view));
    Said::new(Ready, Truth::Unknown, progress(view), message)
}

/// Whether it goes on by itself, or what it waits for.
fn progress(view: &View<'_>) -> &'static str {
    match view.waiting.first().map(|waiting| waiting.on.as_str()) {
        Some("window") => "WindowClosed",
        Some("paused") => "Paused",
        Some("dependency") => "DependencyNotReady",
        Some("group") => "GroupNotReady",
        Some("environment") => "EnvironmentNotReady",
        Some(_) | None => "Progressing",
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
    let was = match view.phase() == ServicePhase::RolledBack {
        true => "was taken back",
        false => "was rejected",
    };
    let message = format!(
        "{} {was}: {}{serving}",
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
    if pin.kind == PinKind::Person {
        let because = match pin.reason.as_str() {
            "" => String::new(),
            reason => format!(" because {reason}"),
        };
        return format!("{newest} is held back: pinned at {at} by {by}{because}, until `unpin`");
    }
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

fn destroyed(view: &View<'_>) -> String {
    let destroyed = view.state.memory.destroyed.as_ref();
    let told = destroyed.map(|it| format!("destroyed by {}: {}", it.actor.username, it.reason));
    told.unwrap_or_default()
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

pub(super) fn drift(view: &View<'_>) -> String {
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
        ServicePhase::Shifting => "a canary",
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
        | ServicePhase::Destroying
        | ServicePhase::Destroyed
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

fn first_wait<'a>(view: &'a View<'_>) -> &'a str {
    view.waiting
        .first()
        .map_or("approval", |waiting| &waiting.text)
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
    if let Some(apart) = apart(view) {
        return apart;
    }
    match view.live_revision() {
        _ if is_baking => String::new(),
        Some(live) => format!("; {} stays live", live.short()),
        None if view.state.memory.promoted.is_none() => "; nothing is live yet".to_owned(),
        None => String::new(),
    }
}

/// What each cloud serves, while blue moves on one and not yet on the other: a cloud that is ill must not hide what the other does.
fn apart(view: &View<'_>) -> Option<String> {
    let rollout = view.state.active()?;
    if !matches!(rollout.phase, Phase::Promoting | Phase::RollingBack { .. }) {
        return None;
    }
    let blue = |target: &TargetReport| {
        let revision = target.blue.revision.as_ref()?;
        Some((target.cloud, revision.short()))
    };
    let blues: Vec<_> = view.targets.iter().filter_map(blue).collect();
    let (_, first) = blues.first()?;
    if blues.iter().all(|(_, revision)| revision == first) {
        return None;
    }
    let told = blues
        .iter()
        .map(|(cloud, revision)| format!("{cloud} serves {revision}"));
    Some(format!("; {}", told.collect::<Vec<_>>().join(", ")))
}

fn why<'a>(view: &View<'a>) -> (&'static str, &'a str) {
    let rollout = view.state.rollout.as_ref();
    match rollout.and_then(|rollout| rollout.phase.why()) {
        Some(Why { reason, message }) => (reason.word(), message),
        None => ("Progressing", ""),
    }
}
