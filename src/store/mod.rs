//! What outlives the process: records in a closed list of trees, written in batches that are there completely or not at all.
//!
//! Three layers. [`Store`] moves bytes and is what an implementation provides ([`disk`], [`memory`]); [`envelope`] says whether bytes
//! are still what was written; [`StoreExt`] is what the rooms above use: it speaks their types, upgrades old records, and sets aside
//! what cannot be read, so that one bad record stops nothing else.
//!
//! Losing the folder loses no truth: live state comes back from the clouds' tags, desired state from Git.

pub mod batch;
pub mod disk;
pub mod envelope;
pub mod error;
pub mod memory;
pub mod typed;

use async_trait::async_trait;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::{batch::Batch, error::StoreError, typed::StoreExt};

/// Where a kind of record lives. The names are on disk: a new tree is added, an old name is never given a new meaning.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tree {
    Service,
    Live,
    Release,
    Rollout,
    Intent,
    Rejected,
    History,
    Event,
    Source,
    Meta,
}

impl Tree {
    pub const ALL: [Self; 10] = [
        Self::Service,
        Self::Live,
        Self::Release,
        Self::Rollout,
        Self::Intent,
        Self::Rejected,
        Self::History,
        Self::Event,
        Self::Source,
        Self::Meta,
    ];

    /// Its place in [`Self::ALL`].
    const fn index(self) -> usize {
        self as usize
    }

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Live => "live",
            Self::Release => "release",
            Self::Rollout => "rollout",
            Self::Intent => "intent",
            Self::Rejected => "rejected",
            Self::History => "history",
            Self::Event => "event",
            Self::Source => "source",
            Self::Meta => "meta",
        }
    }
}

const _: () = {
    let mut index = 0;
    while index < Tree::ALL.len() {
        assert!(
            Tree::ALL[index].index() == index,
            "trees are found by their place"
        );
        index += 1;
    }
};

/// Something that is kept. The key must be a function of the record, so that writing it twice is writing it once.
pub trait Record: Serialize + DeserializeOwned {
    const TREE: Tree;
    /// Raised with every change that older code could not read.
    const SCHEMA: u32;

    /// At most [`batch::KEY_MAX`] bytes without control characters. Records are listed in the order of their keys.
    fn key(&self) -> String;

    /// What a record of an older schema means today; `None` where it means nothing any more, which sets it aside.
    fn upgrade(_from: u32, _value: serde_json::Value) -> Option<serde_json::Value> {
        None
    }
}

/// A record as it was written: which schema, and its JSON text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawRecord {
    pub key: String,
    pub schema: u32,
    pub json: String,
}

/// A record that could not be read, and was moved out of the way with its bytes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SetAside {
    pub tree: Tree,
    pub key: String,
    pub why: String,
}

/// What could be read, and what could not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loaded<T> {
    /// In the order that was asked for.
    pub records: Vec<T>,
    pub set_aside: Vec<SetAside>,
}

/// A key and its bytes, exactly as stored.
pub type Row = (Vec<u8>, Vec<u8>);

/// Which way a list is read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// Which rows of a tree are wanted. The default is all of them, in ascending order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scan {
    pub prefix: String,
    /// The lowest key, itself included.
    pub from: Option<String>,
    /// The highest key, itself excluded.
    pub before: Option<String>,
    pub order: Order,
    pub skip: usize,
    pub limit: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            from: None,
            before: None,
            order: Order::Ascending,
            skip: 0,
            limit: usize::MAX,
        }
    }
}

impl Scan {
    /// Lowest key, itself included, and highest key, itself excluded. `None` where no key can lie between.
    fn bounds(&self) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let prefix = self.prefix.as_bytes();
        let from = self.from.as_deref().unwrap_or_default().as_bytes();
        let low = prefix.max(from).to_vec();
        let before = self.before.as_ref().map(|key| key.as_bytes().to_vec());
        let high = match (after_prefix(prefix), before) {
            (Some(end), Some(before)) => Some(end.min(before)),
            (end, before) => end.or(before),
        };
        let is_empty = high.as_ref().is_some_and(|high| *high <= low);
        (!is_empty).then_some((low, high))
    }
}

/// The first key behind all keys with this prefix. A byte of UTF-8 is never 255, so adding one cannot overflow.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let (last, rest) = prefix.split_last()?;
    let mut end = rest.to_vec();
    end.push(last.saturating_add(1));
    Some(end)
}

/// Keeps bytes. Dyn-safe; callers use [`StoreExt`] to read.
#[async_trait]
pub trait Store: Send + Sync {
    /// # Guarantees
    ///
    /// On `Ok` all of the batch is on the disk and survives a loss of power. Batches take effect in the order in which their calls
    /// were made by one caller, and a batch is never there in part.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_in_doubt`] tells the errors after which the batch may still be there from those after which it is not.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// The rows of a tree as they stand, readable or not.
    async fn rows(&self, tree: Tree, scan: Scan) -> Result<Vec<Row>, StoreError>;

    /// The highest key that a tree holds, or held until its record was set aside: numbers in keys are not given twice.
    async fn last_key(&self, tree: Tree) -> Result<Option<String>, StoreError>;

    /// Everything that was ever set aside in this store.
    async fn all_set_aside(&self) -> Result<Vec<SetAside>, StoreError>;
}
