//! What differs between two commits, found by comparing object ids: equal folders are never opened, so the cost
//! follows the change and not the repository.

use std::cmp::Ordering;

use git2::{Oid, Tree, TreeEntry};

use super::{DEPTH_MAX, GitError, Kind, Snapshot, below, kind, lossy, root_of, tidy};
use crate::name::ObjectId;

/// Paths of files that differ, from the root of the repository, in the order of the tree.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    pub added: Vec<String>,
    /// Other content, or another kind or executable bit.
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

impl Changes {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Snapshot {
    /// What changed below `path` since the commit `from`. A folder that is missing on one side counts as empty.
    ///
    /// # Errors
    ///
    /// [`GitError::NoSuchCommit`] where the mirror does not hold `from`: then take everything as changed.
    /// [`GitError::Corrupt`].
    pub fn changes_since(&self, from: &ObjectId, path: &str) -> Result<Changes, GitError> {
        let before = root_of(&self.repository, from)?;
        let before = self.folder_oid(before, path)?;
        let after = self.folder_oid(self.root, path)?;
        let mut changes = Changes::default();
        self.compare(&mut changes, before, after, &tidy(path), 0)?;
        Ok(changes)
    }

    /// Both lists are sorted alike, so one pass finds the pairs.
    fn compare(
        &self,
        changes: &mut Changes,
        before: Option<Oid>,
        after: Option<Oid>,
        path: &str,
        depth: usize,
    ) -> Result<(), GitError> {
        if before == after {
            return Ok(());
        }
        if depth > DEPTH_MAX {
            // Too deep to look into: the folder as a whole has changed.
            changes.changed.push(path.to_owned());
            return Ok(());
        }
        let before = before.map(|id| self.tree(id)).transpose()?;
        let after = after.map(|id| self.tree(id)).transpose()?;
        let (mut i, mut j) = (0, 0);
        loop {
            let old = nth(before.as_ref(), i);
            let new = nth(after.as_ref(), j);
            let order = match (&old, &new) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => in_git_order(old, new),
            };
            let old = old.filter(|_| order.is_le());
            let new = new.filter(|_| order.is_ge());
            i += usize::from(order.is_le());
            j += usize::from(order.is_ge());
            self.pair(changes, old.as_ref(), new.as_ref(), path, depth)?;
        }
    }

    fn pair(
        &self,
        changes: &mut Changes,
        old: Option<&TreeEntry<'_>>,
        new: Option<&TreeEntry<'_>>,
        path: &str,
        depth: usize,
    ) -> Result<(), GitError> {
        let Some(name) = new.or(old).map(TreeEntry::name_bytes) else {
            return Ok(());
        };
        let path = below(path, &lossy(name));
        let folder =
            |entry: Option<&TreeEntry<'_>>| entry.filter(|e| is_folder(e)).map(TreeEntry::id);
        let file = |entry: Option<&TreeEntry<'_>>| {
            let entry = entry.filter(|e| !is_folder(e));
            entry.map(|e| (e.id(), kind(e.filemode_raw())))
        };
        self.compare(changes, folder(old), folder(new), &path, depth + 1)?;
        match (file(old), file(new)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(_), Some(_)) => changes.changed.push(path),
            (Some(_), None) => changes.removed.push(path),
            (None, Some(_)) => changes.added.push(path),
            (None, None) => {}
        }
        Ok(())
    }
}

fn nth<'t>(tree: Option<&'t Tree<'_>>, index: usize) -> Option<TreeEntry<'t>> {
    tree.and_then(|tree| tree.get(index))
}

fn is_folder(entry: &TreeEntry<'_>) -> bool {
    kind(entry.filemode_raw()) == Kind::Folder
}

/// Git sorts by bytes, a folder as if its name ended in a slash.
fn in_git_order(a: &TreeEntry<'_>, b: &TreeEntry<'_>) -> Ordering {
    let end = |entry: &TreeEntry<'_>| is_folder(entry).then_some(b'/');
    let ours = a.name_bytes().iter().copied().chain(end(a));
    ours.cmp(b.name_bytes().iter().copied().chain(end(b)))
}
