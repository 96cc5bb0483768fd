//! What is known of an obstacle: what was found, what was tried, who said what.

use crate::{
    manifest::spec::GateKind,
    name::GateName,
    plan::{reason::WaitingOn, state::ServiceState, step::reason_for},
    rollout::{
        Rollout,
        evidence::{Measurement, Outcome},
        intent::{Failure, Intent, IntentState, Order},
        word::Approval,
    },
    status::service::rollout::{GatePhase, GateReport, newest_gates},
};

/// Lines of evidence of one obstacle; the report of the rollout has the rest.
const LINES_MAX: usize = 8;

pub(super) fn evidence(state: &ServiceState, on: &WaitingOn) -> Vec<String> {
    let mut lines = match on {
        WaitingOn::Nothing | WaitingOn::Git => Vec::new(),
        WaitingOn::Manifest { faults } => faults.clone(),
        WaitingOn::Cloud { target, failure }
        | WaitingOn::LastHealthy {
            ill: target,
            failure,
            ..
        } => {
            let live = state.live.get(target);
            let problem = live.and_then(|live| live.problem.as_ref());
            let looks = problem.map(|problem| format!("{} looks failed in a row", problem.times));
            told(failure.as_ref()).into_iter().chain(looks).collect()
        }
        WaitingOn::Answer { message, .. } => vec![message.clone()],
        WaitingOn::Order { order, failure, .. } => tried(state, order, failure.as_ref()),
        WaitingOn::Gate { gate, .. } => of_gate(state, gate),
        WaitingOn::Approval { gate, .. } => approvals(state, gate),
        WaitingOn::Paused { reason, .. } => given(reason),
        WaitingOn::Window { message, .. } => vec![message.clone()],
        WaitingOn::Person { .. } => failing(state),
        WaitingOn::Soak { .. } | WaitingOn::Bake { .. } | WaitingOn::CanaryPause { .. } => {
            watched(state)
        }
        WaitingOn::Suspended { .. } => {
            let by = state.memory.suspension.as_ref();
            by.map(|it| format!("by {}", it.actor.username))
                .into_iter()
                .collect()
        }
        WaitingOn::Destroyed { .. } => gone(state),
        WaitingOn::Pinned { .. } => {
            let pin = state.memory.pin.as_ref();
            pin.map(|pin| given(&pin.reason)).unwrap_or_default()
        }
        WaitingOn::Rejected { release, .. } => {
            let rollout = state.rollout.as_ref();
            let is_its = rollout.is_some_and(|rollout| rollout.release == *release);
            if is_its { failing(state) } else { Vec::new() }
        }
        WaitingOn::Drift { target, message } | WaitingOn::DriftLoop { target, message } => {
            let fields = state.drift(*target).into_iter();
            let fields: Vec<String> = fields.map(|field| field.to_string()).collect();
            match fields.is_empty() {
                true => vec![message.clone()],
                false => fields,
            }
        }
        WaitingOn::Dependency { standing, .. }
        | WaitingOn::Group { standing, .. }
        | WaitingOn::Environment { standing, .. } => vec![format!("it {standing}")],
        WaitingOn::Prune { .. } => Vec::new(),
    };
    lines.truncate(LINES_MAX);
    lines
}

fn gone(state: &ServiceState) -> Vec<String> {
    let destroyed = state.memory.destroyed.as_ref();
    let told = destroyed.map(|it| match it.gone_at {
        Some(_) => "nothing of it is left on any cloud".to_owned(),
        None => "something of it is left".to_owned(),
    });
    told.into_iter().collect()
}

fn given(reason: &str) -> Vec<String> {
    match reason {
        "" => Vec::new(),
        reason => vec![format!("because {reason}")],
    }
}

fn told(failure: Option<&Failure>) -> Option<String> {
    failure.map(|failure| format!("{}: {}", failure.reason, failure.message))
}

fn tried(state: &ServiceState, order: &Order, failure: Option<&Failure>) -> Vec<String> {
    let mut intents = state.intents.values().map(AsRef::as_ref);
    let intent = intents.find(|intent: &&Intent| intent.order == *order);
    let why = intent.filter(|intent| !intent.reason.is_empty());
    let why = why.map(|Intent { reason, .. }| format!("ordered because: {reason}"));
    let attempts = intent.and_then(|intent| match &intent.state {
        IntentState::Open { attempts, .. } if *attempts > 0 => Some(*attempts),
        IntentState::Open { .. } | IntentState::Done { .. } | IntentState::Failed { .. } => None,
    });
    let attempts = attempts.map(|times| format!("{times} tries failed"));
    why.into_iter()
        .chain(attempts)
        .chain(told(failure))
        .collect()
}

fn of_gate(state: &ServiceState, name: &GateName) -> Vec<String> {
    let gates = state.rollout.as_ref().map(gates).unwrap_or_default();
    let gate = gates.into_iter().find(|gate| gate.name == *name);
    gate.map(|gate| gate.evidence).unwrap_or_default()
}

/// What the gates found that did not pass.
fn failing(state: &ServiceState) -> Vec<String> {
    let gates = state.rollout.as_ref().map(gates).unwrap_or_default();
    let bad = gates.into_iter().filter(|gate| gate.is_bad);
    bad.flat_map(|gate| gate.evidence).collect()
}

/// What the gates find while blue is watched.
fn watched(state: &ServiceState) -> Vec<String> {
    let gates = state.rollout.as_ref().map(gates).unwrap_or_default();
    let after = gates.into_iter().filter(|gate| gate.is_after);
    after.flat_map(|gate| gate.evidence).collect()
}

/// What would change, whose word counts, and who gave it.
fn approvals(state: &ServiceState, name: &GateName) -> Vec<String> {
    let gates = state.rollout.iter().flat_map(|rollout| &rollout.spec.gates);
    let changes = state.active().map(|rollout| {
        let reason = reason_for(state, rollout.release, rollout.trigger, &rollout.actor);
        format!("what changes: {reason}")
    });
    let asked = gates.filter(|gate| gate.name == *name);
    let asked = asked.filter_map(|gate| match &gate.kind {
        GateKind::Approval(approval) => Some(format!("it takes the word of {}", approval.people())),
        GateKind::Http(_)
        | GateKind::Command(_)
        | GateKind::Load(_)
        | GateKind::Parity(_)
        | GateKind::Metric(_) => None,
    });
    let given = state.rollout.iter().flat_map(|rollout| &rollout.approvals);
    let tell = |given: &Approval| {
        let (who, at) = (&given.actor.username, given.at);
        match given.void_since {
            Some(void) => format!("{who} approved at {at}; void since {void}, as the plan changed"),
            None => format!("{who} approved at {at}"),
        }
    };
    let told = changes.into_iter().chain(asked);
    told.chain(given.map(tell)).collect()
}

/// A gate and what was found, in words.
pub(super) struct Told {
    pub(super) name: GateName,
    pub(super) what: String,
    /// Blue is asked, after the promotion.
    pub(super) is_after: bool,
    pub(super) is_passed: bool,
    pub(super) is_bad: bool,
    pub(super) evidence: Vec<String>,
}

pub(super) fn gates(rollout: &Rollout) -> Vec<Told> {
    let tell = |gate: GateReport| {
        let counts = counts(&gate);
        let is_asked = gate.count > 0;
        let lines = gate
            .measurements
            .iter()
            .rev()
            .filter_map(|it| line(&gate.name, it));
        let evidence = is_asked
            .then_some(counts)
            .into_iter()
            .chain(lines)
            .collect();
        let (is_passed, is_bad) = match gate.phase {
            GatePhase::Successful => (true, false),
            GatePhase::Failed | GatePhase::Error | GatePhase::Inconclusive => (false, true),
            GatePhase::Pending | GatePhase::Running => (false, false),
        };
        let is_after = gate.after == "promotion";
        let when = if is_after { ", on blue" } else { "" };
        Told {
            what: format!("{} gate {}{when}", gate.kind, gate.name),
            name: gate.name,
            is_after,
            is_passed,
            is_bad: is_bad && !gate.dry_run,
            evidence,
        }
    };
    newest_gates(rollout).into_iter().map(tell).collect()
}

/// How often it was asked, and how often it must pass.
fn counts(gate: &GateReport) -> String {
    let parts = [
        (gate.successful, "passed"),
        (gate.failed, "failed"),
        (gate.error, "without an answer"),
        (gate.inconclusive, "unclear"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let made = format!("{}: {}", gate.name, parts.join(", "));
    let is_of_each = gate.measurements.iter().any(|made| made.target.is_some());
    match (gate.needed, is_of_each) {
        (0, _) => made,
        (needed, true) => format!("{made}; it needs {needed} on each cloud"),
        (needed, false) => format!("{made}; it needs {needed}"),
    }
}

/// What one measurement found that is not good.
fn line(gate: &GateName, made: &Measurement) -> Option<String> {
    let on = made.target.map(|target| format!(" on {target}"));
    let on = on.unwrap_or_default();
    let at = made.finished_at;
    match &made.outcome {
        Outcome::Successful => None,
        Outcome::Failed { why } | Outcome::Error { why } | Outcome::Inconclusive { why } => {
            Some(format!("{gate}{on} at {at}: {why}"))
        }
    }
}
