//! The whole way, with nothing made up: commits in a Git repository, the daemon as it is started, and both clouds on this machine.

use verdigris::{
    daemon::run::Daemon,
    name::{ServiceKey, Timestamp},
    plan::state::ServiceState,
};

use crate::stage::real::{Site, eventually, is_in, is_live, is_of, is_on_both, until, versions};

const SERVICES: [&str; 3] = ["prod/cart", "prod/inventory", "prod/price"];

fn key(name: &str) -> ServiceKey {
    name.parse().unwrap()
}

/// Every service that the repository still names is live with this version on both clouds.
async fn all_live(daemon: &Daemon, services: &[&str], version: &str) {
    for service in services {
        let state = until(daemon, &key(service), version, is_live).await;
        assert_eq!(versions(&state).await, [version; 2], "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_become_what_both_clouds_serve() {
    let site = Site::new().await;
    site.author.commit("the shop opens").unwrap();
    let daemon = site.local_daemon().await;
    all_live(&daemon, &SERVICES, "v1").await;

    a_change_goes_live(&site, &daemon).await;
    a_broken_change_is_rejected(&site, &daemon).await;
    what_git_forgets_goes(&site, &daemon).await;
    let daemon = a_restart_writes_nothing(&site, daemon).await;
    let daemon = a_lost_store_comes_back(&site, daemon).await;
    daemon.stop().await;
}

/// Only the service that changed is rolled out.
async fn a_change_goes_live(site: &Site, daemon: &Daemon) {
    let cart = daemon.handle.state(&key("prod/cart")).await.unwrap();
    let app = "services/inventory/app.py";
    site.edit(app, r#"VERSION = "v1""#, r#"VERSION = "v2""#);
    let commit = site.author.commit("inventory: v2").unwrap();
    daemon.sources.wake_all();
    let inventory = key("prod/inventory");
    let at_commit = until(daemon, &inventory, "live at v2", |state| {
        is_of(state, &commit) && is_live(state)
    });
    assert_eq!(versions(&at_commit.await).await, ["v2"; 2]);
    let after = daemon.handle.state(&key("prod/cart")).await.unwrap();
    let id = |state: &ServiceState| state.rollout.as_ref().unwrap().id;
    assert_eq!(id(&after), id(&cart));
}

/// The gate asks for SKU 42, and the change forgets it.
async fn a_broken_change_is_rejected(site: &Site, daemon: &Daemon) {
    let app = "services/inventory/app.py";
    site.edit(app, r#"VERSION = "v2""#, r#"VERSION = "v3""#);
    site.edit(app, r#""42": 17, "#, "");
    let commit = site.author.commit("inventory: v3, broken").unwrap();
    daemon.sources.wake_all();
    let inventory = key("prod/inventory");
    let state = until(daemon, &inventory, "rejected", |state| {
        is_of(state, &commit) && is_in(state, "Rejected")
    });
    let state = state.await;
    let why = state.rollout.as_ref().unwrap().phase.why().unwrap().clone();
    assert_eq!(why.reason.word(), "GateFailed", "{}", why.message);
    assert_eq!(versions(&state).await, ["v2"; 2], "blue is untouched");

    site.edit(app, r#"VERSION = "v3""#, r#"VERSION = "v4""#);
    site.edit(app, r#""43": 3"#, r#""42": 17, "43": 3"#);
    let commit = site.author.commit("inventory: v4").unwrap();
    daemon.sources.wake_all();
    let repaired = until(daemon, &inventory, "live at v4", |state| {
        is_of(state, &commit) && is_live(state)
    });
    assert_eq!(versions(&repaired.await).await, ["v4"; 2]);
}

async fn what_git_forgets_goes(site: &Site, daemon: &Daemon) {
    site.author.remove("services/cart").unwrap();
    site.author.commit("the cart is no more").unwrap();
    daemon.sources.wake_all();
    eventually(|| async {
        let (functions, sites) = site.clouds.resources().await;
        let left: Vec<_> = functions.iter().chain(&sites).collect();
        match left.iter().any(|name| name.contains("cart")) {
            true => Err(format!("the cart is still there: {left:?}")),
            false => Ok(()),
        }
    })
    .await;
    let (functions, sites) = site.clouds.resources().await;
    assert_eq!((functions.len(), sites.len()), (4, 2), "the others stay");
}

const LEFT: [(&str, &str); 2] = [("prod/inventory", "v4"), ("prod/price", "v1")];

/// Until both clouds were looked at again, and nothing is to be done.
async fn quiet(daemon: &Daemon) {
    for (service, version) in LEFT {
        let service = key(service);
        let state = until(daemon, &service, "on both clouds", is_on_both).await;
        assert_eq!(versions(&state).await, [version; 2], "{service}");
        let before: Vec<_> = seen_at(&state);
        until(daemon, &service, "looked at again", |state| {
            let later = seen_at(state);
            before
                .iter()
                .zip(&later)
                .all(|(before, later)| before < later)
        })
        .await;
        let plan = daemon.handle.plan(&service).await.unwrap();
        assert!(plan.is_quiet(), "{plan:?}");
    }
}

fn seen_at(state: &ServiceState) -> Vec<Option<Timestamp>> {
    let live = state.live.values();
    live.map(|live| live.seen.as_ref().map(|seen| seen.at))
        .collect()
}

async fn a_restart_writes_nothing(site: &Site, daemon: Daemon) -> Daemon {
    quiet(&daemon).await;
    daemon.stop().await;
    let before = site.clouds.writes();
    let daemon = site.local_daemon().await;
    quiet(&daemon).await;
    assert_eq!(site.clouds.writes(), before);
    daemon
}

/// The truth is in Git and in the clouds' tags.
async fn a_lost_store_comes_back(site: &Site, daemon: Daemon) -> Daemon {
    daemon.stop().await;
    let before = site.clouds.writes();
    std::fs::remove_dir_all(site.data.join("store")).unwrap();
    let daemon = site.local_daemon().await;
    quiet(&daemon).await;
    for (service, _) in LEFT {
        let is_promoted = |state: &ServiceState| state.memory.promoted.is_some();
        let state = until(&daemon, &key(service), "remembered", is_promoted).await;
        let wanted = state.ask.desired().unwrap().release.digest;
        assert_eq!(state.memory.promoted, Some(wanted));
    }
    assert_eq!(site.clouds.writes(), before);
    daemon
}
