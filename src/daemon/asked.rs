//! What all repositories ask for together, and who asks for what: kept, so that nothing is removed that nobody stopped asking for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{config::Repository, reader::Reading, sources::SourceState};
use crate::{
    manifest::fault::Fault,
    name::{RepositoryName, ServiceKey},
    reconcile::handle::Asked,
    store::{Batch, Record, SetAside, Store, StoreError, StoreExt, Tree},
};

/// What is kept of a repository over a restart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct SourceRecord {
    repository: RepositoryName,
    /// Address, reference and folder: what was fetched from another place says nothing of this one.
    place: String,
    /// Services that it named last, or that still stand since it did.
    services: BTreeSet<ServiceKey>,
    rewritten: Option<String>,
}

impl Record for SourceRecord {
    const TREE: Tree = Tree::Source;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.repository.to_string()
    }
}

/// Which repository asks for what.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Who named a service last.
    owners: BTreeMap<ServiceKey, RepositoryName>,
    /// As on the disk.
    records: BTreeMap<RepositoryName, SourceRecord>,
    /// Services that stand though nobody who is followed ever named them.
    unfollowed: BTreeSet<ServiceKey>,
}

/// What all repositories ask for.
pub(super) struct Gathered {
    pub(super) asked: BTreeMap<ServiceKey, Asked>,
    /// Whether everything could be read.
    pub(super) is_whole: bool,
    /// Services that are held since their repository is not followed, and were not before; and how that is told.
    pub(super) unfollowed: Vec<(ServiceKey, String)>,
}

impl Ledger {
    /// As on the disk, and what could not be read of it.
    pub(super) async fn load(store: &dyn Store) -> Result<(Self, Vec<SetAside>), StoreError> {
        let mut ledger = Self::default();
        let found = store.load_all::<SourceRecord>().await?;
        for record in found.records {
            let owned = record.services.iter().cloned();
            ledger
                .owners
                .extend(owned.map(|service| (service, record.repository.clone())));
            ledger.records.insert(record.repository.clone(), record);
        }
        Ok((ledger, found.set_aside))
    }

    /// Whether the repository of this name was another one when it was read last.
    pub(super) fn is_of_another(&self, repository: &Repository) -> bool {
        let before = self.records.get(&repository.name);
        before.is_some_and(|before| before.place != place(repository))
    }

    /// What was told of a force-push.
    pub(super) fn rewritten(&self, name: &RepositoryName) -> Option<String> {
        self.records.get(name)?.rewritten.clone()
    }

    /// Brings to the disk what changed.
    pub(super) async fn save(
        &mut self,
        store: &dyn Store,
        states: &BTreeMap<RepositoryName, SourceState>,
    ) -> Result<(), StoreError> {
        let records = self.as_they_are(states);
        let mut batch = Batch::new();
        for (name, record) in &records {
            if self.records.get(name) != Some(record) {
                batch.put(record);
            }
        }
        let gone = self
            .records
            .keys()
            .filter(|name| !records.contains_key(*name));
        for name in gone {
            batch.delete::<SourceRecord>(name.as_str());
        }
        if !batch.is_empty() {
            store.commit(batch).await?;
        }
        self.records = records;
        Ok(())
    }

    fn as_they_are(
        &self,
        states: &BTreeMap<RepositoryName, SourceState>,
    ) -> BTreeMap<RepositoryName, SourceRecord> {
        let mut records = BTreeMap::new();
        for (name, state) in states.iter().filter(|(_, state)| state.reading.is_some()) {
            let record = SourceRecord {
                repository: name.clone(),
                place: place(&state.repository),
                services: BTreeSet::new(),
                rewritten: state.rewritten.clone(),
            };
            records.insert(name.clone(), record);
        }
        // One that is not followed, or was not read yet, stays as it was as long as anything stands of it.
        for (name, before) in &self.records {
            let is_followed = states.contains_key(name);
            if is_followed || self.owners.values().any(|owner| owner == name) {
                records.entry(name.clone()).or_insert_with(|| SourceRecord {
                    services: BTreeSet::new(),
                    ..before.clone()
                });
            }
        }
        for (service, owner) in &self.owners {
            if let Some(record) = records.get_mut(owner) {
                record.services.insert(service.clone());
            }
        }
        records
    }
}

fn place(repository: &Repository) -> String {
    let source = &repository.source;
    format!("{} {} {}", source.url, source.reference, repository.path)
}

/// Puts together what all repositories ask for.
pub(super) fn gather(
    states: &BTreeMap<RepositoryName, SourceState>,
    known: &BTreeSet<ServiceKey>,
    ledger: &mut Ledger,
) -> Gathered {
    let mut asked = BTreeMap::new();
    let mut is_whole = true;
    for (name, state) in states {
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
            ledger.owners.insert(key.clone(), name.clone());
        }
        is_whole &= reading.held.unreadable.is_empty();
        hold(reading, known, &mut asked);
        let held = asked
            .keys()
            .filter(|key| reading.held.services.contains(&key.service));
        for key in held {
            let owner = ledger.owners.entry(key.clone());
            owner.or_insert_with(|| name.clone());
        }
    }
    ledger
        .owners
        .retain(|key, _| known.contains(key) || asked.contains_key(key));
    // Before all is read, nobody knows who asks for what stands.
    let is_read = states.values().all(|state| state.reading.is_some());
    let unfollowed = if is_read {
        hold_unfollowed(states, known, ledger, &mut asked)
    } else {
        Vec::new()
    };
    Gathered {
        asked,
        is_whole,
        unfollowed,
    }
}

/// Only a repository that is followed can stop asking for something. What was asked for by another one stands.
fn hold_unfollowed(
    states: &BTreeMap<RepositoryName, SourceState>,
    known: &BTreeSet<ServiceKey>,
    ledger: &mut Ledger,
    asked: &mut BTreeMap<ServiceKey, Asked>,
) -> Vec<(ServiceKey, String)> {
    let mut unfollowed = BTreeMap::new();
    for key in known.iter().filter(|key| !asked.contains_key(*key)) {
        let message = match ledger.owners.get(key) {
            Some(owner) if states.contains_key(owner) => continue,
            Some(owner) => format!(
                "repository {owner}, which named it last, is not followed any more: what is live stays; follow {owner} again to change or remove it"
            ),
            None => "no repository that is followed ever named it: what is live stays; name it in one, to change or remove it".to_owned(),
        };
        unfollowed.insert(key.clone(), message);
    }
    for (key, message) in &unfollowed {
        asked.insert(key.clone(), Asked::Invalid(vec![message.clone()]));
    }
    let before = std::mem::replace(&mut ledger.unfollowed, unfollowed.keys().cloned().collect());
    unfollowed.retain(|key, _| !before.contains(key));
    unfollowed.into_iter().collect()
}

/// Services that the commit is wrong about keep their last good release.
fn hold(reading: &Reading, known: &BTreeSet<ServiceKey>, asked: &mut BTreeMap<ServiceKey, Asked>) {
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
