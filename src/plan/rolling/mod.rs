//! The next thing to do for a rollout that is under way, phase by phase.

mod bake;
mod gates;
mod last;
mod lost;
mod orders;
mod people;
pub(in crate::plan) mod shifting;

use super::{
    around::Around,
    reason::WaitingOn,
    state::{Ask, PinKind, Policy, ServiceState},
    step::{
        Step, Waiting,
        look::{hindrance, look_at},
        wait,
    },
};
use crate::{
    manifest::spec::GateStage,
    name::{CloudName, ReleaseDigest, Timestamp},
    rollout::{
        Rollout, Trigger,
        intent::Order,
        phase::{Event, Phase, StopReason, Why},
    },
};

pub(super) fn step(
    state: &ServiceState,
    rollout: &Rollout,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Step {
    let view = View {
        state,
        rollout,
        around,
        policy,
        now,
    };
    if rollout.phase.is_before_promotion() {
        if let Some(step) = view.paused() {
            // A newer commit waits, too: whoever paused this did so to think, and not to see the next one go by.
            return step;
        }
        if let Some(step) = superseded(state, rollout) {
            return step;
        }
        if let Some(step) = suspended(state, rollout, now) {
            return step;
        }
    }
    if let Some(step) = look_again(state, rollout, policy, now) {
        return step;
    }
    match &rollout.phase {
        Phase::Queued => Step::Move(Event::Started),
        Phase::Building => view.building(),
        Phase::Staging => view.staging(),
        Phase::Gating { since } => view.gating(*since),
        Phase::Paused { why } => wait(
            WaitingOn::Person {
                message: why.message.clone(),
            },
            None,
        ),
        Phase::AwaitingApproval { since } => view.awaiting_approval(*since),
        Phase::Shifting { step, since } => {
            match preempted(state, rollout).filter(|_| rollout.pause.is_none()) {
                Some(step) => step,
                None => view.shifting(*step, *since),
            }
        }
        Phase::Promoting => view.promoting(),
        Phase::Baking { since, until } => view.baking(*since, *until),
        Phase::RollingBack { why } => view.rolling_back(why),
        Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RolledBack { .. } => wait(WaitingOn::Nothing, None),
    }
}

/// A newer commit takes the place of a rollout that waits; an order under way to a cloud is let finish first.
fn superseded(state: &ServiceState, rollout: &Rollout) -> Option<Step> {
    let by = newer(state, rollout)?;
    Some(match state.writing() {
        Some((_, order)) => under_way(order),
        None => Step::Move(Event::Superseded { by }),
    })
}

/// A newer commit ends a canary, whose shares go back first.
fn preempted(state: &ServiceState, rollout: &Rollout) -> Option<Step> {
    let by = newer(state, rollout)?;
    let by = by.map_or_else(|| "nothing".to_owned(), |by| by.short());
    Some(match state.writing() {
        Some((_, order)) => under_way(order),
        None => Step::Move(Event::Failed(Why {
            reason: StopReason::Superseded,
            message: format!("git asks for {by} now"),
        })),
    })
}

/// What is asked for in the place of a rollout's release, if that is so; nothing may be what is asked for.
fn newer(state: &ServiceState, rollout: &Rollout) -> Option<Option<ReleaseDigest>> {
    match &state.ask {
        // Nobody knows yet what Git asks for, or asked for before it went wrong: what was begun goes on.
        Ask::Unknown
        | Ask::Invalid {
            last_good: None, ..
        } => return None,
        Ask::Absent
        | Ask::Wanted(_)
        | Ask::Invalid {
            last_good: Some(_), ..
        } => {}
    }
    let wanted = state.wanted();
    let is_pinned = state
        .memory
        .pin
        .as_ref()
        .is_some_and(|pin| pin.kind == PinKind::Person);
    let is_current = match rollout.trigger {
        // Whoever pins or goes back by hand ends such a rollout themselves, so none is under way beside a pin.
        Trigger::Commit | Trigger::Retry => wanted == Some(rollout.release),
        Trigger::Rollback { held } => {
            is_pinned || wanted == held || wanted == Some(rollout.release)
        }
    };
    (!is_current).then_some(wanted)
}

/// A suspension holds what the loop would do. A person who asks for a rollback means it, suspended or not.
fn suspended(state: &ServiceState, rollout: &Rollout, now: Timestamp) -> Option<Step> {
    let suspension = state
        .suspension(now)
        .filter(|_| !rollout.trigger.is_rollback())?;
    let on = WaitingOn::Suspended {
        reason: suspension.reason.clone(),
        until: suspension.until,
    };
    Some(wait(on, suspension.until))
}

/// A target that was never seen, or where something stands in our way, is looked at until orders can be given.
fn look_again(
    state: &ServiceState,
    rollout: &Rollout,
    policy: Policy,
    now: Timestamp,
) -> Option<Step> {
    let is_due = |target: &CloudName| {
        (hindrance(state, *target, None).is_some() || is_awaited(state, rollout, *target))
            && !state.in_flight.observing.contains(target)
            && look_at(state, *target, policy.resync) <= now
    };
    let due: Vec<CloudName> = rollout.targets.iter().copied().filter(is_due).collect();
    (!due.is_empty()).then_some(Step::Observe(due))
}

/// A promotion waits for a target that is ill.
fn is_awaited(state: &ServiceState, rollout: &Rollout, target: CloudName) -> bool {
    let is_before = match rollout.phase {
        Phase::Gating { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Shifting { .. }
        | Phase::Promoting => !rollout.trigger.is_rollback(),
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Paused { .. }
        | Phase::Baking { .. }
        | Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. } => false,
    };
    let is_ill = state
        .live
        .get(&target)
        .is_some_and(|it| it.problem.is_some());
    let mut orders = state.in_flight.orders.values();
    is_before && is_ill && !orders.any(|order| order.target() == Some(target))
}

/// Waits for an order that was sent before.
pub(super) fn under_way(order: &Order) -> Step {
    wait(
        WaitingOn::Order {
            order: order.clone(),
            failure: None,
            next_at: None,
        },
        None,
    )
}

/// One look at one rollout.
struct View<'a> {
    state: &'a ServiceState,
    rollout: &'a Rollout,
    around: &'a Around,
    policy: Policy,
    now: Timestamp,
}

impl View<'_> {
    fn gating(&self, since: Timestamp) -> Step {
        if let Some(step) = self.lost(since) {
            return step;
        }
        match self.gates(GateStage::Staging) {
            gates::Gates::Passed if self.is_approval_missing() => Step::Move(Event::ApprovalNeeded),
            gates::Gates::Passed => self.onward(Event::GatesPassed),
            gates::Gates::Failed(why) => Step::Move(Event::Refused(why)),
            gates::Gates::Unclear(why) => {
                let look = self.look_at_what_was_measured();
                look.unwrap_or(Step::Move(Event::GatesUnclear(why)))
            }
            gates::Gates::Pending(step) | gates::Gates::Watching { step, .. } => step,
        }
    }
}

impl Step {
    /// Both: everything that is to be sent, or else a wait for whichever comes first.
    fn beside(self, other: Self) -> Self {
        match (self, other) {
            (Self::Send(mut sendings), Self::Send(others)) => {
                sendings.extend(others);
                Self::Send(sendings)
            }
            (Self::Wait(Waiting { mut on, wake }), Self::Wait(other)) => {
                on.extend(other.on);
                let wake = wake.into_iter().chain(other.wake).min();
                Self::Wait(Waiting { on, wake })
            }
            (Self::Wait(_), step) | (step, _) => step,
        }
    }

    fn no_later_than(self, wake: Option<Timestamp>) -> Self {
        match self {
            Self::Wait(Waiting { on, wake: own }) => Self::Wait(Waiting {
                on,
                wake: own.into_iter().chain(wake).min(),
            }),
            Self::Begin { .. }
            | Self::Move(_)
            | Self::Together(_)
            | Self::Note(_)
            | Self::Observe(_)
            | Self::Send(_) => self,
        }
    }
}
