//! Turns a source folder into one package per cloud, each with an address by content.
//!
//! It takes plain inputs: it knows neither Git, nor manifests, nor clouds. The way of one build:
//! [`Builder::cached`] looks whether the same inputs were built before; if not, the caller exports the source into a
//! [`Workspace`] and [`Builder::build`] runs the build command there, checks the handlers, adds the files that
//! [`layout::layout`] names, packs them deterministically and keeps the packages by their digest.

pub mod command;
pub mod files;
pub mod layout;
pub mod recipe;
pub mod shelf;
pub mod zip;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use crate::name::{CloudName, CodeDigest, InputDigest};

use command::CommandError;
use files::{FilesError, HandlerError};
use recipe::Recipe;
use shelf::{Shelf, ShelfError};
use zip::ZipError;

/// What one build may use up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How long the build command may run.
    pub timeout: Duration,
    /// How many bytes of its output are kept: the last ones.
    pub output_max: usize,
    /// Largest package, unpacked and packed, in bytes.
    pub package_max: u64,
    /// Most files in a package.
    pub files_max: usize,
}

impl Default for Limits {
    /// AWS Lambda refuses more than 250 MiB unpacked, so a larger package could never be live on both clouds.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
            output_max: 64 * 1024,
            package_max: 250 * 1024 * 1024,
            files_max: 50_000,
        }
    }
}

/// One package on this machine's disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    pub code: CodeDigest,
    /// Size of the packed file, in bytes.
    pub size: u64,
    pub path: PathBuf,
    /// What it was made from.
    pub input: InputDigest,
}

/// The outcome of a build: a package per cloud, and what the build command said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Built {
    pub packages: BTreeMap<CloudName, Package>,
    /// The last part of the build command's output; empty where nothing had to be run.
    pub log: String,
}

/// Why there is no package. Sorted by who can help: the author of the source first, then the operator of the machine.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Handler(#[from] HandlerError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("failed to pack the built folder")]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("failed to prepare a folder for the build in `{}`: check space and permissions there", path.display())]
    Workspace {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the build was stopped before it ended: build again")]
    Stopped,
}

/// A throw-away folder that one build happens in. Removed when dropped.
#[derive(Debug)]
pub struct Workspace {
    folder: tempfile::TempDir,
}

/// Builds packages and keeps them.
///
/// # Guarantees
///
/// The same inputs are built once, restarts included. A package that is handed out has the bytes its digest says.
#[derive(Debug)]
pub struct Builder {
    shelf: Shelf,
    limits: Limits,
    search_path: String,
    underway: Mutex<BTreeMap<InputDigest, Weak<tokio::sync::Mutex<()>>>>,
}

/// Where programs are looked for by a build command, unless the operator says otherwise.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// === impl Workspace ===

impl Workspace {
    /// The folder to export the service's source into. It exists and is empty.
    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn prepare(parent: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        let folder = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(parent)?;
        for name in ["source", "home", "tmp"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        Ok(Self { folder })
    }
}

// === impl Builder ===

impl Builder {
    /// Packages and their index are kept below `store_dir`, which is made when first needed.
    pub fn new(store_dir: PathBuf, limits: Limits) -> Self {
        Self {
            shelf: Shelf::new(store_dir),
            limits,
            search_path: SEARCH_PATH.to_owned(),
            underway: Mutex::default(),
        }
    }

    /// Looks for the programs of build commands in `search_path` (as in `PATH`) instead of the system's folders.
    #[must_use]
    pub fn with_search_path(self, search_path: String) -> Self {
        Self {
            search_path,
            ..self
        }
    }

    /// The packages of this recipe, if they were built before and are still whole. A damaged package counts as not built.
    pub async fn cached(&self, recipe: &Recipe) -> Option<Built> {
        let shelf = self.shelf.clone();
        let recipe = recipe.clone();
        tokio::task::spawn_blocking(move || shelf.find(&recipe))
            .await
            .ok()
            .flatten()
            .map(|packages| Built {
                packages,
                log: String::new(),
            })
    }

    /// A new folder for one build.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn workspace(&self) -> Result<Workspace, BuildError> {
        let path = self.shelf.workspaces();
        Workspace::prepare(&path).map_err(|source| BuildError::Workspace { path, source })
    }

    /// Builds what the caller exported into `workspace`, unless another build of the same recipe came first.
    ///
    /// # Errors
    ///
    /// Each names what went wrong and the way out. Nothing is kept of a failed build.
    pub async fn build(&self, recipe: &Recipe, workspace: Workspace) -> Result<Built, BuildError> {
        let turn = self.turn(layout::input_digest(recipe, CloudName::Aws));
        let _mine = turn.lock().await;
        if let Some(built) = self.cached(recipe).await {
            return Ok(built);
        }
        let log = self.run_command(recipe, &workspace).await?;
        let (shelf, limits, recipe) = (self.shelf.clone(), self.limits, recipe.clone());
        let packages =
            tokio::task::spawn_blocking(move || pack(&shelf, limits, &recipe, &workspace))
                .await
                .map_err(|_| BuildError::Stopped)??;
        Ok(Built { packages, log })
    }

    /// Removes what builds that never ended have left on the disk. To be called once, at the start, before any build.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn sweep(&self) -> Result<(), BuildError> {
        Ok(self.shelf.sweep()?)
    }

    /// Removes all packages but those in `keep`, and says how many. One that is asked for again is built again.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn prune(&self, keep: &BTreeSet<CodeDigest>) -> Result<usize, BuildError> {
        Ok(self.shelf.prune(keep)?)
    }

    async fn run_command(
        &self,
        recipe: &Recipe,
        workspace: &Workspace,
    ) -> Result<String, CommandError> {
        let Some(script) = &recipe.build else {
            return Ok(String::new());
        };
        let folder = workspace.folder.path();
        let order = command::Order {
            script,
            folder: &workspace.source(),
            home: &folder.join("home"),
            temporary: &folder.join("tmp"),
            search_path: &self.search_path,
            environment: &recipe.environment,
        };
        command::run(&order, self.limits).await
    }

    /// One lock per input, so that two services that ask for the same package share one build.
    fn turn(&self, input: InputDigest) -> Arc<tokio::sync::Mutex<()>> {
        let mut underway = self.underway.lock().unwrap_or_else(PoisonError::into_inner);
        underway.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = underway.get(&input).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        underway.insert(input, Arc::downgrade(&turn));
        turn
    }
}

fn pack(
    shelf: &Shelf,
    limits: Limits,
    recipe: &Recipe,
    workspace: &Workspace,
) -> Result<BTreeMap<CloudName, Package>, BuildError> {
    let found = files::collect(&workspace.source(), limits)?;
    files::check_handlers(recipe, &found)?;
    let mut packages = BTreeMap::new();
    for cloud in CloudName::ALL {
        let generated = layout::layout(recipe, cloud);
        let entries = files::merge(&found, &generated, cloud)?;
        let draft = shelf.draft()?;
        zip::pack(&entries, draft.as_file(), limits.package_max)?;
        let input = layout::input_digest(recipe, cloud);
        packages.insert(cloud, shelf.keep(draft, input)?);
    }
    Ok(packages)
}
