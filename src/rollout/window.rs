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
