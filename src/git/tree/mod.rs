//! A commit, read from the mirror: its manifests, folders, files and who made it. Nothing is checked out.

mod changes;
mod export;
mod manifests;

use std::path::PathBuf;

use git2::{FileMode, ObjectType, Oid, Repository, Tree};

pub use changes::Changes;
pub use export::Exported;
pub use manifests::{ManifestFault, ManifestFile, ManifestProblem, Manifests};

use super::{GitError, object_id, oid};
use crate::name::{ObjectId, Timestamp};

/// Folders inside folders; deeper ones are somebody's mistake or attack.
const DEPTH_MAX: usize = 64;
/// A summary is one line on a page.
const SUMMARY_MAX: usize = 200;

/// One commit at hand. Blocks; lives on a blocking thread.
pub struct Snapshot {
    repository: Repository,
    folder: PathBuf,
    commit: ObjectId,
    root: Oid,
}

/// What is too much to read at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReadLimits {
    /// Bytes of one file.
    pub max_file_bytes: u64,
    /// Bytes of all files together.
    pub max_bytes: u64,
    /// Files, and folders too.
    pub max_files: u64,
}

/// Who made a commit, when, and what for. Control characters are replaced by spaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommitInfo {
    pub author: String,
    pub email: String,
    pub time: Timestamp,
    pub summary: String,
}

impl ReadLimits {
    /// Manifests are small: YAML of more than 64 KiB is slow to parse, and 10,000 services take about 20,000 files.
    pub const MANIFESTS: Self = Self {
        max_file_bytes: 64 << 10,
        max_bytes: 256 << 20,
        max_files: 200_000,
    };

    /// A service's folder: what either cloud takes as an unpacked function is 250 MB at most.
    pub const SERVICE: Self = Self {
        max_file_bytes: 256 << 20,
        max_bytes: 512 << 20,
        max_files: 50_000,
    };
}

// === impl Snapshot ===

impl Snapshot {
    pub(super) fn new(repository: Repository, commit: &ObjectId) -> Result<Self, GitError> {
        Ok(Self {
            root: root_of(&repository, commit)?,
            folder: repository.path().to_owned(),
            commit: commit.clone(),
            repository,
        })
    }

    #[must_use]
    pub fn commit(&self) -> &ObjectId {
        &self.commit
    }

    /// The id of a folder's content: equal ids mean equal content. None where there is no such folder.
    ///
    /// # Errors
    ///
    /// [`GitError::Corrupt`].
    pub fn tree_id(&self, folder: &str) -> Result<Option<ObjectId>, GitError> {
        Ok(self.folder_oid(self.root, folder)?.map(object_id))
    }

    /// The content of one file; none where there is no such file.
    ///
    /// # Errors
    ///
    /// [`GitError::Refused`] where it is no plain file or holds more than `max_bytes`; [`GitError::Corrupt`].
    pub fn file(&self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, GitError> {
        let Some((mode, id)) = self.entry(self.root, path)? else {
            return Ok(None);
        };
        match kind(mode) {
            Kind::File { .. } => {}
            Kind::Folder => return Ok(None),
            Kind::Symlink => return Err(self.refused(path, "it is a symbolic link")),
            Kind::Submodule => return Err(self.refused(path, "it is a submodule")),
        }
        let size = self.size(id)?;
        if size > max_bytes {
            let why = format!("it has {size} bytes, and {max_bytes} are allowed");
            return Err(self.refused(path, why));
        }
        self.blob(id).map(Some)
    }

    /// Who made the commit, when, and what for.
    ///
    /// # Errors
    ///
    /// [`GitError::Corrupt`].
    pub fn commit_info(&self) -> Result<CommitInfo, GitError> {
        let found = self.repository.find_commit(oid(&self.commit));
        let commit = found.map_err(|error| self.corrupt(&error))?;
        let author = commit.author();
        let seconds = commit.time().seconds();
        Ok(CommitInfo {
            author: shown(author.name_bytes()),
            email: shown(author.email_bytes()),
            time: Timestamp::from_millis(seconds.saturating_mul(1000)),
            summary: shown(commit.summary_bytes().unwrap_or_default()),
        })
    }

    /// The folder at a slash-separated path; an empty path or `.` is the root.
    fn folder_oid(&self, root: Oid, path: &str) -> Result<Option<Oid>, GitError> {
        let found = self.entry(root, path)?;
        Ok(found.and_then(|(mode, id)| matches!(kind(mode), Kind::Folder).then_some(id)))
    }

    fn entry(&self, root: Oid, path: &str) -> Result<Option<(i32, Oid)>, GitError> {
        let mut found = (i32::from(FileMode::Tree), root);
        for part in parts(path) {
            if !matches!(kind(found.0), Kind::Folder) {
                return Ok(None);
            }
            let tree = self.tree(found.1)?;
            match tree.get_name_bytes(part.as_bytes()) {
                Some(entry) => found = (entry.filemode_raw(), entry.id()),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn required_folder(&self, path: &str) -> Result<Oid, GitError> {
        self.folder_oid(self.root, path)?
            .ok_or_else(|| GitError::NoSuchFolder {
                commit: self.commit.clone(),
                path: path.to_owned(),
            })
    }

    fn tree(&self, id: Oid) -> Result<Tree<'_>, GitError> {
        let found = self.repository.find_tree(id);
        found.map_err(|error| self.corrupt(&error))
    }

    /// The size of a file without reading its content.
    fn size(&self, id: Oid) -> Result<u64, GitError> {
        let header = self.repository.odb().and_then(|odb| odb.read_header(id));
        let (size, kind) = header.map_err(|error| self.corrupt(&error))?;
        if kind != ObjectType::Blob {
            let error = git2::Error::from_str("a file's content is not a blob");
            return Err(self.corrupt(&error));
        }
        Ok(u64::try_from(size).unwrap_or(u64::MAX))
    }

    fn blob(&self, id: Oid) -> Result<Vec<u8>, GitError> {
        let found = self.repository.find_blob(id);
        let blob = found.map_err(|error| self.corrupt(&error))?;
        Ok(blob.content().to_vec())
    }

    /// A commit is complete in a sound mirror, so any failure to read one means that the mirror is broken.
    fn corrupt(&self, error: &git2::Error) -> GitError {
        GitError::corrupt(&self.folder, error)
    }

    fn refused(&self, path: impl Into<String>, why: impl Into<String>) -> GitError {
        GitError::Refused {
            commit: self.commit.clone(),
            path: path.into(),
            why: why.into(),
        }
    }
}

/// The root folder of a commit.
fn root_of(repository: &Repository, commit: &ObjectId) -> Result<Oid, GitError> {
    match repository.find_commit(oid(commit)) {
        Ok(commit) => Ok(commit.tree_id()),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Err(GitError::NoSuchCommit {
            commit: commit.clone(),
        }),
        Err(error) => Err(GitError::corrupt(repository.path(), &error)),
    }
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    File { executable: bool },
    Folder,
    Symlink,
    Submodule,
}

fn kind(mode: i32) -> Kind {
    // The upper bits are the kind, as in `stat`; anything unheard of is treated as the kind that is never followed.
    match mode & 0o170_000 {
        0o040_000 => Kind::Folder,
        0o100_000 => Kind::File {
            executable: mode & 0o111 != 0,
        },
        0o120_000 => Kind::Symlink,
        _ => Kind::Submodule,
    }
}

/// The names on a path. `..` is a name like any other, and no tree has it, so nothing is found above the root.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// A path one level further down.
fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// A path as the tree spells it: no `.`, no doubled or trailing slash.
fn tidy(path: &str) -> String {
    parts(path).collect::<Vec<_>>().join("/")
}

/// A name as text, with a mark where it is not UTF-8.
fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Somebody's text on one line, for people.
fn shown(text: &[u8]) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = lossy(text).chars().map(plain).take(SUMMARY_MAX).collect();
    text.trim().to_owned()
}
