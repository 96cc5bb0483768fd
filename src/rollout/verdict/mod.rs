//! Judges what gates found, by the algebra of Argo Rollouts, for each target alone: all of them must pass.

mod algebra;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use self::algebra::judge;
use super::evidence::Measurement;
use crate::{
    manifest::spec::Measure,
    name::{CloudName, Timestamp},
};

/// What is known about a gate by now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// To be asked again, no sooner than this.
    Pending {
        next_at: Timestamp,
    },
    /// It has no end of its own and nothing speaks against it: it passes when the watch ends, and is asked again until then.
    Watching {
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
    let goes_on = match verdict(measure, targets, since, measurements) {
        Verdict::Pending { .. } | Verdict::Watching { .. } => true,
        Verdict::Passed
        | Verdict::Failed { .. }
        | Verdict::Inconclusive { .. }
        | Verdict::Error { .. } => false,
    };
    let is_due =
        |place: &Option<CloudName>| match judge(measure, since, &of_place(measurements, *place)) {
            Verdict::Pending { next_at } | Verdict::Watching { next_at } => {
                goes_on && next_at <= now
            }
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

fn name_place(verdict: Verdict, place: Option<CloudName>) -> Verdict {
    let named = |why: String| match place {
        Some(cloud) => format!("{cloud}: {why}"),
        None => why,
    };
    match verdict {
        Verdict::Failed { why } => Verdict::Failed { why: named(why) },
        Verdict::Inconclusive { why } => Verdict::Inconclusive { why: named(why) },
        Verdict::Error { why } => Verdict::Error { why: named(why) },
        Verdict::Pending { .. } | Verdict::Watching { .. } | Verdict::Passed => verdict,
    }
}

/// One target's end is the gate's end; only then does it matter what the others still wait for.
fn worse(one: Verdict, other: Verdict) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Failed { .. } => 5,
        Verdict::Error { .. } => 4,
        Verdict::Inconclusive { .. } => 3,
        Verdict::Pending { .. } => 2,
        Verdict::Watching { .. } => 1,
        Verdict::Passed => 0,
    };
    let next_at = [&one, &other]
        .into_iter()
        .filter_map(Verdict::next_at)
        .min();
    let worse = if rank(&one) >= rank(&other) {
        one
    } else {
        other
    };
    match (worse, next_at) {
        (Verdict::Pending { .. }, Some(next_at)) => Verdict::Pending { next_at },
        (Verdict::Watching { .. }, Some(next_at)) => Verdict::Watching { next_at },
        (worse, _) => worse,
    }
}

impl Verdict {
    fn next_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { next_at } | Self::Watching { next_at } => Some(*next_at),
            Self::Passed | Self::Failed { .. } | Self::Inconclusive { .. } | Self::Error { .. } => {
                None
            }
        }
    }
}
