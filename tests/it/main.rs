//! The one test binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there and say so"
)]

mod build;
mod git;
mod local_arm;
mod local_lambda;
