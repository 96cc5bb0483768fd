//! Records into checked types. Looks at one document only; what needs others is checked where they come together, in `set`.

mod aws;
mod azure;
mod environment;
mod function;
mod gate;
pub(super) mod limits;
mod service;
mod strategy;
mod window;

use std::ops::RangeInclusive;

pub(super) use self::{
    aws::{is_action, is_arn, is_resource},
    azure::{is_address_range, is_setting, plan},
    environment::environment,
    gate::{
        GateDraft,
        shared::{BadUse, SharedGate, Use, shared},
    },
    service::{ServiceDraft, service},
};
use super::raw::{At, Report};

/// The value of a field, without its place.
fn value<T: Clone>(field: &Option<At<T>>) -> Option<T> {
    field.as_ref().map(|at| at.value.clone())
}

/// A text that must not be empty.
fn filled(text: &At<String>, report: &mut Report) -> Option<String> {
    if text.value.trim().is_empty() {
        report.fault(
            &text.place,
            "is empty",
            "give it a value, or remove the key",
        );
        return None;
    }
    Some(text.value.clone())
}

/// A number within the bounds of a cloud's service.
fn bounded(
    written: &Option<At<u32>>,
    bounds: RangeInclusive<u32>,
    service: &str,
    report: &mut Report,
) -> Option<u32> {
    let written = written.as_ref()?;
    if bounds.contains(&written.value) {
        return Some(written.value);
    }
    let message = format!("is not from {} to {}", bounds.start(), bounds.end());
    let help = format!("{service} allows no other number");
    report.fault(&written.place, message, &help);
    None
}
