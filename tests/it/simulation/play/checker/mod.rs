//! The eyes that watch: what must always hold, judged from outside.
//!
//! Nothing here is the planner's: it sees what commits ask, what people were granted, what gates answered, every call at the clouds' door,
//! and what the daemon wrote down as told (events and intents). From these alone it knows which call may be made, and where things must
//! end.

mod claims;
mod orders;
mod rest;
mod turn;

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use verdigris::{
    cloud::fake::Operation,
    desired::DesiredService,
    manifest::spec::{Across, ApprovalGate, DriftMode, Gate, GateKind, GateStage, Measure},
    name::{CloudName, GroupName, Percent, ReleaseDigest, ServiceKey, ServiceName, Timestamp},
    rollout::evidence::Outcome,
    store::Tree,
};

pub(crate) use self::{
    claims::{EventRow, RolloutRow},
    orders::Sent,
    rest::{Rest, Told},
};
use super::fleet::{Calendar, EACH, Fleet};

/// A law that does not hold, and the sentence that says so.
pub(crate) type Held = Result<(), (&'static str, String)>;

/// What nobody can know at the same instant: an order may be on its way to the door when something changes.
const AT_ONCE: std::time::Duration = std::time::Duration::from_secs(1);

pub(crate) struct Checker {
    pub(crate) services: Vec<Facts>,
    /// Turns of an environment that some group took, and of which one member failed.
    failed_turns: BTreeSet<(usize, GroupName, Instant)>,
    /// How often somebody set the clock.
    pub(crate) jumps: u64,
    /// Ever one more.
    pub(crate) writes: u64,
    /// Orders that are on their way or at work.
    at_work: u64,
}

/// What Git says of a service.
#[derive(Clone, Debug, Default)]
pub(crate) enum Asked {
    #[default]
    Never,
    Wanted(Wanted),
    /// Its manifest is wrong; what was asked for before stands.
    Invalid(Option<Wanted>),
    Absent,
}

#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) release: ReleaseDigest,
    gates: Vec<Gate>,
    bake: std::time::Duration,
    across: Across,
    version: u64,
    calendar: Option<Calendar>,
    needs: BTreeSet<ServiceName>,
    group: Option<GroupName>,
    drift: DriftMode,
}

/// One service, as far as it can be known from outside.
pub(crate) struct Facts {
    pub(crate) name: String,
    key: ServiceKey,
    /// How long its releases must have been live where they are proven first.
    follows: Option<std::time::Duration>,
    pub(crate) environment: usize,
    pub(crate) targets: Vec<CloudName>,
    pub(crate) asked: Asked,
    asked_at: Option<Instant>,
    /// What the newest commit that the daemon was told of says of it, to the word.
    told: Option<DesiredService>,
    /// The daemon started, remembers other words than these, and has not read Git since.
    is_unread: bool,
    /// When the daemon last said something of it.
    touched: Option<Instant>,
    /// The newest words about each release that any commit asked for.
    ways: BTreeMap<ReleaseDigest, Wanted>,
    run: Option<Run>,
    /// What the daemon said was live last.
    pub(crate) live: Option<ReleaseDigest>,
    /// Since when, and how often the clock had been set by then.
    live_since: Option<Instant>,
    live_jumps: u64,
    was_live: BTreeSet<ReleaseDigest>,
    /// What was asked for since the store was lost last.
    known: BTreeSet<ReleaseDigest>,
    /// Releases that did not pass, and must not be tried again by the loop.
    rejected: BTreeSet<ReleaseDigest>,
    /// What a person's rollback holds back.
    held: Option<ReleaseDigest>,
    /// Why a release may be rejected.
    excuses: BTreeMap<ReleaseDigest, &'static str>,
    /// A person asked for a rollback, and it was taken.
    is_rolled_back: bool,
    suspended: Option<Suspended>,
    /// Somebody edited a slot by hand since a release was live.
    is_edited: bool,
    /// A slot moved by itself since then.
    is_moved: bool,
    /// When the store was lost last, some blue of it held something, or was being given it.
    is_left: bool,
    /// What was asked for last, asked for still or not.
    newest: Option<Wanted>,
    /// The windows are open to the next rollout.
    is_next_opened: bool,
    /// Some record of it rotted: the daemon may have forgotten what it said.
    is_forgetful: bool,
    /// The daemon has a record of it.
    pub(crate) is_known: bool,
    built_at: Option<Instant>,
    sides: [Side; 2],
}

#[derive(Clone, Copy, Debug)]
struct Suspended {
    since: Instant,
    until: Option<Timestamp>,
}

/// One service on one cloud.
#[derive(Default)]
struct Side {
    /// A look at it was answered to a daemon that has kept its store since.
    is_seen: bool,
    /// The newest look that was answered showed something that is not ours, since then.
    foreign_since: Option<Instant>,
    writing: Option<u64>,
    /// What the newest look told to the daemon that lives.
    shown: Option<turn::Shown>,
    /// What blue holds now, and all that it ever held.
    blue: Option<ReleaseDigest>,
    held: BTreeSet<ReleaseDigest>,
}

/// The rollout that the daemon said it began.
struct Run {
    id: u64,
    release: ReleaseDigest,
    is_rollback: bool,
    wanted: Option<Wanted>,
    /// What Git asked for when it began.
    held: Option<ReleaseDigest>,
    began: Instant,
    jumps: u64,
    /// Answers since it began, and since a person asked for them anew.
    answers: BTreeMap<(String, Option<CloudName>), Tally>,
    approvals: BTreeMap<String, turn::Word>,
    /// Its windows were opened by a person.
    is_opened: bool,
    /// Blue began to move.
    turned: Option<Instant>,
    /// It went back since another one did.
    is_dragged: bool,
    /// It was a canary and went back while Git asked for something else, which may be why: nothing need be wrong with its release.
    is_overtaken: bool,
    /// When blue was first told to hold the release.
    moved: [Option<Instant>; 2],
    /// When each of its orders was sent first.
    begun: BTreeMap<(Operation, Percent, CloudName), Instant>,
    /// It was given a share of blue's requests.
    is_shared: bool,
    is_cut_short: bool,
    /// Since when a person holds it.
    paused: Option<Instant>,
    /// Since it began, a daemon died, somebody went past us, or a cloud lied: what blue holds need not be what the daemon can know.
    is_muddled: bool,
    /// Since when it may not go on.
    failed: Option<Instant>,
    /// Something else took its place before blue moved.
    is_superseded: bool,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// All but errors.
    made: u32,
    successful: u32,
    failed: u32,
    /// Successes since the last answer that was none.
    in_row: u32,
    /// The same before that answer, which may have been lost with the daemon that heard it.
    before: u32,
}

pub(crate) fn side_of(cloud: CloudName) -> usize {
    usize::from(cloud == CloudName::Azure)
}

impl Checker {
    pub(crate) fn new(fleet: &Fleet) -> Self {
        let facts = |member: &super::fleet::Member| Facts {
            name: member.key.to_string(),
            key: member.key.clone(),
            follows: member.follows(),
            asked_at: None,
            told: None,
            is_unread: false,
            touched: None,
            live_since: None,
            live_jumps: 0,
            environment: member.environment,
            targets: member.targets.clone(),
            asked: Asked::Never,
            ways: BTreeMap::new(),
            run: None,
            live: None,
            was_live: BTreeSet::new(),
            known: BTreeSet::new(),
            rejected: BTreeSet::new(),
            held: None,
            excuses: BTreeMap::new(),
            is_rolled_back: false,
            suspended: None,
            is_edited: false,
            is_moved: false,
            is_left: false,
            newest: None,
            is_next_opened: false,
            is_forgetful: false,
            is_known: false,
            built_at: None,
            sides: Default::default(),
        };
        Self {
            services: fleet.members.iter().map(facts).collect(),
            failed_turns: BTreeSet::new(),
            jumps: 0,
            writes: 0,
            at_work: 0,
        }
    }

    // === what the world tells ===

    /// A commit reached the daemon.
    pub(crate) fn asked(
        &mut self,
        service: usize,
        desired: &DesiredService,
        version: u64,
        calendar: Option<Calendar>,
    ) {
        let facts = &mut self.services[service];
        let wanted = Wanted {
            release: desired.release.digest,
            gates: desired.rollout.gates.clone(),
            bake: desired.rollout.bake,
            across: desired.rollout.across.clone(),
            version,
            calendar,
            needs: desired.depends_on.clone(),
            group: desired.rollout.group.clone(),
            drift: desired.drift.mode,
        };
        let is_like = matches!(&facts.asked, Asked::Wanted(before) if before.is_like(&wanted));
        if !is_like || facts.is_unread {
            facts.asked_at = Some(Instant::now());
        }
        facts.is_unread = false;
        facts.told = Some(desired.clone());
        facts.held = facts.held.filter(|held| *held == wanted.release);
        facts.ways.insert(wanted.release, wanted.clone());
        facts.known.insert(wanted.release);
        facts.newest = Some(wanted.clone());
        facts.asked = Asked::Wanted(wanted);
        facts.is_known = true;
    }

    pub(crate) fn asked_wrongly(&mut self, service: usize) {
        let facts = &mut self.services[service];
        facts.is_known = true;
        facts.is_unread = false;
        facts.asked_at = Some(Instant::now());
        facts.asked = Asked::Invalid(facts.asked.wanted().cloned());
    }

    pub(crate) fn no_longer_asked(&mut self, service: usize) {
        let facts = &mut self.services[service];
        facts.is_unread = false;
        facts.asked_at = Some(Instant::now());
        facts.asked = Asked::Absent;
    }

    /// Something went wrong that may end the rollout under way.
    pub(crate) fn trouble(&mut self, service: usize, what: &'static str) {
        let facts = &mut self.services[service];
        if let Some(run) = facts.run.as_ref().filter(|run| !run.is_over) {
            facts.excuses.entry(run.release).or_insert(what);
        }
    }

    /// The same, for whatever it hits.
    pub(crate) fn trouble_everywhere(&mut self, what: &'static str) {
        for service in 0..self.services.len() {
            self.trouble(service, what);
        }
    }

    pub(crate) fn built(&mut self, service: usize) {
        self.services[service].built_at = Some(Instant::now());
    }

    /// The store is lost: what was seen and promoted is to be found out anew.
    pub(crate) fn store_lost(&mut self) {
        for facts in &mut self.services {
            facts.sides.iter_mut().for_each(|side| side.is_seen = false);
            let mut sides = facts.sides.iter();
            facts.is_left = sides.any(|side| side.blue.is_some() || side.writing.is_some());
            facts.live = None;
            facts.live_since = None;
            facts.run = None;
            facts.suspended = None;
            facts.is_rolled_back = false;
            facts.rejected.clear();
            facts.held = None;
            facts.known.clear();
            facts.is_known = false;
            if let Asked::Invalid(wanted) = &mut facts.asked {
                *wanted = None;
            }
        }
    }

    /// What only this record said is not known any more.
    pub(crate) fn rotted(&mut self, service: usize, tree: Tree) {
        let facts = &mut self.services[service];
        facts.is_forgetful = true;
        if tree == Tree::Service {
            facts.suspended = None;
        }
    }

    /// A daemon starts: what did not reach the disk is lost to it.
    pub(crate) fn revived(&mut self) {
        let sides = self.services.iter_mut().flat_map(|facts| &mut facts.sides);
        sides.for_each(|side| {
            side.foreign_since = None;
            side.shown = None;
        });
        for run in self
            .services
            .iter_mut()
            .filter_map(|facts| facts.run.as_mut())
        {
            run.forgive();
        }
    }

    /// What its disk says was asked for last: until Git is read, nothing newer can be heeded.
    pub(crate) fn remembers(&mut self, service: usize, kept: Option<&DesiredService>) {
        let facts = &mut self.services[service];
        let is_told = |kept: &DesiredService| {
            facts.told.as_ref().is_some_and(|told| {
                told.release.digest == kept.release.digest
                    && told.rollout == kept.rollout
                    && told.depends_on == kept.depends_on
            })
        };
        facts.is_unread = !kept.is_some_and(is_told);
    }

    /// Blue may not be what the daemon can know.
    pub(crate) fn muddle(&mut self, service: usize) {
        let run = self.services[service].run.iter_mut();
        run.for_each(|run| run.is_muddled = true);
    }

    pub(crate) fn muddle_all(&mut self) {
        (0..self.services.len()).for_each(|service| self.muddle(service));
    }

    pub(crate) fn jumped(&mut self) {
        self.jumps += 1;
    }

    pub(crate) fn edited(&mut self, service: usize) {
        self.trouble(service, "edited by hand");
        self.services[service].is_edited = true;
        self.muddle(service);
    }

    // === what people were granted ===

    pub(crate) fn aborted(&mut self, service: usize, is_sure: bool) {
        let facts = &mut self.services[service];
        let Some(run) = &mut facts.run else { return };
        facts.excuses.entry(run.release).or_insert("aborted");
        if is_sure {
            run.failed.get_or_insert_with(Instant::now);
        }
    }

    /// Gates are asked anew; where that is not sure, older answers may count or not.
    pub(crate) fn retried(&mut self, service: usize, is_sure: bool) {
        let Some(run) = &mut self.services[service].run else {
            return;
        };
        if is_sure {
            run.ask_again();
        }
        run.forgive();
    }

    pub(crate) fn approved(&mut self, service: usize, who: &str) {
        let word = turn::Word::of(&self.services[service]);
        if let Some(run) = &mut self.services[service].run {
            run.approvals.insert(who.to_owned(), word);
        }
    }

    /// The windows are open to the rollout under way, or to the next.
    pub(crate) fn opened(&mut self, service: usize) {
        let facts = &mut self.services[service];
        match facts.run.as_mut().filter(|run| !run.is_over) {
            Some(run) => run.is_opened = true,
            None => facts.is_next_opened = true,
        }
    }

    pub(crate) fn cut_short(&mut self, service: usize) {
        if let Some(run) = &mut self.services[service].run {
            run.is_cut_short = true;
            run.paused = None;
        }
    }

    pub(crate) fn paused(&mut self, service: usize) {
        if let Some(run) = &mut self.services[service].run {
            run.paused.get_or_insert_with(Instant::now);
        }
    }

    pub(crate) fn rolled_back(&mut self, service: usize) {
        // During a bake it is an abort.
        self.aborted(service, false);
        self.services[service].is_rolled_back = true;
    }

    /// What was asked for last holds. Where that is not sure, either may hold that or what was asked for before, and what is sure is what
    /// both ask for.
    pub(crate) fn suspended(&mut self, service: usize, until: Option<Timestamp>, is_sure: bool) {
        let since = Instant::now();
        let asked = Suspended { since, until };
        let facts = &mut self.services[service];
        facts.suspended = match facts.suspended {
            _ if is_sure => Some(asked),
            Some(before) => Some(Suspended {
                until: before.until.into_iter().chain(until).min(),
                ..before
            }),
            None => None,
        };
    }

    /// What was held may go on; an unpinning ends neither a suspension nor a pause.
    pub(crate) fn resumed(&mut self, service: usize, is_whole: bool) {
        let facts = &mut self.services[service];
        facts.held = None;
        if is_whole {
            facts.suspended = None;
            facts.run.iter_mut().for_each(|run| run.paused = None);
        }
    }

    // === what gates answered ===

    pub(crate) fn measured(
        &mut self,
        service: usize,
        release: ReleaseDigest,
        gate: &Gate,
        target: Option<CloudName>,
        outcome: &Outcome,
    ) {
        let facts = &mut self.services[service];
        let run = facts.run.as_mut().filter(|run| run.release == release);
        let Some(run) = run else { return };
        let key = (gate.name.to_string(), target);
        run.answers.entry(key).or_default().add(outcome);
        if *outcome != Outcome::Successful {
            facts.excuses.entry(release).or_insert("a gate said so");
        }
    }
}

impl Asked {
    pub(crate) fn wanted(&self) -> Option<&Wanted> {
        match self {
            Self::Wanted(wanted) | Self::Invalid(Some(wanted)) => Some(wanted),
            Self::Never | Self::Invalid(None) | Self::Absent => None,
        }
    }
}

impl Wanted {
    /// A commit that asks for the same in the same way is no news.
    fn is_like(&self, other: &Self) -> bool {
        (self.release, self.calendar, self.drift) == (other.release, other.calendar, other.drift)
            && (&self.needs, &self.group) == (&other.needs, &other.group)
    }
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        self.made += u32::from(!matches!(outcome, Outcome::Error { .. }));
        match outcome {
            Outcome::Successful => self.successful += 1,
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Error { .. } | Outcome::Inconclusive { .. } => {}
        }
        match outcome {
            Outcome::Successful => self.in_row += 1,
            _ => self.before = std::mem::take(&mut self.in_row),
        }
    }
}

impl Run {
    /// A person holds it, and not since just now.
    fn is_paused(&self) -> bool {
        self.paused.is_some_and(|since| since.elapsed() > AT_ONCE)
    }

    /// Users meet it already.
    fn is_met(&self) -> bool {
        self.is_shared || self.moved.iter().any(Option::is_some)
    }

    /// It goes to green, for the first time or since a slot lost it: then it passes anew, whatever was answered about what was lost.
    fn again(&mut self) {
        self.answers.clear();
        if self.failed.is_some() {
            self.failed = None;
            self.is_overtaken = false;
            self.moved = [None, None];
            self.begun.clear();
            self.turned = None;
            self.is_shared = false;
        }
    }

    /// It sent such an order to a cloud. One that arrives and was never sent is of a rollout before it, whose daemon died and whose store was
    /// lost: nobody who lives can know of it.
    fn has_asked(&self, operation: Operation, cloud: CloudName) -> bool {
        let mut steps = self.begun.keys();
        steps.any(|(step, _, target)| (*step, *target) == (operation, cloud))
    }

    /// An order that was sent before a moment; or one of a promotion that moves both clouds at once, of which one was.
    fn has_begun(&self, sent: &Sent, moment: Instant) -> bool {
        let was_sent = |cloud: CloudName| {
            let step = (sent.operation, sent.weight, cloud);
            self.begun
                .get(&step)
                .is_some_and(|at| *at <= moment + AT_ONCE)
        };
        let across = self.wanted.as_ref().map(|wanted| &wanted.across);
        let is_together = sent.operation != Operation::Promote
            || !matches!(across, Some(Across::InOrder { first, .. }) if *first != sent.cloud)
            || self.is_muddled;
        was_sent(sent.cloud) || is_together && CloudName::ALL.into_iter().any(was_sent)
    }

    /// What was measured counts no more; once blue moves that is what is measured then, since what passed before it stays passed.
    fn ask_again(&mut self) {
        let gates = self.wanted.iter().flat_map(|wanted| &wanted.gates);
        let before = gates.filter(|gate| gate.after == GateStage::Staging);
        let before: BTreeSet<String> = before.map(|gate| gate.name.to_string()).collect();
        let is_kept = |name: &str| self.turned.is_some() && before.contains(name);
        self.answers.retain(|(name, _), _| is_kept(name));
    }

    fn forgive(&mut self) {
        self.answers.values_mut().for_each(|tally| {
            tally.failed = 0;
            tally.in_row = tally.in_row.max(tally.before);
        });
    }

    /// Which of the gates of a stage has not passed, counted afresh.
    fn missing(&self, targets: &[CloudName], stage: GateStage) -> Option<String> {
        let wanted = self.wanted.as_ref()?;
        let gates = wanted.gates.iter();
        let mut gates = gates.filter(|gate| !gate.measure.dry_run);
        gates.find_map(|gate| match &gate.kind {
            GateKind::Approval(approval) => self.unapproved(gate, approval),
            _ if gate.after != stage => None,
            GateKind::Command(_) | GateKind::Parity(_) => {
                (!self.has_passed(gate, None)).then(|| format!("{} has not passed", gate.name))
            }
            GateKind::Metric(_) if gate.name.as_str() != EACH => {
                (!self.has_passed(gate, None)).then(|| format!("{} has not passed", gate.name))
            }
            _ => {
                let short = |target: &&CloudName| !self.has_passed(gate, Some(**target));
                let target = targets.iter().find(short)?;
                Some(format!("{} has not passed on {target}", gate.name))
            }
        })
    }

    fn has_passed(&self, gate: &Gate, target: Option<CloudName>) -> bool {
        let key = (gate.name.to_string(), target);
        let tally = self.answers.get(&key).copied().unwrap_or_default();
        let Measure {
            count,
            failure_limit,
            success_limit,
            ..
        } = &gate.measure;
        let is_enough = match success_limit {
            Some(limit) => tally.in_row >= *limit,
            None => count.is_none_or(|count| tally.made >= count),
        };
        let is_forgiven = failure_limit.is_none_or(|limit| tally.failed <= limit);
        tally.successful > 0 && is_enough && is_forgiven
    }

    fn unapproved(&self, gate: &Gate, approval: &ApprovalGate) -> Option<String> {
        let counts = |who: &&String| approval.by.is_empty() || approval.by.contains(who);
        let given = self.approvals.keys().filter(counts).count();
        let told = || format!("{} has {given} of {} approvals", gate.name, approval.quorum);
        (given < approval.quorum as usize).then(told)
    }
}
