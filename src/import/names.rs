//! Names of ours, made from theirs.

use std::collections::BTreeSet;

use crate::name::{EnvironmentName, FunctionName, ServiceName};

/// `getUser_byId` is `get-user-by-id`: lower-case words with hyphens, a letter first, at most `max` long.
fn tidy(text: &str, max: usize, otherwise: &str) -> String {
    let mut tidy = String::new();
    let mut was_lower = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && was_lower {
            tidy.push('-');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => tidy.push(c),
            _ if tidy.is_empty() || tidy.ends_with('-') => {}
            _ => tidy.push('-'),
        }
    }
    let start = tidy
        .find(|c: char| c.is_ascii_lowercase())
        .unwrap_or(tidy.len());
    let tidy: String = tidy[start..].chars().take(max).collect();
    let tidy = tidy.trim_end_matches('-');
    if tidy.is_empty() {
        otherwise.to_owned()
    } else {
        tidy.to_owned()
    }
}

pub(super) fn service(text: &str) -> String {
    tidy(text, ServiceName::MAX, "service")
}

pub(super) fn function(text: &str) -> String {
    tidy(text, FunctionName::MAX, "function")
}

pub(super) fn environment(text: &str) -> String {
    tidy(text, EnvironmentName::MAX, "environment")
}

/// A name for an entry below `aws.events` or `aws.permissions`.
pub(crate) fn entry(text: &str) -> String {
    tidy(text, 40, "source")
}

/// A queue's name as both clouds take it.
pub(crate) fn queue(text: &str) -> String {
    let mut name = tidy(text, 63, "queue");
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    if name.len() < 3 {
        format!("{name}-queue")
    } else {
        name
    }
}

/// The name, or `name-2` where it is taken.
pub(super) fn free(name: &str, max: usize, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| {
        let suffix = format!("-{number}");
        let kept: String = name.chars().take(max - suffix.len()).collect();
        format!("{}{suffix}", kept.trim_end_matches('-'))
    });
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    // There are more numbers than names.
    candidates
        .find(|name| !taken.contains(name))
        .unwrap_or_default()
}
