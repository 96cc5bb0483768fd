//! Promotions and rollbacks while users ask both blues without a pause. Every answer is looked at: that it came, which release gave it,
//! and that code and configuration are of one version.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use url::Url;
use verdigris::{
    daemon::run::Daemon,
    git::author::Author,
    name::{Actor, CloudName, ServiceKey},
    plan::{act::Action, state::ServiceState},
};

/// Users of each blue at once; each asks again when it has its answer.
const USERS: usize = 2;

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(4);

/// An answer that takes longer is a lost one.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Two busy cores need a while; a rollout needs seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// Every so many promotions a commit comes first that its gate refuses.
const BROKEN_EVERY: usize = 5;

const APP: &str = "services/inventory/app.py";
const MANIFEST: &str = "services/inventory/service.yaml";

/// What users were told.
#[derive(Default)]
struct Log {
    asked: AtomicU64,
    over: AtomicBool,
    /// Answers by the release that gave them.
    releases: Mutex<BTreeMap<String, u64>>,
    lost: Mutex<Vec<String>>,
}

/// What came of it.
pub(crate) struct Told {
    pub(crate) promotions: usize,
    pub(crate) rejected: usize,
    /// From the word to both blues.
    pub(crate) rollbacks: Vec<Duration>,
    pub(crate) asked: u64,
    pub(crate) lost: Vec<String>,
    /// Answers of releases that never passed their gates.
    pub(crate) unproven: Vec<String>,
    /// Releases that answered.
    pub(crate) answering: usize,
}

pub(crate) fn key() -> ServiceKey {
    "prod/inventory".parse().unwrap()
}

/// Makes the repository hold nothing but the service that is swapped, with a short bake.
pub(crate) fn prepare(author: &Author) {
    for other in ["services/cart", "services/price"] {
        author.remove(other).unwrap();
    }
    edit(author, MANIFEST, |text| {
        text.replace("bake: 2s", "bake: 1s")
    });
    write_version(author, 1, true);
    author.commit("v1").unwrap();
}

/// Goes to a new version and back again, this many times.
pub(crate) async fn play(daemon: &Daemon, author: &Author, rounds: usize) -> Told {
    let first = until(daemon, "live", is_live).await;
    let log = Arc::new(Log::default());
    let mut users = JoinSet::new();
    for address in addresses(&first) {
        for _ in 0..USERS {
            users.spawn(ask(log.clone(), address.clone()));
        }
    }
    let (mut rollbacks, mut rejected) = (Vec::new(), 0);
    let mut passed: BTreeSet<String> = BTreeSet::from([live(&first)]);
    for round in 0..rounds {
        let version = round * 2 + 2;
        if round % BROKEN_EVERY == 0 {
            write_version(author, version + 1, false);
            let commit = author.commit("broken").unwrap();
            daemon.sources.wake_all();
            until(daemon, "rejected", |state| {
                let rollout = state.rollout.as_ref().unwrap();
                rollout.revision.commit == commit && rollout.phase.word() == "Rejected"
            })
            .await;
            rejected += 1;
        }
        write_version(author, version, true);
        let commit = author.commit("next").unwrap();
        daemon.sources.wake_all();
        let promoted = until(daemon, "promoted", |state| {
            let rollout = state.rollout.as_ref().unwrap();
            rollout.revision.commit == commit && is_live(state)
        });
        passed.insert(live(&promoted.await));
        rollbacks.push(roll_back(daemon).await);
    }
    sleep(Duration::from_millis(200)).await;
    log.over.store(true, Ordering::Relaxed);
    users.join_all().await;
    let releases = log.releases.lock().unwrap().clone();
    let unproven = releases.keys().filter(|it| !passed.contains(*it));
    Told {
        promotions: rounds,
        rejected,
        rollbacks,
        asked: log.asked.load(Ordering::Relaxed),
        unproven: unproven.cloned().collect(),
        answering: releases.len(),
        lost: std::mem::take(&mut log.lost.lock().unwrap()),
    }
}

/// Says the word, waits until both blues hold what was before, and lets the bake end.
async fn roll_back(daemon: &Daemon) -> Duration {
    let state = daemon.handle.state(&key()).await.unwrap();
    let before = state.memory.previous.unwrap();
    let started = Instant::now();
    let back = Action::Rollback { to: None };
    let actor = Actor::person("ana");
    daemon.handle.act(&key(), back, actor).await.unwrap();
    until(daemon, "back", |state| {
        CloudName::ALL.into_iter().all(|cloud| {
            let seen = state.seen(cloud);
            seen.is_some_and(|seen| seen.observed.blue.holds(before))
        })
    })
    .await;
    let took = started.elapsed();
    until(daemon, "at rest", |state| {
        is_live(state) && state.memory.pin.is_some()
    })
    .await;
    took
}

// === the service ===

fn edit(author: &Author, path: &str, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(author.folder().join(path)).unwrap();
    author.write(path, change(text)).unwrap();
}

/// Code and configuration name the same version; a broken one forgets what its gate asks for.
fn write_version(author: &Author, version: usize, works: bool) {
    let line = |text: &str, begin: &str, new: &str| -> String {
        let lines = text.lines().map(|line| {
            let is_it = line.trim_start().starts_with(begin);
            if is_it {
                new.to_owned()
            } else {
                line.to_owned()
            }
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    edit(author, APP, |text| {
        let stock = if works { "\"42\": 17" } else { "\"41\": 17" };
        let text = line(&text, "VERSION =", &format!("VERSION = \"v{version}\""));
        line(&text, "STOCK =", &format!("STOCK = {{{stock}, \"43\": 3}}"))
    });
    edit(author, MANIFEST, |text| {
        line(&text, "WAREHOUSE:", &format!("    WAREHOUSE: v{version}"))
    });
}

fn is_live(state: &ServiceState) -> bool {
    let rollout = state.rollout.as_ref();
    let is_live = rollout.is_some_and(|rollout| rollout.phase.word() == "Live");
    is_live
        && CloudName::ALL.into_iter().all(|cloud| {
            let seen = state.seen(cloud);
            let blue = seen.and_then(|seen| seen.observed.blue.release());
            blue.is_some() && blue == state.memory.promoted
        })
}

fn live(state: &ServiceState) -> String {
    state.memory.promoted.unwrap().to_string()
}

fn addresses(state: &ServiceState) -> Vec<Url> {
    let function = "stock".parse().unwrap();
    let address = |cloud| {
        let blue = &state.seen(cloud).unwrap().observed.blue;
        let base = &blue.holding().unwrap().addresses[&function];
        base.join("/stock/42").unwrap()
    };
    CloudName::ALL.into_iter().map(address).collect()
}

async fn until(
    daemon: &Daemon,
    what: &str,
    wanted: impl Fn(&ServiceState) -> bool,
) -> ServiceState {
    let mut changes = daemon.handle.changes();
    let waiting = async {
        loop {
            if let Some(state) = daemon.handle.state(&key()).await
                && state.rollout.is_some()
                && wanted(&state)
            {
                return state;
            }
            // A change may be missed between the look and the wait.
            timeout(Duration::from_millis(500), changes.changed())
                .await
                .ok();
        }
    };
    match timeout(PATIENCE, waiting).await {
        Ok(state) => state,
        Err(_) => panic!(
            "not {what}: {:#?}",
            daemon.handle.state(&key()).await.unwrap().rollout
        ),
    }
}

// === its users ===

async fn ask(log: Arc<Log>, address: Url) {
    let client = reqwest::Client::new();
    while !log.over.load(Ordering::Relaxed) {
        log.asked.fetch_add(1, Ordering::Relaxed);
        let answer = timeout(ANSWER_MAX, answer(&client, &address)).await;
        match answer.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(release) => {
                *log.releases.lock().unwrap().entry(release).or_default() += 1;
            }
            Err(why) => log.lost.lock().unwrap().push(format!("{address}: {why}")),
        }
        sleep(PAUSE).await;
    }
}

/// The release that answered.
async fn answer(client: &reqwest::Client, address: &Url) -> Result<String, String> {
    let asked = client.get(address.clone()).send().await;
    let response = asked.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let release = response.headers().get("x-verdigris-release");
    let release = release.and_then(|it| it.to_str().ok()).map(str::to_owned);
    let text = response
        .text()
        .await
        .map_err(|error| format!("{error:?}"))?;
    let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    match release {
        _ if status != 200 => Err(format!("{status}: {text}")),
        _ if body["version"] != body["warehouse"] => {
            Err(format!("code and configuration differ: {text}"))
        }
        Some(release) => Ok(release),
        None => Err(format!("an answer that names no release: {text}")),
    }
}
