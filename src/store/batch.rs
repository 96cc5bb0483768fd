//! Changes that belong together.

use super::{Record, StoreError, Tree, envelope};

/// Longest accepted key. Keys fill the index pages of sled, which must stay small enough to live in its log file.
pub const KEY_MAX: usize = 200;

/// Largest accepted record, in bytes of JSON.
pub const RECORD_MAX: usize = 1024 * 1024;

/// Changes that take effect together or not at all, in the order in which they were added.
///
/// A record that cannot be written spoils the whole batch: committing it tells why and changes nothing.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is written until the batch is committed"]
pub struct Batch {
    ops: Vec<Op>,
    fault: Option<StoreError>,
}

/// One change, in bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Op {
    Put {
        tree: Tree,
        key: String,
        value: Vec<u8>,
    },
    Delete {
        tree: Tree,
        key: String,
    },
    /// Moves a row out of the way, unless it holds something else by now.
    SetAside {
        tree: Tree,
        key: Vec<u8>,
        seen: Vec<u8>,
        why: String,
    },
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record, over the one with the same key if there is one.
    pub fn put<T: Record>(&mut self, record: &T) -> &mut Self {
        let (tree, key) = (T::TREE, record.key());
        match sealed(record, &key) {
            Ok(value) => self.ops.push(Op::Put { tree, key, value }),
            Err(fault) => self.spoil(fault),
        }
        self
    }

    /// Removes a record; it need not be there.
    pub fn delete<T: Record>(&mut self, key: &str) -> &mut Self {
        self.delete_in(T::TREE, key)
    }

    pub(super) fn delete_in(&mut self, tree: Tree, key: &str) -> &mut Self {
        let key = key.to_owned();
        match check_key(tree, &key) {
            Ok(()) => self.ops.push(Op::Delete { tree, key }),
            Err(fault) => self.spoil(fault),
        }
        self
    }

    pub(super) fn set_aside(&mut self, tree: Tree, key: Vec<u8>, seen: Vec<u8>, why: String) {
        self.ops.push(Op::SetAside {
            tree,
            key,
            seen,
            why,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.fault.is_none()
    }

    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Adds the changes of another batch behind these.
    pub fn append(&mut self, other: Self) {
        let Self { ops, fault } = other;
        self.ops.extend(ops);
        self.fault = self.fault.take().or(fault);
    }

    /// The changes, or the first fault.
    pub(super) fn into_ops(self) -> Result<Vec<Op>, StoreError> {
        let Self { ops, fault } = self;
        fault.map_or(Ok(ops), Err)
    }

    fn spoil(&mut self, fault: StoreError) {
        self.fault.get_or_insert(fault);
    }
}

impl Op {
    /// Roughly what it adds to the log.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete { key, .. } => key.len(),
            Self::SetAside { key, seen, why, .. } => key.len() + seen.len() + why.len(),
        }
    }

    /// Whether it can only make the store smaller.
    pub(super) fn is_delete(&self) -> bool {
        match self {
            Self::Delete { .. } => true,
            Self::Put { .. } | Self::SetAside { .. } => false,
        }
    }
}

fn sealed<T: Record>(record: &T, key: &str) -> Result<Vec<u8>, StoreError> {
    let tree = T::TREE;
    check_key(tree, key)?;
    let json = serde_json::to_string(record).map_err(|error| StoreError::Unwritable {
        tree,
        key: key.to_owned(),
        cause: error.to_string(),
    })?;
    if json.len() > RECORD_MAX {
        return Err(StoreError::TooLarge {
            tree,
            key: key.to_owned(),
            bytes: json.len(),
            max: RECORD_MAX,
        });
    }
    Ok(envelope::seal(tree, key, T::SCHEMA, &json))
}

fn check_key(tree: Tree, key: &str) -> Result<(), StoreError> {
    let rule = if key.is_empty() {
        "is empty".to_owned()
    } else if key.len() > KEY_MAX {
        format!("has {} bytes: at most {KEY_MAX} are allowed", key.len())
    } else if key.chars().any(char::is_control) {
        "may not hold control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::BadKey {
        tree,
        key: key.to_owned(),
        rule,
    })
}
