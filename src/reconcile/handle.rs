//! What the API, the command line and the sources may ask of a running loop.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::{broadcast, watch};

use super::{
    Shared, lock,
    points::{self, Part},
};
use crate::{
    desired::DesiredService,
    name::{Actor, CodeDigest, ServiceKey},
    plan::{
        act::{self, Action, Refused},
        destruction::{Destruction, destruction},
        preview::{ServicePlan, preview},
        state::{EventRecord, HistoryEntry, ServiceState},
        step::Fleets,
    },
    rollout::Rollout,
    status::ServiceReport,
    store::{Scan, SetAside, StoreError, StoreExt, typed::seq_key},
};

/// A running loop. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

/// An action that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("no service is called `{0}`: `verdigris get` lists them")]
    NotFound(ServiceKey),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{0} is stalled: {1}")]
    Stalled(ServiceKey, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a commit asks of one service.
#[derive(Clone, Debug)]
pub enum Asked {
    Wanted(Arc<DesiredService>),
    /// Its manifest is wrong; the last good one stands.
    Invalid(Vec<String>),
}

impl Asked {
    /// Whether both ask for the same without a doubt; values that are equal in different places count as different.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wanted(one), Self::Wanted(other)) => Arc::ptr_eq(one, other),
            (Self::Invalid(faults), Self::Invalid(others)) => faults == others,
            (Self::Wanted(_), Self::Invalid(_)) | (Self::Invalid(_), Self::Wanted(_)) => false,
        }
    }
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    // === reading ===

    pub fn report(&self, key: &ServiceKey) -> Option<Arc<ServiceReport>> {
        self.shared.board.get(key)
    }

    /// Up to `limit` reports after a key, in order of their keys, that `wanted` takes.
    pub fn page(
        &self,
        after: Option<&ServiceKey>,
        limit: usize,
        wanted: impl Fn(&ServiceReport) -> bool,
    ) -> Vec<Arc<ServiceReport>> {
        self.shared.board.page(after, limit, wanted)
    }

    /// The names of all services.
    pub fn keys(&self) -> Vec<ServiceKey> {
        lock(&self.shared.entries).keys().cloned().collect()
    }

    /// How many services there are.
    pub fn count(&self) -> usize {
        self.shared.board.len()
    }

    /// Changes when any report does; the value is the newest `resourceVersion`.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.board.watch()
    }

    /// Names that wait for a pass.
    pub fn queue_depth(&self) -> usize {
        lock(&self.shared.queue).depth()
    }

    /// The newest rollout of a service, with its gates and evidence.
    pub async fn rollout(&self, key: &ServiceKey) -> Option<Rollout> {
        let entry = self.shared.entry(key)?;
        let entry = entry.lock().await;
        entry.state.rollout.clone()
    }

    /// Ended rollouts of a service, newest first, older than rollout `before`.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub async fn history(
        &self,
        key: &ServiceKey,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let scan = Scan {
            prefix: format!("{key}/"),
            before: before.map(|rollout| format!("{key}/{}", seq_key(rollout))),
            order: crate::store::Order::Descending,
            limit,
            ..Scan::default()
        };
        Ok(self.shared.store.find::<HistoryEntry>(scan).await?.records)
    }

    /// Events after a sequence number, oldest first.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub async fn events_after(
        &self,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let scan = Scan {
            from: Some(seq_key(seq.saturating_add(1))),
            limit,
            ..Scan::default()
        };
        Ok(self.told(self.shared.store.find(scan).await?.records))
    }

    /// The newest events, newest first.
    ///
    /// # Errors
    ///
    /// A store that cannot be read.
    pub async fn last_events(&self, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        Ok(self.told(self.shared.store.last_of("", limit).await?.records))
    }

    /// Without those that are on the disk before others that come first: a reader that resumes must miss none.
    fn told(&self, mut events: Vec<EventRecord>) -> Vec<EventRecord> {
        events.retain(|event| self.shared.journal.is_told(event.seq));
        events
    }

    /// Events as they happen. A reader that lags reads on with [`Handle::events_after`].
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<EventRecord>> {
        self.shared.events.subscribe()
    }

    /// What would be done for a service, and what it waits on.
    pub async fn plan(&self, key: &ServiceKey) -> Option<ServicePlan> {
        let entry = self.shared.entry(key)?;
        let entry = entry.lock().await;
        let around = lock(&self.shared.around).of(&entry.state);
        Some(preview(
            &entry.state,
            &around,
            self.shared.policy,
            self.shared.clock.now(),
        ))
    }

    /// What the destruction of a service would take away.
    pub async fn destruction(&self, key: &ServiceKey) -> Option<Destruction> {
        let entry = self.shared.entry(key)?;
        let entry = entry.lock().await;
        let around = lock(&self.shared.around).of(&entry.state);
        Some(destruction(&entry.state, &around))
    }

    /// The packages that any release names which could be deployed again.
    pub async fn packages(&self) -> BTreeSet<CodeDigest> {
        let mut packages = BTreeSet::new();
        for key in self.keys() {
            let Some(entry) = self.shared.entry(&key) else {
                continue;
            };
            let entry = entry.lock().await;
            let records = entry.state.releases.values();
            packages.extend(records.flat_map(|it| it.packages.values().map(|it| it.code)));
        }
        packages
    }

    /// All that is known of a service.
    pub async fn state(&self, key: &ServiceKey) -> Option<ServiceState> {
        let entry = self.shared.entry(key)?;
        let entry = entry.lock().await;
        Some(entry.state.clone())
    }

    // === acting ===

    /// Takes a person's action. On return it is on the disk.
    ///
    /// # Errors
    ///
    /// A service that is not there, an action that does not fit, a store that cannot be written.
    pub async fn act(
        &self,
        key: &ServiceKey,
        action: Action,
        actor: Actor,
    ) -> Result<(), ActError> {
        let halted = || ActError::Stalled(key.clone(), "the action panicked".to_owned());
        let acting = self.act_on(key, action, actor);
        let done = self.shared.guarded(key, "an action", acting).await;
        done.unwrap_or_else(|| Err(halted()))
    }

    async fn act_on(&self, key: &ServiceKey, action: Action, actor: Actor) -> Result<(), ActError> {
        let entry = self.shared.locked(key).await;
        let mut entry = entry.ok_or_else(|| ActError::NotFound(key.clone()))?;
        let is_another_try = matches!(action, Action::Retry | Action::Reconcile { .. });
        if let Some(message) = entry.stalled.clone().filter(|_| is_another_try) {
            tracing::info!(service = %key, message, "not stalled any more");
            self.shared.revive(&mut entry).await?;
            entry.stalled = None;
            self.shared.wake(key.clone());
            if action == Action::Retry {
                return Ok(());
            }
        }
        if entry.quarantine.is_some() {
            let message = entry.stalled.clone().unwrap_or_default();
            return Err(ActError::Stalled(key.clone(), message));
        }
        if let Action::Destroy { .. } = action {
            self.nothing_depends_on(key, &entry.state)?;
        }
        points::part(key, Part::Act);
        let writes = act::act(&mut entry.state, action, actor, self.shared.clock.now())?;
        entry.unsaved.extend(writes);
        let saved = self.shared.save(&mut entry).await;
        self.shared.publish(&entry);
        drop(entry);
        self.shared.wake(key.clone());
        Ok(saved?)
    }

    /// What others need is not destroyed under them.
    fn nothing_depends_on(&self, key: &ServiceKey, state: &ServiceState) -> Result<(), Refused> {
        let around = lock(&self.shared.around).of(state);
        let stays = |other: &&ServiceKey| {
            let report = self.report(other);
            report.is_some_and(|it| it.status.destruction.is_none())
        };
        match around.dependants.iter().find(stays) {
            None => Ok(()),
            Some(other) => Err(Refused {
                action: "destroy",
                service: key.to_string(),
                message: format!(
                    "{other} depends on it: destroy that first, or take it out of its `dependsOn`"
                ),
            }),
        }
    }

    /// Writes and tells an event that belongs to no service.
    ///
    /// # Errors
    ///
    /// A store that cannot be written.
    pub async fn tell(&self, event: EventRecord) -> Result<(), StoreError> {
        self.shared.tell_all(vec![event]).await
    }

    /// Writes and tells of records that could not be read.
    ///
    /// # Errors
    ///
    /// A store that cannot be written.
    pub async fn tell_set_aside(&self, set_aside: Vec<SetAside>) -> Result<(), StoreError> {
        self.shared.tell_set_aside(set_aside).await
    }

    /// Wakes a service: something may have happened to it.
    pub fn wake(&self, key: &ServiceKey) {
        self.shared.wake(key.clone());
    }

    /// Takes in what the newest commits ask for: `asked` names every service that they ask for or that is wrong in them; `is_whole` says
    /// that everything could be read, so that a service that is not named is absent. Only services that changed are woken, and only those
    /// that are asked for in other words than last time are looked at.
    pub async fn ask(&self, asked: &BTreeMap<ServiceKey, Asked>, is_whole: bool) {
        let mut told = self.shared.told.lock().await;
        told.is_whole = is_whole;
        let unnamed = self.shared.unnamed(asked);
        let is_news = |(key, ask): &(&ServiceKey, &Asked)| {
            let before = told.asked.get(*key);
            !before.is_some_and(|before| ask.is_same(before))
        };
        let news: Vec<(&ServiceKey, &Asked)> = asked.iter().filter(is_news).collect();
        let gone = unnamed.iter().filter(|_| is_whole).map(|key| (key, None));
        let lookers = {
            let mut around = lock(&self.shared.around);
            // Before any name is woken: a pass must not delete on a count that is too old.
            around.count(count(asked, &unnamed));
            let named = news.iter().map(|(key, ask)| (*key, Some(*ask)));
            around.asked(named.chain(gone))
        };
        for (key, ask) in news {
            self.take_in(key, Some(ask)).await;
            told.asked.insert(key.clone(), ask.clone());
        }
        if told.asked.len() > asked.len() {
            told.asked.retain(|key, _| asked.contains_key(key));
        }
        for key in unnamed.iter().filter(|_| is_whole) {
            self.take_in(key, None).await;
        }
        self.shared.wake_all(lookers);
    }

    /// Takes in what the newest commit asks of one service; `None` if nothing names it any more.
    pub async fn ask_one(&self, key: &ServiceKey, asked: Option<&Asked>) {
        self.shared.told.lock().await.asked.remove(key);
        let lookers = lock(&self.shared.around).asked(std::iter::once((key, asked)));
        self.take_in(key, asked).await;
        self.shared.wake_all(lookers);
    }

    async fn take_in(&self, key: &ServiceKey, asked: Option<&Asked>) {
        let taking = self.take_in_alone(key, asked);
        self.shared.guarded(key, "what git asks", taking).await;
    }

    async fn take_in_alone(&self, key: &ServiceKey, asked: Option<&Asked>) {
        let mut entry = match (self.shared.locked(key).await, asked) {
            (Some(entry), _) => entry,
            (None, Some(_)) => self.shared.known(key).await,
            (None, None) => return,
        };
        if !self.shared.ask_of(&mut entry, asked) {
            return;
        }
        self.shared.publish(&entry);
        drop(entry);
        self.shared.wake(key.clone());
        let lookers = lock(&self.shared.around).lookers(key);
        self.shared.wake_all(lookers);
    }
}

impl Shared {
    /// Services that are known, and that nothing asks for.
    pub(super) fn unnamed(&self, asked: &BTreeMap<ServiceKey, Asked>) -> Vec<ServiceKey> {
        let entries = lock(&self.entries);
        let unnamed = entries.keys().filter(|key| !asked.contains_key(*key));
        unnamed.cloned().collect()
    }
}

/// How many services there are, and how many of them nothing asks for.
pub(super) fn count(asked: &BTreeMap<ServiceKey, Asked>, unnamed: &[ServiceKey]) -> Fleets {
    let named = asked.keys().map(|key| (key, false));
    Fleets::count(named.chain(unnamed.iter().map(|key| (key, true))))
}
