//! All troubles end: things must come to rest where Git and people want them, and stay there without a call.

use std::{sync::atomic::Ordering, time::Duration};

use verdigris::{
    name::{CloudName, Slot},
    plan::act::Action,
};

use super::{
    Play,
    checker::{Rest, Told},
    fleet::{Member, Quality},
    realm::site_of,
};

/// Within this all must have come to rest, in the world's time. An order that hangs is given up after a quarter of an hour, and what a
/// cloud put off comes back after five minutes.
const REST_MAX: Duration = Duration::from_secs(60 * 60);

/// How often it is looked whether things are at rest.
const LOOK: Duration = Duration::from_secs(15);

/// How often people ask for another look at what does not come to rest.
const RECONCILE: Duration = Duration::from_secs(10 * 60);

/// The last swap may yet undo itself.
const REVERSION_MAX: Duration = Duration::from_secs(210);

/// Within this a rollout that waits for others has come to where it waits.
const WAITING_MAX: Duration = Duration::from_secs(60 * 60);

/// Longer than any look is away from the next.
const QUIET: Duration = Duration::from_secs(130);

impl Play {
    pub(crate) async fn calm(&mut self) {
        self.realm.step("calm", || "all troubles end".to_owned());
        self.end_troubles();
        if self.daemon.life.is_dead() {
            self.revive().await;
        }
        self.git.is_whole = true;
        self.mend_manifests();
        self.tell_git().await;
        for service in 0..self.realm.fleet.members.len() {
            self.act_so(service, Action::Resume, "ana").await;
        }
        if std::mem::take(&mut self.reverts) {
            tokio::time::sleep(REVERSION_MAX).await;
        }
        self.come_to_rest().await;
        // What was edited by hand a moment ago may not have been seen yet.
        self.look_again().await;
        let follows = self.realm.fleet.members.iter().filter_map(Member::follows);
        // What follows begins a while after what it follows is live.
        tokio::time::sleep(LOOK + follows.max().unwrap_or_default()).await;
        self.come_to_rest().await;
        self.is_quiet().await;
        self.keeps_secrets().await;
    }

    async fn come_to_rest(&mut self) {
        let began = tokio::time::Instant::now();
        while let Err((law, told)) = self.is_at_rest() {
            if self.realm.is_broken() {
                return;
            }
            if began.elapsed() > REST_MAX {
                return self
                    .realm
                    .broke(law, format!("{told}, after {REST_MAX:?} of calm"));
            }
            let waited = tokio::time::Instant::now() - began;
            if waited.as_secs() % RECONCILE.as_secs() < LOOK.as_secs() {
                // Repairs that did not last have stopped, and wait for a person to say so.
                self.look_again().await;
            }
            self.nudge().await;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look_again(&mut self) {
        for service in 0..self.realm.fleet.members.len() {
            self.act_so(service, Action::Reconcile { token: None }, "ana")
                .await;
        }
    }

    fn end_troubles(&mut self) {
        for site in &self.realm.sites {
            site.hang.set(false);
            site.cloud.revert_promotions_after(None);
            let mut mood = site.mood.lock().unwrap();
            mood.storm = 0;
            mood.outage = None;
            (mood.is_stale, mood.is_slow) = (false, false);
            mood.foreign.fill(false);
        }
        self.realm.builds_fail.store(false, Ordering::Relaxed);
        self.daemon.life.fuse.store(0, Ordering::Relaxed);
        self.daemon.disk.fuse.store(0, Ordering::Relaxed);
    }

    /// People do their part: what waits for them goes on.
    async fn nudge(&mut self) {
        for service in 0..self.realm.fleet.members.len() {
            let Some(report) = self
                .daemon
                .handle
                .report(&self.realm.fleet.members[service].key)
            else {
                continue;
            };
            let Some(rollout) = report.status.rollout.as_ref().filter(|it| it.active) else {
                continue;
            };
            let quality = self.realm.qualities().of(rollout.release);
            let is_unclear = quality == Quality::Unclear;
            match rollout.phase.as_str() {
                "AwaitingApproval" => {
                    self.act_so(service, Action::Approve { plan: None }, "ana")
                        .await;
                    self.act_so(service, Action::Approve { plan: None }, "bo")
                        .await;
                }
                // What green held may be gone: then asking again does not help.
                // A pause of a canary may wait for a person.
                "Shifting" if is_unclear => {
                    self.act_so(service, Action::Abort { reason: None }, "ana")
                        .await;
                }
                // Answers that allow no judgement come from releases of any kind, where successes must stand in a row.
                "Shifting" if report.status.waiting.iter().any(|it| it.on == "person") => {
                    self.act_so(service, Action::Retry, "ana").await;
                }
                "Shifting" => {
                    self.act_so(service, Action::Promote { full: false }, "ana")
                        .await;
                }
                "Paused" if is_unclear || self.realm.one_in_hundred(50) => {
                    self.act_so(service, Action::Abort { reason: None }, "ana")
                        .await;
                }
                // Forgiven failures leave the watch on blue without a verdict, and asking again brings more of them.
                "Baking" if is_unclear || quality == Quality::BadLater => {
                    self.act_so(service, Action::Abort { reason: None }, "ana")
                        .await;
                }
                // A watch on blue that cannot be judged holds the bake until somebody says so; any other bake has nothing to retry.
                "Paused" | "Baking" => self.act_so(service, Action::Retry, "ana").await,
                _ => {}
            }
        }
    }

    /// Everything is where it should be.
    ///
    /// # Errors
    ///
    /// The first that is not.
    fn is_at_rest(&self) -> Result<(), (&'static str, String)> {
        let settles = "everything settles";
        if self.realm.checker().is_writing() {
            return Err((settles, "an order is under way".to_owned()));
        }
        let all = self.all_told();
        for (service, member) in self.realm.fleet.members.iter().enumerate() {
            let told = &all[service];
            let rest = self.realm.checker().rest(service, &all)?;
            if told.is_rolling && !matches!(rest, Rest::Waiting(_) | Rest::Lost) {
                let whys: Vec<&str> = all.iter().map(|told| told.why.as_str()).collect();
                let told = format!(
                    "{} has a rollout under way: {}",
                    member.key,
                    whys.join(" | ")
                );
                return Err((settles, told));
            }
            for target in &member.targets {
                let stands = self.stands_so(service, *target, &rest);
                stands.map_err(|(law, wrong)| (law, format!("{wrong}; it says: {}", told.why)))?;
            }
            is_told_so(&rest, told).map_err(|law| {
                let told = format!("{} is told to be at {:?}", member.key, told.live);
                (law, told)
            })?;
        }
        Ok(())
    }

    fn stands_so(
        &self,
        service: usize,
        target: CloudName,
        rest: &Rest,
    ) -> Result<(), (&'static str, String)> {
        let member = &self.realm.fleet.members[service];
        let site = &self.realm.sites[site_of(member.environment, target)];
        let held = |slot| site.cloud.held(&member.key, slot);
        let (blue, green) = (held(Slot::Blue), held(Slot::Green));
        match rest {
            Rest::Open | Rest::Lost | Rest::Given(_) => Ok(()),
            Rest::Blue(wanted) | Rest::Waiting(wanted)
                if *wanted == blue && site.cloud.share(&member.key).is_some() =>
            {
                let told = format!("{} on {target} still shares its requests", member.key);
                Err(("all targets serve what git asks for", told))
            }
            Rest::Blue(Some(_)) | Rest::Waiting(Some(_))
                if site.cloud.is_changed(&member.key, Slot::Blue) =>
            {
                let told = format!("{} on {target} is not as its release says", member.key);
                Err(("drift is repaired", told))
            }
            Rest::Blue(wanted) | Rest::Waiting(wanted) if *wanted == blue => Ok(()),
            Rest::Blue(wanted) | Rest::Waiting(wanted) => {
                let told = format!("{} on {target} holds {blue:?}, not {wanted:?}", member.key);
                Err(("all targets serve what git asks for", told))
            }
            Rest::Gone if blue.or(green).is_none() => Ok(()),
            Rest::Gone => {
                let told = format!("{} is still on {target}", member.key);
                Err(("what git drops is pruned", told))
            }
        }
    }

    fn told(&self, service: usize) -> Told {
        let key = &self.realm.fleet.members[service].key;
        let Some(report) = self.daemon.handle.report(key) else {
            return Told::default();
        };
        let status = &report.status;
        Told {
            is_rolling: status.rollout.as_ref().is_some_and(|it| it.active),
            rejected: status.rejected.iter().map(|it| it.release).collect(),
            pin: status.pin.as_ref().map(|pin| pin.release),
            live: status.releases.live,
            why: status.why.clone(),
        }
    }

    fn is_any(&self, is_it: impl Fn(&Rest) -> bool) -> bool {
        let all = self.all_told();
        let rest = |service| self.realm.checker().rest(service, &all);
        (0..all.len()).any(|service| rest(service).is_ok_and(|rest| is_it(&rest)))
    }

    async fn written(&self) -> u64 {
        let before = self.realm.checker().writes;
        tokio::time::sleep(QUIET).await;
        self.realm.checker().writes - before
    }

    fn all_told(&self) -> Vec<Told> {
        let count = self.realm.fleet.members.len();
        (0..count).map(|service| self.told(service)).collect()
    }

    /// With nothing new, nothing is written to any cloud, whoever asks for another look.
    async fn is_quiet(&mut self) {
        if self.is_any(|rest| *rest == Rest::Lost) {
            return;
        }
        for service in 0..self.realm.fleet.members.len() {
            self.act_so(service, Action::Reconcile { token: None }, "ana")
                .await;
        }
        // What waits for others goes as far as it can before it waits.
        let mut left = WAITING_MAX.as_secs() / QUIET.as_secs();
        let written = loop {
            let is_any_waiting = self.is_any(|rest| matches!(rest, Rest::Waiting(_)));
            let written = self.written().await;
            left -= 1;
            if written == 0 || !is_any_waiting || left == 0 {
                break written;
            }
        };
        if written > 0 {
            let told = format!("{written} orders with nothing new");
            self.realm.broke("a second pass is quiet", told);
        }
        let rest = self.is_at_rest();
        self.realm.hold(rest);
    }
}

/// What is told to be live is what every blue holds, or was given.
fn is_told_so(rest: &Rest, told: &Told) -> Result<(), &'static str> {
    match rest {
        Rest::Blue(blue) if told.live != *blue => Err("status is true"),
        Rest::Given(release) if told.live != Some(*release) => {
            Err("all targets serve what git asks for")
        }
        _ => Ok(()),
    }
}
