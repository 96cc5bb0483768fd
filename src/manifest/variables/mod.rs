//! `${env:…}`, `${param:…}`, `${file:…}` and `${git:…}` in manifests.
//!
//! They are resolved before a document is read, so that digests, plans and faults are of what they stand for. Everything they can be comes from
//! the commit itself, but for the few names of the daemon's environment that its configuration allows; and none of them is a secret.

mod ask;
mod read;
mod resolve;

pub use self::ask::GIT;
pub(in crate::manifest) use self::{
    read::is_any,
    resolve::{Filled, Params, Resolver, Wrong},
};

/// What a name of the environment is for manifests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    Value(String),
    /// Allowed, and not set where the daemon runs.
    Unset,
    NotAllowed,
}

/// The commit that manifests are read at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Commit {
    pub sha: String,
    /// The branch or tag that is followed.
    pub branch: String,
    /// Its first line.
    pub message: String,
}

/// What variables may stand for, besides parameters.
pub struct Sources<'a> {
    pub env: &'a dyn Fn(&str) -> Asked,
    /// A file of the same commit, by its path from the root; an error says why it cannot be read.
    pub file: &'a dyn Fn(&str) -> Result<Option<String>, String>,
    pub commit: &'a Commit,
}

impl Sources<'_> {
    /// Knows nothing.
    pub(in crate::manifest) fn with_none<T>(run: impl FnOnce(&Sources<'_>) -> T) -> T {
        run(&Sources {
            env: &|_| Asked::NotAllowed,
            file: &|_| Ok(None),
            commit: &Commit::default(),
        })
    }
}
