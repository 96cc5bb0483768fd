//! Values with a short and a long form.

use schemars::JsonSchema;

use super::{
    AcrossLong, CaptureLong, CommandLong, FollowsLong, ParameterText, SecretText,
    read::{At, Read, Report},
};
use crate::{
    manifest::yaml::{Node, Place},
    name::{CloudName, EnvironmentName},
};

/// A value, or the name of a secret in each cloud's own store.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum EnvText {
    Plain(#[schemars(with = "Scalar")] String),
    Secret(SecretText),
}

/// What YAML may take a plain value for.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes what may be written; never built")]
enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
}

/// The order of promotion.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum AcrossText {
    Word(Together),
    List(#[schemars(length(min = 2, max = 2))] Vec<At<CloudName>>),
    Long(AcrossLong),
}

#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::manifest) enum Together {
    Together,
}

/// A command.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum CommandText {
    Short(String),
    Long(CommandLong),
}

/// A part of an answer.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum CaptureText {
    Json(String),
    Long(CaptureLong),
}

/// A parameter: its default, or more about it.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum ParameterForm {
    Default(#[schemars(with = "Scalar")] serde_json::Value),
    Long(ParameterText),
}

/// The environment that another one follows.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum FollowsText {
    Short(At<EnvironmentName>),
    Long(FollowsLong),
}

// === impl Read ===

impl Read for ParameterForm {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Map(_) => ParameterText::read(node, place, report).map(Self::Long),
            Node::Null => Some(Self::Long(ParameterText::default())),
            Node::Text(_) | Node::Bool(_) | Node::Number(_) | Node::List(_) => {
                serde_json::Value::read(node, place, report).map(Self::Default)
            }
        }
    }
}

impl Read for CaptureText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Text(text) => Some(Self::Json(text.clone())),
            Node::Map(_) => CaptureLong::read(node, place, report).map(Self::Long),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) => {
                report.wrong_type(place, "a JSON path or `{ header: NAME }`", node)
            }
        }
    }
}

impl Read for EnvText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Text(text) => Some(Self::Plain(text.clone())),
            Node::Bool(_) | Node::Number(_) => report.as_written(place).map(Self::Plain),
            Node::Map(_) => SecretText::read(node, place, report).map(Self::Secret),
            Node::Null | Node::List(_) => {
                report.wrong_type(place, "text or `{ secret: NAME }`", node)
            }
        }
    }
}

impl Read for AcrossText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Text(text) if text == "together" => Some(Self::Word(Together::Together)),
            Node::List(_) => Vec::read(node, place, report).map(Self::List),
            Node::Map(_) => AcrossLong::read(node, place, report).map(Self::Long),
            Node::Text(_) | Node::Null | Node::Bool(_) | Node::Number(_) => {
                report.wrong_type(place, "`together` or a list such as `[aws, azure]`", node)
            }
        }
    }
}

impl Read for CommandText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Text(text) => Some(Self::Short(text.clone())),
            Node::Map(_) => CommandLong::read(node, place, report).map(Self::Long),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) => {
                report.wrong_type(place, "a command or `{ run: COMMAND }`", node)
            }
        }
    }
}

impl Read for FollowsText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Text(_) => At::read(node, place, report).map(Self::Short),
            Node::Map(_) => FollowsLong::read(node, place, report).map(Self::Long),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) => {
                let wanted = "an environment or `{ environment: NAME, after: 30m }`";
                report.wrong_type(place, wanted, node)
            }
        }
    }
}
