//! Finds the manifests of a commit. A file that cannot be one is told about and stops no other.

use std::sync::Arc;

use git2::Oid;

use super::{DEPTH_MAX, GitError, Kind, ReadLimits, Snapshot, below, kind, lossy, object_id, tidy};
use crate::name::ObjectId;

/// Everything under a path that is or should be a manifest, in the order of paths.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifests {
    pub files: Vec<ManifestFile>,
    pub problems: Vec<ManifestProblem>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestFile {
    /// From the root of the repository.
    pub path: String,
    /// Equal ids mean equal content.
    pub blob: ObjectId,
    pub content: Arc<str>,
}

/// Why one path could not be read as a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestProblem {
    /// From the root of the repository; bytes that are not UTF-8 are marked, control characters escaped.
    pub path: String,
    pub fault: ManifestFault,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ManifestFault {
    #[error("has {bytes} bytes, and {max} are allowed: split it")]
    TooLarge { bytes: u64, max: u64 },
    #[error("is a symbolic link: put the file itself here")]
    Symlink,
    #[error("is a submodule: its files are not read")]
    Submodule,
    #[error("is not UTF-8 text")]
    NotUtf8,
    #[error("has a name with a control character or one that is not UTF-8")]
    BadName,
    #[error("lies more than {max} folders deep")]
    TooDeep { max: usize },
    #[error("is one too many: {max} files and folders are read; the rest is left out")]
    TooMany { max: u64 },
    #[error("is one too many: {max} bytes are read in all; the rest is left out")]
    TooMuch { max: u64 },
}

/// A walk on its way.
struct Walk<'s> {
    snapshot: &'s Snapshot,
    limits: ReadLimits,
    entries: u64,
    bytes: u64,
    found: Manifests,
    full: bool,
}

impl Snapshot {
    /// Every `*.yaml` and `*.yml` below `path`.
    ///
    /// # Errors
    ///
    /// [`GitError::NoSuchFolder`] where the commit has no such folder: that is not the same as having no manifests.
    /// [`GitError::Corrupt`]. A file that cannot be read is a problem in the result, not an error.
    pub fn manifests(&self, path: &str, limits: &ReadLimits) -> Result<Manifests, GitError> {
        let folder = self.required_folder(path)?;
        let mut walk = Walk {
            snapshot: self,
            limits: *limits,
            entries: 0,
            bytes: 0,
            found: Manifests::default(),
            full: false,
        };
        walk.folder(folder, &tidy(path), 0)?;
        let mut found = walk.found;
        found.files.sort_by(|a, b| a.path.cmp(&b.path));
        found.problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

// === impl Walk ===

impl Walk<'_> {
    fn folder(&mut self, id: Oid, path: &str, depth: usize) -> Result<(), GitError> {
        if depth > DEPTH_MAX {
            self.problem(path, ManifestFault::TooDeep { max: DEPTH_MAX });
            return Ok(());
        }
        let tree = self.snapshot.tree(id)?;
        for entry in &tree {
            if self.full {
                break;
            }
            let name = entry.name_bytes();
            let here = below(path, &lossy(name));
            self.count(&here);
            self.entry(name, &here, kind(entry.filemode_raw()), entry.id(), depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        name: &[u8],
        path: &str,
        kind: Kind,
        id: Oid,
        depth: usize,
    ) -> Result<(), GitError> {
        let is_manifest = name.ends_with(b".yaml") || name.ends_with(b".yml");
        let is_folder = kind == Kind::Folder;
        if self.full || !(is_manifest || is_folder) {
            return Ok(());
        }
        if std::str::from_utf8(name).map_or(true, |name| name.chars().any(char::is_control)) {
            self.problem(path, ManifestFault::BadName);
            return Ok(());
        }
        match kind {
            Kind::Folder => self.folder(id, path, depth + 1)?,
            Kind::File { executable: _ } => self.file(path, id)?,
            Kind::Symlink => self.problem(path, ManifestFault::Symlink),
            Kind::Submodule => self.problem(path, ManifestFault::Submodule),
        }
        Ok(())
    }

    fn file(&mut self, path: &str, id: Oid) -> Result<(), GitError> {
        let bytes = self.snapshot.size(id)?;
        let max = self.limits.max_file_bytes;
        if bytes > max {
            self.problem(path, ManifestFault::TooLarge { bytes, max });
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.max_bytes {
            let max = self.limits.max_bytes;
            self.stop(path, ManifestFault::TooMuch { max });
            return Ok(());
        }
        match String::from_utf8(self.snapshot.blob(id)?) {
            Ok(content) => self.found.files.push(ManifestFile {
                path: path.to_owned(),
                blob: object_id(id),
                content: content.into(),
            }),
            Err(_) => self.problem(path, ManifestFault::NotUtf8),
        }
        Ok(())
    }

    fn count(&mut self, path: &str) {
        self.entries += 1;
        let max = self.limits.max_files;
        if self.entries > max {
            self.stop(path, ManifestFault::TooMany { max });
        }
    }

    fn stop(&mut self, path: &str, fault: ManifestFault) {
        self.full = true;
        self.problem(path, fault);
    }

    fn problem(&mut self, path: &str, fault: ManifestFault) {
        let escaped = |c: char| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        };
        let path = path.chars().map(escaped).collect();
        self.found.problems.push(ManifestProblem { path, fault });
    }
}
