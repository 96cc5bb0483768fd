//! Runs a package folder as a child process: a group of its own, a full environment, kept output, watched memory.
//!
//! # Guarantees
//!
//! The whole group is killed when its [`Child`] is dropped, told to stop, or uses more memory than it may.
//! It is killed, too, when this process is killed and can say nothing any more.
//! Output that was written before the end is in the log by the time the exit is told.

mod child;
mod log;
mod memory;
mod pipe;
mod watchdog;

pub use child::{Child, Exit, Spawn, SpawnError};
pub use log::{LogLine, LogRing, Stream};
