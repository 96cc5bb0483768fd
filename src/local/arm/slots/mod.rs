//! What happens to a slot's code: it is deployed, swapped, and called.

pub(super) mod deployment;
pub(super) mod flex;
pub(super) mod front;
pub(super) mod kudu;
mod made;
pub(super) mod rules;
pub(super) mod swap;
