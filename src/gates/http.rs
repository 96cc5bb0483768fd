//! Sends the requests of a gate to a slot, one after the other, and compares each answer with what is wanted.
//!
//! Only an answer of the release can be right or wrong. No answer, one that names no release (the platform in front of it gives
//! such), or one of another release is an Error: it is asked again within the measurement, and says nothing about the release.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::{
    address::{self, AddressError},
    chain::{self, Captured},
    reply::{self, Reply},
    shown,
    sign::{Signer, Signing},
};
use crate::{
    clock::Clock,
    manifest::spec::{HttpGate, HttpStep},
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
pub struct Client {
    http: reqwest::Client,
    /// None where nothing is asked that lets in only whom it knows.
    signing: Option<Arc<Signing>>,
}

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
        Ok(Self {
            http: client,
            signing: None,
        })
    }

    /// The same, with what goes to these addresses signed.
    #[must_use]
    pub fn signing<'a>(
        &self,
        addresses: impl Iterator<Item = &'a Url>,
        signer: Arc<dyn Signer>,
    ) -> Self {
        Self {
            http: self.http.clone(),
            signing: Some(Arc::new(Signing::new(addresses, signer))),
        }
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
        let mut request = self
            .http
            .request(method, url)
            .headers(self::headers(headers)?);
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        request.build().map_err(|error| no_answer(&error))
    }

    /// Signs it at the last moment, since a signature is good for minutes only. The error is for people.
    pub(super) async fn send(
        &self,
        mut request: reqwest::Request,
    ) -> Result<reqwest::Response, String> {
        if let Some(signing) = &self.signing {
            signing.sign(&mut request).await?;
        }
        let answer = self.http.execute(request).await;
        answer.map_err(|error| no_answer(&error))
    }
}

/// The address in the slot of the function that answers a method and a path; see [`address::of_request`].
pub type Route<'a> = dyn Fn(&str, &str) -> Result<Url, AddressError> + Send + Sync + 'a;

/// What is asked, and where.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub gate: &'a HttpGate,
    pub route: &'a Route<'a>,
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

/// Asks once: every request of the gate, each with its further tries, until one is not answered as wanted. Never fails: whatever goes wrong
/// is the measurement's outcome.
///
/// # Guarantees
///
/// Ends within the question's timeout. Reads at most 1 MiB of an answer, and keeps at most 64 KiB of it.
pub async fn measure(client: &Client, question: &Question<'_>, clock: &dyn Clock) -> Measurement {
    let started_at = clock.now();
    let (outcome, evidence) = run(client, question).await;
    Measurement {
        target: None,
        started_at,
        finished_at: clock.now(),
        outcome,
        evidence: Evidence::Http(evidence),
    }
}

async fn run(client: &Client, question: &Question<'_>) -> (Outcome, HttpEvidence) {
    let end = Instant::now() + question.timeout;
    let HttpGate { first, then } = question.gate;
    let mut captured = Captured::default();
    let (mut outcome, mut evidence) = ask(client, first, question, &mut captured, end).await;
    let mut asked = first;
    for step in then {
        if outcome != Outcome::Successful {
            break;
        }
        let (next, mut after) = ask(client, step, question, &mut captured, end).await;
        after.earlier = std::mem::take(&mut evidence.earlier);
        after.earlier.push(evidence);
        (outcome, evidence, asked) = (next, after, step);
    }
    if !then.is_empty() {
        outcome = placed(outcome, asked, evidence.earlier.len() + 1);
    }
    captured.hide_secrets(&mut evidence);
    (outcome, evidence)
}

/// Says which request of a chain it was.
fn placed(outcome: Outcome, step: &HttpStep, number: usize) -> Outcome {
    let place = |why: String| match &step.name {
        Some(name) => format!("request {number} ({name}): {why}"),
        None => format!("request {number}: {why}"),
    };
    match outcome {
        Outcome::Successful => Outcome::Successful,
        Outcome::Failed { why } => Outcome::Failed { why: place(why) },
        Outcome::Error { why } => Outcome::Error { why: place(why) },
        Outcome::Inconclusive { why } => Outcome::Inconclusive { why: place(why) },
    }
}

async fn ask(
    client: &Client,
    step: &HttpStep,
    question: &Question<'_>,
    captured: &mut Captured,
    end: Instant,
) -> (Outcome, HttpEvidence) {
    let mut evidence = HttpEvidence {
        name: step.name.clone(),
        request: shown_request(step, &step.path),
        answer: None,
        checks: Vec::new(),
        tries: 0,
        captured: BTreeMap::new(),
        earlier: Vec::new(),
    };
    let built = captured.fill(step).and_then(|step| {
        let address = (question.route)(&step.method, &step.path);
        let address = address.map_err(|error| error.to_string())?;
        let sent = (step.method.as_str(), step.path.as_str());
        let request = client.build(sent, &step.headers, step.body.as_deref(), &address)?;
        Ok((step, request))
    });
    let (step, request) = match built {
        Ok(built) => built,
        Err(why) => return (Outcome::Error { why }, evidence),
    };
    evidence.request = shown_request(&step, &shown::shown_url(request.url()));
    let mut wait = RETRY_WAIT;
    loop {
        evidence.tries += 1;
        let Try {
            outcome,
            reply,
            is_early,
        } = attempt(client, &request, &step, question, end).await;
        if let Some(reply) = reply {
            evidence.captured = chain::shown(&reply.captured);
            evidence.answer = Some(reply.answer);
            evidence.checks = reply.checks;
            captured.add(reply.captured);
        }
        let is_last = evidence.tries > step.retries || Instant::now() + wait >= end;
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
    step: &HttpStep,
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
    let response = match tokio::time::timeout_at(end, client.send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(why)) => return error(why),
        Err(_) => return error(format!("no answer within {:?}", question.timeout)),
    };
    let reply = reply::read(response, started, end).await;
    judge(reply.check(step), step, question.release)
}

/// Sorts an answer: whose it is comes before what is in it.
fn judge(reply: Reply, step: &HttpStep, release: Option<ReleaseDigest>) -> Try {
    let status = reply.answer.status;
    let (outcome, is_early) = if let Some(why) = somebody_else(&reply, release) {
        (Outcome::Error { why }, true)
    } else if reply.checks.iter().all(|check| check.passed) {
        (Outcome::Successful, false)
    } else if reply.release.is_none() && matches!(status, 502..=504) && Some(status) != step.status
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

fn shown_request(step: &HttpStep, url: &str) -> HttpRequest {
    let headers = step.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
    HttpRequest {
        method: step.method.clone(),
        url: url.to_owned(),
        headers: shown::shown_headers(headers),
        body: step.body.as_deref().map(shown::shown_body),
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
