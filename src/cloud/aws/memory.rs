//! What is remembered from call to call, so that fewer calls are needed. All of it may be lost at any time, and anything of it may be
//! out of date: whoever acts on it sends the revision along that it was read with, and a version that is gone is looked for again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::survey::{AliasDetail, Standing};
use crate::name::{CodeDigest, Slot};

/// What `GetFunction` of an alias does not tell; it seldom changes without the version behind an alias changing, too.
#[derive(Clone, Debug)]
pub(super) struct Details {
    pub(super) read_at: Instant,
    pub(super) standing: Standing,
    pub(super) aliases: BTreeMap<Slot, AliasDetail>,
}

impl Details {
    /// Of a function without aliases, as of now.
    pub(super) fn bare(standing: Standing) -> Self {
        Self {
            read_at: Instant::now(),
            standing,
            aliases: BTreeMap::new(),
        }
    }
}

/// Published versions, and fingerprints of what they are set to.
pub(super) type Versions = BTreeMap<u64, CodeDigest>;

/// By the names of functions.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Known>>);

#[derive(Debug, Default)]
struct Known {
    details: Option<Details>,
    /// None where they were not listed yet.
    versions: Option<Versions>,
}

impl Memory {
    fn with<T>(&self, name: &str, look: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(known.entry(name.to_owned()).or_default())
    }

    /// Younger than this.
    pub(super) fn details(&self, name: &str, younger: Duration) -> Option<Details> {
        self.with(name, |known| {
            let details = known.details.as_ref();
            details.filter(|it| it.read_at.elapsed() < younger).cloned()
        })
    }

    pub(super) fn note_details(&self, name: &str, details: Details) {
        self.with(name, |known| known.details = Some(details));
    }

    /// After an alias was moved, and nothing but the alias.
    pub(super) fn note_alias(&self, name: &str, slot: Slot, moved: AliasDetail) {
        self.with(name, |known| {
            if let Some(details) = &mut known.details {
                details.aliases.insert(slot, moved);
            }
        });
    }

    pub(super) fn versions(&self, name: &str) -> Option<Versions> {
        self.with(name, |known| known.versions.clone())
    }

    pub(super) fn note_versions(&self, name: &str, versions: Versions) {
        self.with(name, |known| known.versions = Some(versions));
    }

    pub(super) fn note_version(&self, name: &str, number: u64, fingerprint: CodeDigest) {
        self.with(name, |known| {
            if let Some(versions) = &mut known.versions {
                versions.insert(number, fingerprint);
            }
        });
    }

    pub(super) fn note_deleted(&self, name: &str, deleted: &BTreeSet<String>) {
        self.with(name, |known| {
            if let Some(versions) = &mut known.versions {
                versions.retain(|number, _| !deleted.contains(&number.to_string()));
            }
        });
    }

    /// What is attached is read anew at the next look; versions are what they were.
    pub(super) fn look_again(&self, name: &str) {
        self.with(name, |known| known.details = None);
    }

    /// Nothing is sure any more: a call failed, or its reply was lost.
    pub(super) fn forget(&self, name: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(name);
    }
}
