//! What one commit asks for, per environment.

mod assemble;
mod release;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub use self::{
    assemble::{Assembled, KeptDesired, assemble},
    release::{Release, ReleaseContent},
};
use crate::{
    manifest::spec::{Drift, Environment, RolloutSpec},
    name::{ServiceKey, ServiceName},
};

/// One service as a commit asks for it, in one environment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DesiredService {
    pub release: Release,
    pub environment: Arc<Environment>,
    /// How it gets there. Not part of the release: changing a gate deploys nothing.
    pub rollout: RolloutSpec,
    /// Services of the same environment.
    #[serde(default)]
    pub depends_on: BTreeSet<ServiceName>,
    pub drift: Drift,
}

/// Everything that the commits of all repositories ask for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Desired {
    pub services: BTreeMap<ServiceKey, Arc<DesiredService>>,
}
