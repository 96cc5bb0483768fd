//! The API, driven in-process over a real loop, a store in memory and two fake clouds.

mod acting;
mod agree;
mod document;
mod doors;
mod look;
mod reading;
mod rig;
mod states;
mod streams;
