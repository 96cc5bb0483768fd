//! What users write: raw format, checked spec, faults.
