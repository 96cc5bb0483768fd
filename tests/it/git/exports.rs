//! Writing out folders that strangers wrote, and making repositories of our own.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;
use verdigris::{
    git::{
        GitError,
        mirror::Mirror,
        tree::{Exported, ReadLimits},
    },
    name::ObjectId,
};

use super::{EXECUTABLE, Entry, FILE, FOLDER, LINK, SUBMODULE, World, polled, raw_tree};

async fn export(
    mirror: &Mirror,
    commit: &ObjectId,
    limits: ReadLimits,
) -> (TempDir, PathBuf, Result<Exported, GitError>) {
    let folder = TempDir::new().unwrap();
    let into = folder.path().join("out");
    let target = into.clone();
    let done = mirror
        .read(commit, move |at| at.export("", &target, &limits))
        .await;
    (folder, into, done)
}

#[tokio::test]
async fn an_export_keeps_content_executable_bits_and_links_that_stay_inside() {
    let (world, _) = World::with_commit();
    let (script, target) = (world.blob(b"#!/bin/sh\n"), world.blob(b"../run.sh"));
    let bin = raw_tree(&world.raw(), &[(LINK, b"run", target)]);
    let commit = world.raw_commit(&[
        (FOLDER, b"bin", bin),
        (FILE, b"plain", script),
        (EXECUTABLE, b"run.sh", script),
    ]);
    let mirror = polled(&world).await;
    let (_folder, into, done) = export(&mirror, &commit, ReadLimits::SERVICE).await;
    assert_eq!(
        done.unwrap(),
        Exported {
            files: 3,
            bytes: 20
        }
    );
    let mode = |name: &str| fs::metadata(into.join(name)).unwrap().permissions().mode() & 0o111;
    assert_eq!((mode("plain"), mode("run.sh")), (0, 0o111));
    assert_eq!(
        fs::read_link(into.join("bin/run")).unwrap(),
        PathBuf::from("../run.sh")
    );
    assert_eq!(fs::read(into.join("bin/run")).unwrap(), b"#!/bin/sh\n");
}

#[tokio::test]
async fn an_export_refuses_what_would_leave_the_folder_or_trick_a_tool() {
    let (world, _) = World::with_commit();
    let text = world.blob(b"x");
    let link = |to: &[u8]| world.blob(to);
    let inner = raw_tree(&world.raw(), &[(FILE, b"x", text)]);
    // Each link alone stays inside; taken together they would not.
    let linked = raw_tree(
        &world.raw(),
        &[(LINK, b"a", link(b"..")), (LINK, b"b", link(b"a/.."))],
    );
    let long = vec![b'n'; 256];
    let cases: &[(&str, &[Entry<'_>])] = &[
        ("absolute link", &[(LINK, b"l", link(b"/etc/passwd"))]),
        ("climbing link", &[(LINK, b"l", link(b"../x"))]),
        ("link out of a link", &[(FOLDER, b"d", linked)]),
        ("link to .git", &[(LINK, b"l", link(b".git/config"))]),
        ("submodule", &[(SUBMODULE, b"s", text)]),
        ("dot dot", &[(FOLDER, b"..", inner)]),
        ("dot", &[(FILE, b".", text)]),
        ("slash", &[(FILE, b"a/../../x", text)]),
        (".git", &[(FOLDER, b".git", inner)]),
        (".GiT", &[(FOLDER, b".GiT", inner)]),
        ("git~1", &[(FOLDER, b"git~1", inner)]),
        ("non-utf-8", &[(FILE, b"a\xff", text)]),
        ("newline", &[(FILE, b"a\nb", text)]),
        ("backslash", &[(FILE, b"..\\x", text)]),
        ("long name", &[(FILE, &long, text)]),
        (
            "one name twice",
            &[(LINK, b"d", link(b"/tmp")), (FOLDER, b"d", inner)],
        ),
    ];
    for (case, entries) in cases {
        let commit = world.raw_commit(entries);
        let mirror = polled(&world).await;
        let (folder, _into, done) = export(&mirror, &commit, ReadLimits::SERVICE).await;
        let error = done.unwrap_err();
        assert_eq!(error.reason(), "ContentRefused", "{case}: {error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{case}");
    }
}

#[tokio::test]
async fn an_export_stops_at_its_limits_and_wants_an_empty_folder() {
    let (world, _) = World::with_commit();
    let commit = world.commit("big", &"x".repeat(5000));
    let mirror = polled(&world).await;
    let limits = ReadLimits::SERVICE;
    for small in [
        ReadLimits {
            max_file_bytes: 4999,
            ..limits
        },
        ReadLimits {
            max_bytes: 5000,
            ..limits
        },
        ReadLimits {
            max_files: 1,
            ..limits
        },
    ] {
        let (_folder, _into, done) = export(&mirror, &commit, small).await;
        assert_eq!(done.unwrap_err().reason(), "ContentRefused", "{small:?}");
    }
    let full = TempDir::new().unwrap();
    fs::write(full.path().join("mine"), "keep").unwrap();
    let into = full.path().to_owned();
    let done = mirror
        .read(&commit, move |at| at.export("", &into, &limits))
        .await;
    assert!(matches!(done, Err(GitError::Disk { .. })), "{done:?}");
    assert_eq!(fs::read(full.path().join("mine")).unwrap(), b"keep");
}

#[test]
fn an_author_copies_a_folder_and_stays_inside_the_own_one() {
    let (world, first) = World::with_commit();
    let from = TempDir::new().unwrap();
    fs::create_dir_all(from.path().join("a/.git")).unwrap();
    fs::write(from.path().join("a/x.py"), "1").unwrap();
    fs::write(from.path().join("a/.git/config"), "no").unwrap();
    world.author.copy_tree(from.path()).unwrap();
    let second = world.author.commit("copy").unwrap();
    assert_ne!(first, second);
    assert!(world.folder().join("a/x.py").exists());
    assert!(!world.folder().join("a/.git").exists());
    for path in ["", "../x", "/x", "a/../../x"] {
        assert!(world.author.write(path, "x").is_err(), "{path}");
    }
}
