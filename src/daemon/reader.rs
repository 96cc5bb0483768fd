//! What one repository asks for, read commit by commit. Work follows the change: unchanged files are not read again, unchanged folders
//! are not looked up again.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use crate::{
    desired::{self, DesiredService},
    git::{
        GitError,
        tree::{ReadLimits, Snapshot},
    },
    manifest::{
        fault::Fault,
        set::{self, FileDocs, Held},
        spec::RepoPath,
    },
    name::{ObjectId, Revision, ServiceKey},
};

/// What was read of a repository, kept for the next commit.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    commit: Option<ObjectId>,
    files: BTreeMap<String, Arc<FileDocs>>,
    trees: BTreeMap<RepoPath, Option<ObjectId>>,
}

/// What one commit asks for.
#[derive(Clone, Debug)]
pub struct Reading {
    pub revision: Revision,
    pub services: BTreeMap<ServiceKey, Arc<DesiredService>>,
    /// What must be left as it is, since the commit is wrong about it.
    pub held: Held,
    pub faults: Vec<Fault>,
}

impl Reader {
    /// Reads a commit. Blocks; runs on a blocking thread.
    ///
    /// # Errors
    ///
    /// A commit or folder that is not there, or a broken mirror. What was read before stays.
    pub fn read(
        &mut self,
        snapshot: &Snapshot,
        path: &RepoPath,
        revision: Revision,
    ) -> Result<Reading, GitError> {
        match self.changes(snapshot) {
            Some(changes) => self.update(snapshot, path, &changes)?,
            None => self.read_all(snapshot, path)?,
        }
        self.commit = Some(revision.commit.clone());
        let set = set::assemble(&self.files);
        let sources: Vec<RepoPath> = set
            .services
            .values()
            .map(|placed| placed.service.source.clone())
            .collect();
        for source in sources {
            if let Entry::Vacant(place) = self.trees.entry(source) {
                let tree = snapshot.tree_id(place.key().as_str())?;
                place.insert(tree);
            }
        }
        let tree_of = |path: &RepoPath| self.trees.get(path).cloned().flatten();
        let assembled = desired::assemble(&set, &tree_of, &revision);
        let mut faults = set.faults;
        faults.extend(assembled.faults);
        Ok(Reading {
            revision,
            services: assembled.desired.services,
            held: assembled.held,
            faults,
        })
    }

    /// Paths that differ from the commit read before; none where everything must be read.
    fn changes(&self, snapshot: &Snapshot) -> Option<Vec<String>> {
        let before = self.commit.as_ref()?;
        let changes = snapshot.changes_since(before, "").ok()?;
        Some([changes.added, changes.changed, changes.removed].concat())
    }

    fn read_all(&mut self, snapshot: &Snapshot, path: &RepoPath) -> Result<(), GitError> {
        let manifests = snapshot.manifests(path.as_str(), &ReadLimits::MANIFESTS)?;
        let files = manifests.files.iter().map(|file| {
            let docs = set::parse_bytes(&file.path, file.content.as_bytes());
            (file.path.clone(), Arc::new(docs))
        });
        self.files = files.collect();
        for problem in manifests.problems {
            let docs = set::unreadable_file(&problem.path, &problem.fault.to_string());
            self.files.insert(problem.path, Arc::new(docs));
        }
        self.trees.clear();
        Ok(())
    }

    fn update(
        &mut self,
        snapshot: &Snapshot,
        path: &RepoPath,
        changes: &[String],
    ) -> Result<(), GitError> {
        // A vanished folder is told as such, and not taken for one without manifests.
        if !path.as_str().is_empty() && snapshot.tree_id(path.as_str())?.is_none() {
            return self.read_all(snapshot, path);
        }
        for changed in changes {
            self.trees
                .retain(|source, _| !is_below(changed, source.as_str()));
            if is_manifest(changed, path) {
                self.reread(snapshot, changed)?;
            }
        }
        Ok(())
    }

    fn reread(&mut self, snapshot: &Snapshot, path: &str) -> Result<(), GitError> {
        let docs = match snapshot.file(path, ReadLimits::MANIFESTS.max_file_bytes) {
            Ok(Some(bytes)) => set::parse_bytes(path, &bytes),
            Ok(None) => {
                self.files.remove(path);
                return Ok(());
            }
            Err(error @ GitError::Refused { .. }) => set::unreadable_file(path, &error.to_string()),
            Err(error) => return Err(error),
        };
        self.files.insert(path.to_owned(), Arc::new(docs));
        Ok(())
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
