//! What the evidence of each kind of gate holds, by the names that conditions know.

use super::GateKind;
use crate::condition::kind::{Kind, Shape};

impl GateKind {
    /// The variables of a condition. `rollout::facts` gives each of them its value.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Http(_) => chain(),
            Self::Command(_) => Shape::from([("exit", Kind::Int), ("output", Kind::Text)]),
            Self::Approval(_) => Shape::new(),
            Self::Load(_) => Shape::from([
                ("rate", Kind::Double),
                ("achieved", Kind::Double),
                ("count", Kind::Int),
                ("errors", Kind::Double),
                ("errorCount", Kind::Int),
                ("p50", Kind::Double),
                ("p95", Kind::Double),
                ("p99", Kind::Double),
                ("max", Kind::Double),
            ]),
            Self::Parity(_) => Shape::from([
                ("requests", Kind::Int),
                ("compared", Kind::Int),
                ("different", Kind::Int),
                ("differences", Kind::Int),
            ]),
            Self::Metric(_) => Shape::from([("value", Kind::Double), ("baseline", Kind::Any)]),
        }
    }
}

/// The last answer, and all of them.
fn chain() -> Shape {
    let mut step = answer();
    step.insert("name", Kind::Text);
    let mut chain = answer();
    chain.insert("steps", Kind::list(Kind::Record(step)));
    chain.insert("captured", Kind::map(Kind::Any));
    chain
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
