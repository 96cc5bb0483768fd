//! What is asked beside the loop; no rollout waits for it.

pub(super) mod culprit;
pub(super) mod explain;
pub(super) mod strays;
