//! Documents with variables, read once for each environment that they are in.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    super::{
        check::ServiceDraft,
        fault::Fault,
        variables::{Params, Resolver, Sources},
        yaml::{Document, Node},
    },
    file::{Content, FileDocs, Suspects, read_content},
};
use crate::name::EnvironmentName;

pub(super) type Files = BTreeMap<String, Arc<FileDocs>>;

/// Values by name, of each environment.
type Known = BTreeMap<String, Vec<(String, Node)>>;

/// The files as they would be without variables.
pub(super) fn expand<'f>(files: &'f Files, sources: &Sources<'_>) -> Cow<'f, Files> {
    if !files.values().any(|file| file.has_variables) {
        return Cow::Borrowed(files);
    }
    let mut expanded = files.clone();
    // Environments first, since services ask for their parameters.
    for file in expanded.values_mut().filter(|file| file.has_variables) {
        let plain = FileDocs::clone(file);
        *file = Arc::new(plain.with(|document, node, kind| {
            (kind == "Environment").then(|| environment(document, node, sources))
        }));
    }
    let known = known(&expanded);
    for file in expanded.values_mut().filter(|file| file.has_variables) {
        let plain = FileDocs::clone(file);
        *file = Arc::new(
            plain.with(|document, node, _| Some(service(document, node, &known, sources))),
        );
    }
    Cow::Owned(expanded)
}

impl FileDocs {
    /// Reads documents with variables anew where `read` does.
    fn with(
        mut self,
        read: impl Fn(&Document, &Node, &str) -> Option<(Content, Vec<Fault>)>,
    ) -> Self {
        for (document, content) in &mut self.documents {
            let Content::Variable { node, suspects: _ } = content else {
                continue;
            };
            let kind = node.get("kind").and_then(Node::as_text).unwrap_or_default();
            if let Some((found, faults)) = read(document, node, kind) {
                if let Content::Broken(suspects) = &found {
                    self.is_unreadable |= suspects.is_anything();
                }
                *content = found;
                self.faults.extend(faults);
            }
        }
        self
    }
}

fn environment(document: &Document, node: &Node, sources: &Sources<'_>) -> (Content, Vec<Fault>) {
    let own = params(node, None);
    let filled = Resolver::new(sources, vec![&own], name(node)).fill(node);
    read_content(document, &filled)
}

fn name(node: &Node) -> Option<&str> {
    node.get("metadata")?.get("name")?.as_text()
}

/// The entries of `params`, or of one part of it.
fn params(node: &Node, part: Option<&str>) -> Vec<(String, Node)> {
    let params = node.get("spec").and_then(|spec| spec.get("params"));
    let params = match part {
        None => params,
        Some(part) => params.and_then(|params| params.get(part)),
    };
    match params {
        Some(Node::Map(entries)) => entries.clone(),
        Some(Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_))
        | None => Vec::new(),
    }
}

/// The parameters of every environment, with those that have none.
fn known(files: &Files) -> Known {
    let documents = files.values().flat_map(|file| &file.documents);
    let named = documents.filter_map(|(_, content)| match content {
        Content::Environment { name, params, .. } => Some((name.value.to_string(), params.clone())),
        Content::Service { .. }
        | Content::Gate(..)
        | Content::Variable { .. }
        | Content::Broken(_) => None,
    });
    named.collect()
}

/// The environments that a service names, or all.
fn environments(node: &Node, known: &Known) -> Vec<String> {
    let listed = node.get("spec").and_then(|spec| spec.get("environments"));
    match listed {
        Some(Node::List(names)) => names
            .iter()
            .filter_map(Node::as_text)
            .map(str::to_owned)
            .collect(),
        Some(Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::Map(_))
        | None => known.keys().cloned().collect(),
    }
}

fn service(
    document: &Document,
    node: &Node,
    known: &Known,
    sources: &Sources<'_>,
) -> (Content, Vec<Fault>) {
    let default = params(node, Some("default"));
    let mut names: Vec<Option<String>> = environments(node, known).into_iter().map(Some).collect();
    if names.is_empty() {
        names.push(None);
    }
    let mut first: Option<Content> = None;
    let mut faults: Vec<Fault> = Vec::new();
    for name in names {
        let own = name
            .as_deref()
            .map(|name| params(node, Some(name)))
            .unwrap_or_default();
        let shared = name.as_ref().and_then(|name| known.get(name));
        let mut layers: Params<'_> = vec![&own];
        layers.extend(shared.map(Vec::as_slice));
        layers.push(&default);
        let filled = Resolver::new(sources, layers, name.as_deref()).fill(node);
        let (content, found) = read_content(document, &filled);
        for fault in found {
            let is_told = faults
                .iter()
                .any(|known| known.offset == fault.offset && known.message == fault.message);
            if !is_told {
                faults.push(fault);
            }
        }
        match &mut first {
            None => first = Some(content),
            Some(first) => join(first, name.as_deref(), content, document, &mut faults),
        }
    }
    (
        first.unwrap_or_else(|| Content::Broken(Suspects::default())),
        faults,
    )
}

/// Puts what a service is in another environment beside what it is in the first.
fn join(
    first: &mut Content,
    name: Option<&str>,
    other: Content,
    document: &Document,
    faults: &mut Vec<Fault>,
) {
    let Content::Service { draft, is_good } = first else {
        return;
    };
    let Content::Service {
        draft: variant,
        is_good: is_variant_good,
    } = other
    else {
        *is_good = false;
        return;
    };
    *is_good &= is_variant_good;
    if let Some(what) = differs(draft, &variant) {
        let message = format!("`{what}` is another one in `{}`", name.unwrap_or_default());
        let help = "write it without variables: it is the same in every environment";
        let mut fault = super::assemble::fault(document, &draft.name.place.key(), message, help);
        fault.service = Some(draft.name.value.clone());
        faults.push(fault);
        *is_good = false;
    }
    if let Some(name) = name.and_then(|name| EnvironmentName::new(name).ok()) {
        draft.variants.insert(name, *variant);
    }
}

/// What ties a service to others, and to the tree, must not differ.
fn differs(first: &ServiceDraft, other: &ServiceDraft) -> Option<&'static str> {
    let (first, other) = (&first.service, &other.service);
    match () {
        () if first.source != other.source => Some("source"),
        () if first.environments != other.environments => Some("environments"),
        () if first.depends_on != other.depends_on => Some("dependsOn"),
        () if first.rollout.group != other.rollout.group => Some("rollout.group"),
        () => None,
    }
}
