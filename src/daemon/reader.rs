//! What one repository asks for, read commit by commit. Work follows the change: unchanged files are not read again, unchanged folders
//! are not looked up again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    desired::{DesiredService, KeptDesired},
    git::{
        GitError,
        tree::{ReadLimits, Snapshot},
    },
    manifest::{
        fault::Fault,
        set::{self, Changed, FileDocs, Held, KeptSet},
        spec::RepoPath,
        variables::{Asked, Commit, Sources},
    },
    name::{ObjectId, Revision, ServiceKey, ServiceName},
};

/// What was read of a repository, kept for the next commit.
#[derive(Debug, Default)]
pub struct Reader {
    commit: Option<ObjectId>,
    set: KeptSet,
    sources: BTreeMap<RepoPath, Source>,
    desired: KeptDesired,
    env: Env,
}

/// Names of the environment that manifests may ask for, and what they are set to.
type Env = BTreeMap<String, Option<String>>;

/// A folder with a service's source.
#[derive(Debug)]
struct Source {
    /// Its content; none where there is no such folder.
    tree: Option<ObjectId>,
    /// Who is built from it, or was.
    users: Vec<ServiceName>,
}

/// What one commit asks for.
#[derive(Clone, Debug)]
pub struct Reading {
    pub revision: Revision,
    pub services: Arc<BTreeMap<ServiceKey, Arc<DesiredService>>>,
    /// What must be left as it is, since the commit is wrong about it.
    pub held: Held,
    pub faults: Vec<Fault>,
}

impl Reader {
    /// Manifests may ask for these names of the environment.
    pub fn with_env(env: BTreeMap<String, Option<String>>) -> Self {
        Self {
            env,
            ..Self::default()
        }
    }

    /// Reads a commit. Blocks; runs on a blocking thread.
    ///
    /// # Errors
    ///
    /// A commit or folder that is not there, or a broken mirror. The next commit is read afresh then.
    pub fn read(
        &mut self,
        snapshot: &Snapshot,
        path: &RepoPath,
        revision: Revision,
    ) -> Result<Reading, GitError> {
        let read = self.try_read(snapshot, path, revision);
        if read.is_err() {
            // What stands here now may be half of the one commit and half of the other.
            *self = Self::with_env(std::mem::take(&mut self.env));
        }
        read
    }

    fn try_read(
        &mut self,
        snapshot: &Snapshot,
        path: &RepoPath,
        revision: Revision,
    ) -> Result<Reading, GitError> {
        match self.changes(snapshot) {
            Some(changes) => self.update(snapshot, path, &changes, &revision)?,
            None => self.read_all(snapshot, path, &revision)?,
        }
        self.commit = Some(revision.commit.clone());
        Ok(self.reading(revision))
    }

    fn reading(&self, revision: Revision) -> Reading {
        let set = self.set.set();
        let missing = self.desired.missing();
        let mut held = set.held.clone();
        held.services.extend(missing.keys().cloned());
        Reading {
            revision,
            services: Arc::clone(self.desired.services()),
            held,
            faults: set.faults.iter().chain(missing.values()).cloned().collect(),
        }
    }

    /// Paths that differ from the commit read before; none where everything must be read.
    fn changes(&self, snapshot: &Snapshot) -> Option<Vec<String>> {
        let before = self.commit.as_ref()?;
        let changes = snapshot.changes_since(before, "").ok()?;
        Some([changes.added, changes.changed, changes.removed].concat())
    }

    fn read_all(
        &mut self,
        snapshot: &Snapshot,
        path: &RepoPath,
        revision: &Revision,
    ) -> Result<(), GitError> {
        let manifests = snapshot.manifests(path.as_str(), &ReadLimits::MANIFESTS)?;
        let docs = manifests.files.iter().map(|file| {
            let docs = set::parse_bytes(&file.path, file.content.as_bytes());
            (file.path.clone(), Arc::new(docs))
        });
        let mut files: BTreeMap<_, _> = docs.collect();
        for problem in manifests.problems {
            let docs = set::unreadable_file(&problem.path, &problem.fault.to_string());
            files.insert(problem.path, Arc::new(docs));
        }
        let env = &self.env;
        self.set = with_sources(snapshot, revision, env, |sources| {
            KeptSet::with(files, sources)
        })?;
        self.sources.clear();
        self.place_all(snapshot, revision)
    }

    fn update(
        &mut self,
        snapshot: &Snapshot,
        path: &RepoPath,
        changes: &[String],
        revision: &Revision,
    ) -> Result<(), GitError> {
        // A vanished folder is told as such, and not taken for one without manifests.
        if !path.as_str().is_empty() && snapshot.tree_id(path.as_str())?.is_none() {
            return self.read_all(snapshot, path, revision);
        }
        let mut users = BTreeSet::new();
        let mut files = BTreeMap::new();
        for changed in changes {
            self.look_again(snapshot, changed, &mut users)?;
            if is_manifest(changed, path) {
                let Some(docs) = read_file(snapshot, changed)? else {
                    return self.read_all(snapshot, path, revision);
                };
                files.insert(changed.clone(), docs);
            }
        }
        let (set, env) = (&mut self.set, &self.env);
        let changed = with_sources(snapshot, revision, env, |sources| {
            set.update_with(files, sources)
        })?;
        match changed {
            Changed::All => self.place_all(snapshot, revision),
            Changed::Services(names) => {
                users.extend(names);
                self.place(snapshot, &users, revision)
            }
        }
    }

    /// Looks up anew the trees of all sources that a changed path is in, and says whose they are.
    fn look_again(
        &mut self,
        snapshot: &Snapshot,
        changed: &str,
        users: &mut BTreeSet<ServiceName>,
    ) -> Result<(), GitError> {
        let ends = changed.match_indices('/').map(|(end, _)| end);
        for end in std::iter::once(0).chain(ends).chain([changed.len()]) {
            let Ok(folder) = RepoPath::new(&changed[..end]) else {
                continue;
            };
            if let Some(source) = self.sources.get_mut(&folder) {
                source.tree = snapshot.tree_id(folder.as_str())?;
                users.extend(source.users.iter().cloned());
            }
        }
        Ok(())
    }

    fn place_all(&mut self, snapshot: &Snapshot, revision: &Revision) -> Result<(), GitError> {
        let names: Vec<ServiceName> = self.set.set().services.keys().cloned().collect();
        self.know_sources(snapshot, names.iter())?;
        let sources = &self.sources;
        let tree_of = |path: &RepoPath| sources.get(path)?.tree.clone();
        self.desired.update_all(self.set.set(), &tree_of, revision);
        Ok(())
    }

    fn place(
        &mut self,
        snapshot: &Snapshot,
        names: &BTreeSet<ServiceName>,
        revision: &Revision,
    ) -> Result<(), GitError> {
        self.know_sources(snapshot, names.iter())?;
        let sources = &self.sources;
        let tree_of = |path: &RepoPath| sources.get(path)?.tree.clone();
        self.desired
            .update(self.set.set(), names, &tree_of, revision);
        Ok(())
    }

    /// Looks up the source folders of these services where that was not done yet.
    fn know_sources<'n>(
        &mut self,
        snapshot: &Snapshot,
        names: impl Iterator<Item = &'n ServiceName>,
    ) -> Result<(), GitError> {
        for name in names {
            let Some(placed) = self.set.set().services.get(name) else {
                continue;
            };
            let path = &placed.service.source;
            match self.sources.get_mut(path) {
                Some(source) if source.users.contains(name) => {}
                Some(source) => source.users.push(name.clone()),
                None => {
                    let tree = snapshot.tree_id(path.as_str())?;
                    let users = vec![name.clone()];
                    self.sources.insert(path.clone(), Source { tree, users });
                }
            }
        }
        Ok(())
    }
}

/// What variables of manifests may stand for at a commit.
fn with_sources<T>(
    snapshot: &Snapshot,
    revision: &Revision,
    env: &Env,
    run: impl FnOnce(&Sources<'_>) -> T,
) -> Result<T, GitError> {
    let commit = Commit {
        sha: revision.commit.to_string(),
        branch: revision.reference.clone(),
        message: snapshot.commit_info()?.summary,
    };
    let asked = |name: &str| match env.get(name) {
        Some(Some(value)) => Asked::Value(value.clone()),
        Some(None) => Asked::Unset,
        None => Asked::NotAllowed,
    };
    let file = |path: &str| match snapshot.file(path, ReadLimits::MANIFESTS.max_file_bytes) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| "it is no text".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    Ok(run(&Sources {
        env: &asked,
        file: &file,
        commit: &commit,
    }))
}

/// What a path holds now: `Some(None)` where it is gone. None where it, or its name, is not what a manifest should be: then the walk over
/// all files has the right words for it.
fn read_file(snapshot: &Snapshot, path: &str) -> Result<Option<Option<Arc<FileDocs>>>, GitError> {
    let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    if path.chars().any(is_odd) {
        return Ok(None);
    }
    match snapshot.file(path, ReadLimits::MANIFESTS.max_file_bytes) {
        Ok(Some(bytes)) if std::str::from_utf8(&bytes).is_err() => Ok(None),
        Ok(Some(bytes)) => Ok(Some(Some(Arc::new(set::parse_bytes(path, &bytes))))),
        Ok(None) => Ok(Some(None)),
        Err(GitError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_manifest(path: &str, folder: &RepoPath) -> bool {
    is_below(path, folder.as_str()) && (path.ends_with(".yaml") || path.ends_with(".yml"))
}
