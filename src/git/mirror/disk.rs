//! The mirror's folder: made, opened, cleaned up after a crash.

use std::{fs, io, path::Path};

use git2::{Oid, Repository, RepositoryInitOptions, RepositoryOpenFlags};

use super::history::peel;
use crate::git::{GitError, source::Reference};

pub(super) fn open(folder: &Path) -> Result<Repository, git2::Error> {
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::BARE;
    let nowhere: [&str; 0] = [];
    Repository::open_ext(folder, flags, nowhere)
}

pub(super) fn open_or_make(folder: &Path) -> Result<Repository, GitError> {
    if folder.exists() {
        return open(folder).map_err(|error| GitError::corrupt(folder, &error));
    }
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).no_reinit(true);
    let made = Repository::init_opts(folder, &options).and_then(|repository| {
        // After a power loss, a reference must not name objects that never reached the disk.
        repository
            .config()?
            .set_bool("core.fsyncObjectFiles", true)?;
        Ok(repository)
    });
    made.map_err(|error| GitError::disk(folder, io::Error::other(error.message().to_owned())))
}

/// The commit or tag that the mirror holds for the reference; none where the mirror cannot be read.
pub(super) fn tip(folder: &Path, reference: &Reference) -> Option<Oid> {
    let repository = open(folder).ok()?;
    let id = repository.refname_to_id(&local_name(reference)).ok()?;
    Some(peel(&repository, id).unwrap_or(id))
}

/// Each reference has its own place, so that a changed configuration does not look like a force-push. Slashes are
/// spelt out: the branches `a` and `a/b` may follow one another, and could not share a folder.
pub(super) fn local_name(reference: &Reference) -> String {
    match reference {
        Reference::Branch(name) => format!("refs/verdigris/heads/{}", flat(name)),
        Reference::Tag(name) => format!("refs/verdigris/tags/{}", flat(name)),
        Reference::Commit(id) => format!("refs/verdigris/commits/{id}"),
    }
}

fn flat(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// A process that was killed while it fetched leaves locks and half a pack behind; nobody else holds them.
pub(super) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    remove_locks(folder)?;
    remove_locks(&folder.join("refs"))?;
    for entry in entries(&folder.join("objects/pack"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("pack_") || is_temporary(&entry) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_temporary(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with("tmp_")
}

fn remove_locks(folder: &Path) -> io::Result<()> {
    for entry in entries(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() && entry.path().extension().is_some_and(|end| end == "lock") {
            fs::remove_file(entry.path())?;
        } else if kind.is_dir() && folder.components().any(|part| part.as_os_str() == "refs") {
            remove_locks(&entry.path())?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

pub(super) fn remove(folder: &Path) -> Result<(), GitError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(GitError::disk(folder, error)),
        _ => Ok(()),
    }
}
