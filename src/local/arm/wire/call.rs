//! One request, taken apart: what it asks for and of which resource. Pure.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::local::arm::{
    model::{Key, PRODUCTION, SlotKey},
    serve::Scheme,
    wire::answer::ArmError,
};

/// A request on its way to a handler.
pub(in crate::local::arm) struct Call {
    pub method: Method,
    pub scheme: Scheme,
    /// `https://127.0.0.1:4568`: links in answers start with what the caller used.
    pub base: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// What the route's pattern captured, as the caller wrote it.
    pub captured: BTreeMap<&'static str, String>,
    /// The version that may be written over.
    pub if_match: Option<String>,
    pub body: Value,
}

/// The segments of a path, decoded.
pub(in crate::local::arm) fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect()
}

/// What `pattern` captures of `segments`; literals ignore case, as the resource manager does.
pub(in crate::local::arm) fn fit(
    pattern: &'static str,
    segments: &[String],
) -> Option<BTreeMap<&'static str, String>> {
    let mut captured = BTreeMap::new();
    let mut parts = pattern.split('/').filter(|part| !part.is_empty());
    for segment in segments {
        let part = parts.next()?;
        match part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            Some(name) => {
                captured.insert(name, segment.clone());
            }
            None if part.eq_ignore_ascii_case(segment) => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(captured)
}

impl Call {
    /// What the pattern captured under `name`; empty where the pattern has no such part.
    pub(in crate::local::arm) fn arg(&self, name: &str) -> &str {
        self.captured.get(name).map_or("", String::as_str)
    }

    /// A member of the query, its name in any case.
    pub(in crate::local::arm) fn query(&self, name: &str) -> Option<&str> {
        let named = |(key, _): &(&String, &String)| key.eq_ignore_ascii_case(name);
        self.query
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }

    /// The refusal where nobody knows of the operation that is asked about.
    pub(in crate::local::arm) fn no_operation(&self) -> ArmError {
        ArmError::NoRoute {
            method: self.method.to_string(),
            path: self.path.clone(),
        }
    }

    pub(in crate::local::arm) fn subscription_id(&self) -> String {
        format!("/subscriptions/{}", self.arg("subscription"))
    }

    pub(in crate::local::arm) fn group_id(&self) -> String {
        format!(
            "{}/resourceGroups/{}",
            self.subscription_id(),
            self.arg("group")
        )
    }

    pub(in crate::local::arm) fn plan_id(&self) -> String {
        let group = self.group_id();
        format!(
            "{group}/providers/Microsoft.Web/serverfarms/{}",
            self.arg("plan")
        )
    }

    pub(in crate::local::arm) fn account_id(&self) -> String {
        let group = self.group_id();
        let account = self.arg("account");
        format!("{group}/providers/Microsoft.Storage/storageAccounts/{account}")
    }

    pub(in crate::local::arm) fn site_id(&self) -> String {
        let group = self.group_id();
        format!("{group}/providers/Microsoft.Web/sites/{}", self.arg("site"))
    }

    /// The slot that the path names; production where it names none.
    pub(in crate::local::arm) fn slot(&self) -> &str {
        match self.arg("slot") {
            "" => PRODUCTION,
            slot => slot,
        }
    }

    pub(in crate::local::arm) fn slot_key(&self) -> SlotKey {
        SlotKey {
            site: Key::of(&self.site_id()),
            slot: self.slot().to_ascii_lowercase(),
        }
    }

    pub(in crate::local::arm) fn no_site(&self) -> ArmError {
        ArmError::no_site(self.arg("group"), self.arg("site"), self.slot())
    }

    /// A string that the body must hold.
    pub(in crate::local::arm) fn required(&self, member: &str) -> Result<&str, ArmError> {
        let given = self.body[member].as_str().filter(|text| !text.is_empty());
        given.ok_or_else(|| ArmError::Invalid(format!("The parameter {member} is required.")))
    }

    /// The body's `tags`; absent where it has none.
    pub(in crate::local::arm) fn tags(&self) -> Result<Option<BTreeMap<String, String>>, ArmError> {
        let tags = &self.body["tags"];
        if tags.is_null() {
            return Ok(None);
        }
        let tags: BTreeMap<String, String> = serde_json::from_value(tags.clone())
            .map_err(|error| ArmError::Invalid(format!("tags: {error}")))?;
        check_tags(&tags)?;
        Ok(Some(tags))
    }

    /// `properties` as names and strings, as settings are sent.
    pub(in crate::local::arm) fn string_properties(
        &self,
    ) -> Result<BTreeMap<String, String>, ArmError> {
        let Some(properties) = self.body["properties"].as_object() else {
            return Ok(BTreeMap::new());
        };
        let text = |(name, value): (&String, &Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Null => Ok((name.clone(), String::new())),
            Value::Bool(_) | Value::Number(_) => Ok((name.clone(), value.to_string())),
            Value::Array(_) | Value::Object(_) => Err(ArmError::Invalid(format!(
                "Setting {name} must be a string."
            ))),
        };
        properties.iter().map(text).collect()
    }
}

/// Azure's limits on tags.
pub(in crate::local::arm) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ArmError> {
    if tags.len() > 50 {
        let text = "A resource may have 50 tags at most.".to_owned();
        return Err(ArmError::Invalid(text));
    }
    for (name, value) in tags {
        let bad = name.is_empty()
            || name.len() > 512
            || name.contains(['<', '>', '%', '&', '\\', '?', '/']);
        if bad || value.len() > 256 {
            return Err(ArmError::Invalid(format!("The tag '{name}' is not valid.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_ignore_case_and_capture_as_written() {
        let pattern = "/subscriptions/{subscription}/resourceGroups/{group}";
        let path = segments("/Subscriptions/S1/resourcegroups/My%20RG");
        let captured = fit(pattern, &path).unwrap();
        assert_eq!(captured["subscription"], "S1");
        assert_eq!(captured["group"], "My RG");
        assert!(fit(pattern, &segments("/subscriptions/S1")).is_none());
        assert!(fit(pattern, &segments("/subscriptions/S1/resourceGroups/a/b")).is_none());
    }
}
