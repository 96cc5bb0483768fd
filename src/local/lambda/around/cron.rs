//! Expressions of EventBridge: `rate(5 minutes)` and `cron(0 3 ? * MON *)`. Pure.

use std::collections::BTreeSet;

use jiff::{civil::Weekday, tz::TimeZone};

use crate::{
    local::cron::{DAYS, MONTHS, numbers},
    name::Timestamp,
};

/// When a rule is due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Schedule {
    /// Every so many minutes.
    Rate(i64),
    Cron(Cron),
}

/// Numbers that match; none where any does. The year is not looked at, but for `*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    /// Sunday is 1.
    weekdays: Set,
}

type Set = Option<BTreeSet<i8>>;

impl Schedule {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('(')?;
        let inner = rest.strip_suffix(')')?;
        let fields: Vec<&str> = inner.split_whitespace().collect();
        match (kind, &fields[..]) {
            ("rate", [number, unit]) => {
                let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
                let minutes = match unit.trim_end_matches('s') {
                    "minute" => 1,
                    "hour" => 60,
                    "day" => 24 * 60,
                    _ => return None,
                };
                // One is singular, and all else is not.
                ((number == 1) != unit.ends_with('s')).then_some(Self::Rate(number * minutes))
            }
            ("cron", [minute, hour, day, month, weekday, _year]) => {
                // Exactly one of the two days is left open.
                if (*day == "?") == (*weekday == "?") {
                    return None;
                }
                Some(Self::Cron(Cron {
                    minutes: set(minute, 0, 59, &[])?,
                    hours: set(hour, 0, 23, &[])?,
                    days: set(day, 1, 31, &[])?,
                    months: set(month, 1, 12, &MONTHS)?,
                    weekdays: set(weekday, 1, 7, &DAYS)?,
                }))
            }
            _ => None,
        }
    }

    /// Whether it is due in the minute of this moment.
    pub(super) fn is_due(&self, at: Timestamp) -> bool {
        match self {
            Self::Rate(minutes) => (at.millis().div_euclid(60_000)).rem_euclid(*minutes) == 0,
            Self::Cron(cron) => cron.is_due(at),
        }
    }
}

impl Cron {
    fn is_due(&self, at: Timestamp) -> bool {
        let Ok(at) = jiff::Timestamp::from_millisecond(at.millis()) else {
            return false;
        };
        let at = at.to_zoned(TimeZone::UTC);
        let has = |set: &Set, number: i8| set.as_ref().is_none_or(|set| set.contains(&number));
        let weekday: Weekday = at.weekday();
        has(&self.minutes, at.minute())
            && has(&self.hours, at.hour())
            && has(&self.days, at.day())
            && has(&self.months, at.month())
            && has(&self.weekdays, weekday.to_sunday_one_offset())
    }
}

/// The outer `None` is for what cannot be read.
#[expect(clippy::option_option, reason = "readable or not, then some or all")]
fn set(field: &str, low: i8, high: i8, words: &[&str]) -> Option<Option<BTreeSet<i8>>> {
    match field {
        "*" | "?" => Some(None),
        _ => numbers(field, low, high, words).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_due_when_they_say() {
        // 2026-11-21 is a Saturday.
        let table = [
            ("rate(1 minute)", "2026-11-21T10:07:00Z", true),
            ("rate(5 minutes)", "2026-11-21T10:07:00Z", false),
            ("rate(5 minutes)", "2026-11-21T10:10:59Z", true),
            ("cron(0/15 * * * ? *)", "2026-11-21T10:30:10Z", true),
            ("cron(0/15 * * * ? *)", "2026-11-21T10:31:10Z", false),
            ("cron(0 3 ? * SUN,SAT *)", "2026-11-21T03:00:00Z", true),
            ("cron(0 3 ? * 7 *)", "2026-11-21T03:00:00Z", true),
            ("cron(0 3 ? * MON-FRI *)", "2026-11-21T03:00:00Z", false),
            ("cron(0 3 21 NOV ? *)", "2026-11-21T03:00:00Z", true),
            ("cron(0 3 1-10/3 * ? *)", "2026-11-07T03:00:00Z", true),
        ];
        for (expression, at, expected) in table {
            let schedule = Schedule::parse(expression).unwrap();
            assert_eq!(
                schedule.is_due(at.parse().unwrap()),
                expected,
                "{expression}"
            );
        }
        for bad in [
            "cron(0 3 * * * *)",
            "cron(0 3 ? * ? *)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "cron(61 * * * ? *)",
            "* * * * *",
        ] {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
    }
}
