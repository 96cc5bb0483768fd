//! What people ask about a service before they act: why it is not live, and which release they mean.

use super::super::handle::{ActError, Handle};
use crate::{
    name::{ReleaseDigest, ServiceKey},
    plan::{
        act::{
            Refused,
            named::{Candidate, find},
        },
        state::ReleaseRecord,
    },
    status::why::{Explanation, explain},
};

/// Ended rollouts that can be named.
const HISTORY_NAMED: usize = 1000;

impl Handle {
    /// What stands between the newest commit and users.
    pub async fn why(&self, key: &ServiceKey) -> Option<Explanation> {
        let entry = self.shared.entry(key)?;
        let entry = entry.lock().await;
        let report = self.shared.board.get(key)?;
        let now = self.shared.clock.now();
        Some(explain(&entry.state, &entry.waiting, &report, now))
    }

    /// The release of a service that a person means, for an action.
    ///
    /// # Errors
    ///
    /// A service that is not there, a name that none or several have, a store that cannot be read.
    pub async fn named(
        &self,
        key: &ServiceKey,
        action: &'static str,
        name: &str,
    ) -> Result<ReleaseDigest, ActError> {
        let entry = self.shared.entry(key);
        let entry = entry.ok_or_else(|| ActError::NotFound(key.clone()))?;
        let entry = entry.lock().await;
        let candidate = |it: &ReleaseRecord| Candidate {
            release: it.release.digest,
            revision: it.release.revision.clone(),
            rollout: None,
        };
        let kept = entry.state.releases.values().map(AsRef::as_ref);
        let mut known: Vec<Candidate> = kept.map(candidate).collect();
        drop(entry);
        let history = self.history(key, None, HISTORY_NAMED).await?;
        known.extend(history.into_iter().map(|ended| Candidate {
            release: ended.release,
            revision: ended.revision,
            rollout: Some(ended.rollout),
        }));
        let refused = |message| Refused {
            action,
            service: key.to_string(),
            message,
        };
        Ok(find(name, &known).map_err(refused)?)
    }
}
