//! Packages by digest on disk, and the index from inputs to packages. Both survive a restart; neither is trusted unread.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::name::{CloudName, CodeDigest, InputDigest};

use super::{Package, layout, recipe::Recipe};

/// The disk refused.
#[derive(Debug, thiserror::Error)]
#[error("failed to keep packages in `{}`: check space and permissions there", path.display())]
pub struct ShelfError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// The folder that packages are kept in: `packages/<code>.zip`, `index/<input>.json`, `work/` for what is underway.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Record {
    schema: u32,
    code: CodeDigest,
    size: u64,
}

const SCHEMA: u32 = 1;

/// Begins the name of a file that is being written.
const DRAFT: &str = "draft-";

impl Shelf {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where builds that are underway have their folders. What an unclean stop leaves there is of no use to anyone.
    pub fn workspaces(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Packages for every cloud, or nothing: a part would not spare the build. A damaged record or package is as good as none.
    pub fn find(&self, recipe: &Recipe) -> Option<BTreeMap<CloudName, Package>> {
        let mut packages = BTreeMap::new();
        for cloud in CloudName::ALL {
            let package = self.load(layout::input_digest(recipe, cloud))?;
            packages.insert(cloud, package);
        }
        Some(packages)
    }

    /// A new file that becomes a package with [`Shelf::keep`], and vanishes without.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn draft(&self) -> Result<NamedTempFile, ShelfError> {
        draft_in(&self.folder.join("packages"))
    }

    /// Keeps a package and remembers what it was made from. The record follows the package, so that it never points at nothing.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn keep(&self, draft: NamedTempFile, input: InputDigest) -> Result<Package, ShelfError> {
        let failed = |source| fault(draft.path(), source);
        let (code, size) = measure(draft.path()).map_err(failed)?;
        let path = self.package_path(code);
        settle(draft, &path)?;
        let record = Record {
            schema: SCHEMA,
            code,
            size,
        };
        self.write_record(input, &record)?;
        Ok(Package {
            code,
            size,
            path,
            input,
        })
    }

    /// Removes what builds that never ended have left. To be called while none is underway.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn sweep(&self) -> Result<(), ShelfError> {
        gone(&self.workspaces(), fs::remove_dir_all(self.workspaces()))?;
        for folder in ["packages", "index"] {
            self.remove_where(folder, |name| name.starts_with(DRAFT))?;
        }
        Ok(())
    }

    /// Removes all packages but those in `keep`. Their records stay, and count for nothing.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses; what was removed until then stays removed.
    pub fn prune(&self, keep: &BTreeSet<CodeDigest>) -> Result<usize, ShelfError> {
        let kept: BTreeSet<String> = keep.iter().map(package_name).collect();
        self.remove_where("packages", |name| {
            !name.starts_with(DRAFT) && !kept.contains(name)
        })
    }

    fn remove_where(
        &self,
        folder: &str,
        is_old: impl Fn(&str) -> bool,
    ) -> Result<usize, ShelfError> {
        let folder = self.folder.join(folder);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(source) => return Err(fault(&folder, source)),
        };
        let mut count = 0;
        for entry in entries {
            let entry = entry.map_err(|source| fault(&folder, source))?;
            if entry.file_name().to_str().is_some_and(&is_old) {
                gone(&folder, fs::remove_file(entry.path()))?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn load(&self, input: InputDigest) -> Option<Package> {
        let text = fs::read(self.record_path(input)).ok()?;
        let Record { schema, code, size } = serde_json::from_slice(&text).ok()?;
        let path = self.package_path(code);
        let whole = schema == SCHEMA && measure(&path).ok()? == (code, size);
        whole.then_some(Package {
            code,
            size,
            path,
            input,
        })
    }

    fn write_record(&self, input: InputDigest, record: &Record) -> Result<(), ShelfError> {
        let mut draft = draft_in(&self.folder.join("index"))?;
        serde_json::to_writer(draft.as_file_mut(), record)
            .map_err(|error| fault(draft.path(), error.into()))?;
        settle(draft, &self.record_path(input))
    }

    fn package_path(&self, code: CodeDigest) -> PathBuf {
        self.folder.join("packages").join(package_name(&code))
    }

    fn record_path(&self, input: InputDigest) -> PathBuf {
        self.folder
            .join("index")
            .join(format!("{}.json", input.hex()))
    }
}

fn package_name(code: &CodeDigest) -> String {
    format!("{}.zip", code.hex())
}

/// What is gone already needs no removing.
fn gone(path: &Path, removed: io::Result<()>) -> Result<(), ShelfError> {
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(fault(path, source)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn draft_in(folder: &Path) -> Result<NamedTempFile, ShelfError> {
    fs::create_dir_all(folder)
        .and_then(|()| tempfile::Builder::new().prefix(DRAFT).tempfile_in(folder))
        .map_err(|source| fault(folder, source))
}

/// Puts a finished file in its place in one step, with the bytes on the disk before the name.
fn settle(mut draft: NamedTempFile, path: &Path) -> Result<(), ShelfError> {
    let failed = |source| fault(path, source);
    draft.flush().map_err(failed)?;
    let file = draft.as_file();
    file.set_permissions(fs::Permissions::from_mode(0o644))
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    draft
        .persist(path)
        .map_err(|error| fault(path, error.error))?;
    let parent = path.parent().unwrap_or(path);
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

fn measure(path: &Path) -> io::Result<(CodeDigest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((CodeDigest::from_bytes(hasher.finalize().into()), size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

fn fault(path: &Path, source: io::Error) -> ShelfError {
    ShelfError {
        path: path.to_owned(),
        source,
    }
}
