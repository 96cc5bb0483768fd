//! NCRONTAB, as timers of Azure's functions are written: six fields from seconds to days of the week, or how long to wait. Pure.

use std::collections::BTreeSet;

use jiff::{ToSpan as _, civil::DateTime, tz::TimeZone};

use crate::{
    local::cron::{DAYS, MONTHS, numbers},
    name::Timestamp,
};

/// No expression that is ever due waits longer: the 29th of February comes within eight years.
const YEARS: i16 = 9;

/// When a timer is due, in UTC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Schedule {
    /// So many milliseconds apart, counted from 1970.
    Every(i64),
    Cron(Box<Cron>),
}

/// Numbers that match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cron {
    seconds: BTreeSet<i8>,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    /// Sunday is 0.
    weekdays: BTreeSet<i8>,
}

impl Schedule {
    /// Nothing where the text means nothing. Five fields mean second zero.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if let [span] = fields[..] {
            return every(span);
        }
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [second, minute, hour, day, month, weekday] = fields[..] else {
            return None;
        };
        let mut weekdays = numbers(weekday, 0, 7, &DAYS)?;
        if weekdays.remove(&7) {
            weekdays.insert(0);
        }
        Some(Self::Cron(Box::new(Cron {
            seconds: numbers(second, 0, 59, &[])?,
            minutes: numbers(minute, 0, 59, &[])?,
            hours: numbers(hour, 0, 23, &[])?,
            days: numbers(day, 1, 31, &[])?,
            months: numbers(month, 1, 12, &MONTHS)?,
            weekdays,
        })))
    }

    /// The first moment after `last` at which it is due; none where it never is.
    pub(super) fn next(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(wait) => {
                let due = (last.millis().div_euclid(*wait) + 1) * wait;
                Some(Timestamp::from_millis(due))
            }
            Self::Cron(cron) => cron.next(last),
        }
    }
}

impl Cron {
    fn next(&self, last: Timestamp) -> Option<Timestamp> {
        let last = jiff::Timestamp::from_millisecond(last.millis()).ok()?;
        let last = last.to_zoned(TimeZone::UTC).datetime();
        let mut at = last.with().subsec_nanosecond(0).build().ok()?;
        at = at.checked_add(1.second()).ok()?;
        let end = last.year() + YEARS;
        while at.year() < end {
            match self.jump(at) {
                None => {
                    let due = at.to_zoned(TimeZone::UTC).ok()?;
                    return Some(Timestamp::from_millis(due.timestamp().as_millisecond()));
                }
                Some(later) => at = later?,
            }
        }
        None
    }

    /// The beginning of the next month, day, hour, minute or second, whichever does not fit first; none where all fit.
    #[expect(
        clippy::option_option,
        reason = "fits or not, then the end of time or not"
    )]
    fn jump(&self, at: DateTime) -> Option<Option<DateTime>> {
        let midnight = at.date().to_datetime(jiff::civil::Time::midnight());
        let hour = at.with().minute(0).second(0).build().ok();
        let minute = at.with().second(0).build().ok();
        let weekday = at.weekday().to_sunday_zero_offset();
        if !self.months.contains(&at.month()) {
            let first = at.date().first_of_month();
            let first = first.to_datetime(jiff::civil::Time::midnight());
            return Some(first.checked_add(1.month()).ok());
        }
        if !self.days.contains(&at.day()) || !self.weekdays.contains(&weekday) {
            return Some(midnight.checked_add(1.day()).ok());
        }
        if !self.hours.contains(&at.hour()) {
            return Some(hour.and_then(|it| it.checked_add(1.hour()).ok()));
        }
        if !self.minutes.contains(&at.minute()) {
            return Some(minute.and_then(|it| it.checked_add(1.minute()).ok()));
        }
        let fits = self.seconds.contains(&at.second());
        (!fits).then(|| at.checked_add(1.second()).ok())
    }
}

/// `hh:mm:ss`, with days in front as in `1.00:00:00`.
fn every(span: &str) -> Option<Schedule> {
    let (days, time) = span.split_once('.').unwrap_or(("0", span));
    let mut parts = time
        .split(':')
        .map(|part| part.parse::<i32>().ok().map(i64::from));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let days = i64::from(days.parse::<i32>().ok()?);
    let millis = (((days * 24 + hours) * 60 + minutes) * 60 + seconds).checked_mul(1000)?;
    (millis > 0).then_some(Schedule::Every(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_moment_is_the_first_that_fits() {
        // 2026-11-21 is a Saturday.
        let table = [
            (
                "0 */5 * * * *",
                "2026-11-21T10:05:00.5Z",
                "2026-11-21T10:10:00.000Z",
            ),
            (
                "*/15 * * * * *",
                "2026-11-21T10:05:59.999Z",
                "2026-11-21T10:06:00.000Z",
            ),
            (
                "* * * * * *",
                "2026-11-21T10:05:00Z",
                "2026-11-21T10:05:01.000Z",
            ),
            (
                "0 30 9 * * 1-5",
                "2026-11-21T10:00:00Z",
                "2026-11-23T09:30:00.000Z",
            ),
            (
                "0 0 3 * * SUN",
                "2026-11-21T10:00:00Z",
                "2026-11-22T03:00:00.000Z",
            ),
            (
                "0 0 3 * * 7",
                "2026-11-21T10:00:00Z",
                "2026-11-22T03:00:00.000Z",
            ),
            (
                "0 0 0 1 JAN *",
                "2026-11-21T10:00:00Z",
                "2027-01-01T00:00:00.000Z",
            ),
            (
                "0 0 0 31 * *",
                "2026-11-30T10:00:00Z",
                "2026-12-31T00:00:00.000Z",
            ),
            (
                "0 0 0 29 2 *",
                "2026-11-21T10:00:00Z",
                "2028-02-29T00:00:00.000Z",
            ),
            (
                "*/5 * * * *",
                "2026-11-21T10:05:00Z",
                "2026-11-21T10:10:00.000Z",
            ),
            (
                "00:00:30",
                "2026-11-21T10:05:10Z",
                "2026-11-21T10:05:30.000Z",
            ),
            (
                "1.00:00:00",
                "2026-11-21T10:05:10Z",
                "2026-11-22T00:00:00.000Z",
            ),
        ];
        for (text, last, expected) in table {
            let schedule = Schedule::parse(text).unwrap();
            let next = schedule.next(last.parse().unwrap()).unwrap();
            assert_eq!(next.to_string(), expected, "{text} after {last}");
        }
    }

    #[test]
    fn what_is_never_due_has_no_next_moment() {
        let schedule = Schedule::parse("0 0 0 30 2 *").unwrap();
        assert_eq!(schedule.next("2026-11-21T10:00:00Z".parse().unwrap()), None);
    }

    #[test]
    fn what_means_nothing_is_not_read() {
        for bad in [
            "",
            "* * * *",
            "60 * * * * *",
            "* * * 0 * *",
            "*/0 * * * * *",
            "00:00:00",
            "soon",
            "a b c d e f",
        ] {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
    }
}
