//! The last cloud that serves users well is not touched by a promotion. A way back and a rollback are what people reach for then, and wait
//! for nothing.

use super::View;
use crate::{
    name::CloudName,
    plan::{
        reason::WaitingOn,
        state::Problem,
        step::{Sending, Step, look::look_at, wait},
    },
    rollout::{
        intent::{ORDER_PATIENCE, Order},
        phase::{Event, Phase, StopReason, Why},
    },
};

impl View<'_> {
    /// Goes on to the promotion, unless a target is ill: half of the clouds would get what the other half cannot have.
    pub(super) fn to_promotion(&self, event: Event) -> Step {
        self.unready().unwrap_or(Step::Move(event))
    }

    /// Why no promotion may begin now: a target is ill, or was not looked at for a while.
    pub(super) fn unready(&self) -> Option<Step> {
        self.ill().or_else(|| self.unseen_for_long())
    }

    fn unseen_for_long(&self) -> Option<Step> {
        let is_old = |target: &CloudName| {
            look_at(self.state, *target, self.policy.resync) <= self.now
                && !self.rollout.trigger.is_rollback()
        };
        let targets = self.rollout.targets.iter().copied();
        self.looking_at(targets.filter(is_old).collect())
    }

    /// Looks at these, or waits for the looks that are under way; nothing where there are none.
    pub(super) fn looking_at(&self, targets: Vec<CloudName>) -> Option<Step> {
        let target = *targets.first()?;
        let is_looking = |target: &CloudName| self.state.in_flight.observing.contains(target);
        let due: Vec<CloudName> = targets.into_iter().filter(|it| !is_looking(it)).collect();
        Some(if due.is_empty() {
            let failure = None;
            wait(WaitingOn::Cloud { target, failure }, None)
        } else {
            Step::Observe(due)
        })
    }

    /// Why a promotion that was not sent yet is not sent now, if that is so.
    pub(super) fn spared(&self, sending: &Sending) -> Option<Step> {
        let Order::Promote { target, .. } = sending.order else {
            return None;
        };
        let is_begun = self.state.intents.contains_key(&sending.key);
        let is_promotion = matches!(self.rollout.phase, Phase::Promoting);
        if is_begun || !is_promotion || self.rollout.trigger.is_rollback() {
            return None;
        }
        self.paused_before_blue()
            .or_else(|| self.ill())
            .or_else(|| {
                let ill = self.empty_beside(target)?;
                let on = WaitingOn::LastHealthy {
                    target,
                    ill,
                    failure: None,
                };
                Some(wait(on, None))
            })
    }

    /// A pause holds a promotion of which nothing was sent. One that has begun is brought to its end, here and in the rest of its group: a
    /// person who stops to think must not leave half of it.
    fn paused_before_blue(&self) -> Option<Step> {
        if self.is_begun(&CloudName::ALL) || !self.rollout.pact.is_empty() {
            return None;
        }
        self.paused()
    }

    /// A target that serves nobody, though blue was promoted before, while this one serves.
    pub(super) fn empty_beside(&self, target: CloudName) -> Option<CloudName> {
        self.state.memory.promoted?;
        let serves = |target: CloudName| {
            let seen = self.state.seen(target);
            seen.is_some_and(|seen| seen.observed.blue.holding().is_some())
        };
        let mut others = self.rollout.targets.iter().copied();
        others.find(|other| serves(target) && *other != target && !serves(*other))
    }

    /// Why the next targets are not promoted now, though others were. What stands between two clouds for too long goes back.
    pub(super) fn between_clouds(&self) -> Option<Step> {
        self.ill_for_long().or_else(|| self.unready())
    }

    fn ill_for_long(&self) -> Option<Step> {
        let (target, problem) = self.problem()?;
        if self.rollout.trigger.is_rollback() || self.now.since(problem.since) < ORDER_PATIENCE {
            return None;
        }
        Some(Step::Move(Event::Failed(Why {
            reason: StopReason::PromotionFailed,
            message: format!(
                "{target} was promoted and does not answer: {}",
                problem.failure.message
            ),
        })))
    }

    fn ill(&self) -> Option<Step> {
        if self.rollout.trigger.is_rollback() {
            return None;
        }
        let (ill, problem) = self.problem()?;
        let mut others = self.rollout.targets.iter().copied();
        let target = others.find(|other| *other != ill).unwrap_or(ill);
        let is_looking = self.state.in_flight.observing.contains(&ill);
        let next_look = look_at(self.state, ill, self.policy.resync);
        let on = WaitingOn::LastHealthy {
            target,
            ill,
            failure: Some(problem.failure.clone()),
        };
        Some(wait(on, (!is_looking).then_some(next_look)))
    }

    fn problem(&self) -> Option<(CloudName, &Problem)> {
        let mut targets = self.rollout.targets.iter();
        targets.find_map(|target| Some((*target, self.state.live.get(target)?.problem.as_ref()?)))
    }
}
