//! The store on disk, by sled. What sled does not do by itself is done here: durability against power loss, one order of writing,
//! pieces for large values, a lock that says who holds the folder, and a door that its panics do not pass.
//!
//! Files: `<folder>/store.lock` tells who holds it; `<folder>/store/` is sled's; `<folder>/store.corrupt-<n>/` did not open.

mod aside;
mod lock;
mod shared;
mod trees;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

pub use self::aside::MovedAside;
use self::{shared::Shared, trees::Trees, writer::Job};
use super::{Batch, Row, Scan, SetAside, Store, StoreError, Tree};
use crate::name::Timestamp;

/// Waiting batches. Behind a full queue callers wait, so that memory stays bounded.
const QUEUE_MAX: usize = 1024;

/// A commit takes well under a second even on a slow disk; a disk that needs a minute is broken.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A queue's worth of commits in groups is a few seconds; whoever closes the store waits no longer.
const CLOSE_MAX: Duration = Duration::from_secs(20);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for pages that are read often. What the loop needs stands in memory of its own, so little of it is ever read again.
    pub cache_bytes: u64,
    /// Free space below which only deletions are accepted, so that sled never meets a full disk in the middle of its work.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 16 * 1024 * 1024,
            reserve_bytes: 16 * 1024 * 1024,
        }
    }
}

/// The one store of a running daemon.
///
/// # Guarantees
///
/// One thread writes. Batches that wait at the same time become one transaction, which is flushed and synced before any of them is
/// answered. Dropping it finishes what waits, and then lets go of the folder.
///
/// # Caveats
///
/// The answer's time limit runs on tokio's clock: a test that pauses this clock uses the store in memory.
pub struct DiskStore {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    queue: Option<mpsc::Sender<Job>>,
    finished: Mutex<std_mpsc::Receiver<()>>,
    moved_aside: Option<MovedAside>,
}

impl DiskStore {
    /// Opens or creates the store in a folder. `now` is what the lock file tells as its beginning. Blocks for as long as reading everything
    /// in it takes.
    ///
    /// A store that does not open or cannot be read to its end is moved aside, and a fresh one is started; see [`Self::moved_aside`].
    ///
    /// # Errors
    ///
    /// `Locked` while another process has it; `Full`, `ReadOnly` or `Failed` where the folder cannot be used.
    pub fn open(folder: &Path, options: &Options, now: Timestamp) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|error| StoreError::from_io(folder, &error))?;
        let lock = lock::FolderLock::acquire(folder, now)?;
        let path = folder.join("store");
        let (trees, moved_aside) = aside::open_or_move(&path, options)?;
        let shared = Arc::new(Shared::new(path, options.clone(), trees, lock));
        let (queue, inbox) = mpsc::channel(QUEUE_MAX);
        let finished = writer::start(Arc::clone(&shared), inbox)?;
        Ok(Self {
            shared,
            queue: Some(queue),
            finished: Mutex::new(finished),
            moved_aside,
        })
    }

    /// The damaged store that had to make room for this one, if there was one.
    pub fn moved_aside(&self) -> Option<&MovedAside> {
        self.moved_aside.as_ref()
    }

    /// The folder that sled writes to.
    pub fn path(&self) -> &PathBuf {
        self.shared.path()
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Trees) -> Result<T, sled::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || shared.read(read));
        reading.await.unwrap_or(Err(StoreError::Closed))
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let ops = batch.into_ops()?;
        let (done, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let sent = queue.send(Job { ops, done }).await;
        sent.map_err(|_| StoreError::Closed)?;
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Hung { waited: ANSWER_MAX }),
        }
    }

    async fn rows(&self, tree: Tree, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.read(move |trees| trees.rows(tree, &scan)).await
    }

    async fn last_key(&self, tree: Tree) -> Result<Option<String>, StoreError> {
        self.read(move |trees| trees.last_key(tree)).await
    }

    async fn all_set_aside(&self) -> Result<Vec<SetAside>, StoreError> {
        self.read(Trees::all_set_aside).await
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.queue = None;
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if finished.recv_timeout(CLOSE_MAX) == Err(std_mpsc::RecvTimeoutError::Timeout) {
            tracing::error!("the store did not close in {CLOSE_MAX:?}");
        }
    }
}
