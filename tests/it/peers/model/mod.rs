//! A checker that knows AWS's own models of its services, between a client and an endpoint; or within our endpoint.

mod judge;
mod tap;

use std::{process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    task::JoinHandle,
    time::timeout,
};
use url::Url;

pub(crate) use self::tap::{Tap, tapped};
use super::python;

/// What the checker says of one call.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Call {
    /// As requests are signed: `lambda`, `events`.
    pub(crate) service: String,
    pub(crate) operation: Option<String>,
    /// The function, the rule, the group, the object.
    pub(crate) about: Option<String>,
    pub(crate) status: u16,
    pub(crate) faults: Vec<String>,
}

/// A running checker, in front of an endpoint.
pub(crate) struct Checker {
    pub(crate) address: Url,
    process: Child,
    /// Whoever does not read what it says stops it once the pipe is full.
    reading: JoinHandle<Vec<Call>>,
    /// What it lets through, where it is told.
    _policy: Option<tempfile::NamedTempFile>,
}

impl Checker {
    pub(crate) async fn before(upstream: &Url) -> Self {
        Self::start(upstream, None).await
    }

    /// What an IAM policy does not allow goes no further.
    pub(crate) async fn guarding(upstream: &Url, policy: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), policy).unwrap();
        Self::start(upstream, Some(file)).await
    }

    async fn start(upstream: &Url, policy: Option<tempfile::NamedTempFile>) -> Self {
        let mut command = python("aws_model.py");
        command.arg(upstream.as_str());
        command.args(policy.as_ref().map(|it| it.path()));
        command.stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = timeout(Duration::from_secs(60), lines.next_line()).await;
        let first = first.expect("the checker does not start").unwrap();
        let address = first.expect("the checker ended before it listened");
        let reading = tokio::spawn(async move {
            let mut calls = Vec::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                calls.push(serde_json::from_str(&line).unwrap());
            }
            calls
        });
        Self {
            address: Url::parse(&address).unwrap(),
            process,
            reading,
            _policy: policy,
        }
    }

    /// Ends it, and tells what it saw.
    pub(crate) async fn end(mut self) -> Vec<Call> {
        self.process.kill().await.unwrap();
        self.reading.await.unwrap()
    }
}

/// Where we are right to differ from the model.
const EXPLAINED: [&str; 5] = [
    // The real service says so while an update runs, and its own model does not know the word.
    "LastUpdateStatusReasonCode: 'Creating' is none of the known words",
    // The real service was recorded to refuse what lies in another account without a word.
    "refusal 403: has no message",
    // `http://127.0.0.1:40123/` is shorter than any address of the real service.
    "FunctionUrl: 23 is outside 40..100",
    // Events of a stack itself tell its own states, of which the model knows those only that resources have, too.
    "StackEvents[].ResourceStatus: 'REVIEW_IN_PROGRESS' is none of the known words",
    "StackEvents[].ResourceStatus: 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS' is none of the known words",
];

/// What is left of them.
fn unexplained(faults: &[String]) -> Vec<&String> {
    let is_explained = |fault: &&String| EXPLAINED.iter().any(|told| fault.ends_with(told));
    faults.iter().filter(|it| !is_explained(it)).collect()
}

/// No call may hold anything else that the model does not allow, and at least `operations` kinds of calls were seen.
pub(crate) fn is_clean(calls: &[Call], operations: usize) {
    let faulty = |call: &&Call| !unexplained(&call.faults).is_empty();
    let faulty: Vec<&Call> = calls.iter().filter(faulty).collect();
    assert!(faulty.is_empty(), "{faulty:#?}");
    let mut seen: Vec<&String> = calls
        .iter()
        .filter_map(|it| it.operation.as_ref())
        .collect();
    seen.sort();
    seen.dedup();
    assert!(seen.len() >= operations, "{} only: {seen:?}", seen.len());
    assert!(calls.iter().any(|call| call.status >= 400));
}
