//! What people and the calendar hold a rollout for: approvals, pauses, windows.

use super::View;
use crate::{
    manifest::spec::{ApprovalGate, Gate, GateKind},
    name::{PlanHash, Timestamp},
    plan::{
        bound,
        reason::WaitingOn,
        step::{Note, Step, look::look_at, wait},
    },
    rollout::{
        Rollout,
        phase::{Event, StopReason, Why},
        window::{Opening, opening},
        word::Approval,
    },
};

impl View<'_> {
    pub(super) fn awaiting_approval(&self, since: Timestamp) -> Step {
        if let Some(step) = self.keep_looking().or_else(|| self.lost(since)) {
            return step;
        }
        let plan = bound::hash(self.state, self.rollout);
        if has_stale(self.rollout, plan) {
            return Step::Note(Note::VoidApprovals { plan });
        }
        let Some((gate, approval)) = self.missing_approval(plan) else {
            return self.onward(Event::Approved);
        };
        let expires = approval.expires.map(|expires| since.after(expires));
        if expires.is_some_and(|expires| expires <= self.now) {
            return Step::Move(Event::Refused(expired(gate, approval)));
        }
        let on = WaitingOn::Approval {
            gate: gate.name.clone(),
            given: given(self.rollout, approval, plan),
            quorum: approval.quorum,
            plan,
            void: void(self.rollout),
            expires,
        };
        wait(on, expires).no_later_than(self.next_resync())
    }

    /// Whether an approval gate is still to be satisfied.
    pub(super) fn is_approval_missing(&self) -> bool {
        let plan = bound::hash(self.state, self.rollout);
        self.missing_approval(plan).is_some()
    }

    /// The first approval gate that is not satisfied by words for the plan.
    fn missing_approval(&self, plan: PlanHash) -> Option<(&Gate, &ApprovalGate)> {
        if self.rollout.trigger.is_rollback() {
            return None;
        }
        let gates = self.rollout.spec.gates.iter();
        let mut approvals = gates.filter_map(|gate| match &gate.kind {
            GateKind::Approval(approval) => Some((gate, approval)),
            GateKind::Http(_)
            | GateKind::Command(_)
            | GateKind::Load(_)
            | GateKind::Parity(_)
            | GateKind::Metric(_) => None,
        });
        approvals.find(|(_, approval)| given(self.rollout, approval, plan) < approval.quorum)
    }

    /// A closed window holds the promotion. Going back is never held.
    pub(super) fn closed(&self) -> Option<Step> {
        if self.rollout.trigger.is_rollback() || self.rollout.bypass.is_some() {
            return None;
        }
        match opening(&self.state.windows(), self.now) {
            Opening::Open { .. } => None,
            Opening::Closed { by, opens, changes } => {
                let on = WaitingOn::Window { message: by, opens };
                Some(wait(on, changes))
            }
        }
    }

    /// A person holds the rollout where it is.
    pub(super) fn paused(&self) -> Option<Step> {
        let word = self.rollout.pause.as_ref()?;
        let on = WaitingOn::Paused {
            actor: word.actor.clone(),
            reason: word.reason.clone(),
        };
        Some(wait(on, None))
    }

    /// While people think, the clouds are looked at: what they approve must be what is.
    fn keep_looking(&self) -> Option<Step> {
        let is_due = |target: &&crate::name::CloudName| {
            !self.state.in_flight.observing.contains(target)
                && look_at(self.state, **target, self.policy.resync) <= self.now
        };
        let targets = self.rollout.targets.iter();
        let due: Vec<_> = targets.filter(is_due).copied().collect();
        (!due.is_empty()).then_some(Step::Observe(due))
    }

    fn next_resync(&self) -> Option<Timestamp> {
        let targets = self.rollout.targets.iter();
        let free = targets.filter(|target| !self.state.in_flight.observing.contains(target));
        free.map(|target| look_at(self.state, *target, self.policy.resync))
            .min()
    }
}

fn has_stale(rollout: &Rollout, plan: PlanHash) -> bool {
    let is_stale = |given: &Approval| given.void_since.is_none() && !given.is_for(plan);
    rollout.approvals.iter().any(is_stale)
}

/// People whose word for the plan counts at a gate.
fn given(rollout: &Rollout, gate: &ApprovalGate, plan: PlanHash) -> u32 {
    let counts = |given: &&Approval| gate.takes(&given.actor) && given.is_for(plan);
    let given = rollout.approvals.iter().filter(counts).count();
    u32::try_from(given).unwrap_or(u32::MAX)
}

fn void(rollout: &Rollout) -> u32 {
    let is_void = |given: &&Approval| given.void_since.is_some();
    let void = rollout.approvals.iter().filter(is_void).count();
    u32::try_from(void).unwrap_or(u32::MAX)
}

fn expired(gate: &Gate, approval: &ApprovalGate) -> Why {
    let hours = approval.expires.unwrap_or_default();
    Why {
        reason: StopReason::ApprovalExpired,
        message: format!(
            "approval {} was not given within {}; `retry` asks again",
            gate.name,
            crate::manifest::duration_text(hours)
        ),
    }
}
