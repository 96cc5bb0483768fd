//! The daemon follows a repository that git's own HTTP server serves to those who show a token.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use verdigris::{
    daemon::run::Daemon,
    name::{ObjectId, ServiceKey},
    plan::state::ServiceState,
};

use crate::{
    git::servers::{HttpServer, Manner},
    stage::real::{Site, TOKEN, is_live, is_of, until, versions},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_gits_own_server_goes_live() {
    let site = Site::new().await;
    for other in ["cart", "price"] {
        site.author.remove(&format!("services/{other}")).unwrap();
    }
    let first = site.author.commit("the shop opens").unwrap();
    let wanted = format!("Basic {}", STANDARD.encode(format!("robot:{TOKEN}")));
    let server = HttpServer::start(site.folder.path(), Manner::Wants(wanted.clone())).await;
    let token = "    username: robot\n    token: { env: SHOP_TOKEN }\n";
    let daemon = site.daemon(&server.url("/shop.git"), token).await;

    is_served(&daemon, first, "v1").await;
    let file = "services/inventory/app.py";
    site.edit(file, r#"VERSION = "v1""#, r#"VERSION = "v2""#);
    // Nobody tells the daemon: it sees the push when it polls.
    let second = site.author.commit("another version").unwrap();
    is_served(&daemon, second, "v2").await;

    let seen = server.seen();
    let shown = seen.iter().filter(|one| one.authorization.is_some());
    assert!(shown.clone().count() >= 4, "{seen:?}");
    for one in shown {
        assert_eq!(one.authorization.as_ref(), Some(&wanted));
    }
    daemon.stop().await;
}

async fn is_served(daemon: &Daemon, commit: ObjectId, version: &str) {
    let inventory: ServiceKey = "prod/inventory".parse().unwrap();
    let wanted = |state: &ServiceState| is_of(state, &commit) && is_live(state);
    let live = until(daemon, &inventory, version, wanted).await;
    assert_eq!(versions(&live).await, [version; 2]);
}
