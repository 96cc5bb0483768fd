//! Why an order exists, and what a pause waits on. Shown unchanged by CLI and API.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::around::Standing;
use crate::{
    diff::{Change, FieldDrift},
    name::{Actor, CloudName, GateName, Percent, ReleaseDigest, ServiceKey, Timestamp},
    rollout::intent::{Failure, Order},
};

/// An order with its key and its reason.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Planned {
    pub order: Order,
    pub reason: Reason,
}

/// Why an order exists.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "why")]
pub enum Reason {
    NeverDeployed,
    /// What changed, where the release before it is known.
    NewRelease {
        from: ReleaseDigest,
        changes: Vec<Change>,
    },
    Rollback {
        actor: Actor,
    },
    GateDue {
        gate: GateName,
    },
    Drift {
        fields: Vec<FieldDrift>,
    },
    /// A slot holds another release than the one that was promoted.
    Moved {
        found: Option<ReleaseDigest>,
    },
    /// Targets that moved go back together.
    Failed {
        message: String,
    },
    RemovedFromGit,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverDeployed => f.write_str("never deployed"),
            Self::NewRelease { from, changes } if changes.is_empty() => {
                write!(f, "replaces {}", from.short())
            }
            Self::NewRelease { changes, .. } => f.write_str(&join(changes)),
            Self::Rollback { actor } => write!(f, "rollback asked for by {}", actor.username),
            Self::GateDue { gate } => write!(f, "gate {gate} is due"),
            Self::Drift { fields } => write!(f, "drift: {}", join(fields)),
            Self::Moved { found: Some(found) } => write!(f, "drift: blue holds {}", found.short()),
            Self::Moved { found: None } => f.write_str("drift: blue holds nothing whole"),
            Self::Failed { message } => f.write_str(message),
            Self::RemovedFromGit => f.write_str("removed from git"),
        }
    }
}

fn join<T: fmt::Display>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// `1h30m`, as it is written in manifests.
fn spelt(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(length.subsec_millis()), "ms"),
    ];
    let written = parts.iter().filter(|(count, _)| *count > 0);
    written
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}

/// What stands between now and the next order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "on")]
pub enum WaitingOn {
    /// Nothing: live state is as asked for.
    Nothing,
    Git,
    Manifest {
        faults: Vec<String>,
    },
    /// A target that was not seen, so nothing may be decided about it.
    Cloud {
        target: CloudName,
        failure: Option<Failure>,
    },
    /// A promotion that would touch the last cloud that serves users well.
    LastHealthy {
        target: CloudName,
        ill: CloudName,
        failure: Option<Failure>,
    },
    Order {
        order: Order,
        failure: Option<Failure>,
        next_at: Option<Timestamp>,
    },
    Gate {
        gate: GateName,
        next_at: Option<Timestamp>,
    },
    Approval {
        gate: GateName,
        given: u32,
        quorum: u32,
    },
    /// A gate could not be judged.
    Person {
        message: String,
    },
    Soak {
        target: CloudName,
        until: Timestamp,
    },
    Bake {
        until: Timestamp,
    },
    /// A step of a canary that only passes time; without an end it waits for a person.
    CanaryPause {
        /// Nothing where no target shares its requests.
        weight: Percent,
        until: Option<Timestamp>,
        /// Targets whose blue moves at once, with the promotion.
        whole: Vec<CloudName>,
    },
    Suspended {
        reason: String,
        until: Option<Timestamp>,
    },
    Pinned {
        release: ReleaseDigest,
        held: Option<ReleaseDigest>,
    },
    Rejected {
        release: ReleaseDigest,
        message: String,
    },
    /// Drift that the service asks only to be told.
    Drift {
        target: CloudName,
        message: String,
    },
    /// Deleting is held back.
    Prune {
        message: String,
    },
    /// A service that it depends on is not live at what Git asks for.
    Dependency {
        service: ServiceKey,
        standing: Standing,
    },
    /// A member of its group is not ready to go with it.
    Group {
        service: ServiceKey,
        standing: Standing,
    },
    /// The environment that its own one follows has not proven the release.
    Environment {
        service: ServiceKey,
        /// How long it must be live there.
        after: Duration,
        /// When it will have been, if nothing happens.
        until: Option<Timestamp>,
        standing: Standing,
    },
}

impl WaitingOn {
    /// When it ends by itself, where that is known.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Environment { until, .. }
            | Self::Suspended { until, .. }
            | Self::CanaryPause { until, .. } => *until,
            Self::Order { next_at, .. } | Self::Gate { next_at, .. } => *next_at,
            Self::Soak { until, .. } | Self::Bake { until } => Some(*until),
            Self::Nothing
            | Self::Git
            | Self::Manifest { .. }
            | Self::Cloud { .. }
            | Self::LastHealthy { .. }
            | Self::Approval { .. }
            | Self::Person { .. }
            | Self::Pinned { .. }
            | Self::Rejected { .. }
            | Self::Drift { .. }
            | Self::Prune { .. }
            | Self::Dependency { .. }
            | Self::Group { .. } => None,
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |failure: &Option<Failure>| {
            failure
                .as_ref()
                .map(|failure| format!(": {}", failure.message))
                .unwrap_or_default()
        };
        match self {
            Self::Nothing => f.write_str("nothing: live state is as asked for"),
            Self::Git => f.write_str("the first read of the repository"),
            Self::Manifest { faults } => write!(f, "a correct manifest: {}", faults.join("; ")),
            Self::Cloud { target, failure } => write!(f, "a look at {target}{}", because(failure)),
            Self::LastHealthy {
                target,
                ill,
                failure,
            } => write!(
                f,
                "{ill}, which is ill: {target} is the last healthy cloud, and no promotion touches it meanwhile{}",
                because(failure)
            ),
            Self::Order { order, failure, .. } => write!(f, "{order}{}", because(failure)),
            Self::Gate { gate, .. } => write!(f, "gate {gate}"),
            Self::Approval {
                gate,
                given,
                quorum,
            } => write!(f, "approval {gate}: {given} of {quorum} given"),
            Self::Person { message } => write!(f, "a person's `retry` or `abort`: {message}"),
            Self::Soak { target, until } => write!(f, "{target} to soak until {until}"),
            Self::Bake { until } => write!(f, "the bake to end at {until}"),
            Self::CanaryPause {
                weight,
                until,
                whole,
            } => canary_pause(f, *weight, *until, whole),
            Self::Suspended {
                reason,
                until: Some(until),
            } => write!(f, "`resume`, or {until}: suspended because {reason}"),
            Self::Suspended {
                reason,
                until: None,
            } => write!(f, "`resume`: suspended because {reason}"),
            Self::Pinned { release, .. } => {
                write!(
                    f,
                    "a newer release, or `resume`: pinned at {} by a rollback",
                    release.short()
                )
            }
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
            } => {
                write!(f, "{service} to hold this release live")?;
                if !after.is_zero() {
                    write!(f, " for {}", spelt(*after))?;
                }
                if let Some(until) = until {
                    write!(f, ", until {until}")?;
                }
                write!(f, ": it {standing}")
            }
        }
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
