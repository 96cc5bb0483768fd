//! What outlives a restart, on the disk: one JSON file, and the packages as they were sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::local::arm::{
    host::package::{Package, PackageError},
    model::World,
};
use crate::name::CodeDigest;

/// The folder of the endpoint: its own where nothing is to outlive it.
pub(super) struct Disk {
    /// `Some` where state is kept.
    kept: Option<PathBuf>,
    scratch: TempDir,
    packages: Mutex<BTreeMap<CodeDigest, Arc<Package>>>,
}

impl Disk {
    /// Opens `state_dir/azure`, or a temporary folder.
    pub(super) fn open(state_dir: Option<&Path>) -> io::Result<Self> {
        let kept = state_dir.map(|folder| folder.join("azure"));
        if let Some(folder) = &kept {
            fs::create_dir_all(folder.join("packages"))?;
        }
        Ok(Self {
            kept,
            scratch: TempDir::with_prefix("verdigris-azure-")?,
            packages: Mutex::default(),
        })
    }

    /// Where the certificate authority lives.
    pub(super) fn authority_folder(&self) -> PathBuf {
        let kept = self.kept.as_deref();
        kept.unwrap_or(self.scratch.path()).join("tls")
    }

    /// Where the output of `slot` is appended to, if state is kept.
    pub(super) fn log_file(&self, site: &str, slot: &str) -> Option<PathBuf> {
        let kept = self.kept.as_ref()?;
        Some(kept.join("logs").join(format!("{site}--{slot}.log")))
    }

    /// What was saved last; an empty world where nothing was.
    ///
    /// # Errors
    ///
    /// Fails where the file is there and cannot be read: it is never taken for an empty world.
    pub(super) fn load(&self) -> io::Result<World> {
        let Some(kept) = &self.kept else {
            return Ok(World::default());
        };
        match fs::read(kept.join("state.json")) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(World::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the world in one step, and removes the files of packages that were forgotten. Blocks.
    pub(super) fn save(&self, text: &[u8], forgotten: &[CodeDigest]) -> io::Result<()> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        let fresh = kept.join("state.json.new");
        write_private(&fresh, text)?;
        fs::rename(&fresh, kept.join("state.json"))?;
        for digest in forgotten {
            let held = self.held();
            // It may have come back meanwhile.
            if !held.contains_key(digest) {
                // A package that stays behind costs room only.
                drop(fs::remove_file(self.zip_file(kept, digest)));
            }
        }
        Ok(())
    }

    pub(super) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Unpacks a package and keeps it. Blocks.
    pub(super) fn add(&self, zip: &[u8]) -> Result<Arc<Package>, PackageError> {
        let digest = CodeDigest::of(zip);
        if let Some(package) = self.held().get(&digest) {
            return Ok(Arc::clone(package));
        }
        let package = Arc::new(Package::unpack(zip, self.scratch.path())?);
        // Held before its file is written: files of packages that are not held may be removed at any time.
        self.held().insert(digest, Arc::clone(&package));
        if let Some(kept) = &self.kept {
            write_private(&self.zip_file(kept, &digest), zip)?;
        }
        Ok(package)
    }

    /// A package that was added before. Blocks where it has to be unpacked again.
    pub(super) fn package(&self, digest: &CodeDigest) -> Option<Arc<Package>> {
        if let Some(package) = self.held().get(digest) {
            return Some(Arc::clone(package));
        }
        let file = self.zip_file(self.kept.as_ref()?, digest);
        let told = fs::read(file)
            .map_err(PackageError::from)
            .and_then(|zip| self.add(&zip));
        match told {
            Ok(package) => Some(package),
            Err(error) => {
                tracing::warn!(%digest, %error, "a kept package could not be restored");
                None
            }
        }
    }

    /// Drops packages that nothing in the world uses, and says which.
    ///
    /// # Assumptions
    ///
    /// The world that says what is used stays locked meanwhile: who adds a package holds it until the world names it.
    pub(super) fn forget(&self, used: &BTreeSet<CodeDigest>) -> Vec<CodeDigest> {
        let mut held = self.held();
        // One that somebody else holds is about to be used, or still is.
        let unused = |(digest, package): (&CodeDigest, &Arc<Package>)| {
            (!used.contains(digest) && Arc::strong_count(package) == 1).then_some(*digest)
        };
        let unused: Vec<_> = held.iter().filter_map(unused).collect();
        for digest in &unused {
            held.remove(digest);
        }
        unused
    }

    fn zip_file(&self, kept: &Path, digest: &CodeDigest) -> PathBuf {
        kept.join("packages").join(format!("{}.zip", digest.hex()))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<CodeDigest, Arc<Package>>> {
        self.packages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file)?.write_all(content)
}
