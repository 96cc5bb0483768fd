//! Gates as checked: what is asked, how often, and what is forgiven.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::super::gates::{LoadGate, MetricGate, ParityGate};
use crate::name::GateName;

/// A test that a rollout must pass.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    pub name: GateName,
    pub kind: GateKind,
    pub after: GateStage,
    pub measure: Measure,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateKind {
    Http(HttpGate),
    Command(CommandGate),
    Approval(ApprovalGate),
    Load(LoadGate),
    Parity(ParityGate),
    Metric(MetricGate),
}

impl GateKind {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Command(_) => "command",
            Self::Approval(_) => "approval",
            Self::Load(_) => "load",
            Self::Parity(_) => "parity",
            Self::Metric(_) => "metric",
        }
    }

    /// Whether each target is measured, and judged, alone.
    pub fn asks_each_target(&self) -> bool {
        match self {
            Self::Http(_) | Self::Load(_) => true,
            Self::Command(_) | Self::Approval(_) | Self::Parity(_) => false,
            Self::Metric(metric) => metric.asks_each_target(),
        }
    }
}

/// When a gate is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateStage {
    /// Against green, before any promotion.
    #[default]
    Staging,
    /// Against green, while it takes a share of blue's requests. Only in the steps of a canary.
    Canary,
    /// Against blue, while it bakes.
    Promotion,
}

/// The measurement algebra of Argo Rollouts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Measurements that are made, errors not counted. Without it they go on: until `success_limit`, or until the bake ends.
    pub count: Option<u32>,
    pub interval: Duration,
    pub initial_delay: Duration,
    /// For one measurement.
    pub timeout: Duration,
    /// Failed measurements that are forgiven; any number without it.
    pub failure_limit: Option<u32>,
    /// Consecutive errors that are forgiven.
    pub error_limit: u32,
    pub inconclusive_limit: u32,
    /// Consecutive successes that are enough.
    #[serde(default)]
    pub success_limit: Option<u32>,
    /// Its verdict is told and not acted on.
    pub dry_run: bool,
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            count: Some(1),
            interval: Duration::from_secs(1),
            initial_delay: Duration::ZERO,
            timeout: Duration::from_secs(30),
            failure_limit: Some(0),
            error_limit: 4,
            inconclusive_limit: 0,
            success_limit: None,
            dry_run: false,
        }
    }
}

impl Measure {
    /// Nothing that is measured ends it but what speaks against the release.
    pub fn is_endless(&self) -> bool {
        self.count.is_none() && self.success_limit.is_none()
    }
}

/// One request and what its answer must be like.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct HttpGate {
    pub method: String,
    /// Path and query on the slot's address.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    pub status: u16,
    /// Headers that the answer must carry, with exactly these values.
    pub expect_headers: BTreeMap<String, String>,
    /// JSON pointers (RFC 6901) into the answer, and the values that they must hold.
    pub expect_json: BTreeMap<String, serde_json::Value>,
    /// Longest accepted answer time.
    pub latency: Option<Duration>,
    /// Further tries within one measurement, for an answer that is not there yet.
    pub retries: u32,
}

/// A script of the repository at the rollout's commit. Exit code 0 passes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CommandGate {
    /// Run by `sh -c` in the repository's root at that commit.
    pub run: String,
}

/// Waits for people.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ApprovalGate {
    /// Who may approve; empty means anyone whose token may act.
    pub by: Vec<String>,
    /// How many of them must. At least 1.
    pub quorum: u32,
}
