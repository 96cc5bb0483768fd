//! The Key Vault with the secrets of an environment. We make it and never put anything in it.

use serde_json::{Value, json};

use super::taken;
use crate::{
    cloud::{
        CloudError,
        azure::{AzureCloud, arm::operation, duties::Duties, observe::tags_of},
    },
    desired::Release,
    name::CloudName,
};

pub(in crate::cloud::azure) const VAULTS_API: &str = "2023-07-01";

impl AzureCloud {
    /// The vault is there, where the release has secrets. One that we made and somebody deleted is brought back with its secrets.
    ///
    /// # Errors
    ///
    /// [`CloudError::Denied`] with the way out where the name is another's, or a deleted vault's that is not ours.
    pub(in crate::cloud::azure) async fn ensure_vault(
        &self,
        release: &Release,
        tenant: Option<&str>,
    ) -> Result<(), CloudError> {
        if !Duties::asked(&self.names, release).has_secrets(&self.names, release) {
            return Ok(());
        }
        let id = self.names.vault_id();
        if self
            .found(operation::VAULTS_GET, &id, VAULTS_API)
            .await?
            .is_some()
        {
            return Ok(());
        }
        self.make_vault(tenant).await
    }

    /// Makes the vault, or brings back what was deleted.
    ///
    /// # Errors
    ///
    /// As [`Self::ensure_vault`].
    pub(in crate::cloud::azure) async fn make_vault(
        &self,
        tenant: Option<&str>,
    ) -> Result<(), CloudError> {
        let id = self.names.vault_id();
        let mut body = json!({
            "location": self.names.target.location,
            "tags": self.names.shared_tags(),
            "properties": {
                "tenantId": tenant,
                "sku": { "family": "A", "name": "standard" },
                "enableRbacAuthorization": true,
            },
        });
        if let Some(deleted) = self.deleted_vault().await? {
            let tags = tags_of(&deleted["properties"]);
            if !self.names.is_shared_of_ours(&tags) {
                return Err(self.deleted_by_others());
            }
            tracing::warn!(vault = %id, "the vault was deleted and is brought back with its secrets");
            body["properties"]["createMode"] = json!("recover");
        }
        let vault = self.names.vault();
        let way_out = "name one of your own by `vault` of the environment's `azure`";
        let made = self.put(operation::VAULTS_PUT, &id, VAULTS_API, body).await;
        made.map_err(|error| match &error {
            CloudError::Busy { message, .. } if message.contains("deleted state") => {
                self.deleted_by_others()
            }
            CloudError::Busy { .. }
            | CloudError::Throttled { .. }
            | CloudError::Unreachable { .. }
            | CloudError::Denied { .. }
            | CloudError::NotOurs { .. }
            | CloudError::NotStaged { .. }
            | CloudError::Invalid { .. }
            | CloudError::Unhealthy { .. } => taken(error, &vault, way_out),
        })
    }

    /// A deleted vault keeps its name for up to ninety days. Who may not look outside the group does not see it.
    async fn deleted_vault(&self) -> Result<Option<Value>, CloudError> {
        let target = &self.names.target;
        let id = format!(
            "/subscriptions/{}/providers/Microsoft.KeyVault/locations/{}/deletedVaults/{}",
            target.subscription,
            target.location,
            self.names.vault()
        );
        match self.found(operation::VAULTS_DELETED, &id, VAULTS_API).await {
            Err(CloudError::Denied { .. }) => Ok(None),
            found => found,
        }
    }

    fn deleted_by_others(&self) -> CloudError {
        let vault = self.names.vault();
        CloudError::Denied {
            cloud: CloudName::Azure,
            operation: format!("key vault `{vault}`"),
            message: format!(
                "a vault of this name was deleted and still holds it: `az keyvault recover --name {vault}` brings it back, `az keyvault purge --name {vault}` ends it, or name another by `vault` of the environment's `azure`"
            ),
        }
    }
}
