//! Calls at the clouds' door: which may be made, and what they do.

use tokio::time::Instant;
use verdigris::{
    cloud::fake::Operation,
    manifest::spec::{Across, GateStage},
    name::{CloudName, Percent, ReleaseDigest, Timestamp},
    observed::Observed,
};

use super::{AT_ONCE, Asked, Checker, Facts, Held, Run, Wanted, side_of, turn::Shown};

/// A writing call that a living daemon makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) service: usize,
    pub(crate) cloud: CloudName,
    pub(crate) operation: Operation,
    pub(crate) release: Option<ReleaseDigest>,
    /// The share of blue's requests that is to be given, where it is about one.
    pub(crate) weight: Percent,
    pub(crate) life: u64,
    pub(crate) now: Timestamp,
}

impl Sent {
    fn told(&self, facts: &Facts) -> String {
        let release = self.release.map(|it| it.short()).unwrap_or_default();
        format!(
            "{:?} {release} of {} on {}",
            self.operation, facts.name, self.cloud
        )
    }
}

impl Checker {
    /// A living daemon asks a cloud to change something.
    pub(crate) fn sent(&mut self, sent: &Sent) -> Held {
        self.writes += 1;
        self.at_work += 1;
        self.may_be_sent(sent)?;
        let facts = &mut self.services[sent.service];
        let told = sent.told(facts);
        let side = &mut facts.sides[side_of(sent.cloud)];
        let before = side.writing.replace(sent.life);
        if before == Some(sent.life) {
            return Err(("one order at a time", format!("{told} meets another order")));
        }
        facts.begins(sent);
        Ok(())
    }

    /// The call is over, answered or not.
    pub(crate) fn ended(&mut self, sent: &Sent) {
        self.at_work -= 1;
        let side = &mut self.services[sent.service].sides[side_of(sent.cloud)];
        if side.writing == Some(sent.life) {
            side.writing = None;
        }
    }

    fn may_be_sent(&self, sent: &Sent) -> Held {
        let facts = &self.services[sent.service];
        facts.is_seen(sent)?;
        facts.is_ours(sent)?;
        facts.is_awake(sent)?;
        facts.is_let_on(sent)?;
        facts.may_repair(sent)?;
        match (sent.operation, sent.release) {
            (Operation::Stage, Some(release)) => {
                self.is_early(sent)?;
                facts.may_stage(sent, release)
            }
            (Operation::Promote | Operation::Repair, Some(release)) => {
                facts.may_serve(sent, release, self.jumps)
            }
            // A share may always be taken back.
            (Operation::Shift, Some(_)) if sent.weight.is_none() => Ok(()),
            (Operation::Shift, Some(release)) => facts.may_share(sent, release, self.jumps),
            (Operation::Retract, Some(release)) => facts.may_retract(sent, release),
            _ => self.may_prune(sent, facts),
        }
    }

    /// A release goes to green only when others are where they must be first. What was sent once is sent again.
    fn is_early(&self, sent: &Sent) -> Held {
        let facts = &self.services[sent.service];
        let is_first = facts
            .run
            .as_ref()
            .is_some_and(|run| !run.is_rollback && run.begun.is_empty());
        if !is_first || facts.built_at.is_some_and(|at| at.elapsed() <= AT_ONCE) {
            return Ok(());
        }
        self.has_what_it_needs(sent.service)?;
        self.is_proven_elsewhere(sent.service)
    }

    /// The call took effect, whoever had made it.
    pub(crate) fn took_effect(
        &mut self,
        service: usize,
        cloud: CloudName,
        operation: Operation,
        release: Option<ReleaseDigest>,
    ) {
        let run = self.services[service].run.as_mut();
        let is_its_own =
            |run: &&mut Run| Some(run.release) == release && run.has_asked(operation, cloud);
        let Some(run) = run.filter(is_its_own) else {
            return;
        };
        run.is_shared |= operation == Operation::Shift;
        if matches!(operation, Operation::Promote | Operation::Repair) {
            run.moved[side_of(cloud)].get_or_insert_with(Instant::now);
        }
    }

    /// What blue holds on a cloud now.
    pub(crate) fn holds(&mut self, service: usize, cloud: CloudName, blue: Option<ReleaseDigest>) {
        let side = &mut self.services[service].sides[side_of(cloud)];
        side.blue = blue;
        side.held.extend(blue);
    }

    /// What blue is found to hold by a look: where nobody moved it, it moved itself.
    pub(crate) fn found(&mut self, service: usize, cloud: CloudName, blue: Option<ReleaseDigest>) {
        if self.services[service].sides[side_of(cloud)].blue != blue {
            self.trouble(service, "a promotion undid itself");
            self.services[service].is_moved = true;
            self.muddle(service);
        }
        self.holds(service, cloud, blue);
    }

    /// A look that began at a moment was answered.
    pub(crate) fn seen(
        &mut self,
        service: usize,
        cloud: CloudName,
        told: &Observed,
        began: Instant,
    ) {
        let is_foreign = !told.foreign.is_empty();
        let side = &mut self.services[service].sides[side_of(cloud)];
        if side.shown.as_ref().is_none_or(|shown| shown.began <= began) {
            side.shown = Some(Shown::new(began, &told.blue));
        }
        side.is_seen = true;
        side.foreign_since = is_foreign.then(|| side.foreign_since.unwrap_or_else(Instant::now));
    }

    fn may_prune(&self, sent: &Sent, facts: &Facts) -> Held {
        let told = sent.told(facts);
        if !matches!(facts.asked, Asked::Absent) {
            return Err((
                "only what git dropped is pruned",
                format!("{told}, which git names"),
            ));
        }
        let all = self.services.iter();
        let known = all.filter(|it| it.environment == facts.environment && it.is_known);
        let needs_it = |it: &&Facts| {
            let needed = it.newest.as_ref().map(|wanted| &wanted.needs);
            let mutual = facts.newest.as_ref().map(|wanted| &wanted.needs);
            needed.is_some_and(|needs| needs.contains(&facts.key.service))
                && !mutual.is_some_and(|needs| needs.contains(&it.key.service))
                && !it.is_asked_anew()
                && !it.is_forgetful
        };
        if let Some(other) = known.clone().find(needs_it) {
            let told = format!("{told}, which {} needs", other.name);
            return Err(("what is needed goes last", told));
        }
        let (absent, rest): (Vec<_>, Vec<_>) =
            known.partition(|it| matches!(it.asked, Asked::Absent));
        if absent.len() > rest.len() {
            let told = format!(
                "{told}, with {} of {} gone",
                absent.len(),
                absent.len() + rest.len()
            );
            return Err(("never most of an environment", told));
        }
        Ok(())
    }
}

impl Facts {
    /// Whether an order that is at the door now may have left before something became so.
    fn is_news(&self, since: Instant) -> bool {
        since.elapsed() < AT_ONCE || self.built_at.is_some_and(|built| built >= since)
    }

    fn is_seen(&self, sent: &Sent) -> Held {
        if self.sides[side_of(sent.cloud)].is_seen {
            return Ok(());
        }
        Err((
            "unknown is not empty",
            format!("{}, which was never seen", sent.told(self)),
        ))
    }

    /// What is only to be watched is not put right, unless a rollout does.
    fn may_repair(&self, sent: &Sent) -> Held {
        let is_watched = self.asked.wanted().is_some_and(Wanted::is_observed_only);
        let is_settled = self.run.as_ref().is_none_or(|run| run.is_over);
        let repairs = matches!(sent.operation, Operation::Promote | Operation::Repair);
        if !is_watched || !is_settled || !repairs || self.asked_at.is_none_or(|at| self.is_news(at))
        {
            return Ok(());
        }
        Err(("what is only watched is left alone", sent.told(self)))
    }

    fn is_ours(&self, sent: &Sent) -> Held {
        match self.sides[side_of(sent.cloud)].foreign_since {
            Some(since) if sent.operation != Operation::Prune && !self.is_news(since) => {
                let told = format!("{}, where something foreign stands", sent.told(self));
                Err(("what is not ours is left alone", told))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Nothing begins while a person holds it; what blue has begun is brought to its end, and a person's rollback is meant.
    fn is_awake(&self, sent: &Sent) -> Held {
        let Some(suspended) = self.suspended else {
            return Ok(());
        };
        let is_over = suspended.until.is_some_and(|until| until <= sent.now);
        let run = self.run.as_ref().filter(|run| !run.is_over);
        let goes_on =
            run.is_some_and(|run| run.is_rollback || run.is_met() || run.failed.is_some());
        let begins = match sent.operation {
            Operation::Stage | Operation::Prune => true,
            // The other orders of a rollout come when its gates have passed, at the same moment or after the first of them.
            _ => run.is_none(),
        };
        if is_over || goes_on || !begins || self.is_news(suspended.since) {
            return Ok(());
        }
        Err(("suspended is suspended", sent.told(self)))
    }

    /// While a person holds a rollout nothing new of it begins: no stage, no share, no promotion. What was sent before is brought to its end,
    /// which is both clouds where they move together; what goes back is not held.
    fn is_let_on(&self, sent: &Sent) -> Held {
        let run = self
            .run
            .as_ref()
            .filter(|run| Some(run.release) == sent.release && !run.is_rollback);
        let Some((run, since)) = run.and_then(|run| Some((run, run.paused?))) else {
            return Ok(());
        };
        let begins = match sent.operation {
            Operation::Stage | Operation::Promote => true,
            Operation::Shift => !sent.weight.is_none(),
            _ => false,
        };
        let is_way_back = run.failed.is_some() || self.live == sent.release;
        let has_begun = run.has_begun(sent, since);
        if !begins || is_way_back || has_begun || self.is_news(since) {
            return Ok(());
        }
        Err(("a pause holds", sent.told(self)))
    }

    fn begins(&mut self, sent: &Sent) {
        let run = self
            .run
            .as_mut()
            .filter(|run| Some(run.release) == sent.release);
        let begun = run.map(|run| &mut run.begun);
        let step = (sent.operation, sent.weight, sent.cloud);
        begun.map(|begun| begun.entry(step).or_insert_with(Instant::now));
    }

    fn may_stage(&self, sent: &Sent, release: ReleaseDigest) -> Held {
        let told = sent.told(self);
        let run = self.run.as_ref().filter(|run| run.release == release);
        let Some(run) = run else {
            return Err((
                "one rollout at a time",
                format!("{told}, which no rollout asks for"),
            ));
        };
        if run.is_met() {
            return Err((
                "one rollout at a time",
                format!("{told} in the middle of its promotion"),
            ));
        }
        match run.failed {
            Some(since) if !self.is_news(since) => Err((
                "one rollout at a time",
                format!("{told}, whose rollout has ended"),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Blue may get what passed, what was live, and what a person asks back.
    fn may_serve(&self, sent: &Sent, release: ReleaseDigest, jumps: u64) -> Held {
        const LAW: &str = "blue serves only what passed";
        let told = sent.told(self);
        if self.live == Some(release) || self.is_forgetful && self.was_live.contains(&release) {
            return Ok(());
        }
        let run = self.run.as_ref().filter(|run| run.release == release);
        let Some(run) = run else {
            return Err((
                LAW,
                format!("{told}, which was not live and has no rollout"),
            ));
        };
        if run.is_over && !run.is_rollback {
            return Err((LAW, format!("{told}, whose rollout has ended")));
        }
        if let Some(since) = run.failed.filter(|since| !self.is_news(*since)) {
            let told = format!("{told}, which failed {:?} ago", since.elapsed());
            return Err((LAW, told));
        }
        if run.is_rollback {
            return Ok(());
        }
        let stages: &[GateStage] = match sent.operation {
            Operation::Shift => &[GateStage::Staging],
            _ => &[GateStage::Staging, GateStage::Canary],
        };
        let missing = |stage: &GateStage| run.missing(&self.targets, *stage);
        if let Some(missing) = stages.iter().find_map(missing) {
            return Err((LAW, format!("{told}: {missing}")));
        }
        self.is_its_turn(sent, jumps)
    }

    /// A share of users is users: the release must have passed what stands before the canary, and its rollout must be under way.
    fn may_share(&self, sent: &Sent, release: ReleaseDigest, jumps: u64) -> Held {
        let run = self
            .run
            .as_ref()
            .filter(|run| run.release == release && !run.is_over);
        if run.is_none_or(|run| run.is_rollback) {
            let told = format!("{} has no rollout that shares", sent.told(self));
            return Err(("blue serves only what passed", told));
        }
        self.may_serve(sent, release, jumps)
    }

    /// The second cloud moves only when the first has held it for the soak.
    fn is_its_turn(&self, sent: &Sent, jumps: u64) -> Held {
        let (Some(run), true) = (&self.run, self.targets.len() > 1) else {
            return Ok(());
        };
        let across = run.wanted.as_ref().map(|wanted| &wanted.across);
        let Some(Across::InOrder { first, soak }) = across else {
            return Ok(());
        };
        let shown = &self.sides[side_of(sent.cloud)].shown;
        // The first is the last that serves users: this one must serve them before it is touched.
        let is_empty = shown.as_ref().is_none_or(Shown::is_empty);
        if sent.cloud == *first || run.jumps != jumps || run.is_cut_short || is_empty {
            return Ok(());
        }
        let moved = run.moved[side_of(*first)].map(|at| at.elapsed());
        if moved.is_some_and(|ago| ago + std::time::Duration::from_millis(5) >= *soak) {
            return Ok(());
        }
        let told = format!(
            "{}: {first} moved {moved:?} ago, and soaks {soak:?}",
            sent.told(self)
        );
        Err(("the second waits for the first", told))
    }

    fn may_retract(&self, sent: &Sent, release: ReleaseDigest) -> Held {
        let run = self.run.as_ref().filter(|run| run.release == release);
        let is_back = run.is_some_and(|run| run.failed.is_some() && !run.is_over);
        if is_back && (self.live.is_none() || self.is_forgetful) {
            return Ok(());
        }
        Err(("blue is never emptied", sent.told(self)))
    }
}
