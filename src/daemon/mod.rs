//! Configuration, wiring, shutdown, telemetry.

pub mod config;
pub mod reader;
