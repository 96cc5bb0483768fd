//! A canary as users meet it: a real function behind a real alias on this machine's AWS, and about so many of its answers as were asked for
//! come from the new release.

use std::collections::BTreeMap;

use url::Url;
use verdigris::{
    daemon::run::Daemon,
    name::{Actor, CloudName, FunctionName, ReleaseDigest, ServiceKey},
    plan::{act::Action, state::ServiceState},
    rollout::phase::Phase,
};

use crate::stage::real::{Site, is_in, is_live, is_of, is_on_both, until, versions};

/// Asked so often: a share of 30 % is then found between 15 % and 45 % but for one run in ten billion.
const CALLS: usize = 400;

fn key() -> ServiceKey {
    "prod/inventory".parse().unwrap()
}

fn blue_address(state: &ServiceState, cloud: CloudName) -> Url {
    let blue = &state.seen(cloud).unwrap().observed.blue;
    let function = FunctionName::new("version").unwrap();
    let address = &blue.holding().unwrap().addresses[&function];
    address.join("/version").unwrap()
}

/// How many answers came from which release; every one of them names its own.
async fn answers(state: &ServiceState, cloud: CloudName, calls: usize) -> BTreeMap<String, usize> {
    let address = blue_address(state, cloud);
    let client = reqwest::Client::new();
    let mut counts = BTreeMap::new();
    for _ in 0..calls {
        let answer = client.get(address.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let release = answer.headers()["x-verdigris-release"].to_str().unwrap();
        *counts.entry(release.to_owned()).or_default() += 1;
    }
    counts
}

/// Whether a canary has its share, and waits for a person.
fn is_waiting(state: &ServiceState) -> bool {
    let rollout = state.rollout.as_ref();
    let is_at_pause = rollout.is_some_and(|it| matches!(it.phase, Phase::Shifting { step: 1, .. }));
    let blue = state.seen(CloudName::Aws).map(|seen| &seen.observed.blue);
    is_at_pause && blue.is_some_and(|blue| blue.canary().is_some())
}

/// The next version, which waits at its share.
async fn canary(
    site: &Site,
    daemon: &Daemon,
    from: &str,
    to: &str,
) -> (ServiceState, ReleaseDigest) {
    let version = |version: &str| format!("VERSION = {version:?}");
    site.edit("services/inventory/app.py", &version(from), &version(to));
    let commit = site.author.commit(&format!("inventory: {to}")).unwrap();
    daemon.sources.wake_all();
    let inventory = key();
    let state = until(daemon, &inventory, "a canary", |state| {
        is_of(state, &commit) && is_waiting(state)
    });
    let state = state.await;
    let release = state.rollout.as_ref().unwrap().release;
    (state, release)
}

#[tokio::test(flavor = "multi_thread")]
async fn about_the_share_of_answers_comes_from_the_canary_and_none_once_it_went_back() {
    let site = Site::new().await;
    let manifest = "services/inventory/service.yaml";
    let strategy = "    bake: 2s\n    strategy: { canary: [30, { pause: {} }] }";
    site.edit(manifest, "    bake: 2s", strategy);
    site.author.commit("the shop opens").unwrap();
    let daemon = site.local_daemon().await;
    let inventory = key();
    let state = until(&daemon, &inventory, "v1", is_live).await;
    let one = state.rollout.as_ref().unwrap().release;

    let (state, two) = canary(&site, &daemon, "v1", "v2").await;
    let counts = answers(&state, CloudName::Aws, CALLS).await;
    let of_two = counts.get(&two.to_string()).copied().unwrap_or_default();
    let of_one = counts.get(&one.to_string()).copied().unwrap_or_default();
    assert_eq!(of_one + of_two, CALLS, "{counts:?}");
    assert!(
        (CALLS * 15 / 100..CALLS * 45 / 100).contains(&of_two),
        "{counts:?}"
    );
    let azure = answers(&state, CloudName::Azure, 20).await;
    assert_eq!(azure.get(&one.to_string()), Some(&20), "{azure:?}");

    let abort = Action::Abort { reason: None };
    let ana = Actor::person("ana");
    daemon
        .handle
        .act(&inventory, abort, ana.clone())
        .await
        .unwrap();
    let back = until(&daemon, &inventory, "back", |state| {
        is_in(state, "RolledBack")
    });
    let counts = answers(&back.await, CloudName::Aws, CALLS / 4).await;
    assert_eq!(
        counts.get(&one.to_string()),
        Some(&(CALLS / 4)),
        "{counts:?}"
    );

    canary(&site, &daemon, "v2", "v3").await;
    daemon
        .handle
        .act(&inventory, Action::Promote, ana)
        .await
        .unwrap();
    let live = until(&daemon, &inventory, "v3", |state| {
        is_in(state, "Live") && is_on_both(state)
    });
    let live = live.await;
    assert_eq!(versions(&live).await, ["v3"; 2]);
    daemon.stop().await;
}
