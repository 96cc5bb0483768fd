//! One service's part of a move that several make.

use super::{Write, advance};
use crate::{
    name::Timestamp,
    plan::{around::Joint, state::ServiceState},
    rollout::phase::{Event, IllegalMove},
};

/// The rollout takes its turn together with those of its group. Whoever calls writes all of them at once.
///
/// # Errors
///
/// A move that the table does not list; nothing changes then.
pub fn together(
    state: &mut ServiceState,
    joint: &Joint,
    own: Event,
    now: Timestamp,
) -> Result<Vec<Write>, IllegalMove> {
    let writes = advance(state, own, now)?;
    if let Some(rollout) = &mut state.rollout {
        let mates = joint.members.iter();
        let mates = mates.filter(|(key, _)| **key != rollout.service);
        rollout.pact = mates.map(|(key, id)| (key.clone(), *id)).collect();
    }
    Ok(writes)
}
