//! Operations on roles of IAM, one function each.

use std::collections::{BTreeMap, BTreeSet};

use super::super::signed::{
    Signed,
    json::Refusal,
    query::{Leaves, Query},
};
use crate::cloud::{
    CloudError,
    unseen::{there, until_told},
};

/// IAM.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Roles(pub(in crate::cloud::aws::lambda) Signed);

/// A role that is there.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Role {
    pub(in crate::cloud::aws) tags: BTreeMap<String, String>,
    /// The policy that says who may be it.
    pub(in crate::cloud::aws) trust: Option<String>,
}

impl Roles {
    /// The one policy in each of our roles.
    pub(in crate::cloud::aws) const POLICY: &str = "verdigris";

    pub(in crate::cloud::aws) async fn role(&self, role: &str) -> Result<Option<Role>, CloudError> {
        let mark = |told: &Option<Role>, _: &str| there(told.is_some());
        let told = until_told!(self.0.unseen, one(role), mark, self.role_now(role).await?);
        Ok(told)
    }

    async fn role_now(&self, role: &str) -> Result<Option<Role>, CloudError> {
        let asked = self.ask("GetRole", role, named(role)).await?;
        match asked {
            Ok(told) => {
                let pairs = told.all("Key").zip(told.all("Value"));
                let tags = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
                Ok(Some(Role {
                    tags: tags.collect(),
                    trust: told.first("AssumeRolePolicyDocument").map(decoded),
                }))
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
            Ok(_) => {}
            Err(refusal) if refusal.kind == "EntityAlreadyExists" => {}
            Err(refusal) => return Err(refusal.sorted("CreateRole", role)),
        }
        self.0.unseen.replaced(&one(role), "", None);
        Ok(())
    }

    pub(in crate::cloud::aws) async fn put_policy(
        &self,
        role: &str,
        policy: &str,
    ) -> Result<(), CloudError> {
        let parts = [("PolicyName", Self::POLICY), ("PolicyDocument", policy)];
        self.change("PutRolePolicy", role, &parts).await?;
        let now = Some(plain(policy));
        self.0.unseen.wrote(&policy_in(role), "", now);
        Ok(())
    }

    /// Says anew who may be it.
    pub(in crate::cloud::aws) async fn trust(
        &self,
        role: &str,
        trust: &str,
    ) -> Result<(), CloudError> {
        self.change("UpdateAssumeRolePolicy", role, &[("PolicyDocument", trust)])
            .await
    }

    /// Quiet where it is not attached.
    pub(in crate::cloud::aws) async fn detach(
        &self,
        role: &str,
        arn: &str,
    ) -> Result<(), CloudError> {
        self.take("DetachRolePolicy", role, &[("PolicyArn", arn)])
            .await
    }

    /// Quiet where it is gone.
    pub(in crate::cloud::aws) async fn delete_policy(
        &self,
        role: &str,
        policy: &str,
    ) -> Result<(), CloudError> {
        self.take("DeleteRolePolicy", role, &[("PolicyName", policy)])
            .await
    }

    /// Names of all policies in it; none where there is no such role.
    pub(in crate::cloud::aws) async fn policies(
        &self,
        role: &str,
    ) -> Result<BTreeSet<String>, CloudError> {
        let about = (role, named(role));
        self.list("ListRolePolicies", about, "member").await
    }

    /// ARNs of managed policies that are attached; none where there is no such role.
    pub(in crate::cloud::aws) async fn attached(
        &self,
        role: &str,
    ) -> Result<BTreeSet<String>, CloudError> {
        let about = (role, named(role));
        self.list("ListAttachedRolePolicies", about, "PolicyArn")
            .await
    }

    /// Names of all roles below a path.
    pub(in crate::cloud::aws) async fn below(
        &self,
        path: &str,
    ) -> Result<BTreeSet<String>, CloudError> {
        let prefix = vec![("PathPrefix".to_owned(), path.to_owned())];
        self.list("ListRoles", (path, prefix), "RoleName").await
    }

    /// Our policy in a role; none where there is none, or no such role.
    pub(in crate::cloud::aws) async fn policy(
        &self,
        role: &str,
    ) -> Result<Option<String>, CloudError> {
        let mark = |told: &Option<String>, _: &str| told.as_deref().map(plain);
        let told = until_told!(
            self.0.unseen,
            policy_in(role),
            mark,
            self.policy_now(role).await?
        );
        Ok(told)
    }

    async fn policy_now(&self, role: &str) -> Result<Option<String>, CloudError> {
        let mut parameters = named(role);
        parameters.push(("PolicyName".to_owned(), Self::POLICY.to_owned()));
        match self.ask("GetRolePolicy", role, parameters).await? {
            Ok(told) => Ok(told.first("PolicyDocument").map(decoded)),
            Err(refusal) if is_missing(&refusal) => Ok(None),
            Err(refusal) => Err(refusal.sorted("GetRolePolicy", role)),
        }
    }

    /// With all that hands put in. Quiet where it is gone.
    pub(in crate::cloud::aws) async fn delete(&self, role: &str) -> Result<(), CloudError> {
        const OPERATION: &str = "DeleteRole";
        self.0.unseen.forget(&one(role));
        self.0.unseen.forget(&policy_in(role));
        // A role with a policy in it, or on it, cannot be deleted.
        self.delete_policy(role, Self::POLICY).await?;
        match self.ask(OPERATION, role, named(role)).await? {
            Ok(_) => return Ok(()),
            Err(refusal) if is_missing(&refusal) => return Ok(()),
            Err(refusal) if refusal.kind == "DeleteConflict" => {}
            Err(refusal) => return Err(refusal.sorted(OPERATION, role)),
        }
        for arn in self.attached(role).await? {
            self.detach(role, &arn).await?;
        }
        for policy in self.policies(role).await? {
            self.delete_policy(role, &policy).await?;
        }
        self.take(OPERATION, role, &[]).await
    }

    /// Every page of a list: the texts of one leaf. What is asked is named for people, and as IAM takes it.
    async fn list(
        &self,
        operation: &str,
        (resource, asked): (&str, Vec<(String, String)>),
        leaf: &str,
    ) -> Result<BTreeSet<String>, CloudError> {
        let mut all = BTreeSet::new();
        let mut marker = None;
        loop {
            let mut parameters = asked.clone();
            parameters.extend(marker.map(|marker| ("Marker".to_owned(), marker)));
            let told = match self.ask(operation, resource, parameters).await? {
                Ok(told) => told,
                Err(refusal) if is_missing(&refusal) => return Ok(BTreeSet::new()),
                Err(refusal) => return Err(refusal.sorted(operation, resource)),
            };
            all.extend(told.all(leaf).map(str::to_owned));
            marker = told
                .first("Marker")
                .filter(|it| !it.is_empty())
                .map(str::to_owned);
            if told.first("IsTruncated") != Some("true") || marker.is_none() {
                return Ok(all);
            }
        }
    }

    async fn change(
        &self,
        operation: &str,
        role: &str,
        parts: &[(&str, &str)],
    ) -> Result<(), CloudError> {
        let asked = self.ask(operation, role, with(role, parts)).await?;
        asked
            .map(drop)
            .map_err(|refusal| refusal.sorted(operation, role))
    }

    /// As `change`, and quiet where there is nothing to take.
    async fn take(
        &self,
        operation: &str,
        role: &str,
        parts: &[(&str, &str)],
    ) -> Result<(), CloudError> {
        match self.ask(operation, role, with(role, parts)).await? {
            Ok(_) => Ok(()),
            Err(refusal) if is_missing(&refusal) => Ok(()),
            Err(refusal) => Err(refusal.sorted(operation, role)),
        }
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

fn one(role: &str) -> String {
    format!("role {role}")
}

fn policy_in(role: &str) -> String {
    format!("policy of role {role}")
}

/// In one form, whoever wrote it.
fn plain(policy: &str) -> String {
    let read = serde_json::from_str::<serde_json::Value>(policy);
    read.map_or_else(|_| policy.to_owned(), |it| it.to_string())
}

fn named(role: &str) -> Vec<(String, String)> {
    vec![("RoleName".to_owned(), role.to_owned())]
}

fn with(role: &str, parts: &[(&str, &str)]) -> Vec<(String, String)> {
    let parts = parts.iter();
    let parts = parts.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    named(role).into_iter().chain(parts).collect()
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

/// Of a role that is not there IAM knows no path, so whoever may only ask below one is refused, and no ARN is named.
fn is_missing(refusal: &Refusal) -> bool {
    let is_nameless = || refusal.message.contains(" on resource: role ");
    match refusal.kind.as_str() {
        "NoSuchEntity" => true,
        "AccessDenied" => is_nameless(),
        _ => false,
    }
}
