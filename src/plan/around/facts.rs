//! What a service tells others of itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Turn;
use crate::{
    name::{CloudName, CodeDigest, GroupName, ReleaseDigest, ServiceKey, ServiceName, Timestamp},
    plan::{state::ServiceState, step::drift::drift_of},
    rollout::{Rollout, RolloutId, phase::Phase},
};

/// What others may need to know of a service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// What blue is meant to hold on every target.
    pub live: Option<ReleaseDigest>,
    pub live_since: Option<Timestamp>,
    /// What is live, as other environments know it.
    pub carried: Option<Carried>,
    /// Blue was seen to hold it everywhere, as it should be.
    pub is_in_place: bool,
    /// The newest rollout, ended or not.
    pub rollout: Option<Under>,
    /// What keeps a newer release from going live by itself.
    pub held: Option<Held>,
    /// The move that it makes as soon as the others of its group make it.
    pub turn: Option<Turn>,
    /// Its group, as far as it is known.
    pub group: Option<GroupName>,
    /// What it needed when Git named it last.
    pub needs: BTreeSet<ServiceName>,
}

/// A live release, without what belongs to its environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Carried {
    pub content: ReleaseDigest,
    /// Its packages, where they are known.
    pub packages: BTreeMap<CloudName, CodeDigest>,
}

/// A rollout of another service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Under {
    pub id: RolloutId,
    pub release: ReleaseDigest,
    pub is_rollback: bool,
    pub stage: Stage,
    pub phase: &'static str,
    pub is_active: bool,
    pub since: Timestamp,
    /// Why it stopped, where it did.
    pub why: String,
    pub pact: BTreeSet<ServiceKey>,
}

/// How far a rollout of another service has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Blue was not touched.
    Before,
    /// Blue moves, or is watched.
    Moving,
    Live,
    /// It goes back, or ended without becoming live.
    Failed,
}

/// Why a service does not go on by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Held {
    /// Something is wrong with its evaluation.
    Stalled {
        message: String,
    },
    Suspended {
        reason: String,
    },
    /// A person had it destroyed.
    Destroyed {
        by: String,
    },
    /// A rollback holds it.
    Pinned {
        release: ReleaseDigest,
    },
    /// What Git asks for did not come through.
    Rejected {
        release: ReleaseDigest,
        message: String,
    },
}

impl Facts {
    /// What is told of a service now. What was told before spares work.
    pub fn of(
        state: &ServiceState,
        stalled: Option<&str>,
        turn: Option<Turn>,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let memory = &state.memory;
        let before = before.filter(|before| before.live == memory.promoted);
        let known = before.and_then(|before| before.carried.as_ref());
        Self {
            live: memory.promoted,
            live_since: memory.live_since,
            carried: carried(state, known),
            is_in_place: is_in_place(state),
            rollout: state.rollout.as_ref().map(under),
            held: held(state, stalled, now),
            turn,
            group: group(state),
            needs: needs(state),
        }
    }

    /// The rollout under way, if there is one.
    pub fn active(&self) -> Option<&Under> {
        self.rollout.as_ref().filter(|rollout| rollout.is_active)
    }
}

/// What must not go before it: nothing once it is gone itself.
fn needs(state: &ServiceState) -> BTreeSet<ServiceName> {
    let memory = &state.memory;
    let destroyed = memory.destroyed.as_ref();
    match destroyed.is_some_and(|it| it.gone_at.is_some()) {
        true => BTreeSet::new(),
        false => memory.depends_on.clone(),
    }
}

fn group(state: &ServiceState) -> Option<GroupName> {
    let asked = state.asked_last();
    asked.and_then(|desired| desired.rollout.group.clone())
}

fn carried(state: &ServiceState, known: Option<&Carried>) -> Option<Carried> {
    let record = state.releases.get(&state.memory.promoted?)?;
    let content = match known {
        Some(known) => known.content,
        None => record.release.content.carried(),
    };
    let packages = record.packages.iter();
    Some(Carried {
        content,
        packages: packages
            .map(|(cloud, package)| (*cloud, package.code))
            .collect(),
    })
}

fn is_in_place(state: &ServiceState) -> bool {
    let Some(promoted) = state.memory.promoted else {
        return false;
    };
    let targets = state.targets();
    let is_so = |target: &CloudName| {
        state.seen(*target).is_some() && drift_of(state, *target, promoted).is_none()
    };
    !targets.is_empty() && targets.iter().all(is_so)
}

fn under(rollout: &Rollout) -> Under {
    let phase = &rollout.phase;
    let stage = if matches!(phase, Phase::Live) {
        Stage::Live
    } else if phase.is_ended() || matches!(phase, Phase::RollingBack { .. }) {
        Stage::Failed
    } else if phase.is_before_promotion() {
        Stage::Before
    } else {
        Stage::Moving
    };
    let why = rollout.phase.why().map(|why| why.message.clone());
    let last = rollout.transitions.last();
    Under {
        id: rollout.id,
        release: rollout.release,
        is_rollback: rollout.trigger.is_rollback(),
        stage,
        phase: rollout.phase.word(),
        is_active: rollout.is_active(),
        since: last.map_or(rollout.started_at, |last| last.at),
        why: why.unwrap_or_default(),
        pact: rollout.pact.keys().cloned().collect(),
    }
}

fn held(state: &ServiceState, stalled: Option<&str>, now: Timestamp) -> Option<Held> {
    let memory = &state.memory;
    let wanted = state.wanted();
    if let Some(message) = stalled {
        let message = message.to_owned();
        return Some(Held::Stalled { message });
    }
    if let Some(destroyed) = &memory.destroyed {
        let by = destroyed.actor.username.clone();
        return Some(Held::Destroyed { by });
    }
    if let Some(suspension) = state.suspension(now) {
        let reason = suspension.reason.clone();
        return Some(Held::Suspended { reason });
    }
    if let Some(pin) = memory.pin.as_ref().filter(|pin| pin.held == wanted) {
        let release = pin.release;
        return Some(Held::Pinned { release });
    }
    let release = wanted?;
    let rejection = memory.rejected.get(&release)?;
    let message = rejection.message.clone();
    Some(Held::Rejected { release, message })
}
