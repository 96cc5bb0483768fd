//! Conditions, with the fields of Kubernetes' `metav1.Condition` exactly.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::Timestamp;

/// One aspect of a service or target. A type that is absent is unknown; those that tell of trouble are present only while they are true.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: Truth,
    /// The generation that this was said about.
    pub observed_generation: u64,
    /// Moves only when `status` changes.
    pub last_transition_time: Timestamp,
    /// A stable word in PascalCase.
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
pub enum ConditionKind {
    /// The newest commit is live on every target.
    Ready,
    /// Work is under way.
    Reconciling,
    /// No retry helps without a person.
    Stalled,
    GatesPassed,
    Promoted,
    DriftDetected,
    PrunePending,
    /// A repository can be read.
    SourceReady,
    /// A target holds what was promoted.
    Synced,
    /// A target's blue can serve.
    Healthy,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is said of one aspect, before it is dated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) kind: ConditionKind,
    pub(super) status: Truth,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Said {
    pub(super) fn new(
        kind: ConditionKind,
        status: Truth,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// With the time of its last change: that of the one before it where the status is the same.
    pub(super) fn dated(
        self,
        previous: &[Condition],
        generation: u64,
        now: Timestamp,
    ) -> Condition {
        let Self {
            kind,
            status,
            reason,
            message,
        } = self;
        let before = find(previous, kind).filter(|before| before.status == status);
        Condition {
            kind,
            status,
            observed_generation: generation,
            last_transition_time: before.map_or(now, |before| before.last_transition_time),
            reason,
            message,
        }
    }
}

/// The condition of a kind, if it is there.
pub fn find(conditions: &[Condition], kind: ConditionKind) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: Truth, reason: &str) -> Said {
        Said::new(ConditionKind::Ready, status, reason, "")
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let at = Timestamp::from_millis;
        let first = said(Truth::Unknown, "Progressing").dated(&[], 1, at(1));
        let second = said(Truth::Unknown, "AwaitingApproval").dated(&[first], 1, at(2));
        assert_eq!(second.last_transition_time, at(1));
        let third = said(Truth::True, "Succeeded").dated(&[second], 2, at(3));
        assert_eq!(third.last_transition_time, at(3));
        assert_eq!(third.observed_generation, 2);
    }
}
