//! Shares of a whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::BadName;

/// A share in whole percent. Never above 100.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    pub const NONE: Self = Self(0);

    /// Nothing above 100.
    pub fn new(percent: u8) -> Option<Self> {
        (percent <= 100).then_some(Self(percent))
    }

    /// The nearest whole percent of a fraction; what is below 0 or above 1 is cut off there.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is clamped to 0..=100 first; NaN becomes 0"
    )]
    pub fn of_fraction(fraction: f64) -> Self {
        Self((fraction * 100.0).round().clamp(0.0, 100.0) as u8)
    }

    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    pub fn get(self) -> u8 {
        self.0
    }

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

impl TryFrom<u8> for Percent {
    type Error = BadName;

    fn try_from(percent: u8) -> Result<Self, BadName> {
        Self::new(percent).ok_or_else(|| BadName {
            kind: "share",
            value: percent.to_string(),
            rule: "is more than 100 percent".to_owned(),
        })
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_goes_to_a_fraction_and_back() {
        for percent in 0..=100 {
            let share = Percent::new(percent).unwrap();
            assert_eq!(Percent::of_fraction(share.as_fraction()), share);
        }
        assert_eq!(Percent::new(101), None);
        assert_eq!(Percent::of_fraction(7.0).get(), 100);
        assert_eq!(Percent::of_fraction(f64::NAN).get(), 0);
    }
}
