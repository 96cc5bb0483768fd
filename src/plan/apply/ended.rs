//! What the end of a rollout leaves behind.

use std::collections::BTreeMap;

use super::Write;
use crate::{
    name::{ReleaseDigest, Timestamp},
    plan::state::{HistoryEntry, Memory, Pin, PinKind, Rejection, ServiceState},
    rollout::{
        Rollout, Trigger,
        phase::{Phase, StopReason},
    },
};

/// What a rollout's end leaves behind.
pub(super) fn ended(state: &mut ServiceState, rollout: &Rollout, now: Timestamp) -> Vec<Write> {
    let memory = &mut state.memory;
    if matches!(rollout.phase, Phase::RolledBack { .. }) {
        // Blue held something else for a while.
        memory.live_since = Some(now);
    }
    let mut writes = vec![Write::Memory, Write::History(history(rollout, now))];
    match &rollout.phase {
        Phase::Live => {
            if memory.promoted != Some(rollout.release) {
                memory.previous = memory.promoted;
                memory.promoted = Some(rollout.release);
                memory.live_since = Some(now);
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
        // It went back with another member of its group, and did not fail itself.
        Phase::RolledBack { why } if why.reason == StopReason::GroupFailed => {}
        Phase::Rejected { why } | Phase::RolledBack { why }
            if !rollout.trigger.is_rollback() && why.reason != StopReason::Superseded =>
        {
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
        | Phase::Shifting { .. }
        | Phase::Promoting
        | Phase::Baking { .. }
        | Phase::RollingBack { .. } => {}
    }
    writes
}

/// A rollback holds the service where it went.
fn pinned(memory: &mut Memory, rollout: &Rollout, held: Option<ReleaseDigest>, now: Timestamp) {
    let release = rollout.release;
    let by_person = |pin: &&mut Pin| pin.kind == PinKind::Person;
    if let Some(pin) = memory.pin.as_mut().filter(by_person) {
        // Whoever pinned it wants it pinned; this is where.
        pin.release = release;
        return;
    }
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
