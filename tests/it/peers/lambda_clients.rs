//! boto3 and the aws command line drive our Lambda endpoint. Between them and it stands a checker that knows AWS's own model.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use verdigris::local::lambda::{LambdaEndpoint, LambdaOptions};

use super::{
    model::{Checker, Tap, is_clean, tapped},
    program, python, succeeds,
};
use crate::{
    cloud_aws::OnAws,
    cloud_contract::{self, Server, Subject as _},
};

/// Our endpoint; it ends with the test.
pub(super) struct Ours {
    pub(super) endpoint: LambdaEndpoint,
    stop: CancellationToken,
    _tap: Tap,
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
        let (endpoint, tap) = tapped(options, stop.clone()).await;
        Self {
            endpoint,
            stop,
            _tap: tap,
        }
    }
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
    cloud_contract::holds_on(Server::LocalLambda, on.clone()).await;
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
