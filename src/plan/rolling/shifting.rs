//! The canary: before blue moves, the release takes a growing share of its requests.

use std::time::Duration;

use super::{View, gates::Gates, orders::Group, suspended};
use crate::{
    manifest::{
        spec::RolloutSpec,
        strategy::{CanaryStep, can_weigh},
    },
    name::{CloudName, Percent, ReleaseDigest, Timestamp},
    plan::{
        reason::WaitingOn,
        state::ServiceState,
        step::{Note, Sending, Step, look::look_at, wait},
    },
    rollout::{
        Rollout,
        intent::{IntentState, Order},
        phase::{Event, StopReason, Why},
    },
};

/// How often blue is looked at, since people can change its shares.
const WATCH: Duration = Duration::from_secs(30);

/// The targets whose blue shares its requests during a canary: those that can, of those that move first, where there is something to
/// share between.
pub(in crate::plan) fn weighers(
    state: &ServiceState,
    spec: &RolloutSpec,
    targets: &[CloudName],
    previous: Option<ReleaseDigest>,
    release: ReleaseDigest,
) -> Vec<CloudName> {
    if !previous.is_some_and(|previous| have_common_functions(state, previous, release)) {
        return Vec::new();
    }
    let mut first = spec.across.first_of(targets);
    first.retain(|target| can_weigh(*target) && !is_idle(state, *target));
    first
}

/// Blue there serves nobody whole, as people may have emptied it, and was given no share before that: what is promoted fills it, and is no
/// worse for having nobody to share with.
fn is_idle(state: &ServiceState, target: CloudName) -> bool {
    let blue = state.seen(target).map(|seen| &seen.observed.blue);
    let is_empty = blue.is_some_and(|blue| blue.holding().is_none());
    let is_sharing = state
        .active()
        .is_some_and(|it| has_shared(state, it, target));
    is_empty && !is_sharing
}

/// Whether a target was asked to give a rollout a share.
pub(super) fn has_shared(state: &ServiceState, rollout: &Rollout, target: CloudName) -> bool {
    let (prefix, suffix) = (format!("{}/shift/", rollout.id), format!("/{target}"));
    let mut keys = state.intents.keys();
    keys.any(|key| key.0.starts_with(&prefix) && key.0.ends_with(&suffix))
}

/// A function that only one of two releases has shares nothing: it comes, or goes, with the promotion. A release that is not known any
/// more is taken for one that has common functions: the cloud knows.
fn have_common_functions(state: &ServiceState, one: ReleaseDigest, other: ReleaseDigest) -> bool {
    let functions = |release| {
        let record = state.releases.get(release)?;
        Some(&record.release.content.functions)
    };
    match (functions(&one), functions(&other)) {
        (Some(one), Some(other)) => one.keys().any(|name| other.contains_key(name)),
        (None, _) | (_, None) => true,
    }
}

impl View<'_> {
    /// Everything before blue is touched has passed: the canary comes next, where there is one.
    pub(super) fn onward(&self, blue: Event) -> Step {
        if let Some(step) = self.closed() {
            return step;
        }
        let has_canary = !self.rollout.spec.strategy.steps().is_empty();
        if has_canary && !self.rollout.trigger.is_rollback() {
            self.to_promotion(Event::CanaryStarted)
        } else {
            self.to_promotion(blue)
        }
    }

    pub(super) fn shifting(&self, step: u32, since: Timestamp) -> Step {
        let steps = self.rollout.spec.strategy.steps();
        let at = step as usize;
        let current = steps.get(at);
        if !matches!(current, Some(CanaryStep::Pause(_) | CanaryStep::Gates(_)))
            && let Some(held) = self.held(at)
        {
            return held;
        }
        if let Some(step) = self.sharing(at) {
            return step;
        }
        let wait_or_step = match current {
            None => return self.to_promotion(Event::CanaryPassed),
            Some(CanaryStep::Weight(_)) => return Step::Move(Event::CanaryStepped),
            Some(CanaryStep::Pause(length)) => self.pausing(at, since, *length),
            Some(CanaryStep::Gates(names)) => match self.step_gates(names) {
                Gates::Passed => return Step::Move(Event::CanaryStepped),
                Gates::Failed(why) => return Step::Move(Event::Failed(why)),
                Gates::Unclear(why) => unclear(why),
                Gates::Pending(step) | Gates::Watching { step, .. } => step,
            },
        };
        match wait_or_step {
            Step::Wait(_) => self.watching(wait_or_step),
            Step::Begin { .. }
            | Step::Move(_)
            | Step::Together(_)
            | Step::Note(_)
            | Step::Observe(_)
            | Step::Send(_) => wait_or_step,
        }
    }

    /// A pause or a suspension keeps the share from growing, and blue from moving. A share that was asked for already is brought about.
    fn held(&self, at: usize) -> Option<Step> {
        let is_asked = |target: &CloudName| {
            let key = self.key(&shift_key(at, *target));
            self.state.intents.contains_key(&key)
        };
        if self.weighers().iter().any(is_asked) {
            return None;
        }
        self.paused()
            .or_else(|| suspended(self.state, self.rollout, self.now))
    }

    /// Brings about the share of this step, and keeps it. Nothing where it is as it should be.
    fn sharing(&self, at: usize) -> Option<Step> {
        let steps = self.rollout.spec.strategy.steps();
        let reached = steps.iter().enumerate().take(at + 1).rev();
        let weight = |(index, step): (usize, &CanaryStep)| match step {
            CanaryStep::Weight(weight) => Some((index, *weight)),
            CanaryStep::Pause(_) | CanaryStep::Gates(_) => None,
        };
        let (index, weight) = reached.into_iter().find_map(weight)?;
        let weighers = self.weighers();
        if let Some(step) = weighers
            .iter()
            .find_map(|it| self.changed(index, *it, weight))
        {
            return Some(step);
        }
        let shift = |target: &CloudName| self.shift(shift_key(index, *target), *target, weight);
        let sendings: Vec<Sending> = weighers.iter().map(shift).collect();
        match self.group(&sendings) {
            Group::Done => None,
            Group::Failed(intent) => Some(self.failed(StopReason::ShiftFailed, intent)),
            Group::Pending(step) => Some(step),
        }
    }

    pub(super) fn shift(&self, step: String, target: CloudName, weight: Percent) -> Sending {
        let release = self.rollout.release;
        let order = Order::Shift {
            target,
            release,
            weight,
        };
        self.sending(step, order, self.reason())
    }

    /// A look that began after the share was given, and does not find it: it is given again. Where blue holds something else altogether
    /// there is nothing left to share with.
    fn changed(&self, index: usize, target: CloudName, weight: Percent) -> Option<Step> {
        let key = self.key(&shift_key(index, target));
        let given_at = match &self.state.intents.get(&key)?.state {
            IntentState::Done { at } => *at,
            IntentState::Open { .. } | IntentState::Failed { .. } => return None,
        };
        let seen = self.state.seen(target).filter(|seen| seen.at >= given_at)?;
        let blue = &seen.observed.blue;
        let release = self.rollout.release;
        if !self.rollout.previous.is_some_and(|it| blue.holds(it)) {
            let message = format!("somebody moved blue on {target} during the canary");
            return Some(Step::Move(Event::Failed(Why {
                reason: StopReason::SlotReverted,
                message,
            })));
        }
        if blue.gives(release, weight) {
            return None;
        }
        let found = blue.canary().map_or(Percent::NONE, |canary| canary.weight);
        let message = format!(
            "somebody changed the shares of {target} blue: a canary takes {found}, and {} is to take {weight}",
            release.short()
        );
        Some(Step::Note(Note::Redo { key, message }))
    }

    fn pausing(&self, at: usize, since: Timestamp, length: Option<Duration>) -> Step {
        let until = length.map(|length| since.after(length));
        // Before a first promotion nobody is served, so that there is nothing to wait and see.
        let is_over = until.is_some_and(|until| until <= self.now);
        let is_over = is_over || self.rollout.is_hurried(since);
        if is_over || self.rollout.previous.is_none() {
            return Step::Move(Event::CanaryStepped);
        }
        let on = WaitingOn::CanaryPause {
            weight: self.share_at(at),
            until,
            whole: self.whole(),
        };
        wait(on, until)
    }

    /// The share that is in force on those that can share.
    fn share_at(&self, at: usize) -> Percent {
        if self.weighers().is_empty() {
            return Percent::NONE;
        }
        self.rollout.spec.strategy.weight_at(at)
    }

    /// The targets whose blue moves at once.
    fn whole(&self) -> Vec<CloudName> {
        let weighers = self.weighers();
        let targets = self.rollout.targets.iter().copied();
        targets.filter(|it| !weighers.contains(it)).collect()
    }

    /// The targets whose blue shares its requests.
    fn weighers(&self) -> Vec<CloudName> {
        let rollout = self.rollout;
        weighers(
            self.state,
            &rollout.spec,
            &rollout.targets,
            rollout.previous,
            rollout.release,
        )
    }

    /// While nothing else is to be done, shares are looked at now and then.
    fn watching(&self, waiting: Step) -> Step {
        let weighers = self.weighers();
        let is_free = |target: &&CloudName| !self.state.in_flight.observing.contains(*target);
        let next = |target: &CloudName| look_at(self.state, *target, WATCH);
        let free: Vec<CloudName> = weighers.iter().filter(is_free).copied().collect();
        let due: Vec<CloudName> = free
            .iter()
            .copied()
            .filter(|target| next(target) <= self.now)
            .collect();
        if due.is_empty() {
            waiting.no_later_than(free.iter().map(next).min())
        } else {
            Step::Observe(due)
        }
    }
}

fn shift_key(index: usize, target: CloudName) -> String {
    format!("shift/{index}/{target}")
}

/// An answer that allows no judgement holds the share where it is, for a person. Where there was no answer at all, users would take part
/// in something that nobody watches.
fn unclear(why: Why) -> Step {
    match why.reason {
        StopReason::GateInconclusive => wait(
            WaitingOn::Person {
                message: why.message,
            },
            None,
        ),
        StopReason::BuildFailed
        | StopReason::StageFailed
        | StopReason::GateFailed
        | StopReason::GateError
        | StopReason::ShiftFailed
        | StopReason::PromotionFailed
        | StopReason::NotStaged
        | StopReason::SlotReverted
        | StopReason::BlueSilent
        | StopReason::GroupFailed
        | StopReason::Superseded
        | StopReason::ApprovalExpired
        | StopReason::Aborted => Step::Move(Event::Failed(why)),
    }
}
