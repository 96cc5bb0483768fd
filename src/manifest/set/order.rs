//! What services depend on: it exists where they run, and nothing depends on itself by way of others.

use super::{
    super::{check::ServiceDraft, raw::At},
    assemble::{Assembly, fault, help_for, line_of},
    graph::Graph,
};
use crate::name::{EnvironmentName, ServiceName};

/// Services of a circle that are told by name; whoever has a longer one has seen enough by then.
const PATH_MAX: usize = 24;

/// What is wrong with one entry of a `dependsOn`.
struct Wrong {
    service: ServiceName,
    /// Its place in the list; the service's name where another member of its group says it.
    at: Option<usize>,
    message: String,
    help: String,
}

impl Assembly<'_> {
    /// Services with a fault are held; those that depend on them are not, and wait.
    pub(super) fn check_order(&mut self) {
        let tied = self.services.iter();
        let tied = tied.filter(|(_, (_, draft))| !draft.depends_on.is_empty());
        let mut wrong: Vec<Wrong> = tied
            .flat_map(|(name, (_, draft))| {
                let each = draft.depends_on.iter().enumerate();
                each.filter_map(|(at, dependency)| self.missing(name, draft, at, dependency))
            })
            .collect();
        wrong.extend(self.circles());
        for Wrong {
            service,
            at,
            message,
            help,
        } in wrong
        {
            let Some((document, draft)) = self.services.get(&service) else {
                continue;
            };
            let place = at.and_then(|at| draft.depends_on.get(at));
            let place = place.map_or(&draft.name.place, |at| &at.place);
            let mut told = fault(document, place, message, &help);
            told.service = Some(service.clone());
            self.faults.push(told);
            self.placed.remove(&service);
            self.held.services.insert(service);
        }
    }

    fn missing(
        &self,
        name: &ServiceName,
        draft: &ServiceDraft,
        at: usize,
        dependency: &At<ServiceName>,
    ) -> Option<Wrong> {
        let wanted = &dependency.value;
        let wrong = |message: String, help: String| {
            let service = name.clone();
            Some(Wrong {
                service,
                at: Some(at),
                message,
                help,
            })
        };
        let Some((_, other)) = self.services.get(wanted) else {
            if self.held.services.contains(wanted) {
                // It stands in a document that cannot be read whole.
                return None;
            }
            let names = self.services.keys().filter(|other| *other != name);
            let help = help_for(wanted.as_str(), names.map(ServiceName::as_str));
            return wrong(format!("no service `{wanted}` is defined"), help);
        };
        let runs_in = |draft: &ServiceDraft, environment: &EnvironmentName| {
            let named = &draft.environments;
            named.is_empty() || named.iter().any(|at| at.value == *environment)
        };
        let lacking = self
            .environments
            .keys()
            .find(|it| runs_in(draft, it) && !runs_in(other, it))?;
        wrong(
            format!("`{wanted}` does not run in `{lacking}`, where `{name}` does"),
            format!("add `{lacking}` to the environments of `{wanted}`"),
        )
    }

    fn circles(&self) -> Vec<Wrong> {
        let graph = Graph::of(&self.services);
        let mut wrong = Vec::new();
        for circle in graph.circles() {
            for name in circle.iter().filter_map(|node| graph.service(*node)) {
                let path = graph.way_back(name, &circle);
                wrong.push(self.in_circle(name, &path, circle.len()));
            }
        }
        wrong
    }

    fn in_circle(&self, name: &ServiceName, path: &[ServiceName], of: usize) -> Wrong {
        let depends = |pair: &[ServiceName]| {
            let draft = self.services.get(&pair[0]);
            draft.is_some_and(|(_, draft)| draft.service.depends_on.contains(&pair[1]))
        };
        let message = match path {
            [] => format!("`{name}` depends on itself, as one of {of} in a circle"),
            [_, ..] => format!("`{name}` depends on itself: {}", self.tell(path)),
        };
        let is_plain = path.windows(2).all(depends);
        let help = if is_plain {
            "remove one of these from `dependsOn`"
        } else {
            "services of one group are promoted together, and so wait for what any of them depends on: take one out of the group, or out of \
             `dependsOn`"
        };
        let draft = self.services.get(name);
        let at = draft.and_then(|(_, draft)| {
            let next = path.get(1)?;
            draft.depends_on.iter().position(|at| at.value == *next)
        });
        Wrong {
            service: name.clone(),
            at,
            message,
            help: help.to_owned(),
        }
    }

    /// `cart (a.yaml:7) → price (b.yaml:9) → cart`.
    fn tell(&self, path: &[ServiceName]) -> String {
        let place = |name: &ServiceName| match self.services.get(name) {
            Some((document, draft)) => {
                let first = draft.depends_on.first();
                let place = first.map_or(&draft.name.place, |at| &at.place);
                format!("{name} ({})", line_of(document, place))
            }
            None => name.to_string(),
        };
        let mut told: Vec<String> = path.iter().take(PATH_MAX).map(place).collect();
        if path.len() > PATH_MAX {
            told.push(format!("{} more", path.len() - PATH_MAX - 1));
            told.extend(path.first().map(ToString::to_string));
        }
        told.join(" → ")
    }
}
