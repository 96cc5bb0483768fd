//! The second opinion: orders that must never be given.
//!
//! Looks at one order just before it is recorded and sent. It shares no code with the planner: a fault there should not be a fault here.

mod standing;

use crate::{
    manifest::{
        spec::{Gate, GateKind, GateStage, Measure},
        strategy::{CanaryStep, Strategy},
    },
    name::{Actor, CloudName, GateName, Percent, ReleaseDigest, ServiceKey},
    plan::{
        around::{Around, Stage},
        state::{Ask, ServiceState},
        step::Fleet,
    },
    rollout::{Rollout, evidence::Outcome, intent::Order, phase::Phase},
};

/// An order that must not be sent, and why. Somebody wrote a bug: the service is stalled until a person looks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Alarm {
    #[error("refused to promote {} on {target}: its rollout has not passed its gates", release.short())]
    NotPassed {
        target: CloudName,
        release: ReleaseDigest,
    },
    #[error("refused to give {} a share of {target} blue: its rollout has not passed the gates before that", release.short())]
    NoShare {
        target: CloudName,
        release: ReleaseDigest,
    },
    #[error("refused to prune {target}: git still names the service, or was not read")]
    StillWanted { target: CloudName },
    #[error("refused an order for a service that {by} had destroyed: {order}")]
    Destroyed { by: String, order: String },
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
    #[error("refused to take {} off {target}: it is not the way back from a first promotion", release.short())]
    NothingBefore {
        target: CloudName,
        release: ReleaseDigest,
    },
    #[error("refused to promote {} on {target}: {mate}, which goes with it, does not", release.short())]
    LeavesItsGroup {
        target: CloudName,
        release: ReleaseDigest,
        mate: ServiceKey,
    },
    #[error("refused to write to {target}: it was never seen")]
    Unseen { target: CloudName },
    #[error("refused to promote on {target}: {ill} is ill, and {target} is the last healthy cloud")]
    LastHealthy { target: CloudName, ill: CloudName },
    #[error("refused an order for {}: {} is asked for now", release.short(), named(*.by))]
    Superseded {
        release: ReleaseDigest,
        by: Option<ReleaseDigest>,
    },
}

fn named(release: Option<ReleaseDigest>) -> String {
    release.map_or_else(|| "nothing".to_owned(), |release| release.short())
}

/// Looks at one order once more.
///
/// # Errors
///
/// What must never be done.
pub fn check(
    order: &Order,
    state: &ServiceState,
    around: &Around,
    share: usize,
) -> Result<(), Alarm> {
    nothing_for_the_destroyed(order, state)?;
    match order {
        Order::Build { release } => standing::is_current(state, *release),
        Order::Measure { .. } => match &state.rollout {
            Some(rollout) => standing::is_current(state, rollout.release),
            None => Ok(()),
        },
        Order::Stage { target, release } => {
            is_ours(state, *target)?;
            standing::is_current(state, *release)?;
            let is_asked = state.rollout.as_ref().is_some_and(|rollout| {
                rollout.release == *release && matches!(rollout.phase, Phase::Staging)
            });
            is_asked.then_some(()).ok_or(Alarm::NotAsked {
                target: *target,
                release: *release,
            })
        }
        Order::Shift {
            target,
            release,
            weight,
        } => {
            is_ours(state, *target)?;
            let may = match weight.is_none() {
                true => is_going_back(state, *release),
                false => may_share(state, *release, *weight),
            };
            may.then_some(()).ok_or(Alarm::NoShare {
                target: *target,
                release: *release,
            })
        }
        Order::Promote { target, release } | Order::Repair { target, release } => {
            is_ours(state, *target)?;
            let (target, release) = (*target, *release);
            standing::is_current(state, release)?;
            standing::is_not_the_last(state, target, release)?;
            if !may_serve(state, release) {
                return Err(Alarm::NotPassed { target, release });
            }
            with_its_group(state, around, target, release)
        }
        Order::Retract { target, release } => {
            is_ours(state, *target)?;
            is_first(state).then_some(()).ok_or(Alarm::NothingBefore {
                target: *target,
                release: *release,
            })
        }
        Order::Prune { target } if state.memory.destroyed.is_some() => is_seen(state, *target),
        Order::Prune { target } => may_prune(state, *target, around.fleet, share),
    }
}

/// What a person had destroyed is taken away, and nothing else is done with it.
fn nothing_for_the_destroyed(order: &Order, state: &ServiceState) -> Result<(), Alarm> {
    match (&state.memory.destroyed, order) {
        (None, _) | (Some(_), Order::Prune { .. }) => Ok(()),
        (
            Some(destroyed),
            Order::Build { .. }
            | Order::Stage { .. }
            | Order::Measure { .. }
            | Order::Shift { .. }
            | Order::Promote { .. }
            | Order::Retract { .. }
            | Order::Repair { .. },
        ) => Err(Alarm::Destroyed {
            by: destroyed.actor.username.clone(),
            order: order.to_string(),
        }),
    }
}

/// Blue may hold what was promoted before, what its own rollout is promoting now, and what it held before that rollout.
fn may_serve(state: &ServiceState, release: ReleaseDigest) -> bool {
    if state.memory.promoted == Some(release) {
        return true;
    }
    let Some(rollout) = &state.rollout else {
        return false;
    };
    match &rollout.phase {
        Phase::RollingBack { .. } => rollout.previous == Some(release),
        Phase::Promoting if rollout.release != release => false,
        Phase::Promoting if rollout.trigger.is_rollback() => {
            let record = state.releases.get(&release);
            record.is_some_and(|record| record.promoted_at.is_some())
        }
        Phase::Promoting => rollout
            .spec
            .gates
            .iter()
            .all(|gate| has_passed(rollout, gate)),
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::Paused { .. }
        | Phase::AwaitingApproval { .. }
        | Phase::Shifting { .. }
        | Phase::Baking { .. }
        | Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RolledBack { .. } => false,
    }
}

/// A canary serves only what passed every gate of staging, and those of its own earlier steps; and never more than its step says.
fn may_share(state: &ServiceState, release: ReleaseDigest, weight: Percent) -> bool {
    let Some(rollout) = state.rollout.as_ref().filter(|it| it.release == release) else {
        return false;
    };
    let Phase::Shifting { step, .. } = &rollout.phase else {
        return false;
    };
    let Strategy::Canary { steps } = &rollout.spec.strategy else {
        return false;
    };
    let reached = steps.iter().take(*step as usize + 1);
    let mut allowed = Percent::NONE;
    let mut before: Vec<&GateName> = Vec::new();
    for (index, step_of) in reached.enumerate() {
        match step_of {
            CanaryStep::Weight(weight) => allowed = *weight,
            CanaryStep::Gates(gates) if index < *step as usize => before.extend(gates),
            CanaryStep::Gates(_) | CanaryStep::Pause(_) => {}
        }
    }
    let counts = |gate: &&Gate| match gate.after {
        GateStage::Staging => true,
        GateStage::Canary => before.contains(&&gate.name),
        GateStage::Promotion => false,
    };
    let mut gates = rollout.spec.gates.iter().filter(counts);
    weight <= allowed && rollout.previous.is_some() && gates.all(|gate| has_passed(rollout, gate))
}

fn is_going_back(state: &ServiceState, release: ReleaseDigest) -> bool {
    state.rollout.as_ref().is_some_and(|rollout| {
        rollout.release == release && matches!(rollout.phase, Phase::RollingBack { .. })
    })
}

/// Counts what a gate found, and what people said, afresh.
fn has_passed(rollout: &Rollout, gate: &Gate) -> bool {
    if gate.measure.dry_run || matches!(gate.after, GateStage::Promotion) {
        return true;
    }
    let count_of = |target: Option<CloudName>| {
        let runs = rollout.gates.iter().filter(|run| run.gate == gate.name);
        let made = runs.flat_map(|run| &run.measurements);
        let outcomes = made.filter(|it| it.target == target).map(|it| &it.outcome);
        has_enough(&gate.measure, &outcomes.collect::<Vec<_>>())
    };
    match &gate.kind {
        kind if kind.asks_each_target() => {
            rollout.targets.iter().all(|target| count_of(Some(*target)))
        }
        GateKind::Http(_)
        | GateKind::Command(_)
        | GateKind::Load(_)
        | GateKind::Parity(_)
        | GateKind::Metric(_) => count_of(None),
        GateKind::Approval(approval) => {
            let is_open = approval.by.is_empty() && approval.roles.is_empty();
            let may = |who: &Actor| {
                let mut names = approval.by.iter();
                let mut roles = approval.roles.iter();
                is_open
                    || names.any(|by| *by == who.username)
                    || roles.any(|it| who.roles.contains(it))
            };
            let given = rollout.approvals.iter();
            let given = given.filter(|given| given.void_since.is_none() && may(&given.actor));
            given.count() >= approval.quorum as usize
        }
    }
}

/// A member of a group takes no blue while another that it goes with has stopped, or has not come so far.
fn with_its_group(
    state: &ServiceState,
    around: &Around,
    target: CloudName,
    release: ReleaseDigest,
) -> Result<(), Alarm> {
    let rollout = state.rollout.as_ref();
    let promoting = rollout.filter(|it| matches!(it.phase, Phase::Promoting));
    let mates = promoting.into_iter().flat_map(|rollout| &rollout.pact);
    for (mate, id) in mates {
        let other = around.others.get(mate);
        let facts = other.and_then(|other| other.facts.as_ref());
        let theirs = facts.and_then(|facts| facts.rollout.as_ref());
        let goes_along = theirs
            .is_some_and(|it| it.id == *id && matches!(it.stage, Stage::Moving | Stage::Live));
        if !goes_along {
            return Err(Alarm::LeavesItsGroup {
                target,
                release,
                mate: mate.clone(),
            });
        }
    }
    Ok(())
}

/// Not one more failed than is forgiven, and as much succeeded as is asked for.
fn has_enough(measure: &Measure, outcomes: &[&Outcome]) -> bool {
    let number = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|it| is(it)).count();
    let successful = number(|it| matches!(it, Outcome::Successful));
    let failed = number(|it| matches!(it, Outcome::Failed { .. }));
    let unclear = number(|it| matches!(it, Outcome::Inconclusive { .. }));
    let newest = outcomes.iter().rev();
    let in_row = newest
        .take_while(|it| matches!(it, Outcome::Successful))
        .count();
    let is_within = |number: usize, limit: u32| number <= limit as usize;
    let is_many =
        |number: usize, wanted: Option<u32>| wanted.is_some_and(|it| number >= it as usize);
    successful > 0
        && measure
            .failure_limit
            .is_none_or(|limit| is_within(failed, limit))
        && is_within(unclear, measure.inconclusive_limit)
        && match measure.success_limit {
            Some(limit) => is_many(in_row, Some(limit)),
            None => is_many(successful + failed + unclear, measure.count),
        }
}

/// Nothing was on blue before this rollout, and it is on its way back.
fn is_first(state: &ServiceState) -> bool {
    state.memory.promoted.is_none()
        && state.rollout.as_ref().is_some_and(|rollout| {
            rollout.previous.is_none() && matches!(rollout.phase, Phase::RollingBack { .. })
        })
}

fn is_ours(state: &ServiceState, target: CloudName) -> Result<(), Alarm> {
    let live = state.live.get(&target);
    let Some(seen) = live.and_then(|live| live.seen.as_ref()) else {
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

fn is_seen(state: &ServiceState, target: CloudName) -> Result<(), Alarm> {
    let live = state.live.get(&target);
    let seen = live.and_then(|live| live.seen.as_ref());
    seen.map(|_| ()).ok_or(Alarm::Unseen { target })
}

fn may_prune(
    state: &ServiceState,
    target: CloudName,
    fleet: Fleet,
    share: usize,
) -> Result<(), Alarm> {
    let Fleet { known, absent } = fleet;
    if !matches!(state.ask, Ask::Absent) {
        return Err(Alarm::StillWanted { target });
    }
    is_seen(state, target)?;
    if absent * 100 > known * share {
        return Err(Alarm::PrunesTooMuch {
            target,
            known,
            absent,
        });
    }
    Ok(())
}
