//! How a queue or stream is read: as asked for, as AWS tells it, and as its client takes it. Pure.

use std::time::Duration;

use aws_sdk_lambda::types::{
    DestinationConfig, EventSourceMappingConfiguration, EventSourcePosition, Filter,
    FilterCriteria, FunctionResponseType, OnFailure, ScalingConfig,
};
use serde::{Deserialize, Serialize};

use crate::manifest::aws::{Batch, QueueOptions, Start, Stream};

const QUEUE_BATCH: i32 = 10;
const STREAM_BATCH: i32 = 100;
/// What Lambda says for "as often as it takes" and "however old".
const FOREVER: i32 = -1;

/// Every setting as a number or a word, Lambda's own defaults filled in, so that equal means equal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(in crate::cloud::aws) struct Source {
    batch: i32,
    #[serde(default, skip_serializing_if = "is_zero")]
    window: i32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream: Option<Reading>,
    /// Somebody may have switched it off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    off: bool,
}

/// Of streams only.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Reading {
    /// Where it begins when it is made; it cannot be changed afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    oldest: bool,
    parallel: i32,
    retries: i32,
    max_age: i32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    bisect: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_failure: Option<String>,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

fn whole(number: Option<u32>, otherwise: i32) -> i32 {
    number.map_or(otherwise, |it| i32::try_from(it).unwrap_or(i32::MAX))
}

fn seconds(length: Option<Duration>, otherwise: i32) -> i32 {
    length.map_or(otherwise, |it| {
        i32::try_from(it.as_secs()).unwrap_or(i32::MAX)
    })
}

/// Without spaces and with sorted keys, however it was written.
pub(super) fn pattern(text: &str) -> String {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    parsed.map_or_else(|_| text.to_owned(), |value| value.to_string())
}

impl Source {
    pub(super) fn queue(options: &QueueOptions) -> Self {
        let QueueOptions {
            arn: _,
            batch,
            max_concurrency,
        } = options;
        let at_most = max_concurrency.map(|it| whole(Some(it), 0));
        Self {
            at_most,
            ..Self::of(batch, QUEUE_BATCH)
        }
    }

    pub(super) fn stream(stream: &Stream) -> Self {
        let Stream {
            arn: _,
            from,
            batch,
            parallel,
            retries,
            max_age,
            bisect,
            on_failure,
        } = stream;
        let reading = Reading {
            oldest: *from == Start::Oldest,
            parallel: whole(*parallel, 1),
            retries: whole(*retries, FOREVER),
            max_age: seconds(*max_age, FOREVER),
            bisect: *bisect,
            on_failure: on_failure.clone(),
        };
        Self {
            stream: Some(reading),
            ..Self::of(batch, STREAM_BATCH)
        }
    }

    fn of(batch: &Batch, size: i32) -> Self {
        let Batch {
            batch,
            window,
            filters,
        } = batch;
        Self {
            batch: whole(*batch, size),
            window: seconds(*window, 0),
            filters: filters.iter().map(|it| pattern(it)).collect(),
            at_most: None,
            stream: None,
            off: false,
        }
    }

    pub(super) fn read(found: &EventSourceMappingConfiguration) -> Self {
        let is_queue = found
            .event_source_arn()
            .is_some_and(|arn| arn.contains(":sqs:"));
        let filters = found.filter_criteria().map(|it| it.filters());
        let patterns = filters.unwrap_or_default().iter();
        let failed = found.destination_config().and_then(|it| it.on_failure());
        let reading = Reading {
            oldest: found.starting_position() == Some(&EventSourcePosition::TrimHorizon),
            parallel: found.parallelization_factor().unwrap_or(1),
            retries: found.maximum_retry_attempts().unwrap_or(FOREVER),
            max_age: found.maximum_record_age_in_seconds().unwrap_or(FOREVER),
            bisect: found.bisect_batch_on_function_error().unwrap_or_default(),
            on_failure: failed.and_then(|it| it.destination()).map(str::to_owned),
        };
        let size = if is_queue { QUEUE_BATCH } else { STREAM_BATCH };
        Self {
            batch: found.batch_size().unwrap_or(size),
            window: found.maximum_batching_window_in_seconds().unwrap_or(0),
            filters: patterns
                .filter_map(|it| it.pattern().map(pattern))
                .collect(),
            at_most: found
                .scaling_config()
                .and_then(|it| it.maximum_concurrency()),
            stream: (!is_queue).then_some(reading),
            off: found
                .state()
                .is_some_and(|state| matches!(state, "Disabled" | "Disabling")),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.off
    }

    /// Whether what is there need not be changed. Where a stream was begun is past.
    pub(super) fn serves(&self, wanted: &Self) -> bool {
        let later = |it: &Self| {
            let mut it = it.clone();
            if let Some(reading) = &mut it.stream {
                reading.oldest = false;
            }
            it
        };
        later(self) == later(wanted)
    }

    /// For a field: where a stream was begun is left out, since nobody can change it.
    pub(super) fn told(&self) -> String {
        let mut shown = self.clone();
        if let Some(reading) = &mut shown.stream {
            reading.oldest = false;
        }
        super::told(&shown)
    }
}

/// A source as the client's calls take it.
#[derive(Debug)]
pub(in crate::cloud::aws) struct SourceParts {
    pub(in crate::cloud::aws) batch: i32,
    pub(in crate::cloud::aws) window: i32,
    pub(in crate::cloud::aws) filters: FilterCriteria,
    /// Of a queue.
    pub(in crate::cloud::aws) scaling: Option<ScalingConfig>,
    /// Messages that failed are told one by one: the shims do so.
    pub(in crate::cloud::aws) responses: Vec<FunctionResponseType>,
    pub(in crate::cloud::aws) stream: Option<StreamParts>,
}

#[derive(Debug)]
pub(in crate::cloud::aws) struct StreamParts {
    pub(in crate::cloud::aws) from: EventSourcePosition,
    pub(in crate::cloud::aws) parallel: i32,
    pub(in crate::cloud::aws) retries: i32,
    pub(in crate::cloud::aws) max_age: i32,
    pub(in crate::cloud::aws) bisect: bool,
    pub(in crate::cloud::aws) failed: DestinationConfig,
}

impl Source {
    pub(in crate::cloud::aws) fn parts(&self) -> SourceParts {
        let filters = self.filters.iter();
        let filters = filters.map(|it| Filter::builder().pattern(it).build());
        let scaling = ScalingConfig::builder().set_maximum_concurrency(self.at_most);
        SourceParts {
            batch: self.batch,
            window: self.window,
            filters: FilterCriteria::builder()
                .set_filters(Some(filters.collect()))
                .build(),
            scaling: self.stream.is_none().then(|| scaling.build()),
            responses: vec![FunctionResponseType::ReportBatchItemFailures],
            stream: self.stream.as_ref().map(|reading| {
                let from = match reading.oldest {
                    true => EventSourcePosition::TrimHorizon,
                    false => EventSourcePosition::Latest,
                };
                let failed = OnFailure::builder()
                    .set_destination(reading.on_failure.clone())
                    .build();
                StreamParts {
                    from,
                    parallel: reading.parallel,
                    retries: reading.retries,
                    max_age: reading.max_age,
                    bisect: reading.bisect,
                    failed: DestinationConfig::builder().on_failure(failed).build(),
                }
            }),
        }
    }
}
