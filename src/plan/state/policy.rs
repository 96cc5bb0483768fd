//! What whoever runs the daemon decides about planning.

use std::time::Duration;

/// Limits and intervals of planning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// How old live state may grow before it is looked at again.
    pub resync: Duration,
    /// Tries of an order before its rollout gives up; waits that the cloud asked for do not count.
    pub attempts_max: u32,
    /// Whether services that Git no longer names are deleted.
    pub prune: bool,
    /// Share of an environment's services that may be deleted at once, in percent; above it a person must look.
    pub prune_share: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(60),
            attempts_max: 4,
            prune: true,
            prune_share: 50,
        }
    }
}
