//! Runs functions: scales each version from zero to its limit and back, one invocation per process at a time.

mod api;
mod flow;
mod pool;
mod report;
mod runtimes;
mod worker;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(super) use self::{
    flow::{Part, Sink, way},
    pool::Key,
};
use self::{
    pool::Pool,
    report::{Report, tail},
    runtimes::Runtimes,
    worker::{After, Ground, Job, Worker},
};
use super::{LambdaOptions, record::Content};
use crate::{
    clock::Clock,
    local::process::{LogRing, Stream},
    name::CodeDigest,
};

/// How often idle processes are looked at.
const SWEEP: Duration = Duration::from_millis(200);

/// Lines kept in memory for one function.
const LINES: usize = 2_000;

/// What to run.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) function: String,
    pub(super) version: String,
    pub(super) content: Content,
    /// The unpacked package.
    pub(super) package: PathBuf,
    pub(super) reserved: Option<u32>,
}

/// How an invocation that ran has ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Answered(Bytes),
    /// The function failed: `payload` is its error document.
    Failed {
        payload: Bytes,
        kind: String,
    },
}

/// An invocation that ran, with what it wrote.
pub(super) struct Ran {
    pub(super) id: Uuid,
    pub(super) outcome: Outcome,
    /// The newest lines of the process that ran it, where they were asked for.
    pub(super) log: Option<String>,
}

/// A call as it came.
pub(super) struct Asked {
    pub(super) payload: Bytes,
    pub(super) arn: String,
    pub(super) trace: String,
    /// Whether the caller reads what the function wrote. Few do, and it is put together from thousands of lines.
    pub(super) wants_log: bool,
    /// Where the caller takes the answer as it is made. What is given there is not in the outcome.
    pub(super) sink: Option<Sink>,
}

/// An invocation that was not begun, because too many are under way.
pub(super) struct Throttled {
    pub(super) reason: &'static str,
}

/// All processes of an endpoint.
pub(super) struct Runner {
    runtimes: Runtimes,
    region: String,
    clock: Arc<dyn Clock>,
    limits: Limits,
    log_folder: Option<PathBuf>,
    state: Mutex<State>,
    stop: CancellationToken,
}

struct Limits {
    concurrency: u32,
    processes: usize,
    idle: Duration,
    init: Duration,
}

#[derive(Default)]
struct State {
    pools: BTreeMap<Key, Arc<Pool>>,
    logs: BTreeMap<String, Arc<LogRing>>,
    /// Invocations under way, by function.
    running: BTreeMap<String, u32>,
}

impl Runner {
    pub(super) fn new(
        options: &LambdaOptions,
        folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let runtimes = Runtimes::new(
            &folder.join("runtimes"),
            options.python.clone(),
            options.node.clone(),
            options.node_ric.clone(),
        )?;
        Ok(Self {
            runtimes,
            region: options.region.clone(),
            clock,
            limits: Limits {
                concurrency: options.concurrency,
                processes: options.processes_max.max(1),
                idle: options.idle_timeout,
                init: options.init_timeout,
            },
            log_folder: options.state.as_ref().map(|_| folder.join("logs")),
            state: Mutex::default(),
            stop: CancellationToken::new(),
        })
    }

    /// Runs one call to its end, in a process that is free or a new one.
    pub(super) async fn invoke(
        self: &Arc<Self>,
        target: &Target,
        asked: Asked,
    ) -> Result<Ran, Throttled> {
        let Asked {
            payload,
            arn,
            trace,
            wants_log,
            sink,
        } = asked;
        let _running = self.admit(target)?;
        let id = Uuid::new_v4();
        let now_millis = self.clock.now().millis();
        let job = Job {
            id,
            payload,
            arn,
            trace,
            now_millis,
            sink,
        };
        let pool = self.pool(target);
        let permit = pool.wait().await;
        let logs = self.logs(&target.function);
        logs.push(
            Stream::Platform,
            &format!("START RequestId: {id} Version: {}", target.version),
        );
        let began = tokio::time::Instant::now();
        let Attempt {
            outcome,
            worker,
            own,
            init,
            memory,
        } = self.run_on(&pool, target, job, &logs).await;
        let size = target.content.config.memory;
        let report = Report {
            id,
            outcome: &outcome,
            took: began.elapsed(),
            init,
            memory,
            size,
        };
        report.write(&logs);
        let log = wants_log.then(|| tail(own.as_deref(), &logs, id));
        if let Some(worker) = worker {
            pool.give_back(worker).await;
        }
        drop(permit);
        Ok(Ran { id, outcome, log })
    }

    /// Ends early where the endpoint stops.
    async fn run_on(&self, pool: &Pool, target: &Target, job: Job, logs: &Arc<LogRing>) -> Attempt {
        let id = job.id;
        let worker = match pool.take_idle() {
            Some(worker) => Ok(worker),
            None => {
                let ground = Ground {
                    runtimes: &self.runtimes,
                    region: &self.region,
                    logs: Arc::clone(logs),
                    init_timeout: self.limits.init,
                };
                let start = Worker::start(target, ground, id);
                self.stop
                    .run_until_cancelled(start)
                    .await
                    .unwrap_or_else(|| Err(stopping(id)))
            }
        };
        let mut worker = match worker {
            Ok(worker) => worker,
            Err(outcome) => {
                return Attempt {
                    outcome,
                    worker: None,
                    own: None,
                    init: None,
                    memory: 0,
                };
            }
        };
        let init = worker.take_init();
        if init.is_none() {
            worker.logs.clear();
        }
        let own = Some(Arc::clone(&worker.logs));
        let limit = Duration::from_secs(u64::from(target.content.config.timeout));
        let job = Job {
            now_millis: self.clock.now().millis(),
            ..job
        };
        let ran = self.stop.run_until_cancelled(worker.run(job, limit)).await;
        let (outcome, after) = ran.unwrap_or_else(|| (stopping(id), After::Discard));
        let memory = worker.memory();
        let worker = match after {
            After::Reuse => Some(worker),
            After::Discard => {
                worker.end().await;
                None
            }
        };
        Attempt {
            outcome,
            worker,
            own,
            init,
            memory,
        }
    }

    /// Counts the call in, or refuses it.
    fn admit(self: &Arc<Self>, target: &Target) -> Result<Running, Throttled> {
        let mut state = self.state();
        let all: u32 = state.running.values().sum();
        let own = state.running.get(&target.function).copied().unwrap_or(0);
        if target.reserved.is_some_and(|reserved| own >= reserved) {
            let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
            return Err(Throttled { reason });
        }
        if all >= self.limits.concurrency {
            return Err(Throttled {
                reason: "ConcurrentInvocationLimitExceeded",
            });
        }
        *state.running.entry(target.function.clone()).or_insert(0) += 1;
        Ok(Running {
            runner: Arc::clone(self),
            function: target.function.clone(),
        })
    }

    fn pool(&self, target: &Target) -> Arc<Pool> {
        let key = Key::of(target);
        let mut state = self.state();
        let fresh = || Arc::new(Pool::new(self.limits.processes));
        Arc::clone(state.pools.entry(key).or_insert_with(fresh))
    }

    /// What the function wrote; kept until the endpoint stops, also when the function is deleted.
    fn logs(&self, function: &str) -> Arc<LogRing> {
        let mut state = self.state();
        let fresh = || {
            let clock = Arc::clone(&self.clock);
            let file = self
                .log_folder
                .as_ref()
                .map(|folder| folder.join(format!("{function}.log")));
            let opened =
                file.and_then(|file| LogRing::with_file(Arc::clone(&clock), LINES, &file).ok());
            // Logs without a file are better than a function that does not run.
            opened.unwrap_or_else(|| LogRing::new(clock, LINES))
        };
        Arc::clone(state.logs.entry(function.to_owned()).or_insert_with(fresh))
    }

    /// What was kept of a function's output; `None` where it never ran.
    pub(super) fn kept_logs(&self, function: &str) -> Option<Arc<LogRing>> {
        self.state().logs.get(function).cloned()
    }

    /// Packages that processes run from, those of old content included.
    pub(super) fn packages(&self) -> Vec<CodeDigest> {
        self.state().pools.keys().map(|key| key.package).collect()
    }

    /// Looks after idle processes until `stop`: `is_current` tells whether a version still runs that content.
    pub(super) async fn look_after(&self, is_current: impl Fn(&Key) -> bool) {
        let sweep = async {
            loop {
                tokio::time::sleep(SWEEP).await;
                self.sweep(&is_current).await;
            }
        };
        self.stop.run_until_cancelled(sweep).await;
    }

    async fn sweep(&self, is_current: &impl Fn(&Key) -> bool) {
        let pools: Vec<(Key, Arc<Pool>)> = self
            .state()
            .pools
            .iter()
            .map(|(key, pool)| (key.clone(), Arc::clone(pool)))
            .collect();
        for (key, pool) in pools {
            if is_current(&key) {
                pool.end_idle(self.limits.idle).await;
            } else {
                pool.retire().await;
            }
            let mut state = self.state();
            // Nobody else holds it, and it holds nothing: it would be made anew when needed.
            if Arc::strong_count(&pool) == 2 && pool.is_empty() {
                state.pools.remove(&key);
            }
        }
    }

    /// Ends every process, busy or not, and waits until they are gone.
    pub(super) async fn shut_down(&self) {
        self.stop.cancel();
        let pools = std::mem::take(&mut self.state().pools);
        for pool in pools.values() {
            pool.retire().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One invocation under way; dropping it counts it out.
struct Running {
    runner: Arc<Runner>,
    function: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.runner.state();
        if let Some(count) = state.running.get_mut(&self.function) {
            *count -= 1;
            if *count == 0 {
                state.running.remove(&self.function);
            }
        }
    }
}

/// One call on one process.
struct Attempt {
    outcome: Outcome,
    /// The process, where it can take another call.
    worker: Option<Worker>,
    own: Option<Arc<LogRing>>,
    init: Option<Duration>,
    memory: u64,
}

fn stopping(id: Uuid) -> Outcome {
    Outcome::failed(
        "Runtime.ExitError",
        &format!("RequestId: {id} Error: the endpoint is stopping"),
    )
}
