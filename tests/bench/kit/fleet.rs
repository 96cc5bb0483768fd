//! The real loop, store and sources over clouds that answer at once.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::{Clock as _, SystemClock},
    cloud::{Cloud, CloudError, Package, SharedCloud, fake::FakeCloud},
    daemon::{config::Repository, sources::Sources},
    desired::Release,
    manifest::spec::{Environment, Gate},
    name::{CloudName, CodeDigest, Percent, ReleaseDigest, ServiceKey},
    observed::{Fields, Observed, Owned, Scope},
    plan::state::{Live, PackageRecord, Policy},
    reconcile::{
        Parts, Reconciler,
        handle::Handle,
        world::{Question, World},
    },
    rollout::{
        evidence::{Evidence, Measurement, Outcome},
        intent::Failure,
    },
    store::{StoreExt as _, disk},
};

/// Builds and gates that always succeed, at once.
pub(crate) struct QuickWorld {
    clouds: BTreeMap<CloudName, SharedCloud>,
}

impl QuickWorld {
    /// Over clouds that remember what they are told.
    pub(crate) fn fake() -> Self {
        let cloud = |name| -> (CloudName, SharedCloud) { (name, Arc::new(FakeCloud::new(name))) };
        Self {
            clouds: CloudName::ALL.into_iter().map(cloud).collect(),
        }
    }

    /// Over clouds that hold what a store says was seen last.
    pub(crate) async fn recorded(store: &disk::DiskStore) -> Self {
        let mut seen: BTreeMap<CloudName, BTreeMap<ServiceKey, Vec<u8>>> = BTreeMap::new();
        for live in store.load_all::<Live>().await.unwrap().records {
            let observed = serde_json::to_vec(&live.seen.unwrap().observed).unwrap();
            let of_cloud = seen.entry(live.target).or_default();
            of_cloud.insert(live.service, observed);
        }
        let cloud = |(name, seen)| -> (CloudName, SharedCloud) {
            let rules = FakeCloud::new(name);
            (name, Arc::new(RecordedCloud { name, seen, rules }))
        };
        Self {
            clouds: seen.into_iter().map(cloud).collect(),
        }
    }
}

#[async_trait]
impl World for QuickWorld {
    async fn cloud(&self, _: &Environment, cloud: CloudName) -> Result<SharedCloud, Failure> {
        Ok(self.clouds[&cloud].clone())
    }

    async fn build(
        &self,
        release: &Release,
    ) -> Result<BTreeMap<CloudName, PackageRecord>, Failure> {
        let package = |cloud: CloudName| {
            let code = format!("{cloud} {}", release.content.source_tree);
            let record = PackageRecord {
                code: CodeDigest::of(code.as_bytes()),
                path: format!("/var/lib/verdigris/packages/{}.zip", release.digest).into(),
                size: 4096,
            };
            (cloud, record)
        };
        Ok(CloudName::ALL.into_iter().map(package).collect())
    }

    async fn measure(&self, _: &Gate, question: &Question) -> Vec<Measurement> {
        let now = SystemClock.now();
        let measurement = |target: &CloudName| Measurement {
            target: Some(*target),
            started_at: now,
            finished_at: now,
            outcome: Outcome::Successful,
            evidence: Evidence::None,
        };
        question.targets.iter().map(measurement).collect()
    }
}

/// A cloud that holds what it held, and takes no orders. Its memory is small, since it is not ours to measure.
#[derive(Debug)]
struct RecordedCloud {
    name: CloudName,
    seen: BTreeMap<ServiceKey, Vec<u8>>,
    rules: FakeCloud,
}

impl RecordedCloud {
    fn refused<T>(&self, operation: &str) -> Result<T, CloudError> {
        Err(CloudError::Denied {
            cloud: self.name,
            operation: operation.to_owned(),
            message: "nothing may change while idle".to_owned(),
        })
    }
}

#[async_trait]
impl Cloud for RecordedCloud {
    fn name(&self) -> CloudName {
        self.name
    }

    fn expected(&self, release: &Release, code: CodeDigest) -> Fields {
        self.rules.expected(release, code)
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError> {
        let seen = self.seen.get(&scope.service);
        Ok(seen.map_or_else(Observed::default, |seen| {
            serde_json::from_slice(seen).unwrap()
        }))
    }

    async fn inventory(&self) -> Result<Vec<Owned>, CloudError> {
        self.refused("inventory")
    }

    async fn stage(&self, _: &Release, _: &Package) -> Result<(), CloudError> {
        self.refused("stage")
    }

    async fn shift(&self, _: &Scope, _: ReleaseDigest, _: Percent) -> Result<(), CloudError> {
        self.refused("shift")
    }

    async fn promote(&self, _: &Scope, _: ReleaseDigest) -> Result<(), CloudError> {
        self.refused("promote")
    }

    async fn retract(&self, _: &Scope, _: ReleaseDigest) -> Result<(), CloudError> {
        self.refused("retract")
    }

    async fn repair(&self, _: &Release, _: &Package) -> Result<(), CloudError> {
        self.refused("repair")
    }

    async fn prune(&self, _: &Scope) -> Result<(), CloudError> {
        self.refused("prune")
    }
}

/// A daemon's inner parts, on disk as the daemon has them.
pub(crate) struct Fleet {
    pub(crate) handle: Handle,
    pub(crate) sources: Sources,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

impl Fleet {
    pub(crate) fn store(data: &Path) -> disk::DiskStore {
        let options = disk::Options::default();
        disk::DiskStore::open(&data.join("store"), &options, SystemClock.now()).unwrap()
    }

    /// Starts as the daemon does; follows nothing yet.
    pub(crate) async fn start(data: &Path, store: disk::DiskStore, world: QuickWorld) -> Self {
        let clock = Arc::new(SystemClock);
        let store = Arc::new(store);
        let parts = Parts {
            clock: clock.clone(),
            store: store.clone(),
            world: Arc::new(world),
            policy: policy(),
        };
        let (reconciler, handle) = Reconciler::new(parts).await.unwrap();
        let mirrors = Arc::new(Mutex::new(BTreeMap::new()));
        let folder = data.join("repositories");
        let sources = Sources::new(handle.clone(), clock, store, folder, mirrors)
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let work = tokio::spawn(reconciler.run(stop.clone()));
        Self {
            handle,
            sources,
            stop,
            work,
        }
    }

    pub(crate) fn follow(&self, repository: &Repository) {
        self.sources
            .follow(std::slice::from_ref(repository), &self.stop);
    }

    /// Waits until this many services are ready.
    pub(crate) async fn ready(&self, services: usize) {
        while self.count_ready() < services {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn count_ready(&self) -> usize {
        use verdigris::status::service::phase::ServicePhase;
        let is_ready = |report: &verdigris::status::ServiceReport| {
            matches!(report.status.phase, ServicePhase::Live)
        };
        self.handle.page(None, usize::MAX, is_ready).len()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.sources.ended().await;
        self.work.await.unwrap();
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        resync: Duration::from_secs(60),
        ..Policy::default()
    }
}
