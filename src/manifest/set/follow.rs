//! Environments that follow others: the one that is followed exists, and none follows itself by way of others.

use super::{
    super::{check::ServiceDraft, raw::At, yaml::Document},
    assemble::{Assembly, fault, help_for, line_of},
};
use crate::name::EnvironmentName;

impl Assembly<'_> {
    /// Environments with a fault are held: nothing in them is changed.
    pub(super) fn check_follows(&mut self) {
        let names: Vec<EnvironmentName> = self.environments.keys().cloned().collect();
        let mut faults = Vec::new();
        for name in names {
            let Some((message, help)) = self.what_is_wrong(&name) else {
                continue;
            };
            if let (Some(found), Some(place)) =
                (self.environments.get(&name), self.follows.get(&name))
            {
                faults.push((name, fault(found.document, place, message, &help)));
            }
        }
        for (name, fault) in faults {
            self.environments.remove(&name);
            self.held.environments.insert(name);
            self.faults.push(fault);
        }
    }

    fn followed(&self, name: &EnvironmentName) -> Option<&EnvironmentName> {
        let follows = self.environments.get(name)?.value.follows.as_ref()?;
        Some(&follows.environment)
    }

    fn what_is_wrong(&self, name: &EnvironmentName) -> Option<(String, String)> {
        let followed = self.followed(name)?;
        let is_there =
            self.environments.contains_key(followed) || self.held.environments.contains(followed);
        if !is_there {
            let names = self.environments.keys().filter(|other| *other != name);
            let help = help_for(followed.as_str(), names.map(EnvironmentName::as_str));
            return Some((format!("no environment `{followed}` is defined"), help));
        }
        let mut path = vec![name];
        let mut next = followed;
        while next != name {
            if path.contains(&next) {
                // It leads into a circle that it is no part of.
                return None;
            }
            path.push(next);
            next = self.followed(next)?;
        }
        path.push(name);
        let told: Vec<String> = path.iter().map(|name| self.with_place(name)).collect();
        Some((
            format!("`{name}` follows itself: {}", told.join(" → ")),
            "remove `follows` from one of them".to_owned(),
        ))
    }

    /// `staging (envs.yaml:4)`.
    fn with_place(&self, name: &EnvironmentName) -> String {
        match (self.environments.get(name), self.follows.get(name)) {
            (Some(found), Some(place)) => format!("{name} ({})", line_of(found.document, place)),
            (Some(_) | None, None) | (None, Some(_)) => name.to_string(),
        }
    }

    /// What comes to an environment from another one must run there.
    pub(super) fn check_runs_where_proven(
        &mut self,
        document: &Document,
        draft: &ServiceDraft,
        environment: &At<EnvironmentName>,
    ) {
        let name = &environment.value;
        let Some(followed) = self.followed(name) else {
            return;
        };
        let runs_there = draft.environments.iter().any(|at| at.value == *followed);
        if !runs_there {
            let message = format!("`{name}` follows `{followed}`, where this service does not run");
            let help = format!("add `{followed}` to `environments`");
            let fault = fault(document, &environment.place, message, &help);
            self.faults.push(fault);
        }
    }
}
