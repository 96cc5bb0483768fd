//! Reading commits that strangers wrote.

use verdigris::{
    git::{
        GitError,
        mirror::Mirror,
        tree::{Changes, ManifestFault, Manifests, ReadLimits},
    },
    name::ObjectId,
};

use super::{FILE, FOLDER, LINK, SUBMODULE, World, polled, raw_tree};

async fn manifests(mirror: &Mirror, commit: &ObjectId, path: &'static str) -> Manifests {
    let read = mirror.read(commit, move |at| at.manifests(path, &ReadLimits::MANIFESTS));
    read.await.unwrap()
}

#[tokio::test]
async fn every_yaml_file_below_the_path_is_read() {
    let (world, _) = World::with_commit();
    world
        .author
        .write("deploy/b/gate.yml", "kind: Gate\n")
        .unwrap();
    world.author.write("deploy/readme.md", "no").unwrap();
    let commit = world.commit("other/x.yaml", "no");
    let mirror = polled(&world).await;
    let found = manifests(&mirror, &commit, "./deploy/").await;
    let read: Vec<_> = found
        .files
        .iter()
        .map(|file| (file.path.as_str(), &*file.content))
        .collect();
    assert_eq!(
        read,
        [
            ("deploy/b/gate.yml", "kind: Gate\n"),
            ("deploy/stock.yaml", "kind: Service\n")
        ]
    );
    assert_eq!(found.problems, []);
    assert_eq!(manifests(&mirror, &commit, "").await.files.len(), 3);
}

#[tokio::test]
async fn a_missing_folder_is_not_an_empty_one() {
    let (world, commit) = World::with_commit();
    let mirror = polled(&world).await;
    for path in [
        "nowhere",
        "deploy/stock.yaml",
        "../deploy",
        "deploy/../deploy",
        "/etc",
    ] {
        let read = mirror.read(&commit, move |at| {
            at.manifests(path, &ReadLimits::MANIFESTS)
        });
        let error = read.await.unwrap_err();
        assert!(
            matches!(error, GitError::NoSuchFolder { .. }),
            "{path}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_no_manifest_is_told_and_stops_no_other() {
    let (world, _) = World::with_commit();
    let good = world.blob(b"kind: Service\n");
    let passwd = world.blob(b"/etc/passwd");
    let latin = world.blob(b"name: caf\xe9\n");
    let huge = world.blob(&vec![b'x'; 70_000]);
    let folder = raw_tree(&world.raw(), &[(FILE, b"z.yaml", good)]);
    let commit = world.raw_commit(&[
        (FILE, b"a.yaml", good),
        (FILE, b"b\xff.yaml", good),
        (FILE, b"c\n.yaml", good),
        (FOLDER, b"d\xff", folder),
        (FILE, b"huge.yaml", huge),
        (FILE, b"latin.yaml", latin),
        (LINK, b"link.yaml", passwd),
        (LINK, b"linked-folder", passwd),
        (SUBMODULE, b"sub.yaml", good),
    ]);
    let mirror = polled(&world).await;
    let found = manifests(&mirror, &commit, "").await;
    assert_eq!(found.files.len(), 1);
    let told: Vec<_> = found
        .problems
        .into_iter()
        .map(|p| (p.path, p.fault))
        .collect();
    let too_large = ManifestFault::TooLarge {
        bytes: 70_000,
        max: 64 << 10,
    };
    let expected = [
        ("b\u{fffd}.yaml", ManifestFault::BadName),
        ("c\\n.yaml", ManifestFault::BadName),
        ("d\u{fffd}", ManifestFault::BadName),
        ("huge.yaml", too_large),
        ("latin.yaml", ManifestFault::NotUtf8),
        ("link.yaml", ManifestFault::Symlink),
        ("sub.yaml", ManifestFault::Submodule),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (path, fault) in expected {
        assert!(told.contains(&(path.to_owned(), fault)), "{path}: {told:?}");
    }
}

#[tokio::test]
async fn too_many_and_too_deep_end_the_walk_with_a_word() {
    let (world, _) = World::with_commit();
    for n in 0..20 {
        world
            .author
            .write(&format!("many/{n}.yaml"), "a: 1\n")
            .unwrap();
    }
    let deep = "d/".repeat(80) + "x.yaml";
    let commit = world.commit(&deep, "a: 1\n");
    let mirror = polled(&world).await;
    let few = ReadLimits {
        max_files: 10,
        ..ReadLimits::MANIFESTS
    };
    let found = mirror
        .read(&commit, move |at| at.manifests("many", &few))
        .await
        .unwrap();
    assert_eq!(found.files.len(), 10);
    assert_eq!(found.problems[0].fault, ManifestFault::TooMany { max: 10 });
    let found = manifests(&mirror, &commit, "d").await;
    assert_eq!(found.problems[0].fault, ManifestFault::TooDeep { max: 64 });
    let little = ReadLimits {
        max_bytes: 12,
        ..ReadLimits::MANIFESTS
    };
    let found = mirror
        .read(&commit, move |at| at.manifests("many", &little))
        .await
        .unwrap();
    assert_eq!(found.files.len(), 2);
    assert_eq!(found.problems[0].fault, ManifestFault::TooMuch { max: 12 });
}

async fn changes(mirror: &Mirror, from: &ObjectId, to: &ObjectId, path: &'static str) -> Changes {
    let from = from.clone();
    let read = mirror.read(to, move |at| at.changes_since(&from, path));
    read.await.unwrap()
}

#[tokio::test]
async fn changes_name_what_was_added_changed_and_removed() {
    let world = World::new();
    for path in [
        "same",
        "edited",
        "gone",
        "mode",
        "f",
        "was-folder/x",
        "dir/deep/y",
    ] {
        world.author.write(path, "1").unwrap();
    }
    let from = world.author.commit("from").unwrap();
    world.author.write("edited", "2").unwrap();
    world.author.write("dir/deep/z", "new").unwrap();
    world
        .author
        .write("f.txt", "sorts between f and f/")
        .unwrap();
    world.author.set_executable("mode").unwrap();
    for path in ["gone", "was-folder", "f"] {
        world.author.remove(path).unwrap();
    }
    world.author.write("was-folder", "now a file").unwrap();
    world.author.write("f/inside", "now a folder").unwrap();
    let to = world.author.commit("to").unwrap();
    let mirror = polled(&world).await;
    let all = changes(&mirror, &from, &to, "").await;
    let sorted = |mut paths: Vec<String>| {
        paths.sort();
        paths
    };
    assert_eq!(
        sorted(all.added),
        ["dir/deep/z", "f.txt", "f/inside", "was-folder"]
    );
    assert_eq!(sorted(all.changed), ["edited", "mode"]);
    assert_eq!(sorted(all.removed), ["f", "gone", "was-folder/x"]);
    assert_eq!(
        changes(&mirror, &from, &to, "dir").await.added,
        ["dir/deep/z"]
    );
    assert!(changes(&mirror, &to, &to, "").await.is_empty());
    let reversed = changes(&mirror, &to, &from, "dir").await;
    assert_eq!(reversed.removed, ["dir/deep/z"]);
}

#[tokio::test]
async fn finding_one_change_among_ten_thousand_files_follows_the_change() {
    let (world, _) = World::with_commit();
    let from = ten_thousand_files(&world, None);
    let to = ten_thousand_files(&world, Some((42, 7)));
    let mirror = polled(&world).await;
    let found = changes(&mirror, &from, &to, "").await;
    assert_eq!(found.changed, ["team-42/fn-07.py"]);
    assert!(found.added.is_empty() && found.removed.is_empty());
    // Equal folders are never opened: a mirror that lacks all other teams' folders finds the same.
    let slim = World::new();
    let mirror = only_the_way_down(&mirror, &slim, [&from, &to], "team-42");
    let found = changes(&mirror, &from, &to, "").await;
    assert_eq!(found.changed, ["team-42/fn-07.py"]);
}

/// A hundred teams with a hundred files each; no two teams' folders are alike.
fn ten_thousand_files(world: &World, changed: Option<(usize, usize)>) -> ObjectId {
    let repository = world.raw();
    let blob = |text: String| repository.blob(text.as_bytes()).unwrap();
    let names: Vec<_> = (0..100)
        .map(|n| (format!("fn-{n:02}.py"), format!("team-{n:02}")))
        .collect();
    let blobs: Vec<_> = (0..100).map(|n| blob(format!("{n}"))).collect();
    let mut teams = Vec::new();
    for team in 0..100 {
        let mut files: Vec<_> = (0..100)
            .map(|n| (FILE, names[n].0.as_bytes(), blobs[n]))
            .collect();
        files[99].2 = blob(format!("of team {team}"));
        if let Some((_, file)) = changed.filter(|(t, _)| *t == team) {
            files[file].2 = blob("changed".to_owned());
        }
        teams.push((
            FOLDER,
            names[team].1.as_bytes(),
            raw_tree(&repository, &files),
        ));
    }
    world.raw_commit(&teams)
}

/// A mirror that holds two commits and, of their folders, those on the way to one path only.
fn only_the_way_down(full: &Mirror, slim: &World, commits: [&ObjectId; 2], path: &str) -> Mirror {
    let mirror = slim.file_mirror();
    let into = git2::Repository::init_bare(mirror.folder()).unwrap();
    let from = git2::Repository::open(full.folder()).unwrap();
    let (from_odb, into_odb) = (from.odb().unwrap(), into.odb().unwrap());
    let copy = |id: git2::Oid| {
        let object = from_odb.read(id).unwrap();
        into_odb.write(object.kind(), object.data()).unwrap();
        id
    };
    for commit in commits {
        let id = copy(git2::Oid::from_str(commit.as_str()).unwrap());
        let mut tree = copy(from.find_commit(id).unwrap().tree_id());
        for part in path.split('/') {
            tree = copy(from.find_tree(tree).unwrap().get_name(part).unwrap().id());
        }
    }
    mirror
}

#[tokio::test]
async fn a_folder_s_id_is_its_content() {
    let (world, first) = World::with_commit();
    let second = world.commit("elsewhere", "1");
    let third = world.commit("deploy/stock.yaml", "kind: Gate\n");
    let mirror = polled(&world).await;
    let mut ids = Vec::new();
    for commit in [&first, &second, &third] {
        ids.push(
            mirror
                .read(commit, |at| at.tree_id("deploy"))
                .await
                .unwrap()
                .unwrap(),
        );
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    assert_eq!(
        mirror
            .read(&first, |at| at.tree_id("deploy/stock.yaml"))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_file_is_read_within_its_limit_and_a_link_is_not_followed() {
    let (world, _) = World::with_commit();
    let (small, target) = (world.blob(b"12345"), world.blob(b"small"));
    let commit = world.raw_commit(&[(LINK, b"link", target), (FILE, b"small", small)]);
    let mirror = polled(&world).await;
    let read = |path: &'static str, max| mirror.read(&commit, move |at| at.file(path, max));
    assert_eq!(read("small", 5).await.unwrap().unwrap(), b"12345");
    assert_eq!(read("missing", 5).await.unwrap(), None);
    assert_eq!(read("small/below", 5).await.unwrap(), None);
    for (path, max) in [("small", 4), ("link", 99)] {
        let error = read(path, max).await.unwrap_err();
        assert_eq!(error.reason(), "ContentRefused");
    }
}

#[tokio::test]
async fn a_commit_says_who_when_and_what_on_one_line() {
    let world = World::new();
    world.author.write("a", "1").unwrap();
    let commit = world
        .author
        .commit("fix \x1b[31mstock\x07\n\nbody")
        .unwrap();
    let mirror = polled(&world).await;
    let info = mirror.read(&commit, |at| at.commit_info()).await.unwrap();
    assert_eq!(info.summary, "fix  [31mstock");
    assert_eq!(
        (info.author.as_str(), info.email.as_str()),
        ("Verdigris", "verdigris@localhost")
    );
    assert!(info.time.millis() > 1_700_000_000_000);
}
