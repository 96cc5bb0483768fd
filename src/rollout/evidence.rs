//! placeholder until gates land
use crate::name::{CloudName, Timestamp};
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub target: Option<CloudName>,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}
