//! From manifests to what one commit asks for.

use std::sync::Arc;

use super::{Desired, DesiredService, Release};
use crate::{
    manifest::{
        fault::Fault,
        set::{Held, PlacedService, Set},
        spec::RepoPath,
    },
    name::{ObjectId, Revision, ServiceKey},
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
    let mut assembled = Assembled {
        held: set.held.clone(),
        ..Assembled::default()
    };
    for (name, placed) in &set.services {
        match tree_of(&placed.service.source) {
            Some(tree) => assembled.add(set, placed, &tree, revision),
            None => {
                assembled.held.services.insert(name.clone());
                assembled.faults.push(missing_source(placed));
            }
        }
    }
    assembled
}

fn missing_source(placed: &PlacedService) -> Fault {
    let source = &placed.service.source;
    let message = format!("there is no folder `{source}` at this commit");
    let help = "the path is relative to the repository's root, not to this file";
    placed.source_fault(message, Some(help.to_owned()))
}

impl Assembled {
    fn add(&mut self, set: &Set, placed: &PlacedService, tree: &ObjectId, revision: &Revision) {
        let PlacedService {
            service,
            environments,
            origin: _,
        } = placed;
        let known = environments
            .iter()
            .filter_map(|name| set.environments.get(name));
        for environment in known {
            let release = Release::new(service, environment, tree.clone(), revision.clone());
            let key = ServiceKey {
                environment: environment.name.clone(),
                service: service.name.clone(),
            };
            let wanted = DesiredService {
                release,
                environment: (**environment).clone(),
                rollout: service.rollout.clone(),
                drift: service.drift,
            };
            self.desired.services.insert(key, Arc::new(wanted));
        }
    }
}
