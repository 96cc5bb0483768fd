//! Repositories that break, move, or are not followed any more.

use std::{collections::BTreeMap, sync::Arc, sync::Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use verdigris::{
    build::{Builder, Limits},
    clock::SystemClock,
    cloud::azure::AzureIdentity,
    daemon::{
        clouds::Clouds,
        config::{AwsAccess, AzureAccess},
        measure::Gates,
        packages::Packages,
        world::DaemonWorld,
    },
    gates::{http, load::Room},
    git::{
        mirror::Mirror,
        source::{Reference, Source},
    },
    plan::state::Ask,
    reconcile::world::World as _,
    rollout::intent::Response,
};

use super::{Yard, config, follows, key, named, reasons, reports, service, source};
use crate::{
    git::servers::{HttpServer, Manner},
    stage::version,
};

fn world(yard: &Yard, mirrors: BTreeMap<verdigris::name::RepositoryName, Mirror>) -> DaemonWorld {
    let builder = Builder::new(yard.folder.path().join("packages"), Limits::default());
    DaemonWorld {
        clouds: Arc::new(Clouds::new(
            AwsAccess::default(),
            AzureAccess::default(),
            AzureIdentity::default(),
        )),
        packages: Arc::new(Packages::new(builder)),
        mirrors: Arc::new(Mutex::new(mirrors)),
        gates: Gates {
            client: http::Client::new().unwrap(),
            room: Room::new(64),
            prometheus: BTreeMap::new(),
        },
        clock: Arc::new(SystemClock),
    }
}

#[tokio::test]
async fn a_commit_that_no_mirror_holds_is_asked_for_again() {
    let world = world(&Yard::new(), BTreeMap::new());
    let failure = world.build(&version("v1").release).await.unwrap_err();
    assert_eq!(failure.reason, "CommitMissing");
    assert_eq!(failure.response, Response::Retry);
}

#[tokio::test]
async fn a_broken_mirror_hides_no_commit_of_another() {
    let yard = Yard::new();
    let mut mirrors = BTreeMap::new();
    let mut commit = None;
    for name in ["a", "b"] {
        let author = yard.repository(name);
        author
            .write("services/shop/app.py", format!("app = {name:?}\n"))
            .unwrap();
        commit = Some(author.commit("shop").unwrap());
        let url = format!("file://{}", author.folder().display());
        let main = Reference::Branch("main".to_owned());
        let folder = yard.folder.path().join("mirrors");
        let found = Source::new(url.parse().unwrap(), main);
        let mirror = Mirror::open(&folder, &named(name), found).unwrap();
        mirror.poll().await.unwrap();
        mirrors.insert(named(name), mirror);
    }
    let broken = mirrors[&named("a")].folder().join("config");
    std::fs::write(broken, "[broken").unwrap();
    let mut release = version("v1").release;
    release.revision.commit = commit.unwrap();
    let world = world(&yard, mirrors);
    world.build(&release).await.unwrap();

    release.revision.commit = version("nowhere").release.revision.commit;
    Arc::make_mut(&mut release.content).source_tree = release.revision.commit.clone();
    let failure = world.build(&release).await.unwrap_err();
    assert_eq!(
        (failure.reason.as_str(), failure.response),
        ("FetchFailed", Response::Retry),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_opened_keeps_no_other_waiting() {
    let yard = Yard::new();
    yard.repository("good");
    let bad = follows(
        "bad",
        "https://127.0.0.1:9/bad",
        ", caFile: /nowhere/ca.pem",
    );
    let daemon = yard.daemon(&[bad, yard.follows("good")]).await;
    service(&daemon, "good", "what good asks for", |state| {
        matches!(state.ask, Ask::Wanted(_))
    })
    .await;
    let bad = source(&daemon, "bad", "a problem", |state| state.problem.is_some()).await;
    assert!(bad.problem.unwrap().message.contains("ca.pem"));
    let needing: Vec<bool> = reports(&daemon)
        .iter()
        .map(verdigris::status::source::SourceReport::needs_attention)
        .collect();
    assert_eq!(needing, [true, false]);
    daemon.stop().await;
}

fn held(state: &verdigris::plan::state::ServiceState, word: &str) -> bool {
    matches!(&state.ask, Ask::Invalid { faults, last_good: Some(_) } if faults[0].contains(word))
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_a_repository_that_is_not_followed_any_more_stay() {
    let yard = Yard::new();
    yard.repository("cart");
    let stock = yard.repository("stock");
    let both = [yard.follows("cart"), yard.follows("stock")];
    let daemon = yard.daemon(&both).await;
    for name in ["cart", "stock"] {
        service(&daemon, name, "asked for", |state| {
            matches!(state.ask, Ask::Wanted(_))
        })
        .await;
    }
    let alone = [yard.follows("stock")];
    daemon
        .sources
        .follow(&config(&alone).repositories, &daemon.stop_token());
    service(&daemon, "cart", "held", |state| {
        held(state, "repository cart")
    })
    .await;
    stock.write("app/app.py", "async def app(): ...\n").unwrap();
    let second = stock.commit("second").unwrap();
    source(&daemon, "stock", "the second commit", |state| {
        state.reading.as_ref().unwrap().revision.commit == second
    })
    .await;
    let cart = daemon.handle.state(&key("cart")).await.unwrap();
    assert!(held(&cart, "repository cart"), "{:?}", cart.ask);
    let told = reasons(&daemon).await;
    let count = told.iter().filter(|it| *it == "ServiceHeld").count();
    assert_eq!(count, 1);
    daemon.stop().await;

    // A restart forgets nothing of it; and what a repository that is followed stops naming is absent still.
    stock.remove("service.yaml").unwrap();
    stock.write("other.yaml", super::manifest("other")).unwrap();
    stock.commit("stock is other now").unwrap();
    let daemon = yard.daemon(&alone).await;
    service(&daemon, "stock", "absent", |state| {
        matches!(state.ask, Ask::Absent)
    })
    .await;
    let cart = daemon.handle.state(&key("cart")).await.unwrap();
    assert!(held(&cart, "repository cart"), "{:?}", cart.ask);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_of_a_repository_has_its_word() {
    let yard = Yard::new();
    let author = yard.repository("shop");
    let noise: String = (0..1_500_000).map(|_| fastrand::alphanumeric()).collect();
    author.write("noise", noise).unwrap();
    author.commit("noise").unwrap();
    let root = yard.folder.path();
    let hangs = HttpServer::start(root, Manner::Hangs).await;
    let guarded = HttpServer::start(root, Manner::Wants("Basic nobody".to_owned())).await;
    let file = format!("file://{}", author.folder().display());
    let cases = [
        ("RefNotFound", file.clone(), ", branch: nowhere"),
        ("TimedOut", hangs.url("/shop"), ", timeout: 1s"),
        ("RepositoryTooLarge", file.clone(), ", maxMegabytes: 1"),
        ("FetchFailed", "http://127.0.0.1:9/shop".to_owned(), ""),
        ("AuthenticationFailed", guarded.url("/shop"), ""),
        ("FetchFailed", file.clone(), ", path: no/such/folder"),
    ];
    for (index, (reason, url, more)) in cases.iter().enumerate() {
        let yard = Yard::new();
        let name = format!("case-{index}");
        let daemon = yard.daemon(&[follows(&name, url, more)]).await;
        source(&daemon, &name, reason, |state| state.problem.is_some()).await;
        let reports = reports(&daemon);
        let ready = &reports[0].conditions[0];
        assert_eq!(ready.reason, *reason, "{url} {more}: {}", ready.message);
        assert!(reports[0].needs_attention());
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_is_told_until_the_next_ordinary_commit() {
    let yard = Yard::new();
    let author = yard.repository("shop");
    let repository = git2::Repository::open(author.folder()).unwrap();
    let base = repository.refname_to_id("refs/heads/main").unwrap();
    author.write("a", "1").unwrap();
    author.commit("second").unwrap();
    let follows = [yard.follows("shop")];
    let daemon = yard.daemon(&follows).await;
    source(&daemon, "shop", "read", |state| state.reading.is_some()).await;
    repository
        .reference("refs/heads/main", base, true, "force")
        .unwrap();
    author.write("a", "2").unwrap();
    let forced = author.commit("another second").unwrap();
    let is_at_forced = |state: &super::SourceState| {
        state
            .reading
            .as_ref()
            .is_some_and(|it| it.revision.commit == forced)
    };
    source(&daemon, "shop", "the forced commit", is_at_forced).await;
    let condition = |daemon: &super::Daemon| reports(daemon)[0].conditions[0].clone();
    assert_eq!(condition(&daemon).reason, "HistoryRewritten");
    assert!(condition(&daemon).message.contains("rewritten"));
    assert!(reports(&daemon)[0].is_ready());
    daemon.stop().await;

    let daemon = yard.daemon(&follows).await;
    source(&daemon, "shop", "polled", |it| it.polled_at.is_some()).await;
    assert_eq!(condition(&daemon).reason, "HistoryRewritten");
    author.write("a", "3").unwrap();
    let third = author.commit("third").unwrap();
    source(&daemon, "shop", "the third commit", |state| {
        state.reading.as_ref().unwrap().revision.commit == third
    })
    .await;
    assert_eq!(condition(&daemon).reason, "Succeeded");
    daemon.stop().await;
}

fn basic(token: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("x-access-token:{token}"))
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn another_token_in_its_file_is_taken_up() {
    let yard = Yard::new();
    yard.repository("shop");
    let server = HttpServer::start(yard.folder.path(), Manner::Wants(basic("new"))).await;
    let file = yard.folder.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let token = format!(", token: {{ file: {:?} }}", file.display().to_string());
    let line = [follows("shop", &server.url("/shop"), &token)];
    let daemon = yard.daemon(&line).await;
    let refused = source(&daemon, "shop", "refused", |it| it.problem.is_some()).await;
    assert_eq!(refused.problem.unwrap().reason, "AuthenticationFailed");
    std::fs::write(&file, "new\n").unwrap();
    source(&daemon, "shop", "read", |it| {
        it.reading.is_some() && it.problem.is_none()
    })
    .await;
    daemon.stop().await;
}

#[test]
fn repositories_with_different_secrets_are_different() {
    let yard = Yard::new();
    let file = yard.folder.path().join("token");
    let token = format!(", token: {{ file: {:?} }}", file.display().to_string());
    let parsed = |secret: &str| {
        std::fs::write(&file, secret).unwrap();
        config(&[follows("shop", "https://example.com/shop", &token)]).repositories
    };
    assert_eq!(parsed("old"), parsed("old"));
    assert_ne!(parsed("old"), parsed("new"));
}
