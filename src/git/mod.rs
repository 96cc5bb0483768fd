//! Fetches commits into bare mirrors, and reads manifests and source folders from them without a checkout.
//!
//! libgit2 blocks, so it is wrapped here once: [`mirror::Mirror`] runs it on blocking threads under a deadline. Its own
//! network code is not used; [`transport`] speaks smart HTTP through reqwest and ssh through the `ssh` program.
//! Pushing, merging and checking out are not done here. No message of this room holds a secret.

pub mod author;
pub mod credentials;
pub mod mirror;
pub mod source;
mod transport;
pub mod tree;

use std::{io, path::Path, time::Duration};

use crate::name::ObjectId;

/// Why a repository could not be fetched or read, sorted by what happens next.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// A person must change the configuration; trying again is of no use.
    #[error("{what}")]
    Invalid { what: String },
    /// The branch, tag or commit is not there (any more). The last good commit stands.
    #[error("`{url}` has no {reference}: push it, or name another one")]
    RefNotFound { url: String, reference: String },
    /// A person must change the credentials.
    #[error("`{url}` refused our credentials ({detail}): check the user name and the token or key")]
    AuthenticationFailed { url: String, detail: String },
    /// A person must check who answers there.
    #[error("the host key of `{url}` is not the one in known_hosts: check it before you add it")]
    HostKeyMismatch { url: String },
    /// A person must correct the address; credentials were not sent on.
    #[error("`{url}` redirects to another host, `{host}`: use that address if you trust it")]
    Redirected { url: String, host: String },
    /// Trying again later may help.
    #[error("`{url}` cannot be reached: {detail}")]
    Unreachable { url: String, detail: String },
    /// Trying again later may help.
    #[error("`{url}` did not finish within {}: raise the timeout if it is just slow", seconds(.after))]
    TimedOut { url: String, after: Duration },
    /// A person must raise the limit or shrink the repository.
    #[error("`{url}` is over the limit of {max} {unit}: raise the limit or shrink the repository")]
    TooLarge {
        url: String,
        unit: &'static str,
        max: u64,
    },
    /// The mirror is broken; the next poll clones it again by itself, once per commit.
    #[error("the mirror `{path}` is broken ({detail}): it is cloned again at the next poll")]
    Corrupt { path: String, detail: String },
    /// The mirror does not hold this commit: it was never fetched, or lies before the history that was.
    #[error("the mirror holds no commit {commit}: poll first")]
    NoSuchCommit { commit: ObjectId },
    /// The commit has no folder of this path. Not the same as an empty folder.
    #[error("commit {} has no folder `{path}`: check the path", .commit.short())]
    NoSuchFolder { commit: ObjectId, path: String },
    /// The commit asks for something that is not safe to write out or to read.
    #[error("`{path}` of commit {} is refused: {why}", .commit.short())]
    Refused {
        commit: ObjectId,
        path: String,
        why: String,
    },
    /// This machine's own disk stands in the way.
    #[error("failed to use `{path}`")]
    Disk { path: String, source: io::Error },
}

fn seconds(after: &Duration) -> String {
    format!("{:.1} s", after.as_secs_f64())
}

impl GitError {
    /// The stable word for conditions on status.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AuthenticationFailed { .. } | Self::HostKeyMismatch { .. } => {
                "AuthenticationFailed"
            }
            Self::RefNotFound { .. } => "RefNotFound",
            Self::TooLarge { .. } => "RepositoryTooLarge",
            Self::TimedOut { .. } => "TimedOut",
            Self::Refused { .. } => "ContentRefused",
            Self::Invalid { .. }
            | Self::Redirected { .. }
            | Self::Unreachable { .. }
            | Self::Corrupt { .. }
            | Self::NoSuchCommit { .. }
            | Self::NoSuchFolder { .. }
            | Self::Disk { .. } => "FetchFailed",
        }
    }

    /// Whether trying again, with nothing changed by a person, may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Corrupt { .. }
            | Self::NoSuchCommit { .. }
            | Self::Disk { .. } => true,
            Self::Invalid { .. }
            | Self::RefNotFound { .. }
            | Self::AuthenticationFailed { .. }
            | Self::HostKeyMismatch { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::NoSuchFolder { .. }
            | Self::Refused { .. } => false,
        }
    }

    fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    fn disk(path: &Path, source: io::Error) -> Self {
        Self::Disk {
            path: path.display().to_string(),
            source,
        }
    }

    fn corrupt(path: &Path, error: &git2::Error) -> Self {
        Self::Corrupt {
            path: path.display().to_string(),
            detail: error.message().to_owned(),
        }
    }
}

/// Our noun for libgit2's object id.
fn object_id(oid: git2::Oid) -> ObjectId {
    // Proof: libgit2 writes SHA-1 ids as 40 lower-case hexadecimal digits, and no repository of ours has another format.
    #[expect(clippy::unwrap_used, reason = "the proof is in the line above")]
    ObjectId::new(oid.to_string()).unwrap()
}

/// libgit2's noun for our object id.
fn oid(id: &ObjectId) -> git2::Oid {
    // An `ObjectId` is 40 hexadecimal digits, which always parse; the zero id names no object.
    git2::Oid::from_str(id.as_str()).unwrap_or(git2::Oid::ZERO_SHA1)
}
