//! `-o`: the same answer for people and for programs.

use clap::ValueEnum;
use serde_json::Value;

use super::{
    exit::{CliError, Result},
    screen::{Screen, is_steering},
};

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Output {
    #[default]
    Table,
    /// More columns
    Wide,
    /// All there is, for programs
    Json,
    Yaml,
    /// Names only, one a line
    Name,
}

impl Screen {
    pub(super) fn json(&self, value: &Value) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|error| CliError::of(&error))?;
        self.line(&escape(&text));
        Ok(())
    }

    /// On one line, for streams.
    pub(super) fn json_line(&self, value: &Value) {
        self.line(&escape(&value.to_string()));
    }

    pub(super) fn yaml(&self, value: &Value) -> Result<()> {
        let text = serde_yaml::to_string(value).map_err(|error| CliError::of(&error))?;
        // The writer escapes control characters already; what is left is shown.
        let shown: String = text
            .chars()
            .map(|c| {
                if c != '\n' && is_steering(c) {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect();
        self.text(&shown);
        Ok(())
    }
}

/// JSON may hold some characters that a terminal obeys. They stand in strings only, where JSON's own escape says the same.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_steering(c) {
            // All of them are below U+10000, so that one escape is enough.
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_steering_a_terminal() {
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}\x1b"});
        let text = escape(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(|c| c != '\n' && is_steering(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
