//! Writes a folder of a commit to disk, for a build to run in.
//!
//! The content is a stranger's: nothing is ever written or linked outside the target, and what would be is refused
//! with its path, never skipped.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, symlink},
    path::Path,
};

use git2::Oid;

use super::{DEPTH_MAX, GitError, Kind, ReadLimits, Snapshot, below, kind, lossy};

/// What file systems take as one name.
const NAME_MAX: usize = 255;

/// What was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Exported {
    pub files: u64,
    pub bytes: u64,
}

struct Export<'s> {
    snapshot: &'s Snapshot,
    limits: ReadLimits,
    entries: u64,
    done: Exported,
}

impl Snapshot {
    /// Writes the files of `folder` into `into`, which must be empty or not be there yet. Executable bits are kept.
    ///
    /// Refused, with nothing more written: symbolic links that leave the folder, submodules, `..`, `.git` in any
    /// spelling, names that are not plain text, and anything over the limits.
    ///
    /// # Errors
    ///
    /// [`GitError::NoSuchFolder`], [`GitError::Refused`], [`GitError::Disk`], [`GitError::Corrupt`]. What was written
    /// until then stays in `into`: throw it away.
    pub fn export(
        &self,
        folder: &str,
        into: &Path,
        limits: &ReadLimits,
    ) -> Result<Exported, GitError> {
        let id = self.required_folder(folder)?;
        must_be_empty(into).map_err(|error| GitError::disk(into, error))?;
        let mut export = Export {
            snapshot: self,
            limits: *limits,
            entries: 0,
            done: Exported::default(),
        };
        export.folder(id, into, "", 0)?;
        Ok(export.done)
    }
}

fn must_be_empty(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    match fs::read_dir(folder)?.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::other("the folder is not empty")),
    }
}

// === impl Export ===

impl Export<'_> {
    fn folder(&mut self, id: Oid, into: &Path, path: &str, depth: usize) -> Result<(), GitError> {
        if depth > DEPTH_MAX {
            return Err(self.refused(path, format!("it lies more than {DEPTH_MAX} folders deep")));
        }
        let tree = self.snapshot.tree(id)?;
        for entry in &tree {
            let here = below(path, &lossy(entry.name_bytes()));
            let name = self.name(entry.name_bytes(), &here)?;
            self.count(&here)?;
            let target = into.join(name);
            match kind(entry.filemode_raw()) {
                Kind::Folder => {
                    // Fails where a link of the same name is: a tree that names one thing twice gets no further.
                    fs::create_dir(&target).map_err(|error| GitError::disk(&target, error))?;
                    self.folder(entry.id(), &target, &here, depth + 1)?;
                }
                Kind::File { executable } => self.file(entry.id(), &target, &here, executable)?,
                Kind::Symlink => self.link(entry.id(), &target, &here, depth)?,
                Kind::Submodule => return Err(self.refused(&here, "it is a submodule")),
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        id: Oid,
        target: &Path,
        path: &str,
        executable: bool,
    ) -> Result<(), GitError> {
        let size = self.snapshot.size(id)?;
        let max = self.limits.max_file_bytes;
        if size > max {
            let why = format!("it has {size} bytes, and {max} are allowed");
            return Err(self.refused(path, why));
        }
        self.done.bytes = self.done.bytes.saturating_add(size);
        let max = self.limits.max_bytes;
        if self.done.bytes > max {
            let why = format!("the folder has more than the {max} bytes that are allowed");
            return Err(self.refused(path, why));
        }
        self.done.files += 1;
        let content = self.snapshot.blob(id)?;
        let mode = if executable { 0o755 } else { 0o644 };
        write(target, &content, mode).map_err(|error| GitError::disk(target, error))
    }

    fn link(&mut self, id: Oid, target: &Path, path: &str, depth: usize) -> Result<(), GitError> {
        const LINK_MAX: u64 = 1024;
        if self.snapshot.size(id)? > LINK_MAX {
            return Err(self.refused(path, "it is a symbolic link with a very long target"));
        }
        let content = self.snapshot.blob(id)?;
        let to = String::from_utf8(content)
            .ok()
            .filter(|to| stays_inside(to, depth))
            .ok_or_else(|| self.refused(path, "it is a symbolic link that leaves the folder"))?;
        self.done.files += 1;
        symlink(to, target).map_err(|error| GitError::disk(target, error))
    }

    fn name<'n>(&self, name: &'n [u8], path: &str) -> Result<&'n str, GitError> {
        let plain =
            std::str::from_utf8(name).map_err(|_| self.refused(path, "its name is not UTF-8"))?;
        match fault_of_name(plain) {
            None => Ok(plain),
            Some(why) => Err(self.refused(path, why)),
        }
    }

    fn count(&mut self, path: &str) -> Result<(), GitError> {
        self.entries += 1;
        let max = self.limits.max_files;
        if self.entries > max {
            let why = format!("the folder has more than the {max} files that are allowed");
            return Err(self.refused(path, why));
        }
        Ok(())
    }

    fn refused(&self, path: &str, why: impl Into<String>) -> GitError {
        self.snapshot.refused(path.escape_debug().to_string(), why)
    }
}

fn write(target: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options.open(target)?.write_all(content)
}

/// Why a name must not be written, if so.
fn fault_of_name(name: &str) -> Option<&'static str> {
    if matches!(name, "" | "." | "..") {
        Some("it is no name for a file")
    } else if name.len() > NAME_MAX {
        Some("its name is too long")
    } else if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '/' | '\\'))
    {
        Some("its name holds a slash, a backslash or a control character")
    } else if is_dot_git(name) {
        Some("it is spelt like Git's own folder")
    } else {
        None
    }
}

/// `.git` as any file system might read it: any case, NTFS's short name and streams, dots and spaces at the end,
/// characters that HFS+ ignores.
fn is_dot_git(name: &str) -> bool {
    let ignored = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let seen: String = name.chars().filter(|c| !ignored(*c)).collect();
    let seen = seen.split(':').next().unwrap_or_default();
    let seen = seen.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    let short = seen.strip_prefix("git~");
    seen == ".git" || short.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a link, `depth` folders below the top, ends inside the top whatever other links do: it may climb only at
/// its start, where the folders above it are real ones. A `..` after a name could climb out of where a link leads.
fn stays_inside(to: &str, depth: usize) -> bool {
    let mut climbed = 0;
    let mut descends = false;
    if to.is_empty() || to.starts_with('/') {
        return false;
    }
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." if descends => return false,
            ".." => climbed += 1,
            name if fault_of_name(name).is_some() => return false,
            _ => descends = true,
        }
    }
    climbed <= depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_s_own_folder_is_known_in_any_spelling() {
        for name in [
            ".git",
            ".GIT",
            ".gIt.",
            ".git ",
            "git~1",
            "GIT~12",
            ".git::$INDEX_ALLOCATION",
            ".g\u{200c}it",
        ] {
            assert!(is_dot_git(name), "{name}");
        }
        for name in [".gitignore", "git", ".github", "git~x", "git~"] {
            assert!(!is_dot_git(name), "{name}");
        }
    }

    #[test]
    fn a_link_may_climb_at_its_start_only_and_not_above_the_top() {
        for (to, depth, inside) in [
            ("a", 0, true),
            ("../a", 1, true),
            ("../a", 0, false),
            ("../../a", 1, false),
            ("a/../b", 1, false),
            ("/etc/passwd", 9, false),
            ("", 0, false),
            ("./a/b", 0, true),
            ("..", 1, true),
            ("../.git/config", 1, false),
        ] {
            assert_eq!(stays_inside(to, depth), inside, "{to} at {depth}");
        }
    }
}
