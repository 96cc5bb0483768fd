//! The resource manager's protocol: requests taken apart, routed, throttled and answered.

pub(super) mod activity;
pub(super) mod answer;
pub(super) mod call;
pub(super) mod endpoint;
pub(super) mod identity;
pub(super) mod page;
pub(super) mod routes;
pub(super) mod throttle;
