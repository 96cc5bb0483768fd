//! Fifty promotions and fifty rollbacks on both local clouds while users ask both blues without a pause: what they lost, what answered
//! them, and how long the way back took.
//!
//! `VERDIGRIS_BENCH_SWAPS` changes how many.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(clippy::disallowed_methods, reason = "sizes come from the environment")]

#[expect(dead_code, reason = "the other benches use the rest of it")]
mod kit;
#[path = "kit/swaps.rs"]
mod story;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use kit::{Figure, line, setting, title};
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    cloud::azure::AzureIdentity,
    daemon::{config::Config, run},
    git::author::Author,
    local::{arm, lambda},
};

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let clock = Arc::new(SystemClock);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = lambda::LambdaOptions {
        pending: Duration::from_millis(100),
        ..lambda::LambdaOptions::default()
    };
    let aws = lambda::start(anywhere, options, clock.clone(), stop.clone());
    let aws = aws.await.unwrap();
    let options = arm::ArmOptions {
        swap_time: Duration::from_millis(200),
        ..arm::ArmOptions::default()
    };
    let azure = arm::start(anywhere, None, options, clock.clone(), stop.clone());
    let azure = azure.await.unwrap();
    let origin = folder.path().join("origin");
    let author = Author::init(&origin).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests-example");
    author.copy_tree(&example).unwrap();
    story::prepare(&author);
    let mut config = Config::for_repository(&format!("file://{}", origin.display()), "main", "");
    let config = config.as_mut().unwrap();
    config.aws.endpoint = Some(aws.url.clone());
    config.azure.endpoint = Some(azure.url.parse().unwrap());
    let daemon = run::start(run::Options {
        config: config.clone(),
        config_file: None,
        data: folder.path().join("data"),
        identity: AzureIdentity::default(),
        search_path: std::env::var("PATH").ok(),
        clock,
        env: |_| None,
    });
    let daemon = daemon.await.unwrap();
    title("blue moves on both clouds while users ask");
    let rounds = setting("VERDIGRIS_BENCH_SWAPS", 50);
    tell(&story::play(&daemon, &author, rounds).await);
    daemon.stop().await;
    stop.cancel();
    aws.finished().await;
    azure.stopped().await;
}

fn tell(told: &story::Told) {
    let story::Told {
        promotions,
        rejected,
        rollbacks,
        asked,
        lost,
        unproven,
        answering,
    } = told;
    let mut figure = Figure::new("a rollback, from the word to both blues");
    for took in rollbacks {
        figure.add(*took);
    }
    line("promotions", &promotions.to_string());
    line("rollbacks", &rollbacks.len().to_string());
    line("commits that a gate refused", &rejected.to_string());
    line("requests", &asked.to_string());
    line("… lost", &lost.len().to_string());
    line("releases that answered", &answering.to_string());
    line(
        "… that had not passed their gates",
        &unproven.len().to_string(),
    );
    figure.print();
    assert!(
        lost.is_empty() && unproven.is_empty(),
        "{lost:#?} {unproven:?}"
    );
}
