//! What the end of a rollout leaves behind.

use std::collections::BTreeMap;

use super::Write;
use crate::{
    name::{ReleaseDigest, Timestamp},
    plan::state::{HistoryEntry, Pin, Rejection, ServiceState},
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
                let pin = Pin {
                    release: rollout.release,
                    held,
                    actor: rollout.actor.clone(),
                    at: now,
                };
                memory.pin = (held != Some(rollout.release)).then_some(pin);
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
        Phase::Rejected { .. }
        | Phase::RolledBack { .. }
        | Phase::Superseded { .. }
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
    }
}
