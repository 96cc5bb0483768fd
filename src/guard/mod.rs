//! The second opinion: orders that must never be given.
//!
//! Looks at one order just before it is recorded and sent. It shares no code with the planner: a fault there should not be a fault here.

use crate::{
    name::{CloudName, ReleaseDigest},
    plan::state::{Ask, ServiceState},
    rollout::{intent::Order, phase::Phase},
};

/// An order that must not be sent, and why. Somebody wrote a bug: the service is stalled until a person looks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Alarm {
    #[error("refused to promote {} on {target}: its rollout has not passed its gates", release.short())]
    NotPassed {
        target: CloudName,
        release: ReleaseDigest,
    },
    #[error("refused to prune {target}: git still names the service, or was not read")]
    StillWanted { target: CloudName },
    #[error("refused to prune {target}: {absent} of {known} services would go")]
    PrunesTooMuch {
        target: CloudName,
        known: usize,
        absent: usize,
    },
    #[error("refused to write to {target}: `{resource}` does not carry our tags")]
    NotOurs { target: CloudName, resource: String },
    #[error("refused to stage {} on {target}: no rollout asks for it", release.short())]
    NotAsked {
        target: CloudName,
        release: ReleaseDigest,
    },
    #[error("refused to write to {target}: it was never seen")]
    Unseen { target: CloudName },
}

/// Looks at one order once more.
///
/// # Errors
///
/// What must never be done.
pub fn check(
    order: &Order,
    state: &ServiceState,
    known: usize,
    absent: usize,
) -> Result<(), Alarm> {
    match order {
        Order::Build { .. } | Order::Measure { .. } => Ok(()),
        Order::Stage { target, release } => {
            is_ours(state, *target)?;
            let is_asked = state.rollout.as_ref().is_some_and(|rollout| {
                rollout.release == *release && matches!(rollout.phase, Phase::Staging)
            });
            is_asked.then_some(()).ok_or(Alarm::NotAsked {
                target: *target,
                release: *release,
            })
        }
        Order::Promote { target, release } | Order::Repair { target, release } => {
            is_ours(state, *target)?;
            may_serve(state, *release)
                .then_some(())
                .ok_or(Alarm::NotPassed {
                    target: *target,
                    release: *release,
                })
        }
        Order::Retract { target, .. } => is_ours(state, *target),
        Order::Prune { target } => may_prune(state, *target, known, absent),
    }
}

/// Blue may hold what was promoted before, and what its own rollout is promoting now.
fn may_serve(state: &ServiceState, release: ReleaseDigest) -> bool {
    let was_promoted = state.memory.promoted == Some(release);
    let is_way_back = state.rollout.as_ref().is_some_and(|rollout| {
        rollout.previous == Some(release) && matches!(rollout.phase, Phase::RollingBack { .. })
    });
    let is_promoting = state.rollout.as_ref().is_some_and(|rollout| {
        rollout.release == release && matches!(rollout.phase, Phase::Promoting)
    });
    was_promoted || is_way_back || is_promoting
}

fn is_ours(state: &ServiceState, target: CloudName) -> Result<(), Alarm> {
    let Some(seen) = state.seen(target) else {
        return Err(Alarm::Unseen { target });
    };
    match seen.observed.foreign.first() {
        Some(resource) => Err(Alarm::NotOurs {
            target,
            resource: resource.clone(),
        }),
        None => Ok(()),
    }
}

fn may_prune(
    state: &ServiceState,
    target: CloudName,
    known: usize,
    absent: usize,
) -> Result<(), Alarm> {
    if !matches!(state.ask, Ask::Absent) {
        return Err(Alarm::StillWanted { target });
    }
    if absent >= 2 && absent * 2 > known {
        return Err(Alarm::PrunesTooMuch {
            target,
            known,
            absent,
        });
    }
    Ok(())
}
