//! Polling git's own HTTP server, and servers that misbehave.

use std::time::Duration;

use tokio::time::Instant;

use verdigris::git::{
    GitError,
    credentials::Credentials,
    source::{Reference, Source},
};

use super::{
    World, main_of,
    servers::{HttpServer, Manner},
};

const TOKEN: &str = "hunter2-very-secret";

fn with_token(url: &str) -> Source {
    let credentials = Credentials::Token {
        username: "robot".to_owned(),
        token: TOKEN.into(),
    };
    Source {
        credentials,
        ..main_of(url)
    }
}

/// What a client with the token sends.
fn basic() -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("robot:{TOKEN}"));
    format!("Basic {text}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tip_alone_is_cloned_and_then_only_what_is_new() {
    let (world, old) = World::with_commit();
    let noise: String = (0..300_000).map(|_| fastrand::alphanumeric()).collect();
    world.commit("noise", &noise);
    world.author.remove("noise").unwrap();
    let tip = world.author.commit("tidy up").unwrap();
    let server = HttpServer::start(world.remote.path(), Manner::Open).await;
    let mirror = world.mirror(main_of(&server.url("/shop.git")));
    assert_eq!(mirror.poll().await.unwrap().revision.commit, tip);
    let clone = server.seen();
    assert!(
        clone.iter().map(|seen| seen.answered).sum::<usize>() < 10_000,
        "{clone:?}"
    );
    assert!(matches!(
        mirror.snapshot(&old),
        Err(GitError::NoSuchCommit { .. })
    ));

    assert!(!mirror.poll().await.unwrap().moved);
    let quiet = server.seen().split_off(clone.len());
    assert_eq!(quiet.len(), 1, "a quiet poll is one request: {quiet:?}");

    let before = server.seen().len();
    world.commit("a", "1");
    let new = world.commit("a", "2");
    let polled = mirror.poll().await.unwrap();
    assert_eq!(polled.revision.commit, new);
    assert!(
        polled.moved && !polled.rewritten,
        "two commits on top of a shallow one"
    );
    let incremental = server.seen().split_off(before);
    assert!(
        incremental.iter().map(|seen| seen.answered).sum::<usize>() < 5_000,
        "{incremental:?}"
    );
    let changes = mirror
        .read(&new, move |at| at.changes_since(&tip, ""))
        .await
        .unwrap();
    assert_eq!(changes.added, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_over_http_is_told() {
    let (world, base) = World::with_commit();
    world.commit("a", "1");
    let server = HttpServer::start(world.remote.path(), Manner::Open).await;
    let mirror = world.mirror(main_of(&server.url("/shop.git")));
    mirror.poll().await.unwrap();
    let base = git2::Oid::from_str(base.as_str()).unwrap();
    world
        .raw()
        .reference("refs/heads/main", base, true, "force")
        .unwrap();
    let new = world.commit("a", "2");
    let polled = mirror.poll().await.unwrap();
    assert_eq!(polled.revision.commit, new);
    assert!(polled.rewritten);
    assert!(!mirror.poll().await.unwrap().rewritten);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_and_a_tag_are_fetched_over_http() {
    let (world, first) = World::with_commit();
    world.commit("a", "1");
    let id = git2::Oid::from_str(first.as_str()).unwrap();
    world.raw().reference("refs/tags/v1", id, true, "").unwrap();
    let server = HttpServer::start(world.remote.path(), Manner::Open).await;
    let references = [
        Reference::Commit(first.clone()),
        Reference::Tag("v1".to_owned()),
    ];
    for reference in references {
        let (elsewhere, _) = World::with_commit();
        let mut source = main_of(&server.url("/shop.git"));
        source.reference = reference;
        let polled = elsewhere.mirror(source).poll().await.unwrap();
        assert_eq!(polled.revision.commit, first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_accepted_and_its_lack_refused() {
    let (world, commit) = World::with_commit();
    let server = HttpServer::start(world.remote.path(), Manner::Wants(basic())).await;
    let url = server.url("/shop.git");
    let error = world.mirror(main_of(&url)).poll().await.unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
    let mirror = world.mirror(with_token(&url));
    assert_eq!(mirror.poll().await.unwrap().revision.commit, commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mirrors_of_one_url_keep_their_own_credentials() {
    let (world, commit) = World::with_commit();
    let (other, _) = World::with_commit();
    let server = HttpServer::start(world.remote.path(), Manner::Wants(basic())).await;
    let url = server.url("/shop.git");
    let (good, bad) = (world.mirror(with_token(&url)), other.mirror(main_of(&url)));
    let (good, bad) = tokio::join!(good.poll(), bad.poll());
    assert_eq!(good.unwrap().revision.commit, commit);
    assert_eq!(bad.unwrap_err().reason(), "AuthenticationFailed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_server_times_out() {
    let (world, _) = World::with_commit();
    for manner in [Manner::Hangs, Manner::HangsInPack] {
        let server = HttpServer::start(world.remote.path(), manner).await;
        let mut source = main_of(&server.url("/shop.git"));
        source.limits.timeout = Duration::from_millis(700);
        let start = Instant::now();
        let error = world.mirror(source).poll().await.unwrap_err();
        assert_eq!(error.reason(), "TimedOut", "{error}");
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_is_refused_and_leaks_nothing() {
    let (world, _) = World::with_commit();
    let thief = HttpServer::start(world.remote.path(), Manner::Open).await;
    let port = thief.address.port();
    // Another host, another port of this host, and one with credentials in it.
    for to in [
        format!("http://localhost:{port}"),
        thief.url(""),
        format!("http://u:p@127.0.0.1:{port}"),
    ] {
        let server = HttpServer::start(world.remote.path(), Manner::Redirects(to)).await;
        let mirror = world.mirror(with_token(&server.url("/shop.git")));
        let error = mirror.poll().await.unwrap_err();
        assert!(matches!(error, GitError::Redirected { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(TOKEN));
        assert!(thief.seen().is_empty(), "{:?}", thief.seen());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_within_the_host_is_followed() {
    let (world, commit) = World::with_commit();
    let server = HttpServer::start(world.remote.path(), Manner::Moves).await;
    let mirror = world.mirror(with_token(&server.url("/shop.git")));
    assert_eq!(mirror.poll().await.unwrap().revision.commit, commit);
    let seen = server.seen();
    assert_eq!(
        seen.last().unwrap().request,
        "POST /moved/shop.git/git-upload-pack"
    );
    assert!(seen.iter().all(|seen| seen.authorization == Some(basic())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_redirects_in_circles_is_left() {
    let (world, _) = World::with_commit();
    let server = HttpServer::start(world.remote.path(), Manner::Redirects(String::new())).await;
    let error = world
        .mirror(main_of(&server.url("/shop.git")))
        .poll()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("in circles"), "{error}");
    assert!(server.seen().len() < 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_over_the_limit_is_refused_while_it_arrives() {
    let (world, _) = World::with_commit();
    let noise: String = (0..300_000).map(|_| fastrand::alphanumeric()).collect();
    world.commit("noise", &noise);
    let server = HttpServer::start(world.remote.path(), Manner::Open).await;
    let mut source = main_of(&server.url("/shop.git"));
    source.limits.max_bytes = 50_000;
    let error = world.mirror(source.clone()).poll().await.unwrap_err();
    assert_eq!(error.reason(), "RepositoryTooLarge");
    let (elsewhere, _) = World::with_commit();
    let whole = main_of(&server.url("/shop.git"));
    elsewhere.mirror(whole).poll().await.unwrap();
    source.limits.max_bytes = 100;
    let error = elsewhere.mirror(source).poll().await.unwrap_err();
    assert_eq!(
        error.reason(),
        "RepositoryTooLarge",
        "the list of references counts too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_git_server_s_are_told_apart() {
    let (world, _) = World::with_commit();
    for (status, told) in [
        (200, "no Git server that speaks smart HTTP"),
        (404, "404 Not Found: the repository is not there"),
        (503, "503 Service Unavailable"),
    ] {
        let server = HttpServer::start(world.remote.path(), Manner::Page(status)).await;
        let error = world
            .mirror(main_of(&server.url("/shop.git")))
            .poll()
            .await
            .unwrap_err();
        assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_went_away_and_a_missing_repository_are_unreachable() {
    let (world, _) = World::with_commit();
    let server = HttpServer::start(world.remote.path(), Manner::Open).await;
    let error = world
        .mirror(main_of(&server.url("/other.git")))
        .poll()
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
    let url = server.url("/shop.git");
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = world.mirror(with_token(&url)).poll().await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_below_the_tip_is_found_by_a_mirror_that_left_history_out() {
    let (world, old) = World::with_commit();
    world.commit("a", "1");
    let server = HttpServer::start(world.remote.path(), Manner::Open).await;
    let mut source = main_of(&server.url("/shop.git"));
    world.mirror(source.clone()).poll().await.unwrap();
    source.reference = Reference::Commit(old.clone());
    let polled = world.mirror(source).poll().await.unwrap();
    assert_eq!(polled.revision.commit, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_may_be_followed_by_one_below_its_name() {
    let (world, commit) = World::with_commit();
    let id = git2::Oid::from_str(commit.as_str()).unwrap();
    world
        .raw()
        .reference("refs/heads/main2/x", id, true, "")
        .unwrap();
    world
        .raw()
        .reference("refs/heads/other", id, true, "")
        .unwrap();
    let mut source = main_of(&world.file_url());
    for name in ["main2/x", "other"] {
        source.reference = Reference::Branch(name.to_owned());
        let polled = world.mirror(source.clone()).poll().await.unwrap();
        assert_eq!(polled.revision.reference, name);
        world
            .raw()
            .find_reference(&format!("refs/heads/{name}"))
            .unwrap()
            .delete()
            .unwrap();
        let below = format!("{}/y", name.split('/').next().unwrap());
        world
            .raw()
            .reference(&format!("refs/heads/{below}"), id, true, "")
            .unwrap();
        source.reference = Reference::Branch(below);
        assert!(!world.mirror(source.clone()).poll().await.unwrap().rewritten);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_ends_early_and_nonsense_are_told_and_do_no_harm() {
    let (world, commit) = World::with_commit();
    for manner in [
        Manner::CutsPack,
        Manner::Babbles(b"0000".to_vec()),
        Manner::Babbles(b"".to_vec()),
        Manner::Babbles(b"ffff".repeat(10)),
        Manner::Babbles(b"0019ERR \x1b[31mgo away\x00\x07".to_vec()),
        Manner::Babbles(vec![0; 5000]),
    ] {
        let server = HttpServer::start(world.remote.path(), manner).await;
        let error = world
            .mirror(main_of(&server.url("/shop.git")))
            .poll()
            .await
            .unwrap_err();
        let known = matches!(
            error,
            GitError::Unreachable { .. } | GitError::RefNotFound { .. }
        );
        assert!(known, "{error:?}");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
    assert_eq!(
        world.file_mirror().poll().await.unwrap().revision.commit,
        commit
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_trusted_with_the_private_authority_only() {
    let (world, commit) = World::with_commit();
    let (server, authority) =
        HttpServer::start_tls(world.remote.path(), Manner::Wants(basic())).await;
    let url = format!("https://localhost:{}/shop.git", server.address.port());
    let mut source = with_token(&url);
    let error = world.mirror(source.clone()).poll().await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(server.seen().is_empty());
    let file = world.data.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    source.authorities = Some(file);
    assert_eq!(
        world.mirror(source).poll().await.unwrap().revision.commit,
        commit
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_leave_history_out_is_cloned_whole() {
    let (world, old) = World::with_commit();
    let tip = world.commit("a", "1");
    let server = HttpServer::start(world.remote.path(), Manner::Whole).await;
    let mirror = world.mirror(main_of(&server.url("/shop.git")));
    assert_eq!(mirror.poll().await.unwrap().revision.commit, tip);
    mirror.snapshot(&old).map(drop).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_of_one_mirror_take_turns_and_reads_do_not_wait() {
    let (world, commit) = World::with_commit();
    let server = HttpServer::start(world.remote.path(), Manner::Open).await;
    let mirror = world.mirror(main_of(&server.url("/shop.git")));
    let polls = futures_util::future::join_all((0..4).map(|_| mirror.poll()));
    for polled in polls.await {
        assert_eq!(polled.unwrap().revision.commit, commit);
    }
    let hung = HttpServer::start(world.remote.path(), Manner::Hangs).await;
    let mut source = main_of(&hung.url("/shop.git"));
    source.limits.timeout = Duration::from_secs(3);
    let mirror = world.mirror(source);
    let waiting = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.poll().await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let read = mirror.read(&commit, |at| at.tree_id("deploy")).await;
    assert!(read.unwrap().is_some());
    assert!(!waiting.is_finished());
    assert_eq!(waiting.await.unwrap().unwrap_err().reason(), "TimedOut");
}
