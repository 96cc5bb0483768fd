//! How often a gate is asked, and what is forgiven: limits that can be met, and that let nothing pass which never succeeded.

use std::time::Duration;

use super::super::{
    super::{
        raw::{At, FailureLimit, GateSpec, Length, Report},
        spec::{GateKind, GateStage, Measure},
        yaml::Place,
    },
    value,
};
use super::COUNT_MAX;
use crate::condition::{BadCondition, Condition};

/// The measures of a gate; None, where they were told to be wrong.
pub(in crate::manifest::check) fn measure(
    spec: &At<GateSpec>,
    kind: &GateKind,
    report: &mut Report,
) -> Option<Measure> {
    let text = &spec.value;
    let default = Measure::default();
    let length = |field: &Option<At<Length>>, default: Duration| {
        field.as_ref().map_or(default, |at| at.value.0)
    };
    if let Some(timeout) = text.timeout.as_ref().filter(|at| at.value.0.is_zero()) {
        report.fault(
            &timeout.place,
            "leaves no time for an answer",
            "such as `30s`",
        );
    }
    let failure_limit = value(&text.failure_limit).map_or(default.failure_limit, |limit| limit.0);
    let measure = Measure {
        count: count(text, report)?,
        interval: length(&text.interval, default.interval),
        initial_delay: length(&text.initial_delay, default.initial_delay),
        timeout: length(&text.timeout, default.timeout),
        failure_limit,
        error_limit: value(&text.error_limit).unwrap_or(default.error_limit),
        inconclusive_limit: value(&text.inconclusive_limit).unwrap_or(default.inconclusive_limit),
        success_limit: success_limit(text),
        dry_run: value(&text.dry_run).unwrap_or(default.dry_run),
        success_condition: condition(&text.success_condition, kind, report),
        failure_condition: condition(&text.failure_condition, kind, report),
    };
    check_end(spec, &measure, report);
    check_limits(text, &measure, report);
    Some(measure)
}

/// A condition that knows only what this kind of gate finds.
fn condition(text: &Option<At<String>>, kind: &GateKind, report: &mut Report) -> Option<Condition> {
    let text = text.as_ref()?;
    if matches!(kind, GateKind::Approval(_)) {
        let help = "people say yes or no; nothing is found that could be judged";
        report.fault(&text.place.key(), "an approval has no condition", help);
        return None;
    }
    let condition = Condition(text.value.clone());
    if let Err(BadCondition { message, help }) = condition.check(&kind.shape()) {
        report.fault(&text.place, message, help);
    }
    Some(condition)
}

/// 0 switches it off, as in Argo Rollouts.
fn success_limit(text: &GateSpec) -> Option<u32> {
    value(&text.success_limit).filter(|limit| *limit > 0)
}

/// How many are made; the inner None stands for as many as there is time for.
#[expect(
    clippy::option_option,
    reason = "the outer one says that a fault was told"
)]
fn count(text: &GateSpec, report: &mut Report) -> Option<Option<u32>> {
    let is_watch = value(&text.after) == Some(GateStage::Promotion) && text.interval.is_some();
    match &text.count {
        None if is_watch || success_limit(text).is_some() => Some(None),
        None => Some(Some(1)),
        Some(count) if count.value == 0 => Some(None),
        Some(count) if count.value <= COUNT_MAX => Some(Some(count.value)),
        Some(count) => {
            let message = format!("must be at most {COUNT_MAX}");
            report.fault(&count.place, message, "0 goes on until the bake ends");
            None
        }
    }
}

/// What nothing ends must be ended by the bake.
fn check_end(spec: &At<GateSpec>, measure: &Measure, report: &mut Report) {
    let text = &spec.value;
    let is_before = value(&text.after).unwrap_or_default() == GateStage::Staging;
    if let Some(count) = text
        .count
        .as_ref()
        .filter(|_| is_before && measure.is_endless())
    {
        let help = "write a `count`, a `successLimit`, or `after: promotion`";
        report.fault(&count.place, "would ask green without end", help);
    }
    let limit = text.failure_limit.as_ref();
    if let Some(limit) = limit.filter(|at| at.value.0.is_none() && measure.success_limit.is_none())
    {
        let help = "write a `successLimit` that says how many successes in a row are enough";
        report.fault(&limit.place, "forgives every failure", help);
    }
}

/// A gate that can pass must have succeeded at least once.
fn check_limits(text: &GateSpec, measure: &Measure, report: &mut Report) {
    let Some(count) = measure.count else { return };
    if let (Some(limit), Some(at)) = (measure.success_limit, &text.success_limit) {
        if limit > count {
            let message = format!("{limit} successes in a row cannot be had from {count}");
            report.fault(
                &at.place,
                message,
                format!("`count` must be at least {limit}"),
            );
        }
        return;
    }
    let forgiven = measure
        .failure_limit
        .unwrap_or(0)
        .saturating_add(measure.inconclusive_limit);
    let Some(place) = limit_place(text).filter(|_| forgiven >= count) else {
        return;
    };
    let message =
        format!("forgives all of {count}, so the gate would pass though nothing succeeded");
    let help = format!("`count` must be at least {}", forgiven.saturating_add(1));
    report.fault(&place, message, help);
}

fn limit_place(text: &GateSpec) -> Option<Place> {
    let forgives = |at: &&At<FailureLimit>| at.value.0 != Some(0);
    let failed = text.failure_limit.as_ref().filter(forgives);
    let failed = failed.map(|at| at.place.clone());
    failed.or_else(|| text.inconclusive_limit.as_ref().map(|at| at.place.clone()))
}
