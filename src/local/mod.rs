//! Both clouds on this machine, by their real wire protocols. Functions really run, as processes.
//!
//! Nothing in `cloud/` knows whether it talks to these endpoints or to the real ones.

pub mod arm;
pub mod bucket;
mod cron;
mod door;
pub mod faults;
mod lag;
pub mod lambda;
pub mod listen;
pub mod process;
mod queue;
pub mod stacks;
