//! What an account grants, and who goes first.

use std::{
    fmt,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::cloud::{line::in_line, turns::Turns};

/// Calls a second that an account grants in one region. AWS does not raise them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quotas {
    /// `GetFunction` has a bucket of its own.
    pub get_function: NonZeroU32,
    /// All other control-plane operations together.
    pub other: NonZeroU32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            get_function: NonZeroU32::MIN.saturating_add(99),
            other: NonZeroU32::MIN.saturating_add(14),
        }
    }
}

/// The token buckets of one account and region, shared by every target in it.
pub struct AccountLimits {
    pub(super) get_function: Turns,
    pub(super) other: Turns,
    /// What a bucket tells others is read, changed and written as a whole, and S3 has no guard against who does so meanwhile.
    notifications: tokio::sync::Mutex<()>,
    /// Room for those who look around and have nothing to do: turns are given to who comes first, and a rollout would wait behind
    /// thousands of them.
    looking_around: Semaphore,
    /// And for those who look for the first time: after a start all do, and later whatever is new, which must not wait for a sweep.
    looking_first: Semaphore,
    /// Calls beside `GetFunction` that it takes to read all that is attached to every function that is known.
    price: AtomicU64,
    other_per_second: NonZeroU32,
}

/// As many as keep `GetFunction`'s bucket busy where an answer takes a sixth of a second.
const LOOKING_AROUND: usize = 16;

/// What is attached is read again with this share of the calls that are granted, and the rest is for those who have something to do.
const SHARE_TO_LOOK: u64 = 3;

impl AccountLimits {
    /// A bucket holds a fifth of a second's calls (at least one), so that a burst stays below what AWS counts in any second.
    pub fn new(quotas: Quotas) -> Self {
        let Quotas {
            get_function,
            other,
        } = quotas;
        Self {
            get_function: bucket(get_function),
            other: bucket(other),
            notifications: tokio::sync::Mutex::default(),
            looking_around: Semaphore::new(LOOKING_AROUND),
            looking_first: Semaphore::new(LOOKING_AROUND),
            price: AtomicU64::default(),
            other_per_second: other,
        }
    }

    /// For as long as the permit lives others of that kind wait. None for who need not wait.
    pub(in crate::cloud::aws) async fn looking(
        &self,
        looker: Looker,
    ) -> Option<SemaphorePermit<'_>> {
        match looker {
            Looker::Busy => None,
            // Nobody closes them.
            Looker::Idle => in_line(self.looking_around.acquire()).await.ok(),
            Looker::First => in_line(self.looking_first.acquire()).await.ok(),
        }
    }

    /// Of one more function, or of one that took something else before.
    pub(in crate::cloud::aws) fn note_price(&self, before: u64, now: u64) {
        self.price.fetch_add(now, Ordering::Relaxed);
        self.price.fetch_sub(before, Ordering::Relaxed);
    }

    /// How long it takes to read again all that is attached to every function.
    pub fn rotation(&self) -> Duration {
        let calls = self.price.load(Ordering::Relaxed) * SHARE_TO_LOOK;
        let millis = calls * 1000 / u64::from(self.other_per_second.get());
        Duration::from_millis(millis)
    }

    /// For as long as the guard lives nobody else in this process changes what a bucket tells others.
    pub(in crate::cloud::aws) async fn notifications(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.notifications.lock().await
    }

    /// Other services have quotas of their own, all of them larger: keeping to Lambda's is keeping to theirs.
    pub(super) async fn wait_for_others(&self) {
        self.other.turn().await;
    }
}

fn bucket(per_second: NonZeroU32) -> Turns {
    let burst = NonZeroU32::new(per_second.get() / 5).unwrap_or(NonZeroU32::MIN);
    Turns::new(per_second, burst)
}

impl fmt::Debug for AccountLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountLimits").finish_non_exhaustive()
    }
}

/// Who looks at a function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws) enum Looker {
    /// Something was staged or written, or is about to be.
    Busy,
    /// Nothing is under way.
    Idle,
    /// Nothing is known of it.
    First,
}
