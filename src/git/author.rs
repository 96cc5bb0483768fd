//! Makes repositories: for the demo, which needs no `git` program, and for tests.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature};

use super::{GitError, object_id, transport};
use crate::name::ObjectId;

/// The one branch that is written to.
const BRANCH: &str = "refs/heads/main";

/// A working folder and its repository. Blocks.
pub struct Author {
    folder: PathBuf,
    repository: Repository,
    name: String,
    email: String,
}

// === impl Author ===

impl Author {
    /// Makes a repository in `folder`, or goes on with the one that is there.
    ///
    /// # Errors
    ///
    /// [`GitError::Disk`].
    pub fn init(folder: &Path) -> Result<Self, GitError> {
        transport::prepare()?;
        let mut options = RepositoryInitOptions::new();
        options.initial_head("main").external_template(false);
        let made = Repository::init_opts(folder, &options);
        Ok(Self {
            folder: folder.to_owned(),
            repository: made.map_err(|error| broken(folder, &error))?,
            name: "Verdigris".to_owned(),
            email: "verdigris@localhost".to_owned(),
        })
    }

    /// Who later commits are by.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>, email: impl Into<String>) -> Self {
        self.name = name.into();
        self.email = email.into();
        self
    }

    /// Where the working folder is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file, and the folders that it is in.
    ///
    /// # Errors
    ///
    /// [`GitError::Disk`]; [`GitError::Invalid`] for a path that leaves the folder.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<(), GitError> {
        let target = self.inside(path)?;
        let parent = target.parent().unwrap_or(&self.folder);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&target, content));
        written.map_err(|error| GitError::disk(&target, error))
    }

    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn set_executable(&self, path: &str) -> Result<(), GitError> {
        let target = self.inside(path)?;
        let set = fs::set_permissions(&target, fs::Permissions::from_mode(0o755));
        set.map_err(|error| GitError::disk(&target, error))
    }

    /// Removes a file or a folder.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn remove(&self, path: &str) -> Result<(), GitError> {
        let target = self.inside(path)?;
        let removed = if target.is_dir() {
            fs::remove_dir_all(&target)
        } else {
            fs::remove_file(&target)
        };
        removed.map_err(|error| GitError::disk(&target, error))
    }

    /// Copies the files of a folder to the top of the repository; links and `.git` are left out.
    ///
    /// # Errors
    ///
    /// [`GitError::Disk`].
    pub fn copy_tree(&self, from: &Path) -> Result<(), GitError> {
        copy(from, &self.folder).map_err(|error| GitError::disk(from, error))
    }

    /// Commits the whole working folder to branch `main`.
    ///
    /// # Errors
    ///
    /// [`GitError::Disk`].
    pub fn commit(&self, message: &str) -> Result<ObjectId, GitError> {
        let done = self.try_commit(message);
        done.map(object_id)
            .map_err(|error| broken(&self.folder, &error))
    }

    fn try_commit(&self, message: &str) -> Result<git2::Oid, git2::Error> {
        let repository = &self.repository;
        let mut index = repository.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.update_all(["*"], None)?;
        index.write()?;
        let tree = repository.find_tree(index.write_tree()?)?;
        let author = Signature::now(&self.name, &self.email)?;
        let tip = repository.refname_to_id(BRANCH).ok();
        let parent = tip.map(|tip| repository.find_commit(tip)).transpose()?;
        let parents: Vec<_> = parent.iter().collect();
        repository.commit(Some(BRANCH), &author, &author, message, &tree, &parents)
    }

    fn inside(&self, path: &str) -> Result<PathBuf, GitError> {
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !path.is_empty() && Path::new(path).components().all(plain) {
            return Ok(self.folder.join(path));
        }
        Err(GitError::invalid(format!(
            "`{path}` is not a path inside the repository"
        )))
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() && entry.file_name() != ".git" {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            // Permissions come along.
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn broken(folder: &Path, error: &git2::Error) -> GitError {
    GitError::disk(folder, io::Error::other(error.message().to_owned()))
}
