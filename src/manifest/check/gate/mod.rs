//! Gates: exactly one kind, and measures that can be met.

pub(super) mod http;
pub(super) mod load;
pub(super) mod measure;
pub(super) mod metric;
pub(super) mod parity;
pub(super) mod request;
pub(super) mod shared;
pub(super) mod timing;

use std::collections::BTreeMap;

use self::{
    http::http, load::borrow_requests, measure::measure, metric::metric, parity::parity,
    shared::Use,
};
use super::{
    super::{
        raw::{ApprovalText, At, CommandText, GateDocument, GateSpec, Report},
        spec::{ApprovalGate, CommandGate, Gate, GateKind},
        yaml::Place,
    },
    filled, value,
};
use crate::{condition::Condition, name::GateName};

/// A gate of a service, before references are followed.
#[derive(Clone, Debug)]
pub(in crate::manifest) enum GateDraft {
    Own(Box<Gate>),
    Shared(Box<Use>),
}

impl GateDraft {
    /// In status and history.
    pub(super) fn name(&self) -> &GateName {
        match self {
            Self::Own(gate) => &gate.name,
            Self::Shared(reference) => reference.name.as_ref().unwrap_or(&reference.gate.value),
        }
    }
}

/// More would hold a rollout for good.
pub(super) const COUNT_MAX: u32 = 10_000;

/// The gate of a `Gate` document.
pub(super) fn shared_gate(document: &GateDocument, report: &mut Report) -> Option<Gate> {
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
    let measure = kind.as_ref().and_then(|kind| measure(spec, kind, report));
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
    if let Some(with) = &spec.value.with {
        let help = "name a `Gate` document under `gate`";
        report.fault(&with.place.key(), "only a shared gate has parameters", help);
    }
    let kind = kind(spec, report);
    let measure = kind.as_ref().and_then(|kind| measure(spec, kind, report));
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

/// A reference says which gate, by which name and with which values; what it does is written in the `Gate` document, once.
fn reference_only(
    spec: &At<GateSpec>,
    reference: &At<GateName>,
    report: &mut Report,
) -> Option<GateDraft> {
    for place in other_keys(&spec.value) {
        let help = "write it into the `Gate` document, as a parameter where it differs";
        report.fault(&place.key(), "a reference to a gate cannot change it", help);
    }
    let with = spec.value.with.iter().flat_map(|at| &at.value.0);
    Some(GateDraft::Shared(Box::new(Use {
        gate: reference.clone(),
        name: value(&spec.value.name),
        with: with.cloned().collect(),
    })))
}

/// Every key but `gate`, `name` and `with`.
fn other_keys(spec: &GateSpec) -> Vec<Place> {
    let GateSpec {
        http,
        command,
        approval,
        load,
        parity,
        metric,
        gate: _,
        with: _,
        name: _,
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
        success_condition,
        failure_condition,
    } = spec;
    let places = [
        place(http),
        place(command),
        place(approval),
        place(load),
        place(parity),
        place(metric),
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
        place(success_condition),
        place(failure_condition),
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
    let is_judged = speaks_of(text, &["status"]);
    let http = by_http.and_then(|text| http(text, is_judged, report));
    let command = text.command.as_ref();
    let command = command.and_then(|text| self::command(text, report));
    let by_people = text.approval.as_ref();
    let approval = by_people.and_then(|text| approval(&text.value, report));
    let load = text.load.as_ref();
    let is_judged = speaks_of(text, &["errors", "errorCount"]);
    let load = load.and_then(|text| load::load(text, is_judged, report));
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

/// Whether a condition is about any of these: what it says then stands in place of what the gate asks by itself.
fn speaks_of(text: &GateSpec, variables: &[&str]) -> bool {
    let conditions = text.success_condition.iter().chain(&text.failure_condition);
    conditions.into_iter().any(|at| {
        let condition = Condition(at.value.clone());
        variables.iter().any(|it| condition.speaks_of(it))
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
    filled(&run, report).map(|run| CommandGate {
        run,
        env: BTreeMap::new(),
    })
}

fn approval(text: &ApprovalText, report: &mut Report) -> Option<ApprovalGate> {
    let ApprovalText {
        by,
        roles,
        quorum,
        expires,
    } = text;
    let by_all = names(by, report);
    let roles = names(roles, report);
    let needed = at_least_one(quorum, report)?;
    let count = by.as_ref().map_or(0, |by| by.value.len());
    if let Some(quorum) = quorum.as_ref().filter(|_| count > 0)
        && roles.as_ref().is_none_or(Vec::is_empty)
        && usize::try_from(needed).is_ok_and(|needed| needed > count)
    {
        let message = format!("{needed} must approve, but `by` names {count}");
        report.fault(&quorum.place, message, "");
    }
    if let Some(expires) = expires.as_ref().filter(|at| at.value.0.is_zero()) {
        report.fault(&expires.place, "leaves nobody any time", "such as `24h`");
    }
    Some(ApprovalGate {
        by: by_all?,
        roles: roles?,
        quorum: needed,
        expires: value(expires).map(|length| length.0),
    })
}

fn names(names: &Option<At<Vec<At<String>>>>, report: &mut Report) -> Option<Vec<String>> {
    let names = names.as_ref().map_or(&[][..], |names| &names.value);
    let filled: Vec<Option<String>> = names.iter().map(|name| filled(name, report)).collect();
    filled.into_iter().collect()
}
