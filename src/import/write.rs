//! Trees as YAML that people like to read: short maps and lists on one line, the rest in blocks.

use serde_yaml::{Mapping, Value};

use super::tree::{key_text, scalar_text};

/// A line is filled up to here.
const WIDTH: usize = 100;

/// A document that starts with remarks.
pub(super) fn document(remarks: &[String], tree: &Mapping) -> String {
    let mut text = String::new();
    for remark in remarks {
        text.push_str(&format!("# {remark}\n"));
    }
    entries(&mut text, tree, 0);
    text
}

fn entries(text: &mut String, map: &Mapping, indent: usize) {
    for (key, value) in map {
        let key = written_key(key);
        text.push_str(&" ".repeat(indent));
        text.push_str(&key);
        text.push(':');
        below(text, value, indent, indent + key.len() + 2);
    }
}

/// Keys are text whatever they look like, so that `on` needs no quotes.
fn written_key(key: &Value) -> String {
    let text = key_text(key);
    let is_plain = |c: char| c.is_alphanumeric() || "_-".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => quoted(&text),
    }
}

/// What follows a colon or a hyphen, with the end of its line.
fn below(text: &mut String, value: &Value, indent: usize, used: usize) {
    let flat = flat(value);
    let is_short = used + flat.chars().count() <= WIDTH;
    let is_in_line = is_short && is_small(value);
    match value {
        Value::Mapping(map) if !map.is_empty() && !is_in_line => {
            text.push('\n');
            entries(text, map, indent + 2);
        }
        Value::Sequence(list) if !list.is_empty() && !is_in_line => {
            text.push('\n');
            for item in list {
                text.push_str(&" ".repeat(indent + 2));
                text.push('-');
                below(text, item, indent + 2, indent + 4);
            }
        }
        Value::Mapping(_)
        | Value::Sequence(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Tagged(_) => {
            text.push(' ');
            text.push_str(&flat);
            text.push('\n');
        }
    }
}

/// Whether it may stand on one line: nothing but scalars in it, and few of them.
fn is_small(value: &Value) -> bool {
    let is_scalar = |value: &Value| scalar_text(value).is_some() || value.is_null();
    match value {
        Value::Mapping(map) => {
            map.len() <= 4
                && map
                    .values()
                    .all(|it| is_scalar(it) || is_list_of_scalars(it))
        }
        Value::Sequence(list) => list.iter().all(is_scalar),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {
            true
        }
    }
}

fn is_list_of_scalars(value: &Value) -> bool {
    let items = value.as_sequence();
    items.is_some_and(|items| items.iter().all(|item| scalar_text(item).is_some()))
}

fn flat(value: &Value) -> String {
    match value {
        Value::Mapping(map) => {
            let entry = |(key, value): (&Value, &Value)| {
                format!("{}: {}", written_key(key), flat_inner(value))
            };
            let entries: Vec<String> = map.iter().map(entry).collect();
            match entries.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", entries.join(", ")),
            }
        }
        Value::Sequence(list) => {
            let items: Vec<String> = list.iter().map(flat_inner).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Tagged(tagged) => flat(&tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => scalar(value),
    }
}

fn flat_inner(value: &Value) -> String {
    match value {
        Value::Mapping(_) | Value::Sequence(_) | Value::Tagged(_) => flat(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => inner(value),
    }
}

/// A scalar between braces or brackets, where more characters mean something.
fn inner(value: &Value) -> String {
    let plain = scalar(value);
    let is_quoted = plain.starts_with(['"', '\'']);
    if !is_quoted && plain.contains(['{', '}', '[', ']', ',']) {
        quoted(&plain)
    } else {
        plain
    }
}

/// A scalar in a block. Plain where that reads back as the same.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return scalar_text(value).unwrap_or_else(|| "null".to_owned());
    };
    let reads_back = |written: &str| {
        serde_yaml::from_str::<Value>(&format!("a: {written}\n")).is_ok_and(|read| {
            read.get("a") == Some(value) && read.as_mapping().is_some_and(|map| map.len() == 1)
        })
    };
    // A `#` or `: ` within is legal at times, and never pleasant. Version 1.1 of YAML takes some words for booleans.
    let is_word = ["y", "n", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str());
    if !is_word && !text.contains(['\n', '#', '"']) && reads_back(text) {
        text.clone()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    // A JSON string is a YAML string, too.
    serde_json::Value::from(text).to_string()
}
