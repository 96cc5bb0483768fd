//! What can be asked of the fake, and how it goes wrong.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    cloud::CloudError,
    name::{FunctionName, Percent, ReleaseDigest, Slot},
};

/// What a cloud can be asked to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Operation {
    Observe,
    Inventory,
    Stage,
    Shift,
    Promote,
    Retract,
    Repair,
    Prune,
}

/// How a call goes wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing is done.
    Fail(CloudError),
    /// Nothing is done; ask again after this long.
    Throttle(Duration),
    /// The work is done, and the answer never arrives.
    LoseReply,
    /// The work is done after this long.
    Slow(Duration),
    /// Neither work nor answer, ever.
    Hang,
}

/// Something that a person did past us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HandEdit {
    /// A setting of a slot. `None` takes it away.
    Field {
        slot: Slot,
        path: String,
        value: Option<String>,
    },
    /// The slot holds nothing any more.
    Empty(Slot),
    /// One function is gone from the slot.
    Tear { slot: Slot, function: FunctionName },
    /// Blue and green were exchanged.
    Swap,
    /// What takes a share of blue's requests, or that nothing does.
    Share(Option<(ReleaseDigest, Percent)>),
    /// A resource with this function's name that does not carry our tags.
    Foreign(FunctionName),
}

/// Calls, and what came of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub calls: BTreeMap<Operation, u64>,
    /// Calls that changed something. A call that finds all as it should be changes nothing.
    pub changes: u64,
}
