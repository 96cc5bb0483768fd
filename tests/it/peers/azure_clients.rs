//! Azure's own clients drive our Azure endpoint over TLS, and Prism judges what they are answered.

use std::sync::Arc;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    local::arm::{self, ArmOptions},
};

use super::{python, python_of_az, succeeds};
use crate::cloud_azure::tap::Tap;

async fn is_driven_by(mut client: Command) {
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let any = "127.0.0.1:0".parse().unwrap();
    let endpoint = arm::start(
        any,
        Some(any),
        ArmOptions {
            page_size: 2,
            ..ArmOptions::default()
        },
        Arc::new(SystemClock),
        stop,
    );
    let endpoint = endpoint.await.unwrap();
    let tap = Tap::before_tls(&endpoint).await.unwrap();
    client.arg(&tap.url).arg(&endpoint.ca_file);
    succeeds(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azures_python_client_makes_deploys_and_swaps_an_app() {
    is_driven_by(python("azure_client.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azures_python_client_of_queues_puts_reads_changes_and_deletes_messages() {
    is_driven_by(python("azure_queues.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_az_command_line_makes_deploys_swaps_and_deletes_an_app() {
    is_driven_by(python_of_az("az_cli.py")).await;
}
