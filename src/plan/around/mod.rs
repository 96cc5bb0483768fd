//! What a service must know of others before a release of it goes on: what they hold live, and what they are in the middle of.
//!
//! [`Facts`] are what a service tells of itself; whoever wires services together keeps the newest of each, and hands a service those of
//! the others that matter to it: what it depends on, what is promoted with it, what it follows. Nothing here walks all services.

mod facts;
mod standing;
mod turn;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::{
    facts::{Carried, Facts, Held, Stage, Under},
    standing::Standing,
};
pub(super) use self::{
    standing::follows,
    turn::{ahead, hold, in_turn, is_tied, mate_failed, mates},
};
use super::step::Fleet;
use crate::{
    name::{ReleaseDigest, ServiceKey},
    rollout::RolloutId,
};

/// What matters to one service of all others.
#[derive(Clone, Debug, Default)]
pub struct Around {
    pub fleet: Fleet,
    /// Those that it depends on, that are promoted with it, or that it follows.
    pub others: BTreeMap<ServiceKey, Other>,
    /// The other members of its group, as Git says.
    pub group: BTreeSet<ServiceKey>,
    /// Services that need it, and of which something is left.
    pub dependants: BTreeSet<ServiceKey>,
}

/// Another service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Other {
    /// What the newest commit asks of it, before the service itself has heard.
    pub asked: AskedOf,
    /// None until it was looked at once.
    pub facts: Option<Facts>,
}

/// What a commit asks of another service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AskedOf {
    /// No commit was read yet.
    #[default]
    Unknown,
    /// No manifest names it.
    Absent,
    /// Its manifest is wrong.
    Invalid,
    Release(ReleaseDigest),
}

/// The moves that members of a group make together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Turn {
    /// Its gates have passed: blue may move.
    Promote,
    /// Its bake is over.
    Live,
}

/// One move of several services, which is made for all or for none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Joint {
    pub turn: Turn,
    /// Every rollout of it, that of the service itself included.
    pub members: BTreeMap<ServiceKey, RolloutId>,
}
