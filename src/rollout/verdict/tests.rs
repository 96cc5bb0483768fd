//! The table of the algebra.

use std::time::Duration;

use super::*;
use crate::rollout::evidence::{Evidence, Outcome};

/// `S`, `F`, `E` and `I`, one a second and each a second long; lower case is on azure, upper case on aws.
pub(super) fn made(letters: &str) -> Vec<Measurement> {
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

pub(super) fn read(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pending { next_at } => format!("pending until {}", next_at.millis()),
        Verdict::Watching { next_at } => format!("watching until {}", next_at.millis()),
        Verdict::Passed => "passed".to_owned(),
        Verdict::Failed { why } => format!("failed: {why}"),
        Verdict::Inconclusive { why } => format!("inconclusive: {why}"),
        Verdict::Error { why } => format!("error: {why}"),
    }
}

#[track_caller]
fn check(table: &[(&Measure, &str, &str)]) {
    for (measure, letters, wanted) in table {
        let made = made(letters);
        let told = verdict(measure, &[CloudName::Aws], Timestamp::default(), &made);
        assert_eq!(read(told), *wanted, "{letters}");
    }
}

#[test]
fn one_target_follows_the_algebra() {
    let strict = Measure::default();
    let thrice = Measure {
        count: Some(3),
        interval: Duration::from_secs(10),
        ..Measure::default()
    };
    let lenient = Measure {
        failure_limit: Some(1),
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
        (&lenient, "SFS", "passed"),
        (&lenient, "SF", "pending until 12000"),
        (&lenient, "IFS", "passed"),
        (
            &lenient,
            "SFF",
            "failed: aws: 2 failed measurements, 1 forgiven; no. 2",
        ),
        (&lenient, "FI", "pending until 12000"),
        (
            &lenient,
            "II",
            "inconclusive: aws: 2 inconclusive measurements, 1 forgiven; no. 1",
        ),
        (&lenient, "ESESES", "passed"),
        (&lenient, "SFESSSF", "passed"),
        (
            &lenient,
            "ESEFEE",
            "error: aws: 2 consecutive error measurements, 1 forgiven; no. 5",
        ),
    ];
    check(&table);
}

#[test]
fn successes_in_a_row_and_watches_without_end_follow_the_algebra() {
    let in_row = Measure {
        count: None,
        success_limit: Some(2),
        failure_limit: Some(1),
        ..Measure::default()
    };
    let until_it_holds = Measure {
        failure_limit: None,
        ..in_row.clone()
    };
    let of_three = |measure: &Measure| Measure {
        count: Some(3),
        ..measure.clone()
    };
    let (bounded, waiting) = (of_three(&in_row), of_three(&until_it_holds));
    let watch = Measure {
        count: None,
        failure_limit: Some(1),
        ..Measure::default()
    };
    let forgives_all = Measure {
        failure_limit: Some(1),
        ..Measure::default()
    };
    let table = [
        (&in_row, "S", "pending until 2000"),
        (&in_row, "SS", "passed"),
        (&in_row, "SFS", "pending until 4000"),
        (&in_row, "SESS", "passed"),
        (
            &in_row,
            "SFF",
            "failed: aws: 2 failed measurements, 1 forgiven; no. 2",
        ),
        (&until_it_holds, "FFFFFFS", "pending until 8000"),
        (&until_it_holds, "FFFFFFSS", "passed"),
        (
            &bounded,
            "SFS",
            "inconclusive: aws: 3 measurements made, and never 2 successes in a row",
        ),
        (
            &waiting,
            "SFS",
            "failed: aws: 3 measurements made, and never 2 successes in a row",
        ),
        (&waiting, "FSS", "passed"),
        (&watch, "", "pending until 0"),
        (&watch, "F", "pending until 2000"),
        (&watch, "FS", "watching until 3000"),
        (&watch, "FSSSSS", "watching until 7000"),
        (&watch, "FSE", "watching until 4000"),
        (
            &watch,
            "FSF",
            "failed: aws: 2 failed measurements, 1 forgiven; no. 2",
        ),
        (
            &forgives_all,
            "F",
            "inconclusive: aws: none of 1 measurement succeeded",
        ),
    ];
    check(&table);
}

#[test]
fn all_targets_must_pass_and_one_that_fails_is_enough() {
    let once = Measure {
        interval: Duration::from_secs(5),
        ..Measure::default()
    };
    let twice = Measure {
        count: Some(2),
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
