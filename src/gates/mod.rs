//! Asks the world, and returns evidence. What the evidence means for a rollout is judged in `rollout::verdict`, never here.
//!
//! A gate's address is always that of a slot: users write a path, and a path can name no other host.

pub mod address;
mod chain;
pub mod command;
pub mod http;
mod json;
pub mod load;
pub mod metric;
mod output;
pub mod parity;
mod reply;
pub mod shadow;
mod shown;
pub mod sign;
