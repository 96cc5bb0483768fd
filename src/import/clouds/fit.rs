//! What our own rules refuse of what was found is left out, and told: whatever is written is valid.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_yaml::{Mapping, Value};

use super::{Draft, ENVIRONMENT, Verdict, Work};
use crate::{
    import::report::Entry,
    manifest::{self, fault::Fault, set},
};

/// What is left out may leave something else without what it needs; no key stands this deep.
const ROUNDS_MAX: usize = 20;

/// Keys without which there is no document.
const NEEDED: [&str; 7] = [
    "functions",
    "location",
    "plan",
    "resourceGroup",
    "runtime",
    "source",
    "subscription",
];

/// Where services are looked at that no environment was found for.
const SOMEWHERE: &str = "apiVersion: verdigris.dev/v1alpha1\nkind: Environment\nmetadata: { name: prod }\nspec: { aws: { region: us-east-1, role: \"arn:aws:iam::123456789012:role/functions\" } }\n";

/// Leaves out what is refused, part by part; a document that cannot be saved so is left out whole.
pub(super) fn fit(work: &mut Work) {
    let drafts = std::mem::take(&mut work.drafts);
    let (environments, services): (Vec<_>, Vec<_>) = drafts
        .into_iter()
        .partition(|draft| draft.kind == ENVIRONMENT);
    let mut around = Vec::new();
    for environment in environments {
        around.extend(work.fitting(environment, &[]));
    }
    let mut all = Vec::new();
    for service in services {
        all.extend(work.fitting(service, &around));
    }
    all.extend(around);
    // What is wrong with one of them beside another.
    let mut wrong = BTreeMap::new();
    for (index, fault) in faults(&all) {
        wrong.entry(index).or_insert(fault);
    }
    for (index, draft) in all.into_iter().enumerate() {
        match wrong.get(&index) {
            Some(fault) => work.give_up(&draft, fault),
            None => work.drafts.push(draft),
        }
    }
}

impl Work {
    fn fitting(&mut self, mut draft: Draft, around: &[Draft]) -> Option<Draft> {
        for _ in 0..ROUNDS_MAX {
            let wrong = faults_of(&draft, around);
            let Some(fault) = wrong.first() else {
                return Some(draft);
            };
            let Some(place) = to_leave_out(&draft, around, fault) else {
                self.give_up(&draft, fault);
                return None;
            };
            cut(&mut draft.spec, &place);
            self.tell_cut(&draft, &place, fault);
        }
        let wrong = faults_of(&draft, around);
        match wrong.first() {
            None => Some(draft),
            Some(fault) => {
                self.give_up(&draft, fault);
                None
            }
        }
    }

    /// What was said to be taken over there is not.
    fn tell_cut(&mut self, draft: &Draft, place: &[Step], fault: &Fault) {
        let (field, why) = (field(place), why(fault));
        let is_meant = |entry: &&mut Entry| {
            let below = entry.told.strip_prefix(field.as_str());
            let is_below = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            let is_its = entry.path.starts_with(&format!("{}.", draft.owner));
            entry.verdict == Verdict::Taken && is_its && is_below
        };
        let mut is_told = false;
        for entry in self.entries.iter_mut().filter(is_meant) {
            entry.verdict = Verdict::NotPossible;
            entry.told.clone_from(&why);
            is_told = true;
        }
        if !is_told {
            let path = field.trim_start_matches("spec.");
            let path = match draft.owner.as_str() {
                "" => path.to_owned(),
                owner => format!("{owner}.{path}"),
            };
            self.tell(&path, Verdict::NotPossible, &why);
        }
    }

    fn give_up(&mut self, draft: &Draft, fault: &Fault) {
        let owner = draft.owner.as_str();
        let start = format!("{owner}.");
        let is_its = |entry: &Entry| !owner.is_empty() && entry.path.starts_with(&start);
        self.entries
            .retain(|entry| !(entry.verdict == Verdict::Taken && is_its(entry)));
        let path = match owner {
            "" => draft.kind.to_lowercase(),
            owner => owner.to_owned(),
        };
        let told = format!("no manifest is written, since {}", why(fault));
        self.tell(&path, Verdict::NotPossible, &told);
    }
}

/// Errors of `validate`, and in which of the documents.
fn faults(drafts: &[Draft]) -> Vec<(usize, Fault)> {
    let name = |index: usize| format!("{index:06}.yaml");
    let parsed = |name: String, text: &str| {
        let docs = set::parse_file(&name, text);
        (name, Arc::new(docs))
    };
    let texts = drafts.iter().enumerate();
    let files = texts.map(|(index, draft)| parsed(name(index), &draft.text()));
    let mut files: BTreeMap<_, _> = files.collect();
    if !drafts.iter().any(|it| it.kind == ENVIRONMENT) {
        files.extend([parsed("somewhere.yaml".to_owned(), SOMEWHERE)]);
    }
    let found = set::assemble(&files).faults.into_iter();
    let errors = found.filter(Fault::is_error).filter_map(|fault| {
        let index = fault.file.strip_suffix(".yaml")?.parse().ok()?;
        Some((index, fault))
    });
    errors.collect()
}

fn faults_of(draft: &Draft, around: &[Draft]) -> Vec<Fault> {
    let mut all = vec![draft.clone()];
    all.extend_from_slice(around);
    let own = faults(&all).into_iter().filter(|(index, _)| *index == 0);
    own.map(|(_, fault)| fault).collect()
}

fn why(fault: &Fault) -> String {
    let help = fault.suggestion.as_deref().filter(|it| !it.is_empty());
    let help = help.map(|it| format!(": {it}")).unwrap_or_default();
    format!(
        "`validate` says of `{}`: {}{help}",
        fault.field, fault.message
    )
}

/// A part of a document's way from `spec` on.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Key(String),
    Item(usize),
}

fn field(place: &[Step]) -> String {
    let mut field = "spec".to_owned();
    for step in place {
        match step {
            Step::Key(key) => field += &format!(".{}", manifest::field_part(key)),
            Step::Item(index) => field += &format!("[{index}]"),
        }
    }
    field
}

/// What the fault names, or the one part of it without which the fault is gone; none where there is no document without it.
fn to_leave_out(draft: &Draft, around: &[Draft], fault: &Fault) -> Option<Vec<Step>> {
    let (place, value) = nearest(&draft.spec, &fault.field);
    let known: BTreeSet<String> = faults_of(draft, around).iter().map(why).collect();
    let is_cure = |part: &Vec<Step>| {
        let mut without = draft.clone();
        cut(&mut without.spec, part);
        let left: BTreeSet<String> = faults_of(&without, around).iter().map(why).collect();
        // A part that something else needs is none to leave out.
        !left.contains(&why(fault)) && left.is_subset(&known)
    };
    let keys = value.as_mapping().into_iter().flatten();
    let mut parts = keys.filter_map(|(key, _)| {
        let mut part = place.clone();
        part.push(Step::Key(key.as_str()?.to_owned()));
        Some(part)
    });
    let cure = parts.find(|part| is_free(draft, part) && is_cure(part));
    cure.or_else(|| is_free(draft, &place).then_some(place))
}

/// Whether a document can do without it.
fn is_free(draft: &Draft, place: &[Step]) -> bool {
    let is_needed = |key: &String| NEEDED.contains(&key.as_str());
    match place {
        [] => false,
        [Step::Key(_)] if draft.kind == ENVIRONMENT => false,
        [Step::Key(_), Step::Key(key)] if draft.kind == ENVIRONMENT => !is_needed(key),
        [Step::Key(key)] => !is_needed(key),
        _ => true,
    }
}

/// The deepest part of a `spec` on the way to a field.
fn nearest(spec: &Mapping, wanted: &str) -> (Vec<Step>, Value) {
    let mut place = Vec::new();
    let mut here = Value::Mapping(spec.clone());
    loop {
        let steps: Vec<(Step, Value)> = match &here {
            Value::Mapping(map) => map
                .iter()
                .filter_map(|(key, value)| {
                    Some((Step::Key(key.as_str()?.to_owned()), value.clone()))
                })
                .collect(),
            Value::Sequence(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (Step::Item(index), item.clone()))
                .collect(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Tagged(_) => Vec::new(),
        };
        let on_the_way = steps.into_iter().find(|(step, _)| {
            let mut next = place.clone();
            next.push(step.clone());
            let rest = wanted.strip_prefix(&field(&next)).map(str::to_owned);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        match on_the_way {
            Some((step, value)) => {
                place.push(step);
                here = value;
            }
            None => return (place, here),
        }
    }
}

fn cut(spec: &mut Mapping, place: &[Step]) {
    let Some((last, way)) = place.split_last() else {
        return;
    };
    let mut root = Value::Mapping(std::mem::take(spec));
    let mut here = Some(&mut root);
    for step in way {
        here = here.and_then(|value| match step {
            Step::Key(key) => value.get_mut(key.as_str()),
            Step::Item(index) => value.get_mut(*index),
        });
    }
    match (here, last) {
        (Some(Value::Mapping(map)), Step::Key(key)) => {
            map.remove(key.as_str());
        }
        (Some(Value::Sequence(items)), Step::Item(index)) if *index < items.len() => {
            items.remove(*index);
        }
        _ => {}
    }
    if let Value::Mapping(map) = root {
        *spec = map;
    }
}
