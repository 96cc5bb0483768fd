//! What calls a function besides HTTP and its schedule.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

/// How the queue of a function is read.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueOptions {
    /// Instead of the queue of that name in the account and region of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    #[serde(flatten)]
    pub batch: Batch,
    /// Functions that read it at once, between 2 and 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
}

/// How much of a source one call gets.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Batch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// How long is waited for a batch to fill; at most 5 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// Patterns as JSON, at most five: what matches none does not call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
}

/// What calls a function besides HTTP, its queue and its schedule.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventSource {
    /// A stream of Kinesis or DynamoDB, by its ARN.
    Stream(Stream),
    Topic(Topic),
    Bucket(Bucket),
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    pub arn: String,
    #[serde(default)]
    pub from: Start,
    #[serde(flatten)]
    pub batch: Batch,
    /// Batches of one shard that are worked on at once, at most 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// A batch that fails is tried again in halves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bisect: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
}

/// Where a new reader of a stream starts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Start {
    /// With what is written from now on.
    #[default]
    Latest,
    /// With the oldest that is there.
    Oldest,
}

/// A topic of SNS.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    pub arn: String,
    /// A filter policy as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// A bucket of S3.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    pub name: String,
    /// `s3:ObjectCreated:*` and the like. Never empty.
    pub on: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
}
