//! What the daemon wrote down as done: every claim is held against what was seen from outside.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use verdigris::{
    cloud::fake::Operation,
    manifest::spec::GateStage,
    name::{CloudName, ReleaseDigest, Timestamp},
};

use super::{Checker, Facts, Held, Run, side_of};

/// A rollout as it stands on the disk, as far as it matters here.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct RolloutRow {
    pub(crate) id: u64,
    pub(crate) release: ReleaseDigest,
    pub(crate) trigger: serde_json::Value,
}

/// An event as it stands on the disk, as far as it matters here.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct EventRow {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) service: Option<String>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) rollout: Option<u64>,
}

impl Checker {
    /// A rollout that began reached the disk.
    pub(crate) fn began(&mut self, service: usize, row: RolloutRow) -> Held {
        let jumps = self.jumps;
        self.services[service].touched = Some(Instant::now());
        self.services[service].began(row, jumps)
    }

    /// Any other event reached the disk, about a rollout or about none.
    pub(crate) fn claimed(&mut self, service: usize, event: &EventRow) -> Held {
        let jumps = self.jumps;
        self.services[service].touched = Some(Instant::now());
        let facts = &mut self.services[service];
        let is_of_run = facts.run.as_ref().map(|run| run.id) == event.rollout;
        match event.reason.as_str() {
            "Stalled" | "Panicked" => {
                let told = format!("{} says `{}`: {}", facts.name, event.reason, event.message);
                return Err(("no evaluation goes wrong", told));
            }
            "Pruned" => facts.forget(),
            "StrayFound" => facts.is_known = true,
            "Shifting" | "Promoting" if is_of_run => return self.turns(service, event.at),
            "Live" if is_of_run => {
                facts.claims_live(jumps)?;
                return self.ends_with_its_group(service);
            }
            "RollingBack" if is_of_run => {
                let is_dragged = self.has_failed_mate(service);
                self.services[service].goes_back(is_dragged);
                self.failed_turns.extend(self.services[service].joint());
            }
            "Staging" if is_of_run => facts.run.iter_mut().for_each(Run::again),
            "Rejected" if is_of_run => facts.reject(),
            "RolledBack" if is_of_run => {
                facts.reject();
                facts.is_live_since(jumps);
                return facts.claims_back();
            }
            "Superseded" if is_of_run => {
                facts
                    .run
                    .iter_mut()
                    .for_each(|run| run.is_superseded = true);
                facts.fail();
                facts.end();
            }
            _ => {}
        }
        Ok(())
    }

    /// The daemon says that every blue holds this release, and takes it for what is live.
    pub(crate) fn learnt(&mut self, service: usize, release: ReleaseDigest) -> Held {
        let jumps = self.jumps;
        let facts = &mut self.services[service];
        facts.touched = Some(Instant::now());
        facts.is_live_since(jumps);
        let is_held = facts.sides.iter().any(|side| side.held.contains(&release));
        facts.live = Some(release);
        facts.was_live.insert(release);
        let told = format!(
            "{} learns {}, which no blue held",
            facts.name,
            release.short()
        );
        is_held.then_some(()).ok_or(("claims are true", told))
    }
}

impl Facts {
    fn began(&mut self, row: RolloutRow, jumps: u64) -> Held {
        let is_rollback = row.trigger.get("rollback").is_some();
        let before = self.run.as_ref().filter(|run| run.id != row.id);
        let overlap = before.filter(|run| !run.is_over).map(|run| run.id);
        let passed_by = before.filter(|run| run.is_superseded && run.is_paused());
        if passed_by.is_some() && row.trigger == "commit" && !self.is_rolled_back {
            let told = format!("{}: r-{} takes the place of a held one", self.name, row.id);
            return Err(("a pause holds", told));
        }
        let wanted = self.ways.get(&row.release).cloned();
        self.run = Some(Run {
            id: row.id,
            release: row.release,
            is_rollback,
            wanted,
            held: self.asked.wanted().map(|wanted| wanted.release),
            began: Instant::now(),
            jumps,
            answers: BTreeMap::new(),
            approvals: BTreeMap::new(),
            is_opened: !is_rollback && std::mem::take(&mut self.is_next_opened),
            turned: None,
            is_dragged: false,
            is_overtaken: false,
            moved: [None, None],
            begun: BTreeMap::new(),
            is_shared: false,
            is_cut_short: false,
            paused: None,
            is_muddled: false,
            failed: None,
            is_superseded: false,
            is_over: false,
        });
        self.excuses.remove(&row.release);
        self.may_begin(&row)?;
        self.rejected.remove(&row.release);
        if row.trigger == "retry" {
            // Whoever has it tried again no longer wants it held back.
            self.held = None;
        }
        if let Some(before) = overlap.filter(|_| !self.is_forgetful) {
            let told = format!("{}: r-{} begins before r-{before} ended", self.name, row.id);
            return Err(("one rollout at a time", told));
        }
        if is_rollback && !self.was_live.contains(&row.release) {
            let told = format!(
                "{} goes back to {}, which was never live",
                self.name,
                row.release.short()
            );
            return Err(("blue serves only what passed", told));
        }
        Ok(())
    }

    /// The loop by itself begins nothing that was rejected, and nothing that a person's rollback holds back.
    fn may_begin(&self, row: &RolloutRow) -> Held {
        if row.trigger != "commit" || self.is_forgetful {
            return Ok(());
        }
        let (name, release) = (&self.name, row.release.short());
        if self.rejected.contains(&row.release) {
            let told = format!("{name} tries {release} again, which did not pass");
            return Err(("what was rejected is not tried again", told));
        }
        if self.held == Some(row.release) {
            let told = format!("{name} begins {release}, which a rollback holds back");
            return Err(("a rollback holds", told));
        }
        Ok(())
    }

    /// A promotion goes on whatever Git asks for meanwhile; a canary goes back for it, and Git may ask for its release again before it is
    /// back.
    fn goes_back(&mut self, is_dragged: bool) {
        let wanted = self.asked.wanted().map(|wanted| wanted.release);
        let is_asked_anew = self.is_asked_anew();
        if let Some(run) = &mut self.run {
            let mut begun = run.begun.keys();
            let is_canary = !begun.any(|(operation, _, _)| *operation == Operation::Promote);
            run.is_dragged |= is_dragged;
            run.is_overtaken |= is_canary && (is_asked_anew || wanted != Some(run.release));
        }
        self.fail();
    }

    /// What ends while git asks for something else may have been superseded, and be asked for again.
    fn reject(&mut self) {
        self.fail();
        self.end();
        let Some(run) = self.run.as_ref().filter(|run| !run.is_rollback) else {
            return;
        };
        if self.is_edited || self.is_moved {
            // It met slots that were not as they should be, and that is remembered with it, whatever is put right until it is asked for again.
            let why = "a slot was not as it should be";
            self.excuses.entry(run.release).or_insert(why);
        }
        let wanted = self.asked.wanted().map(|wanted| wanted.release);
        if !run.is_dragged && !run.is_overtaken && wanted == Some(run.release) {
            self.rejected.insert(run.release);
        }
    }

    /// No blue holds the release that was taken back, unless somebody or something put it there again, or what to go back to was lost with
    /// the store and is asked for no more: then a slot that lost it, too, keeps what it has.
    fn claims_back(&self) -> Held {
        let Some(run) = self.run.as_ref().filter(|run| !run.is_muddled) else {
            return Ok(());
        };
        if self.live.is_some_and(|live| !self.known.contains(&live)) {
            return Ok(());
        }
        let moved = |target: CloudName| {
            let steps = run.begun.keys();
            steps.into_iter().any(|(operation, _, cloud)| {
                *cloud == target && matches!(operation, Operation::Promote | Operation::Repair)
            })
        };
        let holds = |target: &&CloudName| {
            moved(**target) && self.sides[side_of(**target)].blue == Some(run.release)
        };
        match self.targets.iter().find(holds) {
            None => Ok(()),
            Some(target) => {
                let told = format!(
                    "{} is rolled back, and {target} holds {}",
                    self.name,
                    run.release.short()
                );
                Err(("claims are true", told))
            }
        }
    }

    fn claims_live(&mut self, jumps: u64) -> Held {
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        run.is_over = true;
        let (name, release) = (&self.name, run.release);
        if !run.is_rollback && run.is_paused() {
            let told = format!("{name}: {} is live, and somebody holds it", release.short());
            return Err(("a pause holds", told));
        }
        let holds = |target: CloudName| self.sides[side_of(target)].held.contains(&release);
        if let Some(target) = self.targets.iter().find(|target| !holds(**target)) {
            let told = format!(
                "{name}: {} is live, and {target} never held it",
                release.short()
            );
            return Err(("claims are true", told));
        }
        if !run.is_rollback {
            if let Some(missing) = run.missing(&self.targets, GateStage::Promotion) {
                let told = format!("{name}: {} is live, but {missing}", release.short());
                return Err(("blue serves only what passed", told));
            }
            run.has_baked(jumps)
                .map_err(|told| ("blue is watched for its bake", format!("{name}: {told}")))?;
        }
        if run.is_rollback {
            let asked = self.asked.wanted().map(|wanted| wanted.release);
            let held = run.held.filter(|held| *held != release);
            self.held = held.filter(|held| asked.is_none_or(|asked| asked == *held));
        }
        self.is_edited = false;
        self.is_moved = false;
        self.is_left = false;
        if self.live != Some(release) {
            self.is_live_since(jumps);
        }
        self.live = Some(release);
        self.was_live.insert(release);
        self.rejected.remove(&release);
        Ok(())
    }

    fn is_live_since(&mut self, jumps: u64) {
        self.live_since = Some(Instant::now());
        self.live_jumps = jumps;
    }

    fn fail(&mut self) {
        if let Some(run) = &mut self.run {
            run.failed.get_or_insert_with(Instant::now);
        }
    }

    fn end(&mut self) {
        if let Some(run) = &mut self.run {
            run.is_over = true;
        }
    }

    /// With its records go those of its releases and of what it needs: what a stale look shows of it from now on can be brought back by
    /// nobody.
    fn forget(&mut self) {
        self.is_known = false;
        self.newest = self.asked.wanted().cloned();
        self.known = self.newest.iter().map(|it| it.release).collect();
        self.live = None;
        self.live_since = None;
        self.run = None;
        self.suspended = None;
        self.is_rolled_back = false;
        self.is_left = false;
        self.was_live.clear();
        self.rejected.clear();
        self.held = None;
        self.excuses.clear();
    }
}

impl Run {
    fn has_baked(&self, jumps: u64) -> Result<(), String> {
        let Some(wanted) = &self.wanted else {
            return Ok(());
        };
        if self.is_cut_short || self.jumps != jumps {
            return Ok(());
        }
        let last = self.moved.iter().flatten().max();
        let since = last.map_or_else(|| self.began.elapsed(), Instant::elapsed);
        if since + Duration::from_millis(5) >= wanted.bake {
            return Ok(());
        }
        Err(format!(
            "live {since:?} after its promotion, and should bake {:?}",
            wanted.bake
        ))
    }
}
