//! What the answers of a chain leave for the requests after them.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::shown::{HIDDEN, is_secret};
use crate::{
    manifest::{
        spec::HttpStep,
        template::{fill, only_name},
    },
    rollout::evidence::HttpEvidence,
};

/// Everything that could end a part of a path or a query is written in percent signs, so that a value stays one part.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Shorter values would hide half of an ordinary text.
const SECRET_MIN: usize = 4;

/// Values by the names that the gate gives them.
#[derive(Debug, Default)]
pub(super) struct Captured(BTreeMap<String, Value>);

impl Captured {
    pub(super) fn add(&mut self, values: BTreeMap<String, Value>) {
        self.0.extend(values);
    }

    /// The request with everything that was captured in its place: encoded in the path, escaped in a body of JSON, typed in what is expected.
    ///
    /// # Errors
    ///
    /// Names what was never captured.
    pub(super) fn fill(&self, step: &HttpStep) -> Result<HttpStep, String> {
        let plain = |text: &str| self.text(text, str::to_owned);
        let map = |texts: &BTreeMap<String, String>| {
            let filled = texts
                .iter()
                .map(|(name, text)| Ok((name.clone(), plain(text)?)));
            filled.collect::<Result<BTreeMap<_, _>, String>>()
        };
        let expected = step.expect_json.iter();
        let expected = expected.map(|(place, value)| Ok((place.clone(), self.value(value)?)));
        Ok(HttpStep {
            path: self.text(&step.path, |value| {
                utf8_percent_encode(value, PART).to_string()
            })?,
            headers: map(&step.headers)?,
            body: step
                .body
                .as_deref()
                .map(|body| self.body(body))
                .transpose()?,
            expect_headers: map(&step.expect_headers)?,
            expect_json: expected.collect::<Result<_, String>>()?,
            ..step.clone()
        })
    }

    fn text(&self, text: &str, write: impl Fn(&str) -> String) -> Result<String, String> {
        let value = |name: &str| self.0.get(name).map(|value| write(&as_text(value)));
        fill(text, value).map_err(|name| format!("`{name}` was not captured"))
    }

    /// In JSON a value is escaped, so that a quote in it ends no text.
    fn body(&self, body: &str) -> Result<String, String> {
        if !body.trim_start().starts_with(['{', '[']) {
            return self.text(body, str::to_owned);
        }
        self.text(body, |value| {
            let quoted = Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        })
    }

    /// `${id}` alone is the value as it was captured; among other text it is text.
    fn value(&self, wanted: &Value) -> Result<Value, String> {
        match wanted {
            Value::String(text) => match only_name(text).and_then(|name| self.0.get(name)) {
                Some(value) => Ok(value.clone()),
                None => self.text(text, str::to_owned).map(Value::String),
            },
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                let filled = fields
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.value(value)?)));
                filled.collect::<Result<_, String>>().map(Value::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(wanted.clone()),
        }
    }

    /// Takes what was captured under a name that speaks of a secret out of everything that is shown.
    pub(super) fn hide_secrets(&self, evidence: &mut HttpEvidence) {
        let secret = self.0.iter().filter(|(name, _)| is_secret(name));
        let texts: Vec<String> = secret.map(|(_, value)| as_text(value)).collect();
        for text in texts.iter().filter(|text| text.len() >= SECRET_MIN) {
            evidence.each_text(&mut |shown| {
                if shown.contains(text) {
                    *shown = shown.replace(text, HIDDEN);
                }
            });
        }
    }
}

/// The values as they may be shown.
pub(super) fn shown(values: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let show = |(name, value): (&String, &Value)| {
        let value = if is_secret(name) {
            HIDDEN.into()
        } else {
            value.clone()
        };
        (name.clone(), value)
    };
    values.iter().map(show).collect()
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}
