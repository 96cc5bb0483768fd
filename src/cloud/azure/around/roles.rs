//! What the identity of an app may do: reach its storage, read its secrets, and what the service asks for.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::{Payload, operation, unreachable},
            duties::Duties,
            observe::SlotView,
            settings,
        },
    },
    desired::Release,
    manifest::azure::RoleGrant,
    name::CloudName,
};

const ROLES_API: &str = "2022-04-01";

/// Roles that Azure itself defines, the same everywhere.
const BLOB_OWNER: &str = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";
const QUEUE_CONTRIBUTOR: &str = "974c5e8b-45b9-4653-ba55-5f855dd0fbe8";
const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

impl AzureCloud {
    /// Gives the identities of both slots the roles that a release needs. One reading call for each identity; a writing call for each
    /// role that is missing. Roles are never taken away: somebody may count on them.
    ///
    /// # Errors
    ///
    /// [`CloudError::Denied`] with the command to run where we may not give them.
    pub(in crate::cloud::azure) async fn grant_roles(
        &self,
        release: &Release,
        slots: [&SlotView; 2],
    ) -> Result<(), CloudError> {
        if self.names.target.shared.roles_by_people {
            return Ok(());
        }
        let duties = Duties::wanted(&self.names, release);
        let wanted = self.roles_of(release);
        let mut principals = BTreeSet::new();
        for slot in slots {
            let Some(principal) = slot.found.principal(&duties) else {
                // A slot that has another identity until the next call gives it this one.
                continue;
            };
            principals.insert(principal.to_owned());
        }
        for principal in principals {
            let given = self.roles_given(&principal).await?;
            for grant in wanted.iter().filter(|grant| !has(&given, grant)) {
                self.grant(&principal, grant).await?;
            }
        }
        Ok(())
    }

    fn roles_of(&self, release: &Release) -> BTreeSet<RoleGrant> {
        let grant = |role: &str, scope: String| RoleGrant {
            role: role.to_owned(),
            scope,
        };
        let account = self.names.account_id();
        let mut wanted = BTreeSet::from([
            grant(BLOB_OWNER, account.clone()),
            grant(QUEUE_CONTRIBUTOR, account),
        ]);
        if settings::has_secrets(&self.names, release) {
            wanted.insert(grant(SECRETS_USER, self.names.vault_id()));
        }
        let app = release.content.azure.as_deref();
        wanted.extend(app.into_iter().flat_map(|app| app.roles.values().cloned()));
        wanted
    }

    async fn roles_given(&self, principal: &str) -> Result<Vec<Value>, CloudError> {
        let group = self.names.group_id();
        let id = format!("{group}/providers/Microsoft.Authorization/roleAssignments");
        let filter = format!("assignedTo('{principal}')");
        let query = [("api-version", ROLES_API), ("$filter", filter.as_str())];
        let call = self.arm.call(operation::ROLES_LIST, &id, &query, principal);
        self.arm.list(call).await
    }

    async fn grant(&self, principal: &str, grant: &RoleGrant) -> Result<(), CloudError> {
        let RoleGrant { role, scope } = grant;
        let name = assignment_name(principal, grant);
        let id = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        let query = [("api-version", ROLES_API)];
        let mut call = self.arm.call(operation::ROLES_PUT, &id, &query, scope);
        let subscription = &self.names.target.subscription;
        call.payload = Payload::Json(json!({ "properties": {
            "roleDefinitionId": format!(
                "/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
            ),
            "principalId": principal,
            // Without it Azure refuses identities that it has made a moment ago.
            "principalType": "ServicePrincipal",
        }}));
        match self.arm.ask(call).await {
            Ok(_) => Ok(()),
            // Somebody gave the same role under another name.
            Err(CloudError::Busy { message, .. }) if message.contains("RoleAssignmentExists") => {
                Ok(())
            }
            Err(CloudError::Invalid { message, .. }) if message.contains("PrincipalNotFound") => {
                Err(unreachable(operation::ROLES_PUT, message))
            }
            Err(CloudError::Denied { message, .. }) => Err(CloudError::Denied {
                cloud: CloudName::Azure,
                operation: operation::ROLES_PUT.name.to_owned(),
                message: format!(
                    "{message}; give the role yourself (`az role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal --role {role} --scope {scope}`), and write `grantRoles: false` into the environment's `azure` where people always do"
                ),
            }),
            Err(error) => Err(error),
        }
    }
}

/// The same for the same assignment, so that a lost reply costs nothing.
fn assignment_name(principal: &str, grant: &RoleGrant) -> String {
    let text = format!(
        "{principal}\n{}\n{}",
        grant.role,
        grant.scope.to_lowercase()
    );
    let digest = Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes)
        .into_uuid()
        .to_string()
}

fn has(given: &[Value], grant: &RoleGrant) -> bool {
    given.iter().any(|one| {
        let text = |name: &str| one["properties"][name].as_str().unwrap_or_default();
        let role = text("roleDefinitionId").rsplit('/').next();
        let scope = text("scope");
        let is_under = |scope: &str| {
            let (own, scope) = (grant.scope.to_lowercase(), scope.to_lowercase());
            own == scope || own.starts_with(&format!("{scope}/"))
        };
        role.is_some_and(|role| role.eq_ignore_ascii_case(&grant.role)) && is_under(scope)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_is_given_higher_up_is_given() {
        let grant = RoleGrant {
            role: "r".to_owned(),
            scope: "/subscriptions/s/resourceGroups/shop/providers/P/x".to_owned(),
        };
        let given = |scope: &str| {
            let one = json!({"properties": {"roleDefinitionId": "/a/b/R", "scope": scope}});
            has(&[one], &grant)
        };
        assert!(given("/subscriptions/S/resourcegroups/shop"));
        assert!(given(&grant.scope));
        assert!(!given("/subscriptions/s/resourceGroups/sho"));
        assert_eq!(assignment_name("p", &grant), assignment_name("p", &grant));
        assert_ne!(assignment_name("p", &grant), assignment_name("q", &grant));
    }
}
