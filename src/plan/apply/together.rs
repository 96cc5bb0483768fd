//! One service's part of a move that several make.

use super::{Write, advance};
use crate::{
    name::Timestamp,
    plan::{
        around::{Joint, Turn},
        state::ServiceState,
    },
    rollout::phase::{Event, IllegalMove, Phase},
};

/// The rollout takes its turn together with those of its group. Whoever calls writes all of them at once.
///
/// # Errors
///
/// A move that the table does not list; nothing changes then.
pub fn together(
    state: &mut ServiceState,
    joint: &Joint,
    now: Timestamp,
) -> Result<Vec<Write>, IllegalMove> {
    let Some(rollout) = &mut state.rollout else {
        return Ok(Vec::new());
    };
    let change = match joint.turn {
        Turn::Promote if matches!(rollout.phase, Phase::AwaitingApproval { .. }) => Event::Approved,
        Turn::Promote => Event::GatesPassed,
        Turn::Live => Event::Baked,
    };
    let before = std::mem::take(&mut rollout.pact);
    let mates = joint.members.iter();
    let mates = mates.filter(|(key, _)| **key != rollout.service);
    rollout.pact = mates.map(|(key, id)| (key.clone(), *id)).collect();
    advance(state, change, now).inspect_err(|_| {
        if let Some(rollout) = &mut state.rollout {
            rollout.pact = before;
        }
    })
}
