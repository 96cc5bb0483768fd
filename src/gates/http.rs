//! Sends one request to a slot and compares the answer with what is wanted.
//!
//! Only an answer of the release can be right or wrong. No answer, one that names no release (the platform in front of it gives
//! such), or one of another release is an Error: it is asked again within the measurement, and says nothing about the release.

use std::{collections::BTreeMap, time::Duration};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::{
    address,
    reply::{self, Reply},
};
use crate::{
    clock::Clock,
    manifest::spec::HttpGate,
    name::ReleaseDigest,
    rollout::evidence::{Evidence, HttpEvidence, HttpRequest, Measurement, Outcome},
};

/// Wait before the first further try; it doubles with each.
const RETRY_WAIT: Duration = Duration::from_millis(200);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);

/// Headers that say where a request goes or how it is framed. A gate that sets them could reach another host behind the same front.
const OUR_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "forwarded",
];

/// Sends the requests of gates. It follows no redirect, since that would leave the slot, and uses no proxy.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

/// There is no TLS to be had on this machine.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client of gates: are certificate authorities installed?")]
pub struct ClientError(#[from] reqwest::Error);

impl Client {
    /// # Errors
    ///
    /// Fails where the machine has no certificate authorities.
    pub fn new() -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent(concat!("verdigris-gate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    /// A request to a slot, by method and path.
    pub(super) fn build(
        &self,
        (method, path): (&str, &str),
        headers: &BTreeMap<String, String>,
        body: Option<&str>,
        address: &Url,
    ) -> Result<reqwest::Request, String> {
        let url = address::join(address, path).map_err(|error| error.to_string())?;
        let parsed = method.parse::<reqwest::Method>();
        let method = parsed.map_err(|_| format!("`{method}` is no HTTP method"))?;
        let mut request = self.0.request(method, url).headers(self::headers(headers)?);
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        request.build().map_err(|error| no_answer(&error))
    }

    pub(super) async fn send(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, reqwest::Error> {
        self.0.execute(request).await
    }
}

/// What is asked, and where.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub gate: &'a HttpGate,
    /// Of the function in the slot; see [`address::of_gate`].
    pub address: &'a Url,
    /// For the whole measurement, further tries included.
    pub timeout: Duration,
    /// Who must answer. A slot can serve what it held before for a while after it was written.
    pub release: Option<ReleaseDigest>,
}

/// What one try found.
struct Try {
    outcome: Outcome,
    reply: Option<Reply>,
    /// Whether asking again can find something else.
    is_early: bool,
}

/// Asks once, with the gate's further tries. Never fails: whatever goes wrong is the measurement's outcome.
///
/// # Guarantees
///
/// Ends within the question's timeout. Reads at most 1 MiB of an answer, and keeps at most 64 KiB of it.
pub async fn measure(client: &Client, question: &Question<'_>, clock: &dyn Clock) -> Measurement {
    let started_at = clock.now();
    let (outcome, evidence) = ask(client, question).await;
    Measurement {
        target: None,
        started_at,
        finished_at: clock.now(),
        outcome,
        evidence: Evidence::Http(evidence),
    }
}

async fn ask(client: &Client, question: &Question<'_>) -> (Outcome, HttpEvidence) {
    let Question {
        gate,
        address,
        timeout,
        release: _,
    } = *question;
    let mut evidence = HttpEvidence {
        request: shown_request(gate, address),
        answer: None,
        checks: Vec::new(),
        tries: 0,
    };
    let sent = (gate.method.as_str(), gate.path.as_str());
    let built = client.build(sent, &gate.headers, gate.body.as_deref(), address);
    let request = match built {
        Ok(request) => request,
        Err(why) => return (Outcome::Error { why }, evidence),
    };
    evidence.request.url = reply::shown_url(request.url());
    let end = Instant::now() + timeout;
    let mut wait = RETRY_WAIT;
    loop {
        evidence.tries += 1;
        let Try {
            outcome,
            reply,
            is_early,
        } = attempt(client, &request, question, end).await;
        if let Some(Reply { answer, checks, .. }) = reply {
            evidence.answer = Some(answer);
            evidence.checks = checks;
        }
        let is_last = evidence.tries > gate.retries || Instant::now() + wait >= end;
        if !is_early || is_last {
            return (outcome, evidence);
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_WAIT_MAX);
    }
}

async fn attempt(
    client: &Client,
    request: &reqwest::Request,
    question: &Question<'_>,
    end: Instant,
) -> Try {
    let error = |why: String| Try {
        outcome: Outcome::Error { why },
        reply: None,
        is_early: true,
    };
    // Bodies are texts, and texts can be sent again.
    let Some(request) = request.try_clone() else {
        return error("the request cannot be repeated".to_owned());
    };
    let started = Instant::now();
    let response = match tokio::time::timeout_at(end, client.0.execute(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(cause)) => return error(no_answer(&cause)),
        Err(_) => return error(format!("no answer within {:?}", question.timeout)),
    };
    let reply = reply::read(response, started, end).await;
    judge(reply.check(question.gate), question)
}

/// Sorts an answer: whose it is comes before what is in it.
fn judge(reply: Reply, question: &Question<'_>) -> Try {
    let status = reply.answer.status;
    let (outcome, is_early) = if let Some(why) = somebody_else(&reply, question.release) {
        (Outcome::Error { why }, true)
    } else if reply.checks.iter().all(|check| check.passed) {
        (Outcome::Successful, false)
    } else if reply.release.is_none()
        && matches!(status, 502..=504)
        && status != question.gate.status
    {
        let why = format!("the platform answered {status} in place of the release");
        (Outcome::Error { why }, true)
    } else if let Some(why) = &reply.broken_off
        && !reply.fails_plainly
    {
        let why = format!("the answer broke off: {why}");
        (Outcome::Error { why }, true)
    } else {
        let why = reply.faults();
        (Outcome::Failed { why }, false)
    };
    let reply = Some(reply);
    Try {
        outcome,
        reply,
        is_early,
    }
}

/// Why an answer is not one of the wanted release.
fn somebody_else(reply: &Reply, wanted: Option<ReleaseDigest>) -> Option<String> {
    let wanted = wanted?.to_string();
    match reply.release.as_deref() {
        Some(told) if told == wanted => None,
        Some("") | None => {
            let status = reply.answer.status;
            Some(format!(
                "the platform answered {status} in place of the release"
            ))
        }
        Some(told) => Some(format!("the slot still answers as release {told}")),
    }
}

fn headers(wanted: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in wanted {
        let parsed: HeaderName = name
            .parse()
            .map_err(|_| format!("`{name}` is no header name"))?;
        if OUR_HEADERS.contains(&parsed.as_str()) || parsed.as_str().starts_with("x-forwarded-") {
            return Err(format!("header `{name}` is not for gates to set"));
        }
        // The value may be a secret, so the message does not hold it.
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("value of header `{name}` cannot be sent"))?;
        headers.insert(parsed, value);
    }
    Ok(headers)
}

fn shown_request(gate: &HttpGate, address: &Url) -> HttpRequest {
    HttpRequest {
        method: gate.method.clone(),
        url: reply::shown_url(address),
        headers: reply::shown_headers(
            gate.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        ),
        body: gate.body.as_deref().map(reply::shown_body),
    }
}

/// The whole chain of causes, without the address, whose query may hold a key.
pub(super) fn no_answer(error: &reqwest::Error) -> String {
    let word = if error.is_connect() {
        "cannot connect"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "no answer"
    };
    let mut told = word.to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}
