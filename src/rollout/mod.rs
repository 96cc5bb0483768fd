//! Rollouts: phases and their legal moves, orders and intents, evidence and verdicts.
//!
//! A rollout is one attempt to take one release of one service to blue on all targets of one environment. Everything here is a value:
//! nothing waits, nothing is sent.

pub mod evidence;
pub mod facts;
pub mod figures;
pub mod gate_run;
pub mod intent;
pub mod phase;
pub mod verdict;
pub mod window;
pub mod word;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use self::{
    evidence::Evidence,
    gate_run::GateRun,
    phase::{Event, IllegalMove, Phase},
    word::{Approval, Hurry, Word},
};
use crate::{
    manifest::spec::{Environment, RolloutSpec},
    name::{Actor, CloudName, ReleaseDigest, Revision, ServiceKey, Timestamp},
};

/// Bytes of evidence that a rollout keeps; its record may have a mebibyte.
const EVIDENCE_BYTES_MAX: usize = 512 << 10;

/// A rollout's name within its service: `r-12`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutId(pub u64);

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r-{}", self.0)
    }
}

/// What made a rollout begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trigger {
    /// A commit asks for it.
    Commit,
    /// A person asked for a rejected release again.
    Retry,
    /// A person asked for an earlier release. It passed its gates then, and is not measured again.
    Rollback {
        /// What Git asked for at that moment; it is held back until something newer is asked for.
        held: Option<ReleaseDigest>,
    },
}

impl Trigger {
    pub fn is_rollback(self) -> bool {
        matches!(self, Self::Rollback { .. })
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "Commit",
            Self::Retry => "Retry",
            Self::Rollback { .. } => "Rollback",
        }
    }
}

/// One attempt to take one release of one service to blue on all targets of one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    pub id: RolloutId,
    pub service: ServiceKey,
    pub release: ReleaseDigest,
    pub revision: Revision,
    /// What blue is to hold again if this fails; none before the first.
    pub previous: Option<ReleaseDigest>,
    pub trigger: Trigger,
    pub actor: Actor,
    /// As it stood when the rollout began.
    pub spec: RolloutSpec,
    pub targets: Vec<CloudName>,
    /// Where it began: a rollout ends where it began, though Git may ask for another place meanwhile.
    pub environment: Option<Arc<Environment>>,
    pub phase: Phase,
    pub started_at: Timestamp,
    /// Every move, oldest first. The first is into `Queued`.
    pub transitions: Vec<Transition>,
    pub gates: Vec<GateRun>,
    pub approvals: Vec<Approval>,
    /// A person holds it: nothing more begins until they let go.
    #[serde(default)]
    pub pause: Option<Word>,
    /// A person ended a wait of it, or all.
    #[serde(default)]
    pub hurry: Option<Hurry>,
    /// A person opened the windows to it.
    #[serde(default)]
    pub bypass: Option<Word>,
    /// Rollouts of its group that are promoted with it, or go back with it.
    #[serde(default)]
    pub pact: BTreeMap<ServiceKey, RolloutId>,
}

/// One move of a rollout.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub at: Timestamp,
    pub phase: String,
    pub message: String,
}

impl Rollout {
    /// Takes the move that the table allows, and remembers it.
    ///
    /// # Errors
    ///
    /// A move that the table does not list; the rollout stays as it is.
    pub fn advance(&mut self, event: Event, now: Timestamp) -> Result<(), IllegalMove> {
        let phase = self.phase.clone().next(event, now)?;
        let message = phase
            .why()
            .map(|why| why.message.clone())
            .unwrap_or_default();
        self.transitions.push(Transition {
            at: now,
            phase: phase.word().to_owned(),
            message,
        });
        self.phase = phase;
        if self.phase.is_before_promotion() {
            self.pact.clear();
        }
        Ok(())
    }

    /// Drops the oldest evidence until all of it fits into one record with room to spare; outcomes stay.
    pub fn keep_evidence_small(&mut self) {
        let size = |gates: &Vec<GateRun>| serde_json::to_vec(gates).map_or(0, |json| json.len());
        while size(&self.gates) > EVIDENCE_BYTES_MAX {
            let with_evidence = |run: &GateRun| {
                run.measurements
                    .iter()
                    .any(|it| it.evidence != Evidence::None)
            };
            let Some(run) = self.gates.iter_mut().find(|run| with_evidence(run)) else {
                return;
            };
            run.forget_half_of_the_evidence();
        }
    }

    /// Whether a person said that a wait which began at a moment is over.
    pub fn is_hurried(&self, began: Timestamp) -> bool {
        self.hurry.as_ref().is_some_and(|hurry| hurry.ends(began))
    }

    /// Whether a person said that no wait of it is to be waited for.
    pub fn is_in_full(&self) -> bool {
        self.hurry.as_ref().is_some_and(|hurry| hurry.full)
    }

    /// What was measured so far no longer counts.
    pub fn measure_again(&mut self, now: Timestamp) {
        for run in &mut self.gates {
            run.since = now;
            run.measurements.clear();
        }
    }

    pub fn is_active(&self) -> bool {
        !self.phase.is_ended()
    }

    /// When it ended, if it did.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.phase
            .is_ended()
            .then(|| self.transitions.last().map(|last| last.at))
            .flatten()
    }
}
