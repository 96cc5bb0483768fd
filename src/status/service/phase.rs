//! Where a service stands, in one word: the phase of its rollout, or what holds it where it is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    target::{Health, TargetReport},
    waiting::Waiting,
};
use crate::{
    name::{ReleaseDigest, Revision, Timestamp},
    plan::state::{Ask, PinKind, Rejection, ServiceState},
    rollout::phase::Phase,
};

/// Derived for people; programs read the conditions.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
pub enum ServicePhase {
    /// No commit was read yet.
    Unknown,
    /// Its manifest is wrong, and it never had a right one.
    Invalid,
    /// A rollout is about to begin.
    Pending,
    Queued,
    Building,
    Staging,
    Gating,
    Paused,
    AwaitingApproval,
    /// A canary takes a share of blue's requests.
    Shifting,
    Promoting,
    Baking,
    Live,
    /// Blue is not as it was promoted.
    Drifted,
    /// The newest release did not pass.
    Rejected,
    RollingBack,
    /// The newest release was live, and was taken back.
    RolledBack,
    /// A person's rollback holds it.
    Pinned,
    Suspended,
    /// Nothing is decided until a person looks.
    Stalled,
    /// A cloud could not be seen.
    CloudUnknown,
    /// A person had it destroyed, and something of it is left.
    Destroying,
    /// Nothing of it is left, until somebody resumes.
    Destroyed,
    /// Git no longer names it.
    Removing,
    /// Nothing is left of it.
    Removed,
}

impl ServicePhase {
    pub const ALL: [Self; 25] = [
        Self::Unknown,
        Self::Invalid,
        Self::Pending,
        Self::Queued,
        Self::Building,
        Self::Staging,
        Self::Gating,
        Self::Paused,
        Self::AwaitingApproval,
        Self::Shifting,
        Self::Promoting,
        Self::Baking,
        Self::Live,
        Self::Drifted,
        Self::Rejected,
        Self::RollingBack,
        Self::RolledBack,
        Self::Pinned,
        Self::Suspended,
        Self::Stalled,
        Self::CloudUnknown,
        Self::Destroying,
        Self::Destroyed,
        Self::Removing,
        Self::Removed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Invalid => "Invalid",
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::Building => "Building",
            Self::Staging => "Staging",
            Self::Gating => "Gating",
            Self::Paused => "Paused",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Shifting => "Shifting",
            Self::Promoting => "Promoting",
            Self::Baking => "Baking",
            Self::Live => "Live",
            Self::Drifted => "Drifted",
            Self::Rejected => "Rejected",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::Pinned => "Pinned",
            Self::Suspended => "Suspended",
            Self::Stalled => "Stalled",
            Self::CloudUnknown => "CloudUnknown",
            Self::Destroying => "Destroying",
            Self::Destroyed => "Destroyed",
            Self::Removing => "Removing",
            Self::Removed => "Removed",
        }
    }

    /// A person should look.
    pub fn needs_attention(self) -> bool {
        match self {
            Self::Invalid
            | Self::Paused
            | Self::AwaitingApproval
            | Self::Drifted
            | Self::Rejected
            | Self::RollingBack
            | Self::RolledBack
            | Self::Pinned
            | Self::Stalled
            | Self::CloudUnknown => true,
            Self::Unknown
            | Self::Pending
            | Self::Queued
            | Self::Building
            | Self::Staging
            | Self::Gating
            | Self::Shifting
            | Self::Promoting
            | Self::Baking
            | Self::Live
            | Self::Suspended
            | Self::Destroying
            | Self::Destroyed
            | Self::Removing
            | Self::Removed => false,
        }
    }

    /// The phase of a rollout that is under way.
    fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Queued => Self::Queued,
            Phase::Building => Self::Building,
            Phase::Staging => Self::Staging,
            Phase::Gating { since: _ } => Self::Gating,
            Phase::Paused { why: _ } => Self::Paused,
            Phase::AwaitingApproval { since: _ } => Self::AwaitingApproval,
            Phase::Shifting { step: _, since: _ } => Self::Shifting,
            Phase::Promoting => Self::Promoting,
            Phase::Baking { since: _, until: _ } => Self::Baking,
            Phase::Live => Self::Live,
            Phase::Rejected { why: _ } => Self::Rejected,
            Phase::Superseded { by: _ } => Self::Pending,
            Phase::RollingBack { why: _ } => Self::RollingBack,
            Phase::RolledBack { why: _ } => Self::RolledBack,
        }
    }
}

/// What a report is made from.
pub(super) struct View<'a> {
    pub(super) state: &'a ServiceState,
    pub(super) waiting: &'a [Waiting],
    pub(super) stalled: Option<&'a str>,
    pub(super) targets: &'a [TargetReport],
    pub(super) now: Timestamp,
}

impl View<'_> {
    pub(super) fn phase(&self) -> ServicePhase {
        let state = self.state;
        if self.stalled.is_some() {
            return ServicePhase::Stalled;
        }
        if let Some(destroyed) = &state.memory.destroyed {
            let is_gone = destroyed.gone_at.is_some() && self.is_empty();
            return match is_gone {
                true => ServicePhase::Destroyed,
                false => ServicePhase::Destroying,
            };
        }
        if let Some(rollout) = state.active() {
            return ServicePhase::of(&rollout.phase);
        }
        match &state.ask {
            Ask::Unknown => ServicePhase::Unknown,
            Ask::Absent if self.is_gone() => ServicePhase::Removed,
            Ask::Absent => ServicePhase::Removing,
            Ask::Invalid {
                faults: _,
                last_good: None,
            } => ServicePhase::Invalid,
            Ask::Invalid {
                faults: _,
                last_good: Some(_),
            } if self.settled() == ServicePhase::Live => ServicePhase::Invalid,
            Ask::Invalid {
                faults: _,
                last_good: Some(_),
            }
            | Ask::Wanted(_) => self.settled(),
        }
    }

    /// No rollout is under way, and Git names the service.
    fn settled(&self) -> ServicePhase {
        let state = self.state;
        let is_unseen = self
            .targets
            .iter()
            .any(|target| target.health == Health::Unknown);
        if self.suspended().is_some() {
            ServicePhase::Suspended
        } else if is_unseen && self.targets.iter().any(|target| target.problem.is_some()) {
            ServicePhase::CloudUnknown
        } else if self.is_drifted() {
            ServicePhase::Drifted
        } else if self.is_pinned() {
            ServicePhase::Pinned
        } else if self.rejection().is_some() {
            self.how_rejected()
        } else if state.memory.promoted.is_some() && state.memory.promoted == state.wanted() {
            ServicePhase::Live
        } else {
            ServicePhase::Pending
        }
    }

    /// A person may pin what Git asks for; nothing is held back then.
    fn is_pinned(&self) -> bool {
        let memory = &self.state.memory;
        memory.pin.as_ref().is_some_and(|pin| match pin.kind {
            PinKind::Rollback => true,
            PinKind::Person => memory.promoted != self.state.wanted(),
        })
    }

    fn how_rejected(&self) -> ServicePhase {
        let was_live = self.state.rollout.as_ref().is_some_and(|rollout| {
            Some(rollout.release) == self.state.wanted()
                && matches!(rollout.phase, Phase::RolledBack { .. })
        });
        match was_live {
            true => ServicePhase::RolledBack,
            false => ServicePhase::Rejected,
        }
    }

    pub(super) fn is_drifted(&self) -> bool {
        self.targets.iter().any(|target| !target.drift.is_empty())
    }

    pub(super) fn suspended(&self) -> Option<&crate::plan::state::Suspension> {
        self.state.suspension(self.now)
    }

    /// Why the release that Git asks for is not tried.
    pub(super) fn rejection(&self) -> Option<&Rejection> {
        self.state.memory.rejected.get(&self.state.wanted()?)
    }

    pub(super) fn faults(&self) -> &[String] {
        match &self.state.ask {
            Ask::Invalid {
                faults,
                last_good: _,
            } => faults,
            Ask::Unknown | Ask::Absent | Ask::Wanted(_) => &[],
        }
    }

    pub(super) fn desired_revision(&self) -> Option<Revision> {
        let desired = self.state.ask.desired();
        desired
            .map(|desired| desired.release.revision.clone())
            .or_else(|| self.state.memory.asked_revision.clone())
    }

    pub(super) fn live_revision(&self) -> Option<Revision> {
        self.revision_of(self.state.memory.promoted?)
    }

    /// The newest commit that is known to ask for a release.
    pub(super) fn revision_of(&self, release: ReleaseDigest) -> Option<Revision> {
        let state = self.state;
        let asked = state.memory.asked_revision.as_ref();
        if let Some(revision) = asked.filter(|_| state.memory.asked == Some(release)) {
            return Some(revision.clone());
        }
        let record = state.releases.get(&release);
        record.map(|record| record.release.revision.clone())
    }

    fn is_gone(&self) -> bool {
        let state = self.state;
        state.memory.promoted.is_none() && state.releases.is_empty() && self.is_empty()
    }

    /// No cloud was seen to hold anything of it.
    fn is_empty(&self) -> bool {
        self.state.live.values().all(|live| {
            let seen = live.seen.as_ref();
            seen.is_none_or(|seen| seen.observed.resources.is_empty())
        })
    }
}
