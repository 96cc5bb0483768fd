//! YAML text as trees with places. Knows nothing of manifests.

mod document;
mod locate;
mod node;
mod place;
mod salvage;

pub(super) use self::{
    document::{Broken, Document, Spot, split},
    node::Node,
    place::{Place, shown},
    salvage::{Salvaged, salvage},
};
