//! Repositories are polled over every transport, by programs that we did not write on the other side, and read.

mod exports;
mod files;
mod http;
mod reading;
pub(crate) mod servers;
mod ssh;
mod urls;

use std::{path::Path, time::Duration};

use tempfile::TempDir;
use verdigris::{
    git::{
        author::Author,
        credentials::Credentials,
        mirror::Mirror,
        source::{Limits, Reference, Source},
    },
    name::{ObjectId, RepositoryName},
};

const FILE: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o40_000;
const SUBMODULE: u32 = 0o160_000;

/// One entry of a tree: mode, name and what it names.
type Entry<'a> = (u32, &'a [u8], git2::Oid);

/// A remote repository, and the daemon's data folder, which outlives mirrors.
struct World {
    remote: TempDir,
    data: TempDir,
    author: Author,
}

impl World {
    fn new() -> Self {
        let remote = TempDir::new().unwrap();
        let author = Author::init(&remote.path().join("shop.git")).unwrap();
        let data = TempDir::new().unwrap();
        Self {
            remote,
            data,
            author,
        }
    }

    /// A world with one commit.
    fn with_commit() -> (Self, ObjectId) {
        let world = Self::new();
        let commit = world.commit("deploy/stock.yaml", "kind: Service\n");
        (world, commit)
    }

    fn commit(&self, path: &str, content: &str) -> ObjectId {
        self.author.write(path, content).unwrap();
        self.author.commit(&format!("change {path}")).unwrap()
    }

    fn folder(&self) -> &Path {
        self.author.folder()
    }

    /// The same repository, opened by libgit2 to do what an author does not.
    fn raw(&self) -> git2::Repository {
        git2::Repository::open(self.folder()).unwrap()
    }

    fn file_url(&self) -> String {
        format!("file://{}", self.folder().display())
    }

    fn mirror(&self, source: Source) -> Mirror {
        let name = RepositoryName::new("shop").unwrap();
        Mirror::open(&self.data.path().join("git"), &name, source).unwrap()
    }

    fn file_mirror(&self) -> Mirror {
        self.mirror(main_of(&self.file_url()))
    }

    /// Writes a commit whose root folder is made of raw entries: what no decent program would write.
    fn raw_commit(&self, entries: &[Entry<'_>]) -> ObjectId {
        let repository = self.raw();
        let tree = raw_tree(&repository, entries);
        let author = git2::Signature::now("Mallory", "mallory@localhost").unwrap();
        let parent = repository.refname_to_id("refs/heads/main").unwrap();
        let raw = format!(
            "tree {tree}\nparent {parent}\nauthor {author} 0 +0000\ncommitter {author} 0 +0000\n\nraw\n"
        );
        let odb = repository.odb().unwrap();
        let commit = odb.write(git2::ObjectType::Commit, raw.as_bytes()).unwrap();
        repository
            .reference("refs/heads/main", commit, true, "raw")
            .unwrap();
        ObjectId::new(commit.to_string()).unwrap()
    }

    fn blob(&self, content: &[u8]) -> git2::Oid {
        self.raw().blob(content).unwrap()
    }
}

fn raw_tree(repository: &git2::Repository, entries: &[Entry<'_>]) -> git2::Oid {
    let mut data = Vec::new();
    for (mode, name, id) in entries {
        data.extend_from_slice(format!("{mode:o} ").as_bytes());
        data.extend_from_slice(name);
        data.push(0);
        data.extend_from_slice(id.as_bytes());
    }
    let odb = repository.odb().unwrap();
    odb.write(git2::ObjectType::Tree, &data).unwrap()
}

async fn polled(world: &World) -> Mirror {
    let mirror = world.file_mirror();
    mirror.poll().await.unwrap();
    mirror
}

fn main_of(url: &str) -> Source {
    Source {
        url: url.parse().unwrap(),
        reference: Reference::Branch("main".to_owned()),
        credentials: Credentials::None,
        limits: Limits {
            timeout: Duration::from_secs(30),
            ..Limits::default()
        },
        authorities: None,
    }
}
