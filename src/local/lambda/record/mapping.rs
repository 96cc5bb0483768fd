//! Event source mappings, as the control plane sees them; nothing is delivered from real queues here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::render::epoch;
use crate::name::Timestamp;

/// Members that a request may set and an answer shows.
const MEMBERS: &[&str] = &[
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "EventSourceArn",
    "FilterCriteria",
    "FunctionResponseTypes",
    "KMSKeyArn",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "Queues",
    "ScalingConfig",
    "SourceAccessConfigurations",
    "StartingPosition",
    "Topics",
    "TumblingWindowInSeconds",
];

/// One mapping from a source of events to a function.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::local::lambda) struct Mapping {
    pub(in crate::local::lambda) id: String,
    pub(in crate::local::lambda) function_arn: String,
    pub(in crate::local::lambda) enabled: bool,
    pub(in crate::local::lambda) members: BTreeMap<String, Value>,
    pub(in crate::local::lambda) tags: BTreeMap<String, String>,
    pub(in crate::local::lambda) modified: Timestamp,
    /// `Creating`, `Updating` or `Deleting` until that moment.
    pub(in crate::local::lambda) change: Option<(String, Timestamp)>,
}

impl Mapping {
    /// Takes over the members of a request that the model knows.
    pub(in crate::local::lambda) fn set(&mut self, request: &serde_json::Map<String, Value>) {
        for name in MEMBERS {
            if let Some(value) = request.get(*name).filter(|value| !value.is_null()) {
                self.members.insert((*name).to_owned(), value.clone());
            }
        }
        if let Some(enabled) = request.get("Enabled").and_then(Value::as_bool) {
            self.enabled = enabled;
        }
    }

    /// Ends a change that has waited long enough; false where the mapping is gone by now.
    pub(in crate::local::lambda) fn settle(&mut self, now: Timestamp) -> bool {
        match &self.change {
            Some((what, until)) if *until <= now => {
                let stays = what != "Deleting";
                self.change = None;
                stays
            }
            Some(_) | None => true,
        }
    }

    pub(in crate::local::lambda) fn source(&self) -> &str {
        self.members
            .get("EventSourceArn")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(in crate::local::lambda) fn json(&self, arn: &str) -> Value {
        let resting = if self.enabled { "Enabled" } else { "Disabled" };
        let mut shown = json!({
            "UUID": self.id,
            "EventSourceMappingArn": arn,
            "FunctionArn": self.function_arn,
            "LastModified": epoch(self.modified),
            "State": self.change.as_ref().map_or(resting, |(what, _)| what),
            "StateTransitionReason": "User action",
        });
        for (name, value) in &self.members {
            shown[name] = value.clone();
        }
        shown
    }
}
