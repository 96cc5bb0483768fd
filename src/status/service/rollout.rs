//! What is told of a rollout, its gates and its evidence.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    manifest::spec::{Gate, GateKind, GateStage, Measure},
    name::{Actor, CloudName, GateName, Percent, ReleaseDigest, Revision, ServiceKey, Timestamp},
    rollout::{
        Approval, Rollout, Transition,
        evidence::{Measurement, Outcome},
        gate_run::GateRun,
        phase::Phase,
        verdict::Verdict,
    },
};

/// Measurements of each gate in the report of a service; the report of its rollout has all that are kept.
const MEASUREMENTS_TOLD: usize = 4;

/// Bytes of each long text of evidence in the report of a service.
const EVIDENCE_TOLD: usize = 256;

/// One rollout in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReport {
    /// `r-12`.
    pub id: String,
    pub service: ServiceKey,
    pub phase: String,
    pub active: bool,
    pub release: ReleaseDigest,
    pub revision: Revision,
    /// What blue holds again if this fails.
    pub previous: Option<ReleaseDigest>,
    /// `Commit`, `Retry` or `Rollback`.
    pub trigger: String,
    pub actor: Actor,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Why it did not go on.
    pub reason: Option<String>,
    pub message: Option<String>,
    pub gates: GateCount,
    /// While it takes a share of blue's requests, and before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryReport>,
}

/// How far a canary is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CanaryReport {
    /// The step that is under way, counted from 1.
    pub step: usize,
    pub steps: usize,
    /// The share that the release is to take, in percent.
    #[schema(value_type = u8)]
    pub weight: Percent,
    /// The steps in words.
    pub told: String,
    /// Clouds whose blue moves at once, with the promotion, each with why.
    pub notes: Vec<String>,
}

/// How many gates there are, and how many have passed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GateCount {
    pub total: usize,
    pub passed: usize,
    pub failed: usize,
}

/// One rollout with every move and all evidence that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDetail {
    #[serde(flatten)]
    pub rollout: RolloutReport,
    pub targets: Vec<CloudName>,
    pub transitions: Vec<Move>,
    pub gates_detail: Vec<GateReport>,
}

/// One move of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Move {
    pub at: Timestamp,
    pub phase: String,
    pub message: String,
}

/// One gate and what was found, counted as Argo Rollouts does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateReport {
    pub name: GateName,
    /// `http`, `command` or `approval`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `staging`: before a promotion, on green; `canary`: at a step of one, on green; `promotion`: after it, on blue.
    pub after: String,
    pub phase: GatePhase,
    /// Its verdict is told and not acted on.
    pub dry_run: bool,
    /// Measurements needed on each target, or successes in a row where `successLimit` asks for them; for an approval, people. 0 where it
    /// is asked until the bake ends.
    pub needed: u32,
    /// Measurements that count.
    pub count: u32,
    pub successful: u32,
    pub failed: u32,
    pub error: u32,
    pub inconclusive: u32,
    pub message: Option<String>,
    /// Who approved.
    pub approvals: Vec<Consent>,
    /// The newest, oldest first. Each has target, startedAt, finishedAt, outcome and evidence.
    #[schema(value_type = Vec<Object>)]
    pub measurements: Vec<Measurement>,
}

/// A person's word for an approval gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Consent {
    pub username: String,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub enum GatePhase {
    /// Its turn has not come.
    Pending,
    Running,
    Successful,
    Failed,
    Error,
    Inconclusive,
}

/// A rollout with every move and all evidence that is kept.
pub fn detail(rollout: &Rollout) -> RolloutDetail {
    let tell = |Transition { at, phase, message }: &Transition| Move {
        at: *at,
        phase: phase.clone(),
        message: message.clone(),
    };
    RolloutDetail {
        rollout: short(rollout),
        targets: rollout.targets.clone(),
        transitions: rollout.transitions.iter().map(tell).collect(),
        gates_detail: gates(rollout, usize::MAX, usize::MAX),
    }
}

pub(super) fn short(rollout: &Rollout) -> RolloutReport {
    let Rollout {
        id,
        service,
        release,
        revision,
        previous,
        trigger,
        actor,
        spec: _,
        environment: _,
        targets: _,
        phase,
        started_at,
        transitions: _,
        gates: _,
        approvals: _,
        pact: _,
    } = rollout;
    let why = phase.why();
    RolloutReport {
        id: id.to_string(),
        service: service.clone(),
        phase: phase.word().to_owned(),
        active: rollout.is_active(),
        release: *release,
        revision: revision.clone(),
        previous: *previous,
        trigger: trigger.word().to_owned(),
        actor: actor.clone(),
        started_at: *started_at,
        ended_at: rollout.ended_at(),
        reason: why.map(|why| why.reason.word().to_owned()),
        message: why.map(|why| why.message.clone()),
        gates: count(rollout),
        canary: canary(rollout),
    }
}

fn canary(rollout: &Rollout) -> Option<CanaryReport> {
    let Phase::Shifting { step, since: _ } = &rollout.phase else {
        return None;
    };
    let spec = &rollout.spec;
    let step = *step as usize;
    let steps = spec.strategy.steps().len();
    let whole = spec.moved_at_once(&rollout.targets);
    Some(CanaryReport {
        step: steps.min(step + 1),
        steps,
        weight: spec.strategy.weight_at(step),
        told: spec.strategy.told(),
        notes: whole.into_iter().map(|(_, told)| told).collect(),
    })
}

fn count(rollout: &Rollout) -> GateCount {
    let gates = gates(rollout, 0, 0);
    let number = |wanted: &[GatePhase]| {
        let is = |gate: &&GateReport| wanted.contains(&gate.phase);
        gates.iter().filter(is).count()
    };
    GateCount {
        total: gates.len(),
        passed: number(&[GatePhase::Successful]),
        failed: number(&[GatePhase::Failed, GatePhase::Error, GatePhase::Inconclusive]),
    }
}

pub(super) fn newest_gates(rollout: &Rollout) -> Vec<GateReport> {
    gates(rollout, MEASUREMENTS_TOLD, EVIDENCE_TOLD)
}

fn gates(rollout: &Rollout, measurements: usize, bytes: usize) -> Vec<GateReport> {
    if rollout.trigger.is_rollback() {
        // What was live before is not measured again.
        return Vec::new();
    }
    let tell = |gate: &Gate| self::gate(rollout, gate, measurements, bytes);
    rollout.spec.gates.iter().map(tell).collect()
}

fn gate(rollout: &Rollout, gate: &Gate, measurements: usize, bytes: usize) -> GateReport {
    let run = rollout.gates.iter().find(|run| run.gate == gate.name);
    let (phase, message) = judged(rollout, gate, run);
    let all = run
        .map(|run| run.measurements.as_slice())
        .unwrap_or_default();
    let newest = &all[all.len().saturating_sub(measurements)..];
    let number = |is: fn(&Outcome) -> bool| {
        let made = all.iter().filter(|made| is(&made.outcome)).count();
        u32::try_from(made).unwrap_or(u32::MAX)
    };
    let consent = |Approval { actor, at }: &Approval| Consent {
        username: actor.username.clone(),
        at: *at,
    };
    let (needed, approvals) = match &gate.kind {
        GateKind::Approval(approval) => (
            approval.quorum,
            rollout.approvals.iter().map(consent).collect(),
        ),
        GateKind::Http(_)
        | GateKind::Command(_)
        | GateKind::Load(_)
        | GateKind::Parity(_)
        | GateKind::Metric(_) => (needed(&gate.measure), Vec::new()),
    };
    GateReport {
        name: gate.name.clone(),
        kind: gate.kind.word().to_owned(),
        after: stage(gate.after).to_owned(),
        phase,
        dry_run: gate.measure.dry_run,
        needed,
        count: number(|_| true),
        successful: number(|outcome| matches!(outcome, Outcome::Successful)),
        failed: number(|outcome| matches!(outcome, Outcome::Failed { .. })),
        error: number(|outcome| matches!(outcome, Outcome::Error { .. })),
        inconclusive: number(|outcome| matches!(outcome, Outcome::Inconclusive { .. })),
        message,
        approvals,
        measurements: newest
            .iter()
            .map(|made| made.clone().shortened(bytes))
            .collect(),
    }
}

fn needed(measure: &Measure) -> u32 {
    measure.success_limit.or(measure.count).unwrap_or(0)
}

pub(super) fn stage(stage: GateStage) -> &'static str {
    match stage {
        GateStage::Staging => "staging",
        GateStage::Canary => "canary",
        GateStage::Promotion => "promotion",
    }
}

fn judged(rollout: &Rollout, gate: &Gate, run: Option<&GateRun>) -> (GatePhase, Option<String>) {
    if let GateKind::Approval(_) = &gate.kind {
        return (approval(&rollout.phase), None);
    }
    let Some(run) = run else {
        return (GatePhase::Pending, None);
    };
    match run.verdict(gate, &rollout.targets) {
        Verdict::Pending { next_at: _ } => (GatePhase::Running, None),
        // Once the bake is over, what went on until then has passed.
        Verdict::Watching { next_at: _ } if matches!(rollout.phase, Phase::Live) => {
            (GatePhase::Successful, None)
        }
        Verdict::Watching { next_at: _ } => (GatePhase::Running, None),
        Verdict::Passed => (GatePhase::Successful, None),
        Verdict::Failed { why } => (GatePhase::Failed, Some(why)),
        Verdict::Inconclusive { why } => (GatePhase::Inconclusive, Some(why)),
        Verdict::Error { why } => (GatePhase::Error, Some(why)),
    }
}

/// An approval is given once the rollout went on from waiting for it.
fn approval(phase: &Phase) -> GatePhase {
    match phase {
        Phase::AwaitingApproval { since: _ } => GatePhase::Running,
        Phase::Shifting { .. }
        | Phase::Promoting
        | Phase::Baking { .. }
        | Phase::Live
        | Phase::RollingBack { .. }
        | Phase::RolledBack { .. } => GatePhase::Successful,
        Phase::Queued
        | Phase::Building
        | Phase::Staging
        | Phase::Gating { .. }
        | Phase::Paused { .. }
        | Phase::Rejected { .. }
        | Phase::Superseded { .. } => GatePhase::Pending,
    }
}
