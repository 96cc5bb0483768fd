//! One gate of one rollout: what was measured, and what is made of it.

use serde::{Deserialize, Serialize};

use super::{
    Rollout,
    evidence::{Evidence, Measurement},
    phase::Phase,
    verdict::{Verdict, due, verdict},
};
use crate::{
    manifest::spec::{Gate, GateKind, GateStage},
    name::{CloudName, GateName, Timestamp},
};

/// The measurements of one gate, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateRun {
    pub gate: GateName,
    pub kind: String,
    pub after: GateStage,
    /// Rounds asked for so far; one round measures every target.
    pub rounds: u32,
    /// When its phase began: delays count from here, and older measurements do not count.
    pub since: Timestamp,
    pub measurements: Vec<Measurement>,
}

/// Measurements of each gate that are kept with their evidence; older ones keep their outcome only, which the verdict needs.
pub const EVIDENCE_KEPT: usize = 100;

/// Bytes kept of each long text of a measurement: a hundred measurements stay well below the size of a record.
pub const EVIDENCE_MAX: usize = 2048;

impl GateRun {
    pub fn new(gate: &Gate, since: Timestamp) -> Self {
        Self {
            gate: gate.name.clone(),
            kind: gate.kind.word().to_owned(),
            after: gate.after,
            rounds: 0,
            since,
            measurements: Vec::new(),
        }
    }

    /// Keeps a record that is written after every round from growing with each of them.
    pub fn forget_old_evidence(&mut self) {
        let old = self.measurements.len().saturating_sub(EVIDENCE_KEPT);
        for measurement in &mut self.measurements[..old] {
            measurement.evidence = Evidence::None;
        }
    }

    /// The older half of the measurements that have evidence lose it.
    pub(super) fn forget_half_of_the_evidence(&mut self) {
        let with_evidence = |it: &&mut Measurement| it.evidence != Evidence::None;
        let count = self
            .measurements
            .iter()
            .filter(|it| it.evidence != Evidence::None)
            .count();
        for measurement in self
            .measurements
            .iter_mut()
            .filter(with_evidence)
            .take(count.div_ceil(2))
        {
            measurement.evidence = Evidence::None;
        }
    }

    /// What the measurements of this phase say. Approval gates are not measured: they are always pending here.
    pub fn verdict(&self, gate: &Gate, targets: &[CloudName]) -> Verdict {
        match &gate.kind {
            GateKind::Approval(_) => Verdict::Pending {
                next_at: Timestamp::from_millis(i64::MAX),
            },
            kind if kind.asks_each_target() => {
                verdict(&gate.measure, targets, self.since, &self.measurements)
            }
            GateKind::Http(_)
            | GateKind::Command(_)
            | GateKind::Load(_)
            | GateKind::Parity(_)
            | GateKind::Metric(_) => verdict(&gate.measure, &[], self.since, &self.measurements),
        }
    }

    /// The targets that the next round asks; others than `http` and `load` mostly ask about all of them at once.
    pub fn due(&self, gate: &Gate, targets: &[CloudName], now: Timestamp) -> Vec<CloudName> {
        match &gate.kind {
            kind if kind.asks_each_target() => {
                let due = due(&gate.measure, targets, self.since, &self.measurements, now);
                due.into_iter().flatten().collect()
            }
            GateKind::Http(_)
            | GateKind::Command(_)
            | GateKind::Approval(_)
            | GateKind::Load(_)
            | GateKind::Parity(_)
            | GateKind::Metric(_) => targets.to_vec(),
        }
    }
}

impl Rollout {
    /// A gate on blue says neither yes nor no, so the bake waits for a person.
    pub fn is_unclear_in_bake(&self) -> bool {
        let is_unclear = |gate: &Gate| {
            let run = self.gates.iter().find(|run| run.gate == gate.name);
            let verdict = run.map(|run| run.verdict(gate, &self.targets));
            matches!(verdict, Some(Verdict::Inconclusive { .. }))
        };
        let gates = self.spec.gates.iter();
        let mut watching = gates.filter(|gate| gate.after == GateStage::Promotion);
        matches!(self.phase, Phase::Baking { .. }) && watching.any(is_unclear)
    }

    /// The gates on blue start over, with their old measurements gone from the verdict.
    pub fn watch_again(&mut self, now: Timestamp) {
        let is_on_blue = |run: &&mut GateRun| run.after == GateStage::Promotion;
        for run in self.gates.iter_mut().filter(is_on_blue) {
            run.since = now;
            run.measurements.clear();
        }
    }
}
