//! From manifests to what one commit asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Desired, DesiredService, Release};
use crate::{
    manifest::{
        fault::Fault,
        set::{Held, PlacedService, Set},
        spec::{Environment, RepoPath},
    },
    name::{EnvironmentName, ObjectId, Revision, ServiceKey, ServiceName},
};

/// What a commit asks for, and what must be left as it is because the commit is wrong about it.
#[derive(Clone, Debug, Default)]
pub struct Assembled {
    pub desired: Desired,
    /// Whoever removes what is not desired must ask this first.
    pub held: Held,
    /// Only the faults that were found here; those of the manifests stand in the set.
    pub faults: Vec<Fault>,
}

/// Gives each service of a set its release. `tree_of` finds the Git tree of a folder at `revision`.
///
/// A service whose source folder is missing is held and told; the others go on.
pub fn assemble(
    set: &Set,
    tree_of: &dyn Fn(&RepoPath) -> Option<ObjectId>,
    revision: &Revision,
) -> Assembled {
    let mut kept = KeptDesired::default();
    kept.update_all(set, tree_of, revision);
    let mut held = set.held.clone();
    held.services.extend(kept.missing.keys().cloned());
    Assembled {
        desired: Desired {
            services: Arc::unwrap_or_clone(kept.services),
        },
        held,
        faults: kept.missing.into_values().collect(),
    }
}

/// What a repository asks for, kept from commit to commit.
///
/// # Guarantees
///
/// A service of which nothing changed stays the very same value, and so at the commit that changed it last.
#[derive(Clone, Debug, Default)]
pub struct KeptDesired {
    services: Arc<BTreeMap<ServiceKey, Arc<DesiredService>>>,
    /// Services whose source folder is not there.
    missing: BTreeMap<ServiceName, Fault>,
}

impl KeptDesired {
    pub fn services(&self) -> &Arc<BTreeMap<ServiceKey, Arc<DesiredService>>> {
        &self.services
    }

    pub fn missing(&self) -> &BTreeMap<ServiceName, Fault> {
        &self.missing
    }

    /// Takes in a set in which anything may differ.
    pub fn update_all(
        &mut self,
        set: &Set,
        tree_of: &dyn Fn(&RepoPath) -> Option<ObjectId>,
        revision: &Revision,
    ) {
        self.missing.clear();
        let mut services = BTreeMap::new();
        for placed in set.services.values() {
            self.place(&mut services, set, placed, tree_of, revision);
        }
        self.services = Arc::new(services);
    }

    /// Takes in a set in which these services may differ, or the trees of their sources; environments are as they were.
    pub fn update(
        &mut self,
        set: &Set,
        names: &BTreeSet<ServiceName>,
        tree_of: &dyn Fn(&RepoPath) -> Option<ObjectId>,
        revision: &Revision,
    ) {
        let mut placed_anew = BTreeMap::new();
        for name in names {
            self.missing.remove(name);
            if let Some(placed) = set.services.get(name) {
                self.place(&mut placed_anew, set, placed, tree_of, revision);
            }
        }
        let is_same = |key: &ServiceKey| match (self.services.get(key), placed_anew.get(key)) {
            (Some(before), Some(after)) => Arc::ptr_eq(before, after),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let keys = names.iter().flat_map(|name| {
            let key = |environment: &EnvironmentName| key(environment, name);
            set.environments.keys().map(key)
        });
        let other: Vec<ServiceKey> = keys.filter(|key| !is_same(key)).collect();
        if other.is_empty() {
            return;
        }
        let services = Arc::make_mut(&mut self.services);
        for key in other {
            match placed_anew.remove(&key) {
                Some(desired) => services.insert(key, desired),
                None => services.remove(&key),
            };
        }
    }

    fn place(
        &mut self,
        into: &mut BTreeMap<ServiceKey, Arc<DesiredService>>,
        set: &Set,
        placed: &PlacedService,
        tree_of: &dyn Fn(&RepoPath) -> Option<ObjectId>,
        revision: &Revision,
    ) {
        let service = &placed.service;
        let Some(tree) = tree_of(&service.source) else {
            self.missing
                .insert(service.name.clone(), missing_source(placed));
            return;
        };
        let known = placed
            .environments
            .iter()
            .filter_map(|name| set.environments.get(name));
        for environment in known {
            let key = key(&environment.name, &service.name);
            let before = self.services.get(&key);
            let desired = match before.filter(|before| is_as(before, placed, environment, &tree)) {
                Some(before) => Arc::clone(before),
                None => Arc::new(desired(placed, environment, &tree, revision)),
            };
            into.insert(key, desired);
        }
    }
}

fn key(environment: &EnvironmentName, service: &ServiceName) -> ServiceKey {
    ServiceKey {
        environment: environment.clone(),
        service: service.clone(),
    }
}

fn desired(
    placed: &PlacedService,
    environment: &Arc<Environment>,
    tree: &ObjectId,
    revision: &Revision,
) -> DesiredService {
    let service = placed.in_environment(&environment.name);
    DesiredService {
        release: Release::new(service, environment, tree.clone(), revision.clone()),
        environment: Arc::clone(environment),
        rollout: service.rollout.clone(),
        depends_on: service.depends_on.clone(),
        drift: service.drift.clone(),
    }
}

/// Whether [`desired`] would give the same, but for the revision.
fn is_as(
    before: &DesiredService,
    placed: &PlacedService,
    environment: &Environment,
    tree: &ObjectId,
) -> bool {
    let DesiredService {
        release,
        environment: runs_in,
        rollout,
        depends_on,
        drift,
    } = before;
    let service = placed.in_environment(&environment.name);
    **runs_in == *environment
        && *rollout == service.rollout
        && *depends_on == service.depends_on
        && *drift == service.drift
        && release.is_of(service, environment, tree)
}

fn missing_source(placed: &PlacedService) -> Fault {
    let source = &placed.service.source;
    let message = format!("there is no folder `{source}` at this commit");
    let help = "the path is relative to the repository's root, not to this file";
    placed.source_fault(message, Some(help.to_owned()))
}
