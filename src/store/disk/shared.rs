//! The open trees, shared by the writer and the readers, and opened again when they broke.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use super::{Options, lock::FolderLock, trees::Trees};
use crate::store::{StoreError, batch::Op};

pub(super) struct Shared {
    path: PathBuf,
    options: Options,
    /// `None` after a failure, until opening it again works. Dropped before the lock is let go.
    trees: RwLock<Option<Trees>>,
    _lock: FolderLock,
}

impl Shared {
    pub(super) fn new(path: PathBuf, options: Options, trees: Trees, lock: FolderLock) -> Self {
        Self {
            path,
            options,
            trees: RwLock::new(Some(trees)),
            _lock: lock,
        }
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Trees) -> Result<T, sled::Error>,
    ) -> Result<T, StoreError> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        match trees.as_ref() {
            Some(trees) => guarded(&self.path, || read(trees)),
            None => Err(self.not_open()),
        }
    }

    /// Carries out all changes as one transaction and waits until they are on the disk. Only the writer calls this.
    ///
    /// After a failure sled is opened afresh, so that what is read is what the disk holds.
    pub(super) fn write(&self, ops: &[Op]) -> Result<(), StoreError> {
        self.ensure_open()?;
        let written = self.apply(ops).and_then(|()| self.read(Trees::sync));
        if let Err(error) = &written {
            tracing::error!(%error, "commit failed, opening the store again");
            self.close();
            // Its own error is met, and told, by the next call.
            let _reopened = self.ensure_open();
        }
        written
    }

    /// Fewer free bytes than the reserve.
    pub(super) fn is_full(&self) -> bool {
        let free = fs2::available_space(&self.path);
        free.is_ok_and(|free| free < self.options.reserve_bytes)
    }

    pub(super) fn full(&self) -> StoreError {
        StoreError::Full {
            path: self.path.clone(),
        }
    }

    /// Readers are kept out meanwhile, since a large value is several rows.
    fn apply(&self, ops: &[Op]) -> Result<(), StoreError> {
        let trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        match trees.as_ref() {
            Some(trees) => guarded(&self.path, || trees.apply(ops)),
            None => Err(self.not_open()),
        }
    }

    fn ensure_open(&self) -> Result<(), StoreError> {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        if trees.is_none() {
            *trees = Some(Trees::open(&self.path, &self.options)?);
        }
        Ok(())
    }

    fn close(&self) {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        let broken = trees.take();
        if catch_unwind(AssertUnwindSafe(|| drop(broken))).is_err() {
            tracing::error!("the broken store panicked while it was closed");
        }
    }

    fn not_open(&self) -> StoreError {
        StoreError::Failed {
            path: self.path.clone(),
            cause: "it broke and could not be opened again yet".to_owned(),
        }
    }
}

/// Calls sled, and turns what comes out of it, panics included, into our errors.
pub(super) fn guarded<T>(
    path: &Path,
    call: impl FnOnce() -> Result<T, sled::Error>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| sorted(path, &error)),
        Err(panic) => Err(StoreError::Corrupt {
            path: path.to_owned(),
            cause: format!("sled panicked: {}", message(panic.as_ref())),
        }),
    }
}

fn sorted(path: &Path, error: &sled::Error) -> StoreError {
    let cause = error.to_string();
    match error {
        sled::Error::Io(error) => StoreError::from_io(path, error),
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. } => StoreError::Corrupt {
            path: path.to_owned(),
            cause,
        },
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message")
        .chars()
        .take(300)
        .collect()
}
