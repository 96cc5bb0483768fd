//! One process of a function: it starts, takes one invocation at a time, and is killed when it fails to behave.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::{
    Outcome, Target,
    api::{ANSWER_MAX, Api, Event, Said},
    flow::{self, Sink},
    runtimes::{Runtimes, environment},
};
use crate::local::process::{Child, Exit, LogRing, Spawn, Stream};

/// A process that has told its failure ends, or asks for the next call, at once; one that does neither is still about something.
const RECOVERY: Duration = Duration::from_secs(2);

/// What a worker is started with, beyond its target.
pub(super) struct Ground<'a> {
    pub(super) runtimes: &'a Runtimes,
    pub(super) region: &'a str,
    pub(super) logs: Arc<LogRing>,
    pub(super) init_timeout: Duration,
}

pub(super) struct Worker {
    child: Child,
    api: Api,
    /// The lines of this process alone.
    pub(super) logs: Arc<LogRing>,
    pub(super) idle_since: Instant,
    /// How long the start took, until the first report has told it.
    init: Option<Duration>,
}

/// One call.
pub(super) struct Job {
    pub(super) id: Uuid,
    pub(super) payload: Bytes,
    pub(super) arn: String,
    pub(super) trace: String,
    pub(super) now_millis: i64,
    pub(super) sink: Option<Sink>,
}

/// Whether the process can take another call.
pub(super) enum After {
    Reuse,
    Discard,
}

impl Worker {
    /// Starts a process and waits until it asks for work.
    pub(super) async fn start(
        target: &Target,
        ground: Ground<'_>,
        id: Uuid,
    ) -> Result<Self, Outcome> {
        let Ground {
            runtimes,
            region,
            logs,
            init_timeout,
        } = ground;
        let started = Instant::now();
        let config = &target.content.config;
        let refuse = |why: String| {
            logs.push(
                Stream::Platform,
                &format!("INIT_REPORT Status: error {why}"),
            );
            Outcome::failed(
                "Runtime.InvalidEntrypoint",
                &format!("RequestId: {id} Error: {why}"),
            )
        };
        let program = runtimes
            .program(config, &target.package)
            .await
            .map_err(refuse)?;
        let api = Api::start()
            .await
            .map_err(|fault| refuse(format!("no port for the runtime API: {fault}")))?;
        let stream = Uuid::new_v4().simple().to_string();
        let own = LogRing::feeding(&logs);
        let spawn = Spawn {
            program: program.program,
            args: program.args,
            cwd: target.package.clone(),
            env: environment(target, region, &api.address, &stream),
            memory_limit: Some(u64::from(config.memory) << 20),
            logs: Arc::clone(&own),
        };
        let child = Child::spawn(spawn)
            .map_err(|fault| refuse(format!("{:#}", anyhow::Error::new(fault))))?;
        let mut worker = Self {
            child,
            api,
            logs: own,
            idle_since: Instant::now(),
            init: None,
        };
        worker.await_ready(id, init_timeout).await?;
        worker.init = Some(started.elapsed());
        Ok(worker)
    }

    async fn await_ready(&mut self, id: Uuid, limit: Duration) -> Result<(), Outcome> {
        let exited = self.child.exited();
        let failure = tokio::select! {
            biased;
            said = self.api.said.recv() => match said {
                Some(Said::InitFailure(body)) => Outcome::unhandled(body),
                Some(
                    Said::Answer(..) | Said::Flow(..) | Said::Failure(..) | Said::TooLarge(..),
                )
                | None => {
                    Outcome::failed("Runtime.Unknown", "the process answered before it was asked")
                }
            },
            ready = self.api.ready.wait_for(|ready| *ready) => {
                drop(ready);
                return Ok(());
            }
            exit = exited => crash(id, exit),
            () = tokio::time::sleep(limit) => timed_out(id, limit),
        };
        self.child.kill();
        Err(failure)
    }

    /// Runs one call to its end; at the limit the process is killed.
    pub(super) async fn run(&mut self, job: Job, limit: Duration) -> (Outcome, After) {
        let Job {
            id,
            payload,
            arn,
            trace,
            now_millis,
            sink,
        } = job;
        let started = Instant::now();
        let limit_millis = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        let event = Event {
            id,
            payload,
            deadline: now_millis.saturating_add(limit_millis),
            arn,
            trace,
        };
        if self.api.events.send(event).await.is_err() {
            return (crash(id, Exit::Stopped), After::Discard);
        }
        let answer = timeout_at(started + limit, self.answer(id, sink)).await;
        let (outcome, after) = answer.unwrap_or_else(|_| (timed_out(id, limit), After::Discard));
        let after = match (&outcome, after) {
            (Outcome::Failed { .. }, After::Reuse) => self.recovered().await,
            (Outcome::Failed { .. } | Outcome::Answered(_), after) => after,
        };
        match after {
            After::Discard => {
                self.child.kill();
                self.child.exited().await;
            }
            // What it wrote on the way to its answer belongs to this call.
            After::Reuse => self.child.caught_up().await,
        }
        (outcome, after)
    }

    /// A process that ends by what it failed with is not to be given another call.
    async fn recovered(&mut self) -> After {
        let exited = self.child.exited();
        tokio::select! {
            biased;
            _ = exited => After::Discard,
            _ = self.api.ready.wait_for(|ready| *ready) => After::Reuse,
            () = tokio::time::sleep(RECOVERY) => After::Reuse,
        }
    }

    async fn answer(&mut self, id: Uuid, sink: Option<Sink>) -> (Outcome, After) {
        let exited = self.child.exited();
        tokio::pin!(exited);
        loop {
            let said = tokio::select! {
                // What was said before the end still counts.
                biased;
                said = self.api.said.recv() => said,
                exit = &mut exited => return (crash(id, exit), After::Discard),
            };
            match said {
                Some(Said::Answer(of, body)) if of == id => {
                    return (Outcome::Answered(body), After::Reuse);
                }
                Some(Said::Flow(of, flow)) if of == id => {
                    return flow::pass(id, flow, sink, exited).await;
                }
                Some(Said::Failure(of, body)) if of == id => {
                    return (Outcome::unhandled(body), After::Reuse);
                }
                Some(Said::TooLarge(of)) if of == id => {
                    // Runtime clients do not agree on how to go on after a refused answer: a new process does.
                    return (too_large(ANSWER_MAX), After::Discard);
                }
                Some(Said::InitFailure(body)) => return (Outcome::unhandled(body), After::Discard),
                // An answer to an earlier call: it has nobody left to go to.
                Some(
                    Said::Answer(..) | Said::Flow(..) | Said::Failure(..) | Said::TooLarge(..),
                ) => {}
                None => return (crash(id, Exit::Stopped), After::Discard),
            }
        }
    }

    /// How long the start took; told once.
    pub(super) fn take_init(&mut self) -> Option<Duration> {
        self.init.take()
    }

    pub(super) fn memory(&self) -> u64 {
        self.child.memory()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.child.exit().is_some()
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn end(self) {
        self.child.kill();
        drop(timeout(Duration::from_secs(5), self.child.exited()).await);
    }
}

fn timed_out(id: Uuid, limit: Duration) -> Outcome {
    let message = format!(
        "RequestId: {id} Error: Task timed out after {:.2} seconds",
        limit.as_secs_f64()
    );
    Outcome::failed("Sandbox.Timedout", &message)
}

pub(super) fn too_large(limit: usize) -> Outcome {
    let message =
        format!("Response payload size exceeded maximum allowed payload size ({limit} bytes).");
    Outcome::failed("Function.ResponseSizeTooLarge", &message)
}

pub(super) fn crash(id: Uuid, exit: Exit) -> Outcome {
    let (kind, how) = match exit {
        Exit::Code(code) => ("Runtime.ExitError", format!("exit status {code}")),
        Exit::Signal(signal) => ("Runtime.ExitError", format!("signal: {signal}")),
        Exit::OutOfMemory { .. } => ("Runtime.OutOfMemory", "signal: killed".to_owned()),
        Exit::Stopped => ("Runtime.ExitError", "signal: killed".to_owned()),
    };
    Outcome::failed(
        kind,
        &format!("RequestId: {id} Error: Runtime exited with error: {how}"),
    )
}

impl Outcome {
    pub(super) fn failed(kind: &str, message: &str) -> Self {
        let payload = json!({"errorType": kind, "errorMessage": message}).to_string();
        Self::Failed {
            payload: payload.into(),
            kind: kind.to_owned(),
        }
    }

    fn unhandled(payload: Bytes) -> Self {
        Self::Failed {
            payload,
            kind: String::new(),
        }
    }
}
