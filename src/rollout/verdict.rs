//! Judges what gates found, by the algebra of Argo Rollouts, for each target alone: all of them must pass.

use std::time::Duration;

use super::evidence::{Measurement, Outcome};
use crate::{
    manifest::spec::Measure,
    name::{CloudName, Timestamp},
};

/// Longest wait after an error.
const ERROR_WAIT_MAX: Duration = Duration::from_secs(30);

/// A new app can need a while to answer: the default limit of four errors forgives 15 seconds.
const ERROR_WAIT_MIN: Duration = Duration::from_secs(1);

/// What is known about a gate by now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// To be asked again, no sooner than this.
    Pending {
        next_at: Timestamp,
    },
    Passed,
    Failed {
        why: String,
    },
    Inconclusive {
        why: String,
    },
    Error {
        why: String,
    },
}

/// The verdict on a gate that was first due at `since`, over all its measurements in the order in which they were made.
///
/// Without targets the gate is asked once for all of them, and its measurements name none.
/// A `dry_run` gate gets the verdict that it would have; not acting on it is up to the caller.
pub fn verdict(
    measure: &Measure,
    targets: &[CloudName],
    since: Timestamp,
    measurements: &[Measurement],
) -> Verdict {
    let each = places(targets).into_iter().map(|place| {
        let verdict = judge(measure, since, &of_place(measurements, place));
        name_place(verdict, place)
    });
    each.reduce(worse).unwrap_or(Verdict::Passed)
}

/// The targets that are to be asked now; `None` stands for all at once. Empty once the verdict is final.
pub fn due(
    measure: &Measure,
    targets: &[CloudName],
    since: Timestamp,
    measurements: &[Measurement],
    now: Timestamp,
) -> Vec<Option<CloudName>> {
    let is_pending = match verdict(measure, targets, since, measurements) {
        Verdict::Pending { .. } => true,
        Verdict::Passed
        | Verdict::Failed { .. }
        | Verdict::Inconclusive { .. }
        | Verdict::Error { .. } => false,
    };
    let is_due =
        |place: &Option<CloudName>| match judge(measure, since, &of_place(measurements, *place)) {
            Verdict::Pending { next_at } => is_pending && next_at <= now,
            Verdict::Passed
            | Verdict::Failed { .. }
            | Verdict::Inconclusive { .. }
            | Verdict::Error { .. } => false,
        };
    places(targets).into_iter().filter(is_due).collect()
}

fn places(targets: &[CloudName]) -> Vec<Option<CloudName>> {
    if targets.is_empty() {
        vec![None]
    } else {
        targets.iter().copied().map(Some).collect()
    }
}

fn of_place(measurements: &[Measurement], place: Option<CloudName>) -> Vec<&Measurement> {
    let is_of = |measurement: &&Measurement| measurement.target == place;
    measurements.iter().filter(is_of).collect()
}

/// How often each outcome was met.
#[derive(Default)]
struct Tally {
    successful: u32,
    failed: u32,
    inconclusive: u32,
    /// Since the last measurement that was no error.
    consecutive_errors: u32,
}

impl Tally {
    fn of(measurements: &[&Measurement]) -> Self {
        let mut tally = Self::default();
        for measurement in measurements {
            tally.add(&measurement.outcome);
        }
        tally
    }

    fn add(&mut self, outcome: &Outcome) {
        let errors = self.consecutive_errors;
        self.consecutive_errors = 0;
        match outcome {
            Outcome::Successful => self.successful += 1,
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Inconclusive { .. } => self.inconclusive += 1,
            Outcome::Error { .. } => self.consecutive_errors = errors + 1,
        }
    }
}

fn judge(measure: &Measure, since: Timestamp, measurements: &[&Measurement]) -> Verdict {
    let tally = Tally::of(measurements);
    let beyond = |count: u32, limit: u32, word: &str| {
        (count > limit).then(|| told(count, limit, word, measurements))
    };
    if let Some(why) = beyond(tally.failed, measure.failure_limit, "failed") {
        Verdict::Failed { why }
    } else if let Some(why) = beyond(
        tally.inconclusive,
        measure.inconclusive_limit,
        "inconclusive",
    ) {
        Verdict::Inconclusive { why }
    } else if let Some(why) = beyond(
        tally.consecutive_errors,
        measure.error_limit,
        "consecutive error",
    ) {
        Verdict::Error { why }
    } else if tally.successful >= measure.count {
        Verdict::Passed
    } else {
        let next_at = next_at(measure, since, measurements, tally.consecutive_errors);
        Verdict::Pending { next_at }
    }
}

fn next_at(
    measure: &Measure,
    since: Timestamp,
    measurements: &[&Measurement],
    consecutive_errors: u32,
) -> Timestamp {
    let Some(last) = measurements.last() else {
        return since.after(measure.initial_delay);
    };
    let wait = match consecutive_errors.checked_sub(1) {
        None => measure.interval,
        Some(before) => {
            let doubled = ERROR_WAIT_MIN.saturating_mul(2_u32.saturating_pow(before));
            measure.interval.max(doubled.min(ERROR_WAIT_MAX))
        }
    };
    last.finished_at.after(wait)
}

/// `2 failed measurements, 1 forgiven; status: wanted 200, got 500`
fn told(count: u32, limit: u32, word: &str, measurements: &[&Measurement]) -> String {
    let noun = if count == 1 {
        "measurement"
    } else {
        "measurements"
    };
    let told = format!("{count} {word} {noun}, {limit} forgiven");
    // Errors and failures mix, so the reason that is told is that of the last one of the kind that counted.
    let is_kind = |outcome: &Outcome| match outcome {
        Outcome::Successful => false,
        Outcome::Failed { .. } => word == "failed",
        Outcome::Inconclusive { .. } => word == "inconclusive",
        Outcome::Error { .. } => word == "consecutive error",
    };
    let last = measurements
        .iter()
        .rev()
        .find(|made| is_kind(&made.outcome));
    match last.and_then(|made| made.outcome.why()) {
        Some(why) => format!("{told}; {why}"),
        None => told,
    }
}

fn name_place(verdict: Verdict, place: Option<CloudName>) -> Verdict {
    let named = |why: String| match place {
        Some(cloud) => format!("{cloud}: {why}"),
        None => why,
    };
    match verdict {
        Verdict::Failed { why } => Verdict::Failed { why: named(why) },
        Verdict::Inconclusive { why } => Verdict::Inconclusive { why: named(why) },
        Verdict::Error { why } => Verdict::Error { why: named(why) },
        Verdict::Pending { .. } | Verdict::Passed => verdict,
    }
}

/// One target's end is the gate's end; only then does it matter what the others still wait for.
fn worse(one: Verdict, other: Verdict) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Failed { .. } => 4,
        Verdict::Error { .. } => 3,
        Verdict::Inconclusive { .. } => 2,
        Verdict::Pending { .. } => 1,
        Verdict::Passed => 0,
    };
    match (one, other) {
        (Verdict::Pending { next_at: one }, Verdict::Pending { next_at: other }) => {
            let next_at = one.min(other);
            Verdict::Pending { next_at }
        }
        (one, other) if rank(&one) >= rank(&other) => one,
        (_, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::evidence::Evidence;

    /// `S`, `F`, `E` and `I`, one a second and each a second long; lower case is on azure, upper case on aws.
    fn made(letters: &str) -> Vec<Measurement> {
        let at = |index: usize| Timestamp::from_millis(index as i64 * 1000);
        let why = |index: usize| format!("no. {index}");
        let one = |(index, letter): (usize, char)| Measurement {
            target: Some(if letter.is_uppercase() {
                CloudName::Aws
            } else {
                CloudName::Azure
            }),
            started_at: at(index),
            finished_at: at(index + 1),
            outcome: match letter.to_ascii_uppercase() {
                'S' => Outcome::Successful,
                'F' => Outcome::Failed { why: why(index) },
                'E' => Outcome::Error { why: why(index) },
                _ => Outcome::Inconclusive { why: why(index) },
            },
            evidence: Evidence::None,
        };
        letters.chars().enumerate().map(one).collect()
    }

    fn read(verdict: Verdict) -> String {
        match verdict {
            Verdict::Pending { next_at } => format!("pending until {}", next_at.millis()),
            Verdict::Passed => "passed".to_owned(),
            Verdict::Failed { why } => format!("failed: {why}"),
            Verdict::Inconclusive { why } => format!("inconclusive: {why}"),
            Verdict::Error { why } => format!("error: {why}"),
        }
    }

    #[test]
    fn one_target_follows_the_algebra() {
        let strict = Measure::default();
        let thrice = Measure {
            count: 3,
            interval: Duration::from_secs(10),
            ..Measure::default()
        };
        let lenient = Measure {
            failure_limit: 1,
            inconclusive_limit: 1,
            error_limit: 1,
            ..thrice.clone()
        };
        let delayed = Measure {
            initial_delay: Duration::from_secs(7),
            ..Measure::default()
        };
        let table = [
            (&strict, "", "pending until 0"),
            (&delayed, "", "pending until 7000"),
            (&strict, "S", "passed"),
            (
                &strict,
                "F",
                "failed: aws: 1 failed measurement, 0 forgiven; no. 0",
            ),
            (
                &strict,
                "I",
                "inconclusive: aws: 1 inconclusive measurement, 0 forgiven; no. 0",
            ),
            (&strict, "E", "pending until 2000"),
            (&strict, "EE", "pending until 4000"),
            (&strict, "EEEE", "pending until 12000"),
            (&strict, "EEEES", "passed"),
            (
                &strict,
                "EEEEE",
                "error: aws: 5 consecutive error measurements, 4 forgiven; no. 4",
            ),
            (&thrice, "SS", "pending until 12000"),
            (&thrice, "SSS", "passed"),
            (&thrice, "SE", "pending until 12000"),
            (&lenient, "SFSS", "passed"),
            (
                &lenient,
                "SFSF",
                "failed: aws: 2 failed measurements, 1 forgiven; no. 3",
            ),
            (&lenient, "FI", "pending until 12000"),
            (
                &lenient,
                "II",
                "inconclusive: aws: 2 inconclusive measurements, 1 forgiven; no. 1",
            ),
            (&lenient, "ESESES", "passed"),
            (
                &lenient,
                "ESEFEE",
                "error: aws: 2 consecutive error measurements, 1 forgiven; no. 5",
            ),
        ];
        for (measure, letters, wanted) in table {
            let told = verdict(
                measure,
                &[CloudName::Aws],
                Timestamp::default(),
                &made(letters),
            );
            assert_eq!(read(told), wanted, "{letters}");
        }
    }

    #[test]
    fn all_targets_must_pass_and_one_that_fails_is_enough() {
        let once = Measure {
            interval: Duration::from_secs(5),
            ..Measure::default()
        };
        let twice = Measure {
            count: 2,
            ..once.clone()
        };
        let table = [
            (&once, "", "pending until 0", "aws azure"),
            (&once, "S", "pending until 0", "azure"),
            (&once, "s", "pending until 0", "aws"),
            (&once, "Ss", "passed", ""),
            (
                &once,
                "f",
                "failed: azure: 1 failed measurement, 0 forgiven; no. 0",
                "",
            ),
            (
                &once,
                "Sf",
                "failed: azure: 1 failed measurement, 0 forgiven; no. 1",
                "",
            ),
            (
                &once,
                "iF",
                "failed: aws: 1 failed measurement, 0 forgiven; no. 1",
                "",
            ),
            (&twice, "Ss", "pending until 6000", "aws"),
            (&twice, "SSs", "pending until 8000", ""),
        ];
        for (measure, letters, wanted, wanted_due) in table {
            let (since, now) = (Timestamp::default(), Timestamp::from_millis(6500));
            let made = made(letters);
            assert_eq!(
                read(verdict(measure, &CloudName::ALL, since, &made)),
                wanted,
                "{letters}"
            );
            let due = due(measure, &CloudName::ALL, since, &made, now);
            let due: Vec<&str> = due.into_iter().flatten().map(CloudName::as_str).collect();
            assert_eq!(due.join(" "), wanted_due, "{letters}");
        }
    }

    #[test]
    fn a_gate_without_targets_is_asked_once_for_all() {
        let measure = Measure::default();
        let mut made = made("S");
        let pending = verdict(&measure, &[], Timestamp::default(), &made);
        assert_eq!(read(pending), "pending until 0");
        made[0].target = None;
        assert_eq!(
            verdict(&measure, &[], Timestamp::default(), &made),
            Verdict::Passed
        );
    }
}
