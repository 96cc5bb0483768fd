//! What users write: raw format, checked spec, faults.
//!
//! Parsing has two steps. `raw` is as close to the text as serde allows; `check` turns it into the types of `spec`, which cannot be
//! wrong, or into faults that name file, line, column, field and what to write instead. Later code never checks again.

pub mod spec;
