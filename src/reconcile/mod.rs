//! The loop: queue, pass, apply, settle, recover.
//!
//! A wake-up carries a name and no news. A pass looks at one service, takes every step that needs no waiting, writes down what changed,
//! and only then sends orders. What was sent comes back as a wake-up of the same name. After a crash there is nothing special to do: the
//! intents on the disk are open, nothing is in flight, and an ordinary pass sends them again.

pub mod around;
mod ask;
mod beside;
mod board;
mod disk;
pub mod handle;
mod pass;
pub mod points;
mod queue;
pub mod reach;
pub mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    around::Surroundings,
    board::Board,
    disk::{journal::Journal, load::load},
    handle::{Asked, Handle},
    pass::Entry,
    queue::Queue,
    world::World,
};
use crate::{
    clock::Clock,
    name::{ServiceKey, Timestamp},
    plan::state::{EventRecord, Policy, ServiceState},
    store::{Store, StoreError, StoreExt, Tree},
};

/// Events that a slow reader may lag behind before it must read from the store.
const EVENTS_MAX: usize = 1024;

/// Events kept; older ones are dropped now and then.
const EVENTS_KEPT: usize = 10_000;

/// Ended rollouts kept of each service.
const HISTORY_KEPT: usize = 200;

/// How long a stop waits for what is in hand. What is not done by then is an open intent, and is sent again at the next start.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// All that passes share.
struct Shared {
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    world: Arc<dyn World>,
    policy: Policy,
    entries: Mutex<BTreeMap<ServiceKey, Arc<AsyncMutex<Entry>>>>,
    queue: Mutex<Queue>,
    /// Tells the loop that the queue changed.
    nudge: Notify,
    board: Board,
    /// What services know of one another.
    around: Mutex<Surroundings>,
    told: AsyncMutex<Told>,
    events: broadcast::Sender<Arc<EventRecord>>,
    journal: Journal,
    tasks: TaskTracker,
    /// What only waits ends when the daemon does.
    stopping: CancellationToken,
}

/// What was asked of every service last.
#[derive(Default)]
struct Told {
    asked: BTreeMap<ServiceKey, Asked>,
    /// Everything could be read.
    is_whole: bool,
}

/// Reconciles every service that it is told of.
pub struct Reconciler {
    shared: Arc<Shared>,
}

/// What a reconciler is made of.
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
    pub world: Arc<dyn World>,
    pub policy: Policy,
}

impl Reconciler {
    /// Reads what the store holds. Records that cannot be read are set aside and told as events; they stop nothing else.
    ///
    /// # Errors
    ///
    /// A store that cannot be read at all.
    pub async fn new(parts: Parts) -> Result<(Self, Handle), StoreError> {
        let Parts {
            clock,
            store,
            world,
            policy,
        } = parts;
        let next_event = store.next_seq(Tree::Event).await?;
        let (states, set_aside) = load(&*store, clock.now()).await?;
        let shared = Arc::new(Shared {
            clock,
            store,
            world,
            policy,
            entries: Mutex::default(),
            queue: Mutex::default(),
            nudge: Notify::new(),
            board: Board::default(),
            around: Mutex::default(),
            told: AsyncMutex::default(),
            events: broadcast::channel(EVENTS_MAX).0,
            journal: Journal::starting_at(next_event),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        for state in states {
            let key = state.key.clone();
            let entry = Entry::new(state);
            shared.publish(&entry);
            shared.tell_of(&entry);
            lock(&shared.entries).insert(key.clone(), Arc::new(AsyncMutex::new(entry)));
            lock(&shared.queue).wake(key);
        }
        shared.tell_set_aside(set_aside).await?;
        let handle = Handle::new(shared.clone());
        Ok((Self { shared }, handle))
    }

    /// Works until told to stop, then lets what is in hand finish.
    pub async fn run(self, stop: CancellationToken) {
        let trimming = self.shared.clone().trim(stop.clone());
        self.shared.tasks.spawn(trimming);
        let searching = self.shared.clone().search(stop.clone());
        self.shared.tasks.spawn(searching);
        while !stop.is_cancelled() {
            let now = self.shared.clock.now();
            let taken = lock(&self.shared.queue).take(now);
            match taken {
                Some(key) => {
                    let shared = self.shared.clone();
                    self.shared
                        .tasks
                        .spawn(async move { shared.pass(key).await });
                }
                None => self.shared.rest(now, &stop).await,
            }
        }
        self.shared.stopping.cancel();
        self.shared.stop_measuring().await;
        self.shared.tasks.close();
        let _ = tokio::time::timeout(DRAIN_MAX, self.shared.tasks.wait()).await;
    }
}

impl Shared {
    /// Sleeps until the next alarm, a wake-up, or the end.
    async fn rest(&self, now: Timestamp, stop: &CancellationToken) {
        let next = lock(&self.queue).next_alarm();
        let wait = next.map_or(Duration::from_secs(3600), |at| at.since(now));
        tokio::select! {
            // In this order, always: what happens must be the same in every replay.
            biased;
            () = self.nudge.notified() => {}
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }

    fn wake(&self, key: ServiceKey) {
        lock(&self.queue).wake(key);
        self.nudge.notify_one();
    }

    fn wake_all(&self, keys: impl IntoIterator<Item = ServiceKey>) {
        for key in keys {
            self.wake(key);
        }
    }

    fn entry(&self, key: &ServiceKey) -> Option<Arc<AsyncMutex<Entry>>> {
        lock(&self.entries).get(key).cloned()
    }

    /// A service, held; unless it is not known, or was forgotten meanwhile.
    async fn locked(&self, key: &ServiceKey) -> Option<OwnedMutexGuard<Entry>> {
        loop {
            let entry = self.entry(key)?;
            let held = entry.clone().lock_owned().await;
            match self.entry(key) {
                Some(now) if Arc::ptr_eq(&now, &entry) => return Some(held),
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// A service, held; made known if it was not. Its rollouts are counted on from those that its history tells of.
    async fn known(&self, key: &ServiceKey) -> OwnedMutexGuard<Entry> {
        loop {
            let mut state = ServiceState::new(key.clone(), self.clock.now());
            state.memory.next_rollout = disk::load::next_rollout(&*self.store, key).await;
            lock(&self.entries)
                .entry(key.clone())
                .or_insert_with(|| Arc::new(AsyncMutex::new(Entry::new(state))));
            if let Some(held) = self.locked(key).await {
                return held;
            }
        }
    }

    async fn trim(self: Arc<Self>, stop: CancellationToken) {
        const EVERY: Duration = Duration::from_secs(600);
        while stop
            .run_until_cancelled(tokio::time::sleep(EVERY))
            .await
            .is_some()
        {
            self.drop_old(Tree::Event, "", EVENTS_KEPT).await;
            let keys: Vec<ServiceKey> = lock(&self.entries).keys().cloned().collect();
            for key in keys {
                let prefix = format!("{key}/");
                self.drop_old(Tree::History, &prefix, HISTORY_KEPT).await;
            }
        }
    }

    async fn drop_old(&self, tree: Tree, prefix: &str, kept: usize) {
        let kept = std::num::NonZeroUsize::new(kept).unwrap_or(std::num::NonZeroUsize::MIN);
        if let Err(error) = self.store.prune(tree, prefix, kept).await {
            tracing::warn!(tree = tree.name(), %error, "old records could not be dropped");
        }
    }
}

/// A panic elsewhere must not stop the loop: what the lock guards is whole at every moment it is released.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
