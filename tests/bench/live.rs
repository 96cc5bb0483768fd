//! From a commit to live on both clouds, with the services of `manifests-example` on the two local clouds; against the bare calls that
//! put the same releases on the same clouds.
//!
//! `VERDIGRIS_BENCH_CHANGES` changes how many commits follow the first.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(clippy::disallowed_methods, reason = "sizes come from the environment")]

#[path = "kit/ended.rs"]
mod ended;
#[expect(dead_code, reason = "the other bench uses the rest of it")]
mod kit;

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use kit::{Figure, line, millis, ratio, setting, title};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    cloud::{Package, SharedCloud, azure::AzureIdentity},
    daemon::{
        clouds::Clouds,
        config::{AwsAccess, AzureAccess, Config},
        run::{self, Daemon},
    },
    git::author::Author,
    local::{arm, lambda},
    name::{CloudName, ServiceKey, Timestamp},
    plan::state::{ReleaseRecord, ServiceState},
    rollout::Rollout,
};

/// A service, the file that a change touches, and whether it needs a program that may be missing here.
const SERVICES: [(&str, &str); 3] = [
    ("inventory", "services/inventory/app.py"),
    ("cart", "services/cart/app.mjs"),
    ("price", "services/price/server.c"),
];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let clock = Arc::new(SystemClock);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = lambda::LambdaOptions::default();
    let aws = lambda::start(anywhere, options, clock.clone(), stop.clone());
    let aws = aws.await.unwrap();
    let options = arm::ArmOptions::default();
    let azure = arm::start(anywhere, None, options, clock.clone(), stop.clone());
    let azure = azure.await.unwrap();
    let origin = folder.path().join("origin");
    let author = Author::init(&origin).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests-example");
    author.copy_tree(&example).unwrap();
    author.commit("first").unwrap();
    let mut config = Config::for_repository(&format!("file://{}", origin.display()), "main", "");
    let config = config.as_mut().unwrap();
    config.aws = AwsAccess {
        endpoint: Some(aws.url.clone()),
        ..AwsAccess::default()
    };
    config.azure = AzureAccess {
        endpoint: Some(azure.url.parse().unwrap()),
        ..AzureAccess::default()
    };
    let data = folder.path().join("data");
    let started = Instant::now();
    let daemon = run::start(run::Options {
        config: config.clone(),
        config_file: None,
        data,
        identity: nobody(),
        search_path: std::env::var("PATH").ok(),
        clock,
        env: |_| None,
    });
    let daemon = daemon.await.unwrap();
    title("first commit, all services at once: from the daemon's start to live on both clouds");
    let states = all_live(&daemon, 1).await;
    line("all", &format!("{} ms", millis(started.elapsed())));
    for state in &states {
        parts(state);
    }
    let figures = changes(&author, &daemon).await;
    let states = all_states(&daemon).await;
    daemon.stop().await;
    Box::pin(floors(config, &states, &figures)).await;
    stop.cancel();
    aws.finished().await;
    azure.stopped().await;
}

fn nobody() -> AzureIdentity {
    AzureIdentity::default()
}

/// Changes each service in turn.
async fn changes(author: &Author, daemon: &Daemon) -> BTreeMap<&'static str, Figure> {
    let rounds = setting("VERDIGRIS_BENCH_CHANGES", 3);
    let mut figures = BTreeMap::new();
    for (name, file) in SERVICES {
        title(&format!(
            "a change of {name}: from the commit to live on both clouds, bake left out"
        ));
        let mut figure = Figure::new("commit to live");
        for round in 0..rounds {
            let path = author.folder().join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.replace(
                &format!("\"v{}\"", round + 1),
                &format!("\"v{}\"", round + 2),
            );
            author.write(file, text).unwrap();
            author.commit("change").unwrap();
            let committed = verdigris::clock::Clock::now(&SystemClock);
            daemon.sources.wake_all();
            let state = ended::live(daemon, &key(name), round as u64 + 2).await;
            figure.add(without_bake(state.rollout.as_ref().unwrap(), committed));
            if round + 1 == rounds {
                parts(&state);
            }
        }
        figure.print();
        figures.insert(name, figure);
    }
    figures
}

fn key(name: &str) -> ServiceKey {
    format!("prod/{name}").parse().unwrap()
}

async fn all_live(daemon: &Daemon, rollout: u64) -> Vec<ServiceState> {
    let mut states = Vec::new();
    for (name, _) in SERVICES {
        states.push(ended::live(daemon, &key(name), rollout).await);
    }
    states
}

async fn all_states(daemon: &Daemon) -> Vec<ServiceState> {
    let mut states = Vec::new();
    for (name, _) in SERVICES {
        states.push(daemon.handle.state(&key(name)).await.unwrap());
    }
    states
}

/// From the commit to blue on both clouds.
fn without_bake(rollout: &Rollout, committed: Timestamp) -> Duration {
    let mut moves = rollout.transitions.iter();
    let baking = moves.find(|it| it.phase == "Baking");
    let promoted = baking.or(rollout.transitions.last()).unwrap();
    promoted.at.since(committed)
}

/// How long the newest rollout of a service was in each phase.
fn parts(state: &ServiceState) {
    let rollout = state.rollout.as_ref().unwrap();
    let told: Vec<String> = rollout
        .transitions
        .windows(2)
        .map(|pair| {
            format!(
                "{} {}",
                pair[0].phase,
                pair[1].at.since(pair[0].at).as_millis()
            )
        })
        .collect();
    println!("  {} {}: {} (ms)", state.key, rollout.id, told.join(", "));
}

// === the least that it could take ===

/// The bare calls: stage on both clouds at once, promote on both at once; no build, no gates, no store.
async fn floors(
    config: &Config,
    states: &[ServiceState],
    figures: &BTreeMap<&'static str, Figure>,
) {
    title("the bare calls for the same releases: stage on both clouds, then promote on both");
    let clouds = Clouds::new(config.aws.clone(), config.azure.clone(), nobody());
    for state in states {
        let name = state.key.service.as_str();
        let environment = state.memory.environment.as_ref().unwrap();
        let mut targets = Vec::new();
        for cloud in CloudName::ALL {
            targets.push((cloud, clouds.target(environment, cloud).await.unwrap()));
        }
        for (_, target) in &targets {
            target.prune(&state.scope()).await.unwrap();
        }
        let releases = state.releases.values().map(AsRef::as_ref);
        let mut releases: Vec<&ReleaseRecord> = releases.collect();
        releases.sort_by_key(|record| record.promoted_at);
        println!("  {name}");
        bare("  first", &targets, state, releases[0]).await;
        let least = bare("  change", &targets, state, releases[1]).await;
        ratio(
            "  … ours against that, build and gates included",
            figures[name].median(),
            least,
        );
    }
}

async fn bare(
    what: &str,
    targets: &[(CloudName, SharedCloud)],
    state: &ServiceState,
    record: &ReleaseRecord,
) -> Duration {
    let package = |cloud: CloudName| {
        let packed = &record.packages[&cloud];
        Package {
            code: packed.code,
            path: packed.path.clone(),
            size: packed.size,
        }
    };
    let started = Instant::now();
    let stage = |cloud: &SharedCloud, package: Package| {
        let (cloud, release) = (cloud.clone(), record.release.clone());
        async move {
            let started = Instant::now();
            cloud.stage(&release, &package).await.unwrap();
            started.elapsed()
        }
    };
    let staged = tokio::join!(
        stage(&targets[0].1, package(targets[0].0)),
        stage(&targets[1].1, package(targets[1].0)),
    );
    let promote = |cloud: &SharedCloud| {
        let (cloud, scope) = (cloud.clone(), state.scope());
        let release = record.release.digest;
        async move {
            let started = Instant::now();
            cloud.promote(&scope, release).await.unwrap();
            started.elapsed()
        }
    };
    let promoted = tokio::join!(promote(&targets[0].1), promote(&targets[1].1));
    let took = started.elapsed();
    println!(
        "  {what}: {} ms (stage aws {}, azure {}; promote aws {}, azure {})",
        millis(took),
        millis(staged.0),
        millis(staged.1),
        millis(promoted.0),
        millis(promoted.1)
    );
    took
}
