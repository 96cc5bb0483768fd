//! One daemon per folder. The lock belongs to the open file, so it ends with its process, however that ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::Path,
};

use crate::{
    name::Timestamp,
    store::{StoreError, error::Holder},
};

/// Longest lock file that is read: it holds three short fields.
const HOLDER_MAX: u64 = 4096;

/// Holds the folder until it is dropped. The file stays, since removing it would race with the next holder.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
}

impl FolderLock {
    pub(super) fn acquire(folder: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let path = folder.join("store.lock");
        let sorted = |error: io::Error| StoreError::from_io(folder, &error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(sorted)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&file);
                return Err(StoreError::Locked {
                    path: folder.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(sorted(error)),
        }
        write_holder(&file, now).map_err(sorted)?;
        Ok(Self { file })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started holds a copy until it runs its own program.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock of the store could not be let go");
        }
    }
}

fn write_holder(mut file: &File, now: Timestamp) -> io::Result<()> {
    let holder = Holder {
        pid: std::process::id(),
        host: host_name(),
        since: now,
    };
    let line = serde_json::to_string(&holder)?;
    file.set_len(0)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}

/// A holder that has the lock and has not yet written its name has no process id.
fn read_holder(file: &File) -> Holder {
    let mut text = String::new();
    let read = file.take(HOLDER_MAX).read_to_string(&mut text);
    let unknown = Holder {
        pid: 0,
        host: String::new(),
        since: Timestamp::default(),
    };
    match read {
        Ok(_) => serde_json::from_str(&text).unwrap_or(unknown),
        Err(_) => unknown,
    }
}

fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let first = files
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok());
    first.unwrap_or_default().trim().to_owned()
}
