//! Token buckets per subscription, told by the clock. Pure.

use std::collections::BTreeMap;

use http::Method;

use crate::local::arm::options::{Bucket, RateLimits};
use crate::name::Timestamp;

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
pub(in crate::local::arm) struct Throttle(BTreeMap<(String, Kind), Level>);

struct Level {
    /// Thousandths of a token.
    millis: u64,
    at: Timestamp,
}

impl Throttle {
    /// Takes one token; tells how many are left, or after how many seconds to come again.
    pub(in crate::local::arm) fn take(
        &mut self,
        limits: Option<&RateLimits>,
        subscription: &str,
        kind: Kind,
        now: Timestamp,
    ) -> Result<u32, u64> {
        let Some(limits) = limits else {
            return Ok(UNLIMITED);
        };
        let Bucket {
            capacity,
            per_second,
        } = match kind {
            Kind::Reads => limits.reads,
            Kind::Writes => limits.writes,
            Kind::Deletes => limits.deletes,
        };
        let full = u64::from(capacity) * 1000;
        let key = (subscription.to_ascii_lowercase(), kind);
        let level = self.0.entry(key).or_insert(Level {
            millis: full,
            at: now,
        });
        // One token a second is one thousandth of a token a millisecond.
        let gained = u64::try_from(now.since(level.at).as_millis()).unwrap_or(u64::MAX);
        let gained = gained.saturating_mul(u64::from(per_second));
        level.millis = level.millis.saturating_add(gained).min(full);
        level.at = now;
        match level.millis.checked_sub(1000) {
            Some(rest) => {
                level.millis = rest;
                Ok(u32::try_from(rest / 1000).unwrap_or(u32::MAX))
            }
            None => {
                let missing = 1000 - level.millis;
                let per_second = u64::from(per_second.max(1));
                Err(missing.div_ceil(per_second * 1000).max(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let bucket = Bucket {
            capacity: 2,
            per_second: 1,
        };
        let limits = RateLimits {
            reads: bucket,
            writes: bucket,
            deletes: bucket,
        };
        let mut throttle = Throttle::default();
        let mut take = |millis| {
            let now = Timestamp::from_millis(millis);
            throttle.take(Some(&limits), "s", Kind::Reads, now)
        };
        assert_eq!(take(0), Ok(1));
        assert_eq!(take(0), Ok(0));
        assert_eq!(take(0), Err(1));
        assert_eq!(take(1000), Ok(0));
        assert_eq!(take(60_000), Ok(1));
    }
}
