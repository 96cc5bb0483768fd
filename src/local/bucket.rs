//! Token buckets, told by the clock. Pure.

use crate::name::Timestamp;

/// How many calls may come at once, and how many more each second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bucket {
    pub capacity: u32,
    pub per_second: u32,
}

/// What is left in a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Thousandths of a token.
    millis: u64,
    at: Timestamp,
}

impl Bucket {
    pub(super) fn full(self, now: Timestamp) -> Level {
        Level {
            millis: u64::from(self.capacity) * 1000,
            at: now,
        }
    }
}

impl Level {
    /// Takes one token; tells how many are left, or after how many seconds to come again.
    pub(super) fn take(&mut self, bucket: Bucket, now: Timestamp) -> Result<u32, u64> {
        let Bucket {
            capacity,
            per_second,
        } = bucket;
        let full = u64::from(capacity) * 1000;
        // One token a second is one thousandth of a token a millisecond.
        let gained = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let gained = gained.saturating_mul(u64::from(per_second));
        self.millis = self.millis.saturating_add(gained).min(full);
        self.at = now;
        match self.millis.checked_sub(1000) {
            Some(rest) => {
                self.millis = rest;
                Ok(u32::try_from(rest / 1000).unwrap_or(u32::MAX))
            }
            None => {
                let missing = 1000 - self.millis;
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
        let mut level = bucket.full(Timestamp::from_millis(0));
        let mut take = |millis| level.take(bucket, Timestamp::from_millis(millis));
        assert_eq!(take(0), Ok(1));
        assert_eq!(take(0), Ok(0));
        assert_eq!(take(0), Err(1));
        assert_eq!(take(1000), Ok(0));
        assert_eq!(take(60_000), Ok(1));
    }
}
