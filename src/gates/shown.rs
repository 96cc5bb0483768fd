//! What people may see of requests and answers: bounded, readable, and without secrets.

use std::collections::BTreeMap;

use url::Url;

use crate::rollout::evidence::cut_end;

/// Most of a body that is kept as evidence.
pub(super) const KEPT_MAX: usize = 64 * 1024;

const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 512;

/// Longest value that a check shows.
const SHOWN_MAX: usize = 500;

/// What is shown in the place of a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// Parts of names whose values are for nobody's eyes.
const SECRET_NAMES: [&str; 10] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "api-key",
    "apikey",
    "functions-key",
    "signature",
    "credential",
];

/// Names of query parameters that are keys on the two clouds.
const SECRET_PARAMETERS: [&str; 4] = ["code", "sig", "key", "clientid"];

pub(super) fn shown_headers<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.take(HEADERS_MAX) {
        let name = name.to_ascii_lowercase();
        let value = if is_secret(&name) { HIDDEN } else { value };
        let text = shown.entry(name).or_default();
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(value);
        cut_end(text, HEADER_BYTES_MAX);
    }
    shown
}

pub(super) fn shown_url(url: &Url) -> String {
    let Some(query) = url.query() else {
        return url.to_string();
    };
    let mut bare = url.clone();
    bare.set_query(None);
    format!("{bare}?{}", shown_query(query))
}

/// A path with its query, whose secrets are hidden.
pub(super) fn shown_path(path: &str) -> String {
    match path.split_once('?') {
        Some((path, query)) => format!("{path}?{}", shown_query(query)),
        None => path.to_owned(),
    }
}

fn shown_query(query: &str) -> String {
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret_parameter(name) => format!("{name}={HIDDEN}"),
        Some(_) | None => pair.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(hide).collect();
    query.join("&")
}

pub(super) fn shown_body(body: &str) -> String {
    let is_shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let mut body: String = body.chars().filter(is_shown).collect();
    cut_end(&mut body, KEPT_MAX);
    body
}

pub(super) fn shown(value: &str) -> String {
    let mut shown = value.to_owned();
    cut_end(&mut shown, SHOWN_MAX);
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}

pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

fn is_secret_parameter(name: &str) -> bool {
    let is_key = SECRET_PARAMETERS
        .iter()
        .any(|key| name.eq_ignore_ascii_case(key));
    is_key || is_secret(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_may_be_secret_are_hidden() {
        let headers = [
            ("Authorization", "Bearer x"),
            ("X-Functions-Key", "k"),
            ("accept", "a"),
            ("Set-Cookie", "s"),
        ];
        let shown = shown_headers(headers.into_iter());
        let told: Vec<String> = shown
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            told.join(" "),
            "accept=a authorization=(hidden) set-cookie=(hidden) x-functions-key=(hidden)"
        );
        let url = "https://a.example/x?code=abc&sku=42&access_token=t&flag"
            .parse()
            .unwrap();
        assert_eq!(
            shown_url(&url),
            "https://a.example/x?code=(hidden)&sku=42&access_token=(hidden)&flag"
        );
    }
}
