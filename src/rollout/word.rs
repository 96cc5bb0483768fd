//! What people said about one rollout: written down with who and when, and shown as it was said.

use serde::{Deserialize, Serialize};

use crate::name::{Actor, PlanHash, Timestamp};

/// Somebody's word, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub actor: Actor,
    /// Empty where none was asked for.
    pub reason: String,
    pub at: Timestamp,
}

/// A person ends waits: the one that is under way, or all that are still to come.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Hurry {
    pub actor: Actor,
    pub at: Timestamp,
    /// Soaks, pauses and the bake of the rest of this rollout are skipped. Gates never are.
    pub full: bool,
}

impl Hurry {
    /// Whether a wait that began at a moment is over by this word.
    pub fn ends(&self, began: Timestamp) -> bool {
        self.full || self.at >= began
    }
}

/// A person's word for an approval gate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub actor: Actor,
    pub at: Timestamp,
    /// The plan that it was given for; none in records that are older than plans with a hash, whose word counts for nothing.
    #[serde(default)]
    pub plan: Option<PlanHash>,
    /// The plan became another one since: the word no longer counts.
    #[serde(default)]
    pub void_since: Option<Timestamp>,
}

impl Approval {
    /// Whether it counts for a plan.
    pub fn is_for(&self, plan: PlanHash) -> bool {
        self.void_since.is_none() && self.plan == Some(plan)
    }
}
