//! Blue after its promotion, on clouds that speak the real protocols: swaps that undo themselves, and a platform that answers in the place
//! of a release.

use verdigris::{
    daemon::run::Daemon,
    local::faults::{Rule, RuleError},
    name::{CloudName, ReleaseDigest, ServiceKey},
    plan::state::ServiceState,
    rollout::phase::StopReason,
};

use crate::stage::real::{Site, is_in, is_live, until, versions};

fn key() -> ServiceKey {
    "prod/inventory".parse().unwrap()
}

fn manifest(bake: &str) -> String {
    format!(
        r#"apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: {{ name: inventory }}
spec:
  runtime: python3.13
  source: services/inventory
  functions:
    version: {{ handler: "app:app", http: GET /version }}
  rollout:
    gates:
      - http: {{ path: /version }}
    bake: {bake}
"#
    )
}

/// The service is live at v1, and v2, which bakes for so long, is on its way.
async fn with_two(site: &Site, bake: &str, before: impl FnOnce(&Site)) -> (Daemon, ReleaseDigest) {
    for other in ["services/cart", "services/price"] {
        site.author.remove(other).unwrap();
    }
    let path = "services/inventory/service.yaml";
    site.author.write(path, manifest("0s")).unwrap();
    site.author.commit("v1").unwrap();
    let daemon = site.local_daemon().await;
    let live = until(&daemon, &key(), "live", is_live).await;
    let one = live.memory.promoted.unwrap();
    before(site);
    site.author.write(path, manifest(bake)).unwrap();
    site.edit("services/inventory/app.py", r#""v1""#, r#""v2""#);
    site.author.commit("v2").unwrap();
    daemon.sources.wake_all();
    (daemon, one)
}

/// Waits until both clouds serve the first release again, and tells why.
async fn rolled_back(daemon: &Daemon, one: ReleaseDigest) -> (StopReason, String) {
    let is_back = |state: &ServiceState| {
        let holds = |cloud| {
            let seen = state.seen(cloud);
            seen.is_some_and(|seen| seen.observed.blue.holds(one))
        };
        is_in(state, "RolledBack") && CloudName::ALL.into_iter().all(holds)
    };
    let state = until(daemon, &key(), "rolled back", is_back).await;
    assert_eq!(versions(&state).await, ["v1", "v1"]);
    let why = state.rollout.unwrap().phase.why().unwrap().clone();
    (why.reason, why.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_undoes_itself_on_azure_takes_both_clouds_back() {
    let site = Site::new().await;
    // Long enough that the promotion is over by then on a busy machine, too.
    let undone = |site: &Site| {
        site.clouds.arm.faults().set(vec![Rule {
            latency_ms: 20_000,
            times: Some(1),
            ..Rule::of("swap.revert")
        }]);
    };
    let (daemon, one) = with_two(&site, "2m", undone).await;
    let (reason, message) = rolled_back(&daemon, one).await;
    assert_eq!(reason, StopReason::SlotReverted, "{message}");
    assert!(message.starts_with("blue on azure no longer"), "{message}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_answers_503_in_the_bake_is_told_and_takes_both_clouds_back() {
    let site = Site::new().await;
    let (daemon, one) = with_two(&site, "1m", |_| {}).await;
    until(&daemon, &key(), "baking", |it| is_in(it, "Baking")).await;
    let warming = RuleError {
        status: 503,
        code: "ServiceUnavailable".to_owned(),
        message: None,
    };
    site.clouds.arm.faults().set(vec![Rule {
        error: Some(warming),
        ..Rule::of("front.production")
    }]);
    let is_told = |state: &ServiceState| {
        let seen = state.seen(CloudName::Azure);
        seen.is_some_and(|seen| seen.silent_since.is_some())
    };
    until(&daemon, &key(), "known not to answer", is_told).await;
    let goes_back = |state: &ServiceState| {
        let phase = state.rollout.as_ref().map(|it| &it.phase);
        let why = phase.and_then(|phase| phase.why());
        why.is_some_and(|why| why.reason == StopReason::BlueSilent)
    };
    until(&daemon, &key(), "going back", goes_back).await;
    // Then the way back waits for an answer, too.
    site.clouds.arm.faults().clear();
    let (_, message) = rolled_back(&daemon, one).await;
    assert!(
        message.contains("blue on azure does not answer") && message.contains("answers 503"),
        "{message}"
    );
    let events = daemon.handle.events_after(0, 10_000).await.unwrap();
    assert!(events.iter().any(|it| it.reason == "BlueSilent"));
    daemon.stop().await;
}
