//! What the mirror's references lead to, and whether one commit comes from another.

use std::collections::{BTreeSet, VecDeque};

use git2::{Oid, Repository};

use crate::git::{oid, source::Reference};

/// Commits looked at to tell a force-push from a long pause: about a second of reading.
const ANCESTRY_MAX: usize = 100_000;

/// The commit that the reference leads to, with its root folder readable.
pub(super) fn commit_of(
    repository: &Repository,
    reference: &Reference,
    local: &str,
) -> Result<Oid, git2::Error> {
    let commit = match reference {
        Reference::Commit(id) => repository.find_commit(oid(id))?,
        Reference::Branch(_) | Reference::Tag(_) => {
            repository.find_reference(local)?.peel_to_commit()?
        }
    };
    commit.tree()?;
    Ok(commit.id())
}

pub(super) fn peel(repository: &Repository, id: Oid) -> Option<Oid> {
    let object = repository.find_object(id, None).ok()?;
    Some(object.peel_to_commit().ok()?.id())
}

/// Whether `old` is `new` or part of its history. History ends where it was not fetched.
pub(super) fn descends(repository: &Repository, new: Oid, old: Oid) -> bool {
    let mut seen = BTreeSet::from([new]);
    let mut next = VecDeque::from([new]);
    while let Some(id) = next.pop_front() {
        if id == old {
            return true;
        }
        if seen.len() > ANCESTRY_MAX {
            return false;
        }
        let Ok(commit) = repository.find_commit(id) else {
            continue;
        };
        next.extend(commit.parent_ids().filter(|parent| seen.insert(*parent)));
    }
    false
}
