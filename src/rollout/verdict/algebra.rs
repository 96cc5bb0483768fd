//! One series of measurements, made in one place, oldest first.
//!
//! The rules are those of Argo Rollouts, limit by limit. They are asked after each measurement, and the first end stays the end.

use std::time::Duration;

use super::Verdict;
use crate::{
    manifest::spec::Measure,
    name::Timestamp,
    rollout::evidence::{Measurement, Outcome},
};

/// Longest wait after an error.
const ERROR_WAIT_MAX: Duration = Duration::from_secs(30);

/// A new app can need a while to answer: the default limit of four errors forgives 15 seconds.
const ERROR_WAIT_MIN: Duration = Duration::from_secs(1);

/// How often each outcome was met, and how often in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    successful: u32,
    failed: u32,
    inconclusive: u32,
    /// Since the last measurement that was no error.
    errors_in_row: u32,
    /// Since the last measurement that was no success.
    successes_in_row: u32,
}

/// What a series amounts to, where it ended.
enum End {
    Passed,
    Failed(String),
    Inconclusive(String),
    Error(String),
}

impl Tally {
    fn add(self, outcome: &Outcome) -> Self {
        let Self {
            successful,
            failed,
            inconclusive,
            errors_in_row,
            successes_in_row,
        } = self;
        let next = Self {
            errors_in_row: 0,
            successes_in_row: 0,
            ..self
        };
        match outcome {
            Outcome::Successful => Self {
                successful: successful + 1,
                successes_in_row: successes_in_row + 1,
                ..next
            },
            Outcome::Failed { .. } => Self {
                failed: failed + 1,
                ..next
            },
            Outcome::Inconclusive { .. } => Self {
                inconclusive: inconclusive + 1,
                ..next
            },
            Outcome::Error { .. } => Self {
                errors_in_row: errors_in_row + 1,
                ..next
            },
        }
    }

    /// Measurements that count: an error measured nothing.
    fn counted(self) -> u32 {
        self.successful + self.failed + self.inconclusive
    }
}

/// The verdict on a series that was first due at `since`.
pub(super) fn judge(measure: &Measure, since: Timestamp, series: &[&Measurement]) -> Verdict {
    let mut tally = Tally::default();
    for made in series {
        tally = tally.add(&made.outcome);
        if let Some(end) = end(measure, tally, made) {
            return end.into();
        }
    }
    let next_at = next_at(measure, since, series, tally.errors_in_row);
    if measure.is_endless() && tally.successful > 0 {
        Verdict::Watching { next_at }
    } else {
        Verdict::Pending { next_at }
    }
}

/// Whether the newest measurement ends the series.
fn end(measure: &Measure, tally: Tally, newest: &Measurement) -> Option<End> {
    let why = |count: u32, limit: u32, word: &str| told(count, limit, word, newest);
    let is_beyond = |count: u32, limit: Option<u32>| limit.filter(|limit| count > *limit);
    if let Some(limit) = is_beyond(tally.failed, measure.failure_limit) {
        Some(End::Failed(why(tally.failed, limit, "failed")))
    } else if let Some(limit) = is_beyond(tally.inconclusive, Some(measure.inconclusive_limit)) {
        let why = why(tally.inconclusive, limit, "inconclusive");
        Some(End::Inconclusive(why))
    } else if let Some(limit) = is_beyond(tally.errors_in_row, Some(measure.error_limit)) {
        let why = why(tally.errors_in_row, limit, "consecutive error");
        Some(End::Error(why))
    } else if measure
        .success_limit
        .is_some_and(|limit| tally.successes_in_row >= limit)
    {
        Some(End::Passed)
    } else if measure.count.is_some_and(|count| tally.counted() >= count) {
        Some(counted_out(measure, tally))
    } else {
        None
    }
}

/// Every measurement was made and no limit was broken, so what is left to ask is whether enough succeeded.
fn counted_out(measure: &Measure, tally: Tally) -> End {
    let made = tally.counted();
    match (measure.success_limit, measure.failure_limit) {
        (Some(limit), Some(_)) => End::Inconclusive(never_in_row(made, limit)),
        (Some(limit), None) => End::Failed(never_in_row(made, limit)),
        // Manifests whose limits forgive everything are refused; this holds for what was stored before they were.
        (None, _) if tally.successful == 0 => {
            End::Inconclusive(format!("none of {} succeeded", measurements(made)))
        }
        (None, _) => End::Passed,
    }
}

fn never_in_row(made: u32, limit: u32) -> String {
    let noun = if limit == 1 {
        "success"
    } else {
        "successes in a row"
    };
    format!("{} made, and never {limit} {noun}", measurements(made))
}

fn next_at(
    measure: &Measure,
    since: Timestamp,
    series: &[&Measurement],
    errors_in_row: u32,
) -> Timestamp {
    let Some(last) = series.last() else {
        return since.after(measure.initial_delay);
    };
    let wait = match errors_in_row.checked_sub(1) {
        None => measure.interval,
        Some(before) => {
            let doubled = ERROR_WAIT_MIN.saturating_mul(2_u32.saturating_pow(before));
            measure.interval.max(doubled.min(ERROR_WAIT_MAX))
        }
    };
    last.finished_at.after(wait)
}

/// `2 failed measurements, 1 forgiven; status: wanted 200, got 500`
fn told(count: u32, limit: u32, word: &str, newest: &Measurement) -> String {
    let noun = if count == 1 {
        "measurement"
    } else {
        "measurements"
    };
    let told = format!("{count} {word} {noun}, {limit} forgiven");
    // The limit was broken just now, so the newest measurement is of the kind that broke it.
    match newest.outcome.why() {
        Some(why) => format!("{told}; {why}"),
        None => told,
    }
}

fn measurements(count: u32) -> String {
    if count == 1 {
        "1 measurement".to_owned()
    } else {
        format!("{count} measurements")
    }
}

impl From<End> for Verdict {
    fn from(end: End) -> Self {
        match end {
            End::Passed => Self::Passed,
            End::Failed(why) => Self::Failed { why },
            End::Inconclusive(why) => Self::Inconclusive { why },
            End::Error(why) => Self::Error { why },
        }
    }
}
