//! What can go wrong with the store, sorted by what happens next.

use std::{fmt, io, path::Path, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Tree;
use crate::name::Timestamp;

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another daemon has it: this one must not start.
    #[error("store `{}` is held by {holder}: stop that daemon, or give this one a folder of its own", path.display())]
    Locked { path: PathBuf, holder: Holder },
    /// Free some space; what was acknowledged is safe.
    #[error("no space is left for the store in `{}`: free some and it goes on by itself", path.display())]
    Full { path: PathBuf },
    /// A person must change the folder or its rights.
    #[error("store folder `{}` cannot be written: {cause}", path.display())]
    ReadOnly { path: PathBuf, cause: String },
    /// The folder's content broke while in use; it is opened afresh for the next call.
    #[error("store `{}` is damaged: {cause}", path.display())]
    Corrupt { path: PathBuf, cause: String },
    /// The machine failed us in some other way; the next call tries again.
    #[error("store `{}` could not be used: {cause}", path.display())]
    Failed { path: PathBuf, cause: String },
    /// The disk did not answer in time.
    #[error("store did not answer within {waited:?}")]
    Hung { waited: Duration },
    /// The store was closed while we waited.
    #[error("store is closed")]
    Closed,
    /// Too big a record: whoever made it must bound it.
    #[error("{} record `{key}` has {bytes} bytes: at most {max} are kept", tree.name())]
    TooLarge {
        tree: Tree,
        key: String,
        bytes: usize,
        max: usize,
    },
    /// A key that no tree can hold: whoever made it must change it.
    #[error("{} key `{key}` {rule}", tree.name())]
    BadKey {
        tree: Tree,
        key: String,
        rule: String,
    },
    /// A record without a JSON form: whoever made it must change it.
    #[error("{} record `{key}` has no JSON form: {cause}", tree.name())]
    Unwritable {
        tree: Tree,
        key: String,
        cause: String,
    },
}

impl StoreError {
    /// Whether the batch may have taken effect all the same, as when a reply is lost. After any other error it has not.
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Failed { .. } | Self::Hung { .. } | Self::Closed => true,
            Self::Full { .. } | Self::ReadOnly { .. } => true,
            Self::Locked { .. }
            | Self::TooLarge { .. }
            | Self::BadKey { .. }
            | Self::Unwritable { .. } => false,
        }
    }

    /// Sorts an error of the operating system.
    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let path = path.to_owned();
        let cause = error.to_string();
        let kind = error.kind();
        if matches!(kind, Kind::StorageFull | Kind::QuotaExceeded) {
            return Self::Full { path };
        }
        let cannot_write = [
            Kind::PermissionDenied,
            Kind::ReadOnlyFilesystem,
            Kind::NotADirectory,
            Kind::AlreadyExists,
            Kind::IsADirectory,
        ];
        let damaged = [Kind::UnexpectedEof, Kind::InvalidData, Kind::NotFound];
        if cannot_write.contains(&kind) {
            Self::ReadOnly { path, cause }
        } else if damaged.contains(&kind) {
            Self::Corrupt { path, cause }
        } else {
            Self::Failed { path, cause }
        }
    }
}

/// Who holds a store, as its lock file tells.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// Empty where the machine has no name.
    pub host: String,
    pub since: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, host, since } = self;
        if *pid == 0 {
            return f.write_str("another process");
        }
        write!(f, "process {pid}")?;
        if !host.is_empty() {
            write!(f, " on {host}")?;
        }
        write!(f, " since {since}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_sorted_by_what_happens_next() {
        let told = |kind: io::ErrorKind| {
            StoreError::from_io(Path::new("/data"), &io::Error::from(kind)).to_string()
        };
        assert_eq!(
            told(io::ErrorKind::StorageFull),
            "no space is left for the store in `/data`: free some and it goes on by itself"
        );
        assert_eq!(
            told(io::ErrorKind::ReadOnlyFilesystem),
            "store folder `/data` cannot be written: read-only filesystem or storage medium"
        );
        assert_eq!(
            told(io::ErrorKind::UnexpectedEof),
            "store `/data` is damaged: unexpected end of file"
        );
        assert_eq!(
            told(io::ErrorKind::TimedOut),
            "store `/data` could not be used: timed out"
        );
    }
}
