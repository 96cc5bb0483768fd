//! Events, history and plans as they are told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::service::{rollout::Move, waiting::Waiting};
use crate::{
    name::{Actor, CloudName, GateName, ReleaseDigest, Revision, ServiceKey, Timestamp},
    plan::{
        preview::ServicePlan,
        reason::Planned,
        state::{EventRecord, HistoryEntry, Severity},
    },
    rollout::{RolloutId, Transition, intent::Order},
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventReport {
    /// Counts up over restarts; where a reader left off.
    pub seq: u64,
    pub time: Timestamp,
    /// `info`, `warning` or `error`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// None where it concerns a repository or the daemon.
    pub service: Option<ServiceKey>,
    /// A stable word.
    pub reason: String,
    pub message: String,
    pub actor: Actor,
    pub revision: Option<Revision>,
    pub rollout: Option<String>,
}

impl From<&EventRecord> for EventReport {
    fn from(record: &EventRecord) -> Self {
        let EventRecord {
            seq,
            at,
            severity,
            service,
            reason,
            message,
            actor,
            revision,
            rollout,
        } = record;
        Self {
            seq: *seq,
            time: *at,
            severity: *severity,
            service: service.clone(),
            reason: reason.clone(),
            message: message.clone(),
            actor: actor.clone(),
            revision: revision.clone(),
            rollout: rollout.map(|id| RolloutId(id).to_string()),
        }
    }
}

/// One ended rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryReport {
    /// `r-12`.
    pub id: String,
    pub number: u64,
    pub release: ReleaseDigest,
    pub revision: Revision,
    pub previous: Option<ReleaseDigest>,
    /// The phase that it ended in.
    pub outcome: String,
    pub message: String,
    pub trigger: String,
    pub actor: Actor,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub transitions: Vec<Move>,
}

impl From<&HistoryEntry> for HistoryReport {
    fn from(entry: &HistoryEntry) -> Self {
        let HistoryEntry {
            service: _,
            rollout,
            release,
            revision,
            previous,
            outcome,
            message,
            trigger,
            actor,
            started_at,
            ended_at,
            transitions,
        } = entry;
        let tell = |Transition { at, phase, message }: &Transition| Move {
            at: *at,
            phase: phase.clone(),
            message: message.clone(),
        };
        Self {
            id: RolloutId(*rollout).to_string(),
            number: *rollout,
            release: *release,
            revision: revision.clone(),
            previous: *previous,
            outcome: outcome.clone(),
            message: message.clone(),
            trigger: trigger.clone(),
            actor: actor.clone(),
            started_at: *started_at,
            ended_at: *ended_at,
            transitions: transitions.iter().map(tell).collect(),
        }
    }
}

/// The orders that would take one service from live to desired state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    pub service: ServiceKey,
    pub revision: Option<Revision>,
    pub wanted: Option<ReleaseDigest>,
    pub live: Option<ReleaseDigest>,
    /// In the order they would be sent; gates stand between staging and promotion.
    pub orders: Vec<PlannedOrder>,
    pub gates: Vec<String>,
    /// What people should know of it, such as a cloud that takes no share of a canary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub waiting: Vec<Waiting>,
}

/// One order and why it exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedOrder {
    /// `build`, `stage`, `measure`, `shift`, `promote`, `retract`, `repair` or `prune`.
    #[serde(rename = "do")]
    pub verb: String,
    pub target: Option<CloudName>,
    pub release: Option<ReleaseDigest>,
    pub gate: Option<GateName>,
    pub text: String,
    pub reason: String,
}

impl From<&ServicePlan> for PlanReport {
    fn from(plan: &ServicePlan) -> Self {
        let ServicePlan {
            service,
            revision,
            wanted,
            live,
            orders,
            gates,
            notes,
            waiting,
        } = plan;
        Self {
            service: service.clone(),
            revision: revision.clone(),
            wanted: *wanted,
            live: *live,
            orders: orders.iter().map(PlannedOrder::from).collect(),
            gates: gates.clone(),
            notes: notes.clone(),
            waiting: waiting.iter().map(Waiting::of).collect(),
        }
    }
}

impl From<&Planned> for PlannedOrder {
    fn from(planned: &Planned) -> Self {
        let Planned { order, reason } = planned;
        let (verb, gate) = match order {
            Order::Build { .. } => ("build", None),
            Order::Stage { .. } => ("stage", None),
            Order::Measure { gate, round: _ } => ("measure", Some(gate.clone())),
            Order::Shift { .. } => ("shift", None),
            Order::Promote { .. } => ("promote", None),
            Order::Retract { .. } => ("retract", None),
            Order::Repair { .. } => ("repair", None),
            Order::Prune { .. } => ("prune", None),
        };
        Self {
            verb: verb.to_owned(),
            target: order.target(),
            release: order.release(),
            gate,
            text: order.to_string(),
            reason: reason.to_string(),
        }
    }
}
