//! One running process of an app: a custom handler, which serves HTTP on a port that the host chose, or a language's worker.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    language::{self, Language},
    package::{CustomHandler, Package},
};
use crate::local::process::{Child, Exit, LogRing, Spawn, SpawnError, Stream};

/// A port that looked free may be taken before the handler binds it.
const PORT_TRIES: usize = 3;

/// How long a handler may take to end when asked kindly.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Between two looks whether the handler answers.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const SLOWEST_LOOK: Duration = Duration::from_millis(50);

/// Within this a process that died is known to have: its last output is read first.
pub(super) const DEATH_TOLD: Duration = Duration::from_millis(800);

/// One look may take this long: a handler whose `/` is slow is up all the same.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What a process is started with.
pub(in crate::local::arm) struct Start<'a> {
    pub package: &'a Package,
    pub environment: &'a BTreeMap<String, String>,
    pub python: &'a Path,
    pub memory_limit: Option<u64>,
    pub start_timeout: Duration,
    pub logs: &'a Arc<LogRing>,
}

impl Start<'_> {
    /// What every process of the app finds in its environment.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.environment.clone();
        let root = self.package.folder().display().to_string();
        environment.insert("AzureWebJobsScriptRoot".to_owned(), root.clone());
        environment.entry("HOME".to_owned()).or_insert(root);
        environment
    }
}

/// Why there is no running handler.
#[derive(Debug, thiserror::Error)]
pub(in crate::local::arm) enum StartError {
    #[error(
        "the package's host.json names no custom handler, and the setting `{}` no language that runs here (python does)",
        language::RUNTIME
    )]
    NoHandler,
    #[error(
        "`{}` has no module azure_functions_worker: install the package azure-functions-worker for it",
        python.display()
    )]
    NoWorker { python: PathBuf },
    #[error(
        "AuthorizationPermissionMismatch: the host may not read its storage: This request is not authorized to perform this operation using this permission."
    )]
    NoStorage,
    #[error("the worker refused to start: {0}")]
    Refused(String),
    #[error("no package is deployed")]
    NoPackage,
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("no port is free: {0}")]
    NoPort(std::io::Error),
    #[error("the handler ended before it answered ({0:?})")]
    Ended(Exit),
    #[error("the handler did not answer within {0:?}")]
    TooSlow(Duration),
    #[error("the app is being stopped")]
    Retired,
}

/// A started process that has answered once.
pub(in crate::local::arm) struct Worker {
    child: Child,
    pub(super) talk: Talk,
    suspect: AtomicBool,
}

/// How one speaks with it.
pub(super) enum Talk {
    Http(Handler),
    Rpc(Language),
}

/// The web server of a custom handler.
pub(super) struct Handler {
    port: u16,
    client: Box<Client<HttpConnector, Body>>,
    /// It wants requests as they came, where there is nothing but HTTP in and out.
    pub(super) forwards: bool,
}

impl Worker {
    /// Starts what the package asks for, a handler of its own before a worker of its language, and waits until it takes calls.
    pub(in crate::local::arm) async fn start(start: &Start<'_>) -> Result<Self, StartError> {
        let runtime = start.environment.get(language::RUNTIME);
        let (child, talk) = match &start.package.handler {
            Some(handler) => {
                let (child, handler) = Handler::start(start, handler).await?;
                (child, Talk::Http(handler))
            }
            None if runtime.is_some_and(|told| told.eq_ignore_ascii_case("python")) => {
                let (child, language) = language::start(start).await?;
                (child, Talk::Rpc(language))
            }
            None => return Err(StartError::NoHandler),
        };
        Ok(Self {
            child,
            talk,
            suspect: AtomicBool::new(false),
        })
    }

    /// What of the app does not work, although it runs.
    pub(super) fn fault(&self) -> Option<String> {
        match &self.talk {
            Talk::Http(_) => None,
            Talk::Rpc(language) => language.fault(),
        }
    }

    /// A request to it broke off: it may be dying.
    pub(in crate::local::arm) fn suspect(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// Whether it runs. One under suspicion gets a moment to be told dead: its connections break before its end is known.
    pub(in crate::local::arm) async fn is_well(&self) -> bool {
        if self.child.exit().is_some() {
            return false;
        }
        let has_hung_up = self.talk.has_hung_up();
        let suspected = self.suspect.swap(false, Ordering::Relaxed) || has_hung_up;
        let lives = !suspected || timeout(DEATH_TOLD, self.child.exited()).await.is_err();
        lives && !has_hung_up
    }

    /// How the process ended, in words.
    pub(in crate::local::arm) fn ended(&self) -> String {
        match self.child.exit() {
            Some(Exit::OutOfMemory { used, limit }) => {
                format!("the app was killed: it used {used} bytes of memory and may use {limit}")
            }
            Some(exit) => format!("the app ended ({exit:?})"),
            None if self.talk.has_hung_up() => "the app hung up, and did not end".to_owned(),
            None => "the app is running".to_owned(),
        }
    }

    pub(in crate::local::arm) fn kill(&self) {
        self.child.kill();
    }

    pub(in crate::local::arm) async fn stop(&self) -> Exit {
        self.child.stop(STOP_GRACE).await
    }
}

impl Talk {
    /// A handler of its own is called anew for each request.
    fn has_hung_up(&self) -> bool {
        match self {
            Self::Http(_) => false,
            Self::Rpc(language) => language.has_hung_up(),
        }
    }
}

impl Handler {
    /// Starts the handler and waits until `/` gives any HTTP answer at all.
    async fn start(
        start: &Start<'_>,
        handler: &CustomHandler,
    ) -> Result<(Child, Self), StartError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(start, handler).await {
                Err(StartError::Ended(exit)) if tries < PORT_TRIES && lost_its_port(start) => {
                    let told = format!("the handler lost its port ({exit:?}); starting again");
                    start.logs.push(Stream::Platform, &told);
                }
                told => return told,
            }
        }
    }

    async fn try_start(
        start: &Start<'_>,
        handler: &CustomHandler,
    ) -> Result<(Child, Self), StartError> {
        let port = free_port().map_err(StartError::NoPort)?;
        let child = Child::spawn(spawn(start, handler, port))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(4))
            .build(connector);
        let forwards = handler.forwards;
        let handler = Self {
            port,
            client: Box::new(client),
            forwards,
        };
        handler.answers(&child, start.start_timeout).await?;
        Ok((child, handler))
    }

    async fn answers(&self, child: &Child, within: Duration) -> Result<(), StartError> {
        let deadline = Instant::now() + within;
        let mut wait = FIRST_LOOK;
        loop {
            if self.look().await {
                return Ok(());
            }
            if let Some(exit) = child.exit() {
                return Err(StartError::Ended(exit));
            }
            if Instant::now() >= deadline {
                return Err(StartError::TooSlow(within));
            }
            sleep(wait).await;
            wait = (wait * 2).min(SLOWEST_LOOK);
        }
    }

    async fn look(&self) -> bool {
        let request = Request::get(self.uri("/")).body(Body::empty());
        match request {
            Ok(request) => matches!(timeout(LOOK_MAX, self.send(request)).await, Ok(Ok(_))),
            Err(_) => false,
        }
    }

    /// The address of `path_and_query` on this handler.
    pub(super) fn uri(&self, path_and_query: &str) -> Uri {
        let text = format!("http://127.0.0.1:{}{path_and_query}", self.port);
        text.parse().unwrap_or_default()
    }

    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        self.client.request(request).await
    }
}

fn lost_its_port(start: &Start<'_>) -> bool {
    let mut last = start.logs.lines().into_iter().rev().take(20);
    last.any(|line| {
        line.text
            .to_ascii_lowercase()
            .contains("address already in use")
    })
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn spawn(start: &Start<'_>, handler: &CustomHandler, port: u16) -> Spawn {
    let package = start.package;
    let cwd = package.folder().join(&handler.working_directory);
    let mut env = start.environment();
    for name in ["FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT"] {
        env.insert(name.to_owned(), port.to_string());
    }
    Spawn {
        program: program(&handler.executable, package.folder(), &cwd),
        args: handler.arguments.clone(),
        cwd,
        env,
        memory_limit: start.memory_limit,
        logs: Arc::clone(start.logs),
    }
}

/// A file of the package where there is one; a program on the path otherwise.
fn program(executable: &str, root: &Path, cwd: &Path) -> PathBuf {
    [cwd, root]
        .into_iter()
        .map(|folder| folder.join(executable))
        .find(|file| file.is_file())
        .unwrap_or_else(|| PathBuf::from(executable))
}
