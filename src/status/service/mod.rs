//! One service, as told to people and programs.

mod conditions;
pub mod phase;
mod ready;
pub mod rollout;
pub mod spec;
pub mod target;
pub mod waiting;
pub mod word;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::{
    phase::ServicePhase,
    rollout::{GateReport, RolloutReport},
    spec::SpecReport,
    target::TargetReport,
    waiting::Waiting,
};
use super::{
    API_VERSION,
    condition::{Condition, ConditionKind, Truth, find},
};
use crate::{
    name::{Actor, EnvironmentName, ReleaseDigest, Revision, ServiceKey, ServiceName, Timestamp},
    plan::{
        reason::WaitingOn,
        state::{Destroyed, Pin, PinKind, Rejection, ServiceState, Suspension},
    },
};

/// One service in one environment: what is asked for, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReport {
    pub api_version: String,
    /// `Service`.
    pub kind: String,
    pub metadata: Metadata,
    /// None while nothing asks for it.
    pub spec: Option<SpecReport>,
    pub status: Status,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub environment: EnvironmentName,
    pub name: ServiceName,
    /// Counts up when what is asked for changes.
    pub generation: u64,
    /// Counts up over all services with every change that is told; where a reader left off. A look that finds nothing new is no change.
    pub resource_version: u64,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation that the service came to rest at, ready or stalled.
    pub observed_generation: u64,
    pub phase: ServicePhase,
    /// One sentence: why the newest commit is not live, or that it is.
    pub why: String,
    /// A person should look.
    pub attention: bool,
    pub conditions: Vec<Condition>,
    pub revisions: Revisions,
    pub releases: Releases,
    pub targets: Vec<TargetReport>,
    /// The newest rollout, ended or not.
    pub rollout: Option<RolloutReport>,
    /// The gates of that rollout, with their newest measurements.
    pub gates: Vec<GateReport>,
    pub waiting: Vec<Waiting>,
    /// Releases that are not tried again by themselves.
    pub rejected: Vec<RejectedReport>,
    pub pin: Option<PinReport>,
    pub suspension: Option<SuspensionReport>,
    /// A person had it destroyed; nothing of it runs until somebody resumes.
    #[serde(default)]
    pub destruction: Option<DestructionReport>,
    /// What is wrong with the manifest.
    pub faults: Vec<String>,
    /// Echo of the newest `reconcile` token.
    pub last_handled_reconcile_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revisions {
    pub desired: Option<Revision>,
    pub live: Option<Revision>,
    pub last_attempted: Option<Revision>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Releases {
    pub desired: Option<ReleaseDigest>,
    pub live: Option<ReleaseDigest>,
    /// Where `rollback` goes.
    pub previous: Option<ReleaseDigest>,
}

/// A release that did not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RejectedReport {
    pub release: ReleaseDigest,
    pub revision: Revision,
    pub reason: String,
    pub message: String,
    pub at: Timestamp,
}

/// A rollback or a person holds the service here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PinReport {
    pub release: ReleaseDigest,
    /// What is held back.
    pub held: Option<ReleaseDigest>,
    pub actor: Actor,
    pub at: Timestamp,
    /// `rollback`: until something newer is asked for; `person`: until `unpin`.
    #[schema(value_type = String)]
    #[serde(default)]
    pub kind: PinKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuspensionReport {
    pub reason: String,
    pub actor: Actor,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

/// A person had it destroyed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestructionReport {
    pub reason: String,
    pub actor: Actor,
    pub at: Timestamp,
    /// When nothing of it was left on any cloud.
    pub gone_at: Option<Timestamp>,
}

// === impl ServiceReport ===

impl ServiceReport {
    pub fn key(&self) -> ServiceKey {
        ServiceKey {
            environment: self.metadata.environment.clone(),
            service: self.metadata.name.clone(),
        }
    }

    pub fn condition(&self, kind: ConditionKind) -> Option<&Condition> {
        find(&self.status.conditions, kind)
    }

    pub fn ready(&self) -> Truth {
        self.condition(ConditionKind::Ready)
            .map_or(Truth::Unknown, |ready| ready.status)
    }

    /// Whether nothing more will happen by itself: it is live, or it waits for a commit or a person.
    pub fn is_at_rest(&self) -> bool {
        self.condition(ConditionKind::Reconciling).is_none()
    }

    /// Whether all but the time of the newest look is the same.
    fn tells_the_same_as(&self, previous: &Self) -> bool {
        let undated = |report: &Self| {
            let mut report = report.clone();
            report.metadata.resource_version = 0;
            for target in &mut report.status.targets {
                target.seen_at = target.seen_at.map(|_| Timestamp::default());
            }
            report
        };
        undated(self) == undated(previous)
    }
}

/// Tells of one service. `previous` is what was told last, so that a condition keeps the time of its last change, and what tells nothing
/// new keeps its version.
pub fn report(
    state: &ServiceState,
    waiting: &[WaitingOn],
    stalled: Option<&str>,
    previous: Option<&ServiceReport>,
    resource_version: u64,
    now: Timestamp,
) -> ServiceReport {
    let memory = &state.memory;
    let metadata = Metadata {
        environment: state.key.environment.clone(),
        name: state.key.service.clone(),
        generation: memory.generation,
        resource_version,
        created_at: memory.created_at,
    };
    let status = status(
        state,
        waiting,
        stalled,
        previous.map(|report| &report.status),
        now,
    );
    let mut report = ServiceReport {
        api_version: API_VERSION.to_owned(),
        kind: "Service".to_owned(),
        metadata,
        spec: state.ask.desired().map(|desired| spec::spec(desired)),
        status,
    };
    if let Some(previous) = previous.filter(|previous| report.tells_the_same_as(previous)) {
        report.metadata.resource_version = previous.metadata.resource_version;
    }
    report
}

fn status(
    state: &ServiceState,
    waiting: &[WaitingOn],
    stalled: Option<&str>,
    previous: Option<&Status>,
    now: Timestamp,
) -> Status {
    let memory = &state.memory;
    let waiting: Vec<Waiting> = waiting.iter().map(Waiting::of).collect();
    let before = previous.map(|status| status.targets.as_slice());
    let targets = target::targets(state, before.unwrap_or_default(), now);
    let view = phase::View {
        state,
        waiting: &waiting,
        stalled,
        targets: &targets,
        now,
    };
    let phase = view.phase();
    let before = previous.map(|status| status.conditions.as_slice());
    let conditions: Vec<Condition> = conditions::all(&view, phase)
        .into_iter()
        .map(|said| said.dated(before.unwrap_or_default(), memory.generation, now))
        .collect();
    let is_stalled = find(&conditions, ConditionKind::Stalled).is_some();
    let ready = find(&conditions, ConditionKind::Ready);
    let is_ready = ready.is_some_and(|ready| ready.status == Truth::True);
    let observed_generation = match is_ready || is_stalled {
        true => memory.generation,
        false => previous.map_or(0, |status| status.observed_generation),
    };
    Status {
        observed_generation,
        phase,
        why: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        attention: is_stalled || phase.needs_attention(),
        revisions: Revisions {
            desired: view.desired_revision(),
            live: view.live_revision(),
            last_attempted: state
                .rollout
                .as_ref()
                .map(|rollout| rollout.revision.clone()),
        },
        releases: Releases {
            desired: state.wanted(),
            live: memory.promoted,
            previous: memory.previous,
        },
        rollout: state.rollout.as_ref().map(rollout::short),
        gates: state
            .rollout
            .as_ref()
            .map(rollout::newest_gates)
            .unwrap_or_default(),
        rejected: memory.rejected.iter().map(rejected).collect(),
        pin: memory.pin.as_ref().map(pin),
        suspension: state.suspension(now).map(suspension),
        destruction: memory.destroyed.as_ref().map(destruction),
        faults: view.faults().to_vec(),
        last_handled_reconcile_at: memory.handled.clone(),
        conditions,
        targets,
        waiting,
    }
}

fn rejected((release, rejection): (&ReleaseDigest, &Rejection)) -> RejectedReport {
    let Rejection {
        revision,
        reason,
        message,
        at,
    } = rejection;
    RejectedReport {
        release: *release,
        revision: revision.clone(),
        reason: reason.clone(),
        message: message.clone(),
        at: *at,
    }
}

fn pin(pin: &Pin) -> PinReport {
    let Pin {
        release,
        held,
        actor,
        at,
        kind,
        reason,
    } = pin;
    PinReport {
        release: *release,
        held: *held,
        actor: actor.clone(),
        at: *at,
        kind: *kind,
        reason: reason.clone(),
    }
}

fn suspension(suspension: &Suspension) -> SuspensionReport {
    let Suspension {
        reason,
        actor,
        since,
        until,
    } = suspension;
    SuspensionReport {
        reason: reason.clone(),
        actor: actor.clone(),
        since: *since,
        until: *until,
    }
}

fn destruction(destroyed: &Destroyed) -> DestructionReport {
    let Destroyed {
        reason,
        actor,
        at,
        live: _,
        gone_at,
    } = destroyed;
    DestructionReport {
        reason: reason.clone(),
        actor: actor.clone(),
        at: *at,
        gone_at: *gone_at,
    }
}
