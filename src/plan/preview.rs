//! What would be done, read without doing it: `verdigris plan`, and the plan in the API.

use serde::Serialize;

use super::{
    reason::{Planned, Reason, WaitingOn},
    state::{Policy, ServiceState},
    step::{Fleet, Note, Step, reason_for, step},
};
use crate::{
    name::{Actor, CloudName, ReleaseDigest, Revision, ServiceKey, Timestamp},
    rollout::{Trigger, intent::Order},
};

/// The orders that would take one service from live to desired state.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePlan {
    pub service: ServiceKey,
    pub revision: Option<Revision>,
    pub wanted: Option<ReleaseDigest>,
    pub live: Option<ReleaseDigest>,
    /// In the order they would be sent; gates stand between staging and promotion.
    pub orders: Vec<Planned>,
    pub gates: Vec<String>,
    pub waiting: Vec<WaitingOn>,
}

impl ServicePlan {
    /// Whether there is something to do.
    pub fn is_quiet(&self) -> bool {
        self.orders.is_empty()
    }
}

/// What would be done for a service whose targets were looked at.
pub fn preview(state: &ServiceState, fleet: Fleet, policy: Policy, now: Timestamp) -> ServicePlan {
    let mut plan = ServicePlan {
        service: state.key.clone(),
        revision: state
            .ask
            .desired()
            .map(|desired| desired.release.revision.clone()),
        wanted: state.wanted(),
        live: state.memory.promoted,
        orders: Vec::new(),
        gates: Vec::new(),
        waiting: Vec::new(),
    };
    let mut state = state.clone();
    // Two notes at most come before something that is done or waited for: what is learnt, and a pin that is let go.
    for _ in 0..4 {
        match step(&state, fleet, policy, now) {
            Step::Note(Note::Forget) => break,
            Step::Note(
                note @ (Note::Learn { .. } | Note::Unpin | Note::Clear { .. } | Note::Redo { .. }),
            ) => {
                super::apply::note(&mut state, note, now);
                continue;
            }
            Step::Begin {
                release,
                trigger,
                actor,
            } => rollout(&mut plan, &state, release, trigger, &actor),
            Step::Send(sendings) => {
                plan.orders = sendings
                    .into_iter()
                    .map(|sending| Planned {
                        order: sending.order,
                        reason: sending.reason,
                    })
                    .collect();
            }
            Step::Observe(targets) => {
                // Being looked at; what was seen last is planned from.
                state.in_flight.observing.extend(targets);
                continue;
            }
            Step::Move(_) => {
                if let Some(active) = state.active() {
                    let (release, trigger, actor) =
                        (active.release, active.trigger, active.actor.clone());
                    rollout(&mut plan, &state, release, trigger, &actor);
                }
            }
            Step::Wait(waiting) => plan.waiting = waiting.on,
        }
        break;
    }
    plan.live = state.memory.promoted;
    plan
}

/// The orders of a whole rollout.
fn rollout(
    plan: &mut ServicePlan,
    state: &ServiceState,
    release: ReleaseDigest,
    trigger: Trigger,
    actor: &Actor,
) {
    let reason = reason_for(state, release, trigger, actor);
    let targets = state.targets();
    let mut add = |order: Order, reason: &Reason| {
        plan.orders.push(Planned {
            order,
            reason: reason.clone(),
        });
    };
    add(Order::Build { release }, &reason);
    let holds = |target: &CloudName| {
        state
            .seen(*target)
            .is_some_and(|seen| seen.observed.blue.holds(release))
    };
    for target in targets.iter().filter(|target| !holds(target)) {
        add(
            Order::Stage {
                target: *target,
                release,
            },
            &reason,
        );
    }
    for target in targets.iter().filter(|target| !holds(target)) {
        add(
            Order::Promote {
                target: *target,
                release,
            },
            &reason,
        );
    }
    let gates = state
        .ask
        .desired()
        .map(|desired| desired.rollout.gates.as_slice())
        .unwrap_or_default();
    plan.gates = gates.iter().map(|gate| gate.name.to_string()).collect();
}
