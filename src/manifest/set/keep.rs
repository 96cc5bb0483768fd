//! Keeps the set of a repository from commit to commit, so that work follows the change.
//!
//! Files meet in few places: services of one name, functions of one name on a cloud, apps that Azure's host would take for one, what
//! services depend on, and what environments and gates say to all. Where a change stays clear of these, its files are put together with the
//! environments and gates alone, and the rest of the set stays as it is. Anywhere else everything is put together afresh: that is always
//! right, and only slower.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::{
        check::limits::{app_called, app_name, host_id},
        spec::{AzureTarget, Environment, Service},
        variables::Sources,
    },
    Set,
    assemble::{assemble_part, assemble_with},
    file::{Content, FileDocs, Suspects},
    hosts::given_names,
};
use crate::name::{EnvironmentName, GroupName, ServiceName};

/// The files of a repository and the set that they make.
///
/// # Guarantees
///
/// The set is always the one that [`assemble`] makes of the files.
#[derive(Debug, Default)]
pub struct KeptSet {
    files: BTreeMap<String, Arc<FileDocs>>,
    set: Set,
    index: Index,
}

/// Which services of a set may differ from those before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Changed {
    /// Any of them, and environments too.
    All,
    /// These at most, which may be gone or new; environments are as they were.
    Services(BTreeSet<ServiceName>),
}

/// Where services could meet.
#[derive(Debug, Default)]
struct Index {
    /// In how many documents a name stands as a service's, broken ones counted too.
    names: BTreeMap<ServiceName, usize>,
    /// Whose app, in some environment, Azure's host gives this id.
    hosts: BTreeMap<String, Vec<ServiceName>>,
    /// What manifests say that functions are called, by file.
    given: BTreeMap<String, Vec<String>>,
    /// How many documents depend on a service.
    depended: BTreeMap<ServiceName, usize>,
    /// Files that say something to others.
    shared: BTreeSet<String>,
    azures: Vec<(EnvironmentName, AzureTarget)>,
}

/// What a service's place in the order of services follows from.
#[derive(Debug, Eq, PartialEq)]
struct Tie {
    name: ServiceName,
    environments: Vec<EnvironmentName>,
    depends_on: BTreeSet<ServiceName>,
    group: Option<GroupName>,
}

impl Tie {
    fn of(service: &Service) -> Self {
        Self {
            name: service.name.clone(),
            environments: service.environments.clone(),
            depends_on: service.depends_on.clone(),
            group: service.rollout.group.clone(),
        }
    }
}

impl KeptSet {
    /// Starts with all files of a commit, which ask for nothing but parameters.
    pub fn new(files: BTreeMap<String, Arc<FileDocs>>) -> Self {
        Sources::with_none(|sources| Self::with(files, sources))
    }

    /// Starts with all files of a commit, and what their variables stand for.
    pub fn with(files: BTreeMap<String, Arc<FileDocs>>, sources: &Sources<'_>) -> Self {
        let set = assemble_with(&files, sources);
        let index = Index::new(&files, &set);
        Self { files, set, index }
    }

    pub fn set(&self) -> &Set {
        &self.set
    }

    /// Takes in files that changed, by path; `None` for one that is gone.
    pub fn update(&mut self, changes: BTreeMap<String, Option<Arc<FileDocs>>>) -> Changed {
        Sources::with_none(|sources| self.update_with(changes, sources))
    }

    /// Takes in files that changed. Where there are variables, everything is put together afresh: they may stand for something else at each
    /// commit.
    pub fn update_with(
        &mut self,
        changes: BTreeMap<String, Option<Arc<FileDocs>>>,
        sources: &Sources<'_>,
    ) -> Changed {
        let had_variables = self.has_variables();
        let names = self.plain_names(&changes);
        let was_clear = names
            .as_ref()
            .is_some_and(|names| self.index.is_clear(names));
        let paths: BTreeSet<String> = changes.keys().cloned().collect();
        let ties = self.ties(&paths);
        for (path, docs) in changes {
            self.put(path, docs);
        }
        let is_tied_as_before = ties.is_some() && ties == self.ties(&paths);
        let is_plain = !had_variables && !self.has_variables();
        match names.filter(|_| is_plain) {
            Some(names) if was_clear && is_tied_as_before && self.index.is_clear(&names) => {
                self.patch(&paths, &names);
                Changed::Services(names)
            }
            Some(_) | None => {
                *self = Self::with(std::mem::take(&mut self.files), sources);
                Changed::All
            }
        }
    }

    fn has_variables(&self) -> bool {
        self.files.values().any(|file| file.has_variables)
    }

    /// The services that changed files are about, before or after; none where a file is about anything else.
    fn plain_names(
        &self,
        changes: &BTreeMap<String, Option<Arc<FileDocs>>>,
    ) -> Option<BTreeSet<ServiceName>> {
        let mut names = BTreeSet::new();
        for (path, after) in changes {
            for file in self.files.get(path).into_iter().chain(after) {
                for service in plain_services(file)? {
                    names.insert(service.name.clone());
                }
            }
        }
        Some(names)
    }

    /// How the services of these files are tied to others by `dependsOn`; none where something is wrong with one of them, which may be
    /// the tie.
    fn ties(&self, paths: &BTreeSet<String>) -> Option<Vec<Tie>> {
        let files = paths.iter().filter_map(|path| self.files.get(path));
        let tied = files
            .flat_map(|file| services(file))
            .filter(|service| self.index.is_tied(service));
        let is_held = |name: &ServiceName| self.set.held.services.contains(name);
        tied.map(|service| (!is_held(&service.name)).then(|| Tie::of(service)))
            .collect()
    }

    fn put(&mut self, path: String, docs: Option<Arc<FileDocs>>) {
        if let Some(before) = self.files.remove(&path) {
            self.index.remove(&path, &before);
        }
        if let Some(docs) = docs {
            self.index.add(&path, &docs);
            self.files.insert(path, docs);
        }
    }

    /// Puts the changed files together with those that say something to others, and takes over what that gives of these services.
    fn patch(&mut self, paths: &BTreeSet<String>, names: &BTreeSet<ServiceName>) {
        let wanted = paths.iter().chain(&self.index.shared);
        let files = wanted.filter_map(|path| self.files.get_key_value(path));
        let mut part = assemble_part(
            &files
                .map(|(path, file)| (path.clone(), Arc::clone(file)))
                .collect(),
        );
        for name in names {
            self.set.services.remove(name);
            self.set.held.services.remove(name);
            if let Some(placed) = part.services.remove(name) {
                self.set.services.insert(name.clone(), placed);
            }
            if part.held.services.contains(name) {
                self.set.held.services.insert(name.clone());
            }
        }
        let faults = &mut self.set.faults;
        faults.retain(|fault| !paths.contains(&fault.file));
        faults.extend(
            part.faults
                .into_iter()
                .filter(|fault| paths.contains(&fault.file)),
        );
        faults.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
    }
}

// === impl Index ===

impl Index {
    fn new(files: &BTreeMap<String, Arc<FileDocs>>, set: &Set) -> Self {
        let azure = |(name, environment): (&EnvironmentName, &Arc<Environment>)| {
            Some((name.clone(), environment.azure.clone()?))
        };
        let mut index = Self {
            azures: set.environments.iter().filter_map(azure).collect(),
            ..Self::default()
        };
        for (path, file) in files {
            index.add(path, file);
        }
        index
    }

    fn add(&mut self, path: &str, file: &FileDocs) {
        for name in named_services(file) {
            *self.names.entry(name.clone()).or_default() += 1;
        }
        let given = services(file).flat_map(given_names);
        let given: Vec<String> = given.map(str::to_owned).collect();
        if !given.is_empty() {
            self.given.insert(path.to_owned(), given);
        }
        for service in services(file) {
            for name in &service.depends_on {
                *self.depended.entry(name.clone()).or_default() += 1;
            }
            for id in self.ids_of(service) {
                let owners = self.hosts.entry(id).or_default();
                if !owners.contains(&service.name) {
                    owners.reserve_exact(1);
                    owners.push(service.name.clone());
                }
            }
        }
        if plain_services(file).is_none() {
            self.shared.insert(path.to_owned());
        }
    }

    fn remove(&mut self, path: &str, file: &FileDocs) {
        for name in named_services(file) {
            if let Some(count) = self.names.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.names.remove(name);
                }
            }
        }
        for service in services(file) {
            for name in &service.depends_on {
                if let Some(count) = self.depended.get_mut(name) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.depended.remove(name);
                    }
                }
            }
            for id in self.ids_of(service) {
                if let Some(owners) = self.hosts.get_mut(&id) {
                    owners.retain(|owner| *owner != service.name);
                    if owners.is_empty() {
                        self.hosts.remove(&id);
                    }
                }
            }
        }
        self.given.remove(path);
        self.shared.remove(path);
    }

    fn is_tied(&self, service: &Service) -> bool {
        !service.depends_on.is_empty() || self.depended.contains_key(&service.name)
    }

    fn ids_of(&self, service: &Service) -> Vec<String> {
        let runs_in = |environment: &EnvironmentName| {
            service.environments.is_empty() || service.environments.contains(environment)
        };
        let azures = self.azures.iter();
        azures
            .filter(|(environment, _)| runs_in(environment))
            .map(|(environment, azure)| {
                host_id(&app_called(azure, environment, service)).to_owned()
            })
            .collect()
    }

    /// Whether these services meet no other.
    fn is_clear(&self, names: &BTreeSet<ServiceName>) -> bool {
        let stands_once = |name| self.names.get(name).is_none_or(|count| *count == 1);
        names
            .iter()
            .all(|name| stands_once(name) && self.is_alone(name) && !self.may_be_given(name))
    }

    /// Whether a name that a manifest gives may be one that we would give to a function of this service: ours have its name in them.
    fn may_be_given(&self, name: &ServiceName) -> bool {
        let mut given = self.given.values().flatten();
        given.any(|given| given.contains(name.as_str()))
    }

    /// Whether Azure's host takes no other service's app for one of this service.
    fn is_alone(&self, name: &ServiceName) -> bool {
        self.azures.iter().all(|(environment, azure)| {
            let owners = self.hosts.get(&id_of(azure, environment, name));
            owners.is_none_or(|owners| owners.iter().all(|owner| owner == name))
        })
    }
}

fn id_of(azure: &AzureTarget, environment: &EnvironmentName, service: &ServiceName) -> String {
    host_id(&app_name(azure, environment, service)).to_owned()
}

// === what files hold ===

/// The services of a file that is about nothing else; none where it is, or where functions have names that others may want.
fn plain_services(file: &FileDocs) -> Option<Vec<&Service>> {
    if file.is_unreadable {
        return None;
    }
    let found: Vec<&Service> = services(file).collect();
    let is_plain = found.len() == file.documents.len();
    let has_given = found
        .iter()
        .any(|service| given_names(service).next().is_some());
    (is_plain && !has_given).then_some(found)
}

fn services(file: &FileDocs) -> impl Iterator<Item = &Service> {
    file.documents
        .iter()
        .filter_map(|(_, content)| match content {
            Content::Service { draft, is_good: _ } => Some(&*draft.service),
            Content::Environment { .. }
            | Content::Gate(..)
            | Content::Variable { .. }
            | Content::Broken(_) => None,
        })
}

/// Every name that a document of the file has, or may be meant to have, as a service's.
fn named_services(file: &FileDocs) -> impl Iterator<Item = &ServiceName> {
    file.documents
        .iter()
        .filter_map(|(_, content)| match content {
            Content::Service { draft, is_good: _ } => Some(&draft.name.value),
            Content::Broken(suspects) | Content::Variable { node: _, suspects } => {
                let Suspects {
                    service,
                    environment: _,
                    gate: _,
                } = suspects;
                service.as_ref()
            }
            Content::Environment { .. } | Content::Gate(..) => None,
        })
}
