//! Evidence of the gates that measure: `load`, `parity` and `metric`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::{Check, cut_end};

/// What came of a steady rate of requests. Times count from the moment at which each request was meant to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadEvidence {
    /// `GET https://…/stock/42`: what was asked in turn; the first of them.
    pub requests: Vec<String>,
    /// Wanted, in requests a second.
    pub rate: f64,
    /// Answers a second while the full rate was wanted.
    pub achieved: f64,
    /// For how long the full rate was held.
    pub seconds: f64,
    /// Requests that were meant to be sent, without those of the ramp.
    pub count: u64,
    /// Those that went wrong, whatever the reason.
    pub errors: u64,
    /// How many went wrong for which reason: `status 503`, `no answer in time`.
    pub reasons: BTreeMap<String, u64>,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// Sent later than meant, since as many as allowed were under way: the target did not keep up.
    pub late: u64,
    /// Never sent, for the same reason.
    pub unsent: u64,
    /// Most requests that were under way at once, and how many were allowed.
    pub in_flight: u32,
    pub max_in_flight: u32,
    /// Requests of the ramp, and those of them that went wrong; neither is judged.
    pub ramp_count: u64,
    pub ramp_errors: u64,
    /// 99 of 100 requests left no later than this after they could have: how well this machine kept the time.
    pub own_delay_ms: f64,
    pub checks: Vec<Check>,
}

/// Where the answers to recorded requests differ.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParityEvidence {
    /// The file with the requests.
    pub file: String,
    pub requests: u32,
    /// `aws green` with `azure green`, `aws green` with `aws blue` …
    pub pairs: Vec<Pair>,
    /// What could not be compared, and why that is no fault: no release is on blue yet.
    pub notes: Vec<String>,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// All of them.
    pub difference_count: u32,
}

/// Two sides that were asked the same.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    pub one: String,
    pub other: String,
    /// Requests whose answers were compared.
    pub compared: u32,
    /// Requests whose answers differ.
    pub different: u32,
}

/// One thing in which two answers differ, after what is declared not to matter was left out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `GET /stock/42 (line 3)`.
    pub request: String,
    /// `status`, `header content-type`, `body /items/0/price`, `body`.
    pub what: String,
    /// Whose answers, and what they say.
    pub one: Side,
    pub other: Side,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// `aws green`.
    pub name: String,
    pub value: String,
}

/// One number from a monitoring system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricEvidence {
    /// `prometheus`, `cloudwatch` or `azureMonitor`.
    pub source: String,
    /// As it was asked, placeholders filled in.
    pub query: String,
    /// `None` where there was none.
    pub value: Option<f64>,
    /// Blue's own, where the gate compares with it.
    pub baseline: Option<f64>,
    pub baseline_query: Option<String>,
    pub checks: Vec<Check>,
}

impl LoadEvidence {
    pub(super) fn shorten(&mut self, max: usize) {
        self.requests.iter_mut().for_each(|it| cut_end(it, max));
    }
}

impl ParityEvidence {
    /// Cuts each text, and keeps as many differences as fit into a few times `max`.
    pub(super) fn shorten(&mut self, max: usize) {
        let each = (max / 4).max(64);
        for difference in &mut self.differences {
            let Difference {
                request,
                what,
                one,
                other,
            } = difference;
            for text in [request, what, &mut one.value, &mut other.value] {
                cut_end(text, each);
            }
        }
        self.differences.truncate((max / 64).max(1));
    }
}

impl MetricEvidence {
    pub(super) fn shorten(&mut self, max: usize) {
        cut_end(&mut self.query, max);
        self.baseline_query
            .iter_mut()
            .for_each(|it| cut_end(it, max));
    }
}
