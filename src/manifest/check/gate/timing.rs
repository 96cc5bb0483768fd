//! What a gate's kind says about how it is measured.

use std::time::Duration;

use super::super::super::{
    gates::MetricGate,
    raw::{GateSpec, Report},
    spec::{GateKind, GateStage, Measure},
};

/// A load may wait for another one to make room.
const ROOM: Duration = Duration::from_secs(60);

/// The measure with the time that the kind needs; a time that was written and is too short is told.
pub(in crate::manifest::check) fn fit(
    measure: Measure,
    kind: &GateKind,
    spec: &GateSpec,
    report: &mut Report,
) -> Measure {
    check_stage(kind, spec, report);
    let GateKind::Load(load) = kind else {
        return measure;
    };
    let needed = load.ramp + load.duration + load.answer_within;
    match &spec.timeout {
        None => Measure {
            timeout: needed + ROOM,
            ..measure
        },
        Some(timeout) => {
            if timeout.value.0 < needed {
                let message = format!("the load takes up to {needed:?}");
                report.fault(&timeout.place, message, "leave `timeout` out");
            }
            measure
        }
    }
}

/// After the promotion there is no other blue to compare with.
fn check_stage(kind: &GateKind, spec: &GateSpec, report: &mut Report) {
    let Some(after) = &spec.after else {
        return;
    };
    let wants_blue = match kind {
        GateKind::Parity(parity) => parity.against.wants_blue(),
        GateKind::Metric(MetricGate { baseline, .. }) => baseline.is_some(),
        GateKind::Http(_) | GateKind::Command(_) | GateKind::Approval(_) | GateKind::Load(_) => {
            false
        }
    };
    if wants_blue && matches!(after.value, GateStage::Promotion) {
        let message = "after the promotion there is no other blue to compare with";
        report.fault(&after.place, message, "leave `after` out");
    }
}
