//! Nothing that users ask is lost while blue moves, on both clouds; nothing that did not pass answers them; and the way back is short.

#[path = "../bench/kit/swaps.rs"]
mod story;

use std::{collections::BTreeMap, time::Duration};

use verdigris::{
    local::faults::{Rule, RuleError},
    name::{Actor, CloudName},
    plan::{act::Action, state::ServiceState},
};

use crate::stage::real::{Clouds, Site, is_live, until};

const ROUNDS: usize = 5;

/// An idle machine needs less than two seconds, of which Azure's clients wait one before they ask again: `tests/bench/run swaps` measures it.
/// This is for a machine that does many other things at once.
const WAY_BACK_MAX: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_while_blue_moves_and_none_is_answered_by_what_did_not_pass() {
    let site = Site::new().await;
    story::prepare(&site.author);
    let daemon = site.local_daemon().await;
    let told = story::play(&daemon, &site.author, ROUNDS).await;
    assert_eq!(told.lost, Vec::<String>::new(), "of {}", told.asked);
    assert_eq!(told.unproven, Vec::<String>::new());
    assert!(told.answering > 1 && told.rejected > 0 && told.promotions == ROUNDS);
    let mut took = told.rollbacks.clone();
    took.sort();
    eprintln!("asked {} times, lost none; back in {took:?}", told.asked);
    assert!(took[ROUNDS / 2] < WAY_BACK_MAX, "{took:?}");
    daemon.stop().await;
}

/// Operations that bring code to a cloud.
const UPLOADS: [&str; 5] = [
    "CreateFunction",
    "UpdateFunctionCode",
    "PublishVersion",
    "deploy.zip",
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
