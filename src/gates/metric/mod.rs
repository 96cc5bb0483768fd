//! One number of a monitoring system, compared with a limit or with what blue has at the same time.
//!
//! A system that cannot be reached is an Error. A query that gives nothing, or no number, is Inconclusive: silence says nothing about the
//! release, and least of all that it is well.

pub mod prometheus;

use std::collections::BTreeMap;

use crate::{
    manifest::gates::{
        AzureMonitorQuery, Baseline, Better, CloudWatchQuery, MetricGate, MetricSource,
        PrometheusQuery, Tolerance,
    },
    name::{CloudName, ReleaseDigest, Revision, ServiceKey, Slot},
    rollout::{
        evidence::{Check, Outcome},
        figures::MetricEvidence,
    },
};

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Finite.
    Number(f64),
    /// No series, no data point, or no number.
    Nothing { why: String },
}

impl Reading {
    /// A number that may be none: systems have NaN and infinities.
    pub fn of(number: f64) -> Self {
        if number.is_finite() {
            Self::Number(number)
        } else {
            let why = format!("the value is {number}");
            Self::Nothing { why }
        }
    }

    pub fn nothing(why: &str) -> Self {
        Self::Nothing {
            why: why.to_owned(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Nothing { why: _ } => None,
        }
    }
}

/// Blue's own value, where a gate asks for it.
#[derive(Clone, Debug, PartialEq)]
pub enum BlueReading {
    NotAsked,
    /// Nothing is on blue, or the release itself.
    NoBlue,
    Read {
        query: String,
        reading: Reading,
    },
}

/// Whom a query is about: what its placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub service: &'a ServiceKey,
    pub release: ReleaseDigest,
    pub revision: &'a Revision,
    pub slot: Slot,
    /// None where the gate asks about all clouds at once.
    pub cloud: Option<CloudName>,
}

/// The source with its placeholders filled in.
pub fn fill(source: &MetricSource, subject: &Subject<'_>) -> MetricSource {
    let fill = |text: &String| fill_text(text, subject);
    match source {
        MetricSource::Prometheus(PrometheusQuery { query, server }) => {
            MetricSource::Prometheus(PrometheusQuery {
                query: fill(query),
                server: server.clone(),
            })
        }
        MetricSource::CloudWatch(query) => {
            let CloudWatchQuery {
                namespace,
                metric,
                dimensions,
                statistic,
                over,
            } = query;
            let dimensions = dimensions.iter();
            MetricSource::CloudWatch(CloudWatchQuery {
                namespace: fill(namespace),
                metric: fill(metric),
                dimensions: dimensions
                    .map(|(name, value)| (name.clone(), fill(value)))
                    .collect(),
                statistic: statistic.clone(),
                over: *over,
            })
        }
        MetricSource::AzureMonitor(query) => {
            let AzureMonitorQuery {
                resource,
                metric,
                namespace,
                aggregation,
                filter,
                over,
            } = query;
            MetricSource::AzureMonitor(AzureMonitorQuery {
                resource: resource.as_ref().map(fill),
                metric: fill(metric),
                namespace: namespace.as_ref().map(fill),
                aggregation: aggregation.clone(),
                filter: filter.as_ref().map(fill),
                over: *over,
            })
        }
    }
}

/// What stands for a placeholder holds letters, digits and hyphens only, so it cannot end a text of a query.
fn fill_text(text: &str, subject: &Subject<'_>) -> String {
    let Subject {
        service,
        release,
        revision,
        slot,
        cloud,
    } = subject;
    let cloud = cloud.map(|cloud| cloud.to_string());
    let values = BTreeMap::from([
        ("${service}", service.service.to_string()),
        ("${environment}", service.environment.to_string()),
        ("${release}", release.to_string()),
        ("${revision}", revision.commit.to_string()),
        ("${slot}", slot.to_string()),
        ("${cloud}", cloud.unwrap_or_default()),
    ]);
    let fill = |text: String, (name, value): (&&str, &String)| text.replace(*name, value);
    values.iter().fold(text.to_owned(), fill)
}

/// The query in one line, for people.
pub fn told(source: &MetricSource) -> String {
    match source {
        MetricSource::Prometheus(PrometheusQuery { query, server: _ }) => query.clone(),
        MetricSource::CloudWatch(query) => {
            let dimensions = query.dimensions.iter();
            let dimensions: Vec<String> = dimensions.map(|(k, v)| format!("{k}={v}")).collect();
            let over = query.over.as_secs() / 60;
            let (statistic, namespace) = (&query.statistic, &query.namespace);
            format!(
                "{statistic} of {namespace} {} over {over}m {}",
                query.metric,
                dimensions.join(" ")
            )
        }
        MetricSource::AzureMonitor(query) => {
            let over = query.over.as_secs() / 60;
            let resource = query.resource.as_deref().unwrap_or("the service's slot");
            let filter = query.filter.as_deref().unwrap_or_default();
            let told = format!(
                "{} of {} over {over}m on {resource} {filter}",
                query.aggregation, query.metric
            );
            told.trim_end().to_owned()
        }
    }
}

/// Compares what was read with what the gate asks.
pub fn judge(
    gate: &MetricGate,
    query: String,
    reading: &Reading,
    blue: BlueReading,
) -> (Outcome, MetricEvidence) {
    let mut evidence = MetricEvidence {
        source: gate.source.word().to_owned(),
        query,
        value: reading.number(),
        baseline: None,
        baseline_query: None,
        checks: Vec::new(),
    };
    let value = match reading {
        Reading::Number(value) => *value,
        Reading::Nothing { why } => {
            let why = why.clone();
            return (Outcome::Inconclusive { why }, evidence);
        }
    };
    evidence.checks = limits(gate, value);
    if let Some(baseline) = &gate.baseline {
        match blue {
            BlueReading::NotAsked | BlueReading::NoBlue => evidence.checks.push(Check {
                what: "blue".to_owned(),
                wanted: "no worse than blue".to_owned(),
                got: format!("{value}; nothing else is on blue to compare with"),
                passed: true,
            }),
            BlueReading::Read { query, reading } => {
                evidence.baseline_query = Some(query);
                evidence.baseline = reading.number();
                match reading {
                    Reading::Number(blue) => {
                        evidence.checks.push(beside(baseline, value, blue));
                    }
                    Reading::Nothing { why } => {
                        let why = format!("blue: {why}");
                        return (Outcome::Inconclusive { why }, evidence);
                    }
                }
            }
        }
    }
    let failed: Vec<String> = evidence
        .checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| format!("{}: wanted {}, got {}", check.what, check.wanted, check.got))
        .collect();
    if failed.is_empty() {
        return (Outcome::Successful, evidence);
    }
    let why = failed.join("; ");
    (Outcome::Failed { why }, evidence)
}

fn limits(gate: &MetricGate, value: f64) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(max) = gate.max {
        checks.push(Check {
            what: "value".to_owned(),
            wanted: format!("at most {max}"),
            got: value.to_string(),
            passed: value <= max.get(),
        });
    }
    if let Some(min) = gate.min {
        checks.push(Check {
            what: "value".to_owned(),
            wanted: format!("at least {min}"),
            got: value.to_string(),
            passed: value >= min.get(),
        });
    }
    checks
}

fn beside(baseline: &Baseline, value: f64, blue: f64) -> Check {
    let Baseline { tolerance, better } = baseline;
    let room = match tolerance {
        Tolerance::Share(share) => blue.abs() * share.as_fraction(),
        Tolerance::Absolute(figure) => figure.get(),
    };
    let (limit, word) = match better {
        Better::Lower => (blue + room, "at most"),
        Better::Higher => (blue - room, "at least"),
    };
    let passed = match better {
        Better::Lower => value <= limit,
        Better::Higher => value >= limit,
    };
    Check {
        what: "blue".to_owned(),
        wanted: format!("{word} {limit} (blue has {blue})"),
        got: value.to_string(),
        passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::gates::{Figure, Share};

    fn gate(max: Option<f64>, min: Option<f64>, baseline: Option<Baseline>) -> MetricGate {
        MetricGate {
            source: MetricSource::Prometheus(PrometheusQuery {
                query: "up".to_owned(),
                server: None,
            }),
            max: max.and_then(Figure::new),
            min: min.and_then(Figure::new),
            baseline,
        }
    }

    fn told(gate: &MetricGate, value: Reading, blue: BlueReading) -> String {
        match judge(gate, "up".to_owned(), &value, blue).0 {
            Outcome::Successful => "successful".to_owned(),
            Outcome::Failed { why } => format!("failed: {why}"),
            Outcome::Inconclusive { why } => format!("inconclusive: {why}"),
            Outcome::Error { why } => format!("error: {why}"),
        }
    }

    fn blue(value: f64) -> BlueReading {
        BlueReading::Read {
            query: "up".to_owned(),
            reading: Reading::of(value),
        }
    }

    #[test]
    fn a_value_is_compared_with_limits() {
        let gate = gate(Some(2.0), Some(1.0), None);
        let told = |value| told(&gate, Reading::of(value), BlueReading::NotAsked);
        assert_eq!(told(1.0), "successful");
        assert_eq!(told(2.5), "failed: value: wanted at most 2, got 2.5");
        assert_eq!(told(0.5), "failed: value: wanted at least 1, got 0.5");
        assert_eq!(told(f64::NAN), "inconclusive: the value is NaN");
        assert_eq!(told(f64::INFINITY), "inconclusive: the value is inf");
    }

    #[test]
    fn a_value_is_compared_with_blues_own() {
        let relative = |better| Baseline {
            tolerance: Tolerance::Share(Share { ppm: 100_000 }),
            better,
        };
        let lower = gate(None, None, Some(relative(Better::Lower)));
        let higher = gate(None, None, Some(relative(Better::Higher)));
        assert_eq!(told(&lower, Reading::of(11.0), blue(10.0)), "successful");
        assert_eq!(
            told(&lower, Reading::of(12.0), blue(10.0)),
            "failed: blue: wanted at most 11 (blue has 10), got 12"
        );
        assert_eq!(
            told(&higher, Reading::of(8.0), blue(10.0)),
            "failed: blue: wanted at least 9 (blue has 10), got 8"
        );
        assert_eq!(
            told(&lower, Reading::of(8.0), BlueReading::NoBlue),
            "successful"
        );
        assert_eq!(
            told(&lower, Reading::of(8.0), blue(f64::NAN)),
            "inconclusive: blue: the value is NaN"
        );
    }
}
