//! What the loop needs of the world, in one place, so that a simulation can stand in for all of it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use crate::{
    cloud::SharedCloud,
    desired::Release,
    manifest::spec::{Environment, Gate, GateStage},
    name::{CloudName, Revision},
    observed::{Addresses, Holding},
    plan::state::PackageRecord,
    rollout::{evidence::Measurement, intent::Failure},
};

/// Clouds, builds and gates.
#[async_trait]
pub trait World: Send + Sync {
    /// The target of an environment on a cloud. Cheap: clients are kept.
    ///
    /// # Errors
    ///
    /// A cloud that the daemon has no usable configuration for.
    async fn cloud(
        &self,
        environment: &Environment,
        cloud: CloudName,
    ) -> Result<SharedCloud, Failure>;

    /// The packages of a release, one for each cloud: found, or built from its commit. The same release gives the same bytes.
    async fn build(&self, release: &Release)
    -> Result<BTreeMap<CloudName, PackageRecord>, Failure>;

    /// One round of a gate: a measurement on every target that it concerns.
    async fn measure(&self, gate: &Gate, question: &Question) -> Vec<Measurement>;
}

/// What a gate is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub release: Release,
    /// The commit whose scripts a `command` gate runs.
    pub revision: Revision,
    pub after: GateStage,
    /// The targets that this round asks; one without a slot below does not hold the release.
    pub targets: Vec<CloudName>,
    /// Where the release answers, on each target.
    pub slots: BTreeMap<CloudName, Addresses>,
    /// What blue holds meanwhile, where it holds something.
    pub blue: BTreeMap<CloudName, Holding>,
    /// Where the rollout is at work; none where that is not known any more.
    pub environment: Option<Arc<Environment>>,
}
