//! What stays to be told of a service: ended rollouts and events.

use serde::{Deserialize, Serialize};

use crate::{
    name::{Actor, ReleaseDigest, Revision, ServiceKey, Timestamp},
    rollout::{Transition, word::Word},
};

/// One ended rollout, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub service: ServiceKey,
    pub rollout: u64,
    pub release: ReleaseDigest,
    pub revision: Revision,
    pub previous: Option<ReleaseDigest>,
    pub outcome: String,
    pub message: String,
    pub trigger: String,
    pub actor: Actor,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub transitions: Vec<Transition>,
    /// Who promoted it outside its windows, and why.
    #[serde(default)]
    pub bypass: Option<Word>,
}

/// What happened, for people and for other programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Counts up over restarts; where a reader left off.
    pub seq: u64,
    pub at: Timestamp,
    pub severity: Severity,
    /// None where it concerns a repository or the daemon.
    pub service: Option<ServiceKey>,
    /// A stable word.
    pub reason: String,
    pub message: String,
    pub actor: Actor,
    pub revision: Option<Revision>,
    pub rollout: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}
