//! Records into checked types. Looks at one document only; what needs others is checked where they come together, in `set`.

mod aws;
mod environment;
mod function;
mod gate;
pub(super) mod limits;
mod load;
mod measure;
mod metric;
pub(crate) mod parity;
mod request;
mod service;
mod strategy;
mod timing;

pub(super) use self::{
    environment::environment,
    gate::{GateDraft, shared_gate},
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
