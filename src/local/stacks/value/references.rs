//! What values name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::functions::{Part, parts, sub_of};

/// Everything that a value names: resources, parameters, pseudo parameters.
pub fn references(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|it| collect(it, found)),
        Value::Object(members) => {
            if let Some((name, argument)) = function(members) {
                match name {
                    "Ref" => found.extend(argument.as_str().map(str::to_owned)),
                    "Fn::GetAtt" => found.extend(attribute(argument).map(|(name, _)| name)),
                    "Fn::Sub" => found.extend(named_in_sub(argument)),
                    _ => {}
                }
            }
            members.values().for_each(|it| collect(it, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn named_in_sub(argument: &Value) -> Vec<String> {
    let Some((template, own)) = sub_of(argument) else {
        return Vec::new();
    };
    let named = parts(template).into_iter().filter_map(|part| match part {
        Part::Name(name) if own.get(name).is_none() => {
            Some(name.split('.').next().unwrap_or_default().to_owned())
        }
        Part::Name(_) | Part::Text(_) => None,
    });
    named.collect()
}

/// An object that is a call of a function.
pub(super) fn function(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut all = members.iter();
    let (name, argument) = all.next()?;
    let is_function = name == "Ref" || name == "Condition" || name.starts_with("Fn::");
    (is_function && all.next().is_none()).then_some((name, argument))
}

pub(super) fn attribute(argument: &Value) -> Option<(String, String)> {
    if let Some((resource, name)) = argument.as_str().and_then(|it| it.split_once('.')) {
        return Some((resource.to_owned(), name.to_owned()));
    }
    let [resource, name] = argument.as_array()?.as_slice() else {
        return None;
    };
    Some((resource.as_str()?.to_owned(), name.as_str()?.to_owned()))
}
