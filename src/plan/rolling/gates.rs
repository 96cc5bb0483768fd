//! The gates of a rollout: what their measurements say, and what to ask next.

use super::View;
use crate::{
    manifest::spec::{Gate, GateKind, GateStage},
    name::{GateName, Timestamp},
    plan::{
        reason::{Reason, WaitingOn},
        step::{Sending, Step, is_sendable, wait, waiting_for},
    },
    rollout::{
        Approval,
        gate_run::GateRun,
        intent::{IntentState, Order},
        phase::{Phase, StopReason, Why},
        verdict::Verdict,
    },
};

/// What the gates of a stage say together.
pub(super) enum Gates {
    Passed,
    Failed(Why),
    Unclear(Why),
    Pending(Step),
    /// All that is left goes on until the watch ends.
    Watching {
        step: Step,
        /// An answer is on its way.
        is_asking: bool,
    },
}

impl View<'_> {
    /// Gates are measured one after the other, in the order they are written; the first that does not pass ends it. One that has no end
    /// of its own is asked beside those that follow, once it has succeeded.
    pub(super) fn gates(&self, stage: GateStage) -> Gates {
        self.gates_where(|gate| gate.after == stage)
    }

    /// The gates of one step of a canary.
    pub(super) fn step_gates(&self, names: &[GateName]) -> Gates {
        self.gates_where(|gate| gate.after == GateStage::Canary && names.contains(&gate.name))
    }

    fn gates_where(&self, is_meant: impl Fn(&Gate) -> bool) -> Gates {
        if self.rollout.trigger.is_rollback() {
            return Gates::Passed;
        }
        let measured = |gate: &&Gate| is_meant(gate) && !matches!(gate.kind, GateKind::Approval(_));
        let mut watching = Vec::new();
        let mut is_asking = false;
        for gate in self.rollout.spec.gates.iter().filter(measured) {
            match self.verdict(gate) {
                Verdict::Passed => {}
                Verdict::Watching { next_at } => {
                    watching.push(self.measure(gate, next_at));
                    is_asking |= self.is_asking(gate);
                }
                Verdict::Pending { next_at } => {
                    let step = self.measure(gate, next_at);
                    return Gates::Pending(watching.into_iter().fold(step, Step::beside));
                }
                Verdict::Failed { .. } | Verdict::Inconclusive { .. } | Verdict::Error { .. }
                    if gate.measure.dry_run => {}
                Verdict::Failed { why } => {
                    let message = format!("gate {} failed: {why}", gate.name);
                    return Gates::Failed(stop(StopReason::GateFailed, message));
                }
                Verdict::Inconclusive { why } => {
                    let message = format!("gate {} is inconclusive: {why}", gate.name);
                    return Gates::Unclear(stop(StopReason::GateInconclusive, message));
                }
                Verdict::Error { why } => {
                    let message = format!("gate {} could not be measured: {why}", gate.name);
                    return Gates::Unclear(stop(StopReason::GateError, message));
                }
            }
        }
        match watching.into_iter().reduce(Step::beside) {
            Some(step) => Gates::Watching { step, is_asking },
            None => Gates::Passed,
        }
    }

    fn is_asking(&self, gate: &Gate) -> bool {
        let last = self.run_of(gate).map_or(0, |run| run.rounds);
        let asked = self.state.intents.get(&self.round(gate, last).key);
        asked.is_some_and(|intent| matches!(intent.state, IntentState::Open { .. }))
    }

    fn run_of(&self, gate: &Gate) -> Option<&GateRun> {
        self.rollout.gates.iter().find(|run| run.gate == gate.name)
    }

    fn verdict(&self, gate: &Gate) -> Verdict {
        match self.run_of(gate) {
            Some(run) => run.verdict(gate, &self.rollout.targets),
            None => Verdict::Pending {
                next_at: self.gates_since().after(gate.measure.initial_delay),
            },
        }
    }

    /// When the phase began that the gates belong to.
    fn gates_since(&self) -> Timestamp {
        match &self.rollout.phase {
            Phase::Gating { since }
            | Phase::Shifting { step: _, since }
            | Phase::Baking { since, .. } => *since,
            Phase::Queued
            | Phase::Building
            | Phase::Staging
            | Phase::Paused { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Promoting
            | Phase::Live
            | Phase::Rejected { .. }
            | Phase::Superseded { .. }
            | Phase::RollingBack { .. }
            | Phase::RolledBack { .. } => self.now,
        }
    }

    /// The round that was asked for last, if it has not come back; else the next one, once it is due.
    fn measure(&self, gate: &Gate, next_at: Timestamp) -> Step {
        let last = self.run_of(gate).map_or(0, |run| run.rounds);
        let asked = self.round(gate, last);
        match self.state.intents.get(&asked.key) {
            Some(intent) if is_sendable(self.state, intent, self.now) => Step::Send(vec![asked]),
            Some(intent) if matches!(intent.state, IntentState::Open { .. }) => {
                waiting_for(self.state, intent)
            }
            Some(_) | None if next_at <= self.now => Step::Send(vec![self.round(gate, last + 1)]),
            Some(_) | None => {
                let on = WaitingOn::Gate {
                    gate: gate.name.clone(),
                    next_at: Some(next_at),
                };
                wait(on, Some(next_at))
            }
        }
    }

    fn round(&self, gate: &Gate, round: u32) -> Sending {
        let order = Order::Measure {
            gate: gate.name.clone(),
            round,
        };
        let reason = Reason::GateDue {
            gate: gate.name.clone(),
        };
        self.sending(format!("gate/{}/{round}", gate.name), order, reason)
    }

    /// The first approval gate that is not satisfied.
    pub(super) fn missing_approval(&self) -> Option<WaitingOn> {
        if self.rollout.trigger.is_rollback() {
            return None;
        }
        self.rollout
            .spec
            .gates
            .iter()
            .find_map(|gate| match &gate.kind {
                GateKind::Http(_)
                | GateKind::Command(_)
                | GateKind::Load(_)
                | GateKind::Parity(_)
                | GateKind::Metric(_) => None,
                GateKind::Approval(approval) => {
                    let counts = |by: &&Approval| {
                        approval.by.is_empty() || approval.by.contains(&by.actor.username)
                    };
                    let given = u32::try_from(self.rollout.approvals.iter().filter(counts).count())
                        .unwrap_or(u32::MAX);
                    (given < approval.quorum).then(|| WaitingOn::Approval {
                        gate: gate.name.clone(),
                        given,
                        quorum: approval.quorum,
                    })
                }
            })
    }
}

fn stop(reason: StopReason, message: String) -> Why {
    Why { reason, message }
}
