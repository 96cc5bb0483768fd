//! A repository of 10,000 services: what one changed service costs, what all of them cost while nothing happens, and how soon a start
//! tells the truth.
//!
//! `VERDIGRIS_BENCH_SERVICES` and `VERDIGRIS_BENCH_COMMITS` change the sizes.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(clippy::disallowed_methods, reason = "sizes come from the environment")]

mod kit;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use kit::{
    Figure,
    fleet::{Fleet, QuickWorld, policy},
    line, millis, ratio,
    repository::{Large, name},
    setting, title,
};
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use verdigris::{
    api::{self, Api, act::tokens::Tokens, door::Doors},
    clock::{Clock as _, SystemClock},
    daemon::{
        config::Repository,
        reader::{Reader, Reading},
    },
    git::mirror::Mirror,
    name::{Revision, ServiceKey},
    plan::{
        around::Around,
        state::{Ask, ServiceState},
        step::{Fleet as Count, Step, step},
    },
    reconcile::{
        Parts, Reconciler,
        handle::{Asked, Handle},
    },
    store::memory::MemoryStore,
};

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("resident") => runtime.block_on(resident(Path::new(&args[2]))),
        Some(_) | None => runtime.block_on(everything()),
    }
}

async fn everything() {
    let services = setting("VERDIGRIS_BENCH_SERVICES", 10_000);
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let large = Large::new(&folder.path().join("origin.git"), services);
    title(&format!("{services} services in one repository"));
    line(
        "repository written",
        &format!("{} ms", millis(started.elapsed())),
    );
    let repository = large.configured();
    let data = folder.path().join("data");
    let started = Instant::now();
    let fleet = Fleet::start(&data, Fleet::store(&data), QuickWorld::fake()).await;
    fleet.follow(&repository);
    fleet.ready(services).await;
    let took = started.elapsed();
    line(
        "first rollout of all, clouds that answer at once",
        &format!("{} s", took.as_secs()),
    );
    Box::pin(one_changed_service(
        &large,
        &repository,
        &fleet,
        folder.path(),
        services,
    ))
    .await;
    fleet.stop().await;
    let me = std::env::current_exe().unwrap();
    let child = Command::new(me)
        .arg("resident")
        .arg(folder.path())
        .env("VERDIGRIS_BENCH_SERVICES", services.to_string())
        .status();
    assert!(child.unwrap().success(), "the resident part failed");
}

// === one changed service ===

/// The steps from a commit to its plan, each timed by itself.
struct Steps {
    fetch: Figure,
    read: Figure,
    ask: Figure,
    plan: Figure,
    sum: Figure,
}

async fn one_changed_service(
    large: &Large,
    repository: &Repository,
    fleet: &Fleet,
    folder: &Path,
    services: usize,
) {
    title(&format!(
        "one changed service in {services}: from the commit to its plan"
    ));
    let mirror = Mirror::open(folder, &repository.name, repository.source.clone()).unwrap();
    let revision = mirror.poll().await.unwrap().revision;
    let started = Instant::now();
    let (mut reader, reading) = read(&mirror, Reader::default(), revision.clone()).await;
    let cold = started.elapsed();
    let asking = bystander().await;
    asking.ask(&asked(&reading), true).await;
    let mut steps = Steps {
        fetch: Figure::new("fetch (file://)"),
        read: Figure::new("read the commit"),
        ask: Figure::new("tell the loop"),
        plan: Figure::new("plan the service"),
        sum: Figure::new("all but the fetch"),
    };
    let mut begun = Figure::new("commit to rollout begun, fetch included");
    let mut before = revision.clone();
    let mut revision = revision;
    for round in 0..setting("VERDIGRIS_BENCH_COMMITS", 20) {
        let service = round * 131 % services;
        let key: ServiceKey = format!("prod/{}", name(service)).parse().unwrap();
        let settled = fleet.handle.state(&key).await.unwrap();
        if round % 2 == 0 {
            large.change_source(service, round + 2);
        } else {
            large.change_manifest(service, 512);
        }
        begun.add(begin(fleet, &key).await);
        let started = Instant::now();
        let polled = mirror.poll().await.unwrap();
        steps.fetch.add(started.elapsed());
        before = std::mem::replace(&mut revision, polled.revision);
        reader = steps
            .one(&mirror, reader, &revision, &asking, &key, settled)
            .await;
        fleet.ready(services).await;
    }
    let all = Figure::print;
    [
        &steps.fetch,
        &steps.read,
        &steps.ask,
        &steps.plan,
        &steps.sum,
        &begun,
    ]
    .into_iter()
    .for_each(all);
    let sum = steps.sum.median();
    line("reading everything afresh", &format!("{} ms", millis(cold)));
    ratio("  … ours against that", sum, cold);
    peers(mirror.folder(), &before, &revision, sum);
}

impl Steps {
    async fn one(
        &mut self,
        mirror: &Mirror,
        reader: Reader,
        revision: &Revision,
        asking: &Handle,
        key: &ServiceKey,
        mut settled: ServiceState,
    ) -> Reader {
        let started = Instant::now();
        let (reader, reading) = read(mirror, reader, revision.clone()).await;
        let read = started.elapsed();
        let started = Instant::now();
        asking.ask(&asked(&reading), true).await;
        let ask = started.elapsed();
        // What the first pass finds.
        settled.ask = Ask::Wanted(reading.services[key].clone());
        let around = Around {
            fleet: Count {
                known: reading.services.len(),
                absent: 0,
            },
            ..Around::default()
        };
        let started = Instant::now();
        let next = step(&settled, &around, policy(), SystemClock.now());
        let plan = started.elapsed();
        assert!(!matches!(next, Step::Wait(_)), "{next:?}");
        self.read.add(read);
        self.ask.add(ask);
        self.plan.add(plan);
        self.sum.add(read + ask + plan);
        reader
    }
}

/// From a wake-up to the moment that the running loop has begun the rollout.
async fn begin(fleet: &Fleet, key: &ServiceKey) -> Duration {
    let id = |rollout: Option<verdigris::rollout::Rollout>| rollout.map(|rollout| rollout.id);
    let before = id(fleet.handle.rollout(key).await);
    let mut changes = fleet.handle.changes();
    let started = Instant::now();
    fleet.sources.wake_all();
    while id(fleet.handle.rollout(key).await) == before {
        changes.changed().await.unwrap();
    }
    started.elapsed()
}

async fn read(mirror: &Mirror, mut reader: Reader, revision: Revision) -> (Reader, Reading) {
    let commit = revision.commit.clone();
    let path = verdigris::manifest::spec::RepoPath::default();
    let read = move |snapshot: &verdigris::git::tree::Snapshot| {
        let reading = reader.read(snapshot, &path, revision)?;
        Ok((reader, reading))
    };
    mirror.read(&commit, read).await.unwrap()
}

fn asked(reading: &Reading) -> BTreeMap<ServiceKey, Asked> {
    let wanted =
        |(key, desired): (&ServiceKey, &Arc<_>)| (key.clone(), Asked::Wanted(Arc::clone(desired)));
    reading.services.iter().map(wanted).collect()
}

/// A loop that is told everything and does nothing.
async fn bystander() -> Handle {
    let parts = Parts {
        clock: Arc::new(SystemClock),
        store: Arc::new(MemoryStore::new()),
        world: Arc::new(QuickWorld::fake()),
        policy: policy(),
    };
    let (_, handle) = Reconciler::new(parts).await.unwrap();
    handle
}

/// What git itself takes for less.
fn peers(mirror: &Path, before: &Revision, after: &Revision, ours: Duration) {
    let (before, after) = (before.commit.as_str(), after.commit.as_str());
    let commands: [(&str, Vec<&str>); 2] = [
        (
            "git diff --stat of the two commits",
            vec!["diff", "--stat", before, after],
        ),
        ("git ls-tree -r of the commit", vec!["ls-tree", "-r", after]),
    ];
    for (what, args) in commands {
        let mut figure = Figure::new(what);
        for _ in 0..10 {
            let started = Instant::now();
            let output = Command::new("git")
                .arg("-C")
                .arg(mirror)
                .args(&args)
                .output();
            match output {
                Ok(output) if output.status.success() => figure.add(started.elapsed()),
                Ok(output) => panic!("git: {}", String::from_utf8_lossy(&output.stderr)),
                Err(error) => return line(what, &format!("no git here: {error}")),
            }
        }
        figure.print();
        ratio("  … ours against that", ours, figure.median());
    }
}

// === all of them, idle ===

/// In a process of its own, so that its memory is what a daemon has after a start.
async fn resident(folder: &Path) {
    let services = setting("VERDIGRIS_BENCH_SERVICES", 10_000);
    let data: PathBuf = folder.join("data");
    let url = format!("file://{}", folder.join("origin.git").display());
    let config = verdigris::daemon::config::Config::for_repository(&url, "main", "").unwrap();
    title(&format!(
        "{services} services from the store, in a process of its own"
    ));
    let bare = resident_kib();
    let store = Fleet::store(&data);
    let world = QuickWorld::recorded(&store).await;
    drop(store);
    let ours_not = resident_kib();
    let started = Instant::now();
    let fleet = Fleet::start(&data, Fleet::store(&data), world).await;
    assert_eq!(fleet.handle.count(), services);
    line(
        "start to the status of all, from the store",
        &format!("{} ms", millis(started.elapsed())),
    );
    fleet.follow(&config.repositories[0]);
    fleet.ready(services).await;
    line(
        "start to all confirmed against Git, and in sync",
        &format!("{} ms", millis(started.elapsed())),
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mib = |kib: u64| format!("{} MiB", kib / 1024);
    line("memory before the start", &mib(bare));
    line(
        "memory of the clouds' stand-in, and of opening the store",
        &mib(ours_not - bare),
    );
    line("resident, all told (VmRSS)", &mib(resident_kib()));
    idle().await;
    pages(&fleet, services).await;
    fleet.stop().await;
}

/// The share of one core that doing nothing takes. Every service is looked at once a minute, so a minute is what is measured.
async fn idle() {
    let span = setting("VERDIGRIS_BENCH_IDLE_SECONDS", 60);
    let (before, started) = (cpu_ticks(), Instant::now());
    tokio::time::sleep(Duration::from_secs(span as u64)).await;
    // Linux counts a hundred ticks a second.
    let share = (cpu_ticks() - before) as f64 / started.elapsed().as_secs_f64();
    line("idle, share of one core", &format!("{share:.2} %"));
}

async fn pages(fleet: &Fleet, services: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (_told, sources) = watch::channel(Arc::default());
    let api = Api {
        handle: fleet.handle.clone(),
        sources,
        metrics: None,
        tokens: Tokens::new([]),
        doors: Doors::loopback(),
        hook_secret: None,
        wake_sources: Arc::new(|| {}),
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
    };
    let serving = tokio::spawn(api::serve::serve(listener, api::router(api), stop.clone()));
    let client = reqwest::Client::new();
    let mut figure = Figure::new("API: a page of 100");
    let base = format!("http://{address}/api/v1/services?limit=100");
    let mut next = base.clone();
    for _ in 0..(services / 100).max(1) * 3 {
        let started = Instant::now();
        let page = client
            .get(&next)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        figure.add(started.elapsed());
        let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
        next = match page["metadata"]["continue"].as_str() {
            Some(after) => format!("{base}&continue={after}"),
            None => base.clone(),
        };
    }
    figure.print();
    line(
        "API: a page of 100, p99",
        &format!("{} ms", millis(figure.share(99))),
    );
    stop.cancel();
    serving.await.unwrap();
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Time on a processor, user and system, in hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = &stat[stat.rfind(')').unwrap()..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
}
