//! Services that stand around Lambda: one file and one type for each, one function for each operation that is used.

pub(super) mod buckets;
pub(super) mod events;
pub(super) mod log_groups;
pub(super) mod monitoring;
pub(super) mod newest;
pub(super) mod roles;
pub(super) mod topics;
pub(super) mod trail;
