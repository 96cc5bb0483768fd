//! What an account grants: its roles, its quotas, and what its refusals mean.

pub(super) mod assumed;
pub(super) mod errors;
pub(super) mod limits;
pub(super) mod ways_out;
