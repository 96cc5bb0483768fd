//! `load` gates: requests that can be sent, at a rate that can be held.

use std::time::Duration;

use super::super::{
    super::{
        gates::{LoadGate, LoadRequest, Share},
        raw::{At, Length, LoadText, Report},
        spec::{GateKind, HttpStep},
        template::names,
    },
    value,
};
use super::{
    GateDraft,
    request::{headers_of, request_path, response_status},
};

/// What an ordinary function answers within, cold start included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN_MAX: Duration = Duration::from_secs(300);

/// Enough for 640 requests a second that take 100 ms each, and few enough for any account's limit of concurrent runs.
const IN_FLIGHT: u32 = 64;
const IN_FLIGHT_MAX: u32 = 1000;

/// Longest that a gate may keep the target busy.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// A day at two a second, or a minute and a half at the highest rate; more would say nothing more.
const COUNT_MAX: u64 = 200_000;
const PATHS_MAX: usize = 100;

/// A `load`, which may still lack its requests: those of the service's `http` gates are filled in by [`borrow_requests`].
/// Unsaid, `errors` is none at all, unless a condition speaks of them.
pub(in crate::manifest::check) fn load(
    text: &At<LoadText>,
    is_judged: bool,
    report: &mut Report,
) -> Option<LoadGate> {
    let LoadText {
        path,
        paths,
        method,
        headers,
        body,
        rate,
        duration,
        ramp,
        timeout,
        status,
        p50,
        p95,
        p99,
        errors,
        max,
    } = &text.value;
    let length = |field: &Option<At<Length>>| value(field).map(|length| length.0);
    let written = all_paths(path, paths, report)?;
    let headers = headers_of(headers, report);
    let request = |path: String| LoadRequest {
        method: value(method).map_or_else(|| "GET".to_owned(), |word| word.0),
        path,
        headers: headers.clone(),
        body: value(body),
    };
    let status = match status {
        None => None,
        Some(status) => Some(response_status(status, report)?),
    };
    let gate = LoadGate {
        requests: written.into_iter().map(request).collect(),
        rate: value(rate)?,
        ramp: within(ramp, Duration::ZERO, LONGEST, report)?,
        duration: within(duration, Duration::ZERO, LONGEST, report)?,
        answer_within: within(timeout, ANSWER_WITHIN, ANSWER_WITHIN_MAX, report)?,
        status,
        p50: length(p50),
        p95: length(p95),
        p99: length(p99),
        errors: value(errors).or((!is_judged).then(Share::default)),
        max_in_flight: in_flight(max, report)?,
    };
    check_amount(&gate, text, report).then_some(gate)
}

/// All that stand in `path` and `paths`.
fn all_paths(
    path: &Option<At<String>>,
    paths: &Option<At<Vec<At<String>>>>,
    report: &mut Report,
) -> Option<Vec<String>> {
    let many = paths.as_ref().map_or(&[][..], |paths| &paths.value);
    if let Some(paths) = paths
        .as_ref()
        .filter(|_| many.is_empty() || many.len() > PATHS_MAX)
    {
        let message = format!("holds {} paths", many.len());
        report.fault(&paths.place, message, format!("1 to {PATHS_MAX}"));
    }
    let all = path.iter().chain(many);
    let checked: Vec<Option<String>> = all.map(|path| request_path(path, report)).collect();
    checked.into_iter().collect()
}

/// A duration that is neither nothing nor too long; zero only where that is what stands for it unsaid.
fn within(
    field: &Option<At<Length>>,
    unsaid: Duration,
    longest: Duration,
    report: &mut Report,
) -> Option<Duration> {
    let Some(Length(time)) = value(field) else {
        return Some(unsaid);
    };
    let place = &field.as_ref()?.place;
    if time.is_zero() {
        report.fault(place, "leaves no time", "such as `20s`");
        return None;
    }
    if time > longest {
        let message = format!("is longer than {longest:?}");
        report.fault(place, message, "");
        return None;
    }
    Some(time)
}

fn in_flight(max: &Option<At<u32>>, report: &mut Report) -> Option<u32> {
    let Some(max) = max else {
        return Some(IN_FLIGHT);
    };
    if (1..=IN_FLIGHT_MAX).contains(&max.value) {
        return Some(max.value);
    }
    let message = format!("must be between 1 and {IN_FLIGHT_MAX}");
    report.fault(&max.place, message, "");
    None
}

fn check_amount(gate: &LoadGate, text: &At<LoadText>, report: &mut Report) -> bool {
    let count = gate.count();
    if count > COUNT_MAX {
        let message = format!("asks {count} times, and {COUNT_MAX} are allowed");
        report.fault(&text.place.key(), message, "lower `rate` or `for`");
    }
    count <= COUNT_MAX
}

/// The requests of a load that names none: what the service's own `http` gates get, since those are known to be answered.
pub(in crate::manifest::check) fn borrow_requests(
    drafts: &mut [(Option<GateDraft>, At<()>)],
    report: &mut Report,
) {
    let mut known = Vec::new();
    for (draft, _) in drafts.iter() {
        if let Some(GateDraft::Own(gate)) = draft
            && let GateKind::Http(http) = &gate.kind
        {
            known.extend(http.steps().filter(|step| is_repeatable(step)).map(request));
        }
    }
    for (draft, at) in drafts {
        let Some(GateDraft::Own(gate)) = draft else {
            continue;
        };
        let GateKind::Load(load) = &mut gate.kind else {
            continue;
        };
        if load.requests.is_empty() && known.is_empty() {
            report.fault(&at.place, NO_PATH, "add `path`, such as `/stock/42`");
        } else if load.requests.is_empty() {
            load.requests.clone_from(&known);
        }
    }
}

/// A request that changes nothing and needs no answer before it.
fn is_repeatable(step: &HttpStep) -> bool {
    let asks = |text: &String| !names(text).is_empty();
    matches!(step.method.as_str(), "GET" | "HEAD")
        && !asks(&step.path)
        && !step.headers.values().any(asks)
}

fn request(step: &HttpStep) -> LoadRequest {
    LoadRequest {
        method: step.method.clone(),
        path: step.path.clone(),
        headers: step.headers.clone(),
        body: None,
    }
}

pub(in crate::manifest::check) const NO_PATH: &str =
    "this load has no path, and no `http` gate has one that it could take";
