//! Takes functions over that were there before us.

use std::collections::BTreeSet;

use super::{AwsCloud, survey::Standing, tags};
use crate::{cloud::CloudError, name::CloudName, observed::Scope};

impl AwsCloud {
    /// Tags each function; nothing else of it is touched. `GetFunction` once more before, since a tag of another service must not be lost.
    pub(super) async fn adopt_all(
        &self,
        scope: &Scope,
        resources: &BTreeSet<String>,
    ) -> Result<(), CloudError> {
        for seen in self.survey_anew(scope).await? {
            let Standing::Foreign { arn } = &seen.standing else {
                continue;
            };
            if !resources.contains(arn) {
                continue;
            }
            let latest = self.lambda.function(&seen.name, None).await?;
            let theirs = latest.and_then(|it| it.tags).unwrap_or_default();
            if let Some(owner) = theirs.get(tags::SERVICE) {
                return Err(CloudError::Invalid {
                    cloud: CloudName::Aws,
                    operation: format!("adoption of `{arn}`"),
                    message: format!(
                        "its tags say that it belongs to the service `{owner}`: take them off first"
                    ),
                });
            }
            let tagged = self.lambda.tag(arn, tags::of(&scope.service)).await;
            self.forget(&seen.name);
            tagged?;
        }
        Ok(())
    }
}
