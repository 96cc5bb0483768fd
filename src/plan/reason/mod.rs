//! Why an order exists, and what a pause waits on. Shown unchanged by CLI and API.

mod words;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::around::Standing;
use crate::{
    diff::{Change, FieldDrift},
    name::{Actor, CloudName, GateName, Percent, PlanHash, ReleaseDigest, ServiceKey, Timestamp},
    plan::state::PinKind,
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
    /// A person had the service destroyed.
    Destroyed {
        actor: Actor,
        reason: String,
    },
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
            Self::Destroyed { actor, reason } => {
                write!(f, "destroyed by {}: {reason}", actor.username)
            }
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
    /// Blue holds what was promoted, and the platform answers in its place.
    Answer {
        target: CloudName,
        message: String,
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
        /// What is to be approved; words for another plan do not count.
        plan: PlanHash,
        /// Words that no longer count, since the plan became another one.
        void: u32,
        /// When the rollout is rejected for want of them.
        expires: Option<Timestamp>,
    },
    /// A person holds the rollout.
    Paused {
        actor: Actor,
        reason: String,
    },
    /// A closed window holds the promotion.
    Window {
        /// The window that denies, or what allows.
        message: String,
        opens: Option<Timestamp>,
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
    /// A person had it destroyed, and nothing brings it back by itself.
    Destroyed {
        actor: Actor,
        reason: String,
    },
    Pinned {
        release: ReleaseDigest,
        held: Option<ReleaseDigest>,
        kind: PinKind,
        actor: Actor,
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
    /// Drift that came back after each repair: no more are made.
    DriftLoop {
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
            | Self::Window { opens: until, .. }
            | Self::Approval { expires: until, .. }
            | Self::Suspended { until, .. }
            | Self::CanaryPause { until, .. } => *until,
            Self::Order { next_at, .. } | Self::Gate { next_at, .. } => *next_at,
            Self::Soak { until, .. } | Self::Bake { until } => Some(*until),
            Self::Nothing
            | Self::Git
            | Self::Manifest { .. }
            | Self::Cloud { .. }
            | Self::Answer { .. }
            | Self::LastHealthy { .. }
            | Self::Paused { .. }
            | Self::Person { .. }
            | Self::Destroyed { .. }
            | Self::Pinned { .. }
            | Self::Rejected { .. }
            | Self::Drift { .. }
            | Self::DriftLoop { .. }
            | Self::Prune { .. }
            | Self::Dependency { .. }
            | Self::Group { .. } => None,
        }
    }
}

impl WaitingOn {
    /// A stable word for each kind.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Git => "git",
            Self::Manifest { .. } => "manifest",
            Self::Cloud { .. } => "cloud",
            Self::Answer { .. } => "answer",
            Self::LastHealthy { .. } => "lastHealthy",
            Self::Order { .. } => "order",
            Self::Gate { .. } => "gate",
            Self::Approval { .. } => "approval",
            Self::Paused { .. } => "paused",
            Self::Window { .. } => "window",
            Self::Person { .. } => "person",
            Self::Soak { .. } => "soak",
            Self::Bake { .. } => "bake",
            Self::CanaryPause { .. } => "canary",
            Self::Suspended { .. } => "suspended",
            Self::Destroyed { .. } => "destroyed",
            Self::Pinned { .. } => "pinned",
            Self::Rejected { .. } => "rejected",
            Self::Drift { .. } => "drift",
            Self::DriftLoop { .. } => "driftLoop",
            Self::Prune { .. } => "prune",
            Self::Dependency { .. } => "dependency",
            Self::Group { .. } => "group",
            Self::Environment { .. } => "environment",
        }
    }

    /// Under what name the memory of a service keeps since when it is waited for; none where another record says so.
    pub fn dated_by_memory(&self) -> Option<String> {
        match self {
            Self::Manifest { .. } | Self::Window { .. } | Self::Prune { .. } => {
                Some(self.word().to_owned())
            }
            Self::Drift { target, .. } => Some(format!("{}/{target}", self.word())),
            Self::Dependency { service, .. }
            | Self::Group { service, .. }
            | Self::Environment { service, .. } => Some(format!("{}/{service}", self.word())),
            Self::Nothing
            | Self::Git
            | Self::Cloud { .. }
            | Self::Answer { .. }
            | Self::LastHealthy { .. }
            | Self::Order { .. }
            | Self::Gate { .. }
            | Self::Approval { .. }
            | Self::Paused { .. }
            | Self::Person { .. }
            | Self::Soak { .. }
            | Self::Bake { .. }
            | Self::CanaryPause { .. }
            | Self::Suspended { .. }
            | Self::Destroyed { .. }
            | Self::Pinned { .. }
            | Self::DriftLoop { .. }
            | Self::Rejected { .. } => None,
        }
    }
}
