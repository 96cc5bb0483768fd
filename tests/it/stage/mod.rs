//! A whole daemon without a machine: the real loop over fake clouds, a store in memory and virtual time.

pub(crate) mod real;
mod watched;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use self::watched::{Watch, Watched};
use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::Clock,
    cloud::{
        CloudError, SharedCloud,
        fake::{FakeCloud, Fault},
    },
    desired::{DesiredService, Release},
    manifest::{
        azure::AzureShared,
        spec::{
            Across, AwsTarget, AzurePlan, AzureTarget, DriftMode, Environment, Function, Functions,
            Gate, GateKind, GateStage, HttpGate, HttpRoute, HttpStep, Measure, Megabytes,
            PathPattern, RepoPath, Role, RolloutSpec, Runtime, Service,
        },
        strategy::Strategy,
    },
    name::{
        Actor, CloudName, CodeDigest, EnvironmentName, ObjectId, ReleaseDigest, Revision,
        ServiceKey, Timestamp,
    },
    observed::Scope,
    plan::{
        act::Action,
        state::{PackageRecord, Policy, ServiceState},
    },
    reconcile::{
        Parts, Reconciler,
        handle::{Asked, Handle},
        world::{Question, World},
    },
    rollout::{
        evidence::{Evidence, Measurement, Outcome},
        intent::Failure,
    },
    store::memory::MemoryStore,
};

/// Tells tokio's time, which tests stop and wind on.
pub(crate) struct VirtualClock {
    start: tokio::time::Instant,
    /// How far somebody set it back, in milliseconds.
    behind: AtomicI64,
}

impl VirtualClock {
    pub(crate) fn new() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            behind: AtomicI64::new(0),
        }
    }
}

impl VirtualClock {
    pub(crate) fn now(&self) -> Timestamp {
        let told = Timestamp::from_millis(1_700_000_000_000).after(self.start.elapsed());
        Timestamp::from_millis(told.millis() - self.behind.load(Ordering::Relaxed))
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}

/// Fake clouds, builds that always succeed, and gates that fail the releases that they are told to fail.
pub(crate) struct StageWorld {
    pub(crate) clouds: BTreeMap<CloudName, Arc<FakeCloud>>,
    /// The same clouds in another account, where the environment `staging` is.
    pub(crate) elsewhere: BTreeMap<CloudName, Arc<FakeCloud>>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) bad: Mutex<BTreeSet<ReleaseDigest>>,
    /// Releases whose gate could not be asked.
    pub(crate) unclear: Mutex<BTreeSet<ReleaseDigest>>,
    /// What a gate finds, asking by asking; the last stays. A gate that is not here finds what the two above say.
    pub(crate) found: Mutex<BTreeMap<String, Vec<(Outcome, Evidence)>>>,
    pub(crate) builds: Mutex<u32>,
    clock: Arc<VirtualClock>,
}

#[async_trait]
impl World for StageWorld {
    async fn cloud(
        &self,
        environment: &Environment,
        cloud: CloudName,
    ) -> Result<SharedCloud, Failure> {
        let clouds = match environment.name.as_str() {
            "prod" => &self.clouds,
            _ => &self.elsewhere,
        };
        let watch = self.watch.clone();
        let cloud = clouds[&cloud].clone();
        Ok(Arc::new(Watched { cloud, watch }))
    }

    async fn build(
        &self,
        release: &Release,
    ) -> Result<BTreeMap<CloudName, PackageRecord>, Failure> {
        *self.builds.lock().unwrap() += 1;
        let package = |cloud: &CloudName| PackageRecord {
            code: CodeDigest::of(format!("{cloud} {}", release.content.source_tree).as_bytes()),
            path: "/dev/null".into(),
            size: 0,
        };
        Ok(self
            .clouds
            .keys()
            .map(|cloud| (*cloud, package(cloud)))
            .collect())
    }

    async fn measure(&self, gate: &Gate, question: &Question) -> Vec<Measurement> {
        let found = self.next_found(gate);
        let release = question.release.digest;
        let outcome = || {
            if self.bad.lock().unwrap().contains(&release) {
                Outcome::Failed {
                    why: "status is 500, not 200".to_owned(),
                }
            } else if self.unclear.lock().unwrap().contains(&release) {
                Outcome::Error {
                    why: "no answer".to_owned(),
                }
            } else {
                Outcome::Successful
            }
        };
        let now = self.clock.now();
        let measurement = |target: &CloudName| Measurement {
            target: Some(*target),
            started_at: now,
            finished_at: now,
            outcome: found.as_ref().map_or_else(outcome, |it| it.0.clone()),
            evidence: found.as_ref().map_or(Evidence::None, |it| it.1.clone()),
        };
        question.targets.iter().map(measurement).collect()
    }
}

impl StageWorld {
    fn next_found(&self, gate: &Gate) -> Option<(Outcome, Evidence)> {
        let mut found = self.found.lock().unwrap();
        let left = found.get_mut(gate.name.as_str())?;
        match left.len() {
            1 => left.first().cloned(),
            _ => Some(left.remove(0)),
        }
    }
}

/// One daemon on the stage.
pub(crate) struct Stage {
    pub(crate) world: Arc<StageWorld>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) handle: Handle,
    asked: BTreeMap<ServiceKey, Asked>,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(VirtualClock::new());
        let cloud = |name| (name, Arc::new(FakeCloud::new(name)));
        let world = Arc::new(StageWorld {
            clouds: CloudName::ALL.into_iter().map(cloud).collect(),
            elsewhere: CloudName::ALL.into_iter().map(cloud).collect(),
            watch: Arc::default(),
            bad: Mutex::default(),
            unclear: Mutex::default(),
            found: Mutex::default(),
            builds: Mutex::default(),
            clock: clock.clone(),
        });
        Self::start(world, Arc::new(MemoryStore::new()), clock, BTreeMap::new()).await
    }

    /// These versions were live, one after the other; the last one is.
    pub(crate) async fn live(numbers: &[&str]) -> Self {
        let mut stage = Self::new().await;
        for number in numbers {
            stage.commit(&[version(number)]).await;
            stage.pass(Duration::from_secs(300)).await;
        }
        stage
    }

    async fn start(
        world: Arc<StageWorld>,
        store: Arc<MemoryStore>,
        clock: Arc<VirtualClock>,
        asked: BTreeMap<ServiceKey, Asked>,
    ) -> Self {
        let stage = Self::unread(world, store, clock, asked).await;
        stage.handle.ask(&stage.asked, true).await;
        stage
    }

    async fn unread(
        world: Arc<StageWorld>,
        store: Arc<MemoryStore>,
        clock: Arc<VirtualClock>,
        asked: BTreeMap<ServiceKey, Asked>,
    ) -> Self {
        let parts = Parts {
            clock: clock.clone(),
            store: store.clone(),
            world: world.clone(),
            policy: Policy::default(),
        };
        let (reconciler, handle) = Reconciler::new(parts).await.unwrap();
        let stop = CancellationToken::new();
        let work = tokio::spawn(reconciler.run(stop.clone()));
        Self {
            world,
            store,
            clock,
            handle,
            asked,
            stop,
            work,
        }
    }

    /// The process dies, starts again, and cannot read what Git asks for.
    pub(crate) async fn crash_and_read_nothing(self) -> Self {
        let store = Arc::new(self.store.image());
        self.work.abort();
        self.stop.cancel();
        Self::unread(self.world, store, self.clock, self.asked).await
    }

    /// The process dies: what is in flight is lost, what is on the disk stays. Then it starts again.
    pub(crate) async fn crash(self) -> Self {
        self.crash_and(|_| {}).await
    }

    /// The same, and something happens to the disk meanwhile.
    pub(crate) async fn crash_and(self, damage: impl FnOnce(&MemoryStore)) -> Self {
        let store = Arc::new(self.store.image());
        damage(&store);
        self.work.abort();
        self.stop.cancel();
        Self::start(self.world, store, self.clock, self.asked).await
    }

    /// The same, and the store's folder is lost, too.
    pub(crate) async fn lose_store(self) -> Self {
        self.work.abort();
        self.stop.cancel();
        Self::start(
            self.world,
            Arc::new(MemoryStore::new()),
            self.clock,
            self.asked,
        )
        .await
    }

    /// Somebody sets the machine's clock back.
    pub(crate) fn set_back(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap();
        self.clock.behind.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn cloud(&self, name: CloudName) -> &FakeCloud {
        &self.world.clouds[&name]
    }

    /// A commit asks for these services.
    pub(crate) async fn commit(&mut self, services: &[DesiredService]) {
        let named = |desired: &DesiredService| {
            (
                desired.release.service.clone(),
                Asked::Wanted(Arc::new(desired.clone())),
            )
        };
        self.asked = services.iter().map(named).collect();
        self.handle.ask(&self.asked, true).await;
    }

    /// A commit whose manifest of the service is wrong.
    pub(crate) async fn commit_faults(&mut self, faults: &[&str]) {
        let faults = faults.iter().map(|&fault| fault.to_owned()).collect();
        self.asked.insert(key(), Asked::Invalid(faults));
        self.handle.ask(&self.asked, true).await;
    }

    pub(crate) async fn act(&self, action: Action) {
        self.handle
            .act(&key(), action, Actor::person("ana"))
            .await
            .unwrap();
    }

    /// What is refused, in its words.
    pub(crate) async fn refusal(&self, action: Action, who: &str) -> String {
        let told = self.handle.act(&key(), action, Actor::person(who)).await;
        told.map_or_else(|error| error.to_string(), |()| "taken".to_owned())
    }

    pub(crate) async fn act_as(&self, action: Action, who: &str) {
        assert_eq!(self.refusal(action, who).await, "taken");
    }

    /// What the service waits on, in its words.
    pub(crate) async fn waits_on(&self) -> String {
        let plan = self.handle.plan(&key()).await.unwrap();
        let told: Vec<String> = plan.waiting.iter().map(ToString::to_string).collect();
        told.join("; ")
    }

    /// Passes until the service is in a phase, and tells how long it took.
    pub(crate) async fn until(&self, key: &ServiceKey, phase: &str) -> Duration {
        let start = self.clock.now();
        loop {
            let state = self.handle.state(key).await;
            let rollout = state.and_then(|state| state.rollout);
            let now = self.clock.now().since(start);
            if rollout.is_some_and(|rollout| rollout.phase.word() == phase) {
                return now;
            }
            assert!(
                now < Duration::from_secs(3600),
                "{key} never came to {phase}"
            );
            self.pass(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn state(&self) -> ServiceState {
        self.handle.state(&key()).await.unwrap()
    }

    /// Lets virtual time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// What each cloud's blue holds.
    pub(crate) async fn blues(&self) -> Vec<Option<ReleaseDigest>> {
        let scope = Scope {
            service: key(),
            functions: functions().into_keys().collect(),
            called: Default::default(),
        };
        let mut blues = Vec::new();
        for cloud in self.world.clouds.values() {
            use verdigris::cloud::Cloud as _;
            blues.push(cloud.observe(&scope).await.unwrap().blue.release());
        }
        blues
    }

    pub(crate) fn changes(&self) -> u64 {
        self.world
            .clouds
            .values()
            .map(|cloud| cloud.counts().changes)
            .sum()
    }

    pub(crate) async fn phase(&self) -> String {
        self.state()
            .await
            .rollout
            .map(|rollout| rollout.phase.word().to_owned())
            .unwrap_or_default()
    }
}

pub(crate) fn key() -> ServiceKey {
    "prod/shop".parse().unwrap()
}

/// The service at a version: another version is another source tree.
pub(crate) fn version(version: &str) -> DesiredService {
    service_version("shop", version)
}

pub(crate) fn service_version(name: &str, version: &str) -> DesiredService {
    service_in("prod", name, version)
}

/// A call that did not arrive, as far as the client knows.
pub(crate) fn unreachable(cloud: CloudName) -> Fault {
    Fault::Fail(CloudError::Unreachable {
        cloud,
        operation: "the call".to_owned(),
        message: "connection reset".to_owned(),
    })
}

pub(crate) fn service_in(environment: &str, name: &str, version: &str) -> DesiredService {
    let environment = self::environment(environment.parse().unwrap());
    let service = Service {
        name: name.parse().unwrap(),
        environments: Vec::new(),
        runtime: Runtime::Python("3.13".to_owned()),
        source: RepoPath::new("services/shop").unwrap(),
        build: None,
        functions: functions(),
        env: BTreeMap::new(),
        rollout: RolloutSpec {
            gates: vec![gate("smoke")],
            bake: Duration::from_secs(10),
            across: Across::Together,
            windows: Vec::new(),
            group: None,
            strategy: Strategy::BlueGreen,
        },
        depends_on: BTreeSet::new(),
        drift: DriftMode::Enforce.into(),
        azure: None,
    };
    let id =
        |text: &str| ObjectId::new(CodeDigest::of(text.as_bytes()).hex()[..40].to_owned()).unwrap();
    let revision = Revision {
        reference: "main".to_owned(),
        commit: id(version),
    };
    let release = Release::new(&service, &environment, id(version), revision);
    DesiredService {
        release,
        environment: Arc::new(environment),
        rollout: service.rollout,
        depends_on: service.depends_on,
        drift: service.drift,
    }
}

pub(crate) fn gate(name: &str) -> Gate {
    let http = HttpGate::from(HttpStep::get("/stock/42"));
    Gate {
        name: name.parse().unwrap(),
        kind: GateKind::Http(http),
        after: GateStage::Staging,
        measure: Measure::default(),
    }
}

pub(crate) fn functions() -> Functions {
    let function = Function {
        handler: "app:app".to_owned(),
        http: Some(HttpRoute {
            methods: vec!["GET".to_owned()],
            path: PathPattern("/stock/{sku}".to_owned()),
        }),
        queue: None,
        schedule: None,
        aws: None,
        memory: Megabytes(256),
        timeout: Duration::from_secs(30),
        env: BTreeMap::new(),
    };
    BTreeMap::from([("stock".parse().unwrap(), Arc::new(function))])
}

pub(crate) fn environment(name: EnvironmentName) -> Environment {
    Environment {
        name,
        follows: None,
        aws: Some(AwsTarget {
            region: "eu-west-1".to_owned(),
            role: Role::Given("arn:aws:iam::123456789012:role/functions".to_owned()),
            assume: None,
        }),
        azure: Some(AzureTarget {
            subscription: "00000000-0000-0000-0000-000000000001".to_owned(),
            resource_group: "shop".to_owned(),
            location: "westeurope".to_owned(),
            plan: AzurePlan("EP1".to_owned()),
            prefix: "shop".to_owned(),
            shared: AzureShared::default(),
        }),
        windows: Vec::new(),
    }
}
