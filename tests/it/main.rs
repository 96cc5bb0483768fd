//! The one test binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there and say so"
)]

mod actions;
mod api;
mod azure_identity;
mod blue_watched;
mod bring;
mod build;
mod canary;
mod canary_end_to_end;
mod cli;
mod cloud_aws;
mod cloud_azure;
mod cloud_contract;
mod cloud_fake;
mod control;
mod crashes;
mod credentials;
mod daemon;
mod demo;
mod destroy;
mod destroy_flex;
mod drift;
mod end_to_end;
mod gates;
mod git;
mod guard;
mod hands;
mod import;
mod killed;
mod laws;
mod layers;
mod local_arm;
mod local_lambda;
mod manifests;
mod order;
mod parity;
mod peers;
mod plans;
mod policies;
mod quarantine;
mod reading;
mod real_clouds;
mod short_tokens;
mod simulation;
mod stage;
mod stale;
mod store;
mod swaps;
mod tls;
mod why;
