//! What is waited for, in words.

use std::{fmt, time::Duration};

use super::{WaitingOn, spelt};
use crate::{
    name::{Actor, CloudName, GateName, Percent, PlanHash, ReleaseDigest, ServiceKey, Timestamp},
    plan::state::PinKind,
    rollout::intent::Failure,
};

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing: live state is as asked for"),
            Self::Git => f.write_str("the first read of the repository"),
            Self::Manifest { faults } => write!(f, "a correct manifest: {}", faults.join("; ")),
            Self::Cloud { target, failure } => {
                write!(f, "a look at {target}{}", because(failure.as_ref()))
            }
            Self::Answer { target, message } => {
                write!(f, "blue on {target} to answer as its release: {message}")
            }
            Self::LastHealthy {
                target,
                ill,
                failure,
            } => last_healthy(f, *target, *ill, failure.as_ref()),
            Self::Order { order, failure, .. } => write!(f, "{order}{}", because(failure.as_ref())),
            Self::Gate { gate, .. } => write!(f, "gate {gate}"),
            Self::Approval {
                gate,
                given,
                quorum,
                plan,
                void,
                expires: _,
            } => approval(f, gate, (*given, *quorum), *plan, *void),
            Self::Paused { actor, reason } => paused(f, actor, reason),
            Self::Window { message, opens } => window(f, message, *opens),
            Self::Person { message } => write!(f, "a person's `retry` or `abort`: {message}"),
            Self::Soak { target, until } => write!(f, "{target} to soak until {until}"),
            Self::Bake { until } => write!(f, "the bake to end at {until}"),
            Self::CanaryPause {
                weight,
                until,
                whole,
            } => canary_pause(f, *weight, *until, whole),
            Self::Suspended { reason, until } => suspended(f, reason, *until),
            Self::Destroyed { actor, reason } => destroyed(f, actor, reason),
            Self::Pinned {
                release,
                held: _,
                kind,
                actor,
            } => pinned(f, *release, *kind, actor),
            Self::Rejected { release, message } => {
                write!(
                    f,
                    "a newer release, or `retry`: {} was rejected: {message}",
                    release.short()
                )
            }
            Self::Drift { target, message } => {
                write!(f, "a person: drift on {target} is only told: {message}")
            }
            Self::DriftLoop { target, message } => drift_loop(f, *target, message),
            Self::Prune { message } => f.write_str(message),
            Self::Dependency { service, standing } => {
                write!(f, "{service}, which it depends on: it {standing}")
            }
            Self::Group { service, standing } => {
                write!(f, "{service}, which is promoted with it: it {standing}")
            }
            Self::Environment {
                service,
                after,
                until,
                standing,
            } => environment(f, service, *after, *until, standing),
        }
    }
}

fn last_healthy(
    f: &mut fmt::Formatter<'_>,
    target: CloudName,
    ill: CloudName,
    failure: Option<&Failure>,
) -> fmt::Result {
    let because = because(failure);
    write!(
        f,
        "{ill}, which is ill: {target} is the last healthy cloud, and no promotion touches it meanwhile{because}"
    )
}

fn environment(
    f: &mut fmt::Formatter<'_>,
    service: &ServiceKey,
    after: Duration,
    until: Option<Timestamp>,
    standing: &impl fmt::Display,
) -> fmt::Result {
    write!(f, "{service} to hold this release live")?;
    if !after.is_zero() {
        write!(f, " for {}", spelt(after))?;
    }
    if let Some(until) = until {
        write!(f, ", until {until}")?;
    }
    write!(f, ": it {standing}")
}

fn because(failure: Option<&Failure>) -> String {
    let failure = failure.map(|failure| format!(": {}", failure.message));
    failure.unwrap_or_default()
}

fn approval(
    f: &mut fmt::Formatter<'_>,
    gate: &GateName,
    (given, quorum): (u32, u32),
    plan: PlanHash,
    void: u32,
) -> fmt::Result {
    let plan = plan.short();
    write!(
        f,
        "approval {gate} of plan {plan}: {given} of {quorum} given"
    )?;
    match void {
        0 => Ok(()),
        void => write!(f, ", {void} void since the plan changed"),
    }
}

fn paused(f: &mut fmt::Formatter<'_>, actor: &Actor, reason: &str) -> fmt::Result {
    write!(f, "`resume`: paused by {}", actor.username)?;
    match reason {
        "" => Ok(()),
        reason => write!(f, " because {reason}"),
    }
}

fn destroyed(f: &mut fmt::Formatter<'_>, actor: &Actor, reason: &str) -> fmt::Result {
    let who = &actor.username;
    write!(f, "`resume`: destroyed by {who} because {reason}")
}

fn drift_loop(f: &mut fmt::Formatter<'_>, target: CloudName, message: &str) -> fmt::Result {
    write!(
        f,
        "a person's `reconcile`: repairs on {target} do not last: {message}"
    )
}

fn suspended(f: &mut fmt::Formatter<'_>, reason: &str, until: Option<Timestamp>) -> fmt::Result {
    match until {
        Some(until) => write!(f, "`resume`, or {until}: suspended because {reason}"),
        None => write!(f, "`resume`: suspended because {reason}"),
    }
}

fn window(f: &mut fmt::Formatter<'_>, message: &str, opens: Option<Timestamp>) -> fmt::Result {
    match opens {
        Some(opens) => write!(f, "{opens}, when windows open, or `override`: {message}"),
        None => write!(f, "windows to open, or `override`: {message}"),
    }
}

fn pinned(
    f: &mut fmt::Formatter<'_>,
    release: ReleaseDigest,
    kind: PinKind,
    actor: &Actor,
) -> fmt::Result {
    let at = release.short();
    match kind {
        PinKind::Person => write!(f, "`unpin`: pinned at {at} by {}", actor.username),
        PinKind::Rollback => write!(
            f,
            "a newer release, or `resume`: pinned at {at} by a rollback"
        ),
    }
}

fn canary_pause(
    f: &mut fmt::Formatter<'_>,
    weight: Percent,
    until: Option<Timestamp>,
    whole: &[CloudName],
) -> fmt::Result {
    match until {
        None => f.write_str("a person's `promote` or `abort`: ")?,
        Some(until) => write!(f, "the canary's pause to end at {until}: ")?,
    }
    if weight.is_none() {
        f.write_str("it takes no share yet")?;
    } else {
        write!(f, "it takes {weight}")?;
    }
    let whole: Vec<&str> = whole.iter().map(|target| target.as_str()).collect();
    match whole.as_slice() {
        [] => Ok(()),
        whole => write!(
            f,
            "; blue on {} moves at once, with the promotion",
            whole.join(" and ")
        ),
    }
}
