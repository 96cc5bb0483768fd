//! No more calls than a subscription grants.

use std::num::NonZeroU32;

use azure_core::http::Method;

use super::{answer::Answer, operation::Operation};
use crate::cloud::turns::{Heard, Turns};

/// A token bucket per class of call, shared by all that use one subscription.
#[derive(Debug)]
pub struct AzureLimiter {
    reads: Turns,
    writes: Turns,
    /// As many as of writes.
    deletes: Turns,
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
            reads: Turns::new("azure reads", reads_per_second, reads_at_once),
            writes: Turns::new("azure writes", writes_per_second, writes_at_once),
            deletes: Turns::new("azure deletes", writes_per_second, writes_at_once),
        }
    }

    pub(super) async fn ready(&self, operation: Operation) {
        self.of(operation).turn().await;
    }

    /// Learns from an answer: what is left of the subscription's bucket, and whether the call was one too many.
    pub(super) fn heard(&self, operation: Operation, answer: &Answer) {
        let turns = self.of(operation);
        if let Some(calls) = answer.calls_left {
            turns.left(calls);
        }
        if answer.status == 429 {
            turns.heard(Heard::TooMany(answer.retry_after));
        } else if answer.is_success() {
            turns.heard(Heard::Taken);
        }
    }

    fn of(&self, operation: Operation) -> &Turns {
        match operation.method {
            Method::Get => &self.reads,
            Method::Delete => &self.deletes,
            // Azure is not known to tell a POST that reads from one that writes, so that it counts as a write here.
            Method::Post | Method::Put | Method::Patch | Method::Head | _ => &self.writes,
        }
    }
}

impl Default for AzureLimiter {
    fn default() -> Self {
        Self::new(AzureRates::default())
    }
}
