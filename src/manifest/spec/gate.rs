//! Gates as checked: what is asked, how often, and what is forgiven.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::super::gates::{LoadGate, MetricGate, ParityGate};
use crate::{
    condition::Condition,
    name::{Actor, GateName},
};

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
    /// What must be true of the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_condition: Option<Condition>,
    /// What must not be true of it. Where both are written and neither holds, the measurement is Inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_condition: Option<Condition>,
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
            success_condition: None,
            failure_condition: None,
        }
    }
}

impl Measure {
    /// Nothing that is measured ends it but what speaks against the release.
    pub fn is_endless(&self) -> bool {
        self.count.is_none() && self.success_limit.is_none()
    }

    /// Whether a condition says what to make of a part of the evidence, so that no usual rule does.
    pub fn speaks_of(&self, variable: &str) -> bool {
        let conditions = self.success_condition.iter().chain(&self.failure_condition);
        conditions.into_iter().any(|it| it.speaks_of(variable))
    }
}

/// Requests, one after the other.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct HttpGate {
    #[serde(flatten)]
    pub first: HttpStep,
    /// Sent in this order, each once the answer before it was right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<HttpStep>,
}

/// One request and what its answer must be like. Texts may hold `${name}`, for what an earlier answer left.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct HttpStep {
    /// For people, in a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub method: String,
    /// Path and query on the slot's address.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    /// `None` where a condition says what to make of it.
    pub status: Option<u16>,
    /// Headers that the answer must carry, with exactly these values.
    pub expect_headers: BTreeMap<String, String>,
    /// JSON pointers (RFC 6901) or paths (RFC 9535) into the answer, and the values that they must hold.
    pub expect_json: BTreeMap<String, serde_json::Value>,
    /// Longest accepted answer time.
    pub latency: Option<Duration>,
    /// Further tries within one measurement, for an answer that is not there yet.
    pub retries: u32,
    /// What the answer leaves for later requests and for conditions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capture: BTreeMap<String, Capture>,
}

/// A place in an answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// A JSON pointer, or a JSON path where it starts with `$`.
    Json(String),
    Header(String),
}

impl HttpGate {
    /// All requests, in their order.
    pub fn steps(&self) -> impl Iterator<Item = &HttpStep> {
        std::iter::once(&self.first).chain(&self.then)
    }
}

impl HttpStep {
    /// `GET`, with the answer 200.
    pub fn get(path: &str) -> Self {
        Self {
            name: None,
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: BTreeMap::new(),
            body: None,
            status: Some(200),
            expect_headers: BTreeMap::new(),
            expect_json: BTreeMap::new(),
            latency: None,
            retries: 0,
            capture: BTreeMap::new(),
        }
    }
}

impl From<HttpStep> for HttpGate {
    fn from(first: HttpStep) -> Self {
        let then = Vec::new();
        Self { first, then }
    }
}

/// A script of the repository at the rollout's commit. Exit code 0 passes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CommandGate {
    /// Run by `sh -c` in the repository's root at that commit.
    pub run: String,
    /// Variables of its own: the parameters of a shared gate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// Waits for people.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ApprovalGate {
    /// Who may approve, by name. Where neither names nor roles stand: anyone whose token may act.
    pub by: Vec<String>,
    /// Who may approve, by a role of their token.
    #[serde(default)]
    pub roles: Vec<String>,
    /// How many of them must. At least 1.
    pub quorum: u32,
    /// How long it is waited for; the rollout is rejected then. For ever where it is not said.
    #[serde(default)]
    pub expires: Option<Duration>,
}

impl ApprovalGate {
    /// Whether this person's word counts.
    pub fn takes(&self, actor: &Actor) -> bool {
        let is_named = self.by.contains(&actor.username);
        let has_role = self.roles.iter().any(|role| actor.roles.contains(role));
        (self.by.is_empty() && self.roles.is_empty()) || is_named || has_role
    }

    /// Whose word counts, in words.
    pub fn people(&self) -> String {
        let roles = self.roles.iter();
        let roles = roles.map(|role| format!("anyone with role {role}"));
        let people: Vec<String> = self.by.iter().cloned().chain(roles).collect();
        match people.is_empty() {
            true => "anyone".to_owned(),
            false => people.join(", "),
        }
    }
}
