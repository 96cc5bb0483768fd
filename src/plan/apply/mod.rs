//! Takes steps and outcomes into the state, and says what must be written down before anything is sent.

mod ended;
mod note;
mod outcome;
mod together;

use std::time::Duration;

pub(super) use self::note::drop_intents;
pub use self::{
    note::{date, note},
    outcome::{measured, not_in_the_future, seen, settle},
    together::together,
};
use super::{
    repairs,
    state::{EventRecord, HistoryEntry, ServiceState, Severity},
    step::{Sending, drift::AGAIN},
};
use crate::{
    manifest::{
        spec::{Across, Gate, RolloutSpec},
        strategy::Strategy,
    },
    name::{Actor, CloudName, GateName, ReleaseDigest, Timestamp},
    rollout::{
        Rollout, RolloutId, Transition, Trigger,
        gate_run::GateRun,
        intent::{Intent, IntentKey, IntentState, Order},
        phase::{Event, IllegalMove, Phase},
        word::Word,
    },
};

/// Something that changed in a state and must reach the disk, all in one batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Memory,
    Rollout,
    Live(CloudName),
    Release(ReleaseDigest),
    DropRelease(ReleaseDigest),
    Intent(IntentKey),
    DropIntent(IntentKey),
    History(HistoryEntry),
    Event(EventRecord),
    /// Everything of the service goes, but its history and events.
    Forget,
}

/// How long an override that was said before there was a rollout waits for one.
pub(super) const OVERRIDE_HOLDS: Duration = Duration::from_secs(60 * 60);

/// A release that a rollout was to begin for is not known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("release {} is not known: it is neither in git nor in the store", .0.short())]
pub struct UnknownRelease(pub ReleaseDigest);

/// A rollout begins. Orders of the one before it are dropped: they are settled, or their slots will be staged anew. What is at work still
/// keeps its record until it comes back: an order that no record tells of must not reach a cloud.
///
/// # Errors
///
/// A release that nobody ever saw.
pub fn begin(
    state: &mut ServiceState,
    release: ReleaseDigest,
    trigger: Trigger,
    actor: Actor,
    now: Timestamp,
) -> Result<Vec<Write>, UnknownRelease> {
    let known = state
        .releases
        .get(&release)
        .map(|record| record.release.revision.clone());
    let desired = state.asked_last().cloned();
    let wanted = desired
        .as_ref()
        .filter(|desired| desired.release.digest == release);
    // The newest commit that asks for it, else the first.
    let revision = wanted
        .map(|desired| desired.release.revision.clone())
        .or(known)
        .ok_or(UnknownRelease(release))?;
    let nothing = RolloutSpec {
        gates: Vec::new(),
        bake: Duration::ZERO,
        across: Across::Together,
        windows: Vec::new(),
        strategy: Strategy::BlueGreen,
        group: None,
    };
    let id = RolloutId(state.memory.next_rollout);
    state.memory.next_rollout += 1;
    let rollout = Rollout {
        id,
        service: state.key.clone(),
        release,
        revision,
        previous: state
            .memory
            .promoted
            .filter(|promoted| *promoted != release),
        trigger,
        actor,
        spec: desired.map_or(nothing, |desired| desired.rollout.clone()),
        targets: state.targets(),
        environment: state.environment().cloned(),
        phase: Phase::Queued,
        started_at: now,
        transitions: vec![Transition {
            at: now,
            phase: Phase::Queued.word().to_owned(),
            message: String::new(),
        }],
        gates: Vec::new(),
        approvals: Vec::new(),
        pause: None,
        hurry: None,
        bypass: bypass(state, trigger, now),
        pact: std::collections::BTreeMap::new(),
    };
    let message = format!("rollout {id} of {} begins", rollout.revision.short());
    let at_work = state.in_flight.orders.clone();
    let mut writes = drop_intents(state, |key| !at_work.contains_key(key));
    state.rollout = Some(rollout);
    writes.extend([
        Write::Memory,
        Write::Rollout,
        event(state, Severity::Info, "RolloutStarted", message, now),
    ]);
    Ok(writes)
}

/// The word that was given for the next rollout, if that is this one and still holds. Going back waits for no window and leaves it be.
fn bypass(state: &mut ServiceState, trigger: Trigger, now: Timestamp) -> Option<Word> {
    let word = state.memory.bypass.take_if(|_| !trigger.is_rollback())?;
    (now.since(word.at) <= OVERRIDE_HOLDS).then_some(word)
}

/// The rollout takes a move, and what follows from its end is remembered.
///
/// # Errors
///
/// A move that the table does not list; nothing changes then.
pub fn advance(
    state: &mut ServiceState,
    change: Event,
    now: Timestamp,
) -> Result<Vec<Write>, IllegalMove> {
    let Some(rollout) = &mut state.rollout else {
        return Ok(Vec::new());
    };
    let is_staged_again = matches!(change, Event::StagedAgain);
    rollout.advance(change, now)?;
    if is_staged_again {
        rollout.measure_again(now);
    }
    let rollout = rollout.clone();
    let message = match rollout.phase.why() {
        Some(why) => format!(
            "rollout {} of {}: {}",
            rollout.id,
            rollout.revision.short(),
            why.message
        ),
        None => format!(
            "rollout {} of {} is {}",
            rollout.id,
            rollout.revision.short(),
            rollout.phase.word()
        ),
    };
    let severity = match rollout.phase {
        Phase::Rejected { .. } | Phase::RollingBack { .. } | Phase::RolledBack { .. } => {
            Severity::Error
        }
        Phase::Paused { .. } | Phase::AwaitingApproval { .. } | Phase::Superseded { .. } => {
            Severity::Warning
        }
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::Shifting { .. }
        | Phase::Promoting
        | Phase::Baking { .. }
        | Phase::Live => Severity::Info,
    };
    let mut writes = vec![
        Write::Rollout,
        event(state, severity, rollout.phase.word(), message, now),
    ];
    if is_staged_again {
        writes.extend(again(state, rollout.id));
    }
    if rollout.phase.is_ended() {
        writes.extend(ended::ended(state, &rollout, now));
    }
    Ok(writes)
}

/// Orders of the rollout that are to be given once more: all but its build.
fn again(state: &mut ServiceState, id: RolloutId) -> Vec<Write> {
    let prefix = format!("{id}/");
    drop_intents(state, |key| {
        key.0.starts_with(&prefix) && !key.0.ends_with("/build")
    })
}

/// Intents are noted. They are on the disk before any of them is sent.
pub fn record(state: &mut ServiceState, sendings: &[Sending], now: Timestamp) -> Vec<Write> {
    let mut writes = Vec::new();
    for Sending { key, order, reason } in sendings {
        state.in_flight.orders.insert(key.clone(), order.clone());
        let is_known = matches!(
            state.intent(key),
            Some(Intent {
                state: IntentState::Open { .. },
                ..
            })
        );
        if is_known {
            continue;
        }
        let open = IntentState::Open {
            attempts: 0,
            not_before: now,
            last: None,
        };
        let intent = Intent {
            key: key.clone(),
            service: state.key.clone(),
            order: order.clone(),
            recorded_at: now,
            state: open,
            reason: reason.to_string(),
        };
        state.intents.insert(key.clone(), Box::new(intent));
        writes.push(Write::Intent(key.clone()));
        // What takes the place of another repair is no further one.
        if key.0.starts_with("drift/") && !key.0.ends_with(AGAIN) {
            state.memory.next_repair += 1;
            if let Some(target) = order.target() {
                repairs::made(state, target, order, reason, now);
            }
            let found = event(
                state,
                Severity::Warning,
                "DriftDetected",
                format!("{order}: {reason}"),
                now,
            );
            writes.extend([Write::Memory, found]);
        }
        if let Order::Measure { gate, round } = order {
            writes.extend(gate_asked(state, gate, *round, now));
        }
    }
    writes
}

fn gate_asked(
    state: &mut ServiceState,
    name: &GateName,
    round: u32,
    now: Timestamp,
) -> Option<Write> {
    let rollout = state.rollout.as_mut()?;
    let since = rollout.transitions.last().map_or(now, |last| last.at);
    if !rollout.gates.iter().any(|run| run.gate == *name) {
        let gate: &Gate = rollout.spec.gates.iter().find(|gate| gate.name == *name)?;
        rollout.gates.push(GateRun::new(gate, since));
    }
    let run = rollout.gates.iter_mut().find(|run| run.gate == *name)?;
    run.rounds = round;
    Some(Write::Rollout)
}

/// An event of this service, to be written.
pub fn event(
    state: &ServiceState,
    severity: Severity,
    reason: &str,
    message: String,
    now: Timestamp,
) -> Write {
    Write::Event(event_record(state, severity, reason, message, now))
}

/// An event of this service. Its sequence number is given when it is written.
pub fn event_record(
    state: &ServiceState,
    severity: Severity,
    reason: &str,
    message: String,
    now: Timestamp,
) -> EventRecord {
    let rollout = state.rollout.as_ref();
    EventRecord {
        seq: 0,
        at: now,
        severity,
        service: Some(state.key.clone()),
        reason: reason.to_owned(),
        message,
        actor: rollout.map_or_else(Actor::daemon, |rollout| rollout.actor.clone()),
        revision: rollout
            .map(|rollout| rollout.revision.clone())
            .or_else(|| state.memory.asked_revision.clone()),
        rollout: rollout.map(|rollout| rollout.id.0),
    }
}
