//! How another service stands in the way, and what would take it out of the way.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Around, AskedOf, Facts, Held, Other, Under};
use crate::{
    name::{ReleaseDigest, ServiceKey, Timestamp},
    plan::{reason::WaitingOn, state::ServiceState},
};

/// Why another service is not where it must be first.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Standing {
    /// Nothing was read of it since the daemon started.
    Unread,
    /// No manifest names it.
    Absent,
    /// Its manifest is wrong.
    Invalid,
    /// Its newest release has not begun to roll out.
    Pending,
    Rolling {
        phase: String,
        since: Timestamp,
    },
    /// Blue is not as it should be, and is being repaired.
    Drifted,
    /// It holds another release than the one that is asked for here.
    Other {
        live: Option<ReleaseDigest>,
    },
    /// It has been live for too short a time.
    Young {
        since: Timestamp,
    },
    Rejected {
        release: ReleaseDigest,
        message: String,
    },
    Pinned {
        release: ReleaseDigest,
    },
    Suspended {
        reason: String,
    },
    Destroyed {
        by: String,
    },
    Stalled {
        message: String,
    },
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread => f.write_str("was not read yet"),
            Self::Absent => f.write_str("is in no manifest: name it there, or do without it"),
            Self::Invalid => f.write_str("has a wrong manifest: mend it"),
            Self::Pending => f.write_str("has a release that is yet to begin"),
            Self::Rolling { phase, since } => write!(f, "is {phase} since {since}"),
            Self::Drifted => f.write_str("is not as it was promoted, until it is repaired"),
            Self::Other { live: Some(live) } => {
                write!(f, "holds another release, {}", live.short())
            }
            Self::Other { live: None } => f.write_str("holds nothing"),
            Self::Young { since } => write!(f, "is live since {since}"),
            Self::Rejected { release, message } => write!(
                f,
                "is waiting for a newer release or `retry`: {} was rejected: {message}",
                release.short()
            ),
            Self::Pinned { release } => write!(
                f,
                "is waiting for a newer release or `resume`: a rollback holds it at {}",
                release.short()
            ),
            Self::Suspended { reason } => {
                write!(f, "is waiting for `resume`: suspended because {reason}")
            }
            Self::Destroyed { by } => {
                write!(f, "is waiting for `resume`: it was destroyed by {by}")
            }
            Self::Stalled { message } => {
                write!(f, "is waiting for a person's `reconcile`: {message}")
            }
        }
    }
}

impl Standing {
    /// The other service's release that it is about.
    pub fn release(&self) -> Option<ReleaseDigest> {
        match self {
            Self::Rejected { release, .. } | Self::Pinned { release } => Some(*release),
            Self::Other { live } => *live,
            Self::Unread
            | Self::Absent
            | Self::Invalid
            | Self::Pending
            | Self::Rolling { .. }
            | Self::Drifted
            | Self::Young { .. }
            | Self::Suspended { .. }
            | Self::Destroyed { .. }
            | Self::Stalled { .. } => None,
        }
    }
}

impl Other {
    /// Why it is not live at what Git asks for; none where it is.
    pub(super) fn standing(&self) -> Option<Standing> {
        let wanted = match self.asked {
            AskedOf::Unknown => return Some(Standing::Unread),
            AskedOf::Absent => return Some(Standing::Absent),
            AskedOf::Invalid => return Some(Standing::Invalid),
            AskedOf::Release(wanted) => wanted,
        };
        let Some(facts) = &self.facts else {
            return Some(Standing::Pending);
        };
        let active = facts.active();
        if facts.live == Some(wanted) && active.is_none() {
            return None;
        }
        Some(match (&facts.held, active) {
            (Some(Held::Stalled { message }), _) => Standing::Stalled {
                message: message.clone(),
            },
            (_, Some(rollout)) => rolling(rollout),
            (Some(held), None) => held.standing(wanted),
            (None, None) => Standing::Pending,
        })
    }

    /// The same, and blue must be seen to be as it should.
    fn standing_in_place(&self) -> Option<Standing> {
        let is_in_place = self.facts.as_ref().is_some_and(|facts| facts.is_in_place);
        let standing = self.standing();
        standing.or_else(|| (!is_in_place).then_some(Standing::Drifted))
    }
}

fn rolling(rollout: &Under) -> Standing {
    Standing::Rolling {
        phase: rollout.phase.to_owned(),
        since: rollout.since,
    }
}

impl Held {
    fn standing(&self, wanted: ReleaseDigest) -> Standing {
        match self {
            Self::Stalled { message } => Standing::Stalled {
                message: message.clone(),
            },
            Self::Suspended { reason } => Standing::Suspended {
                reason: reason.clone(),
            },
            Self::Destroyed { by } => Standing::Destroyed { by: by.clone() },
            Self::Pinned { release } => Standing::Pinned { release: *release },
            Self::Rejected { release, message } if *release == wanted => Standing::Rejected {
                release: *release,
                message: message.clone(),
            },
            // It has not heard yet of something newer.
            Self::Rejected { .. } => Standing::Pending,
        }
    }
}

/// What a release needs that is not live yet; members of its own group come with it.
pub(in crate::plan) fn needs(state: &ServiceState, around: &Around) -> Vec<WaitingOn> {
    let Some(desired) = state.ask.desired() else {
        return Vec::new();
    };
    let key_of = |service| ServiceKey {
        environment: state.key.environment.clone(),
        service,
    };
    let nothing = Other::default();
    let keys = desired.depends_on.iter().cloned().map(key_of);
    keys.map(|key| (around.others.get(&key).unwrap_or(&nothing), key))
        // What was not read yet need not be of its group any more.
        .filter(|(other, key)| other.asked == AskedOf::Unknown || !around.group.contains(key))
        .filter_map(|(other, service)| {
            let standing = other.standing_in_place()?;
            Some(WaitingOn::Dependency { service, standing })
        })
        .collect()
}

/// Whether the environment that this one follows has proven a release; none where it has, or there is none.
pub(in crate::plan) fn follows(
    state: &ServiceState,
    around: &Around,
    now: Timestamp,
) -> Option<WaitingOn> {
    let desired = state.ask.desired()?;
    let follows = desired.environment.follows.as_ref()?;
    let service = ServiceKey {
        environment: follows.environment.clone(),
        service: state.key.service.clone(),
    };
    let nothing = Other::default();
    let other = around.others.get(&service).unwrap_or(&nothing);
    let waiting = |standing, until| {
        let after = follows.after;
        Some(WaitingOn::Environment {
            service: service.clone(),
            after,
            until,
            standing,
        })
    };
    let facts = other.facts.as_ref();
    let live = facts.and_then(|facts| Some((facts, facts.carried.as_ref()?)));
    let content = desired.release.content.carried();
    let Some((facts, _)) = live.filter(|(_, carried)| carried.content == content) else {
        let elsewhere = Standing::Other {
            live: facts.and_then(|facts: &Facts| facts.live),
        };
        return waiting(other.standing().unwrap_or(elsewhere), None);
    };
    if !facts.is_in_place {
        let standing = facts.active().map_or(Standing::Drifted, rolling);
        return waiting(standing, None);
    }
    let since = facts.live_since.unwrap_or(now);
    let until = since.after(follows.after);
    if now < until {
        return waiting(Standing::Young { since }, Some(until));
    }
    None
}
