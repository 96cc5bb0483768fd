//! The tags by which we know what is ours.

use std::collections::BTreeMap;

use crate::name::ServiceKey;

pub(super) const OWNER: &str = "verdigris:owner";
pub(super) const VERDIGRIS: &str = "verdigris";
pub(super) const SERVICE: &str = "verdigris:service";
pub(super) const ENVIRONMENT: &str = "verdigris:environment";

/// Of what an account has once for all of its regions.
pub(super) const REGION: &str = "verdigris:region";

/// The same for every release: which one a version is of, its variables say.
pub(super) fn of(service: &ServiceKey) -> BTreeMap<String, String> {
    BTreeMap::from([
        (OWNER.to_owned(), VERDIGRIS.to_owned()),
        (SERVICE.to_owned(), service.service.to_string()),
        (ENVIRONMENT.to_owned(), service.environment.to_string()),
    ])
}
