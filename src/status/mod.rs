//! What we tell people: conditions, reasons, history; one report for API, CLI and dashboard.
//!
//! Every sentence here is made from typed reasons. Nothing is decided: who reads a report may trust it and need not obey it.

pub mod condition;
pub mod record;
pub mod row;
mod schema;
pub mod service;
pub mod source;
pub mod why;

pub use self::service::{ServiceReport, report};

/// The version that every document carries.
pub const API_VERSION: &str = "verdigris.dev/v1alpha1";
