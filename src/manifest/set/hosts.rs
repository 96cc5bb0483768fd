//! Function Apps that Azure's host would take for one.

use std::collections::BTreeMap;

use super::{
    super::check::limits::{app_name, host_id},
    assemble::Assembly,
};
use crate::name::ServiceName;

impl Assembly<'_> {
    /// Apps that share prefix and storage must differ in the part of their names that Azure's host takes for its id.
    pub(super) fn check_host_ids(&mut self) {
        let mut owners: BTreeMap<String, ServiceName> = BTreeMap::new();
        let mut clashes = Vec::new();
        for (name, placed) in &self.placed {
            for environment in &placed.environments {
                let found = self.environments.get(environment);
                let Some(azure) = found.and_then(|found| found.value.azure.as_ref()) else {
                    continue;
                };
                let app = app_name(azure, environment, name);
                let id = host_id(&app).to_owned();
                let key = format!("{}/{}/{id}", azure.subscription, azure.resource_group);
                match owners.get(&key) {
                    Some(owner) if owner != name => {
                        clashes.push((name.clone(), owner.clone(), id));
                    }
                    Some(_) | None => {
                        owners.insert(key, name.clone());
                    }
                }
            }
        }
        for (name, owner, id) in clashes {
            self.tell_clash(&name, &owner, &id);
        }
    }

    /// The later name of the two is stopped; the other may be live already.
    fn tell_clash(&mut self, name: &ServiceName, owner: &ServiceName, id: &str) {
        let Some(placed) = self.placed.remove(name) else {
            return;
        };
        let message = format!(
            "its Function App and that of `{owner}` both start with `{id}`, so Azure's host gives both one id"
        );
        let help = "rename one, or shorten the environment's prefix";
        self.faults
            .push(placed.name_fault(message, Some(help.to_owned())));
        self.held.services.insert(name.clone());
    }
}
