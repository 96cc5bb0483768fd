//! What a function asks of AWS Lambda alone. A value of these types has passed every rule.
//!
//! Everything here may stand at a service, for all its functions, and at a function, which then wins key by key.

mod events;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::events::{Batch, Bucket, EventSource, QueueOptions, Start, Stream, Topic};
use super::spec::Megabytes;

/// The `aws:` of a function, with what its service says where it says nothing. `None` asks for nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AwsFunction {
    /// The Lambda function's name, where it is not the one that we give. Of one function, so that no service says it for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Size of `/tmp`, between 512 and 10,240 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<Megabytes>,
    /// ARNs of layer versions, in the order in which they are laid; at most five.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc: Option<Vpc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<FileSystem>,
    /// ARN of a queue or topic for asynchronous calls that failed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asynchronous: Option<Asynchronous>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snap_start: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// ARN of the key that the variables are encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<UrlOptions>,
    /// Statements of the alias `blue`'s policy, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub permissions: BTreeMap<String, Permission>,
    /// How the function's `queue` is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueOptions>,
    /// Further sources of events, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, EventSource>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// A container image by digest, which runs instead of the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// ARN of the role that it runs as, instead of the environment's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it may do besides what everything here needs, by name. A function that asks for any has a role of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub allow: BTreeMap<String, Rights>,
}

impl AwsFunction {
    /// What a function says, and what its service says where it says nothing. Tags, permissions and events are put together by name.
    #[must_use]
    pub fn over(self, service: &Self) -> Self {
        let Self {
            name,
            architecture,
            ephemeral_storage,
            layers,
            vpc,
            file_system,
            dead_letter,
            asynchronous,
            concurrency,
            snap_start,
            tracing,
            logs,
            kms_key,
            url,
            permissions,
            queue,
            events,
            tags,
            image,
            role,
            allow,
        } = self;
        Self {
            name: name.or_else(|| service.name.clone()),
            architecture: architecture.or(service.architecture),
            ephemeral_storage: ephemeral_storage.or(service.ephemeral_storage),
            layers: layers.or_else(|| service.layers.clone()),
            vpc: vpc.or_else(|| service.vpc.clone()),
            file_system: file_system.or_else(|| service.file_system.clone()),
            dead_letter: dead_letter.or_else(|| service.dead_letter.clone()),
            asynchronous: asynchronous.or_else(|| service.asynchronous.clone()),
            concurrency: concurrency.or_else(|| service.concurrency.clone()),
            snap_start: snap_start.or(service.snap_start),
            tracing: tracing.or(service.tracing),
            logs: logs.or_else(|| service.logs.clone()),
            kms_key: kms_key.or_else(|| service.kms_key.clone()),
            url: url.or_else(|| service.url.clone()),
            permissions: both(permissions, &service.permissions),
            queue: queue.or_else(|| service.queue.clone()),
            events: both(events, &service.events),
            tags: both(tags, &service.tags),
            image: image.or_else(|| service.image.clone()),
            role: role.or_else(|| service.role.clone()),
            allow: both(allow, &service.allow),
        }
    }

    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn both<V: Clone>(own: BTreeMap<String, V>, shared: &BTreeMap<String, V>) -> BTreeMap<String, V> {
    let mut all = shared.clone();
    all.extend(own);
    all
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    #[default]
    #[serde(rename = "x86_64")]
    X86,
    Arm64,
}

impl Architecture {
    /// As Lambda and manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// A network of the user's. Neither list is empty.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vpc {
    pub subnets: BTreeSet<String>,
    pub security_groups: BTreeSet<String>,
    #[serde(default)]
    pub ipv6: bool,
}

/// An access point of EFS, and the folder below `/mnt` where it appears.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSystem {
    pub access_point: String,
    pub mount: String,
}

/// What becomes of calls that nobody waits for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Asynchronous {
    /// Further tries after an error, at most 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long a call may wait, between a minute and six hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// ARN of a queue, topic, function or event bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
}

/// Concurrency that is kept for a function, and that is kept warm. Both belong to `blue`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Concurrency {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u32>,
    /// At least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<u32>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logs {
    pub format: LogFormat,
    /// With `json` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// With `json` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_level: Option<LogLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Days, one of those that CloudWatch Logs knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl LogFormat {
    /// As Lambda writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Json => "JSON",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl LogLevel {
    /// As Lambda writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// How the addresses of both slots answer.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UrlOptions {
    pub auth: UrlAuth,
    /// The answer is passed on as it is made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UrlAuth {
    /// Everyone may call.
    #[default]
    None,
    /// Whoever signs as somebody who is permitted.
    Iam,
}

/// Which web pages of other origins may call.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cors {
    pub origins: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub methods: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub headers: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub expose: BTreeSet<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub credentials: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

/// What a function may do elsewhere. Neither set is empty.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rights {
    /// `dynamodb:GetItem`, `s3:Get*`.
    pub actions: BTreeSet<String>,
    /// ARNs, with `*` where many are meant.
    pub on: BTreeSet<String>,
}

/// Who else may do what with `blue`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// A service (`s3.amazonaws.com`), an account, an ARN, or `*`.
    pub principal: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_account: Option<String>,
}
