//! The daemon's lives: it starts, is asked, dies, and starts again from what the disk holds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use verdigris::{
    name::{Actor, ServiceKey},
    plan::{act::Action, state::Policy},
    reconcile::{
        Parts, Reconciler,
        handle::{Asked, Handle},
    },
    store::memory::MemoryStore,
};

use super::{
    disk::Disk,
    realm::{Life, Realm},
    world::Outside,
};

/// Longest time for the daemon to take in what it is told. Nothing of it waits for a cloud.
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Daemon {
    realm: Arc<Realm>,
    pub(crate) handle: Handle,
    pub(crate) disk: Arc<Disk>,
    pub(crate) life: Arc<Life>,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

impl Daemon {
    pub(crate) async fn first(realm: &Arc<Realm>) -> Self {
        let life = Arc::new(Life::new(1));
        let disk = Disk::new(realm, MemoryStore::new(), &life);
        Self::start(realm, life, disk).await
    }

    async fn start(realm: &Arc<Realm>, life: Arc<Life>, disk: Disk) -> Self {
        let disk = Arc::new(disk);
        let parts = Parts {
            clock: realm.clock.clone(),
            store: disk.clone(),
            world: Arc::new(Outside::new(realm, &life, &disk)),
            policy: Policy::default(),
        };
        // A store in memory can always be read.
        let (reconciler, handle) = Reconciler::new(parts).await.unwrap();
        let stop = CancellationToken::new();
        let work = tokio::spawn(reconciler.run(stop.clone()));
        Self {
            realm: realm.clone(),
            handle,
            disk,
            life,
            stop,
            work,
        }
    }

    /// The process is killed: what it was about to do is lost, what it sent may arrive, what it wrote down stays.
    pub(crate) fn kill(&self) {
        self.life.end();
        self.work.abort();
        self.stop.cancel();
    }

    /// It is told to stop, and finishes what it has in hand.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        // It panics where it would have in a process of its own.
        (&mut self.work).await.unwrap();
        self.life.end();
    }

    /// It starts again, from its disk or with none.
    pub(crate) async fn replace(&mut self, keeps_disk: bool) {
        self.kill();
        let life = Arc::new(Life::new(self.life.number + 1));
        let disk = if keeps_disk {
            self.disk.inherited(&life)
        } else {
            Disk::new(&self.realm, MemoryStore::new(), &life)
        };
        let realm = self.realm.clone();
        *self = Self::start(&realm, life, disk).await;
    }

    /// What Git asks for.
    pub(crate) async fn ask(&self, asked: &BTreeMap<ServiceKey, Asked>, is_whole: bool) {
        self.soon(self.handle.ask(asked, is_whole)).await;
    }

    /// A person asks for something; whether it was taken, in words.
    pub(crate) async fn act(
        &self,
        key: &ServiceKey,
        action: Action,
        who: &str,
    ) -> Option<Result<(), String>> {
        let done = self.handle.act(key, action, Actor::person(who));
        let done = self.soon(done).await?;
        Some(done.map_err(|error| error.to_string()))
    }

    /// Nothing that is asked of the daemon waits for a cloud; a dead one answers nobody.
    async fn soon<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let answer = timeout(ANSWER_MAX, answer).await.ok();
        if answer.is_none() && !self.life.is_dead() {
            let told = format!("no answer within {ANSWER_MAX:?}");
            self.realm.broke("the daemon answers", told);
        }
        answer
    }
}
