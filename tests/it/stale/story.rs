//! A whole daemon on clouds that tell late what was written.

use std::collections::BTreeMap;

use verdigris::{
    daemon::run::Daemon,
    name::{Actor, ServiceKey},
    plan::{act::Action, state::ServiceState},
};

use crate::stage::real::{Site, is_live, is_of, is_on_both, until, versions};

const EACH: u32 = 1;

fn key() -> ServiceKey {
    "prod/inventory".parse().unwrap()
}

/// As many looks at each cloud as show that nobody has anything to do.
async fn quiet(site: &Site, daemon: &Daemon) -> BTreeMap<String, u64> {
    let looked = |state: &ServiceState| {
        let live = state.live.values();
        let seen: Vec<_> = live.filter_map(|it| Some(it.seen.as_ref()?.at)).collect();
        seen
    };
    let before = site.clouds.writes();
    for _ in 0..3 {
        let state = daemon.handle.state(&key()).await.unwrap();
        let before = looked(&state);
        until(daemon, &key(), "looked at again", |state| {
            let later = looked(state);
            later
                .iter()
                .zip(&before)
                .all(|(later, before)| later > before)
        })
        .await;
    }
    let after = site.clouds.writes();
    assert_eq!(after, before, "nothing is repaired that is as it should be");
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_comes_to_rest_where_reads_are_late() {
    let site = Site::late(EACH).await;
    for other in ["services/cart", "services/price"] {
        site.author.remove(other).unwrap();
    }
    site.author.commit("the shop opens").unwrap();
    let daemon = site.local_daemon().await;
    let first = until(&daemon, &key(), "v1", is_live).await;
    assert_eq!(versions(&first).await, ["v1"; 2]);
    quiet(&site, &daemon).await;

    let app = "services/inventory/app.py";
    site.edit(app, r#"VERSION = "v1""#, r#"VERSION = "v2""#);
    let commit = site.author.commit("inventory: v2").unwrap();
    daemon.sources.wake_all();
    let second = until(&daemon, &key(), "live at v2", |state| {
        is_of(state, &commit) && is_live(state)
    })
    .await;
    assert_eq!(versions(&second).await, ["v2"; 2]);
    quiet(&site, &daemon).await;

    let back = Action::Rollback { to: None };
    daemon
        .handle
        .act(&key(), back, Actor::person("ana"))
        .await
        .unwrap();
    let release = first.ask.desired().unwrap().release.digest;
    let is_back = |state: &ServiceState| {
        let mut seen = state.live.values().map(|it| it.seen.as_ref());
        seen.all(|it| it.is_some_and(|seen| seen.observed.blue.holds(release)))
    };
    let back = until(&daemon, &key(), "back", is_back).await;
    assert_eq!(versions(&back).await, ["v1"; 2]);
    quiet(&site, &daemon).await;
    let state = daemon.handle.state(&key()).await.unwrap();
    assert!(!is_on_both(&state), "it stays where it was put");

    // Who lists by hand is late, too.
    for _ in 0..EACH {
        site.clouds.resources().await;
    }
    let (functions, sites) = site.clouds.resources().await;
    assert_eq!(
        (functions.len(), sites.len()),
        (2, 1),
        "{functions:?} {sites:?}"
    );
    assert!(
        site.clouds.stale_answers() > 5,
        "{}",
        site.clouds.stale_answers()
    );
    daemon.stop().await;
}
