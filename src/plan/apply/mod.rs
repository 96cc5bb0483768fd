//! Takes steps and outcomes into the state, and says what must be written down before anything is sent.

use std::collections::BTreeMap;

mod note;
mod outcome;

use self::note::drop_intents;
pub use self::note::{date, note};
pub use self::outcome::{measured, not_in_the_future, seen, settle};
use super::{
    state::{EventRecord, HistoryEntry, Memory, Pin, PinKind, Rejection, ServiceState, Severity},
    step::Sending,
};
use crate::{
    manifest::spec::{Across, Gate, RolloutSpec},
    name::{Actor, CloudName, GateName, ReleaseDigest, Timestamp},
    rollout::{
        Rollout, RolloutId, Transition, Trigger,
        gate_run::GateRun,
        intent::{Intent, IntentKey, IntentState, Order},
        phase::{Event, IllegalMove, Phase},
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

/// A release that a rollout was to begin for is not known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("release {} is not known: it is neither in git nor in the store", .0.short())]
pub struct UnknownRelease(pub ReleaseDigest);

/// A rollout begins. Orders of the one before it are dropped: they are settled, or their slots will be staged anew.
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
    let desired = state.ask.desired().or(state.asked_before.as_ref()).cloned();
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
        bake: std::time::Duration::ZERO,
        across: Across::Together,
        windows: Vec::new(),
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
        bypass: None,
    };
    let message = format!("rollout {id} of {} begins", rollout.revision.short());
    let mut writes = drop_intents(state, |_| true);
    state.rollout = Some(rollout);
    writes.extend([
        Write::Memory,
        Write::Rollout,
        event(state, Severity::Info, "RolloutStarted", message, now),
    ]);
    Ok(writes)
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
    rollout.advance(change, now)?;
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
        | Phase::Promoting
        | Phase::Baking { .. }
        | Phase::Live => Severity::Info,
    };
    let mut writes = vec![
        Write::Rollout,
        event(state, severity, rollout.phase.word(), message, now),
    ];
    if rollout.phase.is_ended() {
        writes.extend(ended(state, &rollout, now));
    }
    Ok(writes)
}

/// What a rollout's end leaves behind.
fn ended(state: &mut ServiceState, rollout: &Rollout, now: Timestamp) -> Vec<Write> {
    let memory = &mut state.memory;
    let mut writes = vec![Write::Memory, Write::History(history(rollout, now))];
    match &rollout.phase {
        Phase::Live => {
            if memory.promoted != Some(rollout.release) {
                memory.previous = memory.promoted;
                memory.promoted = Some(rollout.release);
            }
            memory.rejected.remove(&rollout.release);
            if let Trigger::Rollback { held } = rollout.trigger {
                pinned(memory, rollout, held, now);
            }
            if let Some(record) = state.releases.get_mut(&rollout.release) {
                record.promoted_at.get_or_insert(now);
                writes.push(Write::Release(rollout.release));
            }
        }
        Phase::Rejected { why } | Phase::RolledBack { why } if !rollout.trigger.is_rollback() => {
            let reason = why.reason.word().to_owned();
            let rejection = Rejection {
                revision: rollout.revision.clone(),
                reason,
                message: why.message.clone(),
                at: now,
            };
            memory.rejected.insert(rollout.release, rejection);
            forget_oldest_rejections(&mut memory.rejected);
        }
        Phase::Rejected { .. } | Phase::RolledBack { .. } => pinned_in_vain(memory, rollout),
        Phase::Superseded { .. }
        | Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::Paused { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Promoting
        | Phase::Baking { .. }
        | Phase::RollingBack { .. } => {}
    }
    writes
}

/// A rollback holds the service where it went.
fn pinned(memory: &mut Memory, rollout: &Rollout, held: Option<ReleaseDigest>, now: Timestamp) {
    let release = rollout.release;
    match memory
        .pin
        .as_mut()
        .filter(|pin| pin.kind == PinKind::Person)
    {
        // Whoever pinned it wants it pinned; this is where.
        Some(pin) => pin.release = release,
        None => {
            let pin = Pin {
                release,
                held,
                actor: rollout.actor.clone(),
                at: now,
                kind: PinKind::Rollback,
                reason: String::new(),
            };
            memory.pin = (held != Some(release)).then_some(pin);
        }
    }
}

/// A pin to a release that could not be gone back to holds what is live.
fn pinned_in_vain(memory: &mut Memory, rollout: &Rollout) {
    let pin = memory.pin.as_mut();
    let pin = pin.filter(|pin| pin.kind == PinKind::Person && pin.release == rollout.release);
    if let Some((pin, live)) = pin.zip(memory.promoted) {
        pin.release = live;
    }
}

/// Rejected releases remembered for each service; a repository that goes through more of them than this has other troubles.
const REJECTED_MAX: usize = 200;

fn forget_oldest_rejections(rejected: &mut BTreeMap<ReleaseDigest, Rejection>) {
    while rejected.len() > REJECTED_MAX {
        let oldest = rejected.iter().min_by_key(|(_, rejection)| rejection.at);
        let Some(oldest) = oldest.map(|(release, _)| *release) else {
            return;
        };
        rejected.remove(&oldest);
    }
}

fn history(rollout: &Rollout, now: Timestamp) -> HistoryEntry {
    HistoryEntry {
        service: rollout.service.clone(),
        rollout: rollout.id.0,
        release: rollout.release,
        revision: rollout.revision.clone(),
        previous: rollout.previous,
        outcome: rollout.phase.word().to_owned(),
        message: rollout
            .phase
            .why()
            .map(|why| why.message.clone())
            .unwrap_or_default(),
        trigger: rollout.trigger.word().to_owned(),
        actor: rollout.actor.clone(),
        started_at: rollout.started_at,
        ended_at: now,
        transitions: rollout.transitions.clone(),
        bypass: rollout.bypass.clone(),
    }
}

/// Intents are noted. They are on the disk before any of them is sent.
pub fn record(state: &mut ServiceState, sendings: &[Sending], now: Timestamp) -> Vec<Write> {
    let mut writes = Vec::new();
    for Sending { key, order, reason } in sendings {
        state.in_flight.orders.insert(key.clone(), order.clone());
        let is_known = matches!(
            state.intents.get(key),
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
        state.intents.insert(key.clone(), intent);
        writes.push(Write::Intent(key.clone()));
        if key.0.starts_with("drift/") {
            state.memory.next_repair += 1;
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

/// An event of this service. Its sequence number is given when it is written.
pub fn event(
    state: &ServiceState,
    severity: Severity,
    reason: &str,
    message: String,
    now: Timestamp,
) -> Write {
    let rollout = state.rollout.as_ref();
    Write::Event(EventRecord {
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
    })
}
