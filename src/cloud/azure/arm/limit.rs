//! No more calls than a subscription grants.

use std::num::NonZeroU32;

use azure_core::http::Method;

use super::operation::Operation;
use crate::cloud::turns::Turns;

/// A token bucket per class of call, shared by all that use one subscription.
#[derive(Debug)]
pub struct AzureLimiter {
    reads: Turns,
    writes: Turns,
}

/// Calls a second and calls at once. The defaults are what Azure grants one principal in one subscription and region; at once a tenth
/// less, since calls take their time on the way: without it a burst's last calls could overtake what Azure has granted by then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AzureRates {
    pub reads_per_second: NonZeroU32,
    pub reads_at_once: NonZeroU32,
    pub writes_per_second: NonZeroU32,
    pub writes_at_once: NonZeroU32,
}

// === impl AzureRates, AzureLimiter ===

impl Default for AzureRates {
    fn default() -> Self {
        const fn count(number: u32) -> NonZeroU32 {
            match NonZeroU32::new(number) {
                Some(count) => count,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            reads_per_second: count(25),
            reads_at_once: count(225),
            writes_per_second: count(10),
            writes_at_once: count(180),
        }
    }
}

impl AzureLimiter {
    pub fn new(rates: AzureRates) -> Self {
        let AzureRates {
            reads_per_second,
            reads_at_once,
            writes_per_second,
            writes_at_once,
        } = rates;
        Self {
            reads: Turns::new(reads_per_second, reads_at_once),
            writes: Turns::new(writes_per_second, writes_at_once),
        }
    }

    pub(super) async fn ready(&self, operation: Operation) {
        // Azure is not known to tell a POST that reads from one that writes, so that it counts as a write here.
        if operation.method == Method::Get {
            self.reads.turn().await;
        } else {
            self.writes.turn().await;
        }
    }
}

impl Default for AzureLimiter {
    fn default() -> Self {
        Self::new(AzureRates::default())
    }
}
