//! Verdigris: blue-green GitOps for one set of serverless functions on AWS Lambda and Azure Functions at once.

// --- pure: values in, values out ---
pub mod desired;
pub mod diff;
pub mod guard;
pub mod manifest;
pub mod name;
pub mod observed;
pub mod plan;
pub mod rollout;
pub mod status;
// --- effects: strangers to one another ---
pub mod build;
pub mod clock;
pub mod cloud;
pub mod gates;
pub mod git;
pub mod store;
// --- wiring ---
pub mod api;
pub mod cli;
pub mod daemon;
pub mod local;
pub mod reconcile;
