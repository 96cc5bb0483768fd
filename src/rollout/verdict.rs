//! placeholder until gates land
use super::evidence::Measurement;
use crate::{manifest::spec::Measure, name::Timestamp};
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    Pending { next_at: Timestamp },
    Passed,
    Failed { why: String },
    Inconclusive { why: String },
    Error { why: String },
}
pub fn verdict(_: &Measure, _: &[Measurement]) -> Verdict {
    Verdict::Passed
}
