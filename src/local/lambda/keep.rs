//! What outlives the endpoint: one JSON file per function, written before the answer is given.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    around::{Buckets, Roles, Rules, Topics},
    record::{Function, Mapping},
};
use crate::local::stacks::record::Stacks;

/// The folder of records.
pub(super) struct Keep {
    folder: PathBuf,
}

impl Keep {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("functions"))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Every function whose record can be read; one that cannot is set aside and stops nothing else.
    pub(super) fn functions(&self) -> io::Result<BTreeMap<String, Function>> {
        let mut functions = BTreeMap::new();
        for entry in fs::read_dir(self.folder.join("functions"))?.flatten() {
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
                && let Some(function) = read::<Function>(&path)?
            {
                functions.insert(function.name.clone(), function);
            }
        }
        Ok(functions)
    }

    pub(super) fn mappings(&self) -> io::Result<BTreeMap<String, Mapping>> {
        Ok(read(&self.folder.join("mappings.json"))?.unwrap_or_default())
    }

    pub(super) fn rules(&self) -> io::Result<Rules> {
        Ok(read(&self.folder.join("rules.json"))?.unwrap_or_default())
    }

    pub(super) fn roles(&self) -> io::Result<Roles> {
        Ok(read(&self.folder.join("roles.json"))?.unwrap_or_default())
    }

    pub(super) fn topics(&self) -> io::Result<Topics> {
        Ok(read(&self.folder.join("topics.json"))?.unwrap_or_default())
    }

    pub(super) fn buckets(&self) -> io::Result<Buckets> {
        Ok(read(&self.folder.join("buckets.json"))?.unwrap_or_default())
    }

    pub(super) fn stacks(&self) -> io::Result<Stacks> {
        Ok(read(&self.folder.join("stacks.json"))?.unwrap_or_default())
    }

    pub(super) fn save_stacks(&self, stacks: &Stacks) -> io::Result<()> {
        self.write(&self.folder.join("stacks.json"), stacks)
    }

    pub(super) fn save_topics(&self, topics: &Topics) -> io::Result<()> {
        self.write(&self.folder.join("topics.json"), topics)
    }

    pub(super) fn save_buckets(&self, buckets: &Buckets) -> io::Result<()> {
        self.write(&self.folder.join("buckets.json"), buckets)
    }

    pub(super) fn save_roles(&self, roles: &Roles) -> io::Result<()> {
        self.write(&self.folder.join("roles.json"), roles)
    }

    pub(super) fn save_rules(&self, rules: &Rules) -> io::Result<()> {
        self.write(&self.folder.join("rules.json"), rules)
    }

    pub(super) fn save(&self, function: &Function) -> io::Result<()> {
        self.write(&self.place(&function.name), function)
    }

    pub(super) fn save_mappings(&self, mappings: &BTreeMap<String, Mapping>) -> io::Result<()> {
        self.write(&self.folder.join("mappings.json"), mappings)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.place(name)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join("functions").join(format!("{name}.json"))
    }

    /// Whole or not at all; readable by us alone, since variables may hold secrets.
    fn write(&self, path: &Path, record: &impl Serialize) -> io::Result<()> {
        let mut fresh = tempfile::NamedTempFile::new_in(&self.folder)?;
        fresh.write_all(&serde_json::to_vec(record)?)?;
        fresh.persist(path).map_err(|fault| fault.error)?;
        Ok(())
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault),
    };
    match serde_json::from_slice(&text) {
        Ok(record) => Ok(Some(record)),
        Err(fault) => {
            tracing::warn!(path = %path.display(), %fault, "a record cannot be read and is set aside");
            fs::rename(path, path.with_extension("unreadable"))?;
            Ok(None)
        }
    }
}
