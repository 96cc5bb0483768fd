//! A release on its way to `green`: its package, its published versions, and what becomes of each change.

pub(super) mod outcome;
pub(super) mod package;
pub(super) mod publish;
pub(super) mod stage;
