//! Reads every service back from the store.

use std::collections::BTreeMap;

use super::records::Rejections;
use crate::{
    name::{ServiceKey, Timestamp},
    plan::state::{Live, Memory, ReleaseRecord, ServiceState},
    rollout::{Rollout, intent::Intent},
    store::{SetAside, Store, StoreError, StoreExt},
};

/// All services, and what could not be read of them.
///
/// A service whose memory is lost starts afresh; what its rollout was doing is forgotten then too, and comes back from Git and from the
/// clouds' tags.
pub(super) async fn load(
    store: &dyn Store,
    now: Timestamp,
) -> Result<(Vec<ServiceState>, Vec<SetAside>), StoreError> {
    let mut states: BTreeMap<ServiceKey, ServiceState> = BTreeMap::new();
    let mut set_aside = Vec::new();
    let memories = store.load_all::<Memory>().await?;
    set_aside.extend(memories.set_aside);
    for memory in memories.records {
        let mut state = ServiceState::new(memory.service.clone(), now);
        state.memory = memory;
        states.insert(state.key.clone(), state);
    }
    let rejections = store.load_all::<Rejections>().await?;
    set_aside.extend(rejections.set_aside);
    for record in rejections.records {
        if let Some(state) = states.get_mut(&record.service) {
            state.memory.rejected = record.releases;
        }
    }
    let lives = store.load_all::<Live>().await?;
    set_aside.extend(lives.set_aside);
    for live in lives.records {
        if let Some(state) = states.get_mut(&live.service) {
            state.live.insert(live.target, live);
        }
    }
    let releases = store.load_all::<ReleaseRecord>().await?;
    set_aside.extend(releases.set_aside);
    for record in releases.records {
        if let Some(state) = states.get_mut(&record.release.service) {
            state.releases.insert(record.release.digest, record);
        }
    }
    let rollouts = store.load_all::<Rollout>().await?;
    set_aside.extend(rollouts.set_aside);
    for rollout in rollouts.records {
        if let Some(state) = states.get_mut(&rollout.service) {
            state.rollout = Some(rollout);
        }
    }
    let intents = store.load_all::<Intent>().await?;
    set_aside.extend(intents.set_aside);
    for intent in intents.records {
        if let Some(state) = states.get_mut(&intent.service) {
            state.intents.insert(intent.key.clone(), intent);
        }
    }
    Ok((states.into_values().collect(), set_aside))
}
