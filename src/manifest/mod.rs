//! What users write: raw format, checked spec, faults.
//!
//! Parsing has two steps. `raw` is as close to the text as it can be and still know where everything stands; `check` turns it into the
//! types of `spec` and `gates`, which cannot be wrong, or into faults that name file, line, column, field and what to write instead. Later code
//! never checks again. `set` puts the files of one commit together.

pub mod aws;
pub mod azure;
mod check;
pub mod differences;
pub mod fault;
pub mod gates;
mod raw;
pub mod schema;
pub mod set;
pub mod spec;
pub mod strategy;
pub mod template;
mod window;
mod yaml;

/// Reads a duration as manifests write it: `300ms`, `30s`, `10m`, `1h30m`.
///
/// # Errors
///
/// Says what is wrong and what to write instead.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    raw::plain_duration(text)
}

/// Writes a duration as manifests write it.
pub fn duration_text(length: std::time::Duration) -> String {
    window::length_text(length)
}
