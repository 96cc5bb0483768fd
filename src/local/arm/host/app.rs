//! One slot's code with the settings it sees: starts on the first request, idles out, ends when another takes its place.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::StatusCode;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    forward,
    package::{Function, HttpTrigger, Package},
    worker::{Start, StartError, Worker},
};
use crate::local::{
    arm::{
        events::Listening,
        model::HostKeys,
        slots::rules::Rules,
        trust::{references::Fetched, storage::Storage},
    },
    process::{LogRing, Stream},
};

/// How requests under way are waited for when an app gives way to another.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Bounds on one app's process and requests.
#[derive(Clone, Copy, Debug)]
pub(in crate::local::arm) struct Limits {
    pub memory: Option<u64>,
    pub start: Duration,
    pub request: Duration,
}

/// What an app is made of; nothing in it changes while the app lives.
pub(in crate::local::arm) struct Parts {
    pub package: Option<Arc<Package>>,
    pub settings: BTreeMap<String, String>,
    pub fetched: Fetched,
    /// Its own storage, where it shows that it is it and no key.
    pub storage: Option<Storage>,
    pub environment: BTreeMap<String, String>,
    pub running: bool,
    pub keys: HostKeys,
    pub rules: Rules,
    pub limits: Limits,
    pub python: PathBuf,
    pub logs: Arc<LogRing>,
}

/// A slot's code at work. Other settings or another package make another app.
pub(in crate::local::arm) struct App {
    pub parts: Parts,
    worker: tokio::sync::Mutex<Running>,
    in_flight: watch::Sender<usize>,
    last_used: Mutex<Instant>,
    /// Why it could not be started the last time.
    fault: Mutex<Option<String>>,
    pub listening: Listening,
}

enum Running {
    Cold,
    Warm(Arc<Worker>),
    Retired,
}

/// A request under way; the app does not end before it.
pub(in crate::local::arm) struct InFlight(Arc<App>);

/// The function that a request is for.
pub(in crate::local::arm) struct Routed<'a> {
    pub name: &'a str,
    pub function: &'a Function,
    pub trigger: &'a HttpTrigger,
    pub parameters: BTreeMap<String, String>,
}

// === impl App ===

impl App {
    pub(in crate::local::arm) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            worker: tokio::sync::Mutex::new(Running::Cold),
            in_flight: watch::Sender::new(0),
            last_used: Mutex::new(Instant::now()),
            fault: Mutex::default(),
            listening: Listening::default(),
        })
    }

    /// Counts a request in. Call it under the lock that [`App`]s are exchanged under.
    pub(in crate::local::arm) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.send_modify(|count| *count += 1);
        InFlight(Arc::clone(self))
    }

    /// The running handler; it is started where there is none.
    pub(in crate::local::arm) async fn ready(&self) -> Result<Arc<Worker>, StartError> {
        let package = self.parts.package.as_ref().ok_or(StartError::NoPackage)?;
        let mut running = self.worker.lock().await;
        match &*running {
            Running::Warm(worker) if worker.is_well().await => return Ok(Arc::clone(worker)),
            Running::Retired => return Err(StartError::Retired),
            Running::Warm(worker) => self.tell(&worker.ended()),
            Running::Cold => {}
        }
        *running = Running::Cold;
        let started = self.start(package).await;
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = match &started {
            Ok(worker) => worker.fault(),
            Err(error) => Some(error.to_string()),
        };
        let worker = started.inspect_err(|error| {
            self.tell(&format!("the app could not be started: {error}"));
        })?;
        let worker = Arc::new(worker);
        *running = Running::Warm(Arc::clone(&worker));
        Ok(worker)
    }

    /// Why the app does not run, or not all of it; none where it does, or was not asked to yet.
    pub(in crate::local::arm) fn fault(&self) -> Option<String> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone()
    }

    fn tell(&self, text: &str) {
        self.parts.logs.push(Stream::Platform, text);
    }

    async fn start(&self, package: &Package) -> Result<Worker, StartError> {
        let storage = self.parts.storage.as_ref();
        if storage.is_some_and(|storage| !storage.lets_in()) {
            return Err(StartError::NoStorage);
        }
        let start = Start {
            package,
            environment: &self.parts.environment,
            python: &self.parts.python,
            memory_limit: self.parts.limits.memory,
            start_timeout: self.parts.limits.start,
            logs: &self.parts.logs,
        };
        Worker::start(&start).await
    }

    /// Starts the app and asks it what a swap asks before traffic moves. Nothing to run is nothing to wait for.
    pub(in crate::local::arm) async fn warm_up(&self) -> Result<(), String> {
        let worker = match self.ready().await {
            Ok(worker) => worker,
            Err(StartError::NoPackage) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let Some(path) = self.parts.settings.get("WEBSITE_SWAP_WARMUP_PING_PATH") else {
            return Ok(());
        };
        let path = format!("/{}", path.trim_start_matches('/'));
        let status = timeout(self.parts.limits.start, forward::ping(self, &worker, &path))
            .await
            .map_err(|_| format!("{path} did not answer in time"))?
            .map_err(|error| format!("{path} did not answer: {error}"))?;
        self.accepts(&path, status)
    }

    fn accepts(&self, path: &str, status: StatusCode) -> Result<(), String> {
        let statuses = self.parts.settings.get("WEBSITE_SWAP_WARMUP_PING_STATUSES");
        let listed = |list: &String| {
            list.split([',', ' '])
                .any(|one| one.parse() == Ok(status.as_u16()))
        };
        if statuses.is_none_or(listed) {
            return Ok(());
        }
        Err(format!("{path} answered {status}, which is not accepted"))
    }

    /// Ends the process once the requests under way have ended, or have had their time. New requests must go elsewhere by now.
    pub(in crate::local::arm) async fn retire(&self) {
        let mut count = self.in_flight.subscribe();
        // The sender is ours, so the only other end of this wait is the time limit.
        drop(timeout(DRAIN_MAX, count.wait_for(|count| *count == 0)).await);
        self.stop().await;
    }

    /// Ends the process now, and for good.
    pub(in crate::local::arm) async fn stop(&self) {
        let before = std::mem::replace(&mut *self.worker.lock().await, Running::Retired);
        if let Running::Warm(worker) = before {
            worker.stop().await;
        }
    }

    /// Ends the process where nobody has asked for anything for `idle`; the next request starts it again.
    pub(in crate::local::arm) async fn idle_out(&self, idle: Duration) {
        let Ok(mut running) = self.worker.try_lock() else {
            return;
        };
        let used = *self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // A request is counted before it asks for the process, so one that is missed here waits for the lock and starts anew.
        if *self.in_flight.borrow() > 0 || used.elapsed() < idle {
            return;
        }
        if let Running::Warm(worker) = &*running {
            worker.stop().await;
            *running = Running::Cold;
            self.tell("the app was idle and has been stopped");
        }
    }

    /// The function that answers `path`, without its query.
    pub(in crate::local::arm) fn route(&self, method: &str, path: &str) -> Option<Routed<'_>> {
        let package = self.parts.package.as_ref()?;
        let path = strip_prefix(path, &package.route_prefix)?;
        let mut best: Option<Routed<'_>> = None;
        for (name, function) in &package.functions {
            let Some(trigger) = function.http.as_ref() else {
                continue;
            };
            if self.is_disabled(name, function) || !trigger.methods.answer(method) {
                continue;
            }
            let Some(parameters) = trigger.template.fits(path) else {
                continue;
            };
            let better = |best: &Routed<'_>| trigger.template.before(&best.trigger.template);
            if best.as_ref().is_none_or(better) {
                best = Some(Routed {
                    name,
                    function,
                    trigger,
                    parameters,
                });
            }
        }
        best
    }

    /// Whether the package or the settings switch the function off.
    pub(in crate::local::arm) fn is_disabled(&self, name: &str, function: &Function) -> bool {
        is_disabled(&self.parts.settings, name, function)
    }
}

/// `AzureWebJobs.<name>.Disabled` decides; function.json where it is not set.
pub(in crate::local::arm) fn is_disabled(
    settings: &BTreeMap<String, String>,
    name: &str,
    function: &Function,
) -> bool {
    let setting = format!("AzureWebJobs.{name}.Disabled");
    let told = settings
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(&setting));
    match told {
        Some((_, value)) => value.eq_ignore_ascii_case("true") || value == "1",
        None => function.disabled,
    }
}

fn strip_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix('/')?;
    let (head, rest) = rest.split_at_checked(prefix.len())?;
    (head.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('/')))
        .then_some(rest)
}

// === impl InFlight ===

impl InFlight {
    pub(in crate::local::arm) fn app(&self) -> &Arc<App> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        *self
            .0
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}
