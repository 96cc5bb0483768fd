//! Who looks around lets those go before who have something to do.
//!
//! Turns at calling a cloud are given to who comes first, and a rollout would wait behind thousands of looks. So few of them stand in
//! that line at a time; the others wait here.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::line::in_line;

/// Who looks at a service or function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Looker {
    /// Something was staged or written, or is about to be.
    Busy,
    /// Nothing is under way.
    Idle,
    /// Nothing is known of it.
    First,
}

/// Where those wait who look around at one account or subscription.
#[derive(Debug)]
pub(super) struct Looking {
    around: Semaphore,
    /// For the first time: after a start all do, and later whatever is new, which must not wait for a sweep.
    first: Semaphore,
}

impl Looking {
    /// As many look at once, of each kind.
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            around: Semaphore::new(at_once),
            first: Semaphore::new(at_once),
        }
    }

    /// For as long as the permit lives others of that kind wait. None for who need not wait.
    pub(super) async fn enter(&self, looker: Looker) -> Option<SemaphorePermit<'_>> {
        match looker {
            Looker::Busy => None,
            // Nobody closes them.
            Looker::Idle => in_line(self.around.acquire()).await.ok(),
            Looker::First => in_line(self.first.acquire()).await.ok(),
        }
    }
}
