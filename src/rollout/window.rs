//! Whether promotion windows let a rollout go to blue, and when that changes.

use crate::{
    manifest::spec::{Window, WindowEffect},
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

/// Beginnings and ends of windows that are looked at for the next opening. A year of windows that open every few hours.
const BOUNDARIES_MAX: usize = 2000;

/// What windows say at `now`: closed inside any that denies, and outside all that allow where any does.
pub fn opening(windows: &[&Window], now: Timestamp) -> Opening {
    let Some(by) = closed_by(windows, now) else {
        let until = next_boundary(windows, now);
        return Opening::Open { until };
    };
    let changes = next_boundary(windows, now);
    let mut at = changes;
    let mut left = BOUNDARIES_MAX;
    while let Some(moment) = at.filter(|moment| left > 0 && closed_by(windows, *moment).is_some()) {
        at = next_boundary(windows, moment);
        left -= 1;
    }
    Opening::Closed {
        by,
        opens: at.filter(|_| left > 0),
        changes: at,
    }
}

/// Why it is closed, if it is.
fn closed_by(windows: &[&Window], now: Timestamp) -> Option<String> {
    let denies = |window: &&&Window| window.effect == WindowEffect::Deny && window.holds(now);
    if let Some(window) = windows.iter().find(denies) {
        return Some(window.to_string());
    }
    let allowing = windows
        .iter()
        .filter(|window| window.effect == WindowEffect::Allow);
    let allowing: Vec<&&Window> = allowing.collect();
    if allowing.is_empty() || allowing.iter().any(|window| window.holds(now)) {
        return None;
    }
    let told: Vec<String> = allowing.iter().map(ToString::to_string).collect();
    Some(told.join(", or "))
}

/// The next moment at which any window opens or closes.
fn next_boundary(windows: &[&Window], now: Timestamp) -> Option<Timestamp> {
    let boundaries = windows.iter().flat_map(|window| {
        let end = window.opened(now).map(|(_, end)| end);
        [end.filter(|end| *end > now), window.opens(now)]
    });
    boundaries.flatten().min()
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
