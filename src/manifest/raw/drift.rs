//! What is done about drift, as written.

use schemars::JsonSchema;

use super::read::{At, Entries, Read, Report};
use crate::manifest::{
    spec::{DriftMode, FieldPattern},
    yaml::{Node, Place},
};

record! {
    DriftLong needs [] {
        /// `enforce` (the default) or `observe`.
        "mode" mode: DriftMode,
        /// Fields that are left to others, as drift tells them: `stock.memory`, `*.env.DEBUG_*`. One covers all that lies below it.
        "ignore" ignore: Vec<At<FieldPattern>>,
    }
}

/// A mode, or more about it.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::manifest) enum DriftText {
    Mode(DriftMode),
    Long(DriftLong),
}

impl Read for DriftText {
    fn read(node: &Node, place: &Place, report: &mut Report) -> Option<Self> {
        match node {
            Node::Text(_) => DriftMode::read(node, place, report).map(Self::Mode),
            Node::Map(_) => DriftLong::read(node, place, report).map(Self::Long),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) => {
                let wanted = "`enforce`, `observe` or a map such as `{ ignore: [stock.memory] }`";
                report.wrong_type(place, wanted, node)
            }
        }
    }
}
