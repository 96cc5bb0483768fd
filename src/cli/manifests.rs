//! Manifest files on this machine's disk, found as Git would find them in a commit.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::exit::{CliError, Result};
use crate::manifest::set::FILE_MAX;

/// A file that is, or should be, a manifest.
pub(super) enum Found {
    Bytes(Vec<u8>),
    Unreadable(String),
}

/// Folders inside folders; deeper ones are somebody's mistake.
const DEPTH_MAX: usize = 64;

/// Whoever names the root of a disk finds out soon.
const FILES_MAX: usize = 200_000;

/// Every named file, and every `*.yaml` and `*.yml` below every named folder, by path.
pub(super) fn find(paths: &[PathBuf]) -> Result<BTreeMap<String, Found>> {
    let mut walk = Walk::default();
    for path in paths {
        let kind = fs::metadata(path).map_err(|error| unusable(path, &error))?;
        if kind.is_dir() {
            walk.folder(path, 0)?;
        } else {
            walk.file(path)?;
        }
    }
    if walk.found.is_empty() {
        let named: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(
            CliError::wrong(format!("there is no manifest in {}", named.join(", ")))
                .help("manifests are files called *.yaml or *.yml"),
        );
    }
    Ok(walk.found)
}

#[derive(Default)]
struct Walk {
    found: BTreeMap<String, Found>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            let why = format!("lies more than {DEPTH_MAX} folders deep");
            self.add(folder, Found::Unreadable(why));
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(|error| unusable(folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unusable(folder, &error))?;
            let kind = entry
                .file_type()
                .map_err(|error| unusable(folder, &error))?;
            let path = entry.path();
            if kind.is_dir() {
                if entry.file_name() != ".git" {
                    self.folder(&path, depth + 1)?;
                }
            } else if is_manifest(&path) {
                if kind.is_symlink() {
                    let why = "is a symbolic link: put the file itself here";
                    self.add(&path, Found::Unreadable(why.to_owned()));
                } else {
                    self.file(&path)?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        if self.found.len() >= FILES_MAX {
            return Err(CliError::wrong(format!(
                "there are more than {FILES_MAX} manifests: name a smaller folder"
            )));
        }
        let found = match read(path) {
            Ok(bytes) => Found::Bytes(bytes),
            Err(error) => Found::Unreadable(format!("cannot be read: {error}")),
        };
        self.add(path, found);
        Ok(())
    }

    fn add(&mut self, path: &Path, found: Found) {
        let shown = path.strip_prefix("./").unwrap_or(path);
        self.found.insert(shown.display().to_string(), found);
    }
}

/// No more than decides whether the file is too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, FILE_MAX as u64 + 1), &mut bytes)?;
    Ok(bytes)
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn unusable(path: &Path, error: &io::Error) -> CliError {
    CliError::wrong(format!("failed to read `{}`: {error}", path.display()))
}
