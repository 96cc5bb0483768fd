//! Gates: exactly one kind, and measures that can be met.

use std::collections::BTreeMap;

use super::{
    super::{
        raw::{
            ApprovalText, At, CommandText, ExpectText, GateDocument, GateSpec, HttpText, Report,
        },
        spec::{ApprovalGate, CommandGate, Gate, GateKind, HttpGate},
        yaml::Place,
    },
    filled,
    load::{self, borrow_requests},
    measure::measure,
    metric::metric,
    parity::parity,
    request::{headers_of, pointers, request_path, response_status, within},
    timing, value,
};
use crate::name::GateName;

/// A gate of a service, before references are followed.
#[derive(Clone, Debug)]
pub(in crate::manifest) enum GateDraft {
    Own(Box<Gate>),
    Shared(At<GateName>),
}

impl GateDraft {
    /// In status and history.
    pub(super) fn name(&self) -> &GateName {
        match self {
            Self::Own(gate) => &gate.name,
            Self::Shared(reference) => &reference.value,
        }
    }
}

/// More would hold a rollout for good.
pub(super) const COUNT_MAX: u32 = 10_000;
const RETRIES_MAX: u32 = 100;

/// The gate of a `Gate` document.
pub(in crate::manifest) fn shared_gate(
    document: &GateDocument,
    report: &mut Report,
) -> Option<Gate> {
    let name = value(&document.metadata.as_ref()?.value.name);
    let spec = document.spec.as_ref()?;
    let help = "`metadata.name` is its name";
    if let Some(extra) = &spec.value.name {
        report.fault(&extra.place.key(), "a shared gate has no second name", help);
    }
    if let Some(extra) = &spec.value.gate {
        let help = "write its kind here: http, load, parity, metric, command or approval";
        report.fault(
            &extra.place.key(),
            "a shared gate cannot name another",
            help,
        );
        return None;
    }
    let kind = kind(spec, report);
    let measure = measure(spec, report);
    if let Some(GateKind::Load(load)) = &kind
        && load.requests.is_empty()
    {
        let help = "add `path`: a shared gate cannot take what other gates ask";
        report.fault(&spec.place, load::NO_PATH, help);
    }
    Some(Gate {
        name: name?,
        after: value(&spec.value.after).unwrap_or_default(),
        measure: timing::fit(measure?, kind.as_ref()?, &spec.value, report),
        kind: kind?,
    })
}

/// The gates of a service, each with a name of its own.
pub(super) fn gates(specs: &[At<GateSpec>], report: &mut Report) -> Option<Vec<GateDraft>> {
    let mut taken = BTreeMap::new();
    for spec in specs {
        let named = spec.value.name.as_ref().or(spec.value.gate.as_ref());
        let Some(name) = named else { continue };
        if taken.insert(name.value.clone(), ()).is_some() {
            let message = format!("two gates of this service are called `{}`", name.value);
            report.fault(&name.place, message, "give one another `name`");
        }
    }
    let mut drafts = Vec::new();
    for spec in specs {
        let place = spec.place.clone();
        drafts.push((draft(spec, &mut taken, report), At { value: (), place }));
    }
    borrow_requests(&mut drafts, report);
    drafts.into_iter().map(|(draft, _)| draft).collect()
}

fn draft(
    spec: &At<GateSpec>,
    taken: &mut BTreeMap<GateName, ()>,
    report: &mut Report,
) -> Option<GateDraft> {
    if let Some(reference) = &spec.value.gate {
        return reference_only(spec, reference, report);
    }
    let kind = kind(spec, report);
    let measure = measure(spec, report);
    let (kind, measure) = (kind?, measure?);
    let measure = timing::fit(measure, &kind, &spec.value, report);
    let name = match &spec.value.name {
        Some(name) => name.value.clone(),
        None => free_name(kind.word(), taken)?,
    };
    let after = value(&spec.value.after).unwrap_or_default();
    Some(GateDraft::Own(Box::new(Gate {
        name,
        kind,
        after,
        measure,
    })))
}

/// `http`, then `http-2`, and so on.
fn free_name(word: &str, taken: &mut BTreeMap<GateName, ()>) -> Option<GateName> {
    let numbered = (2..).map(|number| format!("{word}-{number}"));
    let names = std::iter::once(word.to_owned()).chain(numbered);
    let mut free = names.filter_map(|name| GateName::new(name).ok());
    let name = free.find(|name| !taken.contains_key(name))?;
    taken.insert(name.clone(), ());
    Some(name)
}

/// A reference stands alone: what it does is written in the `Gate` document, once.
fn reference_only(
    spec: &At<GateSpec>,
    reference: &At<GateName>,
    report: &mut Report,
) -> Option<GateDraft> {
    for place in other_keys(&spec.value) {
        let help = "write it into the `Gate` document";
        report.fault(&place.key(), "a reference to a gate cannot change it", help);
    }
    Some(GateDraft::Shared(reference.clone()))
}

/// Every key but `gate`.
fn other_keys(spec: &GateSpec) -> Vec<Place> {
    let GateSpec {
        http,
        command,
        approval,
        load,
        parity,
        metric,
        gate: _,
        name,
        after,
        count,
        interval,
        initial_delay,
        timeout,
        failure_limit,
        error_limit,
        inconclusive_limit,
        success_limit,
        dry_run,
    } = spec;
    let places = [
        place(http),
        place(command),
        place(approval),
        place(load),
        place(parity),
        place(metric),
        place(name),
        place(after),
        place(count),
        place(interval),
        place(initial_delay),
        place(timeout),
        place(failure_limit),
        place(error_limit),
        place(inconclusive_limit),
        place(success_limit),
        place(dry_run),
    ];
    places.into_iter().flatten().collect()
}

fn place<T>(field: &Option<At<T>>) -> Option<Place> {
    field.as_ref().map(|at| at.place.clone())
}

fn kind(spec: &At<GateSpec>, report: &mut Report) -> Option<GateKind> {
    let text = &spec.value;
    let written: Vec<Place> = [
        place(&text.http),
        place(&text.command),
        place(&text.approval),
        place(&text.load),
        place(&text.parity),
        place(&text.metric),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let [_, second, ..] = &written[..] {
        report.fault(
            &second.key(),
            "a gate has one kind only",
            "make it a gate of its own",
        );
    }
    // What could not be read, an unknown kind for one, is told already.
    if written.is_empty() && !report.has_fault_below(&spec.place) {
        let help = "add one of: http, load, parity, metric, command, approval, gate";
        report.fault(&spec.place, "this gate has no kind", help);
    }
    let by_http = text.http.as_ref();
    let http = by_http.and_then(|text| http(&text.value, report));
    let command = text.command.as_ref();
    let command = command.and_then(|text| self::command(text, report));
    let by_people = text.approval.as_ref();
    let approval = by_people.and_then(|text| approval(&text.value, report));
    let load = text.load.as_ref();
    let load = load.and_then(|text| load::load(text, report));
    let parity = text.parity.as_ref();
    let parity = parity.and_then(|text| self::parity(&text.value, report));
    let metric = text.metric.as_ref();
    let metric = metric.and_then(|text| self::metric(text, report));
    http.map(GateKind::Http)
        .or(command.map(GateKind::Command))
        .or(approval.map(GateKind::Approval))
        .or(load.map(GateKind::Load))
        .or(parity.map(GateKind::Parity))
        .or(metric.map(GateKind::Metric))
}

pub(super) fn at_least_one(count: &Option<At<u32>>, report: &mut Report) -> Option<u32> {
    let Some(count) = count else { return Some(1) };
    if (1..=COUNT_MAX).contains(&count.value) {
        return Some(count.value);
    }
    report.fault(
        &count.place,
        format!("must be between 1 and {COUNT_MAX}"),
        "",
    );
    None
}

fn http(text: &HttpText, report: &mut Report) -> Option<HttpGate> {
    let HttpText {
        path,
        method,
        headers,
        body,
        status,
        expect,
        latency,
        retries,
    } = text;
    let path = path.as_ref().and_then(|path| request_path(path, report));
    let status = match status {
        None => Some(200),
        Some(status) => response_status(status, report),
    };
    let retries = retries
        .as_ref()
        .map_or(Some(0), |at| within(at, RETRIES_MAX, report));
    let headers = headers_of(headers, report);
    let expect = expect.as_ref().map(|at| &at.value);
    let expect_headers = match expect {
        Some(ExpectText { headers, json: _ }) => headers_of(headers, report),
        None => BTreeMap::new(),
    };
    let expect_json = expect.and_then(|expect| expect.json.as_ref());
    let expect_json = expect_json.map(|json| pointers(&json.value, report));
    Some(HttpGate {
        method: value(method).map_or_else(|| "GET".to_owned(), |word| word.0),
        path: path?,
        headers,
        body: value(body),
        status: status?,
        expect_headers,
        expect_json: expect_json.unwrap_or_default(),
        latency: value(latency).map(|length| length.0),
        retries: retries?,
    })
}

fn command(text: &At<CommandText>, report: &mut Report) -> Option<CommandGate> {
    let run = match &text.value {
        CommandText::Short(run) => At {
            value: run.clone(),
            place: text.place.clone(),
        },
        CommandText::Long(long) => long.run.clone()?,
    };
    filled(&run, report).map(|run| CommandGate { run })
}

fn approval(text: &ApprovalText, report: &mut Report) -> Option<ApprovalGate> {
    let ApprovalText { by, quorum } = text;
    let names = by.as_ref().map_or(&[][..], |by| &by.value);
    let by: Vec<Option<String>> = names.iter().map(|name| filled(name, report)).collect();
    let needed = at_least_one(quorum, report)?;
    if let Some(quorum) = quorum.as_ref().filter(|_| !by.is_empty())
        && usize::try_from(needed).is_ok_and(|needed| needed > by.len())
    {
        let message = format!("{needed} must approve, but `by` names {}", by.len());
        report.fault(&quorum.place, message, "");
    }
    Some(ApprovalGate {
        by: by.into_iter().collect::<Option<_>>()?,
        quorum: needed,
    })
}
