//! Queues and streams that call a function of others, as their mappings say. Pure.

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, EventSourcePosition};
use serde_yaml::Value;

use super::{Notes, Reading};
use crate::{
    import::clouds::{map, queue_name},
    manifest::is_arn,
};

const QUEUE_BATCH: i32 = 10;
const STREAM_BATCH: i32 = 100;

/// Where a function lies.
#[derive(Debug)]
pub(super) struct Place {
    /// `arn:aws:sqs:eu-west-1:123456789012:` without its resource.
    queues: String,
}

impl Place {
    pub(super) fn of(function: &str) -> Self {
        let parts: Vec<&str> = function.split(':').collect();
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        let (partition, region, account) = (part(1), part(3), part(4));
        Self {
            queues: format!("arn:{partition}:sqs:{region}:{account}:"),
        }
    }
}

pub(super) fn source(
    mapping: &EventSourceMappingConfiguration,
    place: &Place,
    reading: &mut Reading<'_>,
) {
    let arn = mapping.event_source_arn().unwrap_or_default();
    let path = format!("events.{}", if arn.is_empty() { "mapping" } else { arn });
    let state = mapping.state().unwrap_or_default();
    if matches!(state, "Disabled" | "Disabling") {
        let how = "was switched off: left out";
        reading.notes.changed(path, how);
        return;
    }
    let is_stream = is_arn(arn, &["kinesis"]) || is_arn(arn, &["dynamodb"]);
    if is_arn(arn, &["sqs"]) {
        queue(mapping, arn, &path, place, reading);
    } else if is_stream {
        stream(mapping, arn, &path, reading);
    } else {
        let why = "no reader of this kind of source is set up: keep its mapping, and have it call the alias `blue`";
        reading.notes.left(path, why);
    }
}

fn queue(
    mapping: &EventSourceMappingConfiguration,
    arn: &str,
    path: &str,
    place: &Place,
    reading: &mut Reading<'_>,
) {
    if reading.function.queue.is_some() {
        let why = "a function reads one queue: give this one to another with the same handler";
        reading.notes.left(path, why);
        return;
    }
    let own = arn.rsplit(':').next().unwrap_or_default();
    let name = queue_name(own);
    let is_here = arn == format!("{}{name}", place.queues);
    let [batch, window, filters] = batch(mapping, QUEUE_BATCH, path, &mut reading.notes);
    let scaling = mapping.scaling_config();
    let options = map([
        ("arn", (!is_here).then(|| arn.into())),
        batch,
        window,
        filters,
        (
            "maxConcurrency",
            scaling
                .and_then(|it| it.maximum_concurrency())
                .map(Value::from),
        ),
    ]);
    reading.function.queue = Some(name);
    reading.aws("queue", options);
    again(path, reading);
}

/// Two readers share a queue's messages, and each gets a stream's records.
fn again(path: &str, reading: &mut Reading<'_>) {
    let how = "taken over: end the old mapping when a release goes live, since both read";
    reading.notes.changed(path, how);
}

fn stream(
    mapping: &EventSourceMappingConfiguration,
    arn: &str,
    path: &str,
    reading: &mut Reading<'_>,
) {
    let is_table = is_arn(arn, &["dynamodb"]);
    let kind = if is_table { "dynamodb" } else { "kinesis" };
    let [batch, window, filters] = batch(mapping, STREAM_BATCH, path, &mut reading.notes);
    let count = |told: Option<i32>, plain: i32| {
        let told = told.filter(|it| *it >= 0 && *it != plain);
        told.map(Value::from)
    };
    let age = mapping.maximum_record_age_in_seconds();
    let age = age.filter(|it| *it >= 0).map(|it| format!("{it}s").into());
    let bisect = mapping.bisect_batch_on_function_error();
    let failed = mapping.destination_config().and_then(|it| it.on_failure());
    let failed = failed.and_then(|it| it.destination());
    let oldest = mapping.starting_position() == Some(&EventSourcePosition::TrimHorizon);
    let event = map([
        (kind, Some(arn.into())),
        ("from", oldest.then(|| "oldest".into())),
        batch,
        window,
        ("parallel", count(mapping.parallelization_factor(), 1)),
        ("retries", count(mapping.maximum_retry_attempts(), -1)),
        ("maxAge", age),
        ("bisect", bisect.filter(|it| *it).map(Value::from)),
        (
            "onFailure",
            failed.filter(|it| !it.is_empty()).map(Value::from),
        ),
        filters,
    ]);
    if mapping
        .tumbling_window_in_seconds()
        .is_some_and(|it| it > 0)
    {
        let why = "batches are not summed up: keep the sum in a store of your own";
        reading.notes.left(format!("{path}.tumblingWindow"), why);
    }
    if mapping.starting_position() == Some(&EventSourcePosition::AtTimestamp) {
        let why = "a stream is read from `latest` or `oldest` on: `latest` stands there";
        reading.notes.left(format!("{path}.startingPosition"), why);
    }
    let resource = arn.split(':').nth(5).unwrap_or_default();
    let name = resource.split('/').nth(1).unwrap_or(kind);
    reading.event(name, event);
    again(path, reading);
}

type Entry = (&'static str, Option<Value>);

/// What queues and streams share.
fn batch(
    mapping: &EventSourceMappingConfiguration,
    plain: i32,
    path: &str,
    notes: &mut Notes,
) -> [Entry; 3] {
    let size = mapping.batch_size().filter(|it| *it != plain);
    let window = mapping.maximum_batching_window_in_seconds();
    let window = window.filter(|it| *it > 0);
    let criteria = mapping.filter_criteria().map(|it| it.filters());
    let patterns = criteria.unwrap_or_default().iter();
    let mut filters = Vec::new();
    for pattern in patterns.filter_map(|it| it.pattern()) {
        let read: Result<serde_json::Value, _> = serde_json::from_str(pattern);
        // Cannot fail: what was JSON has a form in YAML.
        let read = read.map(|it| serde_yaml::to_value(it).unwrap_or_default());
        match read {
            Ok(read) => filters.push(read),
            Err(_) => notes.left(format!("{path}.filters"), "is no pattern: write `filters`"),
        }
    }
    if mapping.filter_criteria_error().is_some() {
        let why = "its filters are encrypted, and cannot be read: write `filters`, else every message calls";
        notes.left(format!("{path}.filters"), why);
    }
    [
        ("batch", size.map(Value::from)),
        ("window", window.map(|it| format!("{it}s").into())),
        ("filters", (!filters.is_empty()).then(|| filters.into())),
    ]
}
