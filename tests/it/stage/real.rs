//! A whole daemon with everything real but the far ends: a Git repository, builds, gates, a store on the disk, and both clouds on this
//! machine, in real time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;
use verdigris::{
    clock::SystemClock,
    cloud::azure::AzureIdentity,
    daemon::{
        config::Config,
        run::{self, Daemon, Options},
    },
    git::author::Author,
    local::{
        arm::{self, ArmEndpoint, ArmOptions},
        lambda::{LambdaEndpoint, LambdaOptions},
    },
    name::{CloudName, FunctionName, ObjectId, ServiceKey},
    plan::state::ServiceState,
};

use crate::{cloud_azure::tap::Tap, peers::model};

/// Two busy cores need a while; a daemon that works needs seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where functions go, on the clouds of [`Clouds`].
pub(crate) const ENVIRONMENT: &str = "\
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
  azure:
    subscription: 6f1c2b8e-4d0a-4c55-9a37-2f7d1e90c4ab
    resourceGroup: shop
    location: westeurope
    plan: EP1
";

/// One function of Python, `services/hello`, that has to answer.
pub(crate) const SERVICE: &str = "\
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: hello }
spec:
  runtime: python3.13
  source: services/hello
  functions:
    greet: { handler: 'app:app', http: GET /greet }
  rollout:
    gates:
      - http: { path: /greet, status: 200 }
    bake: 1s
";

/// Both clouds on this machine; they end with the test.
pub(crate) struct Clouds {
    pub(crate) lambda: LambdaEndpoint,
    pub(crate) arm: ArmEndpoint,
    /// Whoever asks Azure goes by it.
    _tap: Tap,
    _tap_of_lambda: model::Tap,
    stop: CancellationToken,
}

impl Drop for Clouds {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Clouds {
    /// After a write, so many reads of each kind answer what was so before it.
    async fn start(stale_reads: u32) -> Self {
        let stop = CancellationToken::new();
        let any = "127.0.0.1:0".parse().unwrap();
        let aws = LambdaOptions {
            region: "eu-west-1".to_owned(),
            pending: Duration::from_millis(100),
            stale_reads,
            ..LambdaOptions::default()
        };
        let azure = ArmOptions {
            swap_time: Duration::from_millis(200),
            stale_reads,
            ..ArmOptions::default()
        };
        let clock = Arc::new(SystemClock);
        let (lambda, tap_of_lambda) = model::tapped(aws, stop.clone()).await;
        let arm = arm::start(any, None, azure, clock, stop.clone());
        let mut arm = arm.await.unwrap();
        let tap = Tap::before(&arm.url).await.unwrap();
        arm.url.clone_from(&tap.url);
        Self {
            lambda,
            arm,
            _tap: tap,
            _tap_of_lambda: tap_of_lambda,
            stop,
        }
    }

    /// Answers that told what was so before a write.
    pub(crate) fn stale_answers(&self) -> u64 {
        self.lambda.stale_answers() + self.arm.stale_answers()
    }

    /// Calls so far that change something, by operation.
    pub(crate) fn writes(&self) -> BTreeMap<String, u64> {
        let counts = [self.lambda.faults().calls(), self.arm.faults().calls()];
        let mut writes: BTreeMap<String, u64> = counts.into_iter().flatten().collect();
        writes.retain(|operation, _| !is_read(operation));
        writes
    }

    /// What the clouds hold: Lambda functions, Function Apps.
    pub(crate) async fn resources(&self) -> (Vec<String>, Vec<String>) {
        let functions = format!("{}2015-03-31/functions", self.lambda.url);
        let sites =
            "subscriptions/6f1c2b8e-4d0a-4c55-9a37-2f7d1e90c4ab/providers/Microsoft.Web/sites";
        let sites = format!("{}/{sites}?api-version=2025-05-01", self.arm.url);
        let functions = names(&functions, "Functions", "FunctionName").await;
        (functions, names(&sites, "value", "name").await)
    }
}

/// Lists, looks, and what users call; on Azure some of them are asked for by POST.
fn is_read(operation: &str) -> bool {
    let starts = ["Get", "List", "Invoke", "Lookup"]
        .iter()
        .any(|word| operation.starts_with(word));
    let ends = [".get", ".list", ".head", ".listkeys"];
    starts || ends.iter().any(|word| operation.ends_with(word))
}

async fn names(url: &str, list: &str, name: &str) -> Vec<String> {
    let asked = reqwest::Client::new().get(url).bearer_auth("local");
    let text = asked.send().await.unwrap().text().await.unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    let listed = told[list].as_array().unwrap_or_else(|| panic!("{told}"));
    let name = |one: &Value| one[name].as_str().unwrap().to_owned();
    listed.iter().map(name).collect()
}

/// A repository, a data folder and both clouds.
pub(crate) struct Site {
    pub(crate) clouds: Clouds,
    pub(crate) author: Author,
    pub(crate) data: PathBuf,
    /// Where the repository is, as `shop.git`.
    pub(crate) folder: TempDir,
}

impl Site {
    /// With the files of `manifests-example`, not yet committed.
    pub(crate) async fn new() -> Self {
        Self::late(0).await
    }

    /// The same on clouds of which each kind of read is late so often after each write.
    pub(crate) async fn late(reads: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let author = Author::init(&folder.path().join("shop.git")).unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests-example");
        author.copy_tree(&example).unwrap();
        Self {
            clouds: Clouds::start(reads).await,
            data: folder.path().join("data"),
            author,
            folder,
        }
    }

    /// Replaces text in a file of the repository.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.author.folder().join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        self.author.write(path, text.replace(from, to)).unwrap();
    }

    /// A daemon that follows the repository at `url`, told by further lines of its configuration.
    pub(crate) async fn daemon(&self, url: &str, more: &str) -> Daemon {
        let (aws, azure) = (&self.clouds.lambda.url, &self.clouds.arm.url);
        let text = format!(
            "resync: 1s\nclouds:\n  aws: {{ endpoint: {aws:?} }}\n  azure: {{ endpoint: {azure:?} }}\n\
             repositories:\n  - url: {url:?}\n    interval: 1s\n{more}",
            aws = aws.as_str(),
        );
        let env = |name: &str| (name == "SHOP_TOKEN").then(|| TOKEN.to_owned());
        let config = Config::parse(Path::new("verdigris.yaml"), &text, &env).unwrap();
        let options = Options {
            config,
            config_file: None,
            data: self.data.clone(),
            identity: AzureIdentity::default(),
            search_path: path_of_programs(),
            clock: Arc::new(SystemClock),
            env: |_| None,
        };
        run::start(options).await.unwrap()
    }

    /// A daemon that follows the repository on this disk.
    pub(crate) async fn local_daemon(&self) -> Daemon {
        let url = format!("file://{}", self.author.folder().display());
        self.daemon(&url, "").await
    }
}

/// What a Git server may want to see.
pub(crate) const TOKEN: &str = "hunter2-very-secret";

/// Waits until a service's state is as `wanted`, and shows it where it does not become so.
pub(crate) async fn until(
    daemon: &Daemon,
    key: &ServiceKey,
    what: &str,
    wanted: impl Fn(&ServiceState) -> bool,
) -> ServiceState {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = daemon.handle.state(key).await;
        if let Some(state) = &state
            && wanted(state)
        {
            return state.clone();
        }
        if Instant::now() >= deadline {
            let shown = state.map(|state| show(&state));
            panic!("{key} is not {what}: {shown:#?}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until `wanted` gives no complaint.
pub(crate) async fn eventually<F>(mut wanted: impl FnMut() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match wanted().await {
            Ok(()) => return,
            Err(complaint) if Instant::now() >= deadline => panic!("{complaint}"),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What there is to say of a service that is not where it should be.
fn show(state: &ServiceState) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(rollout) = &state.rollout {
        let moves = rollout.transitions.iter();
        lines.extend(moves.map(|it| format!("{} {} {}", rollout.id, it.phase, it.message)));
        lines.extend(rollout.gates.iter().map(|gate| format!("{gate:?}")));
    }
    for (cloud, live) in &state.live {
        lines.push(format!("{cloud}: {:?}", live.problem));
    }
    lines
}

/// Whether the newest rollout ended in this phase.
pub(crate) fn is_in(state: &ServiceState, phase: &str) -> bool {
    let rollout = state.rollout.as_ref();
    rollout.is_some_and(|rollout| rollout.phase.word() == phase)
}

/// Whether the newest rollout is of this commit.
pub(crate) fn is_of(state: &ServiceState, commit: &ObjectId) -> bool {
    let rollout = state.rollout.as_ref();
    rollout.is_some_and(|rollout| rollout.revision.commit == *commit)
}

/// Whether the newest rollout went well, and both clouds were seen to serve what is asked for.
pub(crate) fn is_live(state: &ServiceState) -> bool {
    is_in(state, "Live") && is_on_both(state)
}

/// Whether what is asked for is on blue on both clouds.
pub(crate) fn is_on_both(state: &ServiceState) -> bool {
    let Some(desired) = state.ask.desired() else {
        return false;
    };
    CloudName::ALL.into_iter().all(|cloud| {
        let seen = state.seen(cloud);
        seen.is_some_and(|seen| seen.observed.blue.holds(desired.release.digest))
    })
}

/// Where both clouds serve a function on blue.
fn addresses(state: &ServiceState, function: &str) -> Vec<Url> {
    let function = FunctionName::new(function).unwrap();
    let address = |cloud| {
        let blue = &state.seen(cloud).unwrap().observed.blue;
        blue.holding().unwrap().addresses[&function].clone()
    };
    CloudName::ALL.into_iter().map(address).collect()
}

/// What both clouds' users are told by `/version`.
pub(crate) async fn versions(state: &ServiceState) -> Vec<String> {
    let mut told = Vec::new();
    for address in addresses(state, "version") {
        let answer = reqwest::get(address.join("/version").unwrap()).await;
        let text = answer.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        told.push(answer["version"].as_str().unwrap().to_owned());
    }
    told
}

/// Build commands find what the tests find.
#[expect(
    clippy::disallowed_methods,
    reason = "where programs are is for the environment to say"
)]
fn path_of_programs() -> Option<String> {
    std::env::var("PATH").ok()
}
