//! What readers may still be told of that is no longer so.

use std::sync::Arc;

use http::Method;

use super::{
    cloud::Cloud,
    model::{Key, World},
    wire::call::Call,
};
use crate::local::lag::{Lag, Read, Subject};

/// Who has not heard yet of what.
pub(super) type Late = Lag<World>;

/// Reads that are as they are: of what is under way, of what an app itself tells, and of what nobody changes.
const PROMPT: [&str; 10] = [
    "activity.list",
    "deployments.list",
    "deploymentstatus.get",
    "georegions.list",
    "host.status",
    "locations.list",
    "metrics.list",
    "onedeploy.get",
    "operations.get",
    "stacks.list",
];

/// What is asked for by POST.
const ASKING: [&str; 5] = [
    "listkeys",
    ".checkname",
    "insights.query",
    "publishingcredentials.list",
    "publishxml",
];

impl Cloud {
    /// Who answers a call: this, or this as it was before a write. A write is remembered.
    ///
    /// While something is under way on a site, what it will come to is not told yet: nobody is late.
    pub(super) fn as_told(self: &Arc<Self>, operation: &str, call: &Call) -> Arc<Self> {
        let is_asking = ASKING.iter().any(|word| operation.ends_with(word));
        if !self.lag.is_on() || PROMPT.contains(&operation) || is_asking {
            return Arc::clone(self);
        }
        let subject = subject(&call.path);
        let now = self.clock.now();
        let looks = [Method::GET, Method::HEAD].contains(&call.method);
        if !looks && !operation.ends_with(".list") {
            self.lag.write(subject, now, || self.world());
            return Arc::clone(self);
        }
        if let Some(name) = &subject.name
            && self.state().operations.busy(&Key::of(name)).is_some()
        {
            return Arc::clone(self);
        }
        let is_mark = |name: &str| name.eq_ignore_ascii_case("$skipToken");
        let query = call.query.iter().filter(|(name, _)| !is_mark(name));
        let query: Vec<_> = query.collect();
        let read = Read {
            operation,
            subject,
            key: format!("{} {query:?}", call.path.to_ascii_lowercase()),
            goes_on: call.query.keys().any(|name| is_mark(name)),
        };
        let late = self.lag.read(&read, now);
        late.map_or_else(
            || Arc::clone(self),
            |world| Arc::new(self.over((*world).clone())),
        )
    }

    fn world(&self) -> World {
        let state = self.state();
        let trust = self.trust().clone();
        World {
            trust,
            ..state.world.clone()
        }
    }

    /// The same endpoint over another world, for those who only look.
    fn over(&self, mut world: World) -> Self {
        let (options, clock) = (self.options.clone(), Arc::clone(&self.clock));
        let (disk, speaks) = (Arc::clone(&self.disk), self.speaks.clone());
        let mut past = Self::new(options, clock, disk, speaks, self.stop.clone());
        past.doors = Arc::clone(&self.doors);
        *past.trust() = std::mem::take(&mut world.trust);
        past.state().world = world;
        past
    }
}

/// A group, or a resource of a kind with all that is in it; without a name all of them.
fn subject(path: &str) -> Subject {
    let path = path.trim_matches('/').to_ascii_lowercase();
    let parts: Vec<&str> = path.split('/').collect();
    let is_role = parts.contains(&"roleassignments");
    let provider = parts.iter().position(|part| *part == "providers");
    match provider {
        // They are listed with those below.
        _ if is_role => Subject::all("roles"),
        Some(at) => {
            let kind = parts.get(at + 1..at + 3).unwrap_or_default().join("/");
            let id = parts.get(..at + 4).map(|id| format!("/{}", id.join("/")));
            Subject { kind, name: id }
        }
        None if parts.last() == Some(&"resources") => Subject::all(""),
        None => Subject {
            kind: "groups".to_owned(),
            name: parts.get(..4).map(|id| format!("/{}", id.join("/"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_group_a_resource_or_a_list() {
        let group = "/subscriptions/s/resourceGroups/Shop";
        let site = format!("{group}/providers/Microsoft.Web/sites/app");
        let cases = [
            (
                group.to_owned(),
                "groups",
                Some("/subscriptions/s/resourcegroups/shop"),
            ),
            (
                format!("{site}/slots/green/config/web"),
                "microsoft.web/sites",
                Some("/subscriptions/s/resourcegroups/shop/providers/microsoft.web/sites/app"),
            ),
            (
                "/subscriptions/s/providers/Microsoft.Web/sites".to_owned(),
                "microsoft.web/sites",
                None,
            ),
            ("/subscriptions/s/resourceGroups".to_owned(), "groups", None),
            (format!("{group}/resources"), "", None),
            (
                format!("{site}/providers/Microsoft.Authorization/roleAssignments/x"),
                "roles",
                None,
            ),
        ];
        for (path, kind, name) in cases {
            let told = subject(&path);
            assert_eq!(
                (told.kind.as_str(), told.name.as_deref()),
                (kind, name),
                "{path}"
            );
        }
    }
}
