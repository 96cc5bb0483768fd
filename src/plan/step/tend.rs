//! Blue is kept as it was promoted while a rollout waits: for people, a window or other services that may last for days.

use super::{
    Step, Waiting, drift,
    look::{look, next_look},
};
use crate::{
    manifest::spec::DriftMode,
    name::{ReleaseDigest, Timestamp},
    plan::state::{Ask, Policy, ServiceState},
};

/// A wait, and what is done about blue meanwhile.
pub(super) fn tend(state: &ServiceState, waiting: Waiting, policy: Policy, now: Timestamp) -> Step {
    let Some((promoted, mode)) = tended(state, now) else {
        return Step::Wait(waiting);
    };
    if let Some(step) = look(state, policy, now) {
        return step;
    }
    let Waiting { mut on, mut wake } = waiting;
    match drift::drifted(state, promoted, mode, policy, now) {
        Some(Step::Wait(other)) => {
            on.extend(other.on);
            wake = wake.into_iter().chain(other.wake).min();
        }
        Some(step) => return step,
        None => {}
    }
    wake = wake.into_iter().chain(next_look(state, policy)).min();
    Step::Wait(Waiting { on, wake })
}

/// What blue is to hold meanwhile; nothing where the rollout has blue in its hands, an order is at work, or a person wants no repairs.
fn tended(state: &ServiceState, now: Timestamp) -> Option<(ReleaseDigest, DriftMode)> {
    let rollout = state.active()?;
    let desired = match &state.ask {
        Ask::Wanted(desired)
        | Ask::Invalid {
            faults: _,
            last_good: Some(desired),
        } => desired,
        Ask::Unknown
        | Ask::Absent
        | Ask::Invalid {
            faults: _,
            last_good: None,
        } => return None,
    };
    let is_free = rollout.phase.is_before_promotion()
        && !rollout.trigger.is_rollback()
        && rollout.environment.as_ref() == Some(&desired.environment)
        && state.writing().is_none()
        && state.suspension(now).is_none();
    let promoted = state.memory.promoted.filter(|_| is_free)?;
    Some((promoted, desired.drift.mode))
}
