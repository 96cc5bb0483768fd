//! Phases and the one table of legal moves, used live and in replay.

use serde::{Deserialize, Serialize};

use crate::name::{ReleaseDigest, Timestamp};

/// Where a rollout stands. Each phase holds only what is true in it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "name")]
pub enum Phase {
    /// Asked for; nothing was done yet.
    Queued,
    /// The package is made, or found.
    Building,
    /// The release goes to green on every target.
    Staging,
    /// Green is measured since this moment.
    Gating { since: Timestamp },
    /// A gate could not be judged. A person says `retry` or `abort`.
    Paused { why: Why },
    /// Every gate passed but those that wait for people.
    AwaitingApproval { since: Timestamp },
    /// The release takes a growing share of blue's requests, as the steps of its canary say. This one began at this moment.
    Shifting { step: u32, since: Timestamp },
    /// Blue moves, on all targets or none.
    Promoting,
    /// Blue serves the release and is watched.
    Baking { since: Timestamp, until: Timestamp },
    /// Done: blue serves the release.
    Live,
    /// Ended before any promotion: blue was never touched.
    Rejected { why: Why },
    /// Ended because something else was asked for: before any promotion by a newer release, at any time by the destruction of the service.
    Superseded { by: Option<ReleaseDigest> },
    /// Targets that moved go back.
    RollingBack { why: Why },
    /// Ended: every target serves the previous release again, but for what nobody can bring back.
    RolledBack { why: Why },
}

/// Why a rollout did not go on: a stable word and a sentence.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Why {
    pub reason: StopReason,
    pub message: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum StopReason {
    BuildFailed,
    StageFailed,
    GateFailed,
    GateError,
    GateInconclusive,
    /// A share of blue's requests could not be given to the release.
    ShiftFailed,
    PromotionFailed,
    /// No slot holds the release any more. It is staged again, a few times.
    NotStaged,
    SlotReverted,
    /// Blue holds the release, and something else answers at its address.
    BlueSilent,
    /// Another member of its group did not come through.
    GroupFailed,
    /// A newer release was asked for while it took a share of blue's requests.
    Superseded,
    Aborted,
    ApprovalExpired,
}

impl StopReason {
    /// The word that conditions and events show.
    pub fn word(self) -> &'static str {
        match self {
            Self::BuildFailed => "BuildFailed",
            Self::StageFailed => "StageFailed",
            Self::GateFailed => "GateFailed",
            Self::GateError => "GateError",
            Self::GateInconclusive => "GateInconclusive",
            Self::ShiftFailed => "ShiftFailed",
            Self::PromotionFailed => "PromotionFailed",
            Self::NotStaged => "NotStaged",
            Self::SlotReverted => "SlotReverted",
            Self::BlueSilent => "BlueSilent",
            Self::GroupFailed => "GroupFailed",
            Self::Superseded => "Superseded",
            Self::Aborted => "Aborted",
            Self::ApprovalExpired => "ApprovalExpired",
        }
    }
}

/// What happened to a rollout.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    Started,
    Built,
    Staged,
    GatesPassed,
    GatesUnclear(Why),
    ApprovalNeeded,
    Approved,
    /// A person asked for a paused gate to be measured again.
    Retried,
    /// The first step of the canary begins.
    CanaryStarted,
    /// A step of the canary is done, and the next begins.
    CanaryStepped,
    /// The last step of the canary is done.
    CanaryPassed,
    Promoted {
        bake_until: Timestamp,
    },
    Baked,
    /// Stop before any promotion.
    Refused(Why),
    Superseded {
        by: Option<ReleaseDigest>,
    },
    /// The service is to go; there is nothing to go back to.
    Destroyed,
    /// Stop after blue may have moved.
    Failed(Why),
    /// Green lost the release, blue is everywhere as before, and it is to be staged once more.
    StagedAgain,
    Returned,
    /// The same, but for what can be brought back by nobody.
    ReturnedInPart {
        message: String,
    },
}

/// A move that is not in the table.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a rollout that is {} cannot go on with `{}`", phase.word(), event.word())]
pub struct IllegalMove {
    pub phase: Box<Phase>,
    pub event: Box<Event>,
}

impl Phase {
    /// The table of legal moves.
    ///
    /// # Errors
    ///
    /// Every pair that is not listed.
    pub fn next(self, event: Event, now: Timestamp) -> Result<Self, IllegalMove> {
        match (self, event) {
            (Self::Queued, Event::Started) => Ok(Self::Building),
            (Self::Building, Event::Built) => Ok(Self::Staging),
            (Self::Staging, Event::Staged) => Ok(Self::Gating { since: now }),
            (Self::Gating { .. }, Event::GatesPassed) => Ok(Self::Promoting),
            (Self::Gating { .. }, Event::ApprovalNeeded) => {
                Ok(Self::AwaitingApproval { since: now })
            }
            (Self::Gating { .. }, Event::GatesUnclear(why)) => Ok(Self::Paused { why }),
            (Self::Paused { .. }, Event::Retried) => Ok(Self::Gating { since: now }),
            (Self::AwaitingApproval { .. }, Event::Approved) => Ok(Self::Promoting),
            (Self::Gating { .. } | Self::AwaitingApproval { .. }, Event::CanaryStarted) => {
                Ok(Self::Shifting {
                    step: 0,
                    since: now,
                })
            }
            (Self::Shifting { step, .. }, Event::CanaryStepped) => Ok(Self::Shifting {
                step: step.saturating_add(1),
                since: now,
            }),
            (Self::Shifting { .. }, Event::CanaryPassed) => Ok(Self::Promoting),
            (Self::Promoting, Event::Promoted { bake_until }) => Ok(Self::Baking {
                since: now,
                until: bake_until,
            }),
            (Self::Baking { .. }, Event::Baked) => Ok(Self::Live),
            (phase, Event::Refused(why)) if phase.is_before_promotion() => {
                Ok(Self::Rejected { why })
            }
            (phase, Event::Superseded { by }) if phase.is_before_promotion() => {
                Ok(Self::Superseded { by })
            }
            (phase, Event::Destroyed) if !phase.is_ended() => Ok(Self::Superseded { by: None }),
            (Self::Shifting { .. } | Self::Promoting | Self::Baking { .. }, Event::Failed(why)) => {
                Ok(Self::RollingBack { why })
            }
            (
                Self::Gating { .. } | Self::AwaitingApproval { .. } | Self::RollingBack { .. },
                Event::StagedAgain,
            ) => Ok(Self::Staging),
            (Self::RollingBack { why }, Event::Returned) => Ok(Self::RolledBack { why }),
            (Self::RollingBack { why }, Event::ReturnedInPart { message }) => {
                let message = format!("{}; {message}", why.message);
                let reason = why.reason;
                Ok(Self::RolledBack {
                    why: Why { reason, message },
                })
            }
            (phase, event) => Err(IllegalMove {
                phase: Box::new(phase),
                event: Box::new(event),
            }),
        }
    }

    /// Blue was not touched, and a newer release may take this one's place.
    pub fn is_before_promotion(&self) -> bool {
        match self {
            Self::Queued
            | Self::Building
            | Self::Staging
            | Self::Gating { .. }
            | Self::Paused { .. }
            | Self::AwaitingApproval { .. } => true,
            Self::Shifting { .. }
            | Self::Promoting
            | Self::Baking { .. }
            | Self::Live
            | Self::Rejected { .. }
            | Self::Superseded { .. }
            | Self::RollingBack { .. }
            | Self::RolledBack { .. } => false,
        }
    }

    /// Nothing more will happen.
    pub fn is_ended(&self) -> bool {
        match self {
            Self::Live
            | Self::Rejected { .. }
            | Self::Superseded { .. }
            | Self::RolledBack { .. } => true,
            Self::Queued
            | Self::Building
            | Self::Staging
            | Self::Gating { .. }
            | Self::Paused { .. }
            | Self::AwaitingApproval { .. }
            | Self::Shifting { .. }
            | Self::Promoting
            | Self::Baking { .. }
            | Self::RollingBack { .. } => false,
        }
    }

    /// A phase that began in the future, by a clock that went back since, began just now.
    pub fn not_in_the_future(&mut self, now: Timestamp) {
        match self {
            Self::Gating { since }
            | Self::AwaitingApproval { since }
            | Self::Shifting { step: _, since }
                if *since > now =>
            {
                *since = now;
            }
            Self::Baking { since, until } if *since > now => {
                *until = now.after(until.since(*since));
                *since = now;
            }
            Self::Queued
            | Self::Building
            | Self::Staging
            | Self::Gating { .. }
            | Self::Paused { .. }
            | Self::AwaitingApproval { .. }
            | Self::Shifting { .. }
            | Self::Promoting
            | Self::Baking { .. }
            | Self::Live
            | Self::Rejected { .. }
            | Self::Superseded { .. }
            | Self::RollingBack { .. }
            | Self::RolledBack { .. } => {}
        }
    }

    /// The phase's name, as API, CLI and dashboard show it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Building => "Building",
            Self::Staging => "Staging",
            Self::Gating { .. } => "Gating",
            Self::Paused { .. } => "Paused",
            Self::AwaitingApproval { .. } => "AwaitingApproval",
            Self::Shifting { .. } => "Shifting",
            Self::Promoting => "Promoting",
            Self::Baking { .. } => "Baking",
            Self::Live => "Live",
            Self::Rejected { .. } => "Rejected",
            Self::Superseded { .. } => "Superseded",
            Self::RollingBack { .. } => "RollingBack",
            Self::RolledBack { .. } => "RolledBack",
        }
    }

    /// Why it stopped, where it did.
    pub fn why(&self) -> Option<&Why> {
        match self {
            Self::Paused { why }
            | Self::Rejected { why }
            | Self::RollingBack { why }
            | Self::RolledBack { why } => Some(why),
            Self::Queued
            | Self::Building
            | Self::Staging
            | Self::Gating { .. }
            | Self::AwaitingApproval { .. }
            | Self::Shifting { .. }
            | Self::Promoting
            | Self::Baking { .. }
            | Self::Live
            | Self::Superseded { .. } => None,
        }
    }
}

impl Event {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Built => "built",
            Self::Staged => "staged",
            Self::GatesPassed => "gates passed",
            Self::GatesUnclear(_) => "gates unclear",
            Self::ApprovalNeeded => "approval needed",
            Self::Approved => "approved",
            Self::Retried => "retried",
            Self::CanaryStarted => "canary started",
            Self::CanaryStepped => "canary stepped",
            Self::CanaryPassed => "canary passed",
            Self::Promoted { .. } => "promoted",
            Self::Baked => "baked",
            Self::Refused(_) => "refused",
            Self::Superseded { .. } => "superseded",
            Self::Destroyed => "destroyed",
            Self::Failed(_) => "failed",
            Self::StagedAgain => "staged again",
            Self::Returned => "returned",
            Self::ReturnedInPart { .. } => "returned in part",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn why() -> Why {
        Why {
            reason: StopReason::Aborted,
            message: String::new(),
        }
    }

    fn phases() -> Vec<Phase> {
        let by = None;
        vec![
            Phase::Queued,
            Phase::Building,
            Phase::Staging,
            Phase::Gating { since: NOW },
            Phase::Paused { why: why() },
            Phase::AwaitingApproval { since: NOW },
            Phase::Shifting {
                step: 0,
                since: NOW,
            },
            Phase::Promoting,
            Phase::Baking {
                since: NOW,
                until: NOW,
            },
            Phase::Live,
            Phase::Rejected { why: why() },
            Phase::Superseded { by },
            Phase::RollingBack { why: why() },
            Phase::RolledBack { why: why() },
        ]
    }

    fn events() -> Vec<Event> {
        vec![
            Event::Started,
            Event::Built,
            Event::Staged,
            Event::GatesPassed,
            Event::GatesUnclear(why()),
            Event::ApprovalNeeded,
            Event::Approved,
            Event::Retried,
            Event::CanaryStarted,
            Event::CanaryStepped,
            Event::CanaryPassed,
            Event::Promoted { bake_until: NOW },
            Event::Baked,
            Event::Refused(why()),
            Event::Superseded { by: None },
            Event::Failed(why()),
            Event::StagedAgain,
            Event::Returned,
            Event::ReturnedInPart {
                message: String::new(),
            },
        ]
    }

    #[test]
    fn every_legal_move_is_in_this_list_and_no_other() {
        let mut told = String::new();
        for phase in phases() {
            for event in events() {
                if let Ok(next) = phase.clone().next(event.clone(), NOW) {
                    told += &format!("{} --{}--> {}\n", phase.word(), event.word(), next.word());
                }
            }
        }
        insta::assert_snapshot!(told, @r"
        Queued --started--> Building
        Queued --refused--> Rejected
        Queued --superseded--> Superseded
        Building --built--> Staging
        Building --refused--> Rejected
        Building --superseded--> Superseded
        Staging --staged--> Gating
        Staging --refused--> Rejected
        Staging --superseded--> Superseded
        Gating --gates passed--> Promoting
        Gating --gates unclear--> Paused
        Gating --approval needed--> AwaitingApproval
        Gating --canary started--> Shifting
        Gating --refused--> Rejected
        Gating --superseded--> Superseded
        Gating --staged again--> Staging
        Paused --retried--> Gating
        Paused --refused--> Rejected
        Paused --superseded--> Superseded
        AwaitingApproval --approved--> Promoting
        AwaitingApproval --canary started--> Shifting
        AwaitingApproval --refused--> Rejected
        AwaitingApproval --superseded--> Superseded
        AwaitingApproval --staged again--> Staging
        Shifting --canary stepped--> Shifting
        Shifting --canary passed--> Promoting
        Shifting --failed--> RollingBack
        Promoting --promoted--> Baking
        Promoting --failed--> RollingBack
        Baking --baked--> Live
        Baking --failed--> RollingBack
        RollingBack --staged again--> Staging
        RollingBack --returned--> RolledBack
        RollingBack --returned in part--> RolledBack
        ");
    }

    #[test]
    fn an_illegal_move_names_both_sides() {
        let error = Phase::Live.next(Event::Approved, NOW).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a rollout that is Live cannot go on with `approved`"
        );
    }

    #[test]
    fn only_phases_after_the_gates_lead_to_blue() {
        for phase in phases() {
            for event in events() {
                let next = phase.clone().next(event.clone(), NOW);
                if matches!(next, Ok(Phase::Promoting | Phase::Shifting { .. })) {
                    assert!(
                        matches!(
                            phase,
                            Phase::Gating { .. }
                                | Phase::AwaitingApproval { .. }
                                | Phase::Shifting { .. }
                        ),
                        "{phase:?} {event:?}"
                    );
                }
            }
        }
    }
}
