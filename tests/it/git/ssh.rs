//! Polling through a real OpenSSH server.

use std::{path::PathBuf, time::Duration};

use verdigris::git::{GitError, credentials::Credentials, source::Source};

use super::{
    World, main_of,
    servers::{SshServer, user},
};

fn source(world: &World, server: &SshServer, key: PathBuf) -> Source {
    let path = world.folder().display();
    let url = format!("ssh://{}@127.0.0.1:{}{path}", user(), server.port);
    let known_hosts = server.known_hosts.clone();
    Source {
        credentials: Credentials::Ssh { key, known_hosts },
        ..main_of(&url)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_cloned_and_followed_over_ssh() {
    let (world, first) = World::with_commit();
    let server = SshServer::start().await;
    let mirror = world.mirror(source(&world, &server, server.key.clone()));
    assert_eq!(mirror.poll().await.unwrap().revision.commit, first);
    assert!(!mirror.poll().await.unwrap().moved);
    let second = world.commit("a", "1");
    let polled = mirror.poll().await.unwrap();
    assert_eq!(polled.revision.commit, second);
    assert!(polled.moved && !polled.rewritten);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_key_that_is_not_the_known_one_is_refused() {
    let (world, _) = World::with_commit();
    let server = SshServer::start().await;
    server.trust(&server.another_key());
    let mirror = world.mirror(source(&world, &server, server.key.clone()));
    let error = mirror.poll().await.unwrap_err();
    assert!(
        matches!(error, GitError::HostKeyMismatch { .. }),
        "{error:?}"
    );
    std::fs::write(&server.known_hosts, "").unwrap();
    let error = mirror.poll().await.unwrap_err();
    assert!(
        matches!(error, GitError::HostKeyMismatch { .. }),
        "unknown: {error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_does_not_know_is_refused() {
    let (world, _) = World::with_commit();
    let server = SshServer::start().await;
    let mirror = world.mirror(source(&world, &server, server.another_key()));
    let error = mirror.poll().await.unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_repository_and_a_server_that_is_gone_are_unreachable() {
    let (world, _) = World::with_commit();
    let server = SshServer::start().await;
    let mut wrong = source(&world, &server, server.key.clone());
    wrong.url = format!("ssh://{}@127.0.0.1:{}/no/such.git", user(), server.port)
        .parse()
        .unwrap();
    let error = world.mirror(wrong).poll().await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
    let source = source(&world, &server, server.key.clone());
    drop(server);
    let error = world.mirror(source).poll().await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_speaks_times_out_and_no_child_stays() {
    let (world, _) = World::with_commit();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = SshServer::start().await;
    let mut source = source(&world, &server, server.key.clone());
    let port = silent.local_addr().unwrap().port();
    source.url = format!("ssh://me@127.0.0.1:{port}/x.git").parse().unwrap();
    source.limits.timeout = Duration::from_millis(700);
    let error = world.mirror(source).poll().await.unwrap_err();
    assert_eq!(error.reason(), "TimedOut");
    no_child_stays(port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_is_given_up_leaves_no_child_behind() {
    let (world, _) = World::with_commit();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = SshServer::start().await;
    let mut source = source(&world, &server, server.key.clone());
    let port = silent.local_addr().unwrap().port();
    source.url = format!("ssh://me@127.0.0.1:{port}/x.git").parse().unwrap();
    let mirror = world.mirror(source);
    let poll = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.poll().await }
    });
    while children_towards(port) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    poll.abort();
    no_child_stays(port).await;
}

/// Other tests' children may be seen dead for a moment, before they are reaped.
async fn no_child_stays(port: u16) {
    let gone = async {
        while children_towards(port) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let wait = tokio::time::timeout(Duration::from_secs(60), gone);
    wait.await.unwrap();
}

/// Our own children, dead or alive, whose command line names the port.
fn children_towards(port: u16) -> usize {
    let us = format!("PPid:\t{}", std::process::id());
    let processes = std::fs::read_dir("/proc").unwrap();
    let ours = processes.filter_map(Result::ok).filter(|process| {
        let read = |name| std::fs::read_to_string(process.path().join(name)).unwrap_or_default();
        let dead = read("status").contains("State:\tZ") && read("comm").trim() == "ssh";
        read("status").contains(&us) && (dead || read("cmdline").contains(&port.to_string()))
    });
    ours.count()
}
