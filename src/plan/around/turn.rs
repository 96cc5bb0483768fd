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
    /// The turn that a step would take.
    fn of(step: &Step) -> Option<Self> {
        match step {
            Step::Move(Event::GatesPassed | Event::Approved | Event::CanaryStarted) => {
                Some(Self::Promote)
            }
            Step::Move(Event::Baked) => Some(Self::Live),
            Step::Move(_)
            | Step::Begin { .. }
            | Step::Together(_)
            | Step::Note(_)
            | Step::Observe(_)
            | Step::Send(_)
            | Step::Wait(_) => None,
        }
    }
}

/// The turn that a service would take if it were alone, and its own move; for the others of its group to know.
pub(in crate::plan) fn turn(
    state: &ServiceState,
    around: &Around,
    alone: Step,
    now: Timestamp,
) -> Option<(Turn, Event)> {
    let turn = Turn::of(&alone)?;
    let waits_for_others = turn == Turn::Promote && ahead(state, around, now).is_some();
    match alone {
        Step::Move(own) if !waits_for_others => Some((turn, own)),
        Step::Move(_)
        | Step::Begin { .. }
        | Step::Together(_)
        | Step::Note(_)
        | Step::Observe(_)
        | Step::Send(_)
        | Step::Wait(_) => None,
    }
}

/// Holds back a step until its turn has come; makes it one of several services where it is.
pub(in crate::plan) fn in_turn(
    state: &ServiceState,
    around: &Around,
    alone: Step,
    now: Timestamp,
) -> Step {
    let Some(rollout) = state.active().filter(|it| !it.trigger.is_rollback()) else {
        return alone;
    };
    match Turn::of(&alone) {
        Some(Turn::Promote) => match ahead(state, around, now) {
            Some(waiting) => Step::Wait(waiting),
            None => promote(rollout, around, alone),
        },
        Some(Turn::Live) if !rollout.pact.is_empty() => live(rollout, around, now),
        Some(Turn::Live) | None => alone,
    }
}

/// What a release waits for before it may take blue, its group left aside.
pub(in crate::plan) fn ahead(
    state: &ServiceState,
    around: &Around,
    now: Timestamp,
) -> Option<Waiting> {
    let is_unread = matches!(state.ask, Ask::Unknown);
    if is_unread && state.active().is_some_and(|it| is_tied(state, it)) {
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

/// Others have a say in it, and who they are is known from Git only.
fn is_tied(state: &ServiceState, rollout: &Rollout) -> bool {
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

fn promote(rollout: &Rollout, around: &Around, alone: Step) -> Step {
    let waits = mates(around);
    if !waits.is_empty() {
        let wake = None;
        return Step::Wait(Waiting { on: waits, wake });
    }
    let ready = around.group.iter().filter_map(|member| {
        let other = around.others.get(member)?;
        match other.part(Turn::Promote) {
            Part::Ready(id) => Some((member.clone(), id)),
            Part::None | Part::Not(_) => None,
        }
    });
    let mut members: BTreeMap<ServiceKey, RolloutId> = ready.collect();
    if members.is_empty() {
        return alone;
    }
    members.insert(rollout.service.clone(), rollout.id);
    let turn = Turn::Promote;
    Step::Together(Joint { turn, members })
}

/// Its own bake is over. The others may still fail, and then this one goes back, too.
fn live(rollout: &Rollout, around: &Around, now: Timestamp) -> Step {
    let waits: Vec<WaitingOn> = rollout
        .pact
        .keys()
        .filter_map(|member| {
            let facts = around.others.get(member)?.facts.as_ref()?;
            let under = facts.rollout.as_ref()?;
            (facts.turn != Some(Turn::Live)).then(|| WaitingOn::Group {
                service: member.clone(),
                standing: Standing::Rolling {
                    phase: under.phase.to_owned(),
                    since: under.since,
                },
            })
        })
        .collect();
    if !waits.is_empty() {
        let wake = Some(now.after(WATCH_EVERY));
        return Step::Wait(Waiting { on: waits, wake });
    }
    let mut members = rollout.pact.clone();
    members.insert(rollout.service.clone(), rollout.id);
    let turn = Turn::Live;
    Step::Together(Joint { turn, members })
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
