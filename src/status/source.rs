//! What is told of a repository.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::condition::{Condition, ConditionKind, Said, Truth};
use crate::name::{RepositoryName, Revision, Timestamp};

/// One repository of the configuration. Its address carries no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    pub name: RepositoryName,
    pub url: String,
    /// The branch, tag or commit that is followed.
    pub reference: String,
    /// The folder whose manifests are read.
    pub path: String,
    /// The newest commit that was read.
    pub revision: Option<Revision>,
    pub conditions: Vec<Condition>,
    pub last_polled_at: Option<Timestamp>,
    /// What is wrong with the manifests of that commit: file, line, column, field, and what to write instead.
    pub faults: Vec<String>,
}

/// What came of the newest poll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Polled {
    /// No poll has ended yet.
    Never,
    Read,
    /// It was read, and its history was rewritten (a force-push) since the commit before.
    Rewritten {
        message: String,
    },
    Failed {
        /// `FetchFailed`, `AuthenticationFailed`, `RefNotFound`, `RepositoryTooLarge`, `TimedOut`, `ContentRefused`.
        reason: String,
        message: String,
    },
}

/// The `SourceReady` condition of a repository. `previous` is what was told last.
pub fn source_ready(polled: &Polled, previous: &[Condition], now: Timestamp) -> Condition {
    let (status, reason, message) = match polled {
        Polled::Never => (Truth::Unknown, "Progressing", "it was not read yet"),
        Polled::Read => (Truth::True, "Succeeded", ""),
        Polled::Rewritten { message } => (Truth::True, "HistoryRewritten", message.as_str()),
        Polled::Failed { reason, message } => (Truth::False, reason.as_str(), message.as_str()),
    };
    Said::new(ConditionKind::SourceReady, status, reason, message).dated(previous, 0, now)
}

impl SourceReport {
    /// Whether a person should look: it was polled, and could not be read.
    pub fn needs_attention(&self) -> bool {
        super::condition::find(&self.conditions, ConditionKind::SourceReady)
            .is_some_and(|ready| ready.status == Truth::False)
    }

    pub fn is_ready(&self) -> bool {
        super::condition::find(&self.conditions, ConditionKind::SourceReady)
            .is_some_and(|ready| ready.status == Truth::True)
    }
}
