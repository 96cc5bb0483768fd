//! The functions host: unpacks packages and runs them under the custom-handler contract, or under the vendor's own worker of a language.

pub(super) mod app;
pub(super) mod forward;
pub(super) mod language;
pub(super) mod package;
pub(super) mod route;
pub(super) mod worker;
pub(super) mod wrap;
