//! The one next thing to do for a service: the table of contents of planning.

use std::time::Duration;

use super::{
    reason::{Reason, WaitingOn},
    rolling,
    state::{Ask, Policy, ServiceState},
};
use crate::{
    diff,
    manifest::spec::DriftMode,
    name::{Actor, CloudName, ReleaseDigest, Timestamp},
    rollout::{
        Trigger,
        intent::{Intent, IntentKey, IntentState, Order, backoff},
        phase::Event,
    },
};

/// The next thing to do. Whoever carries it out has no choice left.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A rollout begins.
    Begin {
        release: ReleaseDigest,
        trigger: Trigger,
        actor: Actor,
    },
    /// The rollout moves on.
    Move(Event),
    /// Something is learnt, or forgotten, that needs no order.
    Note(Note),
    /// Look at these targets.
    Observe(Vec<CloudName>),
    /// Record these intents, then send them.
    Send(Vec<Sending>),
    /// Nothing now. Ask again at `wake`, or when something happens.
    Wait(Waiting),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// Every blue holds this release already.
    Learn { promoted: ReleaseDigest },
    /// Something newer than what the pin holds back is asked for.
    Unpin,
    /// Orders about drift that are done with.
    Clear { keys: Vec<IntentKey> },
    /// Nothing is left of the service, here or on any cloud.
    Forget,
}

/// An order under its key, and why it exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    pub key: IntentKey,
    pub order: Order,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub on: Vec<WaitingOn>,
    pub wake: Option<Timestamp>,
}

/// How many services there are, and how many of them Git no longer names: an empty checkout must not delete a company.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fleet {
    pub known: usize,
    pub absent: usize,
}

/// Share of the known services that may be deleted for being absent from Git, in percent; above it a person must look.
pub const PRUNE_SHARE_MAX: usize = 50;

/// The one next thing to do for a service.
pub fn step(state: &ServiceState, fleet: Fleet, policy: Policy, now: Timestamp) -> Step {
    if let Some(rollout) = state.active() {
        return rolling::step(state, rollout, now);
    }
    if let Some((_, order)) = state.writing().filter(|(key, _)| !is_about_drift(key)) {
        // Left over from a rollout that was aborted: two orders must not work on one slot.
        return wait(
            WaitingOn::Order {
                order: order.clone(),
                failure: None,
                next_at: None,
            },
            None,
        );
    }
    match &state.ask {
        Ask::Unknown => wait(WaitingOn::Git, None),
        Ask::Absent => absent(state, fleet, policy, now),
        Ask::Invalid {
            faults,
            last_good: None,
        } => wait(
            WaitingOn::Manifest {
                faults: faults.clone(),
            },
            None,
        ),
        Ask::Wanted(desired) => settled(state, desired.release.digest, desired.drift, policy, now),
        Ask::Invalid {
            last_good: Some(desired),
            ..
        } => settled(state, desired.release.digest, desired.drift, policy, now),
    }
}

/// No rollout is under way: is live state as asked for?
fn settled(
    state: &ServiceState,
    wanted: ReleaseDigest,
    drift: DriftMode,
    policy: Policy,
    now: Timestamp,
) -> Step {
    if let Some(step) = look(state, policy, now) {
        return step;
    }
    if let Some(suspension) = state.suspension(now) {
        let on = WaitingOn::Suspended {
            reason: suspension.reason.clone(),
            until: suspension.until,
        };
        return wait(on, suspension.until.or_else(|| next_look(state, policy)));
    }
    let goal = match &state.memory.pin {
        Some(pin) if pin.held == Some(wanted) => pin.release,
        Some(_) => return Step::Note(Note::Unpin),
        None => wanted,
    };
    let unseen = state
        .targets()
        .into_iter()
        .find(|target| state.seen(*target).is_none());
    if let Some(target) = unseen {
        return wait(unknown(state, target), next_look(state, policy));
    }
    match state.memory.promoted {
        Some(promoted) => match drifted(state, promoted, drift, now) {
            Some(step) => step,
            None if promoted == goal => in_sync(state, goal, wanted, policy),
            None => begin(state, goal),
        },
        None => match blue_everywhere(state).or_else(|| interrupted(state, goal)) {
            Some(promoted) => Step::Note(Note::Learn { promoted }),
            None => begin(state, goal),
        },
    }
}

/// Starts a rollout to the goal, unless it was rejected before.
fn begin(state: &ServiceState, goal: ReleaseDigest) -> Step {
    match state.memory.rejected.get(&goal) {
        Some(rejection) => wait(
            WaitingOn::Rejected {
                release: goal,
                message: rejection.message.clone(),
            },
            None,
        ),
        None => Step::Begin {
            release: goal,
            trigger: Trigger::Commit,
            actor: Actor::daemon(),
        },
    }
    .with_wake_of(state)
}

fn in_sync(
    state: &ServiceState,
    goal: ReleaseDigest,
    wanted: ReleaseDigest,
    policy: Policy,
) -> Step {
    let on = match &state.memory.pin {
        Some(pin) => WaitingOn::Pinned {
            release: goal,
            held: pin.held.or(Some(wanted)),
        },
        None => WaitingOn::Nothing,
    };
    wait(on, next_look(state, policy))
}

// === live state ===

/// Looks at targets that were never seen, or not for a while.
pub(super) fn look(state: &ServiceState, policy: Policy, now: Timestamp) -> Option<Step> {
    let is_due = |target: &CloudName| {
        !state.in_flight.observing.contains(target) && look_at(state, *target, policy.resync) <= now
    };
    let due: Vec<CloudName> = state.targets().into_iter().filter(is_due).collect();
    (!due.is_empty()).then_some(Step::Observe(due))
}

/// When a target is to be looked at next.
pub(super) fn look_at(state: &ServiceState, target: CloudName, every: Duration) -> Timestamp {
    let Some(live) = state.live.get(&target) else {
        return Timestamp::default();
    };
    match (&live.problem, &live.seen) {
        (Some(problem), _) => problem.at.after(backoff(problem.times)),
        (None, Some(seen)) => seen.at.after(every),
        (None, None) => Timestamp::default(),
    }
}

fn next_look(state: &ServiceState, policy: Policy) -> Option<Timestamp> {
    let is_free = |target: &CloudName| !state.in_flight.observing.contains(target);
    state
        .targets()
        .into_iter()
        .filter(is_free)
        .map(|target| look_at(state, target, policy.resync))
        .min()
}

fn unknown(state: &ServiceState, target: CloudName) -> WaitingOn {
    let problem = state
        .live
        .get(&target)
        .and_then(|live| live.problem.as_ref());
    WaitingOn::Cloud {
        target,
        failure: problem.map(|problem| problem.failure.clone()),
    }
}

/// The release that every blue holds, if there is one.
fn blue_everywhere(state: &ServiceState) -> Option<ReleaseDigest> {
    let mut blues = state.targets().into_iter().map(|target| {
        state
            .seen(target)
            .and_then(|seen| seen.observed.blue.release())
    });
    let first = blues.next()??;
    blues.all(|blue| blue == Some(first)).then_some(first)
}

/// What was forgotten in the middle of a promotion: the release before it, which some blue still holds and every target has in a slot.
fn interrupted(state: &ServiceState, goal: ReleaseDigest) -> Option<ReleaseDigest> {
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

// === drift ===

/// Brings blue back to the release that was promoted, where somebody or something moved it.
fn drifted(
    state: &ServiceState,
    promoted: ReleaseDigest,
    mode: DriftMode,
    now: Timestamp,
) -> Option<Step> {
    let mut sendings = Vec::new();
    for target in state.targets() {
        let Some((order, reason)) = drift_of(state, target, promoted) else {
            continue;
        };
        if mode == DriftMode::Observe {
            let on = WaitingOn::Drift {
                target,
                message: reason.to_string(),
            };
            return Some(wait(on, next_look(state, Policy::default())));
        }
        match open_drift(state, target) {
            Some(intent) if is_sendable(state, intent, now) => {
                sendings.push(Sending {
                    key: intent.key.clone(),
                    order: intent.order.clone(),
                    reason,
                });
            }
            Some(intent) => return Some(waiting_for(state, intent)),
            None => {
                let key = IntentKey(format!("drift/{target}/{}", state.memory.next_repair));
                sendings.push(Sending { key, order, reason });
            }
        }
    }
    if !sendings.is_empty() {
        return Some(Step::Send(sendings));
    }
    let done: Vec<IntentKey> = state
        .intents
        .keys()
        .filter(|key| key.0.starts_with("drift/"))
        .cloned()
        .collect();
    (!done.is_empty()).then_some(Step::Note(Note::Clear { keys: done }))
}

/// The order that undoes a target's drift, if it drifted.
pub fn drift_of(
    state: &ServiceState,
    target: CloudName,
    promoted: ReleaseDigest,
) -> Option<(Order, Reason)> {
    let seen = state.seen(target)?;
    if !seen.observed.blue.holds(promoted) {
        let reason = Reason::Moved {
            found: seen.observed.blue.release(),
        };
        let order = if seen.observed.green.holds(promoted) {
            Order::Promote {
                target,
                release: promoted,
            }
        } else {
            Order::Repair {
                target,
                release: promoted,
            }
        };
        return Some((order, reason));
    }
    (!seen.drift.is_empty()).then(|| {
        (
            Order::Repair {
                target,
                release: promoted,
            },
            Reason::Drift {
                fields: seen.drift.clone(),
            },
        )
    })
}

/// An order about drift that is not done. A done one does not count: it is seen again only if it did not help.
fn open_drift(state: &ServiceState, target: CloudName) -> Option<&Intent> {
    let prefix = format!("drift/{target}/");
    state.intents.values().find(|intent| {
        intent.key.0.starts_with(&prefix) && matches!(intent.state, IntentState::Open { .. })
    })
}

// === a service that Git no longer names ===

fn absent(state: &ServiceState, fleet: Fleet, policy: Policy, now: Timestamp) -> Step {
    if let Some(step) = look(state, policy, now) {
        return step;
    }
    let targets = state.targets();
    if let Some(target) = targets.iter().find(|target| state.seen(**target).is_none()) {
        return wait(unknown(state, *target), next_look(state, policy));
    }
    let holds = |target: &&CloudName| {
        state
            .seen(**target)
            .is_some_and(|seen| !seen.observed.resources.is_empty())
    };
    let holding: Vec<CloudName> = targets.iter().filter(holds).copied().collect();
    if holding.is_empty() {
        return Step::Note(Note::Forget);
    }
    if let Some(message) = held_back(state, fleet, policy, now) {
        return wait(WaitingOn::Prune { message }, next_look(state, policy));
    }
    let mut sendings = Vec::new();
    for target in holding {
        let key = IntentKey(format!("prune/{target}"));
        match state.intents.get(&key) {
            Some(intent) if !intent.is_done() && !is_sendable(state, intent, now) => {
                return waiting_for(state, intent);
            }
            Some(_) | None => sendings.push(Sending {
                key,
                order: Order::Prune { target },
                reason: Reason::RemovedFromGit,
            }),
        }
    }
    Step::Send(sendings)
}

fn held_back(state: &ServiceState, fleet: Fleet, policy: Policy, now: Timestamp) -> Option<String> {
    if let Some(suspension) = state.suspension(now) {
        return Some(format!(
            "`resume`: removed from git, but suspended because {}",
            suspension.reason
        ));
    }
    if !policy.prune {
        return Some("a person: removed from git, and pruning is off".to_owned());
    }
    let is_too_many = fleet.absent > 1 && fleet.absent * 100 > fleet.known * PRUNE_SHARE_MAX;
    is_too_many.then(|| {
        let Fleet { known, absent } = fleet;
        format!("a person: git no longer names {absent} of {known} services, more than {PRUNE_SHARE_MAX} % are never deleted at once")
    })
}

// === shared by the steps ===

fn is_about_drift(key: &IntentKey) -> bool {
    key.0.starts_with("drift/") || key.0.starts_with("prune/")
}

/// Whether an open intent may be sent now.
pub(super) fn is_sendable(state: &ServiceState, intent: &Intent, now: Timestamp) -> bool {
    let is_free = !state.in_flight.orders.contains_key(&intent.key);
    matches!(intent.state, IntentState::Open { not_before, .. } if is_free && not_before <= now)
}

/// Waits for an order that is under way, or for its next try.
pub(super) fn waiting_for(state: &ServiceState, intent: &Intent) -> Step {
    let is_under_way = state.in_flight.orders.contains_key(&intent.key);
    let next_at = match &intent.state {
        IntentState::Open { not_before, .. } if !is_under_way => Some(*not_before),
        IntentState::Open { .. } | IntentState::Done { .. } | IntentState::Failed { .. } => None,
    };
    let failure = intent.failure().cloned();
    wait(
        WaitingOn::Order {
            order: intent.order.clone(),
            failure,
            next_at,
        },
        next_at,
    )
}

pub(super) fn wait(on: WaitingOn, wake: Option<Timestamp>) -> Step {
    Step::Wait(Waiting { on: vec![on], wake })
}

impl Step {
    /// A wait without a time of its own ends when live state is due to be looked at.
    fn with_wake_of(self, state: &ServiceState) -> Self {
        match self {
            Self::Wait(Waiting { on, wake: None }) => Self::Wait(Waiting {
                on,
                wake: next_look(state, Policy::default()),
            }),
            Self::Begin { .. }
            | Self::Move(_)
            | Self::Note(_)
            | Self::Observe(_)
            | Self::Send(_)
            | Self::Wait(_) => self,
        }
    }
}

/// Why a rollout exists, in the words of the difference.
pub fn reason_for(
    state: &ServiceState,
    release: ReleaseDigest,
    trigger: Trigger,
    actor: &Actor,
) -> Reason {
    if trigger.is_rollback() {
        return Reason::Rollback {
            actor: actor.clone(),
        };
    }
    let Some(from) = state.memory.promoted else {
        return Reason::NeverDeployed;
    };
    let content = |digest| {
        state
            .releases
            .get(&digest)
            .map(|record| &record.release.content)
    };
    let changes = match (content(from), content(release)) {
        (Some(old), Some(new)) => diff::releases(old, new),
        (None, _) | (_, None) => Vec::new(),
    };
    Reason::NewRelease { from, changes }
}
