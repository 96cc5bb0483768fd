//! A service goes, by a person's word that is given for one plan.

use super::{Taken, approve::names};
use crate::{
    name::{Actor, Timestamp},
    plan::{
        apply::{Write, drop_intents},
        destruction,
        state::{Destroyed, ServiceState},
    },
    rollout::intent::IntentKey,
};

pub(super) fn destroy(
    state: &mut ServiceState,
    plan: &str,
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Taken {
    if state.memory.destroyed.is_some() {
        // It is so already: whoever said it first stands in the record.
        return Ok(Vec::new());
    }
    names(plan, &destruction::hash(state).hex(), "destroy")?;
    let memory = &mut state.memory;
    memory.live_since = None;
    memory.destroyed = Some(Destroyed {
        reason,
        actor: actor.clone(),
        at: now,
        live: memory.promoted.take(),
        gone_at: None,
    });
    Ok(vec![Write::Memory])
}

/// It comes back, as Git asks for it: what was live is repaired where it is half gone, else it begins anew. What was still to be taken
/// away stays.
pub(super) fn released(state: &mut ServiceState, now: Timestamp) -> Vec<Write> {
    let Some(destroyed) = state.memory.destroyed.take() else {
        return Vec::new();
    };
    state.memory.promoted = destroyed.live;
    state.memory.live_since = destroyed.live.map(|_| now);
    let at_work = state.in_flight.orders.clone();
    let is_prune = |key: &IntentKey| key.0.starts_with("prune/") && !at_work.contains_key(key);
    let mut writes = drop_intents(state, is_prune);
    writes.push(Write::Memory);
    writes
}

/// Why nothing else may be asked of it.
pub(super) fn refusal(state: &ServiceState) -> String {
    let by = state.memory.destroyed.as_ref();
    let by = by.map_or("somebody", |it| it.actor.username.as_str());
    format!("it was destroyed by {by}; `resume` brings it back")
}
