//! Takes a Function App over that was there before us.

use std::collections::BTreeSet;

use serde_json::json;

use super::{AzureCloud, names::Tags, observe::View};
use crate::{cloud::CloudError, name::CloudName, observed::Scope};

/// The site, then its slot.
const DEEP: usize = 2;

impl AzureCloud {
    /// Adds our tags, and touches nothing else. The slot beside it comes to light once the site is ours.
    pub(super) async fn adopt_all(
        &self,
        scope: &Scope,
        resources: &BTreeSet<String>,
    ) -> Result<(), CloudError> {
        let service = &scope.service.service;
        for _ in 0..DEEP {
            let View::Foreign { id, tags } = self.view(service).await? else {
                return Ok(());
            };
            let is_meant = |named: &String| {
                id.eq_ignore_ascii_case(named)
                    || id
                        .to_lowercase()
                        .starts_with(&format!("{}/slots/", named.to_lowercase()))
            };
            if !resources.iter().any(is_meant) {
                return Ok(());
            }
            self.check_unowned(&id, &tags)?;
            let ours = json!(self.names.tags(service, None));
            self.patch_tags(&id, "Merge", ours).await?;
        }
        Ok(())
    }

    fn check_unowned(&self, id: &str, tags: &Tags) -> Result<(), CloudError> {
        match self.names.named_owner(tags) {
            None => Ok(()),
            Some(owner) => Err(CloudError::Invalid {
                cloud: CloudName::Azure,
                operation: format!("adoption of `{id}`"),
                message: format!(
                    "its tags say that it belongs to the service `{owner}`: take them off first"
                ),
            }),
        }
    }
}
