//! Reading records as the types they are. What cannot be read is moved out of the way, told, and stops nothing else.

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
};

use async_trait::async_trait;

use super::{
    Batch, Loaded, Order, RawRecord, Record, Row, Scan, SetAside, Store, StoreError, Tree, envelope,
};

/// Most records that one call of [`StoreExt::prune`] deletes, so that no single commit is huge.
pub const PRUNE_MAX: usize = 1000;

/// Rows that are read before others get a turn on the thread: about a millisecond of work.
const ROWS_PER_TURN: usize = 256;

/// A key that sorts as its number does.
pub fn seq_key(seq: u64) -> String {
    format!("{seq:020}")
}

/// What the rooms above do with any store.
#[async_trait]
pub trait StoreExt: Store {
    /// All records of a tree.
    async fn load(&self, tree: Tree) -> Result<Loaded<RawRecord>, StoreError> {
        self.scan(tree, Scan::default()).await
    }

    /// The last `limit` records whose key starts so, the last one first.
    async fn last(
        &self,
        tree: Tree,
        prefix: &str,
        limit: usize,
    ) -> Result<Loaded<RawRecord>, StoreError> {
        self.scan(tree, newest(prefix, limit)).await
    }

    /// `limit` records from this key on, itself included, in ascending order.
    async fn range(
        &self,
        tree: Tree,
        from_key: &str,
        limit: usize,
    ) -> Result<Loaded<RawRecord>, StoreError> {
        let from = Some(from_key.to_owned());
        let scan = Scan {
            from,
            limit,
            ..Scan::default()
        };
        self.scan(tree, scan).await
    }

    /// The records that a scan finds.
    async fn scan(&self, tree: Tree, scan: Scan) -> Result<Loaded<RawRecord>, StoreError> {
        let rows = self.rows(tree, scan).await?;
        read_rows(self, tree, rows, Ok).await
    }

    /// All records of a type, the old ones upgraded.
    async fn load_all<T: Record + Send + 'static>(&self) -> Result<Loaded<T>, StoreError> {
        self.find(Scan::default()).await
    }

    /// One record by its key.
    async fn get<T: Record + Send + 'static>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let key = Some(key.to_owned());
        let scan = Scan {
            from: key.clone(),
            limit: 1,
            ..Scan::default()
        };
        let mut found = self.rows(T::TREE, scan).await?;
        found.retain(|(stored, _)| Some(stored.as_slice()) == key.as_deref().map(str::as_bytes));
        let loaded = read_rows(self, T::TREE, found, decode::<T>).await?;
        Ok(loaded.records.into_iter().next())
    }

    /// The records of a type that a scan finds.
    async fn find<T: Record + Send + 'static>(&self, scan: Scan) -> Result<Loaded<T>, StoreError> {
        let rows = self.rows(T::TREE, scan).await?;
        read_rows(self, T::TREE, rows, decode::<T>).await
    }

    /// The last `limit` records of a type whose key starts so, the last one first.
    async fn last_of<T: Record + Send + 'static>(
        &self,
        prefix: &str,
        limit: usize,
    ) -> Result<Loaded<T>, StoreError> {
        self.find(newest(prefix, limit)).await
    }

    /// The number for the next record of a tree with [`seq_key`] keys. Grows over restarts, and over records that were set aside.
    ///
    /// # Assumptions
    ///
    /// The caller is the only one that adds to this tree, and counts on by itself from here.
    async fn next_seq(&self, tree: Tree) -> Result<u64, StoreError> {
        let Some(key) = self.last_key(tree).await? else {
            return Ok(1);
        };
        let seq: Option<u64> = key.parse().ok();
        let bad = || StoreError::BadKey {
            tree,
            key: key.clone(),
            rule: "is not a number".to_owned(),
        };
        seq.and_then(|seq| seq.checked_add(1)).ok_or_else(bad)
    }

    /// Deletes the oldest records whose key starts so, all but `keep`, at most [`PRUNE_MAX`] at a time. Returns how many it deleted.
    async fn prune(
        &self,
        tree: Tree,
        prefix: &str,
        keep: NonZeroUsize,
    ) -> Result<usize, StoreError> {
        let excess = Scan {
            skip: keep.get(),
            ..newest(prefix, PRUNE_MAX)
        };
        let mut batch = Batch::new();
        for (key, _) in self.rows(tree, excess).await? {
            // A key that is no text cannot be ours; reading it sets it aside.
            if let Ok(key) = std::str::from_utf8(&key) {
                batch.delete_in(tree, key);
            }
        }
        let count = batch.len();
        if count > 0 {
            self.commit(batch).await?;
        }
        Ok(count)
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

fn newest(prefix: &str, limit: usize) -> Scan {
    Scan {
        prefix: prefix.to_owned(),
        order: Order::Descending,
        limit,
        ..Scan::default()
    }
}

/// Reads each row; moves those that cannot be read.
///
/// If even moving fails (the disk is full), the row stays where it is and is told again by the next reader.
async fn read_rows<S: Store + ?Sized, T: Send>(
    store: &S,
    tree: Tree,
    rows: Vec<Row>,
    decode: fn(RawRecord) -> Result<T, String>,
) -> Result<Loaded<T>, StoreError> {
    let mut loaded = Loaded {
        records: Vec::with_capacity(rows.len()),
        set_aside: Vec::new(),
    };
    let mut moves = Batch::new();
    for (index, (key, bytes)) in rows.into_iter().enumerate() {
        if index % ROWS_PER_TURN == ROWS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        match envelope::open(tree, &key, &bytes).and_then(decode) {
            Ok(record) => loaded.records.push(record),
            Err(why) => {
                let name = String::from_utf8_lossy(&key).into_owned();
                tracing::warn!(tree = tree.name(), key = name, why, "record set aside");
                loaded.set_aside.push(SetAside {
                    tree,
                    key: name,
                    why: why.clone(),
                });
                moves.set_aside(tree, key, bytes, why);
            }
        }
    }
    if !moves.is_empty()
        && let Err(error) = store.commit(moves).await
    {
        tracing::warn!(tree = tree.name(), %error, "unreadable records could not be moved");
    }
    Ok(loaded)
}

/// A type's own reading code meets bytes from another time here, so even its panic only sets the record aside.
fn decode<T: Record>(raw: RawRecord) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(&raw)))
        .unwrap_or_else(|_| Err("reading it panicked".to_owned()))
}

fn decode_unguarded<T: Record>(raw: &RawRecord) -> Result<T, String> {
    let RawRecord { key, schema, json } = raw;
    let ours = T::SCHEMA;
    let told = |error: serde_json::Error| format!("schema {schema} does not read: {error}");
    let record: T = match schema.cmp(&ours) {
        std::cmp::Ordering::Equal => serde_json::from_str(json).map_err(told)?,
        std::cmp::Ordering::Greater => {
            return Err(format!("schema {schema} is newer than ours, {ours}"));
        }
        std::cmp::Ordering::Less => {
            let old = serde_json::from_str(json).map_err(told)?;
            let new = T::upgrade(*schema, old)
                .ok_or_else(|| format!("schema {schema} has no way up to {ours}"))?;
            serde_json::from_value(new).map_err(told)?
        }
    };
    if record.key() == *key {
        Ok(record)
    } else {
        Err(format!("it says that its key is `{}`", record.key()))
    }
}
