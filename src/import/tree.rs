//! The file as a tree whose values know their path.

use serde_yaml::{Mapping, Value};

use super::NotServerless;

/// Four times the largest file that people have shown us.
pub const FILE_MAX: usize = 1024 * 1024;

/// A value and where it stands: `functions.stock.events[0].http`.
#[derive(Clone, Debug)]
pub(super) struct At<'v> {
    pub(super) path: String,
    pub(super) value: &'v Value,
}

/// Reads a file, with its anchors and merge keys resolved.
pub(super) fn parse(text: &str) -> Result<Value, NotServerless> {
    if text.len() > FILE_MAX {
        return Err(NotServerless::TooLarge { bytes: text.len() });
    }
    let mut value: Value = serde_yaml::from_str(text)?;
    value.apply_merge()?;
    Ok(value)
}

impl<'v> At<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.as_mapping()?.get(key)?;
        let path = join(&self.path, key);
        Some(Self { path, value })
    }

    /// The first of some keys that is there.
    pub(super) fn either(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().find_map(|key| self.get(key))
    }

    pub(super) fn entries(&self) -> Vec<(String, Self)> {
        let map = self.value.as_mapping().into_iter().flatten();
        map.map(|(key, value)| {
            let key = key_text(key);
            let path = join(&self.path, &key);
            (key, Self { path, value })
        })
        .collect()
    }

    pub(super) fn items(&self) -> Vec<Self> {
        let list = self.value.as_sequence().into_iter().flatten().enumerate();
        list.map(|(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            value,
        })
        .collect()
    }

    /// A scalar as it would be written.
    pub(super) fn text(&self) -> Option<String> {
        scalar_text(self.value)
    }

    pub(super) fn number(&self) -> Option<u64> {
        match self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null
            | Value::Bool(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Tagged(_) => None,
        }
    }

    /// `true`, or text that says so.
    pub(super) fn is_true(&self) -> bool {
        self.text().is_some_and(|text| text == "true")
    }

    pub(super) fn is_false(&self) -> bool {
        self.text().is_some_and(|text| text == "false")
    }

    pub(super) fn is_null(&self) -> bool {
        self.value.is_null()
    }
}

pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// A key of a map: whoever writes `200:` means text.
pub(super) fn key_text(key: &Value) -> String {
    scalar_text(key).unwrap_or_default()
}

pub(super) fn join(path: &str, key: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-/$@:*".contains(c);
    let key = match !key.is_empty() && key.chars().all(is_plain) {
        true => key.to_owned(),
        false => format!("{key:?}"),
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// Adds an entry where there is a value.
pub(super) fn put(map: &mut Mapping, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(Value::from(key), value);
    }
}

/// A map as a value, where it holds anything.
pub(super) fn filled(map: Mapping) -> Option<Value> {
    (!map.is_empty()).then_some(Value::Mapping(map))
}

/// A map of the entries that have a value, where there is any.
pub(crate) fn map<const N: usize>(entries: [(&str, Option<Value>); N]) -> Option<Value> {
    let mut map = Mapping::new();
    for (key, value) in entries {
        put(&mut map, key, value);
    }
    filled(map)
}
