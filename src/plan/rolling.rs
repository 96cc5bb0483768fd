//! The next thing to do for a rollout that is under way, phase by phase.

use std::time::Duration;

use super::{
    reason::{Reason, WaitingOn},
    state::ServiceState,
    step::{Sending, Step, Waiting, is_sendable, look_at, reason_for, wait, waiting_for},
};
use crate::{
    manifest::spec::{Across, Gate, GateKind, GateStage},
    name::{CloudName, Timestamp},
    rollout::{
        Rollout, Trigger,
        gate_run::GateRun,
        intent::{Intent, IntentKey, IntentState, Order},
        phase::{Event, Phase, StopReason, Why},
        verdict::Verdict,
    },
};

pub(super) fn step(state: &ServiceState, rollout: &Rollout, now: Timestamp) -> Step {
    if rollout.phase.is_before_promotion() {
        if let Some(step) = superseded(state, rollout) {
            return step;
        }
        if let Some(suspension) = state.suspension(now) {
            let on = WaitingOn::Suspended {
                reason: suspension.reason.clone(),
                until: suspension.until,
            };
            return wait(on, suspension.until);
        }
    }
    let prefix = format!("{}/", rollout.id);
    if let Some((_, order)) = state
        .writing()
        .filter(|(key, _)| !key.0.starts_with(&prefix))
    {
        return under_way(order);
    }
    let view = View {
        state,
        rollout,
        now,
    };
    match &rollout.phase {
        Phase::Queued => Step::Move(Event::Started),
        Phase::Building => view.building(),
        Phase::Staging => view.staging(),
        Phase::Gating { .. } => view.gating(),
        Phase::Paused { why } => wait(
            WaitingOn::Person {
                message: why.message.clone(),
            },
            None,
        ),
        Phase::AwaitingApproval { .. } => view.awaiting_approval(),
        Phase::Promoting => view.promoting(),
        Phase::Baking { since, until } => view.baking(*since, *until),
        Phase::RollingBack { why } => view.rolling_back(why),
        Phase::Live
        | Phase::Rejected { .. }
        | Phase::Superseded { .. }
        | Phase::RolledBack { .. } => wait(WaitingOn::Nothing, None),
    }
}

/// A newer commit takes the place of a rollout that waits; an order under way to a cloud is let finish first.
fn superseded(state: &ServiceState, rollout: &Rollout) -> Option<Step> {
    let wanted = state.wanted();
    let is_current = match rollout.trigger {
        Trigger::Commit | Trigger::Retry => wanted == Some(rollout.release),
        Trigger::Rollback { held } => wanted == held || wanted == Some(rollout.release),
    };
    if is_current || matches!(state.ask, super::state::Ask::Unknown) {
        return None;
    }
    Some(match state.writing() {
        Some((_, order)) => under_way(order),
        None => Step::Move(Event::Superseded { by: wanted }),
    })
}

/// Waits for an order that was sent before; two orders must not work on one slot.
fn under_way(order: &Order) -> Step {
    wait(
        WaitingOn::Order {
            order: order.clone(),
            failure: None,
            next_at: None,
        },
        None,
    )
}

/// One look at one rollout.
struct View<'a> {
    state: &'a ServiceState,
    rollout: &'a Rollout,
    now: Timestamp,
}

/// How a group of orders stands.
enum Group<'a> {
    Done,
    Failed(&'a Intent),
    Pending(Step),
}

impl View<'_> {
    fn building(&self) -> Step {
        let order = Order::Build {
            release: self.rollout.release,
        };
        match self.group(vec![self.sending("build".to_owned(), order, self.reason())]) {
            Group::Done => Step::Move(Event::Built),
            Group::Failed(intent) => {
                Step::Move(Event::Refused(why(StopReason::BuildFailed, intent)))
            }
            Group::Pending(step) => step,
        }
    }

    fn staging(&self) -> Step {
        let release = self.rollout.release;
        let is_missing = |target: &&CloudName| match self.state.seen(**target) {
            Some(seen) if self.rollout.trigger.is_rollback() => {
                !seen.observed.blue.holds(release) && !seen.observed.green.holds(release)
            }
            Some(seen) => !seen.observed.blue.holds(release),
            None => true,
        };
        let has_intent = |target: &&CloudName| {
            self.state
                .intents
                .contains_key(&self.key(&format!("stage/{target}")))
        };
        let targets = self
            .rollout
            .targets
            .iter()
            .filter(|target| has_intent(target) || is_missing(target));
        let sendings = targets.map(|target| {
            self.sending(
                format!("stage/{target}"),
                Order::Stage {
                    target: *target,
                    release,
                },
                self.reason(),
            )
        });
        match self.group(sendings.collect()) {
            Group::Done => Step::Move(Event::Staged),
            Group::Failed(intent) => {
                Step::Move(Event::Refused(why(StopReason::StageFailed, intent)))
            }
            Group::Pending(step) => step,
        }
    }

    fn gating(&self) -> Step {
        match self.gates(GateStage::Staging) {
            Gates::Passed if self.missing_approval().is_some() => Step::Move(Event::ApprovalNeeded),
            Gates::Passed => Step::Move(Event::GatesPassed),
            Gates::Failed(why) => Step::Move(Event::Refused(why)),
            Gates::Unclear(why) => Step::Move(Event::GatesUnclear(why)),
            Gates::Pending(step) => step,
        }
    }

    fn awaiting_approval(&self) -> Step {
        match self.missing_approval() {
            Some(on) => wait(on, None),
            None => Step::Move(Event::Approved),
        }
    }

    fn promoting(&self) -> Step {
        let release = self.rollout.release;
        let sending = |target: &CloudName| {
            self.sending(
                format!("promote/{target}"),
                Order::Promote {
                    target: *target,
                    release,
                },
                self.reason(),
            )
        };
        let groups: Vec<Vec<CloudName>> = match &self.rollout.spec.across {
            Across::Together => vec![self.rollout.targets.clone()],
            Across::InOrder { first, .. } => {
                let (first, rest) = self
                    .rollout
                    .targets
                    .iter()
                    .partition(|target| *target == first);
                vec![first, rest]
            }
        };
        for (index, targets) in groups.iter().enumerate() {
            if index > 0
                && let Some(step) = self.soaking(&groups[index - 1])
            {
                return step;
            }
            match self.group(targets.iter().map(sending).collect()) {
                Group::Done => {}
                Group::Failed(intent) => {
                    return Step::Move(Event::Failed(why(StopReason::PromotionFailed, intent)));
                }
                Group::Pending(step) => return step,
            }
        }
        Step::Move(Event::Promoted {
            bake_until: self.now.after(self.bake()),
        })
    }

    /// Between the first cloud and the second.
    fn soaking(&self, before: &[CloudName]) -> Option<Step> {
        let Across::InOrder { first, soak } = &self.rollout.spec.across else {
            return None;
        };
        let done_at = |target: &CloudName| match &self
            .state
            .intents
            .get(&self.key(&format!("promote/{target}")))?
            .state
        {
            IntentState::Done { at } => Some(*at),
            IntentState::Open { .. } | IntentState::Failed { .. } => None,
        };
        let until = before.iter().filter_map(done_at).max()?.after(*soak);
        (until > self.now).then(|| {
            wait(
                WaitingOn::Soak {
                    target: *first,
                    until,
                },
                Some(until),
            )
        })
    }

    fn bake(&self) -> Duration {
        if self.rollout.trigger.is_rollback() {
            Duration::ZERO
        } else {
            self.rollout.spec.bake
        }
    }

    fn baking(&self, since: Timestamp, until: Timestamp) -> Step {
        if let Some(target) = self
            .rollout
            .targets
            .iter()
            .find(|target| self.has_reverted(**target, since))
        {
            let message = format!(
                "blue on {target} no longer holds release {}",
                self.rollout.release.short()
            );
            return Step::Move(Event::Failed(Why {
                reason: StopReason::SlotReverted,
                message,
            }));
        }
        let gates = self.gates(GateStage::Promotion);
        match gates {
            Gates::Failed(why) | Gates::Unclear(why) => return Step::Move(Event::Failed(why)),
            Gates::Pending(step @ (Step::Send(_) | Step::Observe(_))) => return step,
            Gates::Passed | Gates::Pending(_) => {}
        }
        if until == since && matches!(gates, Gates::Passed) {
            return Step::Move(Event::Baked);
        }
        if let Some(step) = self.watch(since, until) {
            return step;
        }
        match gates {
            Gates::Pending(step) => step.no_later_than(Some(self.next_watch(since, until))),
            Gates::Passed | Gates::Failed(_) | Gates::Unclear(_) if self.now < until => {
                let wake = until.min(self.next_watch(since, until));
                wait(WaitingOn::Bake { until }, Some(wake))
            }
            Gates::Passed | Gates::Failed(_) | Gates::Unclear(_) => match self.unwatched(until) {
                Some(target) => self.waiting_to_see(target, since, until),
                None => Step::Move(Event::Baked),
            },
        }
    }

    /// Slots are looked at a few times during the bake, since swaps have been seen to revert themselves minutes later.
    fn watch(&self, since: Timestamp, until: Timestamp) -> Option<Step> {
        let is_due = |target: &&CloudName| {
            let is_last = self.now >= until && self.unseen_since(**target, until);
            let is_free = !self.state.in_flight.observing.contains(*target);
            is_free
                && (look_at(self.state, **target, watch_every(since, until)) <= self.now
                    || is_last && !self.has_problem(**target))
        };
        let due: Vec<CloudName> = self
            .rollout
            .targets
            .iter()
            .filter(is_due)
            .copied()
            .collect();
        (!due.is_empty()).then_some(Step::Observe(due))
    }

    fn next_watch(&self, since: Timestamp, until: Timestamp) -> Timestamp {
        let every = watch_every(since, until);
        let is_free = |target: &&CloudName| !self.state.in_flight.observing.contains(*target);
        let targets = self.rollout.targets.iter().filter(is_free);
        let next = targets
            .map(|target| look_at(self.state, *target, every))
            .min();
        next.unwrap_or(until)
    }

    fn unwatched(&self, until: Timestamp) -> Option<CloudName> {
        self.rollout
            .targets
            .iter()
            .copied()
            .find(|target| self.unseen_since(*target, until))
    }

    fn unseen_since(&self, target: CloudName, moment: Timestamp) -> bool {
        self.state.seen(target).is_none_or(|seen| seen.at < moment)
    }

    fn has_problem(&self, target: CloudName) -> bool {
        self.state
            .live
            .get(&target)
            .is_some_and(|live| live.problem.is_some())
    }

    fn waiting_to_see(&self, target: CloudName, since: Timestamp, until: Timestamp) -> Step {
        let problem = self
            .state
            .live
            .get(&target)
            .and_then(|live| live.problem.as_ref());
        let on = WaitingOn::Cloud {
            target,
            failure: problem.map(|problem| problem.failure.clone()),
        };
        wait(on, Some(self.next_watch(since, until)))
    }

    fn has_reverted(&self, target: CloudName, since: Timestamp) -> bool {
        let seen = self.state.seen(target).filter(|seen| seen.at >= since);
        seen.is_some_and(|seen| !seen.observed.blue.holds(self.rollout.release))
    }

    /// Every target that was sent a promotion goes back. A way back is never given up, and no target waits for another.
    fn rolling_back(&self, why: &Why) -> Step {
        let was_sent = |target: &&CloudName| {
            self.state
                .intents
                .contains_key(&self.key(&format!("promote/{target}")))
        };
        let sendings = self
            .rollout
            .targets
            .iter()
            .filter(was_sent)
            .map(|target| self.way_back(*target, why));
        match self.group(sendings.collect()) {
            Group::Done => Step::Move(Event::Returned),
            Group::Failed(intent) => waiting_for(self.state, intent),
            Group::Pending(step) => step,
        }
    }

    fn way_back(&self, target: CloudName, why: &Why) -> Sending {
        let step = format!("back/{target}");
        let is_gone = self
            .state
            .intents
            .get(&self.key(&step))
            .and_then(Intent::failure)
            .is_some_and(|failure| failure.reason == "NotStaged");
        let reason = Reason::Failed {
            message: why.message.clone(),
        };
        match self.rollout.previous {
            Some(release) if is_gone && self.state.releases.contains_key(&release) => self.sending(
                format!("{step}/again"),
                Order::Repair { target, release },
                reason,
            ),
            Some(release) => self.sending(step, Order::Promote { target, release }, reason),
            None => self.sending(
                step,
                Order::Retract {
                    target,
                    release: self.rollout.release,
                },
                reason,
            ),
        }
    }

    // === orders ===

    fn key(&self, step: &str) -> IntentKey {
        IntentKey(format!("{}/{step}", self.rollout.id))
    }

    fn sending(&self, step: String, order: Order, reason: Reason) -> Sending {
        Sending {
            key: self.key(&step),
            order,
            reason,
        }
    }

    fn reason(&self) -> Reason {
        reason_for(
            self.state,
            self.rollout.release,
            self.rollout.trigger,
            &self.rollout.actor,
        )
    }

    /// Sends what is not sent; then waits for all, so that nothing is under way when the rollout turns.
    fn group(&self, sendings: Vec<Sending>) -> Group<'_> {
        let intents: Vec<(Sending, Option<&Intent>)> = sendings
            .into_iter()
            .map(|sending| (sending.clone(), self.state.intents.get(&sending.key)))
            .collect();
        let is_due = |intent: &Option<&Intent>| {
            intent.is_none_or(|intent| is_sendable(self.state, intent, self.now))
        };
        let failed = intents.iter().find_map(|(_, intent)| {
            intent.filter(|intent| matches!(intent.state, IntentState::Failed { .. }))
        });
        let due: Vec<Sending> = intents
            .iter()
            .filter(|(_, intent)| is_due(intent))
            .map(|(sending, _)| sending.clone())
            .collect();
        let open: Vec<&Intent> = intents
            .iter()
            .filter_map(|(_, intent)| *intent)
            .filter(|intent| matches!(intent.state, IntentState::Open { .. }))
            .collect();
        let under_way: Vec<&&Intent> = open
            .iter()
            .filter(|intent| self.state.in_flight.orders.contains_key(&intent.key))
            .collect();
        match failed {
            // What is under way is let finish; what only waits for its next try is given up with the rest.
            Some(intent) if under_way.is_empty() => Group::Failed(intent),
            Some(_) => Group::Pending(waiting_for_all(self.state, &open)),
            None if !due.is_empty() => Group::Pending(Step::Send(due)),
            None if open.is_empty() => Group::Done,
            None => Group::Pending(waiting_for_all(self.state, &open)),
        }
    }
}

/// Waits for several orders; the earliest next try wakes.
fn waiting_for_all(state: &ServiceState, open: &[&Intent]) -> Step {
    let waits = open.iter().map(|intent| waiting_for(state, intent));
    let mut all = Waiting {
        on: Vec::new(),
        wake: None,
    };
    for step in waits {
        if let Step::Wait(Waiting { on, wake }) = step {
            all.on.extend(on);
            all.wake = all.wake.into_iter().chain(wake).min();
        }
    }
    Step::Wait(all)
}

/// A fifth of the bake, between one second and half a minute.
fn watch_every(since: Timestamp, until: Timestamp) -> Duration {
    (until.since(since) / 5).clamp(Duration::from_secs(1), Duration::from_secs(30))
}

fn why(reason: StopReason, intent: &Intent) -> Why {
    let message = intent
        .failure()
        .map(|failure| failure.message.clone())
        .unwrap_or_default();
    Why {
        reason,
        message: format!("{}: {message}", intent.order),
    }
}

// === gates ===

enum Gates {
    Passed,
    Failed(Why),
    Unclear(Why),
    Pending(Step),
}

impl View<'_> {
    /// Gates are measured one after the other, in the order they are written; the first that does not pass ends it.
    fn gates(&self, stage: GateStage) -> Gates {
        if self.rollout.trigger.is_rollback() {
            return Gates::Passed;
        }
        let measured =
            |gate: &&Gate| gate.after == stage && !matches!(gate.kind, GateKind::Approval(_));
        for gate in self.rollout.spec.gates.iter().filter(measured) {
            let told = match self.verdict(gate) {
                Verdict::Passed => continue,
                Verdict::Pending { next_at } => return Gates::Pending(self.measure(gate, next_at)),
                Verdict::Failed { .. } | Verdict::Inconclusive { .. } | Verdict::Error { .. }
                    if gate.measure.dry_run =>
                {
                    continue;
                }
                Verdict::Failed { why } => (
                    StopReason::GateFailed,
                    format!("gate {} failed: {why}", gate.name),
                ),
                Verdict::Inconclusive { why } => (
                    StopReason::GateInconclusive,
                    format!("gate {} is inconclusive: {why}", gate.name),
                ),
                Verdict::Error { why } => (
                    StopReason::GateError,
                    format!("gate {} could not be measured: {why}", gate.name),
                ),
            };
            let (reason, message) = told;
            let why = Why { reason, message };
            return if reason == StopReason::GateFailed {
                Gates::Failed(why)
            } else {
                Gates::Unclear(why)
            };
        }
        Gates::Passed
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
            Phase::Gating { since } | Phase::Baking { since, .. } => *since,
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
    fn missing_approval(&self) -> Option<WaitingOn> {
        if self.rollout.trigger.is_rollback() {
            return None;
        }
        self.rollout
            .spec
            .gates
            .iter()
            .find_map(|gate| match &gate.kind {
                GateKind::Http(_) | GateKind::Command(_) => None,
                GateKind::Approval(approval) => {
                    let counts = |by: &&crate::rollout::Approval| {
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

impl Step {
    fn no_later_than(self, wake: Option<Timestamp>) -> Self {
        match self {
            Self::Wait(Waiting { on, wake: own }) => Self::Wait(Waiting {
                on,
                wake: own.into_iter().chain(wake).min(),
            }),
            Self::Begin { .. }
            | Self::Move(_)
            | Self::Note(_)
            | Self::Observe(_)
            | Self::Send(_) => self,
        }
    }
}
