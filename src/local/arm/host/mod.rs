//! The functions host: unpacks packages and runs them under the custom-handler contract.

pub(super) mod app;
pub(super) mod forward;
pub(super) mod package;
pub(super) mod route;
pub(super) mod worker;
pub(super) mod wrap;
