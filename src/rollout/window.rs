//! Whether promotion windows let a rollout go to blue, and when that changes.

use crate::{
    manifest::spec::{Times, Window, WindowEffect},
    name::Timestamp,
};

/// What windows say together at a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opening {
    Open {
        /// When that may end; never where there are no windows.
        until: Option<Timestamp>,
    },
    Closed {
        /// The window that denies, or those that allow and do not now.
        by: String,
        /// When it opens; none where that is not within sight.
        opens: Option<Timestamp>,
        /// When to look again.
        changes: Option<Timestamp>,
    },
}

/// Ends of what denies and openings of what allows that are looked at for the next time that is open.
/// A year of windows that follow each other every few hours.
const LEAPS_MAX: usize = 2000;

/// What windows say at `now`: closed inside any that denies, and outside all that allow where any does.
pub fn opening(windows: &[&Window], now: Timestamp) -> Opening {
    let read = Read::new(windows);
    let Some(by) = read.closed_by(now) else {
        let until = read.next_boundary(now);
        return Opening::Open { until };
    };
    let mut at = now;
    for _ in 0..LEAPS_MAX {
        match read.closed_until(at) {
            Closed::No => {
                return Opening::Closed {
                    by,
                    opens: Some(at),
                    changes: Some(at),
                };
            }
            Closed::Until(later) => at = later,
            Closed::ForEver => {
                return Opening::Closed {
                    by,
                    opens: None,
                    changes: None,
                };
            }
        }
    }
    Opening::Closed {
        by,
        opens: None,
        changes: Some(at),
    }
}

enum Closed {
    No,
    /// No moment before this is open; this one may be.
    Until(Timestamp),
    ForEver,
}

/// Windows with their schedules read; one that is not valid is never inside.
struct Read<'a> {
    windows: Vec<(&'a Window, Option<Times>)>,
}

impl<'a> Read<'a> {
    fn new(windows: &[&'a Window]) -> Self {
        let read = windows.iter().map(|window| (*window, window.times()));
        Self {
            windows: read.collect(),
        }
    }

    fn that(&self, effect: WindowEffect) -> impl Iterator<Item = &(&'a Window, Option<Times>)> {
        let windows = self.windows.iter();
        windows.filter(move |(window, _)| window.effect == effect)
    }

    /// Why it is closed, if it is.
    fn closed_by(&self, now: Timestamp) -> Option<String> {
        let inside = |(_, times): &&(&Window, Option<Times>)| end(times.as_ref(), now).is_some();
        if let Some((window, _)) = self.that(WindowEffect::Deny).find(inside) {
            return Some(window.to_string());
        }
        let mut allowing = self.that(WindowEffect::Allow).peekable();
        allowing.peek()?;
        if self.that(WindowEffect::Allow).any(|window| inside(&window)) {
            return None;
        }
        let told: Vec<String> = allowing.map(|(window, _)| window.to_string()).collect();
        Some(told.join(", or "))
    }

    /// How long it is closed from `now` at least.
    fn closed_until(&self, now: Timestamp) -> Closed {
        let denied = self.that(WindowEffect::Deny);
        if let Some(until) = denied
            .filter_map(|(_, times)| end(times.as_ref(), now))
            .max()
        {
            return Closed::Until(until);
        }
        let mut allowing = self.that(WindowEffect::Allow).peekable();
        if allowing.peek().is_none() {
            return Closed::No;
        }
        let mut next = None;
        for times in allowing.filter_map(|(_, times)| times.as_ref()) {
            if times.ends(now).is_some() {
                return Closed::No;
            }
            next = next.into_iter().chain(times.opens(now)).min();
        }
        next.map_or(Closed::ForEver, Closed::Until)
    }

    /// The next moment at which any window opens or closes.
    fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        let times = self.windows.iter().filter_map(|(_, times)| times.as_ref());
        let boundaries = times.flat_map(|times| [times.ends(now), times.opens(now)]);
        boundaries.flatten().min()
    }
}

fn end(times: Option<&Times>, now: Timestamp) -> Option<Timestamp> {
    times?.ends(now)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn window(effect: WindowEffect, schedule: &str, hours: u64, time_zone: &str) -> Window {
        Window {
            effect,
            schedule: schedule.to_owned(),
            length: Duration::from_secs(hours * 3600),
            time_zone: time_zone.to_owned(),
            reason: None,
        }
    }

    fn allow(schedule: &str, hours: u64, time_zone: &str) -> Window {
        window(WindowEffect::Allow, schedule, hours, time_zone)
    }

    fn deny(schedule: &str, hours: u64, time_zone: &str) -> Window {
        window(WindowEffect::Deny, schedule, hours, time_zone)
    }

    /// `open until …` or `closed until …`, without the parts of a second.
    fn told(windows: &[Window], now: &str) -> String {
        let windows: Vec<&Window> = windows.iter().collect();
        let moment = |at: Option<Timestamp>| {
            at.map_or_else(
                || "for ever".to_owned(),
                |at| format!("until {}", at.to_string().replace(".000Z", "Z")),
            )
        };
        match opening(&windows, now.parse().unwrap()) {
            Opening::Open { until } => format!("open {}", moment(until)),
            Opening::Closed { opens, .. } => format!("closed {}", moment(opens)),
        }
    }

    #[test]
    fn without_windows_it_is_always_open() {
        assert_eq!(told(&[], "2026-11-21T10:00:00Z"), "open for ever");
    }

    #[test]
    fn outside_of_all_that_allow_and_inside_any_that_denies_it_is_closed() {
        let office = allow("0 9 * * MON-FRI", 8, "UTC");
        let saturday = allow("0 10 * * SAT", 1, "UTC");
        let freeze = deny("0 0 24 11 *", 48, "UTC");
        let all = [office.clone(), saturday, freeze.clone()];
        for (now, wanted) in [
            ("2026-11-20T08:59:59Z", "closed until 2026-11-20T09:00:00Z"),
            ("2026-11-20T09:00:00Z", "open until 2026-11-20T17:00:00Z"),
            (
                "2026-11-20T16:59:59.999Z",
                "open until 2026-11-20T17:00:00Z",
            ),
            ("2026-11-20T17:00:00Z", "closed until 2026-11-21T10:00:00Z"),
            ("2026-11-21T11:00:00Z", "closed until 2026-11-23T09:00:00Z"),
            // Tuesday and Wednesday are denied, so Thursday is next.
            ("2026-11-23T17:00:00Z", "closed until 2026-11-26T09:00:00Z"),
            ("2026-11-24T10:00:00Z", "closed until 2026-11-26T09:00:00Z"),
        ] {
            assert_eq!(told(&all, now), wanted, "{now}");
        }
        assert_eq!(
            told(&[freeze], "2026-11-24T10:00:00Z"),
            "closed until 2026-11-26T00:00:00Z"
        );
        assert_eq!(
            told(&[deny("* * * * *", 1, "UTC")], "2026-11-24T10:00:00Z"),
            "closed for ever"
        );
    }

    #[test]
    fn a_window_that_opens_again_before_it_closes_stays_open() {
        let hourly = [allow("0 * * * *", 2, "UTC")];
        assert!(told(&hourly, "2026-11-24T10:30:00Z").starts_with("open"));
        assert!(told(&hourly, "2026-11-24T11:59:59Z").starts_with("open"));
    }

    /// In Brussels, 2026-03-29 has no hour from 02:00, and 2026-10-25 has that hour twice.
    #[test]
    fn clocks_that_are_set_move_windows_and_leave_their_length() {
        let zone = "Europe/Brussels";
        let nine = [allow("0 9 * * *", 8, zone)];
        for (now, wanted) in [
            ("2026-03-28T08:00:00Z", "open until 2026-03-28T16:00:00Z"),
            ("2026-03-29T06:59:59Z", "closed until 2026-03-29T07:00:00Z"),
            ("2026-03-29T07:00:00Z", "open until 2026-03-29T15:00:00Z"),
            ("2026-10-24T15:30:00Z", "closed until 2026-10-25T08:00:00Z"),
        ] {
            assert_eq!(told(&nine, now), wanted, "{now}");
        }
        // Over the night in which an hour is skipped, four hours are four hours.
        let night = [allow("0 1 * * *", 4, zone)];
        assert_eq!(
            told(&night, "2026-03-29T00:30:00Z"),
            "open until 2026-03-29T04:00:00Z"
        );
        let skipped = [allow("30 2 * * *", 1, zone)];
        assert_eq!(
            told(&skipped, "2026-03-29T00:59:00Z"),
            "closed until 2026-03-29T01:00:00Z"
        );
        let repeated = [allow("30 2 * * *", 1, zone)];
        assert_eq!(
            told(&repeated, "2026-10-25T00:00:00Z"),
            "closed until 2026-10-25T00:30:00Z"
        );
        assert_eq!(
            told(&repeated, "2026-10-25T01:30:00Z"),
            "closed until 2026-10-26T01:30:00Z"
        );
    }
}
