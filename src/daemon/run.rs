//! Starts every part of the daemon, and stops them in order.

use std::{
    collections::BTreeMap,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    clouds::Clouds,
    config::{Config, ConfigError, Repository},
    measure::{self, Gates},
    packages::Packages,
    reload,
    sources::Sources,
    world::{DaemonWorld, Mirrors},
};
use crate::{
    build::{Builder, Limits},
    clock::Clock,
    cloud::azure::AzureIdentity,
    gates::{http, load::Room, metric::prometheus::ServerError},
    plan::state::Policy,
    reconcile::{Parts, Reconciler, handle::Handle},
    store::{Store, StoreError, disk},
};

/// What a daemon is started with.
pub struct Options {
    pub config: Config,
    /// Watched for changes, where the configuration came from a file.
    pub config_file: Option<PathBuf>,
    /// The folder of the store, the mirrors and the packages.
    pub data: PathBuf,
    pub identity: AzureIdentity,
    /// Where programs of build commands and gates are found; the system's folders where unsaid.
    pub search_path: Option<String>,
    pub clock: Arc<dyn Clock>,
    /// Reads the environment's variables that a configuration names.
    pub env: fn(&str) -> Option<String>,
}

/// A daemon that runs.
pub struct Daemon {
    pub handle: Handle,
    pub sources: Sources,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to use the data folder `{}`", path.display())]
    Data {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Gates(#[from] http::ClientError),
    #[error(transparent)]
    Prometheus(#[from] ServerError),
    #[error("failed to watch the configuration")]
    Watch(#[from] notify::Error),
    #[error("the store could not be opened: its thread ended")]
    Stopped,
}

/// Starts a daemon.
///
/// # Errors
///
/// A folder, store or configuration that cannot be used; nothing runs then.
pub async fn start(options: Options) -> Result<Daemon, StartError> {
    let Options {
        config,
        config_file,
        data,
        identity,
        search_path,
        clock,
        env,
    } = options;
    // What lies there is nobody else's to read. A folder that somebody made before keeps what they gave it.
    let private = DirBuilder::new().recursive(true).mode(0o700).create(&data);
    private.map_err(|source| StartError::Data {
        path: data.clone(),
        source,
    })?;
    let store: Arc<dyn Store> = Arc::new(open_store(&data.join("store"), &*clock).await?);
    let mirrors: Mirrors = Arc::new(Mutex::new(BTreeMap::new()));
    let limits = Limits {
        timeout: config.build_timeout,
        ..Limits::default()
    };
    let builder = Builder::new(data.join("packages"), limits);
    let packages = Arc::new(Packages::new(match search_path {
        Some(path) => builder.with_search_path(path),
        None => builder,
    }));
    let world = DaemonWorld {
        clouds: Arc::new(Clouds::new(
            config.aws.clone(),
            config.azure.clone(),
            identity,
        )),
        packages: packages.clone(),
        mirrors: mirrors.clone(),
        gates: Gates {
            client: http::Client::new()?,
            room: Room::new(config.load_requests),
            prometheus: measure::servers(&config.prometheus)?,
        },
        clock: clock.clone(),
    };
    let policy = Policy {
        resync: config.resync,
        prune: config.prune,
        prune_share: config.prune_share,
        ..Policy::default()
    };
    let parts = Parts {
        clock: clock.clone(),
        store: store.clone(),
        world: Arc::new(world),
        policy,
    };
    let (reconciler, handle) = Reconciler::new(parts).await?;
    let stop = CancellationToken::new();
    clean(&packages, &handle, &stop).await;
    let folder = data.join("repositories");
    let sources = Sources::new(handle.clone(), clock, store, folder, mirrors).await?;
    // Before the loop, whose open intents may need a commit at once.
    follow(&sources, &config.repositories, &stop);
    let work = tokio::spawn(reconciler.run(stop.clone()));
    if let Some(file) = config_file {
        reload::watch(file, env, sources.clone(), handle.clone(), stop.clone())?;
    }
    Ok(Daemon {
        handle,
        sources,
        stop,
        work,
    })
}

impl Daemon {
    /// Stops when this is cancelled.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops, and waits until what is in hand has finished and is on the disk.
    pub async fn stop(self) {
        self.stop.cancel();
        self.sources.ended().await;
        if let Err(error) = self.work.await {
            tracing::error!(%error, "the loop ended badly");
        }
    }
}

/// What nobody needs goes, now and later; a disk that refuses must keep nobody from serving.
async fn clean(packages: &Arc<Packages>, handle: &Handle, stop: &CancellationToken) {
    if let Err(error) = packages.clean(handle).await {
        tracing::warn!(%error, "old packages could not be removed");
    }
    let (packages, handle, stop) = (packages.clone(), handle.clone(), stop.clone());
    tokio::spawn(async move { packages.tidy_until(handle, stop).await });
}

/// Opening blocks, and may take a while after a crash.
async fn open_store(folder: &Path, clock: &dyn Clock) -> Result<disk::DiskStore, StartError> {
    let (folder, now) = (folder.to_owned(), clock.now());
    let opened = tokio::task::spawn_blocking(move || {
        disk::DiskStore::open(&folder, &disk::Options::default(), now)
    });
    let store = opened.await.map_err(|_| StartError::Stopped)??;
    if let Some(moved) = store.moved_aside() {
        tracing::error!(
            ?moved,
            "the store was damaged; a fresh one was started, and live state comes back from the clouds' tags"
        );
    }
    Ok(store)
}

fn follow(sources: &Sources, repositories: &[Repository], stop: &CancellationToken) {
    if repositories.is_empty() {
        tracing::warn!("no repository is configured: there is nothing to do");
    }
    sources.follow(repositories, stop);
}
