//! Green that loses the release while it is measured or waited for: somebody emptied the slot, or put something else there. That is no
//! fault of the release, which is staged again and then measured again.

use super::View;
use crate::{
    name::{CloudName, Timestamp},
    plan::step::Step,
    rollout::{
        intent::{Intent, IntentState, Order},
        phase::{Event, Phase, StopReason, Why},
    },
};

/// How often a release whose slot was lost is staged again, before its rollout gives up.
const STAGED_AGAIN_MAX: usize = 2;

impl View<'_> {
    /// A look that began since then, and finds the release in no slot of a target.
    pub(super) fn lost(&self, since: Timestamp) -> Option<Step> {
        let mut under_way = self.state.in_flight.orders.values();
        // What is being measured comes back first, so that it is not taken for a measurement of what is staged next.
        if self.rollout.trigger.is_rollback() || under_way.any(is_measurement) {
            return None;
        }
        let release = self.rollout.release;
        let is_gone = |target: &&CloudName| {
            let seen = self.state.seen(**target).filter(|seen| seen.at > since);
            seen.is_some_and(|seen| {
                !seen.observed.green.holds(release) && !seen.observed.blue.holds(release)
            })
        };
        let target = self.rollout.targets.iter().find(is_gone)?;
        if self.may_stage_again() {
            return Some(Step::Move(Event::StagedAgain));
        }
        let message = format!(
            "green on {target} lost release {} again and again: somebody else writes to it",
            release.short()
        );
        Some(Step::Move(Event::Refused(Why {
            reason: StopReason::NotStaged,
            message,
        })))
    }

    pub(super) fn may_stage_again(&self) -> bool {
        let word = Phase::Staging.word();
        let moves = self.rollout.transitions.iter();
        let staged = moves.filter(|it| it.phase == word).count();
        !self.rollout.trigger.is_rollback() && staged <= STAGED_AGAIN_MAX
    }

    /// The end of the way back, and what is left where it was since nobody can bring it back.
    pub(super) fn returned(&self) -> Event {
        let targets = self.rollout.targets.iter().copied();
        let lost: Vec<String> = targets
            .filter(|it| self.is_lost_for_good(*it))
            .map(|target| target.to_string())
            .collect();
        let before = self.rollout.previous.map(|it| it.short());
        match before.filter(|_| !lost.is_empty()) {
            None => Event::Returned,
            Some(before) => Event::ReturnedInPart {
                message: format!(
                    "{} stays as it is: release {before} is in no slot there, and nothing here remembers it; a newer commit replaces it",
                    lost.join(" and ")
                ),
            },
        }
    }

    /// Its slots lost the release before, as several tries have shown, and the store its record.
    pub(super) fn is_lost_for_good(&self, target: CloudName) -> bool {
        let step = format!("back/{target}");
        let tries = match self.state.intent(&self.key(&step)) {
            Some(Intent {
                state: IntentState::Open { attempts, .. },
                ..
            }) => *attempts,
            Some(_) | None => 0,
        };
        let is_recorded = |release| self.state.releases.contains_key(&release);
        let previous = self.rollout.previous;
        let is_under_way = self.state.in_flight.orders.contains_key(&self.key(&step));
        previous.is_some_and(|release| !is_recorded(release))
            && self.is_gone(&step)
            && tries >= self.policy.attempts_max
            && !is_under_way
    }

    /// Before a person is called for a gate that could not be judged: a look at what was measured, which may be gone.
    pub(super) fn look_at_what_was_measured(&self) -> Option<Step> {
        let runs = self.rollout.gates.iter();
        let made = runs.flat_map(|run| &run.measurements);
        // A clock that was set back since makes some of the future, which no look can be after.
        let made = made.map(|made| made.finished_at);
        let last = made.filter(|at| *at <= self.now).max()?;
        let is_unseen = |target: &CloudName| {
            let live = self.state.live.get(target);
            let seen = live.and_then(|live| live.seen.as_ref());
            // A target that cannot be looked at keeps nobody from hearing of the gate.
            live.is_none_or(|live| live.problem.is_none()) && seen.is_none_or(|it| it.at < last)
        };
        let targets = self.rollout.targets.iter().copied();
        self.looking_at(targets.filter(is_unseen).collect())
    }
}

fn is_measurement(order: &Order) -> bool {
    matches!(order, Order::Measure { .. })
}
