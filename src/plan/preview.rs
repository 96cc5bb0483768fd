//! What would be done, read without doing it: `verdigris plan`, and the plan in the API.

use serde::Serialize;

use super::{
    around::{self, Around},
    bound,
    reason::{Planned, Reason, WaitingOn},
    rolling::shifting::weighers,
    state::{Policy, ServiceState},
    step::{Note, Step, reason_for, step},
};
use crate::{
    manifest::{parity::gaps, spec::RolloutSpec, strategy::CanaryStep},
    name::{Actor, CloudName, Percent, PlanHash, ReleaseDigest, Revision, ServiceKey, Timestamp},
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
    /// What approvals are given for, where a release would be or is being rolled out.
    pub hash: Option<PlanHash>,
    /// In the order they would be sent; gates stand between staging and promotion.
    pub orders: Vec<Planned>,
    pub gates: Vec<String>,
    /// What people should know of it, such as a cloud that takes no share of a canary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub waiting: Vec<WaitingOn>,
}

impl ServicePlan {
    /// Whether there is something to do.
    pub fn is_quiet(&self) -> bool {
        self.orders.is_empty()
    }
}

/// What would be done for a service whose targets were looked at.
pub fn preview(
    state: &ServiceState,
    around: &Around,
    policy: Policy,
    now: Timestamp,
) -> ServicePlan {
    let mut plan = ServicePlan {
        service: state.key.clone(),
        revision: state
            .ask
            .desired()
            .map(|desired| desired.release.revision.clone()),
        wanted: state.wanted(),
        live: state.memory.promoted,
        hash: None,
        orders: Vec::new(),
        gates: Vec::new(),
        notes: Vec::new(),
        waiting: Vec::new(),
    };
    let mut state = without_what_ends(state);
    // Two notes at most come before something that is done or waited for: what is learnt, and a pin that is let go.
    for _ in 0..4 {
        match step(&state, around, policy, now) {
            Step::Note(Note::Forget) => break,
            Step::Note(
                note @ (Note::Learn { .. }
                | Note::Unpin
                | Note::VoidApprovals { .. }
                | Note::StopRepairs { .. }
                | Note::ForgetRepairs { .. }
                | Note::Clear { .. }
                | Note::Gone
                | Note::Redo { .. }),
            ) => {
                super::apply::note(&mut state, note, now);
                continue;
            }
            Step::Begin {
                release,
                trigger,
                actor,
            } => {
                rollout(&mut plan, &state, release, trigger, &actor);
                plan.waiting = ahead(&state, around, now);
            }
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
            Step::Move(_) | Step::Together(_) => {
                if let Some(active) = state.active() {
                    let (release, trigger) = (active.release, active.trigger);
                    rollout(&mut plan, &state, release, trigger, &active.actor);
                }
            }
            Step::Wait(waiting) => plan.waiting = waiting.on,
        }
        break;
    }
    plan.live = state.memory.promoted;
    if let Some(wanted) = plan.wanted.filter(|wanted| plan.live != Some(*wanted)) {
        plan.notes.extend(unequal(&state, wanted, &state.targets()));
    }
    plan.hash = hash(&state, &plan);
    plan
}

/// A destruction ends whatever is under way before it does anything.
fn without_what_ends(state: &ServiceState) -> ServiceState {
    let mut state = state.clone();
    if state.memory.destroyed.is_some() {
        state.rollout = None;
    }
    state
}

/// Of the rollout that is under way; else of the one that would begin.
fn hash(state: &ServiceState, plan: &ServicePlan) -> Option<PlanHash> {
    if let Some(rollout) = state.active() {
        let is_before = rollout.phase.is_before_promotion();
        return is_before.then(|| bound::hash(state, rollout));
    }
    let is_build = |planned: &&Planned| matches!(planned.order, Order::Build { .. });
    let begun = plan.orders.iter().find(is_build)?;
    Some(bound::of(state, begun.order.release()?, &state.targets()))
}

/// A service that was never looked at before, with what the look says of it.
pub fn learnt(state: &ServiceState, now: Timestamp) -> ServiceState {
    let mut state = state.clone();
    let next = step(&state, &Around::default(), Policy::default(), now);
    if let Step::Note(note @ Note::Learn { .. }) = next {
        super::apply::note(&mut state, note, now);
    }
    state
}

/// Whom a rollout that begins now will have to wait for.
fn ahead(state: &ServiceState, around: &Around, now: Timestamp) -> Vec<WaitingOn> {
    let waiting = around::ahead(state, around, now);
    let mut on = waiting.map(|waiting| waiting.on).unwrap_or_default();
    on.extend(around::mates(around));
    on
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
    let active = state.active().map(|active| &active.spec);
    let spec = active.or_else(|| state.ask.desired().map(|desired| &desired.rollout));
    let spec = spec.filter(|_| !trigger.is_rollback());
    for (target, weight) in
        spec.map_or_else(Vec::new, |spec| shares(state, spec, &targets, release))
    {
        add(
            Order::Shift {
                target,
                release,
                weight,
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
    let whole = spec.map_or_else(Vec::new, |spec| spec.moved_at_once(&targets));
    plan.notes = whole.into_iter().map(|(_, told)| told).collect();
}

/// What only one of the clouds can do, and the nearest that the other can.
fn unequal(state: &ServiceState, release: ReleaseDigest, targets: &[CloudName]) -> Vec<String> {
    let Some(record) = state.releases.get(&release) else {
        return Vec::new();
    };
    let content = &record.release.content;
    let gaps = gaps(&content.functions, content.azure.as_deref(), targets);
    gaps.iter()
        .map(|gap| format!("{}: {}", gap.told(), gap.nearest))
        .collect()
}

/// The shares that a canary gives, in the order of its steps.
fn shares(
    state: &ServiceState,
    spec: &RolloutSpec,
    targets: &[CloudName],
    release: ReleaseDigest,
) -> Vec<(CloudName, Percent)> {
    let previous = state.memory.promoted.filter(|it| *it != release);
    let weighers = weighers(state, spec, targets, previous, release);
    let mut shares = Vec::new();
    for step in spec.strategy.steps() {
        match step {
            CanaryStep::Weight(weight) => {
                shares.extend(weighers.iter().map(|target| (*target, *weight)));
            }
            CanaryStep::Pause(_) | CanaryStep::Gates(_) => {}
        }
    }
    shares
}
