//! The checked form of the gates that measure: `load`, `parity` and `metric`.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::spec::RepoPath;

/// Requests at a steady rate, whatever the answers do, and how they must be answered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LoadGate {
    /// Asked in turn. Never empty.
    pub requests: Vec<LoadRequest>,
    pub rate: Rate,
    /// How long the rate rises from nothing; what is asked meanwhile is not judged.
    pub ramp: Duration,
    /// How long the full rate is held.
    pub duration: Duration,
    /// Longest wait for one answer.
    pub answer_within: Duration,
    /// What every answer must be; without it any status below 400 is right.
    pub status: Option<u16>,
    pub p50: Option<Duration>,
    pub p95: Option<Duration>,
    pub p99: Option<Duration>,
    /// Share of requests that may go wrong. None where a condition of the gate says so in its place.
    #[serde(default)]
    pub errors: Option<Share>,
    /// Most requests that are under way at once.
    pub max_in_flight: u32,
}

impl LoadGate {
    /// How many requests are meant to be sent, without those of the ramp.
    pub fn count(&self) -> u64 {
        self.rate.times(self.duration)
    }
}

/// One request of a load.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    pub method: String,
    /// Path and query on the slot's address.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
}

/// So many requests in a time. Never zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate {
    pub per_hour: u32,
}

impl Rate {
    pub fn per_second(self) -> f64 {
        f64::from(self.per_hour) / 3600.0
    }

    /// How often it happens in a time, rounded up.
    pub fn times(self, time: Duration) -> u64 {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        u64::from(self.per_hour)
            .saturating_mul(millis)
            .div_ceil(3_600_000)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_hour } = self;
        match (per_hour % 3600, per_hour % 60) {
            (0, _) => write!(f, "{}/s", per_hour / 3600),
            (_, 0) => write!(f, "{}/m", per_hour / 60),
            (_, _) => write!(f, "{per_hour}/h"),
        }
    }
}

/// A share, in parts of a million.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share {
    pub ppm: u32,
}

impl Share {
    /// Whether `part` of `whole` is more than this.
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 1_000_000 > u128::from(whole) * u128::from(self.ppm)
    }

    pub fn as_fraction(self) -> f64 {
        f64::from(self.ppm) / 1e6
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.ppm) / 1e4)
    }
}

/// Recorded requests whose answers must be alike.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ParityGate {
    /// A `.http` file of the repository at the rollout's commit.
    pub requests: RepoPath,
    pub against: Against,
    pub normal: Normal,
    /// Whether requests may change something: both sides are sent them.
    pub allow_unsafe: bool,
}

/// Whose answers are compared with those of green.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Against {
    /// The other cloud's green.
    #[default]
    Clouds,
    /// Blue on the same cloud.
    Blue,
    Both,
}

impl Against {
    pub fn wants_clouds(self) -> bool {
        match self {
            Self::Clouds | Self::Both => true,
            Self::Blue => false,
        }
    }

    pub fn wants_blue(self) -> bool {
        match self {
            Self::Blue | Self::Both => true,
            Self::Clouds => false,
        }
    }
}

/// What about two answers is compared, and what is overlooked.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// Headers that are compared, in lower case; `*` stands for all that are not known to vary.
    pub headers: Vec<String>,
    pub ignore_headers: Vec<String>,
    /// JSON pointers whose values are left out; the part `*` stands for every item or key.
    pub ignore: Vec<String>,
    /// JSON pointers of arrays whose order means nothing.
    pub sort: Vec<String>,
    /// In this order, on texts: bodies that are no JSON, strings in those that are, and headers.
    pub replace: Vec<Replacement>,
}

/// A regular expression, and what stands for each place that it matches.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Replacement {
    pub pattern: String,
    pub with: String,
}

/// One number, and what it must be like.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MetricGate {
    pub source: MetricSource,
    pub max: Option<Figure>,
    pub min: Option<Figure>,
    /// How it must compare with blue's own value.
    pub baseline: Option<Baseline>,
}

impl MetricGate {
    /// Whether each target has a number of its own.
    pub fn asks_each_target(&self) -> bool {
        match &self.source {
            MetricSource::Prometheus(query) => query.query.contains("${cloud}"),
            MetricSource::CloudWatch(_) | MetricSource::AzureMonitor(_) => false,
        }
    }
}

/// Who is asked. Texts may hold `${service}`, `${environment}`, `${release}`, `${revision}`, `${slot}` and `${cloud}`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricSource {
    Prometheus(PrometheusQuery),
    CloudWatch(CloudWatchQuery),
    AzureMonitor(AzureMonitorQuery),
}

impl MetricSource {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Prometheus(_) => "prometheus",
            Self::CloudWatch(_) => "cloudwatch",
            Self::AzureMonitor(_) => "azureMonitor",
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PrometheusQuery {
    /// PromQL that gives one number.
    pub query: String,
    /// One of those that the daemon's configuration names; the only one where unsaid.
    pub server: Option<String>,
}

/// One statistic of one metric, in the environment's account and region.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CloudWatchQuery {
    pub namespace: String,
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
    /// `Sum`, `Average`, `p99` …
    pub statistic: String,
    /// Whole minutes up to now.
    pub over: Duration,
}

/// One aggregation of one metric, in the environment's subscription.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AzureMonitorQuery {
    /// Id of the resource; the service's slot where unsaid.
    pub resource: Option<String>,
    pub metric: String,
    pub namespace: Option<String>,
    /// `Total`, `Average`, `Maximum`, `Minimum` or `Count`.
    pub aggregation: String,
    /// Such as `StatusCode eq '500'`.
    pub filter: Option<String>,
    /// Whole minutes up to now.
    pub over: Duration,
}

/// What blue's own value means for green's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub tolerance: Tolerance,
    pub better: Better,
}

/// How much worse than blue green may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tolerance {
    /// Of blue's value.
    Share(Share),
    Absolute(Figure),
}

/// Which way is good.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    #[default]
    Lower,
    Higher,
}

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figure(f64);

/// Only NaN differs from itself, and it is not finite.
impl Eq for Figure {}

impl Figure {
    pub const ZERO: Self = Self(0.0);

    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number))
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_read_as_they_are_written() {
        let rate = |per_hour| Rate { per_hour }.to_string();
        assert_eq!(
            (rate(180_000), rate(18_060), rate(61)),
            ("50/s".to_owned(), "301/m".to_owned(), "61/h".to_owned())
        );
        let share = Share { ppm: 1000 };
        assert_eq!(share.to_string(), "0.1%");
        assert!(!share.is_exceeded_by(1, 1000) && share.is_exceeded_by(2, 1000));
        assert!(Share::default().is_exceeded_by(1, u64::MAX));
    }

    #[test]
    fn a_rate_says_how_many_there_are() {
        let rate = Rate { per_hour: 180_000 };
        assert_eq!(rate.times(Duration::from_secs(20)), 1000);
        assert_eq!(rate.times(Duration::from_millis(1)), 1);
        assert_eq!(rate.times(Duration::ZERO), 0);
    }
}
