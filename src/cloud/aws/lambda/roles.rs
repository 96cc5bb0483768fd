//! Operations on roles of IAM, one function each.

use std::collections::BTreeMap;

use super::{
    json::Refusal,
    query::{Leaves, Query},
    signed::Signed,
};
use crate::cloud::CloudError;

/// The one policy in each of our roles.
const POLICY: &str = "verdigris";

/// IAM.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Roles(pub(super) Signed);

impl Roles {
    /// The tags of a role; none where there is no such role.
    pub(in crate::cloud::aws) async fn tags(
        &self,
        role: &str,
    ) -> Result<Option<BTreeMap<String, String>>, CloudError> {
        let asked = self.ask("GetRole", role, named(role)).await?;
        match asked {
            Ok(told) => {
                let pairs = told.all("Key").zip(told.all("Value"));
                let tags = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
                Ok(Some(tags.collect()))
            }
            Err(refusal) if is_missing(&refusal) => Ok(None),
            Err(refusal) => Err(refusal.sorted("GetRole", role)),
        }
    }

    /// Quiet where it is there.
    pub(in crate::cloud::aws) async fn create(
        &self,
        path: &str,
        role: &str,
        trust: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let mut parameters = named(role);
        parameters.push(("Path".to_owned(), path.to_owned()));
        parameters.push(("AssumeRolePolicyDocument".to_owned(), trust.to_owned()));
        for (number, (key, value)) in (1..).zip(tags) {
            parameters.push((format!("Tags.member.{number}.Key"), key.clone()));
            parameters.push((format!("Tags.member.{number}.Value"), value.clone()));
        }
        match self.ask("CreateRole", role, parameters).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.kind == "EntityAlreadyExists" => Ok(()),
            Err(refusal) => Err(refusal.sorted("CreateRole", role)),
        }
    }

    pub(in crate::cloud::aws) async fn put_policy(
        &self,
        role: &str,
        policy: &str,
    ) -> Result<(), CloudError> {
        let mut parameters = named(role);
        parameters.push(("PolicyName".to_owned(), POLICY.to_owned()));
        parameters.push(("PolicyDocument".to_owned(), policy.to_owned()));
        let asked = self.ask("PutRolePolicy", role, parameters).await?;
        asked
            .map(drop)
            .map_err(|refusal| refusal.sorted("PutRolePolicy", role))
    }

    /// Our policy in a role; none where there is none, or no such role.
    pub(in crate::cloud::aws) async fn policy(
        &self,
        role: &str,
    ) -> Result<Option<String>, CloudError> {
        let mut parameters = named(role);
        parameters.push(("PolicyName".to_owned(), POLICY.to_owned()));
        match self.ask("GetRolePolicy", role, parameters).await? {
            Ok(told) => Ok(told.first("PolicyDocument").map(decoded)),
            Err(refusal) if is_missing(&refusal) => Ok(None),
            Err(refusal) => Err(refusal.sorted("GetRolePolicy", role)),
        }
    }

    /// Quiet where it is gone.
    pub(in crate::cloud::aws) async fn delete(&self, role: &str) -> Result<(), CloudError> {
        let mut policy = named(role);
        policy.push(("PolicyName".to_owned(), POLICY.to_owned()));
        // A role with a policy in it cannot be deleted.
        for (operation, parameters) in [("DeleteRolePolicy", policy), ("DeleteRole", named(role))] {
            match self.ask(operation, role, parameters).await? {
                Ok(_) => {}
                Err(refusal) if is_missing(&refusal) => {}
                Err(refusal) => return Err(refusal.sorted(operation, role)),
            }
        }
        Ok(())
    }

    async fn ask(
        &self,
        operation: &str,
        resource: &str,
        parameters: Vec<(String, String)>,
    ) -> Result<Result<Leaves, Refusal>, CloudError> {
        let query = Query {
            service: "iam",
            version: "2010-05-08",
            operation,
            resource,
            parameters,
        };
        self.0.ask_query(query).await
    }
}

fn named(role: &str) -> Vec<(String, String)> {
    vec![("RoleName".to_owned(), role.to_owned())]
}

/// IAM writes policies percent-encoded; some servers do not.
fn decoded(policy: &str) -> String {
    if policy.trim_start().starts_with('{') {
        return policy.to_owned();
    }
    let form = format!("policy={policy}");
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    let policy = pairs.next().map(|(_, policy)| policy.into_owned());
    policy.unwrap_or_default()
}

fn is_missing(refusal: &Refusal) -> bool {
    refusal.kind == "NoSuchEntity"
}
