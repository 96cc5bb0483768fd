//! Reads every service back from the store.

use std::collections::BTreeMap;

use super::records::{LastAsked, Rejections};
use crate::{
    name::{ServiceKey, Timestamp},
    plan::state::{HistoryEntry, Live, Memory, Pin, PinKind, ReleaseRecord, ServiceState},
    rollout::{Rollout, Trigger, intent::Intent, phase::Phase},
    store::{Record, SetAside, Store, StoreError, StoreExt},
};

/// All services, and what could not be read of them.
///
/// A service whose memory is lost is put together from what else there is of it; the rest comes back from Git and from the clouds' tags.
pub(in crate::reconcile) async fn load(
    store: &dyn Store,
    now: Timestamp,
) -> Result<(Vec<ServiceState>, Vec<SetAside>), StoreError> {
    let mut states = States {
        now,
        states: BTreeMap::new(),
        set_aside: Vec::new(),
    };
    for memory in states.read::<Memory>(store).await? {
        let state = states.of(&memory.service);
        state.memory = memory;
    }
    for record in states.read::<Rejections>(store).await? {
        states.of(&record.service).memory.rejected = record.releases;
    }
    for live in states.read::<Live>(store).await? {
        let state = states.of(&live.service);
        state.live.insert(live.target, Box::new(live));
    }
    for record in states.read::<ReleaseRecord>(store).await? {
        let state = states.of(&record.release.service);
        state
            .releases
            .insert(record.release.digest, Box::new(record));
    }
    for rollout in states.read::<Rollout>(store).await? {
        let state = states.of(&rollout.service);
        state.rollout = Some(rollout);
    }
    for intent in states.read::<Intent>(store).await? {
        let state = states.of(&intent.service);
        state.intents.insert(intent.key.clone(), Box::new(intent));
    }
    for asked in states.read::<LastAsked>(store).await? {
        // One that nothing else tells of was forgotten.
        if let Some(state) = states.states.get_mut(&asked.service) {
            state.asked_before = Some(asked.desired);
        }
    }
    let States {
        now: _,
        states,
        set_aside,
    } = states;
    let mut states: Vec<ServiceState> = states.into_values().collect();
    for state in &mut states {
        mend(state);
        if state.rollout.is_none() {
            let next = next_rollout(store, &state.key).await;
            state.memory.next_rollout = state.memory.next_rollout.max(next);
        }
    }
    Ok((states, set_aside))
}

/// The number after the newest rollout that a service's history tells of; the first where there is none, or it cannot be read.
pub(in crate::reconcile) async fn next_rollout(store: &dyn Store, key: &ServiceKey) -> u64 {
    let last = store.last_of::<HistoryEntry>(&format!("{key}/"), 1).await;
    let last = last.map(|found| found.records).unwrap_or_default();
    last.first().map_or(1, |entry| entry.rollout + 1)
}

struct States {
    now: Timestamp,
    states: BTreeMap<ServiceKey, ServiceState>,
    set_aside: Vec<SetAside>,
}

impl States {
    async fn read<T: Record + Send + Sync + 'static>(
        &mut self,
        store: &dyn Store,
    ) -> Result<Vec<T>, StoreError> {
        let found = store.load_all::<T>().await?;
        self.set_aside.extend(found.set_aside);
        Ok(found.records)
    }

    fn of(&mut self, key: &ServiceKey) -> &mut ServiceState {
        let now = self.now;
        let fresh = || ServiceState::new(key.clone(), now);
        self.states.entry(key.clone()).or_insert_with(fresh)
    }
}

/// What memory does not say, though other records do: it may have been lost alone.
fn mend(state: &mut ServiceState) {
    let memory = &mut state.memory;
    let contents = state
        .releases
        .values()
        .map(|record| &record.release.content);
    memory
        .functions
        .extend(contents.flat_map(|content| content.functions.keys().cloned()));
    let Some(rollout) = &state.rollout else {
        return;
    };
    let is_lost = memory.next_rollout <= rollout.id.0;
    if !is_lost {
        return;
    }
    memory.next_rollout = rollout.id.0 + 1;
    memory.environment = memory.environment.take().or(rollout.environment.clone());
    let is_live = matches!(rollout.phase, Phase::Live);
    memory.promoted = if is_live {
        Some(rollout.release)
    } else {
        rollout.previous
    };
    if let Trigger::Rollback { held } = rollout.trigger
        && is_live
        && held != Some(rollout.release)
    {
        memory.pin = Some(Pin {
            release: rollout.release,
            held,
            actor: rollout.actor.clone(),
            at: rollout.ended_at().unwrap_or(rollout.started_at),
            kind: PinKind::Rollback,
            reason: String::new(),
        });
    }
    memory.previous = rollout.previous.filter(|it| memory.promoted != Some(*it));
}
