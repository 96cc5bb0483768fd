//! Azure on this machine, driven over its wire.

mod events;
mod functions;
pub(crate) mod kit;
mod language;
mod resources;
mod swaps;
mod trouble;
