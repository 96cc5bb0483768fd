//! When a rollout may take blue, and when it is done: with those of its group, and after what it needs.

use std::{collections::BTreeMap, time::Duration};

use super::{Around, AskedOf, Joint, Other, Stage, Standing, Turn, standing};
use crate::{
    name::{ServiceKey, Timestamp},
    plan::{
        reason::WaitingOn,
        state::{Ask, ServiceState},
        step::{Step, Waiting},
    },
    rollout::{
        Rollout, RolloutId,
        phase::{Event, Phase, StopReason, Why},
    },
};

/// How often blue is looked at while a bake that is over waits for others.
const WATCH_EVERY: Duration = Duration::from_secs(30);

impl Turn {
    /// The turn that a step takes, and the move.
    pub(in crate::plan) fn of(step: Step) -> Option<(Self, Event)> {
        let Step::Move(change) = step else {
            return None;
        };
        let turn = match &change {
            Event::GatesPassed | Event::Approved | Event::CanaryStarted => Self::Promote,
            Event::Baked => Self::Live,
            Event::Started
            | Event::Built
            | Event::Staged
            | Event::GatesUnclear(_)
            | Event::ApprovalNeeded
            | Event::Retried
            | Event::CanaryStepped
            | Event::CanaryPassed
            | Event::Promoted { .. }
            | Event::Refused(_)
            | Event::Superseded { .. }
            | Event::Destroyed
            | Event::Failed(_)
            | Event::StagedAgain
            | Event::Returned
            | Event::ReturnedInPart { .. } => return None,
        };
        Some((turn, change))
    }
}

/// Whether others have a say in when blue moves, or when the bake ends.
pub(in crate::plan) fn is_tied(state: &ServiceState, around: &Around) -> bool {
    let Some(rollout) = state.active().filter(|it| !it.trigger.is_rollback()) else {
        return false;
    };
    !around.group.is_empty() || !rollout.pact.is_empty() || is_tied_by_git(state, rollout)
}

/// Why a turn that has come must wait for others.
pub(in crate::plan) fn hold(
    state: &ServiceState,
    around: &Around,
    turn: Turn,
    now: Timestamp,
) -> Option<Step> {
    match turn {
        Turn::Promote => {
            let waiting = ahead(state, around, now).or_else(|| {
                let (on, wake) = (mates(around), None);
                (!on.is_empty()).then_some(Waiting { on, wake })
            })?;
            Some(Step::Wait(waiting))
        }
        Turn::Live => {
            let on = baking_mates(state.active()?, around);
            let wake = Some(now.after(WATCH_EVERY));
            (!on.is_empty()).then_some(Step::Wait(Waiting { on, wake }))
        }
    }
}

/// Makes a turn that has come, and that nobody holds back, one of several services where it is.
pub(in crate::plan) fn in_turn(state: &ServiceState, around: &Around, alone: Step) -> Step {
    let Some(rollout) = state.active().filter(|it| !it.trigger.is_rollback()) else {
        return alone;
    };
    let members = match Turn::of(alone.clone()) {
        Some((Turn::Promote, _)) => ready_mates(around),
        Some((Turn::Live, _)) => rollout.pact.clone(),
        None => return alone,
    };
    match (members.is_empty(), Turn::of(alone.clone())) {
        (false, Some((turn, _))) => {
            let own = (rollout.service.clone(), rollout.id);
            let members = members.into_iter().chain([own]).collect();
            Step::Together(Joint { turn, members })
        }
        (true, _) | (_, None) => alone,
    }
}

/// What a release waits for before it may take blue, its group left aside.
pub(in crate::plan) fn ahead(
    state: &ServiceState,
    around: &Around,
    now: Timestamp,
) -> Option<Waiting> {
    let is_unread = matches!(state.ask, Ask::Unknown);
    if is_unread && state.active().is_some_and(|it| is_tied_by_git(state, it)) {
        return Some(Waiting {
            on: vec![WaitingOn::Git],
            wake: None,
        });
    }
    let mut on = standing::needs(state, around);
    on.extend(standing::follows(state, around, now));
    let wake = on.iter().filter_map(WaitingOn::until).min();
    (!on.is_empty()).then_some(Waiting { on, wake })
}

/// Git says that others have a say in it.
fn is_tied_by_git(state: &ServiceState, rollout: &Rollout) -> bool {
    let environment = rollout.environment.as_ref();
    rollout.spec.group.is_some()
        || !state.memory.depends_on.is_empty()
        || environment.is_some_and(|it| it.follows.is_some())
}

/// Members of the group that are not ready for a promotion.
pub(in crate::plan) fn mates(around: &Around) -> Vec<WaitingOn> {
    let nothing = Other::default();
    let members = around.group.iter();
    members
        .filter_map(|member| {
            let other = around.others.get(member).unwrap_or(&nothing);
            match other.part(Turn::Promote) {
                Part::None | Part::Ready(_) => None,
                Part::Not(standing) => Some(WaitingOn::Group {
                    service: member.clone(),
                    standing,
                }),
            }
        })
        .collect()
}

/// What another member does in a turn.
enum Part {
    /// It has nothing new.
    None,
    Ready(RolloutId),
    Not(Standing),
}

impl Other {
    fn part(&self, wanted: Turn) -> Part {
        let Some(standing) = self.standing() else {
            return Part::None;
        };
        let facts = self.facts.as_ref();
        let ready = facts.and_then(|facts| {
            let rollout = facts.active().filter(|it| !it.is_rollback)?;
            let is_asked = self.asked == AskedOf::Release(rollout.release);
            (is_asked && facts.turn == Some(wanted)).then_some(rollout.id)
        });
        ready.map_or(Part::Not(standing), Part::Ready)
    }
}

/// Those that go along in a promotion.
fn ready_mates(around: &Around) -> BTreeMap<ServiceKey, RolloutId> {
    let ready = around.group.iter().filter_map(|member| {
        let other = around.others.get(member)?;
        match other.part(Turn::Promote) {
            Part::Ready(id) => Some((member.clone(), id)),
            Part::None | Part::Not(_) => None,
        }
    });
    ready.collect()
}

/// Those of a pact whose bake is not over. Until it is, they may still fail, and then all go back.
fn baking_mates(rollout: &Rollout, around: &Around) -> Vec<WaitingOn> {
    let baking = rollout.pact.keys().filter_map(|member| {
        let facts = around.others.get(member)?.facts.as_ref()?;
        let under = facts.rollout.as_ref()?;
        (facts.turn != Some(Turn::Live)).then(|| WaitingOn::Group {
            service: member.clone(),
            standing: Standing::Rolling {
                phase: under.phase.to_owned(),
                since: under.since,
            },
        })
    });
    baking.collect()
}

/// A member that was promoted with this rollout did not come through: this one goes back, too.
pub(in crate::plan) fn mate_failed(state: &ServiceState, around: &Around) -> Option<Step> {
    let rollout = state.active()?;
    if rollout.phase.is_before_promotion() || matches!(rollout.phase, Phase::RollingBack { .. }) {
        return None;
    }
    let (member, told) = rollout.pact.iter().find_map(|(member, id)| {
        let other = around.others.get(member);
        let facts = other.and_then(|other| other.facts.as_ref());
        match facts.and_then(|facts| facts.rollout.as_ref()) {
            Some(under)
                if under.id == *id && matches!(under.stage, Stage::Moving | Stage::Live) =>
            {
                None
            }
            // It went back, or went back and is on its way once more.
            Some(under) if under.id == *id => Some((member, under.why.clone())),
            Some(_) | None => Some((member, "its rollout is over".to_owned())),
        }
    })?;
    Some(Step::Move(Event::Failed(Why {
        reason: StopReason::GroupFailed,
        message: format!("{member}, which was promoted with it, went back: {told}"),
    })))
}
