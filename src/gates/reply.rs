//! An answer over HTTP: read within bounds, compared with what is wanted, and made fit to be shown.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::parity::compare::Answer;
use crate::{
    manifest::spec::HttpGate,
    rollout::evidence::{Check, HttpAnswer, cut_end},
};

/// Most of a body that is read; what follows is not waited for.
const READ_MAX: usize = 1024 * 1024;

/// Most of a body that is kept as evidence.
const KEPT_MAX: usize = 64 * 1024;

const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 512;

/// Longest value that a check shows.
const SHOWN_MAX: usize = 500;

/// Every answer of a release names it.
pub(super) const RELEASE_HEADER: &str = "x-verdigris-release";

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

pub(super) struct Reply {
    pub(super) answer: HttpAnswer,
    pub(super) checks: Vec<Check>,
    /// Whether it is wrong whatever else its body would have held.
    pub(super) fails_plainly: bool,
    /// Which release answered; nobody's answer names none.
    pub(super) release: Option<String>,
    /// Why the body ended early, where that was not our doing.
    pub(super) broken_off: Option<String>,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
    is_whole: bool,
}

/// Reads an answer until it ends, is long enough, or the time is over.
pub(super) async fn read(mut response: reqwest::Response, started: Instant, end: Instant) -> Reply {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    let mut broken_off = None;
    let mut is_whole = false;
    while body.len() < READ_MAX {
        match tokio::time::timeout_at(end, response.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => {
                is_whole = true;
                break;
            }
            Ok(Err(_)) => {
                broken_off = Some("the connection was lost".to_owned());
                break;
            }
            Err(_) => {
                broken_off = Some("it did not end in time".to_owned());
                break;
            }
        }
    }
    let release = headers
        .get(RELEASE_HEADER)
        .and_then(|value| value.to_str().ok());
    let texts = headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())));
    let texts: Vec<_> = texts.collect();
    let shown = shown_headers(texts.iter().map(|(name, value)| (*name, value.as_ref())));
    let answer = HttpAnswer {
        status,
        headers: shown,
        body: shown_body(&String::from_utf8_lossy(&body[..body.len().min(KEPT_MAX)])),
        is_cut: !is_whole || body.len() > KEPT_MAX,
        latency_ms: millis(started.elapsed()),
    };
    Reply {
        answer,
        checks: Vec::new(),
        fails_plainly: false,
        release: release.map(str::to_owned),
        broken_off,
        headers,
        body,
        is_whole,
    }
}

/// Reads an answer to its end, or as much as is ever read. False where the connection was lost.
pub(super) async fn drain(mut response: reqwest::Response) -> bool {
    let mut read = 0;
    while read < READ_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    true
}

impl Reply {
    /// Compares the answer with everything that the gate wants.
    pub(super) fn check(mut self, gate: &HttpGate) -> Self {
        let mut checks = vec![check(
            "status",
            gate.status.to_string(),
            self.answer.status.to_string(),
        )];
        for (name, wanted) in &gate.expect_headers {
            checks.push(self.check_header(name, wanted));
        }
        if let Some(limit) = gate.latency {
            let (wanted, got) = (millis(limit), self.answer.latency_ms);
            checks.push(Check {
                what: "latency".to_owned(),
                wanted: format!("at most {wanted} ms"),
                got: format!("{got} ms"),
                passed: got <= wanted,
            });
        }
        self.fails_plainly = checks.iter().any(|check| !check.passed);
        checks.extend(self.check_json(&gate.expect_json));
        self.checks = checks;
        self
    }

    /// `status: wanted 200, got 500; json /stock: wanted 3, got nothing`
    pub(super) fn faults(&self) -> String {
        let told = |check: &Check| {
            let Check {
                what,
                wanted,
                got,
                passed: _,
            } = check;
            format!("{what}: wanted {wanted}, got {got}")
        };
        let faults: Vec<String> = self
            .checks
            .iter()
            .filter(|check| !check.passed)
            .map(told)
            .collect();
        faults.join("; ")
    }

    /// For a comparison with another answer, which takes whole answers only.
    pub(super) fn into_compared(self) -> Result<Answer, String> {
        if let Some(why) = self.broken_off {
            return Err(format!("the answer broke off: {why}"));
        }
        if !self.is_whole {
            return Err(format!("its answer has more than {READ_MAX} bytes"));
        }
        let text = |value: &reqwest::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers = self.headers.iter();
        Ok(Answer {
            status: self.answer.status,
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
            body: self.body,
        })
    }

    fn check_header(&self, name: &str, wanted: &str) -> Check {
        let values = self.headers.get_all(name);
        let got: Vec<_> = values
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let passed = got.iter().any(|value| value == wanted);
        let show = |value: &str| {
            if is_secret(name) {
                HIDDEN.to_owned()
            } else {
                shown(value)
            }
        };
        Check {
            what: format!("header {name}"),
            wanted: show(wanted),
            got: if got.is_empty() {
                "nothing".to_owned()
            } else {
                show(&got.join(", "))
            },
            passed,
        }
    }

    fn check_json(&self, wanted: &BTreeMap<String, Value>) -> Vec<Check> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let body = self.json();
        let check = |(pointer, wanted): (&String, &Value)| {
            let (got, passed) = match &body {
                Ok(body) => match body.pointer(pointer) {
                    Some(value) => (value.to_string(), is_same(value, wanted)),
                    None => ("nothing".to_owned(), false),
                },
                Err(why) => (why.clone(), false),
            };
            let what = format!("json {pointer}");
            let (wanted, got) = (shown(&wanted.to_string()), shown(&got));
            Check {
                what,
                wanted,
                got,
                passed,
            }
        };
        wanted.iter().map(check).collect()
    }

    fn json(&self) -> Result<Value, String> {
        if self.is_whole {
            serde_json::from_slice(&self.body).map_err(|_| "a body that is no JSON".to_owned())
        } else if self.broken_off.is_some() {
            Err("a body that broke off".to_owned())
        } else {
            Err(format!("a body of more than {READ_MAX} bytes"))
        }
    }
}

fn check(what: &str, wanted: String, got: String) -> Check {
    let passed = wanted == got;
    let what = what.to_owned();
    Check {
        what,
        wanted,
        got,
        passed,
    }
}

/// Numbers are the same by value: 1 and 1.0 are, in JSON.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has_same = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(has_same)
        }
        (one, other) => one == other,
    }
}

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

fn shown(value: &str) -> String {
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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

    #[test]
    fn numbers_are_compared_by_value() {
        let same = |one: &str, other: &str| {
            let (one, other): (Value, Value) = (one.parse().unwrap(), other.parse().unwrap());
            is_same(&one, &other)
        };
        assert!(same("1", "1.0"));
        assert!(same(r#"{"a":[1,{"b":2.0}]}"#, r#"{"a":[1.0,{"b":2}]}"#));
        assert!(!same("1", r#""1""#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
    }
}
