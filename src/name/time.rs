//! Moments.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::BadName;

/// A moment, in milliseconds since 1970 UTC. Written as RFC 3339.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The later moment; stays at the end of time rather than overflow.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The earlier moment; stays at the beginning of time rather than overflow.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Time from `earlier` to this moment; zero where the clock went back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "@{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = BadName;

    fn from_str(value: &str) -> Result<Self, BadName> {
        let moment: jiff::Timestamp = value.parse().map_err(|_| BadName {
            kind: "timestamp",
            value: value.to_owned(),
            rule: "must read like 2026-11-21T10:00:00Z".to_owned(),
        })?;
        Ok(Self(moment.as_millisecond()))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = BadName;

    fn try_from(value: String) -> Result<Self, BadName> {
        value.parse()
    }
}

impl From<Timestamp> for String {
    fn from(moment: Timestamp) -> Self {
        moment.to_string()
    }
}
