//! What differs between stages becomes a parameter.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::{Mapping, Value};

use super::{
    Draft, names,
    tree::{filled, key_text, put},
};

/// Names of parameters, and what each is in each stage.
#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    stages: BTreeMap<String, Mapping>,
}

/// One of the services as all stages have it.
pub(super) fn specs(drafts: &[(String, Draft)], index: usize) -> Mapping {
    let all = drafts.iter().filter_map(|(stage, draft)| {
        let (_, spec) = draft.services.get(index)?;
        Some((stage.as_str(), Value::Mapping(spec.clone())))
    });
    let all: Vec<(&str, Value)> = all.collect();
    let views: Vec<(&str, &Value)> = all.iter().map(|(stage, spec)| (*stage, spec)).collect();
    let mut found = Found::default();
    let merged = merge(&mut Vec::new(), &views, &mut found);
    let merged = merged.as_mapping().cloned().unwrap_or_default();
    with_params(merged, found, &views)
}

/// The same value where all agree; maps key by key; anything else by a parameter.
fn merge(path: &mut Vec<String>, views: &[(&str, &Value)], found: &mut Found) -> Value {
    let Some(((_, first), others)) = views.split_first() else {
        return Value::Null;
    };
    if others.iter().all(|(_, other)| other == first) {
        return (*first).clone();
    }
    match same_keys(views) {
        Some(keys) => {
            let mut merged = Mapping::new();
            for key in keys {
                path.push(key_text(&key));
                let below: Vec<(&str, &Value)> = views
                    .iter()
                    .filter_map(|(stage, value)| Some((*stage, value.get(&key)?)))
                    .collect();
                merged.insert(key, merge(path, &below, found));
                path.pop();
            }
            Value::Mapping(merged)
        }
        None => found.parameter(path, views),
    }
}

/// The keys that all of these are maps with.
fn same_keys(views: &[(&str, &Value)]) -> Option<Vec<Value>> {
    let keys = |value: &Value| Some(value.as_mapping()?.keys().cloned().collect::<Vec<_>>());
    let first = keys(views.first()?.1)?;
    let all_same = views
        .iter()
        .all(|(_, value)| keys(value).as_ref() == Some(&first));
    all_same.then_some(first)
}

impl Found {
    fn parameter(&mut self, path: &[String], views: &[(&str, &Value)]) -> Value {
        const PLAIN: [&str; 3] = ["functions", "aws", "env"];
        let parts: Vec<&str> = path
            .iter()
            .map(String::as_str)
            .filter(|part| !PLAIN.contains(part))
            .collect();
        let wanted = if parts.is_empty() {
            "value".to_owned()
        } else {
            parts.join("-")
        };
        let name = names::free(&wanted, 64, &self.names);
        self.names.insert(name.clone());
        for (stage, value) in views {
            let stage = self.stages.entry(names::environment(stage)).or_default();
            stage.insert(name.clone().into(), (*value).clone());
        }
        format!("${{param:{name}}}").into()
    }
}

/// Parameters stand at the end, after what asks for them.
fn with_params(mut spec: Mapping, found: Found, views: &[(&str, &Value)]) -> Mapping {
    let mut params = Mapping::new();
    put(&mut params, "default", filled(unknown(views)));
    for (stage, values) in found.stages {
        params.insert(stage.into(), values.into());
    }
    put(&mut spec, "params", filled(params));
    spec
}

/// Parameters that came from a command line or a dashboard: empty, for people to fill in.
fn unknown(views: &[(&str, &Value)]) -> Mapping {
    let mut asked = Mapping::new();
    for (_, value) in views {
        names_in(value, &mut asked);
    }
    asked
}

fn names_in(value: &Value, asked: &mut Mapping) {
    match value {
        Value::String(text) => {
            for rest in text.split("${param:").skip(1) {
                let name = rest.split(['}', ',']).next().unwrap_or_default().trim();
                asked.insert(name.into(), "".into());
            }
        }
        Value::Mapping(map) => map.values().for_each(|value| names_in(value, asked)),
        Value::Sequence(list) => list.iter().for_each(|value| names_in(value, asked)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Tagged(_) => {}
    }
}
