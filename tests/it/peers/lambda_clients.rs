//! boto3 and the aws command line drive our Lambda endpoint. Between them and it stands a checker that knows AWS's own model.

use std::{process::Stdio, sync::Arc, time::Duration};

use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use url::Url;
use verdigris::{
    clock::SystemClock,
    local::lambda::{self, LambdaEndpoint, LambdaOptions},
};

use super::{program, python, succeeds};
use crate::{
    cloud_aws::OnAws,
    cloud_contract::{self, Subject as _},
};

/// Our endpoint; it ends with the test.
pub(super) struct Ours {
    pub(super) endpoint: LambdaEndpoint,
    stop: CancellationToken,
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Runs Python functions by the vendor's own runtime client, as it is in the virtual environment.
pub(super) fn options() -> LambdaOptions {
    LambdaOptions {
        pending: Duration::from_millis(200),
        python: program("python"),
        ..LambdaOptions::default()
    }
}

impl Ours {
    pub(super) async fn start(options: LambdaOptions) -> Self {
        let stop = CancellationToken::new();
        let address = "127.0.0.1:0".parse().unwrap();
        let started = lambda::start(address, options, Arc::new(SystemClock), stop.clone());
        let endpoint = started.await.unwrap();
        Self { endpoint, stop }
    }
}

/// What the checker says of one call.
#[derive(Debug, Deserialize)]
struct Call {
    operation: Option<String>,
    status: u16,
    faults: Vec<String>,
}

/// A running checker, in front of an endpoint.
struct Checker {
    address: Url,
    process: Child,
    /// Whoever does not read what it says stops it once the pipe is full.
    reading: JoinHandle<Vec<Call>>,
}

impl Checker {
    async fn before(upstream: &Url) -> Self {
        let mut command = python("lambda_model.py");
        command.arg(upstream.as_str());
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
        }
    }

    /// Ends it, and tells what it saw.
    async fn end(mut self) -> Vec<Call> {
        self.process.kill().await.unwrap();
        self.reading.await.unwrap()
    }
}

/// Where we are right to differ from the model.
const EXPLAINED: [&str; 2] = [
    // The real service says so while an update runs, and its own model does not know the word.
    "LastUpdateStatusReasonCode: 'Creating' is none of the known words",
    // `http://127.0.0.1:40123/` is shorter than any address of the real service.
    "FunctionUrl: 23 is outside 40..100",
];

/// No call may hold anything else that the model does not allow, and at least `operations` kinds of calls were seen.
fn is_clean(calls: &[Call], operations: usize) {
    let is_explained = |fault: &&String| EXPLAINED.iter().any(|told| fault.ends_with(told));
    let faulty = |call: &&Call| !call.faults.iter().all(|fault| is_explained(&fault));
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

#[tokio::test(flavor = "multi_thread")]
async fn boto3_finds_lambda_as_aws_describes_it() {
    let ours = Ours::start(options()).await;
    let checker = Checker::before(&ours.endpoint.url).await;
    let mut client = python("lambda_client.py");
    client.arg(checker.address.as_str());
    succeeds(client).await;
    is_clean(&checker.end().await, 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_command_line_takes_a_function_from_nothing_to_its_second_version() {
    let ours = Ours::start(options()).await;
    let checker = Checker::before(&ours.endpoint.url).await;
    let folder = TempDir::new().unwrap();
    let mut client = python("lambda_cli.py");
    client.arg(checker.address.as_str()).arg(folder.path());
    succeeds(client).await;
    is_clean(&checker.end().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_provider_and_our_endpoint_speak_as_the_model_says() {
    let ours = Ours::start(options()).await;
    let checker = Checker::before(&ours.endpoint.url).await;
    let on = Arc::new(OnAws::at(&checker.address).await);
    cloud_contract::holds_on(on.clone()).await;
    assert!(on.writes() > 0);
    is_clean(&checker.end().await, 15);
}

/// The checker says nothing where it cannot make sense of the model: so a fault is planted.
#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_what_a_server_of_others_does_wrong() {
    let moto = cloud_contract::peers::moto().await;
    let checker = Checker::before(&moto.endpoint).await;
    let on = Arc::new(OnAws::at(&checker.address).await);
    let fixture = cloud_contract::release::Fixture::new(0);
    let one = fixture.release("one");
    on.cloud().stage(&one.release, &one.package).await.unwrap();
    let calls = checker.end().await;
    let faulty = calls.iter().filter(|call| !call.faults.is_empty());
    assert!(faulty.count() > 0, "{calls:?}");
}
