//! The one next thing to do for a service: the table of contents of planning.

pub mod drift;
pub(super) mod look;
mod prune;
mod tend;

use std::{collections::BTreeMap, time::Duration};

use super::{
    around::{self, Around, Joint, Turn},
    reason::{Reason, WaitingOn},
    rolling,
    state::{Ask, PinKind, Policy, ServiceState},
};
use crate::{
    desired::DesiredService,
    diff,
    name::{Actor, CloudName, EnvironmentName, PlanHash, ReleaseDigest, ServiceKey, Timestamp},
    rollout::{
        Trigger,
        intent::{Intent, IntentKey, IntentState, Order},
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
    /// The rollouts of several services move on, all or none.
    Together(Joint),
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
    /// Words were given for another plan than this one, which it is now.
    VoidApprovals { plan: PlanHash },
    /// The same drift comes back after each repair: no more of them.
    StopRepairs { target: CloudName, message: String },
    /// What came back after each repair is gone.
    ForgetRepairs { target: CloudName },
    /// Orders about drift that are done with.
    Clear { keys: Vec<IntentKey> },
    /// Somebody undid what an order had done: it is to be given again.
    Redo { key: IntentKey, message: String },
    /// Nothing is left on any cloud of a service that a person had destroyed.
    Gone,
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
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fleet {
    pub known: usize,
    pub absent: usize,
}

/// How each environment stands. An environment that vanishes from Git as a whole must not take its services with it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fleets(BTreeMap<EnvironmentName, Fleet>);

impl Fleets {
    /// Counts services; the flag says that Git no longer names one.
    pub fn count<'a>(services: impl Iterator<Item = (&'a ServiceKey, bool)>) -> Self {
        let mut fleets: BTreeMap<EnvironmentName, Fleet> = BTreeMap::new();
        for (key, is_absent) in services {
            let fleet = fleets.entry(key.environment.clone()).or_default();
            fleet.known += 1;
            fleet.absent += usize::from(is_absent);
        }
        Self(fleets)
    }

    /// A service that Git no longer names is gone.
    pub fn forget(&mut self, key: &ServiceKey) {
        if let Some(fleet) = self.0.get_mut(&key.environment) {
            fleet.known = fleet.known.saturating_sub(1);
            fleet.absent = fleet.absent.saturating_sub(1);
        }
    }

    pub fn of(&self, key: &ServiceKey) -> Fleet {
        self.0.get(&key.environment).copied().unwrap_or_default()
    }
}

/// The one next thing to do for a service.
pub fn step(state: &ServiceState, around: &Around, policy: Policy, now: Timestamp) -> Step {
    match among_others(state, around, policy, now) {
        Step::Wait(waiting) => tend::tend(state, waiting, policy, now),
        step @ (Step::Begin { .. }
        | Step::Move(_)
        | Step::Together(_)
        | Step::Note(_)
        | Step::Observe(_)
        | Step::Send(_)) => step,
    }
}

/// The next thing to do, with what others have to say.
fn among_others(state: &ServiceState, around: &Around, policy: Policy, now: Timestamp) -> Step {
    if let Some(step) = around::mate_failed(state, around) {
        return step;
    }
    if let Some((turn, _)) = turn(state, around, policy, now)
        && let Some(step) = around::hold(state, around, turn, now)
    {
        return step;
    }
    let alone = alone(state, around, policy, now);
    around::in_turn(state, around, alone)
}

/// The move that it would make now if nobody else had a say in it, where others have. Whether it must look at its targets once more
/// before is left aside: that is soon done, and need not be done again and again while it waits.
pub fn turn(
    state: &ServiceState,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Option<(Turn, Event)> {
    if !around::is_tied(state, around) {
        return None;
    }
    let resync = Duration::MAX;
    Turn::of(alone(state, around, Policy { resync, ..policy }, now))
}

/// The turn that it takes as soon as the others of its group do.
pub fn ready(
    state: &ServiceState,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Option<Turn> {
    let (turn, _) = turn(state, around, policy, now)?;
    let waits = turn == Turn::Promote && around::ahead(state, around, now).is_some();
    (!waits).then_some(turn)
}

/// The next thing to do, without what others have to say.
fn alone(state: &ServiceState, around: &Around, policy: Policy, now: Timestamp) -> Step {
    if let Some(destroyed) = &state.memory.destroyed {
        return prune::destroyed(state, destroyed, around, policy, now);
    }
    if let Some(rollout) = state.active() {
        return rolling::step(state, rollout, around, policy, now);
    }
    if let Some((_, order)) = state.writing().filter(|(key, _)| !is_about_drift(key)) {
        // Left over from a rollout that was aborted: two orders must not work on one slot.
        return rolling::under_way(order);
    }
    match &state.ask {
        Ask::Unknown => wait(WaitingOn::Git, None),
        Ask::Absent => prune::absent(state, around, policy, now),
        Ask::Invalid {
            faults,
            last_good: None,
        } => wait(
            WaitingOn::Manifest {
                faults: faults.clone(),
            },
            None,
        ),
        Ask::Wanted(desired) => settled(state, desired, around, policy, now),
        Ask::Invalid {
            last_good: Some(desired),
            ..
        } => settled(state, desired, around, policy, now),
    }
}

/// No rollout is under way: is live state as asked for?
fn settled(
    state: &ServiceState,
    desired: &DesiredService,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Step {
    let wanted = desired.release.digest;
    if let Some(step) = look::look(state, policy, now) {
        return step;
    }
    if let Some(step) = suspended(state, policy, now) {
        return step;
    }
    let goal = match &state.memory.pin {
        Some(pin) if pin.kind == PinKind::Person || pin.held == Some(wanted) => pin.release,
        Some(_) => return Step::Note(Note::Unpin),
        None => wanted,
    };
    if let Some(on) = look::unseen(state) {
        return wait(on, look::next_look(state, policy));
    }
    let Some(promoted) = state.memory.promoted else {
        return match look::blue_everywhere(state).or_else(|| look::interrupted(state, goal)) {
            Some(promoted) => Step::Note(Note::Learn { promoted }),
            None => begin(state, goal, around, policy, now),
        };
    };
    match drift::drifted(state, promoted, desired.drift.mode, policy, now) {
        // A newer release need not wait for the repair of an older one that does not succeed, or that nobody wants.
        Some(Step::Wait(_)) if is_new(state, promoted, goal) => {
            begin(state, goal, around, policy, now)
        }
        Some(step) => step,
        None if promoted == goal => in_sync(state, goal, wanted, policy),
        None => begin(state, goal, around, policy, now),
    }
}

fn suspended(state: &ServiceState, policy: Policy, now: Timestamp) -> Option<Step> {
    let suspension = state.suspension(now)?;
    let on = WaitingOn::Suspended {
        reason: suspension.reason.clone(),
        until: suspension.until,
    };
    let next_look = look::next_look(state, policy);
    let wake = suspension.until.into_iter().chain(next_look).min();
    Some(wait(on, wake))
}

/// There is something else to take to blue, and nothing is under way.
fn is_new(state: &ServiceState, promoted: ReleaseDigest, goal: ReleaseDigest) -> bool {
    let is_rejected = state.memory.rejected.contains_key(&goal);
    goal != promoted && !is_rejected && state.writing().is_none()
}

/// Starts a rollout to the goal, unless it was rejected before, or must be proven elsewhere first.
fn begin(
    state: &ServiceState,
    goal: ReleaseDigest,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> Step {
    let next_look = look::next_look(state, policy);
    let Some(rejection) = state.memory.rejected.get(&goal) else {
        if let Some(on) = around::follows(state, around, now) {
            let wake = on.until().into_iter().chain(next_look).min();
            return wait(on, wake);
        }
        return Step::Begin {
            release: goal,
            trigger: Trigger::Commit,
            actor: Actor::daemon(),
        };
    };
    let on = WaitingOn::Rejected {
        release: goal,
        message: rejection.message.clone(),
    };
    wait(on, next_look)
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
            kind: pin.kind,
            actor: pin.actor.clone(),
        },
        None => WaitingOn::Nothing,
    };
    wait(on, look::next_look(state, policy))
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
    /// Several waits at once; the earliest wakes. Nothing where there is none.
    pub(super) fn all(waits: Vec<Self>) -> Option<Self> {
        let mut all = Waiting {
            on: Vec::new(),
            wake: None,
        };
        for step in waits {
            if let Self::Wait(Waiting { on, wake }) = step {
                all.on.extend(on);
                all.wake = all.wake.into_iter().chain(wake).min();
            }
        }
        (!all.on.is_empty()).then_some(Self::Wait(all))
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
