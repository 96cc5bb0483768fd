//! What differs between two blocks for one cloud, for people.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// What differs, in words: the path below `root` and its two values as JSON, long ones cut.
pub fn differences<T: Clone + Default + Serialize>(
    root: &str,
    old: Option<&T>,
    new: Option<&T>,
) -> Vec<Difference> {
    let [old, new] = [old, new].map(|side| {
        let mut leaves = BTreeMap::new();
        // Cannot fail: every key is a string and every value has a JSON form.
        let json = serde_json::to_value(side.cloned().unwrap_or_default()).unwrap_or_default();
        flatten(root, &json, &mut leaves);
        leaves
    });
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |side: &BTreeMap<String, String>, path: &String| {
        side.get(path).cloned().unwrap_or_else(|| "none".to_owned())
    };
    paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| Difference {
            path: path.clone(),
            from: value(&old, path),
            to: value(&new, path),
        })
        .collect()
}

/// One setting that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    pub path: String,
    pub from: String,
    pub to: String,
}

fn flatten(path: &str, value: &serde_json::Value, into: &mut BTreeMap<String, String>) {
    const LONGEST: usize = 80;
    if let serde_json::Value::Object(map) = value {
        if let (Some(serde_json::Value::Number(secs)), true) = (map.get("secs"), map.len() == 2) {
            into.insert(path.to_owned(), format!("{secs}s"));
            return;
        }
        for (key, value) in map {
            flatten(&format!("{path}.{key}"), value, into);
        }
        return;
    }
    let plain = |value: &serde_json::Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    let text = match value.as_array() {
        Some(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        None => plain(value),
    };
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    into.insert(path.to_owned(), shown);
}
