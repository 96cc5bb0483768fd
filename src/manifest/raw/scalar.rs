//! Values in one piece: each has its own form, its own message and its own schema.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    Report,
    form::{self, Refusal, one_of},
    read::{At, Named, Read},
};
use crate::{
    manifest::{
        aws::{Architecture, LogFormat, LogLevel, Start, UrlAuth},
        azure::Unauthenticated,
        spec::{DriftMode, FieldPattern, GateStage, HttpRoute, Megabytes, RepoPath, Runtime},
        yaml::{Node, Place},
    },
    name::{CloudName, EnvironmentName, FunctionName, GateName, GroupName, ServiceName},
};

/// Reads a text by a rule.
pub(super) fn read_text<T>(
    node: &Node,
    place: &Place,
    report: &mut Report,
    rule: impl FnOnce(&str) -> Result<T, Refusal>,
) -> Option<T> {
    let Node::Text(text) = node else {
        return report.wrong_type(place, "text", node);
    };
    match rule(text) {
        Ok(value) => Some(value),
        Err((message, help)) => {
            report.fault(place, message, help);
            None
        }
    }
}

/// Gives types that are read from text their reader.
macro_rules! read_by {
    ($($kind:ty => $rule:expr),* $(,)?) => {
        $(impl Read for $kind {
            fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
                read_text(node, place, report, $rule)
            }
        })*
    };
}

/// Gives a type a schema that stands where it is used.
macro_rules! schema_of {
    ($($kind:ty => $schema:tt),* $(,)?) => {
        $(impl JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

/// `10m`, `1h30m`, `300ms`.
#[derive(Clone, Copy, Debug)]
pub(in crate::manifest) struct Length(pub(in crate::manifest) Duration);

/// Five fields, checked.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct Cron(pub(in crate::manifest) String);

/// Of an environment variable.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::manifest) struct VariableName(pub(in crate::manifest) String);

/// A label's value.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct Label;

/// An HTTP method in upper case.
#[derive(Clone, Debug)]
pub(in crate::manifest) struct MethodWord(pub(in crate::manifest) String);

/// How many failures are forgiven; none says that any number is.
#[derive(Clone, Copy, Debug)]
pub(in crate::manifest) struct FailureLimit(pub(in crate::manifest) Option<u32>);

/// The version of this format.
#[derive(Clone, Copy, Debug)]
pub(in crate::manifest) struct ApiVersion;

impl ApiVersion {
    pub(in crate::manifest) const V1ALPHA1: &str = "verdigris.dev/v1alpha1";
}

const LEVELS: [(&str, LogLevel); 6] = [
    ("trace", LogLevel::Trace),
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
    ("fatal", LogLevel::Fatal),
];

read_by!(
    String => |text| Ok(text.to_owned()),
    ServiceName => form::name,
    EnvironmentName => form::name,
    FunctionName => form::name,
    GateName => form::name,
    GroupName => form::name,
    RepoPath => |text| Self::new(text).map_err(|error| (error.to_string(), "write it like `services/stock`".to_owned())),
    Runtime => form::runtime,
    HttpRoute => form::route,
    Cron => |text| form::cron(text).map(Self),
    VariableName => |text| form::variable(text).map(Self),
    MethodWord => |text| form::method(text).map(Self),
    ApiVersion => |text| one_of(text, &[(Self::V1ALPHA1, Self)]),
    DriftMode => |text| one_of(text, &[("enforce", Self::Enforce), ("observe", Self::Observe)]),
    FieldPattern => |text| Self::new(text).map_err(|message| (message, "write it as drift is told, such as `stock.env.LOG_LEVEL` or `*.memory`".to_owned())),
    GateStage => |text| one_of(text, &[("staging", Self::Staging), ("promotion", Self::Promotion)]),
    CloudName => |text| one_of(text, &[("aws", Self::Aws), ("azure", Self::Azure)]),
    Label => |text| form::label(text).map(|()| Self),
    Architecture => |text| one_of(text, &[("x86_64", Self::X86), ("arm64", Self::Arm64)]),
    LogFormat => |text| one_of(text, &[("text", Self::Text), ("json", Self::Json)]),
    LogLevel => |text| one_of(text, &LEVELS),
    UrlAuth => |text| one_of(text, &[("none", Self::None), ("iam", Self::Iam)]),
    Start => |text| one_of(text, &[("latest", Self::Latest), ("oldest", Self::Oldest)]),
    Unauthenticated => |text| one_of(text, &[("refuse", Self::Refuse), ("allow", Self::Allow)]),
);

pub(super) use {read_by, schema_of};

schema_of!(
    ServiceName => { "type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": 32 },
    EnvironmentName => { "type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": 24 },
    FunctionName => { "type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": 40 },
    GateName => { "type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": 63 },
    GroupName => { "type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": 63 },
    RepoPath => { "type": "string" },
    Runtime => { "type": "string", "enum": (form::runtime_words()) },
    HttpRoute => { "type": "string", "pattern": "^([A-Z]+(, ?[A-Z]+)* )?/", "examples": ["GET /stock/{sku}"] },
    Length => { "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$", "examples": ["300ms", "10m", "1h30m"] },
    Cron => { "type": "string", "examples": ["*/15 * * * *"] },
    VariableName => { "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$" },
    MethodWord => { "type": "string", "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] },
    ApiVersion => { "const": "verdigris.dev/v1alpha1" },
    DriftMode => { "type": "string", "enum": ["enforce", "observe"] },
    FieldPattern => { "type": "string", "pattern": "^[A-Za-z0-9_.*/:-]+$", "examples": ["stock.env.LOG_LEVEL"] },
    GateStage => { "type": "string", "enum": ["staging", "promotion"] },
    CloudName => { "type": "string", "enum": ["aws", "azure"] },
    FailureLimit => { "type": "integer", "minimum": -1 },
    Label => { "type": "string", "maxLength": 63 },
    Architecture => { "type": "string", "enum": ["x86_64", "arm64"] },
    LogFormat => { "type": "string", "enum": ["text", "json"] },
    LogLevel => { "type": "string", "enum": ["trace", "debug", "info", "warn", "error", "fatal"] },
    UrlAuth => { "type": "string", "enum": ["none", "iam"] },
    Start => { "type": "string", "enum": ["latest", "oldest"] },
    Unauthenticated => { "type": "string", "enum": ["refuse", "allow"] },
    Megabytes => { "anyOf": [
        { "type": "string", "pattern": "^[0-9]+ ?(Mi|MiB|MB|M|Gi|GiB|GB|G)?$" },
        { "type": "integer", "minimum": 128, "maximum": 10240 },
    ] },
);

/// A bare number is a duration without a unit, which is better told than a wrong type.
impl Read for Length {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let text = match node {
            Node::Number(_) => Node::Text(report.as_written(place)?),
            Node::Null | Node::Bool(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => {
                node.clone()
            }
        };
        read_text(&text, place, report, |text| form::duration(text).map(Self))
    }
}

impl Read for Megabytes {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let text = match node {
            Node::Number(_) => report.as_written(place)?,
            Node::Text(text) => text.clone(),
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => {
                return report.wrong_type(place, "a size such as `256Mi`", node);
            }
        };
        match form::memory(&text) {
            Ok(size) => Some(size),
            Err((message, help)) => {
                report.fault(place, message, help);
                None
            }
        }
    }
}

impl Read for bool {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Bool(value) => Some(*value),
            Node::Null | Node::Number(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => {
                report.wrong_type(place, "true or false", node)
            }
        }
    }
}

impl Read for u32 {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        let Node::Number(number) = node else {
            return report.wrong_type(place, "a whole number", node);
        };
        let whole = number
            .as_u64()
            .and_then(|number| Self::try_from(number).ok());
        if whole.is_none() {
            report.fault(
                place,
                format!("`{number}` is no whole number from 0 on"),
                "",
            );
        }
        whole
    }
}

impl Read for FailureLimit {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Number(number) if number.as_i64() == Some(-1) => Some(Self(None)),
            Node::Null
            | Node::Bool(_)
            | Node::Number(_)
            | Node::Text(_)
            | Node::List(_)
            | Node::Map(_) => u32::read(node, place, report).map(|limit| Self(Some(limit))),
        }
    }
}

/// Any value that JSON has too.
impl Read for serde_json::Value {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        Some(match node {
            Node::Null => Self::Null,
            Node::Bool(value) => Self::Bool(*value),
            Node::Number(number) => Self::Number(number.clone()),
            Node::Text(text) => Self::String(text.clone()),
            Node::List(_) => Self::Array(Vec::read(node, place, report)?),
            Node::Map(_) => {
                let entries = Named::<String, Self>::read(node, place, report)?;
                let plain = |(key, value): (At<String>, At<Self>)| (key.value, value.value);
                Self::Object(entries.0.into_iter().map(plain).collect())
            }
        })
    }
}
