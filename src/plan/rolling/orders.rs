//! The orders of a rollout: build, stage, promote, and the way back.

use super::View;
use crate::{
    manifest::spec::Across,
    name::{CloudName, Timestamp},
    plan::{
        reason::{Reason, WaitingOn},
        step::{
            Sending, Step, is_sendable,
            look::{hindrance, look_at},
            reason_for, wait, waiting_for,
        },
    },
    rollout::{
        intent::{Intent, IntentKey, IntentState, Order},
        phase::{Event, StopReason, Why},
    },
};

/// How a group of orders stands.
enum Group<'a> {
    Done,
    Failed(&'a Intent),
    Pending(Step),
}

impl View<'_> {
    pub(super) fn building(&self) -> Step {
        let order = Order::Build {
            release: self.rollout.release,
        };
        match self.group(&[self.sending("build".to_owned(), order, self.reason())]) {
            Group::Done => Step::Move(Event::Built),
            Group::Failed(intent) => {
                Step::Move(Event::Refused(why(StopReason::BuildFailed, intent)))
            }
            Group::Pending(step) => step,
        }
    }

    pub(super) fn staging(&self) -> Step {
        let release = self.rollout.release;
        let is_missing = |target: &CloudName| match self.state.seen(*target) {
            Some(seen) if self.rollout.trigger.is_rollback() => {
                !seen.observed.blue.holds(release) && !seen.observed.green.holds(release)
            }
            Some(seen) => !seen.observed.blue.holds(release),
            None => true,
        };
        let step_of = |target: &CloudName| format!("stage/{target}");
        let has_intent = |target: &CloudName| {
            let key = self.key(&step_of(target));
            self.state.intents.contains_key(&key)
        };
        let targets = self.rollout.targets.iter();
        let needed = targets.filter(|target| has_intent(target) || is_missing(target));
        let order = |target: CloudName| Order::Stage { target, release };
        let sendings: Vec<Sending> = needed
            .map(|target| self.sending(step_of(target), order(*target), self.reason()))
            .collect();
        match self.group(&sendings) {
            Group::Done => Step::Move(Event::Staged),
            Group::Failed(intent) => {
                Step::Move(Event::Refused(why(StopReason::StageFailed, intent)))
            }
            Group::Pending(step) => step,
        }
    }

    pub(super) fn promoting(&self) -> Step {
        let groups = self.promotion_groups();
        for (index, targets) in groups.iter().enumerate() {
            if index > 0
                && let Some(step) = self.soaking(&groups[index - 1])
            {
                return step;
            }
            let sendings: Vec<Sending> = targets.iter().map(|it| self.promotion(*it)).collect();
            match self.group(&sendings) {
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

    /// Which targets move together. In a rollback no target waits for another: the healthy one goes back now.
    fn promotion_groups(&self) -> Vec<Vec<CloudName>> {
        let targets = &self.rollout.targets;
        match &self.rollout.spec.across {
            Across::InOrder { first, .. } if !self.rollout.trigger.is_rollback() => {
                let (first, rest) = targets.iter().partition(|target| *target == first);
                vec![first, rest]
            }
            Across::InOrder { .. } | Across::Together => vec![targets.clone()],
        }
    }

    fn promotion(&self, target: CloudName) -> Sending {
        let release = self.rollout.release;
        let step = format!("promote/{target}");
        if self.rollout.trigger.is_rollback() && self.is_gone(&step) {
            let order = Order::Repair { target, release };
            return self.sending(format!("{step}/again"), order, self.reason());
        }
        self.sending(step, Order::Promote { target, release }, self.reason())
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
        let began = before.iter().filter_map(done_at).max()?;
        if let Some(step) = self.paused() {
            return Some(step);
        }
        if self.rollout.is_hurried(began) {
            return None;
        }
        let until = began.after(*soak);
        let on = WaitingOn::Soak {
            target: *first,
            until,
        };
        (until > self.now).then(|| wait(on, Some(until)))
    }

    /// Every target that was sent a promotion goes back. A way back is never given up, and no target waits for another.
    pub(super) fn rolling_back(&self, why: &Why) -> Step {
        let was_sent = |target: &&CloudName| {
            let key = self.key(&format!("promote/{target}"));
            self.state.intents.contains_key(&key)
        };
        let targets = self.rollout.targets.iter().filter(was_sent);
        let sendings: Vec<Sending> = targets.map(|target| self.way_back(*target, why)).collect();
        match self.group(&sendings) {
            Group::Done => Step::Move(Event::Returned),
            Group::Failed(intent) => waiting_for(self.state, intent),
            Group::Pending(step) => step,
        }
    }

    fn way_back(&self, target: CloudName, why: &Why) -> Sending {
        let step = format!("back/{target}");
        let reason = Reason::Failed {
            message: why.message.clone(),
        };
        match self.rollout.previous {
            Some(release) if self.is_gone(&step) && self.state.releases.contains_key(&release) => {
                let order = Order::Repair { target, release };
                self.sending(format!("{step}/again"), order, reason)
            }
            Some(release) => self.sending(step, Order::Promote { target, release }, reason),
            None => {
                let release = self.rollout.release;
                self.sending(step, Order::Retract { target, release }, reason)
            }
        }
    }

    /// No slot holds the release any more: it must be put there anew.
    fn is_gone(&self, step: &str) -> bool {
        let failure = self.state.intents.get(&self.key(step));
        failure
            .and_then(Intent::failure)
            .is_some_and(|failure| failure.reason == "NotStaged")
    }

    pub(super) fn key(&self, step: &str) -> IntentKey {
        IntentKey(format!("{}/{step}", self.rollout.id))
    }

    pub(super) fn sending(&self, step: String, order: Order, reason: Reason) -> Sending {
        Sending {
            key: self.key(&step),
            order,
            reason,
        }
    }

    fn reason(&self) -> Reason {
        let rollout = self.rollout;
        reason_for(self.state, rollout.release, rollout.trigger, &rollout.actor)
    }

    /// Sends what can be sent; then waits for all, so that nothing is under way when the rollout turns.
    fn group(&self, sendings: &[Sending]) -> Group<'_> {
        let mut due = Vec::new();
        let mut waits = Vec::new();
        let mut failed = None;
        let mut is_any_under_way = false;
        for sending in sendings {
            let intent = self.state.intents.get(&sending.key);
            is_any_under_way |= self.state.in_flight.orders.contains_key(&sending.key);
            match intent.map(|intent| (intent, &intent.state)) {
                Some((_, IntentState::Done { .. })) => {}
                Some((intent, IntentState::Failed { .. })) => failed = failed.or(Some(intent)),
                Some((intent, IntentState::Open { .. }))
                    if !is_sendable(self.state, intent, self.now) =>
                {
                    waits.push(waiting_for(self.state, intent));
                }
                Some((_, IntentState::Open { .. })) | None => match self.held(sending) {
                    Some(wait) => waits.push(wait),
                    None => due.push(sending.clone()),
                },
            }
        }
        match failed {
            // What is under way is let finish; what only waits for its next try is given up with the rest.
            Some(intent) if !is_any_under_way => Group::Failed(intent),
            Some(intent) => {
                Group::Pending(Step::all(waits).unwrap_or_else(|| waiting_for(self.state, intent)))
            }
            None if !due.is_empty() => Group::Pending(Step::Send(due)),
            None => Step::all(waits).map_or(Group::Done, Group::Pending),
        }
    }

    /// Why an order that is due cannot be sent now, if that is so.
    fn held(&self, sending: &Sending) -> Option<Step> {
        let target = sending.order.target()?;
        let on = hindrance(self.state, target, Some(&sending.key))?;
        let is_looking = self.state.in_flight.observing.contains(&target);
        let is_look_needed = matches!(on, WaitingOn::Cloud { .. }) && !is_looking;
        let next_look: Timestamp = look_at(self.state, target, self.policy.resync);
        Some(wait(on, is_look_needed.then_some(next_look)))
    }
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
