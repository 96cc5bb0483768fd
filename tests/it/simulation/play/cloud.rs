//! A cloud as it is on a bad day: a fake in memory, behind a door at which calls are lost, put off, refused, and watched.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use verdigris::{
    cloud::{Cloud, CloudError, Package, fake::Operation},
    desired::Release,
    name::{CloudName, CodeDigest, Percent, ReleaseDigest, ServiceKey, Slot},
    observed::{Fields, Observed, Owned, Scope},
};

use super::{
    checker::Sent,
    disk::Disk,
    realm::{Life, Outage, Realm, Site, forever},
};

/// How long a look may go on telling what was so before.
const STALE: Duration = Duration::from_secs(15);

/// One life's way to one cloud.
pub(crate) struct Door {
    pub(crate) realm: Arc<Realm>,
    pub(crate) site: usize,
    pub(crate) life: Arc<Life>,
    pub(crate) disk: Arc<Disk>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("site", &self.site).finish()
    }
}

/// What chance has in store for a call.
struct Fate {
    there: Duration,
    back: Duration,
    end: End,
    /// Its request is not yet at the cloud when its sender dies, and is lost with it.
    is_lost_with_sender: bool,
}

enum End {
    Answer,
    /// Nothing is done.
    Refusal(CloudError),
    /// It is done, and nobody hears of it.
    LostReply,
}

/// A writing call under way.
struct AtWork<'a> {
    realm: &'a Realm,
    sent: Sent,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.realm.checker().ended(&self.sent);
    }
}

impl Door {
    fn site(&self) -> &Site {
        &self.realm.sites[self.site]
    }

    async fn call<T>(
        &self,
        operation: Operation,
        key: &ServiceKey,
        release: Option<ReleaseDigest>,
        work: impl Future<Output = Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        self.call_with(operation, key, release, Percent::NONE, work)
            .await
    }

    /// One call: the way there, the work, the way back.
    async fn call_with<T>(
        &self,
        operation: Operation,
        key: &ServiceKey,
        release: Option<ReleaseDigest>,
        weight: Percent,
        work: impl Future<Output = Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        if self.life.is_dead() {
            return forever().await;
        }
        let service = self.realm.fleet.place(key);
        let writes = operation != Operation::Observe;
        let at_work = match writes {
            true => Some(self.send(operation, service, release, weight).await),
            false => None,
        };
        // Killed between the record and the call.
        if writes && self.life.burn() {
            drop(at_work);
            return forever().await;
        }
        let fate = self.fate(operation, service);
        pause(fate.there).await;
        self.site().hang.over().await;
        if self.life.is_dead() && fate.is_lost_with_sender {
            drop(at_work);
            return forever().await;
        }
        let answer = match fate.end {
            End::Refusal(error) => Err(error),
            End::Answer => self.worked(operation, service, release, work).await,
            End::LostReply => {
                self.worked(operation, service, release, work).await?;
                Err(self.lost(operation))
            }
        };
        pause(fate.back).await;
        // Killed between the effect and its record.
        if self.life.is_dead() || writes && self.life.burn() {
            drop(at_work);
            return forever().await;
        }
        self.tell(operation, key, service, release, answer.as_ref().err());
        answer
    }

    async fn send(
        &self,
        operation: Operation,
        service: usize,
        release: Option<ReleaseDigest>,
        weight: Percent,
    ) -> AtWork<'_> {
        let realm = &*self.realm;
        let sent = Sent {
            service,
            cloud: self.site().name,
            operation,
            release,
            weight,
            life: self.life.number,
            now: realm.now(),
        };
        realm.aside(|| {
            let key = &realm.fleet.members[service].key;
            format!(
                "  -> {} {operation:?} {}",
                place(key, sent.cloud),
                short(release)
            )
        });
        let held = realm.checker().sent(&sent);
        realm.hold(held);
        let held = self
            .disk
            .has_intent(&realm.fleet.members[service].key, &sent)
            .await;
        realm.hold(held);
        AtWork { realm, sent }
    }

    /// The work itself. It takes no time, and is seen from outside.
    async fn worked<T>(
        &self,
        operation: Operation,
        service: usize,
        release: Option<ReleaseDigest>,
        work: impl Future<Output = Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        let is_foreign = self.site().mood.lock().unwrap().foreign[service];
        let refuses = matches!(
            operation,
            Operation::Stage | Operation::Shift | Operation::Promote | Operation::Repair
        );
        if is_foreign && refuses {
            return Err(CloudError::NotOurs {
                cloud: self.site().name,
                resource: "somebody-elses".to_owned(),
            });
        }
        let done = work.await;
        let key = &self.realm.fleet.members[service].key;
        let blue = self.site().cloud.held(key, Slot::Blue);
        let mut checker = self.realm.checker();
        if operation == Operation::Observe {
            checker.found(service, self.site().name, blue);
        } else {
            checker.holds(service, self.site().name, blue);
        }
        if done.is_ok() {
            checker.took_effect(service, self.site().name, operation, release);
        }
        done
    }

    fn tell(
        &self,
        operation: Operation,
        key: &ServiceKey,
        service: usize,
        release: Option<ReleaseDigest>,
        error: Option<&CloudError>,
    ) {
        let cloud = self.site().name;
        let kind = match (operation, error) {
            (_, Some(_)) => "refused",
            (Operation::Observe, None) => "seen",
            _ => "done",
        };
        if error.is_some() {
            self.realm.checker().trouble(service, "a call went wrong");
        }
        self.realm.step(kind, || {
            let error = error.map(|it| format!(": {it}")).unwrap_or_default();
            let held = |slot| short(self.site().cloud.held(key, slot));
            format!(
                "{} {operation:?} {}{error} [blue {}, green {}]",
                place(key, cloud),
                short(release),
                held(Slot::Blue),
                held(Slot::Green)
            )
        });
    }

    fn lost(&self, operation: Operation) -> CloudError {
        CloudError::Unreachable {
            cloud: self.site().name,
            operation: format!("{operation:?}").to_lowercase(),
            message: "the connection was lost before the answer".to_owned(),
        }
    }

    fn fate(&self, operation: Operation, service: usize) -> Fate {
        let mood = self.site().mood.lock().unwrap();
        let mut chance = self.realm.chance();
        let writes = operation != Operation::Observe;
        let there = match (writes, mood.is_slow, mood.storm > 0) {
            (true, true, _) => chance.u64(5_000..240_000),
            (true, false, _) => chance.u64(10..1_500),
            (false, true, _) => chance.u64(100..20_000),
            (false, false, true) => chance.u64(1..2_000),
            (false, false, false) => chance.u64(1..80),
        };
        let is_hit = mood.storm > 0 && chance.u32(0..100) < mood.storm;
        let end = match (mood.outage, is_hit) {
            (Some(outage), _) => End::Refusal(self.outage(outage, operation)),
            (None, true) => self.mishap(&mut chance, operation),
            (None, false) => End::Answer,
        };
        let fate = Fate {
            there: Duration::from_millis(there),
            back: Duration::from_millis(chance.u64(0..40)),
            is_lost_with_sender: chance.bool(),
            end,
        };
        drop((mood, chance));
        if !matches!(fate.end, End::Answer) || there > 60_000 {
            self.realm.checker().trouble(service, "a call went wrong");
        }
        fate
    }

    fn outage(&self, outage: Outage, operation: Operation) -> CloudError {
        let (cloud, operation) = (self.site().name, format!("{operation:?}"));
        match outage {
            Outage::Unreachable => CloudError::Unreachable {
                cloud,
                operation,
                message: "no route to host".to_owned(),
            },
            Outage::Denied => CloudError::Denied {
                cloud,
                operation,
                message: "the role was taken away".to_owned(),
            },
            Outage::Busy => CloudError::Busy {
                cloud,
                resource: "the service".to_owned(),
                message: "an operation is in progress".to_owned(),
            },
        }
    }

    fn mishap(&self, chance: &mut fastrand::Rng, operation: Operation) -> End {
        let cloud = self.site().name;
        let named = || format!("{operation:?}");
        End::Refusal(match chance.u32(0..20) {
            0..6 => return End::LostReply,
            6..11 => CloudError::Throttled {
                cloud,
                retry_after: Duration::from_millis(chance.u64(100..30_000)),
            },
            11..14 => self.outage(Outage::Busy, operation),
            14..18 => self.outage(Outage::Unreachable, operation),
            18 => self.outage(Outage::Denied, operation),
            _ if operation == Operation::Observe => self.outage(Outage::Unreachable, operation),
            _ => CloudError::Invalid {
                cloud,
                operation: named(),
                message: "a field is out of range".to_owned(),
            },
        })
    }

    /// What a look tells: now and then what was so before.
    fn as_told(&self, service: usize, seen: Observed) -> Observed {
        let mut mood = self.site().mood.lock().unwrap();
        let is_stale = mood.is_stale && self.realm.one_in_hundred(40);
        let is_foreign = mood.foreign[service];
        let past = &mut mood.past[service];
        if past.newest.as_ref() != Some(&seen) {
            let before = past.newest.replace(seen.clone());
            past.before = before.map(|before| (Instant::now(), before));
        }
        let old = past
            .before
            .as_ref()
            .filter(|(at, _)| is_stale && at.elapsed() < STALE);
        let old = old.map(|(_, old)| old.clone());
        drop(mood);
        if old.is_some() {
            self.realm.aside(|| "  (the answer is stale)".to_owned());
            let mut checker = self.realm.checker();
            checker.trouble(service, "a stale answer");
            checker.muddle(service);
        }
        let mut told = old.unwrap_or(seen);
        if is_foreign {
            told.foreign.push("somebody-elses".to_owned());
        }
        told
    }
}

/// Waits, where there is something to wait for.
async fn pause(time: Duration) {
    if time > Duration::ZERO {
        sleep(time).await;
    }
}

fn place(key: &ServiceKey, cloud: CloudName) -> String {
    format!("{key} on {cloud}")
}

fn short(release: Option<ReleaseDigest>) -> String {
    release.map_or_else(|| "-".to_owned(), |release| release.short())
}

#[async_trait]
impl Cloud for Door {
    fn name(&self) -> CloudName {
        self.site().name
    }

    fn expected(&self, release: &Release, code: CodeDigest) -> Fields {
        self.site().cloud.expected(release, code)
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError> {
        let (look, began) = (self.site().cloud.observe(scope), Instant::now());
        let seen = self
            .call(Operation::Observe, &scope.service, None, look)
            .await?;
        let service = self.realm.fleet.place(&scope.service);
        let told = self.as_told(service, seen);
        self.realm
            .checker()
            .seen(service, self.site().name, &told, began);
        Ok(told)
    }

    /// A list is no look at any one service, so it is no step of a story.
    async fn inventory(&self) -> Result<Vec<Owned>, CloudError> {
        self.site().hang.over().await;
        if self.life.is_dead() {
            return forever().await;
        }
        let outage = self.site().mood.lock().unwrap().outage;
        match outage {
            Some(outage) => Err(self.outage(outage, Operation::Inventory)),
            None => self.site().cloud.inventory().await,
        }
    }

    async fn stage(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let stage = async {
            if self.realm.qualities().of(release.digest) == super::fleet::Quality::Unhealthy {
                return Err(CloudError::Unhealthy {
                    cloud: self.site().name,
                    message: "it does not answer".to_owned(),
                });
            }
            self.site().cloud.stage(release, package).await
        };
        self.call(
            Operation::Stage,
            &release.service,
            Some(release.digest),
            stage,
        )
        .await
    }

    async fn promote(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let promote = self.site().cloud.promote(scope, release);
        self.call(Operation::Promote, &scope.service, Some(release), promote)
            .await
    }

    async fn shift(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
        weight: Percent,
    ) -> Result<(), CloudError> {
        let shift = self.site().cloud.shift(scope, release, weight);
        self.call_with(
            Operation::Shift,
            &scope.service,
            Some(release),
            weight,
            shift,
        )
        .await
    }

    async fn retract(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let retract = self.site().cloud.retract(scope, release);
        self.call(Operation::Retract, &scope.service, Some(release), retract)
            .await
    }

    async fn repair(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let repair = self.site().cloud.repair(release, package);
        self.call(
            Operation::Repair,
            &release.service,
            Some(release.digest),
            repair,
        )
        .await
    }

    async fn prune(&self, scope: &Scope) -> Result<(), CloudError> {
        let prune = self.site().cloud.prune(scope);
        self.call(Operation::Prune, &scope.service, None, prune)
            .await
    }
}
