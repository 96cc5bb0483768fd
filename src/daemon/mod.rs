//! Configuration, wiring, shutdown, telemetry.

mod asked;
pub mod clouds;
pub mod config;
pub mod measure;
pub mod packages;
pub mod reader;
mod reload;
pub mod run;
mod signed;
pub mod site;
pub mod sources;
pub mod telemetry;
pub mod world;
