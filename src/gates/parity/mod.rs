//! Sends the same recorded requests to several slots and compares their answers: both greens, or green and the blue beside it.
//!
//! Nothing is compared but answers of the release that each side is known to hold. Where there is no other side, a first release has no
//! blue for one, the evidence says so and nothing failed.

pub mod compare;
pub mod requests;

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use tokio::time::Instant;

use self::{
    compare::{Answer, Comparison, Found},
    requests::Recorded,
};
use super::{address, http::Client, reply, shown};
use crate::{
    clock::Clock,
    desired::ReleaseContent,
    manifest::gates::ParityGate,
    name::{CloudName, ReleaseDigest, Slot},
    observed::{Addresses, Holding},
    rollout::{
        evidence::{Evidence, Measurement, Outcome},
        figures::{Difference, Pair, ParityEvidence, Side},
    },
};

/// Longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Tries of a safe request that found another release or nobody: a slot can serve what it held before for a while.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Differences that are kept.
const DIFFERENCES_KEPT: usize = 20;

/// What is asked, and where.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub gate: &'a ParityGate,
    /// The `.http` file.
    pub file: &'a str,
    pub content: &'a ReleaseContent,
    /// The release under test.
    pub release: ReleaseDigest,
    /// The slot that holds it.
    pub slot: Slot,
    /// Its addresses on each target.
    pub slots: &'a BTreeMap<CloudName, Addresses>,
    /// What users are served meanwhile, on each target where there is something.
    pub blue: &'a BTreeMap<CloudName, Holding>,
    pub timeout: Duration,
}

/// One slot that is asked.
struct Asked<'a> {
    name: String,
    release: String,
    addresses: &'a Addresses,
}

/// Who is asked, who is compared with whom, and why not.
#[derive(Default)]
struct Sides<'a> {
    asked: Vec<Asked<'a>>,
    pairs: Vec<(usize, usize)>,
    notes: Vec<String>,
}

/// Compares once. Never fails: whatever goes wrong is the measurement's outcome.
///
/// # Guarantees
///
/// Ends within the question's timeout. Sends only safe requests, unless the gate allows others, and those only once to each side.
pub async fn measure(client: &Client, question: &Question<'_>, clock: &dyn Clock) -> Measurement {
    let started_at = clock.now();
    let mut evidence = ParityEvidence {
        file: question.gate.requests.to_string(),
        requests: 0,
        pairs: Vec::new(),
        notes: Vec::new(),
        differences: Vec::new(),
        difference_count: 0,
    };
    let compared = compare_all(client, question, &mut evidence);
    let outcome = match tokio::time::timeout(question.timeout, compared).await {
        Ok(Ok(())) => judge(&evidence),
        Ok(Err(why)) => Outcome::Error { why },
        Err(_) => Outcome::Error {
            why: format!("did not end within {:?}", question.timeout),
        },
    };
    Measurement {
        target: None,
        started_at,
        finished_at: clock.now(),
        outcome,
        evidence: Evidence::Parity(evidence),
    }
}

/// The error says why there was nothing to compare.
async fn compare_all(
    client: &Client,
    question: &Question<'_>,
    evidence: &mut ParityEvidence,
) -> Result<(), String> {
    let file = &question.gate.requests;
    let read = requests::read(question.file, question.gate.allow_unsafe);
    let recorded = read.map_err(|error| format!("`{file}`, {error}"))?;
    evidence.requests = u32::try_from(recorded.len()).unwrap_or(u32::MAX);
    let comparison = Comparison::new(&question.gate.normal)?;
    let sides = sides(question);
    evidence.notes.clone_from(&sides.notes);
    evidence.pairs = sides.pairs.iter().map(|pair| told(&sides, *pair)).collect();
    if sides.pairs.is_empty() {
        return Ok(());
    }
    for request in &recorded {
        let asked = sides
            .asked
            .iter()
            .map(|side| ask(client, question, request, side));
        let answers: Result<Vec<Answer>, String> = join_all(asked).await.into_iter().collect();
        let answers = answers?;
        for (index, (one, other)) in sides.pairs.iter().enumerate() {
            let found = comparison.differences(&answers[*one], &answers[*other]);
            note(evidence, index, request, found);
        }
    }
    Ok(())
}

fn told(sides: &Sides<'_>, (one, other): (usize, usize)) -> Pair {
    Pair {
        one: sides.asked[one].name.clone(),
        other: sides.asked[other].name.clone(),
        compared: 0,
        different: 0,
    }
}

fn note(evidence: &mut ParityEvidence, pair: usize, request: &Recorded, found: Vec<Found>) {
    let Pair {
        one: one_name,
        other: other_name,
        compared,
        different,
    } = &mut evidence.pairs[pair];
    *compared += 1;
    *different += u32::from(!found.is_empty());
    evidence.difference_count += u32::try_from(found.len()).unwrap_or(u32::MAX);
    let side = |name: &String, value: String| Side {
        name: name.clone(),
        value,
    };
    for Found { what, one, other } in found {
        if evidence.differences.len() < DIFFERENCES_KEPT {
            evidence.differences.push(Difference {
                request: label(request),
                what,
                one: side(one_name, one),
                other: side(other_name, other),
            });
        }
    }
}

/// `GET /stock/42 (line 3)`
fn label(request: &Recorded) -> String {
    let path = shown::shown_path(&request.path);
    format!("{} {path} (line {})", request.method, request.line)
}

/// All greens in a row, each with the first; then each green with the blue of its own cloud.
fn sides<'a>(question: &Question<'a>) -> Sides<'a> {
    let mut sides = Sides::default();
    let against = question.gate.against;
    let slot = question.slot;
    for (cloud, addresses) in question.slots {
        sides.asked.push(Asked {
            name: format!("{cloud} {slot}"),
            release: question.release.to_string(),
            addresses,
        });
    }
    let greens = sides.asked.len();
    if against.wants_clouds() {
        sides.pairs.extend((1..greens).map(|other| (0, other)));
    }
    if against.wants_clouds() && greens < 2 {
        let note = "it runs on one cloud only: there is no other to compare with";
        sides.notes.push(note.to_owned());
    }
    if against.wants_blue() {
        for (index, cloud) in question.slots.keys().enumerate() {
            match question.blue.get(cloud) {
                None => sides.notes.push(format!(
                    "{cloud}: nothing is on blue yet, so there is nothing to compare with"
                )),
                Some(held) if held.release == question.release => sides.notes.push(format!(
                    "{cloud}: blue holds this release already, so there is nothing to compare with"
                )),
                Some(held) => {
                    sides.pairs.push((index, sides.asked.len()));
                    sides.asked.push(Asked {
                        name: format!("{cloud} {}", Slot::Blue),
                        release: held.release.to_string(),
                        addresses: &held.addresses,
                    });
                }
            }
        }
    }
    sides
}

/// The answer of one side, by the release that it holds.
async fn ask(
    client: &Client,
    question: &Question<'_>,
    recorded: &Recorded,
    side: &Asked<'_>,
) -> Result<Answer, String> {
    let Recorded {
        line: _,
        method,
        path,
        headers,
        body,
    } = recorded;
    let told = |why: String| format!("{}: {}: {why}", label(recorded), side.name);
    let base = address::of_request(method, path, question.content, side.addresses);
    let base = base.map_err(|error| told(error.to_string()))?;
    let sent = (method.as_str(), path.as_str());
    let tries = if recorded.is_safe() { TRIES } else { 1 };
    let mut why = String::new();
    for attempt in 0..tries {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let request = client.build(sent, headers, body.as_deref(), base);
        let request = request.map_err(told)?;
        match once(client, request, &side.release).await {
            Ok(answer) => return Ok(answer),
            Err(cause) => why = cause,
        }
    }
    Err(told(why))
}

async fn once(client: &Client, request: reqwest::Request, release: &str) -> Result<Answer, String> {
    let started = Instant::now();
    let end = started + ANSWER_WITHIN;
    let response = match tokio::time::timeout_at(end, client.send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(why)) => return Err(why),
        Err(_) => return Err(format!("no answer within {ANSWER_WITHIN:?}")),
    };
    let reply = reply::read(response, started, end).await;
    let status = reply.answer.status;
    match reply.release.as_deref() {
        Some(told) if told == release => reply.into_compared(),
        Some("") | None => Err(format!(
            "the platform answered {status} in place of the release"
        )),
        Some(told) => Err(format!(
            "it answers as release {told}, and not as {release}"
        )),
    }
}

fn judge(evidence: &ParityEvidence) -> Outcome {
    let different: u32 = evidence.pairs.iter().map(|pair| pair.different).sum();
    let Some(first) = evidence.differences.first() else {
        return Outcome::Successful;
    };
    let compared: u32 = evidence.pairs.iter().map(|pair| pair.compared).sum();
    let Difference {
        request,
        what,
        one,
        other,
    } = first;
    let why = format!(
        "{different} of {compared} comparisons differ; {request}: {what}: {} {}, {} {}",
        one.name, one.value, other.name, other.value
    );
    Outcome::Failed { why }
}
