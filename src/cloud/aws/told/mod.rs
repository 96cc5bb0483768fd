//! What the account tells of functions that run: who wrote to them, their logs and numbers, and an answer to one call.

pub(super) mod deeds;
pub(super) mod metrics;
pub(super) mod talk;
