//! A store that lives in memory, for simulation: it can fail a commit before or after it took effect, and be copied as a disk image.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Batch, Order, Row, Scan, SetAside, Store, StoreError, Tree, batch::Op};

/// Whether a commit that is reported as failed did its work all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    BeforeEffect,
    AfterEffect,
}

/// Forgets everything when dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    rows: BTreeMap<Tree, BTreeMap<Vec<u8>, Vec<u8>>>,
    set_aside: BTreeMap<(Tree, Vec<u8>), SetAside>,
    commits: u64,
    faults: BTreeMap<u64, Fault>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails the `nth` commit from now; 1 is the next one.
    pub fn fail_commit(&self, nth: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.commits.saturating_add(nth);
        state.faults.insert(at, fault);
    }

    /// How many commits were asked for, failed ones included.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// What a disk would hold now: everything but the planned faults. A process that dies here starts again from this.
    #[must_use]
    pub fn image(&self) -> Self {
        let mut state = self.state().clone();
        state.faults.clear();
        Self {
            state: Mutex::new(state),
        }
    }

    /// Puts bytes in the place of a record, as a failing disk would.
    pub fn damage(&self, tree: Tree, key: &str, bytes: &[u8]) {
        let mut state = self.state();
        let rows = state.rows.entry(tree).or_default();
        rows.insert(key.as_bytes().to_vec(), bytes.to_vec());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let ops = batch.into_ops()?;
        let mut state = self.state();
        state.commits += 1;
        let number = state.commits;
        let fault = state.faults.remove(&number);
        let failed = || StoreError::Failed {
            path: PathBuf::from("memory"),
            cause: format!("commit {number} was told to fail"),
        };
        match fault {
            Some(Fault::BeforeEffect) => return Err(failed()),
            Some(Fault::AfterEffect) | None => state.apply(ops),
        }
        fault.map_or(Ok(()), |_| Err(failed()))
    }

    async fn rows(&self, tree: Tree, scan: Scan) -> Result<Vec<Row>, StoreError> {
        Ok(self.state().rows(tree, &scan))
    }

    async fn last_key(&self, tree: Tree) -> Result<Option<String>, StoreError> {
        let state = self.state();
        let held = state
            .rows
            .get(&tree)
            .and_then(|rows| rows.keys().next_back());
        let aside = state
            .set_aside
            .keys()
            .filter(|(of, _)| *of == tree)
            .map(|(_, key)| key)
            .next_back();
        Ok(held
            .max(aside)
            .map(|key| String::from_utf8_lossy(key).into_owned()))
    }

    async fn all_set_aside(&self) -> Result<Vec<SetAside>, StoreError> {
        Ok(self.state().set_aside.values().cloned().collect())
    }
}

impl State {
    fn apply(&mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Put { tree, key, value } => {
                    self.rows
                        .entry(tree)
                        .or_default()
                        .insert(key.into_bytes(), value);
                }
                Op::Delete { tree, key } => {
                    self.rows.entry(tree).or_default().remove(key.as_bytes());
                }
                Op::SetAside {
                    tree,
                    key,
                    seen,
                    why,
                } => self.move_aside(tree, key, &seen, why),
            }
        }
    }

    fn move_aside(&mut self, tree: Tree, key: Vec<u8>, seen: &[u8], why: String) {
        let rows = self.rows.entry(tree).or_default();
        if rows.get(&key).is_some_and(|held| held == seen) {
            rows.remove(&key);
            let name = String::from_utf8_lossy(&key).into_owned();
            self.set_aside.insert(
                (tree, key),
                SetAside {
                    tree,
                    key: name,
                    why,
                },
            );
        }
    }

    fn rows(&self, tree: Tree, scan: &Scan) -> Vec<Row> {
        let (Some(rows), Some((low, high))) = (self.rows.get(&tree), scan.bounds()) else {
            return Vec::new();
        };
        let high = high.map_or(Bound::Unbounded, Bound::Excluded);
        let found = rows.range((Bound::Included(low), high));
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        match scan.order {
            Order::Ascending => found.skip(scan.skip).take(scan.limit).map(copy).collect(),
            Order::Descending => found
                .rev()
                .skip(scan.skip)
                .take(scan.limit)
                .map(copy)
                .collect(),
        }
    }
}
