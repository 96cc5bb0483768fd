//! Commits read one after the other: what is kept from the one before must never show.

use std::{path::Path, sync::Arc};

use proptest::prelude::*;
use verdigris::{
    daemon::{
        config::Config,
        reader::{Reader, Reading},
    },
    git::{GitError, author::Author, mirror::Mirror},
    manifest::spec::RepoPath,
    name::Revision,
};

/// Texts that meet one another: names that stand twice, gates that come and go, apps that Azure's host takes for one, texts that are
/// no YAML or ask for nothing.
fn texts() -> Vec<String> {
    let mut texts = vec![
        "kind: Service\nmetadata: { name: alpha }\nspec: {".to_owned(),
        "\tnothing at all".to_owned(),
        String::new(),
        environment("prod", "shop"),
        environment("prod", "mall"),
        environment("test", "shop"),
        environment("prod", "shop").replace("location", "locaton"),
        format!(
            "{}---\n{}",
            environment("prod", "shop"),
            service("alpha", "a", "")
        ),
        gate("smoke", 200),
        gate("smoke", 204),
        gate("smoke", 200).replace("path", "pth"),
        gate("alpha", 200).replace("Gate", "Sorvice"),
    ];
    for name in ["alpha", "beta", LONG_ONE, LONG_TWO] {
        texts.push(service(name, "a", ""));
        texts.push(service(name, "b", "  environments: [prod]\n"));
        texts.push(service(name, "a", "  rollout: { gates: [gate: smoke] }\n"));
        texts.push(service(name, "missing", ""));
        texts.push(service(name, "a", "").replace("runtime", "runtme"));
    }
    texts.push(format!(
        "{}---\n{}",
        service("alpha", "a", ""),
        service("beta", "b", "")
    ));
    texts
}

const LONG_ONE: &str = "a-service-with-a-very-long-name";
const LONG_TWO: &str = "a-service-with-a-very-long-namf";

fn environment(name: &str, prefix: &str) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: {{ name: {name} }}
spec:
  aws: {{ region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }}
  azure:
    subscription: 11111111-2222-3333-4444-555555555555
    resourceGroup: shop
    location: westeurope
    plan: EP1
    prefix: {prefix}
"
    )
}

fn gate(name: &str, status: u16) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1
kind: Gate
metadata: {{ name: {name} }}
spec: {{ http: {{ path: /, status: {status} }} }}
"
    )
}

fn service(name: &str, source: &str, more: &str) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: {{ name: {name} }}
spec:
  runtime: python3.13
  source: src/{source}
  functions:
    api: {{ handler: app:app, http: / }}
{more}"
    )
}

const MANIFESTS: [&str; 5] = [
    "deploy/one.yaml",
    "deploy/two.yml",
    "deploy/in/three.yaml",
    "four.yaml",
    "src/a/five.yaml",
];
const SOURCES: [&str; 3] = ["src/a/app.py", "src/b/app.py", "src/b/in/more.py"];

#[derive(Clone, Debug)]
enum Edit {
    Write(&'static str, String),
    Remove(&'static str),
    /// A link where a file should be.
    Link(&'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let manifest = || prop::sample::select(MANIFESTS.to_vec());
    let source = || prop::sample::select(SOURCES.to_vec());
    let text = prop::sample::select(texts());
    prop_oneof![
        6 => (manifest(), text).prop_map(|(path, text)| Edit::Write(path, text)),
        2 => (source(), 0..3u8).prop_map(|(path, v)| Edit::Write(path, format!("# {v}"))),
        1 => manifest().prop_map(Edit::Remove),
        1 => source().prop_map(Edit::Remove),
        1 => manifest().prop_map(Edit::Link),
    ]
}

struct Repository {
    author: Author,
    mirror: Mirror,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().join("origin");
        let author = Author::init(&origin).unwrap();
        let config = Config::for_repository(&format!("file://{}", origin.display()), "main", "");
        let repository = config.unwrap().repositories.remove(0);
        let mirror = Mirror::open(folder.path(), &repository.name, repository.source).unwrap();
        Self {
            author,
            mirror,
            runtime: tokio::runtime::Runtime::new().unwrap(),
            _folder: folder,
        }
    }

    fn edit(&self, edit: &Edit) {
        let folder = self.author.folder().to_owned();
        let is_there = |path: &str| folder.join(path).symlink_metadata().is_ok();
        match edit {
            Edit::Write(path, text) => {
                if is_there(path) {
                    self.author.remove(path).unwrap();
                }
                self.author.write(path, text).unwrap();
            }
            Edit::Remove(path) if is_there(path) => self.author.remove(path).unwrap(),
            Edit::Remove(_) => {}
            Edit::Link(path) => {
                self.edit(&Edit::Remove(path));
                let link = folder.join(path);
                std::fs::create_dir_all(link.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink(Path::new("elsewhere"), link).unwrap();
            }
        }
    }

    fn commit(&self) -> Revision {
        self.author.commit("change").unwrap();
        self.runtime.block_on(self.mirror.poll()).unwrap().revision
    }

    fn read(&self, reader: &mut Reader, path: &str, at: &Revision) -> Result<Reading, GitError> {
        let snapshot = self.mirror.snapshot(&at.commit)?;
        reader.read(&snapshot, &RepoPath::new(path).unwrap(), at.clone())
    }
}

/// All of a reading, but for the commits that services are dated at: one of which nothing changed stays at an older one.
fn told(reading: Result<Reading, GitError>) -> String {
    let Reading {
        revision,
        services,
        held,
        faults,
    } = match reading {
        Ok(reading) => reading,
        Err(error) => return error.to_string(),
    };
    let services: Vec<_> = services
        .iter()
        .map(|(key, desired)| {
            let mut desired = (**desired).clone();
            desired.release.revision = revision.clone();
            (key.to_string(), desired)
        })
        .collect();
    format!("{services:#?}\n{held:#?}\n{faults:#?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reading_commit_by_commit_is_reading_each_afresh(
        path in prop::sample::select(vec!["", "deploy"]),
        commits in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..14),
    ) {
        let repository = Repository::new();
        repository.edit(&Edit::Write("deploy/environment.yaml", environment("prod", "shop")));
        let mut kept = Reader::default();
        for edits in &commits {
            edits.iter().for_each(|edit| repository.edit(edit));
            let at = repository.commit();
            let ours = told(repository.read(&mut kept, path, &at));
            let afresh = told(repository.read(&mut Reader::default(), path, &at));
            prop_assert_eq!(ours, afresh);
        }
    }
}

#[test]
fn a_commit_leaves_what_it_does_not_touch_the_very_same() {
    let repository = Repository::new();
    let write = |path, text: String| repository.edit(&Edit::Write(path, text));
    write("deploy/environment.yaml", environment("prod", "shop"));
    write("deploy/one.yaml", service("alpha", "a", ""));
    write("deploy/two.yml", service("beta", "b", ""));
    write("src/a/app.py", "# 1".to_owned());
    write("src/b/app.py", "# 1".to_owned());
    let mut reader = Reader::default();
    let first = repository.commit();
    let before = repository.read(&mut reader, "", &first).unwrap();
    write("src/a/app.py", "# 2".to_owned());
    let second = repository.commit();
    let after = repository.read(&mut reader, "", &second).unwrap();
    let of = |reading: &Reading, name: &str| {
        let key = format!("prod/{name}").parse().unwrap();
        reading.services[&key].clone()
    };
    assert!(Arc::ptr_eq(&of(&before, "beta"), &of(&after, "beta")));
    assert_eq!(of(&after, "beta").release.revision, first);
    assert_eq!(of(&after, "alpha").release.revision, second);
    assert_ne!(
        of(&before, "alpha").release.digest,
        of(&after, "alpha").release.digest
    );
}
