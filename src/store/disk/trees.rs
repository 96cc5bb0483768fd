//! Our trees in sled: opening, reading, one transaction over all of them, and the sync that sled leaves out.
//!
//! sled keeps a page above 128 KB in a file beside its log and never syncs that file. A page holds up to 20 rows, so values above
//! 4 KiB are cut into pieces in a tree of their own, and no page ever grows that large.

use std::{
    collections::BTreeMap, convert::Infallible, fs::File, ops::Bound, path::Path, thread,
    time::Duration,
};

use sled::{
    IVec, Transactional as _,
    transaction::{
        ConflictableTransactionError, TransactionError, TransactionalTree,
        UnabortableTransactionError,
    },
};

use super::{Options, shared::guarded};
use crate::store::{
    Order, Row, Scan, SetAside, StoreError, Tree,
    batch::{Op, RECORD_MAX},
};

/// Positions in [`Trees::all`] behind our own trees.
const ASIDE: usize = Tree::ALL.len();
const PIECES: usize = ASIDE + 1;

const PIECE_BYTES: usize = 4096;

/// A record, its envelope, and the note of a record that was set aside.
const PIECES_MAX: u32 = ((RECORD_MAX + 64 * 1024) / PIECE_BYTES) as u32;

/// How often sled's lock is tried, and the wait between.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// First byte of a stored value: the value follows, or the number of its pieces.
const WHOLE: u8 = 0;
const CUT: u8 = 1;

/// Longest reason that is kept with a record set aside.
const WHY_MAX: usize = 500;

pub(super) struct Trees {
    db: sled::Db,
    all: Vec<sled::Tree>,
    log: File,
}

type Step<T> = Result<T, UnabortableTransactionError>;

/// Opens sled where it was open a moment ago: it lets its lock go by closing its file, of which a process that is being started elsewhere holds
/// a copy until it runs its own program. Nobody else can have it, since the folder is ours.
fn unlocked(config: &sled::Config) -> Result<sled::Db, sled::Error> {
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
    config.open()
}

impl Trees {
    /// Opens the store as it is.
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let trees = guarded(path, || Self::open_unguarded(path, options))?;
        sync_folders(path).map_err(|error| StoreError::from_io(path, &error))?;
        Ok(trees)
    }

    /// Opens the store and reads all of it once, so that damage is met here and not in the middle of work.
    pub(super) fn open_checked(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let trees = Self::open(path, options)?;
        guarded(path, || {
            let mut rows = trees.all.iter().flat_map(sled::Tree::iter);
            rows.try_for_each(|row| row.map(drop))
        })?;
        Ok(trees)
    }

    fn open_unguarded(path: &Path, options: &Options) -> Result<Self, sled::Error> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(options.cache_bytes)
            .flush_every_ms(None);
        let db = unlocked(&config)?;
        let names = Tree::ALL.into_iter().map(Tree::name);
        let names = names.chain(["set-aside", "pieces"]);
        let all = names
            .map(|name| db.open_tree(name))
            .collect::<Result<_, _>>()?;
        let log = File::options()
            .read(true)
            .write(true)
            .open(path.join("db"))?;
        db.flush()?;
        log.sync_all()?;
        Ok(Self { db, all, log })
    }

    /// Waits until everything that was applied survives a loss of power. sled's own flush stops at the disk's cache.
    pub(super) fn sync(&self) -> Result<(), sled::Error> {
        self.db.flush()?;
        Ok(self.log.sync_data()?)
    }

    /// All changes or none, in their order.
    pub(super) fn apply(&self, ops: &[Op]) -> Result<(), sled::Error> {
        let applied = self.all.as_slice().transaction(|trees| {
            for op in ops {
                apply_op(trees, op)?;
            }
            Ok::<(), ConflictableTransactionError<Infallible>>(())
        });
        match applied {
            Ok(()) => Ok(()),
            Err(TransactionError::Storage(error)) => Err(error),
            Err(TransactionError::Abort(never)) => match never {},
        }
    }

    pub(super) fn rows(&self, tree: Tree, scan: &Scan) -> Result<Vec<Row>, sled::Error> {
        let Some((low, high)) = scan.bounds() else {
            return Ok(Vec::new());
        };
        let high = high.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.all[tree.index()].range((Bound::Included(low), high));
        let read = |row: Result<(IVec, IVec), sled::Error>| {
            let (key, stored) = row?;
            let value = self.value(tree.index(), &key, &stored)?;
            Ok((key.to_vec(), value))
        };
        match scan.order {
            Order::Ascending => rows.skip(scan.skip).take(scan.limit).map(read).collect(),
            Order::Descending => rows
                .rev()
                .skip(scan.skip)
                .take(scan.limit)
                .map(read)
                .collect(),
        }
    }

    pub(super) fn last_key(&self, tree: Tree) -> Result<Option<String>, sled::Error> {
        let held = self.all[tree.index()].last()?.map(|(key, _)| key.to_vec());
        let prefix = aside_key(tree, b"");
        let aside = self.all[ASIDE]
            .scan_prefix(&prefix)
            .next_back()
            .transpose()?;
        let aside = aside.map(|(key, _)| key[prefix.len()..].to_vec());
        Ok(held
            .max(aside)
            .map(|key| String::from_utf8_lossy(&key).into_owned()))
    }

    pub(super) fn all_set_aside(&self) -> Result<Vec<SetAside>, sled::Error> {
        let mut notes = BTreeMap::new();
        for row in &self.all[ASIDE] {
            let (key, stored) = row?;
            let value = self.value(ASIDE, &key, &stored)?;
            let line = value
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            match serde_json::from_slice::<SetAside>(line) {
                Ok(note) => drop(notes.insert(key.to_vec(), note)),
                Err(error) => tracing::warn!(%error, "note of a record set aside is not readable"),
            }
        }
        Ok(notes.into_values().collect())
    }

    fn value(&self, slot: usize, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, sled::Error> {
        join(stored, |number| {
            self.all[PIECES].get(piece_key(slot, key, number))
        })
    }
}

fn apply_op(trees: &[TransactionalTree], op: &Op) -> Step<()> {
    match op {
        Op::Put { tree, key, value } => put(trees, tree.index(), key.as_bytes(), value),
        Op::Delete { tree, key } => remove(trees, tree.index(), key.as_bytes()),
        Op::SetAside {
            tree,
            key,
            seen,
            why,
        } => set_aside(trees, *tree, key, seen, why),
    }
}

fn put(trees: &[TransactionalTree], slot: usize, key: &[u8], value: &[u8]) -> Step<()> {
    remove(trees, slot, key)?;
    let pieces: Vec<&[u8]> = value.chunks(PIECE_BYTES).collect();
    let mut stored = Vec::with_capacity(PIECE_BYTES.min(value.len()) + 1);
    if pieces.len() <= 1 {
        stored.push(WHOLE);
        stored.extend_from_slice(value);
    } else {
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        stored.push(CUT);
        stored.extend_from_slice(&count.to_be_bytes());
        for (number, piece) in (0..count).zip(pieces) {
            trees[PIECES].insert(piece_key(slot, key, number), piece)?;
        }
    }
    trees[slot].insert(key, stored)?;
    Ok(())
}

fn remove(trees: &[TransactionalTree], slot: usize, key: &[u8]) -> Step<()> {
    if let Some(stored) = trees[slot].remove(key)? {
        for number in 0..piece_count(&stored) {
            trees[PIECES].remove(piece_key(slot, key, number))?;
        }
    }
    Ok(())
}

fn set_aside(
    trees: &[TransactionalTree],
    tree: Tree,
    key: &[u8],
    seen: &[u8],
    why: &str,
) -> Step<()> {
    let slot = tree.index();
    let Some(stored) = trees[slot].get(key)? else {
        return Ok(());
    };
    let held = join(&stored, |number| {
        trees[PIECES].get(piece_key(slot, key, number))
    })?;
    if held != seen {
        return Ok(());
    }
    let note = SetAside {
        tree,
        key: String::from_utf8_lossy(key).into_owned(),
        why: why.chars().take(WHY_MAX).collect(),
    };
    // Cannot fail: a note is two strings and a word.
    let mut value = serde_json::to_vec(&note).expect("a note has a JSON form");
    value.push(b'\n');
    value.extend_from_slice(&held);
    remove(trees, slot, key)?;
    put(trees, ASIDE, &aside_key(tree, key), &value)
}

/// The value behind stored bytes. Where a piece is missing the rest is returned, and its checksum will not match.
fn join<E>(stored: &[u8], piece: impl Fn(u32) -> Result<Option<IVec>, E>) -> Result<Vec<u8>, E> {
    match stored.split_first() {
        Some((&WHOLE, value)) => Ok(value.to_vec()),
        Some((&CUT, _)) => {
            let mut value = Vec::new();
            for number in 0..piece_count(stored) {
                value.extend_from_slice(&piece(number)?.unwrap_or_default());
            }
            Ok(value)
        }
        Some(_) | None => Ok(stored.to_vec()),
    }
}

fn piece_count(stored: &[u8]) -> u32 {
    match stored {
        [CUT, count @ ..] => match <[u8; 4]>::try_from(count) {
            Ok(count) => u32::from_be_bytes(count).min(PIECES_MAX),
            Err(_) => 0,
        },
        _ => 0,
    }
}

/// Keys hold no control characters, so a NUL ends them unmistakably.
fn piece_key(slot: usize, key: &[u8], number: u32) -> Vec<u8> {
    let slot = u8::try_from(slot).unwrap_or(u8::MAX);
    let mut piece = vec![slot];
    piece.extend_from_slice(key);
    piece.push(0);
    piece.extend_from_slice(&number.to_be_bytes());
    piece
}

fn aside_key(tree: Tree, key: &[u8]) -> Vec<u8> {
    [tree.name().as_bytes(), b"/", key].concat()
}

/// New files are on the disk only when their folder is.
fn sync_folders(path: &Path) -> std::io::Result<()> {
    for folder in [Some(path), path.parent()].into_iter().flatten() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
