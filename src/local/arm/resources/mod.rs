//! The resources and what can be done to them, by the resource manager's operations.

pub(super) mod blobs;
pub(super) mod components;
pub(super) mod containers;
pub(super) mod fronts;
pub(super) mod functions;
pub(super) mod groups;
pub(super) mod insights;
pub(super) mod places;
pub(super) mod plans;
pub(super) mod settings;
pub(super) mod site_body;
pub(super) mod site_names;
pub(super) mod sites;
pub(super) mod tags;
