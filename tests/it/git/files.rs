//! Polling over file://, and what becomes of a mirror.

use std::{fs, time::Duration};

use verdigris::git::{GitError, source::Limits, source::Reference};

use super::{World, main_of};

#[tokio::test]
async fn a_first_poll_clones_and_a_second_finds_nothing_new() {
    let (world, commit) = World::with_commit();
    let mirror = world.file_mirror();
    let first = mirror.poll().await.unwrap();
    assert_eq!(first.revision.to_string(), format!("main@sha1:{commit}"));
    assert!(first.moved && !first.rewritten);
    let second = mirror.poll().await.unwrap();
    assert_eq!(second.revision, first.revision);
    assert!(!second.moved && !second.rewritten);
}

#[tokio::test]
async fn a_new_commit_is_fetched_and_the_old_one_stays_readable() {
    let (world, old) = World::with_commit();
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    let new = world.commit("deploy/stock.yaml", "kind: Gate\n");
    let polled = mirror.poll().await.unwrap();
    assert_eq!(polled.revision.commit, new);
    assert!(polled.moved && !polled.rewritten);
    for (commit, content) in [(old, "kind: Service\n"), (new, "kind: Gate\n")] {
        let read = mirror.read(&commit, |at| at.file("deploy/stock.yaml", 99));
        assert_eq!(read.await.unwrap().unwrap(), content.as_bytes());
    }
}

#[tokio::test]
async fn a_force_push_is_told_and_is_no_error() {
    let (world, base) = World::with_commit();
    world.commit("a", "1");
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    let base = git2::Oid::from_str(base.as_str()).unwrap();
    world
        .raw()
        .reference("refs/heads/main", base, true, "force")
        .unwrap();
    let new = world.commit("a", "2");
    let polled = mirror.poll().await.unwrap();
    assert!(polled.rewritten && polled.moved);
    assert_eq!(polled.revision.commit, new);
}

#[tokio::test]
async fn a_deleted_branch_is_told_and_the_last_commit_stays_readable() {
    let (world, commit) = World::with_commit();
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    let repository = world.raw();
    repository
        .find_reference("refs/heads/main")
        .unwrap()
        .delete()
        .unwrap();
    let error = mirror.poll().await.unwrap_err();
    assert_eq!(error.reason(), "RefNotFound");
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` has no branch `main`: push it, or name another one",
            world.file_url()
        )
    );
    assert!(
        mirror
            .read(&commit, |at| at.tree_id("deploy"))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn an_empty_repository_has_no_branch() {
    let error = World::new().file_mirror().poll().await.unwrap_err();
    assert_eq!(error.reason(), "RefNotFound");
}

#[tokio::test]
async fn a_vanished_remote_is_unreachable_until_it_comes_back() {
    let (world, commit) = World::with_commit();
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    let away = world.remote.path().join("away");
    fs::rename(world.folder(), &away).unwrap();
    let error = mirror.poll().await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
    fs::rename(&away, world.folder()).unwrap();
    assert_eq!(mirror.poll().await.unwrap().revision.commit, commit);
}

#[tokio::test]
async fn a_restart_goes_on_with_the_mirror_that_is_there() {
    let (world, commit) = World::with_commit();
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    // Left behind by a process that was killed while it wrote.
    fs::write(mirror.folder().join("refs/verdigris/heads/main.lock"), "").unwrap();
    fs::write(mirror.folder().join("objects/pack/tmp_pack_x"), "half").unwrap();
    drop(mirror);
    let mirror = world.file_mirror();
    assert!(
        mirror
            .read(&commit, |at| at.tree_id(""))
            .await
            .unwrap()
            .is_some()
    );
    let polled = mirror.poll().await.unwrap();
    assert!(!polled.moved);
    let new = world.commit("a", "1");
    assert_eq!(mirror.poll().await.unwrap().revision.commit, new);
}

#[tokio::test]
async fn a_broken_mirror_is_cloned_again_by_the_next_poll() {
    for damage in ["HEAD", "objects/pack"] {
        let (world, commit) = World::with_commit();
        let mirror = world.file_mirror();
        mirror.poll().await.unwrap();
        let path = mirror.folder().join(damage);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::write(&path, "nonsense").unwrap();
        }
        let polled = mirror.poll().await.unwrap();
        assert_eq!(polled.revision.commit, commit, "{damage}");
        assert!(
            mirror
                .read(&commit, |at| at.tree_id("deploy"))
                .await
                .unwrap()
                .is_some()
        );
    }
}

#[tokio::test]
async fn damage_that_a_read_meets_is_mended_by_the_next_poll() {
    let (world, commit) = World::with_commit();
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    for entry in fs::read_dir(mirror.folder().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "pack") {
            // The header stays, what it promises does not.
            let mut bytes = fs::read(&path).unwrap();
            bytes[12..].fill(0x5a);
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }
    let read = mirror
        .read(&commit, |at| at.file("deploy/stock.yaml", 99))
        .await;
    assert!(matches!(read, Err(GitError::Corrupt { .. })), "{read:?}");
    mirror.poll().await.unwrap();
    let read = mirror
        .read(&commit, |at| at.file("deploy/stock.yaml", 99))
        .await;
    assert_eq!(read.unwrap().unwrap(), b"kind: Service\n");
}

#[tokio::test]
async fn tags_and_commits_are_followed_too() {
    let (world, first) = World::with_commit();
    let repository = world.raw();
    let author = git2::Signature::now("a", "a@localhost").unwrap();
    let target = repository
        .head()
        .unwrap()
        .peel_to_commit()
        .unwrap()
        .into_object();
    repository
        .tag("v1", &target, &author, "first", false)
        .unwrap();
    let second = world.commit("a", "1");

    let mut source = main_of(&world.file_url());
    source.reference = Reference::Tag("v1".to_owned());
    let polled = world.mirror(source.clone()).poll().await.unwrap();
    assert_eq!(polled.revision.to_string(), format!("v1@sha1:{first}"));
    let again = world.mirror(source.clone()).poll().await.unwrap();
    assert!(!again.moved && !again.rewritten);

    source.reference = Reference::Commit(second.clone());
    let polled = world.mirror(source.clone()).poll().await.unwrap();
    assert_eq!(polled.revision.to_string(), format!("@sha1:{second}"));

    source.reference = Reference::Commit(
        "0123456789012345678901234567890123456789"
            .to_owned()
            .try_into()
            .unwrap(),
    );
    let error = world.mirror(source).poll().await.unwrap_err();
    assert_eq!(error.reason(), "RefNotFound", "{error}");
}

#[tokio::test]
async fn a_tag_on_something_that_is_no_commit_is_refused() {
    let (world, _) = World::with_commit();
    let blob = world.blob(b"x");
    world
        .raw()
        .reference("refs/tags/odd", blob, true, "")
        .unwrap();
    let mut source = main_of(&world.file_url());
    source.reference = Reference::Tag("odd".to_owned());
    let error = world.mirror(source).poll().await.unwrap_err();
    assert!(matches!(error, GitError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn a_repository_over_a_limit_is_refused_and_says_which() {
    let (world, _) = World::with_commit();
    let noise: String = (0..200_000).map(|_| fastrand::alphanumeric()).collect();
    world.commit("noise", &noise);
    let small = Limits {
        max_bytes: 10_000,
        ..Limits::default()
    };
    let few = Limits {
        max_objects: 3,
        ..Limits::default()
    };
    for (limits, told) in [(small, "10000 bytes"), (few, "3 objects")] {
        let mut source = main_of(&world.file_url());
        source.limits = limits;
        let error = world.mirror(source).poll().await.unwrap_err();
        assert_eq!(error.reason(), "RepositoryTooLarge");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_poll_with_no_time_left_times_out() {
    let (world, _) = World::with_commit();
    let mut source = main_of(&world.file_url());
    source.limits.timeout = Duration::ZERO;
    let error = world.mirror(source).poll().await.unwrap_err();
    assert_eq!(error.reason(), "TimedOut");
}

#[tokio::test]
async fn reference_names_that_are_not_utf_8_stop_nothing() {
    use std::os::unix::ffi::OsStrExt as _;
    let (world, commit) = World::with_commit();
    let name = std::ffi::OsStr::from_bytes(b"b\xff");
    let path = world.folder().join(".git/refs/heads").join(name);
    fs::write(path, format!("{commit}\n")).unwrap();
    assert_eq!(
        world.file_mirror().poll().await.unwrap().revision.commit,
        commit
    );
}

#[tokio::test]
async fn a_mirror_that_belongs_to_another_user_is_used_all_the_same() {
    let (world, commit) = World::with_commit();
    world.file_mirror().poll().await.unwrap();
    give_away(world.data.path());
    let polled = world.file_mirror().poll().await.unwrap();
    assert_eq!(polled.revision.commit, commit);
    assert!(!polled.moved);
}

/// Tests run as root where they are to prove this; elsewhere the owner stays and the test proves less.
fn give_away(folder: &std::path::Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give_away(&path);
        }
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(4242), Some(4242)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_that_the_mirror_lost_is_mended_by_the_next_poll() {
    let (world, commit) = World::with_commit();
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    let packs = mirror.folder().join("objects/pack");
    fs::remove_dir_all(&packs).unwrap();
    fs::create_dir(&packs).unwrap();
    let (from, to) = (
        world.raw(),
        git2::Repository::open(mirror.folder()).unwrap(),
    );
    let (from, to) = (from.odb().unwrap(), to.odb().unwrap());
    from.foreach(|id| {
        let object = from.read(*id).unwrap();
        if object.kind() != git2::ObjectType::Blob {
            to.write(object.kind(), object.data()).unwrap();
        }
        true
    })
    .unwrap();
    let read = || mirror.read(&commit, |at| at.file("deploy/stock.yaml", 99));
    assert!(matches!(read().await, Err(GitError::Corrupt { .. })));
    let polled = mirror.poll().await.unwrap();
    assert!(
        !polled.moved && !polled.rewritten,
        "the same commit, cloned again"
    );
    assert_eq!(read().await.unwrap().unwrap(), b"kind: Service\n");
}
