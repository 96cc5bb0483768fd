//! What an account grants, and who goes first.

use std::{
    collections::BTreeMap,
    fmt,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::cloud::{
    looking::Looking,
    turns::{Heard, Turns},
};

/// Calls a second that an account grants in one region. AWS does not raise them; less leaves some to others.
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
    get_function: Turns,
    other: Turns,
    /// What other services taught us, by their names.
    services: Mutex<BTreeMap<String, Arc<Turns>>>,
    /// What a bucket tells others is read, changed and written as a whole, and S3 has no guard against who does so meanwhile.
    notifications: tokio::sync::Mutex<()>,
    pub(in crate::cloud::aws) looking: Looking,
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
            get_function: bucket("lambda GetFunction", get_function),
            other: bucket("lambda", other),
            services: Mutex::default(),
            notifications: tokio::sync::Mutex::default(),
            looking: Looking::new(LOOKING_AROUND),
            price: AtomicU64::default(),
            other_per_second: other,
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

    /// Waits until there is room for one more call.
    pub(in crate::cloud::aws::lambda) async fn turn(&self, class: Class<'_>) {
        match class {
            Class::GetFunction => self.get_function.turn().await,
            Class::Other => self.other.turn().await,
            Class::Service(TRAIL) => self.service(TRAIL).turn().await,
            // Other services have quotas of their own, all of them larger: keeping to Lambda's is keeping to theirs.
            Class::Service(service) => {
                self.service(service).turn().await;
                self.other.turn().await;
            }
        }
    }

    /// For a call that is made whatever we say.
    pub(in crate::cloud::aws::lambda) fn take(&self, class: Class<'_>) {
        match class {
            Class::GetFunction => self.get_function.take(),
            Class::Other => self.other.take(),
            Class::Service(service) => self.service(service).take(),
        }
    }

    /// Learns from an answer: who is refused slows down, and nobody else.
    pub(in crate::cloud::aws::lambda) fn heard(&self, class: Class<'_>, heard: Heard) {
        match class {
            Class::GetFunction => self.get_function.heard(heard),
            Class::Other => self.other.heard(heard),
            Class::Service(service) => self.service(service).heard(heard),
        }
    }

    fn service(&self, name: &str) -> Arc<Turns> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = services.get(name) {
            return Arc::clone(turns);
        }
        let turns = Arc::new(match name {
            TRAIL => bucket(name, TRAIL_EACH_SECOND),
            _ => bucket(name, self.other_per_second),
        });
        services.insert(name.to_owned(), Arc::clone(&turns));
        turns
    }
}

/// Which bucket a call is taken from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws::lambda) enum Class<'a> {
    GetFunction,
    /// All others of Lambda's.
    Other,
    /// Of another service, by its name in signatures.
    Service(&'a str),
}

impl Class<'_> {
    /// Of an operation of Lambda's; none of a call of a function, which has no part in these quotas.
    pub(in crate::cloud::aws::lambda) fn of(operation: &str) -> Option<Self> {
        match operation {
            "GetFunction" => Some(Self::GetFunction),
            "Invoke" => None,
            _ => Some(Self::Other),
        }
    }
}

/// CloudTrail grants two calls a second of `LookupEvents`, which is all that we ask of it.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html>
const TRAIL: &str = "cloudtrail";
const TRAIL_EACH_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

fn bucket(name: &str, per_second: NonZeroU32) -> Turns {
    let burst = NonZeroU32::new(per_second.get() / 5).unwrap_or(NonZeroU32::MIN);
    Turns::new(&format!("aws {name}"), per_second, burst)
}

impl fmt::Debug for AccountLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountLimits").finish_non_exhaustive()
    }
}
