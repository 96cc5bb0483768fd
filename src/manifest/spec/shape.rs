//! What the evidence of each kind of gate holds, by the names that conditions know.

use super::GateKind;
use crate::condition::kind::{Kind, Shape};

impl GateKind {
    /// The variables of a condition. `rollout::facts` gives each of them its value.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Http(_) => answer(),
            Self::Command(_) => Shape::from([("exit", Kind::Int), ("output", Kind::Text)]),
            Self::Approval(_) => Shape::new(),
        }
    }
}

fn answer() -> Shape {
    Shape::from([
        ("status", Kind::Int),
        ("headers", Kind::map(Kind::Text)),
        ("body", Kind::Text),
        ("json", Kind::Any),
        ("latencyMs", Kind::Int),
    ])
}
