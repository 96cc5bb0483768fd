//! Brings blue back to the release that was promoted, where somebody or something moved it.

use super::{
    Note, Sending, Step, is_sendable,
    look::{hindrance, next_look},
    wait, waiting_for,
};
use crate::{
    manifest::spec::DriftMode,
    name::{CloudName, ReleaseDigest, Timestamp},
    plan::{
        reason::{Reason, WaitingOn},
        repairs::Turn,
        state::{Policy, ServiceState},
    },
    rollout::intent::{Intent, IntentKey, IntentState, Order},
};

/// What is to be done about drift; nothing where there is none. A target that is ill keeps no other from its repair.
pub(super) fn drifted(
    state: &ServiceState,
    promoted: ReleaseDigest,
    mode: DriftMode,
    policy: Policy,
    now: Timestamp,
) -> Option<Step> {
    let mut sendings = Vec::new();
    let mut waits = Vec::new();
    for target in state.targets() {
        let Some((order, reason)) = drift_of(state, target, promoted) else {
            if is_stopped(state, target) {
                return Some(Step::Note(Note::ForgetRepairs { target }));
            }
            continue;
        };
        let message = reason.to_string();
        if mode == DriftMode::Observe {
            let on = WaitingOn::Drift { target, message };
            waits.push(wait(on, next_look(state, policy)));
            continue;
        }
        match turn(state, target, &order, &reason, now) {
            Turn::Repair => {}
            Turn::Stop => return Some(Step::Note(Note::StopRepairs { target, message })),
            Turn::Stopped => {
                let on = WaitingOn::DriftLoop { target, message };
                waits.push(wait(on, next_look(state, policy)));
                continue;
            }
        }
        let wanted = Sending::about(state, target, order, reason);
        match repair(state, target, wanted, policy, now) {
            Repair::Stale(key) => return Some(Step::Note(Note::Clear { keys: vec![key] })),
            Repair::Send(sending) => sendings.push(sending),
            Repair::Wait(step) => waits.push(step),
        }
    }
    if !sendings.is_empty() {
        return Some(Step::Send(sendings));
    }
    Step::all(waits).or_else(|| clear(state))
}

fn is_stopped(state: &ServiceState, target: CloudName) -> bool {
    let repaired = state.memory.repaired.get(&target);
    repaired.is_some_and(|repaired| repaired.stopped.is_some())
}

/// A repair that was begun is carried through.
fn turn(
    state: &ServiceState,
    target: CloudName,
    order: &Order,
    reason: &Reason,
    now: Timestamp,
) -> Turn {
    match open_drift(state, target) {
        Some(_) => Turn::Repair,
        None => state.repair_turn(target, order, reason, now),
    }
}

/// What becomes of one repair.
enum Repair {
    Send(Sending),
    Wait(Step),
    /// What was decided before no longer fits what is seen.
    Stale(IntentKey),
}

fn repair(
    state: &ServiceState,
    target: CloudName,
    wanted: Sending,
    policy: Policy,
    now: Timestamp,
) -> Repair {
    let (wanted, open) = match refused(state, target, &wanted.order) {
        Some(intent) => {
            let wanted = wanted.in_place_of(intent);
            let open = state.intent(&wanted.key).filter(|it| is_open(it));
            (wanted, open)
        }
        None => (wanted, open_drift(state, target)),
    };
    let key = open.map_or(&wanted.key, |intent| &intent.key);
    if let Some(on) = hindrance(state, target, Some(key)) {
        return Repair::Wait(wait(on, next_look(state, policy)));
    }
    match open {
        Some(intent) if state.in_flight.orders.contains_key(&intent.key) => {
            Repair::Wait(waiting_for(state, intent))
        }
        Some(intent) if intent.order != wanted.order => Repair::Stale(intent.key.clone()),
        Some(intent) if is_sendable(state, intent, now) => Repair::Send(Sending {
            key: intent.key.clone(),
            ..wanted
        }),
        Some(intent) => Repair::Wait(waiting_for(state, intent)),
        None => Repair::Send(wanted),
    }
}

impl Sending {
    /// Targets are repaired in one step, so the target is part of the key.
    fn about(state: &ServiceState, target: CloudName, order: Order, reason: Reason) -> Self {
        let key = IntentKey(format!("drift/{target}/{}", state.memory.next_repair));
        Self { key, order, reason }
    }

    /// Blue is made anew, since green does not give what it holds.
    fn in_place_of(self, refused: &Intent) -> Self {
        let Self {
            key: _,
            order,
            reason,
        } = self;
        let key = IntentKey(format!("{}{AGAIN}", refused.key));
        let order = match order {
            Order::Promote { target, release } => Order::Repair { target, release },
            other @ (Order::Build { .. }
            | Order::Stage { .. }
            | Order::Measure { .. }
            | Order::Shift { .. }
            | Order::Retract { .. }
            | Order::Repair { .. }
            | Order::Prune { .. }) => other,
        };
        Self { key, order, reason }
    }
}

/// The end of the key of a repair that takes the place of another, which could not be made.
pub(in crate::plan) const AGAIN: &str = "/again";

/// A promotion about drift that the cloud did not make: green holds the release, and somebody changed it there.
fn refused<'a>(state: &'a ServiceState, target: CloudName, wanted: &Order) -> Option<&'a Intent> {
    let intent = open_drifts(state, target).find(|intent| intent.order == *wanted)?;
    let is_refused = intent.failure().is_some_and(|it| it.reason == "NotStaged");
    let is_promotion = matches!(wanted, Order::Promote { .. });
    let is_under_way = state.in_flight.orders.contains_key(&intent.key);
    (is_refused && is_promotion && !is_under_way).then_some(intent)
}

/// Orders about drift that are done with are forgotten.
fn clear(state: &ServiceState) -> Option<Step> {
    let is_done = |key: &&IntentKey| {
        key.0.starts_with("drift/") && !state.in_flight.orders.contains_key(*key)
    };
    let keys: Vec<IntentKey> = state.intents.keys().filter(is_done).cloned().collect();
    (!keys.is_empty()).then_some(Step::Note(Note::Clear { keys }))
}

/// The order that undoes a target's drift, if it drifted.
pub fn drift_of(
    state: &ServiceState,
    target: CloudName,
    promoted: ReleaseDigest,
) -> Option<(Order, Reason)> {
    let observed = &state.seen(target)?.observed;
    let release = promoted;
    if observed.blue.holds(promoted) {
        let fields: Vec<_> = state.drift(target).into_iter().cloned().collect();
        let is_drifted = !fields.is_empty();
        let order = Order::Repair { target, release };
        return is_drifted.then_some((order, Reason::Drift { fields }));
    }
    let order = if observed.green.holds(promoted) {
        Order::Promote { target, release }
    } else {
        Order::Repair { target, release }
    };
    let found = observed.blue.release();
    Some((order, Reason::Moved { found }))
}

/// An order about drift that is not done. A done one does not count: it is seen again only if it did not help.
fn open_drift(state: &ServiceState, target: CloudName) -> Option<&Intent> {
    open_drifts(state, target).next()
}

fn open_drifts(state: &ServiceState, target: CloudName) -> impl Iterator<Item = &Intent> {
    let prefix = format!("drift/{target}/");
    let intents = state.intents.values().map(AsRef::as_ref);
    intents.filter(move |intent: &&Intent| intent.key.0.starts_with(&prefix) && is_open(intent))
}

fn is_open(intent: &Intent) -> bool {
    matches!(intent.state, IntentState::Open { .. })
}
