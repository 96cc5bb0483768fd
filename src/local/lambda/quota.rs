//! How many calls of the control plane an account may make a second, by the classes that the real service has.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::wire::{ApiError, Operation};
use crate::{
    local::bucket::{Bucket, Level},
    name::Timestamp,
};

/// The buckets of one account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallQuotas {
    pub get_function: Bucket,
    pub get_policy: Bucket,
    /// Everything else together, calls of functions left out.
    pub other: Bucket,
}

impl CallQuotas {
    /// What AWS documents for every account in every region, and does not raise. A second's calls may come at once.
    pub const AWS: Self = Self {
        get_function: each_second(100),
        get_policy: each_second(15),
        other: each_second(15),
    };
}

/// As many at once as in a second.
pub const fn each_second(calls: u32) -> Bucket {
    Bucket {
        capacity: calls,
        per_second: calls,
    }
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Class {
    GetFunction,
    GetPolicy,
    Other,
}

/// What is left of the quotas, and how many calls were too many.
#[derive(Debug, Default)]
pub(super) struct Quota(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    quotas: Option<CallQuotas>,
    levels: BTreeMap<Class, Level>,
    refused: u64,
}

impl Quota {
    /// From now on; none takes every call.
    pub(super) fn set(&self, quotas: Option<CallQuotas>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State {
            quotas,
            ..State::default()
        };
    }

    pub(super) fn refused(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .refused
    }

    /// Refuses a call that is one too many.
    pub(super) fn take(&self, operation: Operation, now: Timestamp) -> Result<(), ApiError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(quotas) = state.quotas else {
            return Ok(());
        };
        // By name: what is new is one of the others until somebody says otherwise.
        let (class, bucket) = match operation.as_str() {
            "Invoke" => return Ok(()),
            "GetFunction" => (Class::GetFunction, quotas.get_function),
            "GetPolicy" => (Class::GetPolicy, quotas.get_policy),
            _ => (Class::Other, quotas.other),
        };
        let level = state
            .levels
            .entry(class)
            .or_insert_with(|| bucket.full(now));
        if level.take(bucket, now).is_ok() {
            return Ok(());
        }
        state.refused += 1;
        Err(ApiError::throttled("CallerRateLimitExceeded"))
    }
}
