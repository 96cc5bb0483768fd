//! The clouds of a service, for those who ask them something that no rollout needs.

use super::handle::{ActError, Handle};
use crate::{
    cloud::SharedCloud,
    name::{CloudName, ServiceKey},
    observed::Scope,
    rollout::intent::Failure,
};

/// A service's clouds, and where to look on them.
pub struct Reached {
    pub scope: Scope,
    /// Each as it can be reached, or why not.
    pub clouds: Vec<(CloudName, Result<SharedCloud, Failure>)>,
}

impl Handle {
    /// # Errors
    ///
    /// A service that is not there.
    pub async fn reach(&self, key: &ServiceKey) -> Result<Reached, ActError> {
        let entry = self.shared.entry(key);
        let entry = entry.ok_or_else(|| ActError::NotFound(key.clone()))?;
        let (scope, environment) = {
            let entry = entry.lock().await;
            (entry.state.scope(), entry.state.environment().cloned())
        };
        let mut clouds = Vec::new();
        if let Some(environment) = environment {
            for target in environment.targets() {
                let cloud = self.shared.world.cloud(&environment, target).await;
                clouds.push((target, cloud));
            }
        }
        Ok(Reached { scope, clouds })
    }
}
