//! Prism between our client and our endpoint, with the document that Azure's own Python client gives: it must find no fault.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep},
};
use verdigris::{
    cloud::{Cloud as _, Package, azure::AzureCloud},
    desired::Release,
    manifest::spec::AzurePlan,
    observed::SlotContent,
};

use super::{
    SUBSCRIPTION, TOKEN, local::Local, options, places::with_everything, policy::action, release,
    scope,
};
use crate::peers::{node_file, python};

/// What the document describes; the rest goes past Prism.
const CHECKED: &str = concat!(
    r"Microsoft\.Web/(serverfarms/\{name\}|sites(/\{name\}(/slots/\{slot\})?",
    r"(/config/(appsettings(/list)?|slotConfigNames|web|authsettingsV2|configreferences/appsettings)|/functions",
    r"|/slots|/slotsswap|/applySlotConfig|/resetSlotConfig|/syncfunctiontriggers|/hostNameBindings(/\{hostName\})?",
    r"|/host/default/listkeys|/start|/stop)?)?)$",
);

/// Prism, and in front of it what sends it the calls that the document describes.
pub(super) struct Checker {
    pub(super) address: String,
    seen: Arc<Mutex<Seen>>,
    _prism: Child,
    _folder: TempDir,
}

#[derive(Default)]
struct Seen {
    /// Method and path of every call.
    asked: Vec<(String, String)>,
    checked: u32,
    faults: Vec<String>,
}

#[derive(Clone)]
struct Way {
    own: String,
    prism: String,
    upstream: String,
    client: reqwest::Client,
    seen: Arc<Mutex<Seen>>,
}

impl Checker {
    pub(super) async fn before(upstream: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let document = folder.path().join("web.json");
        write_document(&document).await;
        let (prism, process) = start_prism(&document, upstream).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let way = Way {
            own: own.clone(),
            prism,
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            seen: Arc::clone(&seen),
        };
        let router = Router::new().fallback(pass).with_state(way);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address: own,
            seen,
            _prism: process,
            _folder: folder,
        }
    }

    pub(super) fn asked(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().asked.clone()
    }

    pub(super) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().faults)
    }
}

/// Two releases that were blue on a cloud behind the checker; the second is.
pub(super) struct Story {
    pub(super) local: Local,
    pub(super) checker: Checker,
    pub(super) cloud: AzureCloud,
    pub(super) releases: [Release; 2],
    pub(super) packages: [Package; 2],
}

impl Story {
    pub(super) async fn plain(plan: &str) -> Self {
        let releases = [release(1, &[]), release(2, &[("LOG_LEVEL", "debug")])];
        Self::of(Local::start().await, plan, releases).await
    }

    pub(super) async fn of(local: Local, plan: &str, releases: [Release; 2]) -> Self {
        let checker = Checker::before(&local.arm.url).await;
        let mut options = options(&checker.address);
        options.target.plan = AzurePlan(plan.to_owned());
        let cloud = AzureCloud::new(options).unwrap();
        let packages = ["one", "two"].map(|word| local.package(word));
        for (release, package) in releases.iter().zip(&packages) {
            cloud.stage(release, package).await.unwrap();
            let scope = scope(release);
            cloud.promote(&scope, release.digest).await.unwrap();
        }
        Self {
            local,
            checker,
            cloud,
            releases,
            packages,
        }
    }
}

async fn write_document(path: &Path) {
    let made = python("arm_openapi.py")
        .arg(CHECKED)
        .arg(path)
        .output()
        .await
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

async fn start_prism(document: &Path, upstream: &str) -> (String, Child) {
    let program = node_file(".bin/prism");
    // It takes no port 0, so a free one is looked for.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut process = Command::new("node")
        .arg(program)
        .args([
            "proxy",
            "--errors",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .arg(document)
        .arg(upstream)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(
            process.try_wait().unwrap().is_none(),
            "prism ended before it listened"
        );
        assert!(Instant::now() < deadline, "prism does not answer");
        sleep(Duration::from_millis(100)).await;
    }
    (format!("http://127.0.0.1:{port}"), process)
}

/// Whether the document describes calls on this path: sites and plans, but for the outcomes of what was started.
fn is_checked(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let described = ["/microsoft.web/sites", "/microsoft.web/serverfarms"];
    described.iter().any(|part| path.contains(part))
        && ![
            "/operationresults/",
            "/hostruntime/",
            "/providers/microsoft.resources/tags/",
            "/providers/microsoft.insights/",
        ]
        .iter()
        .any(|part| path.contains(part))
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().unwrap().as_str().to_owned();
    let checked = is_checked(head.uri.path());
    let told = (head.method.to_string(), path.clone());
    way.seen.lock().unwrap().asked.push(told);
    let target = if checked { &way.prism } else { &way.upstream };
    let mut headers = head.headers;
    headers.remove("host");
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let sent = way
        .client
        .request(head.method.clone(), format!("{target}{path}"));
    let answer = sent.headers(headers).body(body).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    if checked {
        let mut seen = way.seen.lock().unwrap();
        seen.checked += 1;
        let text = String::from_utf8_lossy(&body);
        if text.contains("stoplight.io/prism/errors") {
            seen.faults
                .push(format!("{} {path}: {status}: {text}", head.method));
        }
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in &headers {
        if !matches!(
            name.as_str(),
            "transfer-encoding" | "content-length" | "connection"
        ) {
            // Links lead to whoever the endpoint thinks it was called by: here they lead back through us.
            let value = value.to_str().unwrap();
            let value = value
                .replace(&way.upstream, &way.own)
                .replace(&way.prism, &way.own);
            response.headers_mut().append(name, value.parse().unwrap());
        }
    }
    response
}

#[tokio::test]
async fn prism_finds_no_fault_in_what_we_send_and_what_our_endpoint_answers() {
    let Story {
        local,
        checker,
        cloud,
        releases: [one, two],
        packages: [_, second],
    } = Story::plain("EP1").await;
    let scope = scope(&one);
    // Back, and forth again.
    cloud.promote(&scope, one.digest).await.unwrap();
    cloud.promote(&scope, two.digest).await.unwrap();
    local.set_on_blue("LOG_LEVEL", "trace").await;
    local.by_hand("POST", "/stop", &json!({})).await;
    cloud.repair(&two, &second).await.unwrap();
    assert_eq!(cloud.inventory().await.unwrap().len(), 1);
    cloud.prune(&scope).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.blue, SlotContent::Empty);
    assert_eq!(checker.take_faults(), [""; 0]);
    assert!(checker.seen.lock().unwrap().checked > 40);
    // The package that the document is made of knows nothing else; whatever else we ask for must come through Prism.
    let past = checker.asked().into_iter();
    let past = past.filter(|(_, path)| !is_checked(path.split('?').next().unwrap_or_default()));
    let past: BTreeSet<String> = past.map(|(method, path)| action(&method, &path)).collect();
    let known = [
        "Microsoft.Authorization/roleAssignments/read",
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.KeyVault/vaults/read",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        "Microsoft.Resources/subscriptions/resourceGroups/write",
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/write",
        "Microsoft.Web/locations/operations/read",
    ];
    assert_eq!(past, BTreeSet::from(known.map(str::to_owned)));
}

#[tokio::test]
async fn prism_finds_no_fault_in_what_a_place_is_given() {
    let local = Local::start().await;
    local.with_secret("vg-test", "key").await;
    let releases = [with_everything(1), with_everything(2)];
    let story = Story::of(local, "EP1", releases).await;
    let (cloud, checker) = (&story.cloud, &story.checker);
    let plain = release(3, &[]);
    let third = story.local.package("three");
    let scope = scope(&plain);
    // A preview that another release ends, and a place that nobody asks anything of.
    cloud.stage(&plain, &third).await.unwrap();
    cloud.promote(&scope, plain.digest).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert!(observed.blue.holds(plain.digest));
    assert_eq!(checker.take_faults(), [""; 0]);
}

#[tokio::test]
async fn prism_finds_no_fault_in_two_apps_and_a_pointer() {
    let story = Story::plain("FC1").await;
    let [one, two] = &story.releases;
    let scope = scope(one);
    story.cloud.promote(&scope, one.digest).await.unwrap();
    let hand = json!({"properties": {"functionAppConfig": Value::Null}});
    let app = "vg-test-inventory-b";
    story.local.to_app(app, "PATCH", "", &hand).await.unwrap();
    story.cloud.repair(two, &story.packages[1]).await.unwrap();
    story.cloud.prune(&scope).await.unwrap();
    assert_eq!(story.checker.take_faults(), [""; 0]);
}

/// A plan that people pay for by the hour: apps are kept awake there.
#[tokio::test]
async fn prism_finds_no_fault_in_apps_on_a_dedicated_plan() {
    let story = Story::plain("S1").await;
    let [one, two] = &story.releases;
    let scope = scope(one);
    let holds = async |on_blue: &Release, on_green: &Release, package: &Package| {
        let observed = story.cloud.observe(&scope).await.unwrap();
        assert!(observed.green.holds(on_green.digest));
        let fields = observed.blue.holding().unwrap().fields.clone();
        assert_eq!(fields, story.cloud.expected(on_blue, package.code));
    };
    holds(two, one, &story.packages[1]).await;
    story.cloud.promote(&scope, one.digest).await.unwrap();
    holds(one, two, &story.packages[0]).await;
    story.local.by_hand("POST", "/stop", &json!({})).await;
    let repair = story.cloud.repair(one, &story.packages[0]);
    repair.await.unwrap();
    holds(one, two, &story.packages[0]).await;
    story.cloud.prune(&scope).await.unwrap();
    assert_eq!(story.checker.take_faults(), [""; 0]);
}

#[tokio::test]
async fn prism_finds_no_fault_in_packages_that_are_run_from_an_address() {
    let story = Story::plain("Y1").await;
    let [one, two] = &story.releases;
    let scope = scope(one);
    story.cloud.promote(&scope, one.digest).await.unwrap();
    story.cloud.promote(&scope, two.digest).await.unwrap();
    story.local.set_on_blue("LOG_LEVEL", "trace").await;
    story.local.by_hand("POST", "/stop", &json!({})).await;
    story.cloud.repair(two, &story.packages[1]).await.unwrap();
    assert_eq!(story.cloud.inventory().await.unwrap().len(), 1);
    story.cloud.prune(&scope).await.unwrap();
    let observed = story.cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.blue, SlotContent::Empty);
    assert_eq!(story.checker.take_faults(), [""; 0]);
    let asked = story.checker.asked();
    let synced = asked
        .iter()
        .filter(|(_, path)| path.contains("/syncfunctiontriggers"));
    assert!(synced.count() >= 4, "{asked:?}");
}

/// Prism checks nothing, and says nothing, where it cannot make sense of the document: so every kind of fault is planted once.
#[tokio::test]
async fn prism_finds_the_faults_that_we_plant() {
    let local = Local::start().await;
    let checker = Checker::before(&local.arm.url).await;
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/shop");
    let site = format!("{group}/providers/Microsoft.Web/sites/app");
    let web = "api-version=2025-05-01";
    let planted: [(&str, String, Value); 7] = [
        ("GET", site.clone(), Value::Null),
        ("PUT", format!("{site}?{web}"), json!({"tags": {}})),
        (
            "PUT",
            format!("{site}?{web}"),
            json!({"location": "westeurope", "properties": {"serverFarm": "misspelt"}}),
        ),
        (
            "PUT",
            format!("{site}/slots/green?{web}"),
            json!({"location": "westeurope", "properties": {"reserved": "yes"}}),
        ),
        (
            "PUT",
            format!("{group}/providers/Microsoft.Web/serverfarms/plan?{web}"),
            json!({"location": "westeurope", "sku": {"name": 1}}),
        ),
        (
            "POST",
            format!("{site}/slotsswap?{web}"),
            json!({"targetSlot": "production"}),
        ),
        (
            "PUT",
            format!("{site}/config/appsettings?{web}"),
            json!({"properties": {"A": {}}}),
        ),
    ];
    for (method, path, body) in planted {
        let client = reqwest::Client::new();
        let method: reqwest::Method = method.parse().unwrap();
        let asked = client.request(method, format!("{}{path}", checker.address));
        let asked = if body.is_null() {
            asked
        } else {
            asked.json(&body)
        };
        asked.bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(checker.take_faults().len(), 1, "{path}");
    }
}
