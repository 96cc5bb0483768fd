//! One bare mirror per repository: polled, fetched into when the reference moved, read from without a checkout.

mod disk;
mod fetch;
mod history;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use git2::{ErrorClass, Oid, Repository};
use tokio::{
    runtime::Handle,
    sync::Mutex,
    task::{JoinError, spawn_blocking},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use disk::{local_name, open, open_or_make, remove, remove_leftovers, tip};
use fetch::{History, fetch};
use history::{commit_of, descends, peel};

use super::{
    GitError, object_id, oid,
    source::{Reference, Source},
    transport::{self, Ticket},
    tree::Snapshot,
};
use crate::name::{ObjectId, RepositoryName, Revision};

/// libgit2 notices a deadline at its next progress report; after this time the caller is let go regardless.
const GRACE: Duration = Duration::from_secs(2);

/// A repository's mirror in the daemon's data folder. Clones share it.
///
/// # Guarantees
///
/// - Polls of one mirror take turns; reads never wait for a poll.
/// - A poll ends by its timeout, whatever the remote does.
/// - A restart goes on with the mirror that is there. A broken mirror is cloned again by the next poll, once per commit.
/// - A failed poll leaves every commit that was fetched before readable.
///
/// # Assumptions
///
/// One process uses the folder (the daemon's own lock sees to that).
#[derive(Clone)]
pub struct Mirror(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    source: Source,
    client: reqwest::Client,
    /// A read or a poll found the mirror broken.
    broken: AtomicBool,
    /// Held by the poll that runs, and the tip that the mirror was last cloned again for.
    turn: Arc<Mutex<Option<Oid>>>,
}

/// What a poll found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Polled {
    pub revision: Revision,
    /// The reference names another commit than at the poll before; true at the first poll ever.
    pub moved: bool,
    /// History was rewritten: the commit of the poll before is not part of the new one's history (a force-push).
    pub rewritten: bool,
}

// === impl Mirror ===

impl Mirror {
    /// Takes up the mirror of `name` below `folder`; the first poll makes it where it is not there yet.
    ///
    /// # Errors
    ///
    /// [`GitError::Invalid`] for a source that cannot work, [`GitError::Disk`] where the folder cannot be used.
    pub fn open(folder: &Path, name: &RepositoryName, source: Source) -> Result<Self, GitError> {
        source.check()?;
        transport::prepare()?;
        fs::create_dir_all(folder).map_err(|error| GitError::disk(folder, error))?;
        let folder = folder.join(format!("{name}.git"));
        remove_leftovers(&folder).map_err(|error| GitError::disk(&folder, error))?;
        let client = transport::client(&source)?;
        Ok(Self(Arc::new(Inner {
            folder,
            source,
            client,
            broken: AtomicBool::new(false),
            turn: Arc::default(),
        })))
    }

    /// Asks the remote where the reference points, and fetches when that is news. Dropping the future ends the
    /// conversation at once.
    ///
    /// # Errors
    ///
    /// Any [`GitError`] about the remote or the mirror. What was fetched before stays readable.
    pub async fn poll(&self) -> Result<Polled, GitError> {
        let timeout = self.0.source.limits.timeout;
        let deadline = Instant::now() + timeout;
        let late = || GitError::TimedOut {
            url: self.0.source.url.to_string(),
            after: timeout,
        };
        let turn = timeout_at(deadline, self.0.turn.clone().lock_owned());
        let mut turn = turn.await.map_err(|_| late())?;
        let inner = self.0.clone();
        let (source, client) = (inner.source.clone(), inner.client.clone());
        let stop = CancellationToken::new();
        let ticket = Ticket::new(Handle::current(), deadline, stop.clone(), source, client);
        // The thread cannot be taken back: it is told to stop when this future is dropped.
        let _stop = stop.drop_guard();
        let work = spawn_blocking(move || inner.poll(&mut turn, &ticket));
        match timeout_at(deadline + GRACE, work).await {
            Ok(done) => done.map_err(|error| self.0.stopped(&error))?,
            Err(_) => Err(late()),
        }
    }

    /// Runs `read` on a blocking thread with the commit at hand.
    ///
    /// # Errors
    ///
    /// [`GitError::NoSuchCommit`] where the mirror does not hold it, and whatever `read` returns.
    pub async fn read<T, F>(&self, commit: &ObjectId, read: F) -> Result<T, GitError>
    where
        T: Send + 'static,
        F: FnOnce(&Snapshot) -> Result<T, GitError> + Send + 'static,
    {
        let (inner, commit) = (self.0.clone(), commit.clone());
        spawn_blocking(move || {
            let result = inner.snapshot(&commit).and_then(|snapshot| read(&snapshot));
            inner.note_damage(&result);
            result
        })
        .await
        .map_err(|error| self.0.stopped(&error))?
    }

    /// The same commit for a caller that is on a blocking thread already.
    ///
    /// # Errors
    ///
    /// [`GitError::NoSuchCommit`] or [`GitError::Corrupt`].
    pub fn snapshot(&self, commit: &ObjectId) -> Result<Snapshot, GitError> {
        let result = self.0.snapshot(commit);
        self.0.note_damage(&result);
        result
    }

    /// The commit that was fetched last, as far as it can still be read; none where there is no mirror, or a broken one. Blocks, and asks
    /// no remote.
    #[must_use]
    pub fn tip(&self) -> Option<Revision> {
        let (folder, source) = (&self.0.folder, &self.0.source);
        transport::prepare().ok()?;
        let repository = open(folder).ok()?;
        let reference = &source.reference;
        let commit = commit_of(&repository, reference, &local_name(reference)).ok()?;
        Some(Revision {
            reference: reference.short_name().to_owned(),
            commit: object_id(commit),
        })
    }

    /// Where the mirror is on disk.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }
}

// === impl Inner ===

impl Inner {
    fn poll(&self, cloned_for: &mut Option<Oid>, ticket: &Ticket) -> Result<Polled, GitError> {
        let before = tip(&self.folder, &self.source.reference).unwrap_or(Oid::ZERO_SHA1);
        let may_clone = *cloned_for != Some(before);
        let found = if may_clone && self.broken.load(Ordering::Relaxed) {
            Err(self.known_broken())
        } else {
            open_or_make(&self.folder).and_then(|repository| self.look(&repository, ticket))
        };
        match found {
            Err(GitError::Corrupt { .. }) if may_clone => {
                let again = self.clone_again(ticket, before);
                *cloned_for = match &again {
                    Ok(found) => Some(oid(&found.revision.commit)),
                    // The remote itself is broken: once is enough.
                    Err(GitError::Corrupt { .. }) => Some(before),
                    Err(_) => None,
                };
                again
            }
            found => found,
        }
    }

    /// Replaces the mirror. The broken one stays until the new one is complete.
    fn clone_again(&self, ticket: &Ticket, before: Oid) -> Result<Polled, GitError> {
        let fresh = self.folder.with_extension("new");
        remove(&fresh)?;
        tracing::warn!(mirror = %self.folder.display(), "the mirror is broken and is cloned again");
        let found = open_or_make(&fresh).and_then(|repository| self.look(&repository, ticket))?;
        remove(&self.folder)?;
        fs::rename(&fresh, &self.folder).map_err(|error| GitError::disk(&self.folder, error))?;
        self.broken.store(false, Ordering::Relaxed);
        Ok(Polled {
            moved: before != oid(&found.revision.commit),
            ..found
        })
    }

    /// Looks at the remote, fetches what is new, and checks that the tip can be read.
    fn look(&self, repository: &Repository, ticket: &Ticket) -> Result<Polled, GitError> {
        let reference = &self.source.reference;
        let local = local_name(reference);
        let before = repository.refname_to_id(&local).ok();
        match reference {
            Reference::Branch(_) | Reference::Tag(_) => {
                let wanted = reference.full_name().unwrap_or_default();
                let found = fetch(
                    repository,
                    ticket,
                    &[format!("+{wanted}:{local}")],
                    History::Needed,
                )?;
                if !found {
                    return Err(self.no_reference());
                }
            }
            Reference::Commit(id) => self.look_for_commit(repository, ticket, id)?,
        }
        let after =
            commit_of(repository, reference, &local).map_err(|error| self.unreadable(&error))?;
        // A tag's reference may name a tag object: compare what they lead to.
        let before = before.and_then(|id| peel(repository, id));
        Ok(Polled {
            revision: Revision {
                reference: reference.short_name().to_owned(),
                commit: object_id(after),
            },
            moved: before != Some(after),
            rewritten: before.is_some_and(|before| !descends(repository, after, before)),
        })
    }

    /// A commit never changes: one that is here is not asked for. Servers that do not hand out bare commits are
    /// asked for everything instead.
    fn look_for_commit(
        &self,
        repository: &Repository,
        ticket: &Ticket,
        id: &ObjectId,
    ) -> Result<(), GitError> {
        let here = || repository.find_commit(oid(id)).is_ok();
        if here() {
            return Ok(());
        }
        let exact = format!("+{id}:{}", local_name(&self.source.reference));
        match fetch(repository, ticket, &[exact], History::Needed) {
            Err(error @ (GitError::Unreachable { .. } | GitError::Corrupt { .. })) => {
                tracing::debug!(%error, "no bare commit to be had: all branches and tags are fetched");
                let all = [
                    "+refs/heads/*:refs/verdigris/all/heads/*",
                    "+refs/tags/*:refs/verdigris/all/tags/*",
                ];
                fetch(repository, ticket, &all.map(str::to_owned), History::Whole)?;
            }
            result => drop(result?),
        }
        if here() {
            Ok(())
        } else {
            Err(self.no_reference())
        }
    }

    fn snapshot(&self, commit: &ObjectId) -> Result<Snapshot, GitError> {
        transport::prepare()?;
        let repository = open(&self.folder).map_err(|error| {
            if error.code() == git2::ErrorCode::NotFound {
                let commit = commit.clone();
                GitError::NoSuchCommit { commit }
            } else {
                GitError::corrupt(&self.folder, &error)
            }
        })?;
        let found = Snapshot::new(repository, commit);
        match found {
            // A damaged pack looks like one that never had the object: the tip tells, since it must be there.
            Err(GitError::NoSuchCommit { .. }) if self.lacks_tip() => Err(self.known_broken()),
            found => found,
        }
    }

    /// Whether the mirror cannot read the commit that its own reference names.
    fn lacks_tip(&self) -> bool {
        let Ok(repository) = open(&self.folder) else {
            return true;
        };
        let local = local_name(&self.source.reference);
        let tip = repository.refname_to_id(&local);
        tip.is_ok_and(|tip| peel(&repository, tip).is_none())
    }

    fn note_damage<T>(&self, result: &Result<T, GitError>) {
        if matches!(result, Err(GitError::Corrupt { .. })) {
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    fn known_broken(&self) -> GitError {
        GitError::Corrupt {
            path: self.folder.display().to_string(),
            detail: "an object could not be read".to_owned(),
        }
    }

    fn no_reference(&self) -> GitError {
        GitError::RefNotFound {
            url: self.source.url.to_string(),
            reference: self.source.reference.to_string(),
        }
    }

    fn unreadable(&self, error: &git2::Error) -> GitError {
        if error.class() == ErrorClass::Object && error.code() == git2::ErrorCode::InvalidSpec {
            let reference = &self.source.reference;
            return GitError::invalid(format!("{reference} of `{}` is no commit", self.source.url));
        }
        GitError::corrupt(&self.folder, error)
    }

    fn stopped(&self, error: &JoinError) -> GitError {
        GitError::disk(&self.folder, io::Error::other(error.to_string()))
    }
}
