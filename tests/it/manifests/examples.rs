//! Every file of `manifests-example/` is read without a word.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use verdigris::{
    desired,
    manifest::{
        set::{Set, assemble, parse_bytes},
        spec::RepoPath,
    },
    name::{ObjectId, Revision},
};

use super::told;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests-example")
}

/// Paths relative to the root, as they stand in a repository, and contents.
pub(super) fn manifests() -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(&root(), &mut found);
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            let relative = path.strip_prefix(root()).unwrap();
            let relative = relative.to_str().unwrap().to_owned();
            found.insert(relative, fs::read(&path).unwrap());
        }
    }
}

fn set() -> Set {
    let files = manifests().into_iter().map(|(path, bytes)| {
        let file = Arc::new(parse_bytes(&path, &bytes));
        (path, file)
    });
    assemble(&files.collect())
}

#[test]
fn the_examples_are_read_without_a_word() {
    let set = set();
    assert_eq!(told(&set), "");
    let names: Vec<String> = set.services.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["cart", "inventory", "price"]);
    for placed in set.services.values() {
        let service = &placed.service;
        assert!(
            !service.rollout.gates.is_empty(),
            "{} has gates",
            service.name
        );
        assert_eq!(service.rollout.bake, Duration::from_secs(2));
        let kinds: Vec<&str> = service
            .rollout
            .gates
            .iter()
            .map(|gate| gate.kind.word())
            .collect();
        assert!(kinds.contains(&"http"), "{}: {kinds:?}", service.name);
    }
}

#[test]
fn the_examples_sources_are_where_they_say() {
    let tree_of = |path: &RepoPath| {
        let is_there = root().join(path.as_str()).is_dir();
        is_there.then(|| ObjectId::new("1".repeat(40)).unwrap())
    };
    let revision: Revision = format!("main@sha1:{}", "2".repeat(40)).parse().unwrap();
    let assembled = desired::assemble(&set(), &tree_of, &revision);
    assert_eq!(assembled.faults, []);
    let keys: Vec<String> = assembled
        .desired
        .services
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(keys, ["prod/cart", "prod/inventory", "prod/price"]);
}
