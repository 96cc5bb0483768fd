//! An answer over HTTP: read within bounds, compared with what is wanted, and made fit to be shown.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    json,
    parity::compare::Answer,
    shown::{HIDDEN, KEPT_MAX, is_secret, shown, shown_body, shown_headers},
};
use crate::{
    manifest::spec::{Capture, HttpStep},
    rollout::evidence::{Check, HttpAnswer},
};

/// Most of a body that is read; what follows is not waited for.
const READ_MAX: usize = 1024 * 1024;

/// Longest captured value: it goes into addresses and headers.
const CAPTURE_MAX: usize = 16 * 1024;

/// Every answer of a release names it.
pub(super) const RELEASE_HEADER: &str = "x-verdigris-release";

pub(super) struct Reply {
    pub(super) answer: HttpAnswer,
    pub(super) checks: Vec<Check>,
    /// What later requests may use.
    pub(super) captured: BTreeMap<String, Value>,
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
        captured: BTreeMap::new(),
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
    pub(super) fn check(mut self, gate: &HttpStep) -> Self {
        let mut checks = Vec::new();
        if let Some(status) = gate.status {
            let got = self.answer.status.to_string();
            checks.push(check("status", status.to_string(), got));
        }
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
        for (name, capture) in &gate.capture {
            match self.capture(name, capture) {
                Ok(value) => {
                    self.captured.insert(name.clone(), value);
                }
                Err(check) => checks.push(check),
            }
        }
        self.checks = checks;
        self
    }

    fn capture(&self, name: &str, capture: &Capture) -> Result<Value, Check> {
        let (place, found) = match capture {
            Capture::Json(place) => {
                let found = self.json().map(|body| json::at(&body, place));
                (format!("a value at {place}"), found)
            }
            Capture::Header(header) => {
                let value = self.headers.get(header);
                let text = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
                let found = text.map(|text| Value::from(text.as_ref()));
                (format!("a header {header}"), Ok(found))
            }
        };
        let got = match found {
            Ok(Some(value)) if value.to_string().len() <= CAPTURE_MAX => return Ok(value),
            Ok(Some(_)) => format!("more than {CAPTURE_MAX} bytes"),
            Ok(None) => "nothing".to_owned(),
            Err(why) => why,
        };
        Err(Check {
            what: format!("capture {name}"),
            wanted: place,
            got,
            passed: false,
        })
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
                Ok(body) => match json::at(body, pointer) {
                    Some(value) => (value.to_string(), json::is_same(&value, wanted)),
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
