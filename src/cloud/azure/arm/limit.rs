//! No more calls than a subscription grants.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
};

use azure_core::http::Method;

use super::{answer::Answer, operation::Operation};
use crate::cloud::{
    looking::Looking,
    turns::{Heard, Turns},
};

/// A token bucket per class of call, shared by all that use one subscription.
#[derive(Debug)]
pub struct AzureLimiter {
    reads: Class,
    writes: Class,
    /// As many as of writes.
    deletes: Class,
    pub(in crate::cloud::azure) looking: Looking,
}

/// Enough to keep the bucket of writes busy, of which a look takes two. Whoever has something to do waits behind so many calls at most.
const LOOKING_AROUND: usize = 4;

#[derive(Debug)]
struct Class {
    turns: Turns,
    /// Calls whose answers are not there: what others are told is left does not count them all.
    under_way: AtomicU32,
}

/// A call is under way for as long as this lives.
pub(super) struct UnderWay<'a>(&'a Class);

/// Calls a second and calls at once. The defaults are what Azure grants one principal in one subscription and region; at once a fifth
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
            reads_at_once: count(200),
            writes_per_second: count(10),
            writes_at_once: count(160),
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
            reads: Class::new("azure reads", reads_per_second, reads_at_once),
            writes: Class::new("azure writes", writes_per_second, writes_at_once),
            deletes: Class::new("azure deletes", writes_per_second, writes_at_once),
            looking: Looking::new(LOOKING_AROUND),
        }
    }

    pub(super) async fn ready(&self, operation: Operation) {
        self.of(operation).turns.turn().await;
    }

    /// For a call that is sent now.
    pub(super) fn under_way(&self, operation: Operation) -> UnderWay<'_> {
        let class = self.of(operation);
        class.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(class)
    }

    fn of(&self, operation: Operation) -> &Class {
        match operation.method {
            Method::Get => &self.reads,
            Method::Delete => &self.deletes,
            // Azure is not known to tell a POST that reads from one that writes, so that it counts as a write here.
            Method::Post | Method::Put | Method::Patch | Method::Head | _ => &self.writes,
        }
    }
}

impl Class {
    fn new(name: &str, per_second: NonZeroU32, at_once: NonZeroU32) -> Self {
        Self {
            turns: Turns::new(name, per_second, at_once),
            under_way: AtomicU32::default(),
        }
    }
}

impl UnderWay<'_> {
    /// Learns from the answer: what is left of the subscription's bucket, and whether the call was one too many.
    pub(super) fn heard(&self, answer: &Answer) {
        let Self(class) = self;
        if let Some(calls) = answer.calls_left {
            let others = class.under_way.load(Ordering::Relaxed).saturating_sub(1);
            class.turns.left(calls.saturating_sub(others));
        }
        if answer.status == 429 {
            class.turns.heard(Heard::TooMany(answer.retry_after));
        } else if answer.is_success() {
            class.turns.heard(Heard::Taken);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for AzureLimiter {
    fn default() -> Self {
        Self::new(AzureRates::default())
    }
}
