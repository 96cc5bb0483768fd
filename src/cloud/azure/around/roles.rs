//! What the identity of an app may do: reach its storage, read its secrets, and what the service asks for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::{Payload, operation, unreachable},
            duties::Duties,
            names::{Names, WEB_API},
            observe::{SlotView, app_in},
        },
    },
    desired::Release,
    manifest::azure::RoleGrant,
    name::CloudName,
    observed::Fields,
};

const ROLES_API: &str = "2022-04-01";

/// Azure says ten minutes at most; identities are remembered for longer.
/// <https://learn.microsoft.com/azure/role-based-access-control/troubleshooting>
const COUNTS_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Roles that Azure itself defines, the same everywhere.
const BLOB_OWNER: &str = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";
const QUEUE_CONTRIBUTOR: &str = "974c5e8b-45b9-4653-ba55-5f855dd0fbe8";
pub(in crate::cloud::azure) const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

/// What the fields of roles start with.
const ROLE: &str = "app.role.";

/// Whether a field tells of a role.
pub(in crate::cloud::azure) fn is_role(field: &str) -> bool {
    field.starts_with(ROLE)
}

/// The roles that a release needs, by name; none where people give them.
fn wanted(names: &Names, duties: &Duties) -> BTreeMap<String, RoleGrant> {
    if names.target.shared.roles_by_people {
        return BTreeMap::new();
    }
    let account = |role: &str| RoleGrant {
        role: role.to_owned(),
        scope: names.account_id(),
    };
    let mut wanted = duties.roles.clone();
    wanted.insert("storage blobs".to_owned(), account(BLOB_OWNER));
    wanted.insert("storage queues".to_owned(), account(QUEUE_CONTRIBUTOR));
    wanted
}

/// Roles as fields: as they must be where it is not known which are given.
pub(in crate::cloud::azure) fn role_fields(
    names: &Names,
    duties: &Duties,
    given: Option<&[Value]>,
) -> Fields {
    let one = |(name, grant): (String, RoleGrant)| {
        let is_given = given.is_none_or(|given| has(given, &grant));
        let text = if is_given { "given" } else { "not given" };
        (format!("{ROLE}{name}"), text.to_owned())
    };
    wanted(names, duties).into_iter().map(one).collect()
}

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
        slots: &[&SlotView],
    ) -> Result<(), CloudError> {
        let duties = Duties::wanted(&self.names, release);
        let wanted = wanted(&self.names, &duties);
        if wanted.is_empty() {
            return Ok(());
        }
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
            for grant in wanted.values().filter(|grant| !has(&given, grant)) {
                self.grant(&principal, grant).await?;
                self.seldom.given.forget(&principal);
            }
        }
        Ok(())
    }

    /// Blue with an identity of its own, where it needs one: an app that was adopted, or had one of the users', may have none yet. It gets it
    /// with the first release, and not with the promotion, since roles count only after a while.
    pub(in crate::cloud::azure) async fn as_somebody(
        &self,
        blue: &SlotView,
        duties: &Duties,
    ) -> Result<SlotView, CloudError> {
        let mut blue = blue.clone();
        if !blue.is_there() || duties.identity.is_some() || blue.found.has_identity(duties) {
            return Ok(blue);
        }
        let query = [("api-version", WEB_API)];
        let app = app_in(&blue.id);
        let mut call = self.arm.call(operation::SITES_PATCH, &blue.id, &query, app);
        call.payload = Payload::Json(json!({ "identity": with_own(&blue.found.identity) }));
        let site = self.arm.ask(call).await?.json();
        blue.found.identity = site["identity"].clone();
        Ok(blue)
    }

    /// What is given to a place's identity, as it was seen lately; not known where nobody may look, or it has no identity yet.
    pub(in crate::cloud::azure) async fn roles_seen(
        &self,
        place: &SlotView,
        duties: &Duties,
    ) -> Result<Option<Vec<Value>>, CloudError> {
        let Some(principal) = place.found.principal(duties) else {
            return Ok(None);
        };
        if wanted(&self.names, duties).is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.seldom.given.younger(principal, self.stands()) {
            return Ok(Some(known));
        }
        match self.roles_given(principal).await {
            Err(CloudError::Denied { .. }) => Ok(None),
            given => given.map(Some),
        }
    }

    /// Whether who runs in green has a role that may not count yet.
    pub(in crate::cloud::azure) async fn has_new_role(
        &self,
        release: &Release,
        green: &SlotView,
    ) -> bool {
        let duties = Duties::wanted(&self.names, release);
        let Some(principal) = green.found.principal(&duties) else {
            return false;
        };
        let Ok(given) = self.roles_given(principal).await else {
            return false;
        };
        let now = jiff::Timestamp::now();
        given.iter().any(|one| is_new(one, now))
    }

    async fn roles_given(&self, principal: &str) -> Result<Vec<Value>, CloudError> {
        let group = self.names.group_id();
        let id = format!("{group}/providers/Microsoft.Authorization/roleAssignments");
        let filter = format!("assignedTo('{principal}')");
        let query = [("api-version", ROLES_API), ("$filter", filter.as_str())];
        let call = self.arm.call(operation::ROLES_LIST, &id, &query, principal);
        let given = self.arm.list(call).await?;
        self.seldom.given.note(principal, given.clone());
        Ok(given)
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

/// An identity of its own beside those that others gave it.
fn with_own(known: &Value) -> Value {
    let named = known["userAssignedIdentities"].as_object();
    match named.filter(|named| !named.is_empty()) {
        None => json!({ "type": "SystemAssigned" }),
        Some(named) => {
            let named: Map<_, _> = named.keys().map(|id| (id.clone(), json!({}))).collect();
            json!({ "type": "SystemAssigned, UserAssigned", "userAssignedIdentities": named })
        }
    }
}

fn is_new(given: &Value, now: jiff::Timestamp) -> bool {
    let told = given["properties"]["createdOn"].as_str();
    let at = told.and_then(|told| told.parse::<jiff::Timestamp>().ok());
    at.is_some_and(|at| now.duration_since(at) < COUNTS_AFTER)
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
