//! Why is it not live? What stands between the newest commit and users, the most pressing first.
//!
//! Made from what the planner waits on and from what else is known to come: nothing is decided here, and nothing is left out because
//! something else is in the way first.

mod evidence;
mod since;
mod ways;
mod what;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::service::ServiceReport;
use crate::{
    name::{Revision, ServiceKey, Timestamp},
    plan::{
        reason::WaitingOn,
        state::{Ask, PinKind, ServiceState},
    },
    rollout::{
        Rollout,
        phase::Phase,
        window::{Opening, opening},
    },
    status::condition::{ConditionKind, Truth},
};

/// What stands between the newest commit and users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub service: ServiceKey,
    /// The newest commit that asks for something of it.
    pub newest: Option<Revision>,
    /// What users have.
    pub live: Option<Revision>,
    /// Users have what the newest commit asks for.
    pub is_live: bool,
    /// One sentence.
    pub why: String,
    /// The most pressing first.
    pub obstacles: Vec<Obstacle>,
}

/// One thing that is in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Obstacle {
    /// A stable word: those of `status.waiting`, `stalled`, or `ahead` for what is still to come.
    pub kind: String,
    pub what: String,
    pub needs: Needs,
    /// Since when it is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it ends by itself, or is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What is known of it.
    pub evidence: Vec<String>,
    /// What would unblock it.
    pub ways: Vec<Way>,
}

/// What it takes. In the order in which people should look.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Needs {
    /// Somebody must act.
    Person,
    /// A commit must come.
    Commit,
    /// A cloud must answer, or do what it was told; it is tried again.
    Cloud,
    /// It ends by itself.
    Time,
    /// Nothing yet: its turn comes later.
    Later,
}

/// One way out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Way {
    /// What to type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What it does, or what to do.
    pub text: String,
}

/// Explains one service, as its last pass left it.
pub fn explain(
    state: &ServiceState,
    waiting: &[WaitingOn],
    report: &ServiceReport,
    now: Timestamp,
) -> Explanation {
    let stalled = report.condition(ConditionKind::Stalled);
    let is_stalled_by_us = stalled.filter(|stalled| stalled.reason == "Stalled");
    let mut obstacles: Vec<Obstacle> = is_stalled_by_us
        .map(|stalled| stopped(state, &stalled.message, stalled.last_transition_time))
        .into_iter()
        .collect();
    let mut on: Vec<WaitingOn> = waiting.to_vec();
    if !obstacles.is_empty() {
        // The same in other words.
        on.retain(|on| !matches!(on, WaitingOn::Person { .. }));
    }
    // Nothing is held back by a pin at what Git asks for.
    let at_wanted = |on: &WaitingOn| matches!(on, WaitingOn::Pinned { release, .. } if Some(*release) == state.wanted());
    on.retain(|on| !at_wanted(on));
    for hidden in behind(state, now) {
        if !on.iter().any(|known| known.word() == hidden.word()) {
            on.push(hidden);
        }
    }
    let in_the_way = on.iter().filter(|on| !matches!(on, WaitingOn::Nothing));
    obstacles.extend(in_the_way.map(|on| obstacle(state, on)));
    obstacles.extend(
        state
            .active()
            .map(|it| ahead(it, waiting))
            .unwrap_or_default(),
    );
    obstacles.sort_by_key(|obstacle| obstacle.needs);
    let memory = &state.memory;
    let is_wanted = memory.promoted.is_some() && memory.promoted == state.wanted();
    let is_ready = report.ready() == Truth::True;
    Explanation {
        service: state.key.clone(),
        newest: report.status.revisions.desired.clone(),
        live: report.status.revisions.live.clone(),
        is_live: is_wanted && is_ready && state.active().is_none(),
        why: report.status.why.clone(),
        obstacles,
    }
}

fn obstacle(state: &ServiceState, on: &WaitingOn) -> Obstacle {
    Obstacle {
        kind: on.word().to_owned(),
        what: what::what(on),
        needs: what::needs(on),
        since: since::since(state, on),
        until: on.until(),
        evidence: evidence::evidence(state, on),
        ways: ways::ways(state, on),
    }
}

/// Nothing is decided for the service any more: something is wrong with us.
fn stopped(state: &ServiceState, message: &str, since: Timestamp) -> Obstacle {
    let way = |verb: &str, text: &str| Way {
        command: Some(format!("verdigris {verb} {}", state.key)),
        text: text.to_owned(),
    };
    Obstacle {
        kind: "stalled".to_owned(),
        what: message.to_owned(),
        needs: Needs::Person,
        since: Some(since),
        until: None,
        evidence: vec!["nothing is decided for it until somebody says so".to_owned()],
        ways: vec![
            way("events", "shows what led there"),
            way("reconcile", "has it evaluated again"),
        ],
    }
}

/// What is in the way behind what is waited for now.
pub fn behind(state: &ServiceState, now: Timestamp) -> Vec<WaitingOn> {
    let memory = &state.memory;
    let mut behind = Vec::new();
    if let Ask::Invalid { faults, .. } = &state.ask {
        behind.push(WaitingOn::Manifest {
            faults: faults.clone(),
        });
    }
    if let Some(destroyed) = &memory.destroyed {
        behind.push(WaitingOn::Destroyed {
            actor: destroyed.actor.clone(),
            reason: destroyed.reason.clone(),
        });
    }
    if let Some(suspension) = state.suspension(now) {
        behind.push(WaitingOn::Suspended {
            reason: suspension.reason.clone(),
            until: suspension.until,
        });
    }
    let is_held = |held: Option<_>| held == state.wanted();
    let pins = memory.pin.as_ref();
    let pins = pins.filter(|pin| Some(pin.release) != state.wanted());
    if let Some(pin) = pins.filter(|pin| pin.kind == PinKind::Person || is_held(pin.held)) {
        behind.push(WaitingOn::Pinned {
            release: pin.release,
            held: pin.held,
            kind: pin.kind,
            actor: pin.actor.clone(),
        });
    }
    let wanted = state
        .wanted()
        .filter(|wanted| memory.promoted != Some(*wanted));
    let rejected = wanted.and_then(|wanted| Some((wanted, memory.rejected.get(&wanted)?)));
    if let Some((release, rejection)) = rejected.filter(|_| state.active().is_none()) {
        behind.push(WaitingOn::Rejected {
            release,
            message: rejection.message.clone(),
        });
    }
    behind.extend(wanted.and_then(|_| window(state, now)));
    behind
}

/// A window that is closed, for a release that is not on its way back.
fn window(state: &ServiceState, now: Timestamp) -> Option<WaitingOn> {
    let is_open_to = |rollout: &Rollout| {
        rollout.bypass.is_some()
            || rollout.trigger.is_rollback()
            || !rollout.phase.is_before_promotion()
    };
    if state.active().is_some_and(is_open_to) {
        return None;
    }
    match opening(&state.windows(), now) {
        Opening::Open { .. } => None,
        Opening::Closed { by, opens, .. } => Some(WaitingOn::Window { message: by, opens }),
    }
}

/// What a rollout has still to pass once its turn comes.
fn ahead(rollout: &Rollout, waiting: &[WaitingOn]) -> Vec<Obstacle> {
    if rollout.trigger.is_rollback() || matches!(rollout.phase, Phase::RollingBack { .. }) {
        return Vec::new();
    }
    let at_work = waiting.iter().filter_map(|on| match on {
        WaitingOn::Gate { gate, .. } | WaitingOn::Approval { gate, .. } => Some(gate),
        WaitingOn::Nothing
        | WaitingOn::Git
        | WaitingOn::Manifest { .. }
        | WaitingOn::Cloud { .. }
        | WaitingOn::Answer { .. }
        | WaitingOn::LastHealthy { .. }
        | WaitingOn::Order { .. }
        | WaitingOn::Paused { .. }
        | WaitingOn::Window { .. }
        | WaitingOn::Person { .. }
        | WaitingOn::Soak { .. }
        | WaitingOn::Bake { .. }
        | WaitingOn::CanaryPause { .. }
        | WaitingOn::Suspended { .. }
        | WaitingOn::Destroyed { .. }
        | WaitingOn::Pinned { .. }
        | WaitingOn::Rejected { .. }
        | WaitingOn::Drift { .. }
        | WaitingOn::DriftLoop { .. }
        | WaitingOn::Prune { .. }
        | WaitingOn::Dependency { .. }
        | WaitingOn::Group { .. }
        | WaitingOn::Environment { .. } => None,
    });
    let at_work: Vec<_> = at_work.collect();
    let is_before = rollout.phase.is_before_promotion();
    evidence::gates(rollout)
        .into_iter()
        .filter(|gate| !gate.is_passed && !gate.is_bad && !at_work.contains(&&gate.name))
        .filter(|gate| is_before || gate.is_after)
        .map(|gate| Obstacle {
            kind: "ahead".to_owned(),
            what: gate.what,
            needs: Needs::Later,
            since: None,
            until: None,
            evidence: gate.evidence,
            ways: Vec::new(),
        })
        .collect()
}
