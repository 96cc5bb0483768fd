//! What goes wrong: clouds, disks, clocks, and the daemon itself.

use std::{sync::atomic::Ordering, time::Duration};

use verdigris::store::{Tree, memory};

use super::{
    Play,
    fleet::ENVIRONMENTS,
    realm::{Outage, Realm},
};

impl Play {
    /// A cloud's weather changes.
    pub(crate) fn weather(&mut self) {
        let (site, _) = self.any_target();
        let share = {
            let mut chance = self.realm.chance();
            [0, 0, 5, 20, 50, 90][chance.usize(0..6)]
        };
        self.realm.sites[site].mood.lock().unwrap().storm = share;
        let name = self.realm.site_name(site);
        self.realm.step("weather", || {
            format!("{share} of 100 calls to {name} go wrong")
        });
    }

    /// A cloud fails for good, until somebody mends it.
    pub(crate) fn outage(&mut self) {
        let (site, _) = self.any_target();
        let outage = match self.realm.chance().u32(0..6) {
            0 | 1 => Some(Outage::Unreachable),
            2 => Some(Outage::Denied),
            3 => Some(Outage::Busy),
            _ => None,
        };
        self.realm.sites[site].mood.lock().unwrap().outage = outage;
        let name = self.realm.site_name(site);
        self.realm.step("outage", || format!("{name}: {outage:?}"));
    }

    pub(crate) fn hang(&mut self) {
        let (site, _) = self.any_target();
        let is_hung = self.realm.chance().u32(0..3) == 0;
        self.realm.sites[site].hang.set(is_hung);
        if is_hung {
            let mut checker = self.realm.checker();
            checker.trouble_everywhere("a cloud hung");
            // An order that is given up may arrive all the same.
            checker.muddle_all();
        }
        let name = self.realm.site_name(site);
        self.realm.step("hang", || format!("{name}: {is_hung}"));
    }

    /// Looks are old, orders take minutes, promotions undo themselves, or none of it.
    pub(crate) fn oddity(&mut self) {
        let (site, _) = self.any_target();
        let (is_stale, is_slow, delay) = {
            let mut chance = self.realm.chance();
            let delay = chance.u64(1..200);
            let reverts = chance.u32(0..4) == 0;
            (
                chance.u32(0..3) == 0,
                chance.u32(0..4) == 0,
                reverts.then(|| Duration::from_secs(delay)),
            )
        };
        let place = &self.realm.sites[site];
        {
            let mut mood = place.mood.lock().unwrap();
            (mood.is_stale, mood.is_slow) = (is_stale, is_slow);
        }
        place.cloud.revert_promotions_after(delay);
        if delay.is_some() {
            self.reverts = true;
        }
        // Promotions of before may undo themselves yet.
        self.realm.checker().muddle_all();
        let name = self.realm.site_name(site);
        self.realm.step("oddity", || {
            format!("{name}: stale {is_stale}, slow {is_slow}, reverts after {delay:?}")
        });
    }

    /// Something that is not ours stands in our place, or goes away.
    pub(crate) fn foreign(&mut self) {
        let (site, _) = self.any_target();
        let service = self.any_service();
        if self.realm.fleet.members[service].environment != self.realm.sites[site].environment {
            return;
        }
        let mut mood = self.realm.sites[site].mood.lock().unwrap();
        let is_foreign = !mood.foreign[service];
        mood.foreign[service] = is_foreign;
        drop(mood);
        self.realm.checker().trouble(service, "something foreign");
        let (name, key) = (
            self.realm.site_name(site),
            &self.realm.fleet.members[service].key,
        );
        self.realm.step("foreign", || {
            format!("in the place of {key} on {name}: {is_foreign}")
        });
    }

    pub(crate) fn disk_fault(&mut self) {
        let (nth, fault) = {
            let mut chance = self.realm.chance();
            let fault = if chance.bool() {
                memory::Fault::BeforeEffect
            } else {
                memory::Fault::AfterEffect
            };
            (chance.u64(1..6), fault)
        };
        self.realm
            .step("disk", || format!("commit {nth} from now fails {fault:?}"));
        self.daemon.disk.store.fail_commit(nth, fault);
    }

    pub(crate) fn builds(&mut self) {
        let is_failing = self.realm.chance().u32(0..3) == 0;
        self.realm.builds_fail.store(is_failing, Ordering::Relaxed);
        self.realm
            .step("builds", || format!("all fail: {is_failing}"));
    }

    pub(crate) fn clock_jumps(&mut self) {
        let millis = {
            let mut chance = self.realm.chance();
            let most = if chance.u32(0..4) == 0 {
                7_200_000
            } else {
                300_000
            };
            chance.i64(-most..most)
        };
        self.realm.clock.shift(millis);
        self.realm.checker().jumped();
        self.realm
            .step("clock", || format!("is set by {} s", millis / 1000));
    }

    pub(crate) fn unreadable_git(&mut self) {
        self.git.is_whole = !self.git.is_whole;
        let is_whole = self.git.is_whole;
        self.realm
            .step("git", || format!("can be read whole: {is_whole}"));
    }

    // === ends of the daemon ===

    /// It dies at once, at a commit or a call that is to come, or stops in order.
    pub(crate) async fn end(&mut self) {
        let (way, nth) = {
            let mut chance = self.realm.chance();
            (chance.u32(0..10), chance.u64(1..8))
        };
        match way {
            0..3 => {
                self.realm.step("kill", || "now".to_owned());
                self.daemon.kill();
            }
            3..6 => {
                self.realm
                    .step("kill", || format!("at half {nth} of the commits to come"));
                self.daemon.disk.fuse.store(nth, Ordering::Relaxed);
            }
            6..9 => {
                self.realm
                    .step("kill", || format!("at half {nth} of the orders to come"));
                self.daemon.life.fuse.store(nth, Ordering::Relaxed);
            }
            _ => {
                self.realm.step("stop", || "in order".to_owned());
                self.daemon.stop().await;
            }
        }
    }

    /// Somebody starts it again, after a while; once in a while its disk is gone, or not what it was.
    pub(crate) async fn revive(&mut self) {
        let (wait, luck) = {
            let mut chance = self.realm.chance();
            (chance.u64(0..40_000), chance.u32(0..60))
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let keeps_disk = luck != 0;
        if luck == 1 {
            self.rot().await;
        }
        if !keeps_disk {
            self.realm.checker().store_lost();
        }
        self.realm.checker().revived();
        self.daemon.replace(keeps_disk).await;
        self.realm.step("start", || {
            let disk = if keeps_disk {
                "its disk"
            } else {
                "an empty disk"
            };
            format!("the daemon starts, with {disk}")
        });
        for (service, member) in self.realm.fleet.members.iter().enumerate() {
            let kept = self.daemon.disk.asked_last(&member.key).await;
            self.realm.checker().remembers(service, kept.as_ref());
        }
        // Git is read a while after the start.
        if self.realm.chance().bool() {
            let wait = self.realm.millis(0..5_000);
            tokio::time::sleep(wait).await;
        }
        self.tell_git().await;
    }

    /// A record can no longer be read.
    async fn rot(&mut self) {
        let service = self.any_service();
        let tree = {
            let trees = [Tree::Service, Tree::Live, Tree::Rejected];
            trees[self.realm.chance().usize(0..trees.len())]
        };
        let key = &self.realm.fleet.members[service].key;
        if self.daemon.disk.rot(tree, key).await {
            self.realm.checker().rotted(service, tree);
            self.realm
                .step("rot", || format!("the {} record of {key}", tree.name()));
        }
    }
}

impl Realm {
    fn site_name(&self, site: usize) -> String {
        let site = &self.sites[site];
        format!("{} of {}", site.name, ENVIRONMENTS[site.environment])
    }
}
