//! Calls at the clouds' door: which may be made, and what they do.

use tokio::time::Instant;
use verdigris::{
    cloud::fake::Operation,
    manifest::spec::{Across, GateStage},
    name::{CloudName, Percent, ReleaseDigest, Timestamp},
};

use super::{AT_ONCE, Asked, Checker, Facts, Held, side_of};

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
        self.may_be_sent(sent)?;
        let facts = &mut self.services[sent.service];
        let told = sent.told(facts);
        let side = &mut facts.sides[side_of(sent.cloud)];
        let before = side.writing.replace(sent.life);
        if before == Some(sent.life) {
            return Err(("one order at a time", format!("{told} meets another order")));
        }
        Ok(())
    }

    /// The call is over, answered or not.
    pub(crate) fn ended(&mut self, sent: &Sent) {
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
        match (sent.operation, sent.release) {
            (Operation::Stage, Some(release)) => facts.may_stage(sent, release),
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

    /// The call took effect, whoever had made it.
    pub(crate) fn took_effect(
        &mut self,
        service: usize,
        cloud: CloudName,
        operation: Operation,
        release: Option<ReleaseDigest>,
    ) {
        let facts = &mut self.services[service];
        let Some(run) = facts
            .run
            .as_mut()
            .filter(|run| Some(run.release) == release)
        else {
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
            self.muddle(service);
        }
        self.holds(service, cloud, blue);
    }

    /// A look was answered.
    pub(crate) fn seen(&mut self, service: usize, cloud: CloudName, is_foreign: bool) {
        let side = &mut self.services[service].sides[side_of(cloud)];
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
        if sent.cloud == *first || run.jumps != jumps || run.is_cut_short {
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
