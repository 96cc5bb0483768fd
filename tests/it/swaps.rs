//! Nothing that users ask is lost while blue moves, on both clouds; nothing that did not pass answers them; and the way back is short.

#[path = "../bench/kit/swaps.rs"]
mod story;

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use verdigris::{
    local::faults::{Rule, RuleError},
    name::{Actor, CloudName},
    plan::{act::Action, state::ServiceState},
};

use crate::stage::real::{Clouds, Site, is_live, until};

const ROUNDS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_while_blue_moves_and_none_is_answered_by_what_did_not_pass() {
    let site = Site::new().await;
    story::prepare(&site.author);
    let daemon = site.local_daemon().await;
    let told = story::play(&daemon, &site.author, ROUNDS).await;
    assert_eq!(told.lost, Vec::<String>::new(), "of {}", told.asked);
    assert_eq!(told.unproven, Vec::<String>::new());
    assert!(told.answering > 1 && told.rejected > 0 && told.promotions == ROUNDS);
    assert_eq!(told.rollbacks.len(), ROUNDS);
    // How long they took is a figure of `tests/bench/run swaps`: here other tests have the machine, too.
    eprintln!(
        "asked {} times, lost none; back in {:?}",
        told.asked, told.rollbacks
    );
    daemon.stop().await;
}

/// Operations that bring code to a cloud.
const UPLOADS: [&str; 5] = [
    "CreateFunction",
    "UpdateFunctionCode",
    "PublishVersion",
    "zipdeploy",
    "onedeploy",
];

fn since(before: &BTreeMap<String, u64>, after: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut calls = after;
    for (operation, count) in &mut calls {
        *count -= before.get(operation).copied().unwrap_or_default();
    }
    calls.retain(|_, count| *count > 0);
    calls
}

fn holds(state: &ServiceState, cloud: CloudName, release: verdigris::name::ReleaseDigest) -> bool {
    let seen = state.seen(cloud);
    seen.is_some_and(|seen| seen.observed.blue.holds(release))
}

/// Every call to Azure fails, or none does.
fn ill(clouds: &Clouds, is_ill: bool) {
    let faults = clouds.arm.faults();
    if is_ill {
        let error = Some(RuleError {
            status: 503,
            code: "ServiceUnavailable".to_owned(),
            message: None,
        });
        faults.set(vec![Rule {
            error,
            ..Rule::of("*")
        }]);
    } else {
        faults.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_builds_and_uploads_nothing_and_waits_for_no_cloud_that_is_down() {
    let site = Site::new().await;
    story::prepare(&site.author);
    let daemon = site.local_daemon().await;
    let key = story::key();
    let one = until(&daemon, &key, "live", is_live)
        .await
        .memory
        .promoted
        .unwrap();
    site.edit("services/inventory/app.py", r#""v1""#, r#""v2""#);
    site.author.commit("v2").unwrap();
    daemon.sources.wake_all();
    let is_two = |state: &ServiceState| is_live(state) && state.memory.promoted != Some(one);
    until(&daemon, &key, "live at v2", is_two).await;

    let before = site.clouds.writes();
    ill(&site.clouds, true);
    let back = Action::Rollback { to: None };
    daemon
        .handle
        .act(&key, back, Actor::person("ana"))
        .await
        .unwrap();
    let healthy = |state: &ServiceState| holds(state, CloudName::Aws, one);
    let state = until(&daemon, &key, "back on the healthy cloud", healthy).await;
    assert!(!holds(&state, CloudName::Azure, one));
    let told = until_told(&daemon, "azure").await;
    assert!(told.contains("promote"), "{told}");

    ill(&site.clouds, false);
    let both = |state: &ServiceState| {
        CloudName::ALL
            .into_iter()
            .all(|cloud| holds(state, cloud, one))
            && is_live_at(state, one)
    };
    until(&daemon, &key, "back on both", both).await;
    let calls = since(&before, site.clouds.writes());
    let uploads: Vec<_> = calls
        .keys()
        .filter(|call| UPLOADS.iter().any(|upload| call.contains(upload)))
        .collect();
    assert_eq!(uploads, Vec::<&String>::new(), "{calls:?}");
    eprintln!("a rollback's writing calls, with an outage of one cloud: {calls:?}");
    daemon.stop().await;
}

/// A service whose two versions differ in code, in configuration and in who may call it.
fn manifest(version: u32) -> String {
    let (auth, origin, partner) = match version {
        1 => ("none", "https://one.example", "111111111111"),
        _ => ("iam", "https://two.example", "222222222222"),
    };
    format!(
        r#"apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: {{ name: inventory }}
spec:
  runtime: python3.13
  source: services/inventory
  functions:
    stock:
      handler: "app:app"
      http: "GET /stock/{{sku}}"
      memory: {memory}Mi
      aws:
        url: {{ auth: {auth}, cors: {{ origins: ["{origin}"], methods: [GET] }} }}
        permissions: {{ partner-{version}: {{ principal: "{partner}" }} }}
    version: {{ handler: "app:app", http: GET /version }}
  env:
    WAREHOUSE: v{version}
  rollout:
    gates:
      - http: {{ path: /version }}
"#,
        memory = 128 * (version + 1),
    )
}

/// Whatever of blue is no code, as the clouds' own interfaces tell it.
async fn around_the_code(site: &Site) -> BTreeMap<String, Value> {
    let lambda = &site.clouds.lambda.url;
    let arm = &site.clouds.arm.url;
    let (_, apps) = site.clouds.resources().await;
    let sites = "subscriptions/6f1c2b8e-4d0a-4c55-9a37-2f7d1e90c4ab/resourceGroups/shop/providers/Microsoft.Web/sites";
    let client = reqwest::Client::new();
    let read = async |request: reqwest::RequestBuilder| {
        let answer = request.bearer_auth("local").send().await.unwrap();
        let told: Value = answer.json().await.unwrap();
        without_moments(told)
    };
    let function = "functions/prod-inventory-stock";
    let mut told = BTreeMap::new();
    for (what, path) in [
        ("policy", format!("2015-03-31/{function}/policy")),
        ("address", format!("2021-10-31/{function}/url")),
        (
            "configuration",
            format!("2015-03-31/{function}/configuration"),
        ),
    ] {
        let url = format!("{lambda}{path}?Qualifier=blue");
        told.insert(format!("aws {what}"), read(client.get(url)).await);
    }
    let settings = format!(
        "{arm}/{sites}/{}/config/appsettings/list?api-version=2025-05-01",
        apps[0]
    );
    let settings = read(client.post(settings).header("content-length", "0")).await;
    told.insert("azure settings".to_owned(), settings);
    told
}

/// Without what says when, and not what.
fn without_moments(told: Value) -> Value {
    match told {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let lasting = fields.filter(|(name, _)| {
                !["RevisionId", "LastModified", "LastModifiedTime"].contains(&name.as_str())
            });
            let lasting = lasting.map(|(name, value)| (name, without_moments(value)));
            Value::Object(lasting.collect())
        }
        Value::Array(items) => items.into_iter().map(without_moments).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => told,
    }
}

/// What a stranger is told by the function whose callers the versions differ in.
async fn asked_by_a_stranger(state: &ServiceState) -> u16 {
    let blue = &state.seen(CloudName::Aws).unwrap().observed.blue;
    let address = &blue.holding().unwrap().addresses[&"stock".parse().unwrap()];
    let url = address.join("/stock/42").unwrap();
    reqwest::get(url).await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_back_permissions_and_configuration_and_needs_neither_git_nor_packages() {
    let site = Site::new().await;
    story::prepare(&site.author);
    let path = "services/inventory/service.yaml";
    site.author.write(path, manifest(1)).unwrap();
    site.author.commit("v1").unwrap();
    let daemon = site.local_daemon().await;
    let key = story::key();
    let live = until(&daemon, &key, "live", is_live).await;
    let one = live.memory.promoted.unwrap();
    let before = around_the_code(&site).await;
    assert_eq!(asked_by_a_stranger(&live).await, 200);

    site.edit("services/inventory/app.py", r#""v1""#, r#""v2""#);
    site.author.write(path, manifest(2)).unwrap();
    site.author.commit("v2").unwrap();
    daemon.sources.wake_all();
    let is_two = |state: &ServiceState| is_live(state) && state.memory.promoted != Some(one);
    let live = until(&daemon, &key, "live at v2", is_two).await;
    let between = around_the_code(&site).await;
    for (what, told) in &before {
        assert_ne!(told, &between[what], "v2 differs in {what}");
    }
    assert_eq!(asked_by_a_stranger(&live).await, 403);
    let writes = site.clouds.writes();
    for upload in ["UpdateFunctionCode", "zipdeploy"] {
        assert!(writes.keys().any(|it| it.contains(upload)), "{writes:?}");
    }

    // Nothing could be built or uploaded now: repository, mirror and packages are gone.
    let origin = site.author.folder().to_owned();
    let folders = ["packages", "repositories"].map(|name| site.data.join(name));
    for folder in folders.into_iter().chain([origin]) {
        std::fs::rename(&folder, folder.with_extension("gone")).unwrap();
    }
    let back = Action::Rollback { to: None };
    let ana = Actor::person("ana");
    daemon.handle.act(&key, back, ana).await.unwrap();
    let back = |state: &ServiceState| is_live_at(state, one);
    let live = until(&daemon, &key, "back", back).await;
    assert_eq!(around_the_code(&site).await, before);
    assert_eq!(asked_by_a_stranger(&live).await, 200);
    let calls = since(&writes, site.clouds.writes());
    let is_upload = |call: &&String| UPLOADS.iter().any(|upload| call.contains(upload));
    assert_eq!(calls.keys().find(is_upload), None, "{calls:?}");
    daemon.stop().await;
}

fn is_live_at(state: &ServiceState, release: verdigris::name::ReleaseDigest) -> bool {
    let rollout = state.rollout.as_ref();
    rollout.is_some_and(|it| it.phase.word() == "Live" && it.release == release)
}

/// What status says is waited on, once it names this.
async fn until_told(daemon: &verdigris::daemon::run::Daemon, name: &str) -> String {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let report = daemon.handle.report(&story::key()).unwrap();
        let waits = report.status.waiting.iter();
        let told: Vec<String> = waits.map(|waiting| waiting.text.clone()).collect();
        let told = told.join("; ");
        if told.contains(name) {
            return told;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "it is not told: {told}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
