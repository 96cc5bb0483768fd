//! After the promotion: blue is watched until the bake ends, and while the first cloud soaks before the second.

use std::time::Duration;

use super::{View, gates::Gates};
use crate::{
    manifest::spec::GateStage,
    name::{CloudName, Timestamp},
    plan::{
        reason::WaitingOn,
        step::{Step, look::look_at, wait},
    },
    rollout::phase::{Event, StopReason, Why},
};

/// How long the platform may answer in place of the release after a promotion.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How often blue is looked at while it does not answer.
const SILENT_WATCH: Duration = Duration::from_secs(5);

impl View<'_> {
    pub(super) fn bake(&self) -> Duration {
        if self.rollout.trigger.is_rollback() || self.rollout.is_in_full() {
            Duration::ZERO
        } else {
            self.rollout.spec.bake
        }
    }

    pub(super) fn baking(&self, since: Timestamp, until: Timestamp) -> Step {
        if let Some(why) = self.reverted(since) {
            return Step::Move(Event::Failed(why));
        }
        if let Some(why) = self.silent_too_long(&self.rollout.targets, since) {
            return Step::Move(Event::Failed(why));
        }
        let pending = match self.gates(GateStage::Promotion) {
            Gates::Unclear(Why {
                reason: StopReason::GateInconclusive,
                message,
            }) => Some(wait(WaitingOn::Person { message }, None)),
            Gates::Failed(why) | Gates::Unclear(why) => return Step::Move(Event::Failed(why)),
            Gates::Pending(step @ (Step::Send(_) | Step::Observe(_))) => return step,
            Gates::Watching { step, is_asking } if is_asking || self.now < until => match step {
                Step::Send(_) | Step::Observe(_) => return step,
                step @ (Step::Begin { .. }
                | Step::Together(_)
                | Step::Move(_)
                | Step::Note(_)
                | Step::Wait(_)) => Some(step.no_later_than(Some(until))),
            },
            Gates::Passed | Gates::Watching { .. }
                if until == since && self.rollout.pause.is_none() =>
            {
                return Step::Move(Event::Baked);
            }
            Gates::Passed | Gates::Watching { .. } => None,
            Gates::Pending(step) => Some(step),
        };
        if let Some(step) = self.watch(&self.rollout.targets, since, until) {
            return step;
        }
        let next_watch = self.next_watch(&self.rollout.targets, since, until);
        if let Some(on) = self.waiting_for_answer(&self.rollout.targets, since) {
            let wait = wait(on, next_watch);
            return match pending {
                Some(step) => step.beside(wait),
                None => wait,
            };
        }
        match (pending, self.unwatched(until)) {
            (Some(step), _) => step.no_later_than(next_watch),
            (None, _) if self.now < until => {
                let wake = next_watch.into_iter().chain([until]).min();
                wait(WaitingOn::Bake { until }, wake)
            }
            (None, Some(target)) => wait(self.waiting_to_see(target), next_watch),
            (None, None) => match self.paused() {
                // Blue is watched on, and goes back if it must.
                Some(step) => step.no_later_than(next_watch),
                None => Step::Move(Event::Baked),
            },
        }
    }

    /// Slots are looked at a few times during the bake, since swaps have been seen to revert themselves minutes later.
    pub(super) fn watch(
        &self,
        targets: &[CloudName],
        since: Timestamp,
        until: Timestamp,
    ) -> Option<Step> {
        let is_due = |target: &&CloudName| {
            let is_last = self.now >= until && self.unseen_since(**target, until);
            let is_free = !self.state.in_flight.observing.contains(*target);
            is_free
                && (look_at(
                    self.state,
                    **target,
                    self.watch_every(**target, since, until),
                ) <= self.now
                    || is_last && !self.has_problem(**target))
        };
        let due: Vec<CloudName> = targets.iter().filter(is_due).copied().collect();
        (!due.is_empty()).then_some(Step::Observe(due))
    }

    /// When the next look is due; none while every target is being looked at, since its return wakes.
    pub(super) fn next_watch(
        &self,
        targets: &[CloudName],
        since: Timestamp,
        until: Timestamp,
    ) -> Option<Timestamp> {
        let is_free = |target: &&CloudName| !self.state.in_flight.observing.contains(*target);
        let free = targets.iter().filter(is_free);
        free.map(|target| look_at(self.state, *target, self.watch_every(*target, since, until)))
            .min()
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

    fn waiting_to_see(&self, target: CloudName) -> WaitingOn {
        let live = self.state.live.get(&target);
        let problem = live.and_then(|live| live.problem.as_ref());
        WaitingOn::Cloud {
            target,
            failure: problem.map(|problem| problem.failure.clone()),
        }
    }

    /// How often a target is looked at: more often while its blue does not answer, which mostly ends soon.
    fn watch_every(&self, target: CloudName, since: Timestamp, until: Timestamp) -> Duration {
        let every = watch_every(since, until);
        match self.silence(target, since) {
            Some(_) => every.min(SILENT_WATCH),
            None => every,
        }
    }

    /// What blue answers in place of the release by the newest look, and for how long it has done so.
    fn silence(&self, target: CloudName, since: Timestamp) -> Option<(&str, Duration)> {
        let seen = self.state.seen(target).filter(|seen| seen.at >= since)?;
        let silence = seen.observed.silence.as_ref()?;
        let began = seen.silent_since?.max(since);
        Some((silence, seen.at.since(began)))
    }

    /// A platform may answer in place of the release for seconds after a swap; for longer, users are not served.
    pub(super) fn silent_too_long(&self, targets: &[CloudName], since: Timestamp) -> Option<Why> {
        targets.iter().find_map(|target| {
            let (silence, lasts) = self.silence(*target, since)?;
            (lasts >= SILENCE_MAX).then(|| Why {
                reason: StopReason::BlueSilent,
                message: format!(
                    "blue on {target} does not answer as release {} for {}s: {silence}",
                    self.rollout.release.short(),
                    lasts.as_secs()
                ),
            })
        })
    }

    pub(super) fn waiting_for_answer(
        &self,
        targets: &[CloudName],
        since: Timestamp,
    ) -> Option<WaitingOn> {
        targets.iter().find_map(|target| {
            let (silence, _) = self.silence(*target, since)?;
            Some(WaitingOn::Answer {
                target: *target,
                message: silence.to_owned(),
            })
        })
    }

    fn reverted(&self, since: Timestamp) -> Option<Why> {
        let mut targets = self.rollout.targets.iter().copied();
        let target = targets.find(|target| self.is_reverted(*target, since))?;
        Some(self.reverted_on(target))
    }

    /// A look that began after the promotion does not find what was promoted.
    pub(super) fn is_reverted(&self, target: CloudName, since: Timestamp) -> bool {
        let seen = self.state.seen(target).filter(|seen| seen.at >= since);
        seen.is_some_and(|seen| !seen.observed.blue.holds(self.rollout.release))
    }

    pub(super) fn reverted_on(&self, target: CloudName) -> Why {
        let release = self.rollout.release.short();
        Why {
            reason: StopReason::SlotReverted,
            message: format!("blue on {target} no longer holds release {release}"),
        }
    }
}

/// A fifth of the bake, between one second and half a minute.
fn watch_every(since: Timestamp, until: Timestamp) -> Duration {
    (until.since(since) / 5).clamp(Duration::from_secs(1), Duration::from_secs(30))
}
