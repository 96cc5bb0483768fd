//! What people said about a rollout, as it is told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    name::{Actor, PlanHash, Timestamp},
    rollout::word::{Approval, Hurry, Word},
};

/// What somebody said, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WordReport {
    pub actor: Actor,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub at: Timestamp,
}

impl WordReport {
    pub(in crate::status) fn of(word: &Word) -> Self {
        let Word { actor, reason, at } = word;
        Self {
            actor: actor.clone(),
            reason: reason.clone(),
            at: *at,
        }
    }

    /// Who ended every wait, where somebody did.
    pub(super) fn in_full(hurry: &Hurry) -> Option<Self> {
        let Hurry { actor, at, full } = hurry;
        full.then(|| Self {
            actor: actor.clone(),
            reason: String::new(),
            at: *at,
        })
    }
}

/// A person's word for an approval gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    pub username: String,
    pub at: Timestamp,
    /// The plan that it was given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub plan: Option<PlanHash>,
    /// The plan became another one since: it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void_since: Option<Timestamp>,
}

impl Consent {
    pub(super) fn of(given: &Approval) -> Self {
        let Approval {
            actor,
            at,
            plan,
            void_since,
        } = given;
        Self {
            username: actor.username.clone(),
            at: *at,
            plan: *plan,
            void_since: *void_since,
        }
    }
}
