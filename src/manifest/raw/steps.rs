//! How users come to a new release, as written: a word, or the steps of a canary.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    GateSpec,
    form::{self, Refusal, one_of},
    read::{At, Entries, Read, Report},
    scalar::Length,
};
use crate::manifest::yaml::{Node, Place};

/// A strategy in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::manifest) enum StrategyWord {
    BlueGreen,
    /// AWS CodeDeploy's `Canary10Percent…`: a tenth, and after so many minutes the rest.
    Tenth {
        minutes: u8,
    },
    /// AWS CodeDeploy's `Linear10PercentEvery…`: a tenth more every so many minutes.
    Tenths {
        minutes: u8,
    },
}

impl StrategyWord {
    /// Ours, then the nine that AWS CodeDeploy knows for Lambda.
    const WORDS: [(&str, Self); 10] = [
        ("blueGreen", Self::BlueGreen),
        ("AllAtOnce", Self::BlueGreen),
        ("Canary10Percent5Minutes", Self::Tenth { minutes: 5 }),
        ("Canary10Percent10Minutes", Self::Tenth { minutes: 10 }),
        ("Canary10Percent15Minutes", Self::Tenth { minutes: 15 }),
        ("Canary10Percent30Minutes", Self::Tenth { minutes: 30 }),
        ("Linear10PercentEvery1Minute", Self::Tenths { minutes: 1 }),
        ("Linear10PercentEvery2Minutes", Self::Tenths { minutes: 2 }),
        ("Linear10PercentEvery3Minutes", Self::Tenths { minutes: 3 }),
        (
            "Linear10PercentEvery10Minutes",
            Self::Tenths { minutes: 10 },
        ),
    ];
}

/// `blueGreen`, a name of CodeDeploy's, or a canary.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum StrategyText {
    Word(StrategyWord),
    Long(StrategyLong),
}

record! {
    StrategyLong needs ["canary"] {
        /// `[10, 5m, 50, 5m]`, a list of steps, or `{ steps: […] }`.
        "canary" canary: CanaryText,
    }
}

/// The steps of a canary.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum CanaryText {
    List(Vec<At<StepText>>),
    Long(CanaryLong),
}

record! {
    CanaryLong needs ["steps"] {
        /// In this order; the promotion follows the last.
        "steps" steps: Vec<At<StepText>>,
    }
}

/// A number is a share, a duration is a pause.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum StepText {
    Weight(Share),
    Pause(Length),
    Long(StepLong),
}

record! {
    /// Exactly one of `weight`, `pause` and `gates`.
    StepLong needs [] {
        /// Share of blue's requests that the release takes from here on, in percent: 1 to 99.
        "weight" weight: Share,
        /// `5m`, or `{}` until a person says `promote`.
        "pause" pause: PauseText,
        /// Gates that must pass before the next step. They ask green, which holds what takes the share.
        "gates" gates: Vec<At<GateSpec>>,
    }
}

/// A wait.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum PauseText {
    Short(Length),
    Long(PauseLong),
}

record! {
    PauseLong needs [] {
        /// Without it: until a person says `promote`.
        "duration" duration: Length,
    }
}

/// `10` or `10%`. Whether it can be a share is looked at later.
#[derive(Clone, Copy, Debug)]
pub(in crate::manifest) struct Share(pub(in crate::manifest) u32);

// === impl Read ===

impl Read for StrategyText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Text(text) => match one_of(text, &StrategyWord::WORDS) {
                Ok(word) => Some(Self::Word(word)),
                Err((message, help)) => {
                    report.fault(place, message, help);
                    None
                }
            },
            Node::Map(_) => StrategyLong::read(node, place, report).map(Self::Long),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) => report.wrong_type(
                place,
                "`blueGreen`, `{ canary: [10, 5m] }` or a name such as `Canary10Percent5Minutes`",
                node,
            ),
        }
    }
}

impl Read for CanaryText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::List(_) => Vec::read(node, place, report).map(Self::List),
            Node::Map(_) => CanaryLong::read(node, place, report).map(Self::Long),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {
                report.wrong_type(place, "a list of steps such as `[10, 5m, 50, 5m]`", node)
            }
        }
    }
}

impl Read for StepText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Number(_) => Share::read(node, place, report).map(Self::Weight),
            Node::Text(text) if text.ends_with('%') => {
                Share::read(node, place, report).map(Self::Weight)
            }
            Node::Text(_) => Length::read(node, place, report).map(Self::Pause),
            Node::Map(_) => StepLong::read(node, place, report).map(Self::Long),
            Node::Null | Node::Bool(_) | Node::List(_) => {
                report.wrong_type(place, "a share such as `10`, a pause such as `5m`, or one of `weight`, `pause` and `gates`", node)
            }
        }
    }
}

impl Read for PauseText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Map(_) => PauseLong::read(node, place, report).map(Self::Long),
            Node::Text(_) | Node::Number(_) => Length::read(node, place, report).map(Self::Short),
            Node::Null | Node::Bool(_) | Node::List(_) => report.wrong_type(
                place,
                "a duration such as `5m`, or `{}` to wait for a person",
                node,
            ),
        }
    }
}

impl Read for Share {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Number(_) => u32::read(node, place, report).map(Self),
            Node::Text(text) => match percent(text) {
                Ok(share) => Some(Self(share)),
                Err((message, help)) => {
                    report.fault(place, message, help);
                    None
                }
            },
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => {
                report.wrong_type(place, "a share such as `10`", node)
            }
        }
    }
}

fn percent(text: &str) -> Result<u32, Refusal> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    number.parse().map_err(|_| {
        let message = format!("`{}` is no share", form::shorten(text));
        (message, "whole percent, such as `10`".to_owned())
    })
}

// === impl JsonSchema ===

impl JsonSchema for StrategyWord {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StrategyWord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = Self::WORDS.map(|(word, _)| word);
        json_schema!({ "type": "string", "enum": words })
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 99 },
            { "type": "string", "pattern": "^[1-9][0-9]?%$" },
        ] })
    }
}
