//! What apps need around them: group, storage, plan, vault, insights, roles. Made where it is missing; what is there is used as it is,
//! whoever made it.

mod insights;
mod roles;
mod vault;

pub(super) use self::{
    insights::INSIGHTS_API,
    roles::{SECRETS_USER, is_role, role_fields},
    vault::VAULTS_API,
};
use serde_json::Value;

use super::{
    AzureCloud,
    arm::operation::{self, Operation},
    names::{RESOURCES_API, STORAGE_API, WEB_API},
};
use crate::{cloud::CloudError, name::CloudName};

/// The way out where the name of the storage account is somebody else's.
pub(super) const OTHER_STORAGE: &str =
    "name one of your own by `storage` of the environment's `azure`";

impl AzureCloud {
    /// Group, storage and plan of the environment; on plans of one app each app has its own.
    pub(super) async fn ensure_shared(&self) -> Result<(), CloudError> {
        let names = &self.names;
        let group = (operation::GROUPS_GET, operation::GROUPS_PUT);
        self.ensure(group, &names.group_id(), RESOURCES_API, names.group_body())
            .await?;
        let account = (operation::ACCOUNTS_GET, operation::ACCOUNTS_PUT);
        let made = self
            .ensure(
                account,
                &names.account_id(),
                STORAGE_API,
                names.account_body(),
            )
            .await;
        made.map_err(|error| taken(error, &names.account(), OTHER_STORAGE))?;
        if names.is_flex() {
            return Ok(());
        }
        let plan = (operation::PLANS_GET, operation::PLANS_PUT);
        let body = names.plan_body(names.shared_tags());
        self.ensure(plan, &names.plan_id(), WEB_API, body).await
    }

    /// Creates what is missing.
    pub(super) async fn ensure(
        &self,
        (get, put): (Operation, Operation),
        id: &str,
        version: &str,
        body: Value,
    ) -> Result<(), CloudError> {
        match self.found(get, id, version).await? {
            Some(_) => Ok(()),
            None => self.put(put, id, version, body).await,
        }
    }

    /// A resource by its id; nothing where it is not there.
    pub(super) async fn found(
        &self,
        get: Operation,
        id: &str,
        version: &str,
    ) -> Result<Option<Value>, CloudError> {
        let call = self.arm.call(get, id, &[("api-version", version)], id);
        self.arm.find(call).await
    }
}

/// Names that are unique in the world may be somebody else's: waiting does not help then.
pub(super) fn taken(error: CloudError, name: &str, way_out: &str) -> CloudError {
    const WORDS: [&str; 5] = [
        "AlreadyTaken",
        "AlreadyExists",
        "already exists",
        "is already in use",
        "not available",
    ];
    let message = match &error {
        CloudError::Busy { message, .. } | CloudError::Invalid { message, .. } => message,
        CloudError::Throttled { .. }
        | CloudError::Unreachable { .. }
        | CloudError::Denied { .. }
        | CloudError::NotOurs { .. }
        | CloudError::NotStaged { .. }
        | CloudError::Unhealthy { .. } => return error,
    };
    if !WORDS.iter().any(|word| message.contains(word)) {
        return error;
    }
    CloudError::Denied {
        cloud: CloudName::Azure,
        operation: format!("the name `{name}`"),
        message: format!("it is taken somewhere in Azure, by anybody ({message}): {way_out}"),
    }
}
