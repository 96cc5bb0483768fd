//! A Lambda endpoint: control plane, function URLs, and functions that really run.
//!
//! # Guarantees
//!
//! A change is on the disk before it is answered, where a state folder is given. When told to stop, calls in hand get a
//! moment to finish, and no process outlives [`LambdaEndpoint::finished`].
//!
//! # Caveats
//!
//! Signatures of requests to function URLs are checked, as far as keys are known; others are not. Images and layers' content are refused or
//! shown only. Queues, topics, buckets and schedules call functions; mappings of streams are kept but deliver nothing, and filters are not
//! applied. A failed asynchronous call is not tried again.

mod around;
mod control;
mod invoke;
mod keep;
mod package;
mod past;
mod quota;
mod record;
mod run;
mod stacks;
mod url;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::url::Url;
use axum::Router;
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::quota::{CallQuotas, each_second};
use self::{
    around::{Around, Contents, Kept, Rules},
    keep::Keep,
    package::Packages,
    past::Past,
    quota::Quota,
    record::{Function, Mapping},
    run::Runner,
    wire::{ApiError, Place},
};
use super::{door, faults::Faults, lag::Lag, listen, stacks::record::Stacks};
use crate::{clock::Clock, name::Timestamp};

/// How long calls in hand may go on after the endpoint was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// How often old packages are looked for.
const TIDY: Duration = Duration::from_secs(30);

/// How an endpoint behaves; [`Default`] is like the real service, but quicker.
#[derive(Clone, Debug)]
pub struct LambdaOptions {
    pub region: String,
    pub account: String,
    /// Everything below `lambda/` of this folder outlives the endpoint; nothing does without it.
    pub state: Option<PathBuf>,
    /// How long functions are Pending and updates InProgress.
    pub pending: Duration,
    /// Processes without work end after this time.
    pub idle_timeout: Duration,
    pub init_timeout: Duration,
    /// Calls under way at once, over all functions; more are throttled.
    pub concurrency: u32,
    /// Processes of one version at once; calls beyond wait for one to be free.
    pub processes_max: usize,
    pub python: PathBuf,
    pub node: PathBuf,
    /// A folder where npm put `aws-lambda-ric`; our own small client runs Node functions without it.
    pub node_ric: Option<PathBuf>,
    /// So many reads of each kind after a write answer what was so before it.
    pub stale_reads: u32,
    /// Makes injected chance repeatable.
    pub seed: Option<u64>,
}

impl Default for LambdaOptions {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "111122223333".to_owned(),
            state: None,
            pending: Duration::from_millis(300),
            idle_timeout: Duration::from_secs(60),
            init_timeout: Duration::from_secs(10),
            concurrency: 1_000,
            processes_max: 16,
            python: "python3".into(),
            node: "node".into(),
            node_ric: None,
            stale_reads: 0,
            seed: None,
        }
    }
}

/// A running endpoint. It stops by its token; dropping this does not stop it.
pub struct LambdaEndpoint {
    /// What clients take as endpoint URL.
    pub url: Url,
    faults: Faults,
    quota: Arc<Quota>,
    lag: Arc<Lag<Past>>,
    finished: watch::Receiver<bool>,
}

impl LambdaEndpoint {
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Takes no more calls than these from now on; every call where none are given.
    pub fn limit(&self, quotas: Option<CallQuotas>) {
        self.quota.set(quotas);
    }

    /// Calls that were too many since the last [`Self::limit`].
    pub fn refused(&self) -> u64 {
        self.quota.refused()
    }

    /// Answers so far that told what was so before a write.
    pub fn stale_answers(&self) -> u64 {
        self.lag.told_late()
    }

    /// Waits until the endpoint was told to stop and every process of it is gone.
    pub async fn finished(&self) {
        // An error means that its task is gone, and that is finished too.
        drop(self.finished.clone().wait_for(|finished| *finished).await);
    }
}

/// Starts an endpoint on `addr`; port 0 takes a free one.
///
/// # Errors
///
/// Fails where the address is taken or the state folder cannot be used.
pub async fn start(
    addr: SocketAddr,
    options: LambdaOptions,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> io::Result<LambdaEndpoint> {
    start_behind(addr, options, clock, stop, |router| router).await
}

/// The same with `before` in front of everything that the endpoint's own port serves, behind the door that keeps web pages away.
///
/// # Errors
///
/// As [`start`].
pub async fn start_behind(
    addr: SocketAddr,
    options: LambdaOptions,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    before: impl FnOnce(Router) -> Router,
) -> io::Result<LambdaEndpoint> {
    let listener = TcpListener::bind(addr).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let url = Url::parse(&url).map_err(io::Error::other)?;
    let lambda = Arc::new(Lambda::open(options, clock, url.clone())?);
    url::restore(&lambda).await;
    let (faults, quota) = (lambda.faults.clone(), Arc::clone(&lambda.quota));
    let lag = Arc::clone(&lambda.lag);
    let (done, finished) = watch::channel(false);
    let router = door::guarded(before(control::routes(&lambda)));
    tokio::spawn(async move {
        lambda.serve(listener, router, stop).await;
        done.send_replace(true);
    });
    Ok(LambdaEndpoint {
        url,
        faults,
        quota,
        lag,
        finished,
    })
}

/// The endpoint's insides, shared by its listeners.
struct Lambda {
    place: Place,
    pending: Duration,
    base: Url,
    clock: Arc<dyn Clock>,
    faults: Faults,
    /// Who has not heard yet of what.
    lag: Arc<Lag<Past>>,
    quota: Arc<Quota>,
    functions: Mutex<BTreeMap<String, Function>>,
    mappings: Mutex<BTreeMap<String, Mapping>>,
    around: Around,
    packages: Packages,
    /// What the buckets hold.
    contents: Contents,
    stacks: Mutex<Stacks>,
    keep: Option<Keep>,
    runner: Arc<Runner>,
    urls: url::Listeners,
    /// Asynchronous calls and function URLs.
    tasks: TaskTracker,
    /// Holds everything where no state folder is given.
    _scratch: Option<tempfile::TempDir>,
}

impl Lambda {
    fn open(options: LambdaOptions, clock: Arc<dyn Clock>, base: Url) -> io::Result<Self> {
        let (folder, scratch) = match &options.state {
            // Processes run in other folders: a relative path would lead them astray.
            Some(state) => (std::path::absolute(state)?.join("lambda"), None),
            None => {
                let scratch = tempfile::TempDir::with_prefix("verdigris-lambda-")?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        std::fs::create_dir_all(&folder)?;
        let keep = options
            .state
            .is_some()
            .then(|| Keep::open(&folder))
            .transpose()?;
        let packages = Packages::open(&folder.join("packages"))?;
        let contents = Contents::open(&folder.join("objects"))?;
        let (functions, mappings, around, stacks) = match &keep {
            Some(keep) => (
                keep.functions()?,
                keep.mappings()?,
                Kept::read(keep)?,
                keep.stacks()?.interrupted(),
            ),
            None => Default::default(),
        };
        let wanted: BTreeSet<_> = functions.values().flat_map(Function::packages).collect();
        let unwanted = packages.sweep(&wanted, &BTreeSet::new())?;
        packages.sweep(&wanted, &unwanted)?;
        let runner = Runner::new(&options, &folder, Arc::clone(&clock))?;
        let faults = Faults::new(options.seed);
        Ok(Self {
            place: Place {
                region: options.region,
                account: options.account,
            },
            pending: options.pending,
            base,
            clock,
            lag: Arc::new(Lag::new(options.stale_reads, faults.clone())),
            faults,
            quota: Arc::default(),
            functions: Mutex::new(functions),
            mappings: Mutex::new(mappings),
            around: Around::new(around),
            packages,
            contents,
            stacks: Mutex::new(stacks),
            keep,
            runner: Arc::new(runner),
            urls: url::Listeners::default(),
            tasks: TaskTracker::new(),
            _scratch: scratch,
        })
    }

    async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        router: Router,
        stop: CancellationToken,
    ) {
        let serve = listen::serve(listener, router, stop.clone());
        let is_current = |key: &run::Key| self.is_current(key);
        let finish = async {
            stop.cancelled().await;
            self.urls.close_all();
            self.tasks.close();
            // Whoever needs longer is cut off with the process.
            drop(timeout(GRACE, self.tasks.wait()).await);
            self.runner.shut_down().await;
            self.tasks.wait().await;
        };
        let tidy = stop.run_until_cancelled(self.tidy());
        let deliver = stop.run_until_cancelled(around::deliver(&self));
        let look_after = self.runner.look_after(is_current);
        tokio::join!(serve, look_after, tidy, deliver, finish);
    }

    /// Removes packages that nothing asks for, once they were found so twice: a package is kept before the function
    /// that wants it is.
    async fn tidy(&self) {
        let mut before = BTreeSet::new();
        loop {
            tokio::time::sleep(TIDY).await;
            let mut wanted: BTreeSet<_> = self.runner.packages().into_iter().collect();
            wanted.extend(self.functions().values().flat_map(Function::packages));
            let packages = self.packages.clone();
            let condemned = std::mem::take(&mut before);
            let swept = tokio::task::spawn_blocking(move || packages.sweep(&wanted, &condemned));
            match swept.await {
                Ok(Ok(unwanted)) => before = unwanted,
                Ok(Err(fault)) => tracing::warn!(%fault, "old packages cannot be removed"),
                Err(_) => return,
            }
        }
    }

    /// Whether a version still runs that content.
    fn is_current(&self, key: &run::Key) -> bool {
        let mut functions = self.functions();
        let Some(function) = functions.get_mut(&key.function) else {
            return false;
        };
        function.settle(self.clock.now());
        let version = function.version(&key.version);
        version.is_some_and(|version| version.serving().text() == key.content)
    }

    fn functions(&self) -> MutexGuard<'_, BTreeMap<String, Function>> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn mappings(&self) -> MutexGuard<'_, BTreeMap<String, Mapping>> {
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When something that begins now is done.
    fn until(&self) -> Timestamp {
        self.clock.now().after(self.pending)
    }

    /// Writes a changed function down.
    fn save(&self, function: &Function) -> Result<(), ApiError> {
        let saved = self
            .keep
            .as_ref()
            .map_or(Ok(()), |keep| keep.save(function));
        saved.map_err(|fault| unsaved(&fault))
    }

    fn save_mappings(&self, mappings: &BTreeMap<String, Mapping>) -> Result<(), ApiError> {
        let saved = self
            .keep
            .as_ref()
            .map_or(Ok(()), |keep| keep.save_mappings(mappings));
        saved.map_err(|fault| unsaved(&fault))
    }

    fn save_rules(&self, rules: &Rules) -> io::Result<()> {
        let saved = self.keep.as_ref().map(|keep| keep.save_rules(rules));
        saved.unwrap_or(Ok(()))
    }

    fn forget(&self, name: &str) -> Result<(), ApiError> {
        let removed = self.keep.as_ref().map_or(Ok(()), |keep| keep.remove(name));
        removed.map_err(|fault| unsaved(&fault))
    }
}

fn unsaved(fault: &io::Error) -> ApiError {
    ApiError::internal(format!(
        "the change could not be written to the state folder: {fault}"
    ))
}
