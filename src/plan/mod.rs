//! Orders that take live state to desired state, each with its reason; and what is waited on. Synchronous, and reads no clock, disk
//! or network.
//!
//! [`step::step`] looks at one service and says the one next thing to do. The loop applies it to the state and asks again, until the
//! answer is to wait. Live work and recovery after a crash take the same path, since all that decides is in the state.

pub mod act;
pub mod apply;
pub mod around;
pub mod bound;
pub mod destruction;
pub mod preview;
pub mod reason;
pub mod repairs;
mod rolling;
pub mod state;
pub mod step;
