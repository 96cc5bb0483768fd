//! What was seen of a service's targets, and when to look again.

use std::time::Duration;

use super::Step;
use crate::{
    name::{CloudName, ReleaseDigest, Timestamp},
    plan::{
        reason::WaitingOn,
        state::{Policy, ServiceState},
    },
    rollout::intent::{Failure, IntentKey, Order, Response, backoff},
};

/// Looks at targets that were never seen, or not for a while.
pub(super) fn look(state: &ServiceState, policy: Policy, now: Timestamp) -> Option<Step> {
    let is_due = |target: &CloudName| {
        !state.in_flight.observing.contains(target) && look_at(state, *target, policy.resync) <= now
    };
    let due: Vec<CloudName> = state.targets().into_iter().filter(is_due).collect();
    (!due.is_empty()).then_some(Step::Observe(due))
}

/// When a target is to be looked at next.
pub(in crate::plan) fn look_at(
    state: &ServiceState,
    target: CloudName,
    every: Duration,
) -> Timestamp {
    let Some(live) = state.live.get(&target) else {
        return Timestamp::default();
    };
    match (&live.problem, &live.seen) {
        (Some(problem), _) => problem.at.after(backoff(problem.times)),
        (None, Some(seen)) => seen.at.after(every),
        (None, None) => Timestamp::default(),
    }
}

pub(super) fn next_look(state: &ServiceState, policy: Policy) -> Option<Timestamp> {
    let is_free = |target: &CloudName| !state.in_flight.observing.contains(target);
    state
        .targets()
        .into_iter()
        .filter(is_free)
        .map(|target| look_at(state, target, policy.resync))
        .min()
}

/// A target that was never seen: nothing may be decided yet.
pub(super) fn unseen(state: &ServiceState) -> Option<WaitingOn> {
    let targets = state.targets();
    let target = targets.iter().find(|it| state.seen(**it).is_none())?;
    Some(unknown(state, *target))
}

/// Why no order may be sent to a target now, if that is so: another order is at work there, it was never seen, or something that is not
/// ours stands where ours should.
pub(in crate::plan) fn hindrance(
    state: &ServiceState,
    target: CloudName,
    own: Option<&IntentKey>,
) -> Option<WaitingOn> {
    let is_other = |(key, order): &(&IntentKey, &Order)| {
        own.is_some() && own != Some(*key) && order.target() == Some(target)
    };
    if let Some((_, order)) = state.in_flight.orders.iter().find(is_other) {
        return Some(WaitingOn::Order {
            order: order.clone(),
            failure: None,
            next_at: None,
        });
    }
    let Some(seen) = state.seen(target) else {
        return Some(unknown(state, target));
    };
    let resource = seen.observed.foreign.first()?;
    let failure = Failure {
        reason: "OwnershipConflict".to_owned(),
        message: format!(
            "`{resource}` exists on {target} and does not carry our tags: rename the service, remove it, or adopt it"
        ),
        response: Response::CallPerson,
    };
    Some(WaitingOn::Cloud {
        target,
        failure: Some(failure),
    })
}

fn unknown(state: &ServiceState, target: CloudName) -> WaitingOn {
    let live = state.live.get(&target);
    let problem = live.and_then(|live| live.problem.as_ref());
    WaitingOn::Cloud {
        target,
        failure: problem.map(|problem| problem.failure.clone()),
    }
}

/// The release that every blue holds, if there is one.
pub(super) fn blue_everywhere(state: &ServiceState) -> Option<ReleaseDigest> {
    let mut blues = state.targets().into_iter().map(|target| {
        state
            .seen(target)
            .and_then(|seen| seen.observed.blue.release())
    });
    let first = blues.next()??;
    blues.all(|blue| blue == Some(first)).then_some(first)
}

/// What was forgotten in the middle of a promotion: the release before it, which some blue still holds and every target has in a slot.
pub(super) fn interrupted(state: &ServiceState, goal: ReleaseDigest) -> Option<ReleaseDigest> {
    let targets = state.targets();
    let blue = |target: &CloudName| {
        state
            .seen(*target)
            .and_then(|seen| seen.observed.blue.release())
    };
    let before = targets
        .iter()
        .filter_map(blue)
        .find(|release| *release != goal)?;
    let has = |target: &CloudName| {
        state.seen(*target).is_some_and(|seen| {
            seen.observed.blue.holds(before) || seen.observed.green.holds(before)
        })
    };
    targets.iter().all(has).then_some(before)
}
