//! Token buckets of each subscription. Pure.

use std::collections::BTreeMap;

use http::Method;

use crate::{
    local::{arm::options::RateLimits, bucket::Level},
    name::Timestamp,
};

/// What is told as remaining where there is no limit: Azure's hourly figure for a fresh subscription.
const UNLIMITED: u32 = 11_999;

/// The kinds of request that have buckets of their own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::local::arm) enum Kind {
    Reads,
    Writes,
    Deletes,
}

impl Kind {
    pub(in crate::local::arm) fn of(method: &Method) -> Self {
        if method == Method::GET || method == Method::HEAD {
            Self::Reads
        } else if method == Method::DELETE {
            Self::Deletes
        } else {
            Self::Writes
        }
    }

    pub(in crate::local::arm) fn header(self) -> &'static str {
        match self {
            Self::Reads => "x-ms-ratelimit-remaining-subscription-reads",
            Self::Writes => "x-ms-ratelimit-remaining-subscription-writes",
            Self::Deletes => "x-ms-ratelimit-remaining-subscription-deletes",
        }
    }
}

/// What is left in each bucket.
#[derive(Default)]
pub(in crate::local::arm) struct Throttle {
    levels: BTreeMap<(String, Kind), Level>,
    /// In the place of the limits that the endpoint was started with.
    instead: Option<Option<RateLimits>>,
    refused: u64,
}

impl Throttle {
    /// Buckets that are full, from now on.
    pub(in crate::local::arm) fn limit(&mut self, limits: Option<RateLimits>) {
        *self = Self {
            instead: Some(limits),
            ..Self::default()
        };
    }

    /// Requests that were too many since the limits were set.
    pub(in crate::local::arm) fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes one token; tells how many are left, or after how many seconds to come again.
    pub(in crate::local::arm) fn take(
        &mut self,
        limits: Option<&RateLimits>,
        subscription: &str,
        kind: Kind,
        now: Timestamp,
    ) -> Result<u32, u64> {
        let limits = self.instead.as_ref().map_or(limits, Option::as_ref);
        let Some(limits) = limits else {
            return Ok(UNLIMITED);
        };
        let bucket = match kind {
            Kind::Reads => limits.reads,
            Kind::Writes => limits.writes,
            Kind::Deletes => limits.deletes,
        };
        let key = (subscription.to_ascii_lowercase(), kind);
        let level = self.levels.entry(key).or_insert_with(|| bucket.full(now));
        let taken = level.take(bucket, now);
        self.refused += u64::from(taken.is_err());
        taken
    }
}
