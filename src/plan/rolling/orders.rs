//! The orders of a rollout: build, stage, promote, and the way back.

use super::{View, shifting::has_shared};
use crate::{
    manifest::spec::Across,
    name::{CloudName, Percent, ServiceKey, Timestamp},
    plan::{
        around,
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
pub(super) enum Group<'a> {
    Done,
    Failed(&'a Intent),
    Pending(Step),
}

impl View<'_> {
    pub(super) fn building(&self) -> Step {
        // What lies in a slot was built long ago, and its source may be lost by now.
        if self.is_ready_somewhere() {
            return Step::Move(Event::Built);
        }
        let order = Order::Build {
            release: self.rollout.release,
        };
        match self.group(&[self.sending("build".to_owned(), order, self.reason())]) {
            Group::Done => match self.is_of_other_bytes() {
                Some(why) => Step::Move(Event::Refused(why)),
                None => Step::Move(Event::Built),
            },
            Group::Failed(intent) => {
                Step::Move(Event::Refused(why(StopReason::BuildFailed, intent)))
            }
            Group::Pending(step) => step,
        }
    }

    /// What follows another environment is what is live there, byte for byte: found where it was built for that one, and never another
    /// build of the same commit.
    fn is_of_other_bytes(&self) -> Option<Why> {
        let own = self.state.releases.get(&self.rollout.release)?;
        let service = self.followed()?;
        let facts = self.around.others.get(&service)?.facts.as_ref()?;
        let proven = facts.carried.as_ref()?;
        if proven.content != own.release.content.carried() {
            return None;
        }
        let (cloud, code) = proven.packages.iter().find(|(cloud, code)| {
            let package = own.packages.get(cloud);
            package.is_some_and(|package| package.code != **code)
        })?;
        let message = format!(
            "the package for {cloud} is not the one that is live as {service}, {code}: that one is lost, and a new build of the same commit \
             differs; make the build repeatable, or commit again"
        );
        let reason = StopReason::BuildFailed;
        Some(Why { reason, message })
    }

    /// The same service in the environment that this one follows.
    fn followed(&self) -> Option<ServiceKey> {
        let environment = self.rollout.environment.as_ref()?;
        let follows = environment.follows.as_ref()?;
        Some(ServiceKey {
            environment: follows.environment.clone(),
            service: self.state.key.service.clone(),
        })
    }

    /// What it needs goes first. Until then green keeps the release before, so that a rollback stays quick, and gates ask nobody who
    /// is not there yet.
    fn too_early(&self) -> Option<Step> {
        let has_begun = CloudName::ALL.iter().any(|target| {
            let key = self.key(&format!("stage/{target}"));
            self.state.intents.contains_key(&key)
        });
        if has_begun || self.rollout.trigger.is_rollback() {
            return None;
        }
        around::ahead(self.state, self.around, self.now).map(Step::Wait)
    }

    pub(super) fn staging(&self) -> Step {
        if let Some(step) = self.too_early() {
            return step;
        }
        let release = self.rollout.release;
        let step_of = |target: &CloudName| format!("stage/{target}");
        let has_intent = |target: &CloudName| {
            let key = self.key(&step_of(target));
            self.state.intents.contains_key(&key)
        };
        let targets = self.rollout.targets.iter();
        let needed = targets.filter(|target| has_intent(target) || self.is_missing(**target));
        let order = |target: CloudName| Order::Stage { target, release };
        let sendings: Vec<Sending> = needed
            .map(|target| self.sending(step_of(target), order(*target), self.reason()))
            .collect();
        match self.group(&sendings) {
            Group::Done => Step::Move(Event::Staged),
            // On the way back no target waits for another.
            Group::Failed(_) | Group::Pending(Step::Wait(_)) if self.is_ready_somewhere() => {
                Step::Move(Event::Staged)
            }
            Group::Failed(intent) => {
                Step::Move(Event::Refused(why(StopReason::StageFailed, intent)))
            }
            Group::Pending(step) => step,
        }
    }

    /// A rollback that can go ahead on some target: no target waits for another.
    fn is_ready_somewhere(&self) -> bool {
        let mut targets = self.rollout.targets.iter();
        self.rollout.trigger.is_rollback() && targets.any(|target| !self.is_missing(*target))
    }

    /// The release must be staged there first.
    fn is_missing(&self, target: CloudName) -> bool {
        let release = self.rollout.release;
        match self.state.seen(target) {
            Some(seen) if self.rollout.trigger.is_rollback() => {
                !seen.observed.blue.holds(release) && !seen.observed.green.holds(release)
            }
            Some(seen) => !seen.observed.blue.holds(release),
            None => true,
        }
    }

    pub(super) fn promoting(&self) -> Step {
        if let Some(why) = self.lost_on_the_way() {
            return Step::Move(Event::Failed(why));
        }
        let groups = self.promotion_groups();
        for (index, targets) in groups.iter().enumerate() {
            // Whatever becomes of the first cloud, nothing turns while the second is on its way.
            if index > 0 && !self.is_begun(targets) {
                let soaking = self.soaking(&groups[index - 1]);
                if let Some(step) = soaking.or_else(|| self.between_clouds()) {
                    return step;
                }
            }
            let sendings: Vec<Sending> = targets.iter().map(|it| self.promotion(*it)).collect();
            match self.group(&sendings) {
                Group::Done => {}
                Group::Failed(intent) => {
                    return self.failed(StopReason::PromotionFailed, intent);
                }
                Group::Pending(step) => return step,
            }
        }
        Step::Move(Event::Promoted {
            bake_until: self.now.after(self.bake()),
        })
    }

    pub(super) fn is_begun(&self, targets: &[CloudName]) -> bool {
        targets.iter().any(|target| {
            let key = self.key(&format!("promote/{target}"));
            self.state.intents.contains_key(&key)
        })
    }

    /// Which targets move together. In a rollback no target waits for another: the healthy one goes back now.
    fn promotion_groups(&self) -> Vec<Vec<CloudName>> {
        let targets = &self.rollout.targets;
        match &self.rollout.spec.across {
            Across::InOrder { first, .. }
                if !self.rollout.trigger.is_rollback() && self.empty_beside(*first).is_none() =>
            {
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

    /// A target that was promoted and holds something else by now, while the others are still to come: all go back. In a rollback nobody
    /// waits for others, and what is lost is repaired when it is over.
    fn lost_on_the_way(&self) -> Option<Why> {
        if self.rollout.trigger.is_rollback() || self.state.writing().is_some() {
            return None;
        }
        let target = self.rollout.targets.iter().copied().find(|target| {
            let since = self.promoted_at(*target);
            since.is_some_and(|since| self.is_reverted(*target, since))
        })?;
        Some(self.reverted_on(target))
    }

    fn promoted_at(&self, target: CloudName) -> Option<Timestamp> {
        let key = self.key(&format!("promote/{target}"));
        match &self.state.intents.get(&key)?.state {
            IntentState::Done { at } => Some(*at),
            IntentState::Open { .. } | IntentState::Failed { .. } => None,
        }
    }

    /// Between the first cloud and the second. Blue of the first is watched as in a bake, and the second waits for its answer.
    fn soaking(&self, before: &[CloudName]) -> Option<Step> {
        let Across::InOrder { first, soak } = &self.rollout.spec.across else {
            return None;
        };
        let done_at = before.iter().filter_map(|it| self.promoted_at(*it));
        let began = done_at.max()?;
        let until = began.after(*soak);
        if let Some(why) = self.silent_too_long(before, began) {
            return Some(Step::Move(Event::Failed(why)));
        }
        let silence = self.waiting_for_answer(before, began);
        let is_over = until <= self.now || self.rollout.is_hurried(began);
        let held = self.paused();
        if is_over && silence.is_none() && held.is_none() {
            return None;
        }
        if let Some(step) = self.watch(before, began, until) {
            return Some(step);
        }
        let next = self.next_watch(before, began, until);
        if let Some(step) = held {
            return Some(step.no_later_than(next));
        }
        let soak = WaitingOn::Soak {
            target: *first,
            until,
        };
        let end = Some(until).filter(|_| !is_over);
        let wake = next.into_iter().chain(end).min();
        Some(wait(silence.unwrap_or(soak), wake))
    }

    /// What an order that was given up means for the rollout: a slot that lost its release can be filled again.
    pub(super) fn failed(&self, reason: StopReason, intent: &Intent) -> Step {
        let reason = if is_not_staged(intent) {
            StopReason::NotStaged
        } else {
            reason
        };
        Step::Move(Event::Failed(why(reason, intent)))
    }

    /// Every target that was sent a promotion or gave a share goes back. A way back is never given up, and no target waits for another.
    pub(super) fn rolling_back(&self, why: &Why) -> Step {
        let targets = self.rollout.targets.iter();
        let ways = targets.filter_map(|target| self.way_back(*target, why));
        let sendings: Vec<Sending> = ways.collect();
        match self.group(&sendings) {
            Group::Done if why.reason == StopReason::NotStaged && self.may_stage_again() => {
                Step::Move(Event::StagedAgain)
            }
            Group::Done => Step::Move(self.returned()),
            Group::Failed(intent) => waiting_for(self.state, intent),
            Group::Pending(step) => step,
        }
    }

    /// Nothing for a target whose blue was not touched, and for one that nothing can bring back: neither a slot nor a record has the release
    /// before, and who waited for it would keep every newer release out. That it is missing is told as drift once the rollout is over.
    fn way_back(&self, target: CloudName, why: &Why) -> Option<Sending> {
        let prefix = self.key(&format!("promote/{target}")).0;
        let mut keys = self.state.intents.keys();
        if keys.any(|key| key.0.starts_with(&prefix)) {
            return (!self.is_lost_for_good(target)).then(|| self.unpromotion(target, why));
        }
        has_shared(self.state, self.rollout, target)
            .then(|| self.shift(format!("back/{target}"), target, Percent::NONE))
    }

    fn unpromotion(&self, target: CloudName, why: &Why) -> Sending {
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
    pub(super) fn is_gone(&self, step: &str) -> bool {
        let intent = self.state.intent(&self.key(step));
        intent.is_some_and(is_not_staged)
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

    pub(super) fn reason(&self) -> Reason {
        let rollout = self.rollout;
        reason_for(self.state, rollout.release, rollout.trigger, &rollout.actor)
    }

    /// Sends what can be sent; then waits for all, so that nothing is under way when the rollout turns.
    pub(super) fn group(&self, sendings: &[Sending]) -> Group<'_> {
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
                Some((_, IntentState::Open { .. })) | None => match self.hindered(sending) {
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
    fn hindered(&self, sending: &Sending) -> Option<Step> {
        let target = sending.order.target()?;
        let Some(on) = hindrance(self.state, target, Some(&sending.key)) else {
            return self.spared(sending);
        };
        let is_looking = self.state.in_flight.observing.contains(&target);
        let is_look_needed = matches!(on, WaitingOn::Cloud { .. }) && !is_looking;
        let next_look: Timestamp = look_at(self.state, target, self.policy.resync);
        Some(wait(on, is_look_needed.then_some(next_look)))
    }
}

/// No slot held the release when its order came.
fn is_not_staged(intent: &Intent) -> bool {
    let failure = intent.failure();
    failure.is_some_and(|failure| failure.reason == "NotStaged")
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
