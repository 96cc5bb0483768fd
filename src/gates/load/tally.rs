//! Counts how requests ended, and how long they took from the moment at which they were meant to be sent.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use tokio::{task::JoinError, time::Instant};

use super::drive::{Ended, Shot};
use crate::{
    manifest::gates::LoadGate,
    rollout::{
        evidence::{Check, Outcome},
        figures::LoadEvidence,
    },
};

/// Reasons that are told apart; the rest is `other`.
const REASONS_MAX: usize = 20;

/// An hour; no answer is waited for so long.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Microseconds, three digits exact.
struct Times(Option<Histogram<u64>>);

pub(super) struct Tally {
    times: Times,
    /// The same without what this machine itself was late.
    excused: Times,
    own_delays: Times,
    /// From when to when the full rate was wanted.
    window: Option<(Instant, Instant)>,
    answered_in_window: u64,
    count: u64,
    errors: u64,
    foreign: u64,
    reasons: BTreeMap<String, u64>,
    late: u64,
    unsent: u64,
    in_flight: usize,
    ramp_count: u64,
    ramp_errors: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            times: Times::new(),
            excused: Times::new(),
            own_delays: Times::new(),
            window: None,
            answered_in_window: 0,
            count: 0,
            errors: 0,
            foreign: 0,
            reasons: BTreeMap::new(),
            late: 0,
            unsent: 0,
            in_flight: 0,
            ramp_count: 0,
            ramp_errors: 0,
        }
    }
}

impl Tally {
    pub(super) fn begin(&mut self, from: Instant, to: Instant) {
        self.window = Some((from, to));
    }

    /// One left. `is_behind` says that it waited for others to be answered; else a delay is this machine's own.
    pub(super) fn sent(&mut self, delay: Duration, is_behind: bool, is_judged: bool) {
        if !is_judged {
            return;
        }
        if is_behind {
            self.late += 1;
        } else {
            self.own_delays.add(delay);
        }
    }

    /// One could not leave at all. It waited at least until now.
    pub(super) fn unsent(&mut self, due: Instant, is_judged: bool) {
        if is_judged {
            self.unsent += 1;
        }
        self.end(Shot {
            due,
            finished: Instant::now(),
            own_delay: Duration::ZERO,
            is_judged,
            ended: Ended::Nothing {
                why: "never sent: the target did not keep up".to_owned(),
            },
        });
    }

    pub(super) fn under_way(&mut self, count: usize) {
        self.in_flight = self.in_flight.max(count);
    }

    pub(super) fn take(&mut self, done: Result<Shot, JoinError>) {
        match done {
            Ok(shot) => self.end(shot),
            // A panic of ours; it counts, since nothing may be hidden.
            Err(_) => {
                self.count += 1;
                self.wrong("the request panicked".to_owned());
            }
        }
    }

    fn end(&mut self, shot: Shot) {
        let Shot {
            due,
            finished,
            own_delay,
            is_judged,
            ended,
        } = shot;
        if !is_judged {
            self.ramp_count += 1;
            self.ramp_errors += u64::from(ended != Ended::Right);
            return;
        }
        self.count += 1;
        let took = finished.saturating_duration_since(due);
        self.times.add(took);
        self.excused.add(took.saturating_sub(own_delay));
        let is_in_window = self.window.is_some_and(|(_, to)| finished <= to);
        let is_answer = match ended {
            Ended::Right => true,
            Ended::Wrong { why } => {
                self.wrong(why);
                true
            }
            Ended::Foreign { told } => {
                self.foreign += 1;
                self.wrong(told);
                true
            }
            Ended::Nothing { why } => {
                self.wrong(why);
                false
            }
        };
        self.answered_in_window += u64::from(is_answer && is_in_window);
    }

    fn wrong(&mut self, why: String) {
        self.errors += 1;
        let is_full = self.reasons.len() >= REASONS_MAX && !self.reasons.contains_key(&why);
        let why = if is_full { "other".to_owned() } else { why };
        *self.reasons.entry(why).or_default() += 1;
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gate has far fewer requests than a float has exact whole numbers"
    )]
    pub(super) fn evidence(
        &self,
        gate: &LoadGate,
        requests: Vec<String>,
        max_in_flight: u32,
    ) -> LoadEvidence {
        let seconds = gate.duration.as_secs_f64();
        let mut evidence = LoadEvidence {
            requests,
            rate: gate.rate.per_second(),
            achieved: rounded(self.answered_in_window as f64 / seconds),
            seconds,
            count: self.count,
            errors: self.errors,
            reasons: self.reasons.clone(),
            p50_ms: self.times.quantile(0.5),
            p95_ms: self.times.quantile(0.95),
            p99_ms: self.times.quantile(0.99),
            max_ms: self.times.quantile(1.0),
            late: self.late,
            unsent: self.unsent,
            in_flight: u32::try_from(self.in_flight).unwrap_or(u32::MAX),
            max_in_flight,
            ramp_count: self.ramp_count,
            ramp_errors: self.ramp_errors,
            own_delay_ms: self.own_delays.quantile(0.99),
            checks: Vec::new(),
        };
        evidence.checks = checks(gate, &self.times, &evidence);
        evidence
    }

    pub(super) fn judge(&self, gate: &LoadGate, evidence: &LoadEvidence) -> Outcome {
        let failed: Vec<&Check> = evidence.checks.iter().filter(|it| !it.passed).collect();
        if self.foreign * 2 > self.count {
            let (foreign, count) = (self.foreign, self.count);
            let why = format!("{foreign} of {count} answers were not the release's");
            return Outcome::Error { why };
        }
        if failed.is_empty() {
            return Outcome::Successful;
        }
        // What only this machine's own lateness failed says nothing about the release.
        let excused = checks(gate, &self.excused, evidence);
        if excused.iter().all(|check| check.passed) {
            let own = evidence.own_delay_ms;
            let why = format!("this machine itself sent {own} ms late: it could not hold the rate");
            return Outcome::Inconclusive { why };
        }
        let told =
            |check: &&Check| format!("{}: wanted {}, got {}", check.what, check.wanted, check.got);
        let mut told: Vec<String> = failed.iter().map(told).collect();
        if evidence.late + evidence.unsent > 0 {
            let (late, unsent) = (evidence.late, evidence.unsent);
            told.push(format!(
                "the target did not keep up: {late} sent late, {unsent} never sent"
            ));
        }
        let why = told.join("; ");
        Outcome::Failed { why }
    }
}

fn checks(gate: &LoadGate, times: &Times, evidence: &LoadEvidence) -> Vec<Check> {
    let LoadEvidence { errors, count, .. } = evidence;
    let wrong = gate.errors.map(|limit| Check {
        what: "errors".to_owned(),
        wanted: format!("at most {limit}"),
        got: format!("{} ({errors} of {count})", percent(*errors, *count)),
        passed: !limit.is_exceeded_by(*errors, *count),
    });
    let mut checks: Vec<Check> = wrong.into_iter().collect();
    let times = [
        ("p50", gate.p50, times.quantile(0.5)),
        ("p95", gate.p95, times.quantile(0.95)),
        ("p99", gate.p99, times.quantile(0.99)),
    ];
    for (what, limit, got) in times {
        let Some(limit) = limit else { continue };
        checks.push(Check {
            what: what.to_owned(),
            wanted: format!("at most {} ms", millis(limit)),
            got: format!("{got} ms"),
            passed: got <= millis(limit),
        });
    }
    checks
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gate has far fewer requests than a float has exact whole numbers"
)]
fn percent(part: u64, whole: u64) -> String {
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    format!("{}%", (share * 1000.0).round() / 1000.0)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl Times {
    fn new() -> Self {
        // The bounds are in order and three digits are few enough, so there is always one.
        Self(Histogram::new_with_bounds(1, LONGEST_MICROS, 3).ok())
    }

    fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(micros.max(1));
        }
    }

    /// In milliseconds; nothing recorded is 0.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an hour in microseconds is exact"
    )]
    fn quantile(&self, quantile: f64) -> f64 {
        let micros = self.0.as_ref().map(|it| it.value_at_quantile(quantile));
        rounded(micros.unwrap_or_default() as f64 / 1000.0)
    }
}
