//! Follows repositories: polls, reads, and tells the loop what is asked for.

mod follower;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::follower::Follower;
use super::{
    asked::{Gathered, Ledger, gather},
    config::Repository,
    reader::{Reader, Reading},
    world::{Mirrors, chain},
};
use crate::{
    clock::Clock,
    git::{GitError, mirror::Mirror},
    name::{Actor, RepositoryName, ServiceKey, Timestamp},
    plan::state::{EventRecord, Severity},
    reconcile::handle::Handle,
    store::{Store, StoreError},
};

/// What is known of one repository.
#[derive(Clone, Debug)]
pub struct SourceState {
    pub repository: Repository,
    /// The newest commit that could be read. It stands when a later poll fails.
    pub reading: Option<Reading>,
    pub polled_at: Option<Timestamp>,
    /// Why the newest poll failed, since when, and its stable word.
    pub problem: Option<SourceProblem>,
    /// Said from a force-push until the next ordinary commit.
    pub rewritten: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceProblem {
    pub reason: String,
    pub message: String,
    pub since: Timestamp,
}

/// All repositories that are followed.
#[derive(Clone)]
pub struct Sources {
    shared: Arc<Shared>,
}

struct Shared {
    handle: Handle,
    clock: Arc<dyn Clock>,
    /// Where the mirrors are.
    folder: PathBuf,
    mirrors: Mirrors,
    states: watch::Sender<BTreeMap<RepositoryName, SourceState>>,
    store: Arc<dyn Store>,
    /// Whoever holds it tells the loop, so that an older reading never comes after a newer one.
    ledger: tokio::sync::Mutex<Ledger>,
    wake: Mutex<BTreeMap<RepositoryName, Arc<Notify>>>,
    followed: Mutex<BTreeMap<RepositoryName, CancellationToken>>,
    tasks: TaskTracker,
}

impl Sources {
    /// # Errors
    ///
    /// A store that cannot be read.
    pub async fn new(
        handle: Handle,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        folder: PathBuf,
        mirrors: Mirrors,
    ) -> Result<Self, StoreError> {
        let (ledger, set_aside) = Ledger::load(&*store).await?;
        handle.tell_set_aside(set_aside).await?;
        let shared = Shared {
            handle,
            clock,
            folder,
            mirrors,
            states: watch::channel(BTreeMap::new()).0,
            store,
            ledger: tokio::sync::Mutex::new(ledger),
            wake: Mutex::default(),
            followed: Mutex::default(),
            tasks: TaskTracker::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What is known of each repository.
    pub fn watch(&self) -> watch::Receiver<BTreeMap<RepositoryName, SourceState>> {
        self.shared.states.subscribe()
    }

    /// Polls every repository now.
    pub fn wake_all(&self) {
        lock(&self.shared.wake)
            .values()
            .for_each(|wake| wake.notify_one());
    }

    /// Follows these repositories and no others. One whose configuration did not change goes on undisturbed; one that cannot be opened
    /// says so in its state, and is tried again. On return the mirrors of all others can be read.
    pub fn follow(&self, repositories: &[Repository], stop: &CancellationToken) {
        let names: BTreeSet<&RepositoryName> = repositories
            .iter()
            .map(|repository| &repository.name)
            .collect();
        let has_dropped = self.shared.drop_others(&names);
        for repository in repositories {
            self.follow_one(repository, stop);
        }
        if has_dropped {
            let shared = self.shared.clone();
            self.shared
                .tasks
                .spawn(async move { shared.tell_loop().await });
        }
    }

    fn follow_one(&self, repository: &Repository, stop: &CancellationToken) {
        let name = repository.name.clone();
        let is_same = |state: &SourceState| state.repository == *repository;
        if self.shared.states.borrow().get(&name).is_some_and(is_same) {
            return;
        }
        let opened = self.shared.open(repository).ok();
        let state = SourceState {
            repository: repository.clone(),
            reading: None,
            polled_at: None,
            problem: None,
            rewritten: None,
        };
        self.shared
            .states
            .send_modify(|states| drop(states.insert(name.clone(), state)));
        let wake = Arc::new(Notify::new());
        lock(&self.shared.wake).insert(name.clone(), wake.clone());
        let own_stop = stop.child_token();
        if let Some(before) = lock(&self.shared.followed).insert(name, own_stop.clone()) {
            before.cancel();
        }
        let shared = self.shared.clone();
        let follower = Follower {
            shared: shared.clone(),
            repository: repository.clone(),
            opened,
            reader: Arc::new(Mutex::new(Reader::with_env(repository.env.clone()))),
            last: None,
        };
        shared
            .tasks
            .spawn(async move { follower.run(&wake, &own_stop).await });
    }

    /// Waits until nothing is followed any more.
    pub async fn ended(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    /// Whether any was followed that is not any more.
    fn drop_others(&self, names: &BTreeSet<&RepositoryName>) -> bool {
        lock(&self.followed).retain(|name, stop| {
            let is_kept = names.contains(name);
            if !is_kept {
                stop.cancel();
            }
            is_kept
        });
        lock(&self.wake).retain(|name, _| names.contains(name));
        lock(&self.mirrors).retain(|name, _| names.contains(name));
        let is_dropped = |name: &RepositoryName| !names.contains(name);
        let has_dropped = self.states.borrow().keys().any(is_dropped);
        self.states
            .send_modify(|states| states.retain(|name, _| !is_dropped(name)));
        has_dropped
    }

    /// Opens the mirror of a repository, for whoever builds, too.
    fn open(&self, repository: &Repository) -> Result<Mirror, GitError> {
        let name = &repository.name;
        let mirror = Mirror::open(&self.folder, name, repository.source.clone())?;
        lock(&self.mirrors).insert(name.clone(), mirror.clone());
        Ok(mirror)
    }

    fn change(&self, name: &RepositoryName, change: impl FnOnce(&mut SourceState)) {
        self.states.send_modify(|states| {
            if let Some(state) = states.get_mut(name) {
                change(state);
            }
        });
    }

    async fn succeeded(&self, name: &RepositoryName, reading: Option<Reading>) {
        let now = self.clock.now();
        let mut was_ill = false;
        let is_news = reading.is_some();
        let told = reading.as_ref().map(|reading| {
            let faults = reading
                .faults
                .iter()
                .filter(|fault| fault.is_error())
                .count();
            (reading.revision.short(), reading.services.len(), faults)
        });
        self.states.send_modify(|states| {
            if let Some(state) = states.get_mut(name) {
                was_ill = state.problem.take().is_some();
                state.polled_at = Some(now);
                if let Some(reading) = reading {
                    state.reading = Some(reading);
                }
            }
        });
        if was_ill {
            self.tell(
                Severity::Info,
                "FetchRecovered",
                format!("repository {name} can be read again"),
            )
            .await;
        }
        if let Some((revision, services, faults)) = told {
            let (severity, faulty) = if faults > 0 {
                (Severity::Warning, format!(", {faults} faults"))
            } else {
                (Severity::Info, String::new())
            };
            self.tell(
                severity,
                "CommitRead",
                format!("repository {name} at {revision}: {services} services{faulty}"),
            )
            .await;
        }
        if is_news {
            self.tell_loop().await;
        }
    }

    async fn failed(&self, name: &RepositoryName, error: &GitError) {
        let now = self.clock.now();
        let (reason, message) = (error.reason().to_owned(), chain(error));
        let mut is_news = false;
        self.states.send_modify(|states| {
            if let Some(state) = states.get_mut(name) {
                state.polled_at = Some(now);
                let since = state.problem.as_ref().map_or(now, |problem| problem.since);
                let problem = SourceProblem {
                    reason: reason.clone(),
                    message: message.clone(),
                    since,
                };
                is_news = state.problem.as_ref() != Some(&problem);
                state.problem = Some(problem);
            }
        });
        if is_news {
            self.tell(
                Severity::Error,
                &reason,
                format!("repository {name}: {message}; what was read last stands"),
            )
            .await;
        }
    }

    /// Puts together what all repositories ask for, and keeps who asks for what.
    async fn tell_loop(&self) {
        let mut ledger = self.ledger.lock().await;
        let states = self.states.borrow().clone();
        let known = self.handle.keys().into_iter().collect();
        let Gathered {
            asked,
            is_whole,
            unfollowed,
        } = gather(&states, &known, &mut ledger);
        if let Err(error) = ledger.save(&*self.store, &states).await {
            tracing::error!(%error, "it could not be kept which repository asks for what");
        }
        self.handle.ask(&asked, is_whole).await;
        drop(ledger);
        for (service, message) in unfollowed {
            self.tell_of(Some(service), Severity::Warning, "ServiceHeld", message)
                .await;
        }
    }

    async fn tell(&self, severity: Severity, reason: &str, message: String) {
        self.tell_of(None, severity, reason, message).await;
    }

    async fn tell_of(
        &self,
        service: Option<ServiceKey>,
        severity: Severity,
        reason: &str,
        message: String,
    ) {
        let record = EventRecord {
            seq: 0,
            at: self.clock.now(),
            severity,
            service,
            reason: reason.to_owned(),
            message,
            actor: Actor::daemon(),
            revision: None,
            rollout: None,
        };
        if let Err(error) = self.handle.tell(record).await {
            tracing::error!(%error, "an event could not be written");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
