//! A loop with two fake clouds, gates that answer as told, and the API in front.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use verdigris::{
    api::{self, Api, act::tokens::Tokens, door::Doors},
    clock::{Clock, SystemClock},
    cloud::{SharedCloud, fake::FakeCloud},
    desired::{DesiredService, Release, ReleaseContent},
    manifest::{
        spec::{
            Across, ApprovalGate, DriftMode, EnvValue, Environment, Function, Gate, GateKind,
            GateStage, HttpGate, HttpRoute, HttpStep, Measure, Megabytes, PathPattern, RepoPath,
            RolloutSpec, Runtime,
        },
        strategy::Strategy,
    },
    name::{
        CloudName, CodeDigest, FunctionName, GateName, ObjectId, Revision, ServiceKey, Timestamp,
    },
    plan::state::{PackageRecord, Policy},
    reconcile::{
        Parts, Reconciler,
        handle::{Asked, Handle},
        world::{Question, World},
    },
    rollout::{
        evidence::{Check, Evidence, HttpAnswer, HttpEvidence, HttpRequest, Measurement, Outcome},
        intent::{Failure, Response},
    },
    status::{ServiceReport, service::phase::ServicePhase, source::SourceReport},
    store::memory::MemoryStore,
};

pub(super) const TOKEN: &str = "vg_0123456789abcdef0123456789abcdef";

/// What the gates of a service find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Finds {
    Good,
    Bad,
    /// No answer, ever.
    Nothing,
}

pub(super) struct TestWorld {
    pub(super) clouds: BTreeMap<CloudName, Arc<FakeCloud>>,
    finds: Mutex<BTreeMap<ServiceKey, Finds>>,
}

impl TestWorld {
    pub(super) fn gates_find(&self, service: &ServiceKey, finds: Finds) {
        self.finds.lock().unwrap().insert(service.clone(), finds);
    }

    pub(super) fn cloud(&self, name: CloudName) -> &FakeCloud {
        &self.clouds[&name]
    }
}

#[async_trait]
impl World for TestWorld {
    async fn cloud(&self, _: &Environment, cloud: CloudName) -> Result<SharedCloud, Failure> {
        Ok(self.clouds[&cloud].clone())
    }

    async fn build(
        &self,
        release: &Release,
    ) -> Result<BTreeMap<CloudName, PackageRecord>, Failure> {
        if release.content.build.as_deref() == Some("false") {
            return Err(Failure {
                reason: "BuildFailed".to_owned(),
                message: "`false` ended with exit code 1".to_owned(),
                response: Response::Reject,
            });
        }
        let package = |cloud: CloudName| {
            let record = PackageRecord {
                code: CodeDigest::of(format!("{cloud}{}", release.digest).as_bytes()),
                path: PathBuf::from("package.zip"),
                size: 1,
            };
            (cloud, record)
        };
        Ok(CloudName::ALL.into_iter().map(package).collect())
    }

    async fn measure(&self, _: &Gate, question: &Question) -> Vec<Measurement> {
        let finds = self
            .finds
            .lock()
            .unwrap()
            .get(&question.release.service)
            .copied();
        if finds == Some(Finds::Nothing) {
            std::future::pending::<()>().await;
        }
        let is_good = finds != Some(Finds::Bad);
        let measure = |target: &CloudName| measurement(*target, is_good, question);
        question.targets.iter().map(measure).collect()
    }
}

fn measurement(target: CloudName, is_good: bool, question: &Question) -> Measurement {
    let now = SystemClock.now();
    let status = if is_good { 200 } else { 500 };
    let outcome = match is_good {
        true => Outcome::Successful,
        false => Outcome::Failed {
            why: "status: wanted 200, got 500".to_owned(),
        },
    };
    let url = question
        .slots
        .get(&target)
        .and_then(|slots| slots.values().next());
    let url = url.map(|url| format!("{url}stock/42")).unwrap_or_default();
    let body = match is_good {
        true => "{\"sku\":\"42\",\"left\":7}",
        false => "<b>KeyError</b>: 'warehouse'",
    };
    Measurement {
        target: Some(target),
        started_at: now,
        finished_at: now,
        outcome,
        evidence: Evidence::Http(HttpEvidence {
            name: None,
            captured: BTreeMap::new(),
            earlier: Vec::new(),
            request: HttpRequest {
                method: "GET".to_owned(),
                url,
                headers: BTreeMap::new(),
                body: None,
            },
            answer: Some(HttpAnswer {
                status,
                headers: BTreeMap::from([(
                    "content-type".to_owned(),
                    "application/json".to_owned(),
                )]),
                body: body.to_owned(),
                is_cut: false,
                latency_ms: 12,
            }),
            checks: vec![Check {
                what: "status".to_owned(),
                wanted: "200".to_owned(),
                got: status.to_string(),
                passed: is_good,
            }],
            tries: 1,
        }),
    }
}

/// Everything that a test needs to speak to.
pub(super) struct Rig {
    pub(super) handle: Handle,
    pub(super) world: Arc<TestWorld>,
    pub(super) router: Router,
    pub(super) sources: watch::Sender<Arc<Vec<SourceReport>>>,
    pub(super) wakes: Arc<AtomicUsize>,
    pub(super) stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::behind(Doors::loopback(), None).await
    }

    pub(super) async fn behind(doors: Doors, hook_secret: Option<SecretString>) -> Self {
        let cloud = |name| (name, Arc::new(FakeCloud::new(name)));
        let world = Arc::new(TestWorld {
            clouds: CloudName::ALL.into_iter().map(cloud).collect(),
            finds: Mutex::default(),
        });
        let parts = Parts {
            clock: Arc::new(SystemClock),
            store: Arc::new(MemoryStore::default()),
            world: world.clone(),
            policy: Policy::default(),
        };
        let (reconciler, handle) = Reconciler::new(parts).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(reconciler.run(stop.clone()));
        let (sources, seen) = watch::channel(Arc::new(Vec::new()));
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = wakes.clone();
        let router = api::router(Api {
            handle: handle.clone(),
            sources: seen,
            metrics: None,
            tokens: Tokens::new([("ana", &SecretString::from(TOKEN))]),
            doors,
            hook_secret,
            wake_sources: Arc::new(move || {
                counter.fetch_add(1, Ordering::Relaxed);
            }),
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
        });
        Self {
            handle,
            world,
            router,
            sources,
            wakes,
            stop,
        }
    }

    pub(super) async fn ask(&self, desired: DesiredService) -> ServiceKey {
        let key = desired.release.service.clone();
        let asked = Asked::Wanted(Arc::new(desired));
        self.handle.ask_one(&key, Some(&asked)).await;
        key
    }

    /// Asks, and waits until the service stands there.
    pub(super) async fn bring(
        &self,
        desired: DesiredService,
        phase: ServicePhase,
    ) -> Arc<ServiceReport> {
        let revision = desired.release.revision.clone();
        let key = self.ask(desired).await;
        self.wait(&key, |report| {
            report.status.phase == phase
                && report.status.revisions.desired.as_ref() == Some(&revision)
        })
        .await
    }

    /// The first report that is so.
    pub(super) async fn wait(
        &self,
        key: &ServiceKey,
        is_so: impl Fn(&ServiceReport) -> bool,
    ) -> Arc<ServiceReport> {
        let mut changes = self.handle.changes();
        let wait = async {
            loop {
                changes.borrow_and_update();
                if let Some(report) = self.handle.report(key).filter(|report| is_so(report)) {
                    return report;
                }
                changes.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), wait).await {
            Ok(report) => report,
            Err(_) => panic!("{key} did not come there: {:#?}", self.handle.report(key)),
        }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> http::Response<Body> {
        let service = TowerToHyperService::new(self.router.clone());
        service.call(request).await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.send(request(Method::GET, path, None, None)).await).await
    }

    pub(super) async fn post(&self, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = request(Method::POST, path, Some(TOKEN), body);
        read(self.send(request).await).await
    }
}

pub(super) fn request(
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost:7654");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

/// Status and JSON; a text where the answer is none.
pub(super) async fn read(response: http::Response<Body>) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
    )
}

pub(super) fn key(name: &str) -> ServiceKey {
    name.parse().unwrap()
}

/// What a commit asks for. The same version is the same release.
pub(super) fn desired(name: &str, version: u32, gates: Vec<Gate>) -> DesiredService {
    let key = key(name);
    let digits = CodeDigest::of(format!("{name}{version}").as_bytes()).hex();
    let commit = ObjectId::new(&digits[..40]).unwrap();
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
        timeout: Duration::from_secs(10),
        env: BTreeMap::new(),
    };
    let password = EnvValue::Secret("inventory-db".to_owned());
    let content = ReleaseContent {
        runtime: Runtime::Python("3.13".to_owned()),
        source: RepoPath::new(format!("services/{}", key.service)).unwrap(),
        source_tree: commit.clone(),
        build: None,
        functions: BTreeMap::from([(FunctionName::new("stock").unwrap(), Arc::new(function))]),
        env: BTreeMap::from([("DB_PASSWORD".to_owned(), password)]),
        role: Some("arn:aws:iam::123456789012:role/functions".to_owned()),
        azure: None,
    };
    DesiredService {
        environment: Arc::new(crate::stage::environment(key.environment.clone())),
        release: Release {
            service: key,
            digest: content.digest(),
            revision: Revision {
                reference: "main".to_owned(),
                commit,
            },
            content: Arc::new(content),
        },
        rollout: RolloutSpec {
            gates,
            bake: Duration::ZERO,
            across: Across::Together,
            windows: Vec::new(),
            group: None,
            strategy: Strategy::BlueGreen,
        },
        depends_on: std::collections::BTreeSet::new(),
        drift: DriftMode::Enforce.into(),
    }
}

pub(super) fn answers() -> Gate {
    Gate {
        name: GateName::new("answers").unwrap(),
        kind: GateKind::Http(HttpGate::from(HttpStep::get("/stock/42"))),
        after: GateStage::Staging,
        measure: Measure::default(),
    }
}

pub(super) fn approval() -> Gate {
    Gate {
        name: GateName::new("release-manager").unwrap(),
        kind: GateKind::Approval(ApprovalGate {
            by: Vec::new(),
            quorum: 1,
            roles: Vec::new(),
            expires: None,
        }),
        after: GateStage::Staging,
        measure: Measure::default(),
    }
}

/// A repository that can be read.
pub(super) fn source(name: &str) -> SourceReport {
    use verdigris::status::source::{Polled, source_ready};
    SourceReport {
        name: name.parse().unwrap(),
        url: "https://git.example.com/shop.git".to_owned(),
        reference: "main".to_owned(),
        path: "environments".to_owned(),
        revision: Some(desired("prod/x", 1, Vec::new()).release.revision),
        conditions: vec![source_ready(&Polled::Read, &[], Timestamp::from_millis(0))],
        last_polled_at: Some(SystemClock.now()),
        faults: Vec::new(),
    }
}

/// Times and numbers that differ from run to run stand as words.
pub(super) fn redacted(mut value: Value) -> Value {
    redact(&mut value);
    value
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "resourceVersion" | "seq" | "next" => *value = Value::from("[number]"),
                    "watch" => *value = Value::from("[place]"),
                    "hash" if value.is_string() => *value = Value::from("[plan]"),
                    _ => redact(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) => {
            let undated = |word: &str| match word.trim_end_matches(':') {
                moment if moment.parse::<Timestamp>().is_ok() => word.replace(moment, "[time]"),
                _ => word.to_owned(),
            };
            *text = text.split(' ').map(undated).collect::<Vec<_>>().join(" ");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
