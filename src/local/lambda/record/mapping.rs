//! Event source mappings, as the control plane sees them.

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

fn has_filters(criteria: &Value) -> bool {
    criteria["Filters"]
        .as_array()
        .is_some_and(|filters| !filters.is_empty())
}

/// What events come from: each kind has members of its own, and values that nobody has to give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::local::lambda) enum Source {
    Queue,
    /// A stream of Kinesis or DynamoDB.
    Stream,
    /// Any other, which is a broker.
    Broker,
}

impl Source {
    pub(in crate::local::lambda) fn of(arn: &str) -> Self {
        match arn.split(':').nth(2) {
            Some("sqs") => Self::Queue,
            Some("kinesis" | "dynamodb") => Self::Stream,
            Some(_) | None => Self::Broker,
        }
    }

    /// The members that a mapping has before anything is asked for.
    pub(in crate::local::lambda) fn members(self) -> BTreeMap<String, Value> {
        let members = match self {
            Self::Queue => json!({
                "BatchSize": 10,
                "FunctionResponseTypes": [],
                "MaximumBatchingWindowInSeconds": 0,
            }),
            Self::Stream => json!({
                "BatchSize": 100,
                "BisectBatchOnFunctionError": false,
                "DestinationConfig": {"OnFailure": {}},
                "FunctionResponseTypes": [],
                "LastProcessingResult": "No records processed",
                "MaximumBatchingWindowInSeconds": 0,
                "MaximumRecordAgeInSeconds": -1,
                "MaximumRetryAttempts": -1,
                "ParallelizationFactor": 1,
                "TumblingWindowInSeconds": 0,
            }),
            Self::Broker => json!({
                "BatchSize": 100,
                "LastProcessingResult": "No records processed",
            }),
        };
        let members = members.as_object().into_iter().flatten();
        members
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Who brought a mapping into its state: the same word for everything, but not the same spelling.
    fn reason(self) -> &'static str {
        match self {
            Self::Stream => "User action",
            Self::Queue | Self::Broker => "USER_INITIATED",
        }
    }
}

/// One mapping from a source of events to a function.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::local::lambda) struct Mapping {
    pub(in crate::local::lambda) id: String,
    pub(in crate::local::lambda) function_arn: String,
    pub(in crate::local::lambda) enabled: bool,
    pub(in crate::local::lambda) members: BTreeMap<String, Value>,
    pub(in crate::local::lambda) tags: BTreeMap<String, String>,
    pub(in crate::local::lambda) modified: Timestamp,
    /// Why what comes from the source does not reach the function, where somebody asked for that.
    #[serde(default)]
    pub(in crate::local::lambda) problem: Option<String>,
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
        // No filters at all are not shown.
        self.members
            .retain(|name, value| name != "FilterCriteria" || has_filters(value));
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
            "StateTransitionReason": Source::of(self.source()).reason(),
        });
        for (name, value) in &self.members {
            shown[name] = value.clone();
        }
        if let Some(problem) = self.problem.as_ref().filter(|_| self.change.is_none()) {
            shown["LastProcessingResult"] = json!(format!("PROBLEM: {problem}"));
        }
        shown
    }
}
