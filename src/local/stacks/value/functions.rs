//! Functions of texts and lists.

use serde_json::{Value, json};

use super::text_of;
use crate::local::stacks::{Fault, fault};

/// The text of a `Fn::Sub`, and the values of its own.
pub(super) fn sub_of(argument: &Value) -> Option<(&str, &Value)> {
    if let Some(text) = argument.as_str() {
        return Some((text, &Value::Null));
    }
    let [text, own] = argument.as_array()?.as_slice() else {
        return None;
    };
    Some((text.as_str()?, own))
}

pub(super) enum Part<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// `a${b}${!c}` is `a`, the name `b`, and the text `${c}`.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            break;
        };
        parts.push(Part::Text(before));
        match name.strip_prefix('!') {
            Some(literal) => parts.extend([Part::Text("${"), Part::Text(literal), Part::Text("}")]),
            None => parts.push(Part::Name(name.trim())),
        }
        rest = behind;
    }
    parts.push(Part::Text(rest));
    parts
}

/// One text where all parts are known, else a join that is left for later.
pub(super) fn join(argument: &Value) -> Result<Value, Fault> {
    let malformed = "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined";
    let Some([between, all]) = argument.as_array().map(Vec::as_slice) else {
        return fault(malformed);
    };
    let Some(between) = between.as_str() else {
        return fault(malformed);
    };
    let Some(all) = all.as_array() else {
        return Ok(json!({"Fn::Join": argument}));
    };
    let texts: Option<Vec<_>> = all.iter().map(text_of).collect();
    match texts {
        Some(texts) => Ok(json!(texts.join(between))),
        None if all.iter().any(|it| it.is_array()) => fault(malformed),
        None => Ok(json!({"Fn::Join": [between, all]})),
    }
}

pub(super) fn select(argument: &Value) -> Result<Value, Fault> {
    let malformed =
        "Template error: every Fn::Select object requires two parameters, an index and a list";
    let Some([index, all]) = argument.as_array().map(Vec::as_slice) else {
        return fault(malformed);
    };
    let Some(all) = all.as_array() else {
        return Ok(json!({"Fn::Select": argument}));
    };
    let index = text_of(index).and_then(|it| it.parse::<usize>().ok());
    match index.and_then(|index| all.get(index)) {
        Some(value) => Ok(value.clone()),
        None => fault("Template error: Fn::Select cannot select nonexistent value at index"),
    }
}

pub(super) fn split(argument: &Value) -> Result<Value, Fault> {
    match argument.as_array().map(Vec::as_slice) {
        Some([Value::String(at), Value::String(text)]) if !at.is_empty() => {
            Ok(text.split(at.as_str()).map(|part| json!(part)).collect())
        }
        Some([Value::String(_), Value::Object(_)]) => Ok(json!({"Fn::Split": argument})),
        Some(_) | None => fault(
            "Template error: every Fn::Split object requires two parameters, (1) a delimiter and (2) a string to be split",
        ),
    }
}
