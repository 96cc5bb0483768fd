//! The moment at which blue begins to move: everything that must be so before it, counted afresh from what was seen from outside.

use std::time::Duration;

use tokio::time::Instant;
use verdigris::{
    manifest::spec::{DriftMode, GateKind, GateStage},
    name::{CloudName, GroupName, ReleaseDigest, Timestamp},
    observed::{Fields, SlotContent},
};

use super::super::fleet::Calendar;
use super::{AT_ONCE, Asked, Checker, Facts, Held, Wanted};

/// What an answered look told of a blue slot, as far as people decide by it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    /// When the look began.
    pub(super) began: Instant,
    release: Option<ReleaseDigest>,
    fields: Fields,
}

impl Shown {
    pub(super) fn new(began: Instant, blue: &SlotContent) -> Self {
        let fields = blue.holding().map(|holding| holding.fields.clone());
        Self {
            began,
            release: blue.release(),
            fields: fields.unwrap_or_default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.release.is_none()
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.release, &self.fields) == (other.release, &other.fields)
    }
}

/// A person's word, and what they could see when they gave it.
#[derive(Clone, Debug)]
pub(super) struct Word {
    shown: [Option<Shown>; 2],
    live: Option<ReleaseDigest>,
}

impl Word {
    pub(super) fn of(facts: &Facts) -> Self {
        Self {
            shown: facts.sides.each_ref().map(|side| side.shown.clone()),
            live: facts.live,
        }
    }
}

/// Where a service stands that another one needs.
enum Standing {
    /// Live at what Git asks for, with nothing under way.
    AsAsked,
    /// Something about it changed just now, and need not be known everywhere.
    InMotion,
    Not(&'static str),
}

impl Checker {
    /// The daemon says that blue begins to move.
    pub(super) fn turns(&mut self, service: usize, now: Timestamp) -> Held {
        let Some(run) = &self.services[service].run else {
            return Ok(());
        };
        if run.is_rollback || run.turned.is_some() {
            return Ok(());
        }
        let run = self.services[service].run.iter_mut();
        run.for_each(|run| run.turned = Some(Instant::now()));
        self.services[service].is_open(now)?;
        self.services[service].is_approved()?;
        self.has_what_it_needs(service)?;
        self.is_proven_elsewhere(service)?;
        self.goes_with_its_group(service)
    }

    /// What a release needs is live, as Git asks for it, before it goes to green and before it goes to blue.
    pub(super) fn has_what_it_needs(&self, service: usize) -> Held {
        let facts = &self.services[service];
        let Some(wanted) = facts.asked.wanted().filter(|_| !facts.is_asked_anew()) else {
            return Ok(());
        };
        for other in &self.services {
            let is_needed = other.environment == facts.environment
                && wanted.needs.contains(&other.key.service)
                && (wanted.group.is_none() || wanted.group != other.group());
            if let (true, Standing::Not(why)) = (is_needed, self.standing(facts, other)) {
                let told = format!(
                    "{} goes on, and {}, which it needs, {why}",
                    facts.name, other.name
                );
                return Err(("what is needed goes first", told));
            }
        }
        Ok(())
    }

    /// A release was live elsewhere for as long as its environment asks.
    pub(super) fn is_proven_elsewhere(&self, service: usize) -> Held {
        let facts = &self.services[service];
        let (Some(after), Some(run)) = (facts.follows, &facts.run) else {
            return Ok(());
        };
        let Some(version) = facts
            .version_of(run.release)
            .filter(|_| !facts.is_asked_anew())
        else {
            return Ok(());
        };
        let first = self.services.iter().find(|other| {
            other.key.service == facts.key.service && other.environment != facts.environment
        });
        let Some(first) = first.filter(|it| !it.is_in_motion()) else {
            return Ok(());
        };
        let live = first.live.and_then(|live| first.version_of(live));
        let since = first.live_since.filter(|_| first.live_jumps == self.jumps);
        let is_long_enough = since.is_none_or(|it| it.elapsed() + AT_ONCE >= after);
        if live == Some(version) && is_long_enough {
            return Ok(());
        }
        let told = format!(
            "{} goes on with version {version}, and {} is at {live:?} for {:?}",
            facts.name,
            first.name,
            since.map(|it| it.elapsed())
        );
        Err(("what follows was proven first", told))
    }

    /// Each member of a group is live at what Git asks for, or is ready to go along.
    fn goes_with_its_group(&self, service: usize) -> Held {
        let facts = &self.services[service];
        let group = facts.group().filter(|_| !facts.is_asked_anew());
        let Some(group) = group else {
            return Ok(());
        };
        let is_mate = |other: &usize| {
            let mate = &self.services[*other];
            *other != service
                && mate.environment == facts.environment
                && mate.group() == Some(group.clone())
                && !mate.is_asked_anew()
                && !mate.is_forgetful
        };
        for mate in (0..self.services.len()).filter(is_mate) {
            let other = &self.services[mate];
            match self.standing(facts, other) {
                Standing::AsAsked | Standing::InMotion => {}
                Standing::Not(_) if other.is_ready() => {}
                Standing::Not(why) => {
                    let told = format!(
                        "{} moves, and {}, which goes with it, {why}",
                        facts.name, other.name
                    );
                    return Err(("a group goes together", told));
                }
            }
        }
        Ok(())
    }

    /// None of those that moved with it has failed.
    pub(super) fn ends_with_its_group(&self, service: usize) -> Held {
        if !self.has_failed_mate(service) {
            return Ok(());
        }
        let told = format!(
            "{} is live, and what went with it failed",
            self.services[service].name
        );
        Err(("a group goes together", told))
    }

    pub(super) fn has_failed_mate(&self, service: usize) -> bool {
        let joint = self.services[service].joint();
        joint.is_some_and(|joint| self.failed_turns.contains(&joint))
    }

    fn standing(&self, facts: &Facts, other: &Facts) -> Standing {
        let is_forgetful = facts.is_forgetful || other.is_forgetful;
        if other.is_in_motion() || facts.is_asked_anew() || is_forgetful {
            return Standing::InMotion;
        }
        match &other.asked {
            Asked::Never => Standing::InMotion,
            Asked::Absent => Standing::Not("is in no manifest"),
            Asked::Invalid(_) => Standing::Not("has a wrong manifest"),
            Asked::Wanted(wanted) if other.live != Some(wanted.release) => {
                Standing::Not("is not live at what git asks for")
            }
            Asked::Wanted(_) if other.run.as_ref().is_some_and(|run| !run.is_over) => {
                Standing::Not("is in the middle of something")
            }
            Asked::Wanted(_) => Standing::AsAsked,
        }
    }
}

impl Facts {
    /// The move that it made together with others of its group, if it made one.
    pub(super) fn joint(&self) -> Option<(usize, GroupName, Instant)> {
        let run = self.run.as_ref().filter(|run| !run.is_rollback)?;
        let group = run.wanted.as_ref()?.group.clone()?;
        Some((self.environment, group, run.turned?))
    }

    pub(super) fn is_asked_anew(&self) -> bool {
        self.is_unread || self.asked_at.is_none_or(|at| at.elapsed() <= AT_ONCE)
    }

    fn is_in_motion(&self) -> bool {
        self.is_asked_anew() || self.touched.is_some_and(|at| at.elapsed() <= AT_ONCE)
    }

    pub(super) fn group(&self) -> Option<GroupName> {
        self.asked.wanted().and_then(|wanted| wanted.group.clone())
    }

    fn version_of(&self, release: ReleaseDigest) -> Option<u64> {
        self.ways.get(&release).map(|wanted| wanted.version)
    }

    /// Its rollout is to what Git asks for, and has passed what stands before blue.
    fn is_ready(&self) -> bool {
        let wanted = self.asked.wanted().map(|wanted| wanted.release);
        let run = self.run.as_ref().filter(|run| {
            Some(run.release) == wanted && !run.is_over && !run.is_rollback && run.failed.is_none()
        });
        run.is_some_and(|run| run.missing(&self.targets, GateStage::Staging).is_none())
    }

    /// Its windows are open, as the newest commit has them; or somebody opened them.
    fn is_open(&self, now: Timestamp) -> Held {
        let Some(run) = self.run.as_ref().filter(|run| !run.is_opened) else {
            return Ok(());
        };
        let wanted = self.asked.wanted().or(run.wanted.as_ref());
        let calendar = wanted.and_then(|wanted| wanted.calendar);
        let is_open = calendar.is_none_or(|calendar| is_open(calendar, now));
        if is_open || self.is_asked_anew() {
            return Ok(());
        }
        let told = format!("{} moves at {now}, against {calendar:?}", self.name);
        Err(("windows hold", told))
    }

    /// Enough people said so, of the very thing that is about to happen.
    fn is_approved(&self) -> Held {
        let Some(run) = &self.run else { return Ok(()) };
        let Some(wanted) = &run.wanted else {
            return Ok(());
        };
        for gate in &wanted.gates {
            let GateKind::Approval(approval) = &gate.kind else {
                continue;
            };
            let counts = |given: &(&String, &Word)| {
                let (who, word) = given;
                (approval.by.is_empty() || approval.by.contains(who)) && self.still_means(word)
            };
            let given = run.approvals.iter().filter(counts).count();
            if given < approval.quorum as usize {
                let told = format!(
                    "{} moves with {given} of {} words for it",
                    self.name, approval.quorum
                );
                return Err(("approvals are for the plan as it is", told));
            }
        }
        Ok(())
    }

    fn still_means(&self, word: &Word) -> bool {
        let is_same = |cloud: &CloudName| {
            let place = super::side_of(*cloud);
            match (&word.shown[place], &self.sides[place].shown) {
                (Some(then), Some(now)) => then.is_like(now) || now.at_once(),
                // What it saw before it died is on its disk.
                (None, _) | (_, None) => true,
            }
        };
        word.live == self.live && self.targets.iter().all(is_same)
    }
}

impl Shown {
    /// Its answer may not have been taken in yet.
    fn at_once(&self) -> bool {
        self.began.elapsed() <= LOOK
    }
}

/// A look is on its way for so long at most.
const LOOK: Duration = Duration::from_secs(61);

/// Counted by the hour's minutes, and not by any calendar: the story's time zone has whole hours.
fn is_open(calendar: Calendar, now: Timestamp) -> bool {
    let Calendar {
        allows,
        every,
        minutes,
    } = calendar;
    let of_hour = now.millis().rem_euclid(3_600_000).unsigned_abs();
    let since = of_hour % (every * 60_000);
    (since < minutes * 60_000) == allows
}

/// Whether there is a minute of the hour at which all of them are open.
pub(super) fn meet(calendars: &[Calendar]) -> bool {
    let at = |minute: i64| Timestamp::from_millis(minute * 60_000);
    let are_open = |minute| calendars.iter().all(|it| is_open(*it, at(minute)));
    (0..60).any(are_open)
}

impl Wanted {
    pub(super) fn is_observed_only(&self) -> bool {
        self.drift == DriftMode::Observe
    }
}
