//! Follows repositories: polls, reads, and tells the loop what is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    config::Repository,
    reader::{Reader, Reading},
    world::{Mirrors, chain},
};
use crate::{
    clock::Clock,
    git::{GitError, mirror::Mirror},
    manifest::fault::Fault,
    name::{Actor, RepositoryName, ServiceKey, Timestamp},
    plan::state::{EventRecord, Severity},
    reconcile::handle::{Asked, Handle},
};

/// Repositories are polled this much earlier or later than their interval says, so that they do not all come at once.
const JITTER: f64 = 0.1;

/// What is known of one repository.
#[derive(Clone, Debug)]
pub struct SourceState {
    pub repository: Repository,
    /// The newest commit that could be read. It stands when a later poll fails.
    pub reading: Option<Reading>,
    pub polled_at: Option<Timestamp>,
    /// Why the newest poll failed, since when, and its stable word.
    pub problem: Option<SourceProblem>,
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
    /// One at a time tells the loop, so that an older reading never comes after a newer one.
    telling: tokio::sync::Mutex<()>,
    wake: Mutex<BTreeMap<RepositoryName, Arc<Notify>>>,
    followed: Mutex<BTreeMap<RepositoryName, CancellationToken>>,
    tasks: TaskTracker,
}

impl Sources {
    pub fn new(handle: Handle, clock: Arc<dyn Clock>, folder: PathBuf, mirrors: Mirrors) -> Self {
        let shared = Shared {
            handle,
            clock,
            folder,
            mirrors,
            states: watch::channel(BTreeMap::new()).0,
            telling: tokio::sync::Mutex::default(),
            wake: Mutex::default(),
            followed: Mutex::default(),
            tasks: TaskTracker::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
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

    /// Follows these repositories and no others. One whose configuration did not change goes on undisturbed.
    ///
    /// # Errors
    ///
    /// The first repository whose mirror cannot be opened; the others are followed.
    pub fn follow(
        &self,
        repositories: &[Repository],
        stop: &CancellationToken,
    ) -> Result<(), GitError> {
        let names: BTreeSet<&RepositoryName> = repositories
            .iter()
            .map(|repository| &repository.name)
            .collect();
        self.shared.drop_others(&names);
        let mut first_error = None;
        for repository in repositories {
            if let Err(error) = self.follow_one(repository, stop) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn follow_one(
        &self,
        repository: &Repository,
        stop: &CancellationToken,
    ) -> Result<(), GitError> {
        let name = repository.name.clone();
        let is_same =
            |state: &SourceState| format!("{:?}", state.repository) == format!("{repository:?}");
        if self.shared.states.borrow().get(&name).is_some_and(is_same) {
            return Ok(());
        }
        let mirror = Mirror::open(&self.shared.folder, &name, repository.source.clone())?;
        self.shared
            .mirrors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), mirror.clone());
        let state = SourceState {
            repository: repository.clone(),
            reading: None,
            polled_at: None,
            problem: None,
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
        let repository = repository.clone();
        self.shared
            .tasks
            .spawn(async move { shared.run(repository, mirror, wake, own_stop).await });
        Ok(())
    }

    /// Waits until nothing is followed any more.
    pub async fn ended(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    fn drop_others(&self, names: &BTreeSet<&RepositoryName>) {
        lock(&self.followed).retain(|name, stop| {
            let is_kept = names.contains(name);
            if !is_kept {
                stop.cancel();
            }
            is_kept
        });
        lock(&self.wake).retain(|name, _| names.contains(name));
        lock(&self.mirrors).retain(|name, _| names.contains(name));
        self.states
            .send_modify(|states| states.retain(|name, _| names.contains(name)));
    }

    async fn run(
        self: Arc<Self>,
        repository: Repository,
        mirror: Mirror,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) {
        let reader = Arc::new(Mutex::new(Reader::default()));
        let mut last = None;
        while !stop.is_cancelled() {
            let poll = self.poll(&repository, &mirror, reader.clone(), last.clone());
            let Some(polled) = stop.run_until_cancelled(poll).await else {
                return;
            };
            match polled {
                Ok(Some(reading)) => {
                    last = Some(reading.revision.clone());
                    self.succeeded(&repository.name, Some(reading)).await;
                }
                Ok(None) => self.succeeded(&repository.name, None).await,
                Err(error) => self.failed(&repository.name, &error).await,
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(repository.interval)) => {}
                () = wake.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Asks the remote; reads the commit where it is a new one.
    async fn poll(
        &self,
        repository: &Repository,
        mirror: &Mirror,
        reader: Arc<Mutex<Reader>>,
        last: Option<crate::name::Revision>,
    ) -> Result<Option<Reading>, GitError> {
        let polled = mirror.poll().await?;
        if last.as_ref() == Some(&polled.revision) {
            return Ok(None);
        }
        if polled.rewritten {
            let message = format!(
                "history of {} was rewritten; it is now at {}",
                repository.name,
                polled.revision.short()
            );
            self.tell(Severity::Warning, "HistoryRewritten", message)
                .await;
        }
        let (path, revision) = (repository.path.clone(), polled.revision.clone());
        let read = move |snapshot: &crate::git::tree::Snapshot| {
            lock(&reader).read(snapshot, &path, revision)
        };
        mirror.read(&polled.revision.commit, read).await.map(Some)
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

    /// Puts together what all repositories ask for.
    async fn tell_loop(&self) {
        let _turn = self.telling.lock().await;
        let states = self.states.borrow().clone();
        let known = self.handle.keys();
        let mut asked = BTreeMap::new();
        let mut is_whole = true;
        for (name, state) in &states {
            let Some(reading) = &state.reading else {
                is_whole = false;
                continue;
            };
            for (key, desired) in &*reading.services {
                let ask = match asked.get(key) {
                    None => Asked::Wanted(desired.clone()),
                    Some(_) => Asked::Invalid(vec![format!(
                        "two repositories ask for {key}; {name} is one of them: rename one"
                    )]),
                };
                asked.insert(key.clone(), ask);
            }
            is_whole &= reading.held.unreadable.is_empty();
            hold(reading, &known, &mut asked);
        }
        self.handle.ask(&asked, is_whole).await;
    }

    async fn tell(&self, severity: Severity, reason: &str, message: String) {
        let record = EventRecord {
            seq: 0,
            at: self.clock.now(),
            severity,
            service: None,
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

/// Services that the commit is wrong about keep their last good release.
fn hold(reading: &Reading, known: &[ServiceKey], asked: &mut BTreeMap<ServiceKey, Asked>) {
    let told = |key: &ServiceKey| -> Vec<String> {
        let concerns = |fault: &&Fault| {
            fault.is_error()
                && fault
                    .service
                    .as_ref()
                    .is_none_or(|service| *service == key.service)
        };
        reading
            .faults
            .iter()
            .filter(concerns)
            .map(ToString::to_string)
            .collect()
    };
    for key in known {
        if !asked.contains_key(key) && reading.held.keeps(key) {
            asked.insert(key.clone(), Asked::Invalid(told(key)));
        }
    }
    let environments: BTreeSet<_> = reading
        .services
        .keys()
        .map(|key| key.environment.clone())
        .collect();
    for service in &reading.held.services {
        if known.iter().any(|key| key.service == *service) {
            continue;
        }
        for environment in &environments {
            let key = ServiceKey {
                environment: environment.clone(),
                service: service.clone(),
            };
            asked
                .entry(key.clone())
                .or_insert_with(|| Asked::Invalid(told(&key)));
        }
    }
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
