//! Makes roles that functions have of their own, gives back what hands changed in them, and deletes them.
//!
//! # Caveats
//!
//! A boundary that somebody sets on a role takes rights away and gives none, and accounts have rules that ask for one: it is left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use tokio::time::sleep;

use super::super::{
    AwsCloud,
    duties::short_digest,
    lambda::{Role, Roles},
    settings::Settings,
    survey::AliasDetail,
    tags,
};
use super::{
    OwnRole, TRUST,
    found::{RoleFound, trusted},
    may_be_of, name_in, own_role, path_of,
};
use crate::{
    cloud::CloudError,
    desired::Release,
    name::{CloudName, FunctionName, ServiceKey},
    rollout::intent::Response,
};

/// What IAM tells follows what it was given, if not at once.
const LOOKS: u32 = 6;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How it ended to publish a function of a release.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::aws) struct Ended<'a> {
    /// That it was to run as.
    pub(in crate::cloud::aws) own_role: Option<&'a str>,
    pub(in crate::cloud::aws) failed: Option<&'a CloudError>,
}

/// IAM tells Lambda of a new role within seconds: a refusal for that is one to wait for, and nobody needs to come.
pub(in crate::cloud::aws) fn not_yet(error: CloudError, function: &str) -> CloudError {
    if let CloudError::Denied {
        cloud,
        operation: _,
        message,
    } = &error
        && message.contains("assumed")
    {
        return CloudError::Busy {
            cloud: *cloud,
            resource: function.to_owned(),
            message: message.clone(),
        };
    }
    error
}

impl AwsCloud {
    /// Makes the role of a function where it is to have one of its own, and says whether it is. What is there and not ours is left
    /// alone.
    pub(in crate::cloud::aws) async fn make_role(
        &self,
        release: &Release,
        function: &FunctionName,
    ) -> Result<bool, CloudError> {
        let Some(own) = own_role(release, function, &self.options.target) else {
            return Ok(false);
        };
        let lambda = self.lambda_name(&release.service, function)?;
        let OwnRole {
            path,
            name,
            arn,
            policy,
            digest: _,
        } = own;
        match self.roles.role(&name).await? {
            Some(role)
                if role
                    .tags
                    .get(tags::OWNER)
                    .is_none_or(|it| it != tags::VERDIGRIS) =>
            {
                return Err(CloudError::NotOurs {
                    cloud: CloudName::Aws,
                    resource: arn,
                });
            }
            Some(role) if trusted(role.trust.as_deref()) != trusted(Some(TRUST)) => {
                self.memory.note_spare_role(&lambda, &name);
                self.roles.trust(&name, TRUST).await?;
            }
            Some(_) => self.memory.note_spare_role(&lambda, &name),
            None => {
                self.memory.note_spare_role(&lambda, &name);
                let tags = self.role_tags(&release.service);
                self.roles.create(&path, &name, TRUST, &tags).await?;
            }
        }
        self.roles.put_policy(&name, &policy).await?;
        Ok(true)
    }

    /// Four calls: the role and who may be it, our policy in it, the names of others, and what is attached.
    pub(in crate::cloud::aws) async fn role_of(
        &self,
        name: &str,
        service: &ServiceKey,
    ) -> Result<RoleFound, CloudError> {
        let (role, policy, mut further, attached) = tokio::try_join!(
            self.roles.role(name),
            self.roles.policy(name),
            self.roles.policies(name),
            self.roles.attached(name),
        )?;
        further.remove(Roles::POLICY);
        let trust = role.and_then(|Role { tags: _, trust }| trust);
        Ok(RoleFound {
            policy: policy.map_or_else(|| "none".to_owned(), |it| digest(&it, service)),
            trust: trusted(trust.as_deref()),
            attached,
            further,
        })
    }

    /// Gives back the rights that somebody changed by hand, and takes those that somebody added.
    ///
    /// # Errors
    ///
    /// `Busy` where IAM does not tell it so in time: the next look would take it for another change by hand.
    pub(in crate::cloud::aws) async fn mend_role(
        &self,
        release: &Release,
        function: &FunctionName,
        now: Option<&AliasDetail>,
    ) -> Result<(), CloudError> {
        let Some(own) = own_role(release, function, &self.options.target) else {
            return Ok(());
        };
        let read = now.and_then(|it| it.role.as_ref());
        let Some(found) = read.filter(|it| !it.serves(&own)) else {
            return Ok(());
        };
        let name = self.lambda_name(&release.service, function)?;
        self.memory.look_again(&name);
        self.make_role(release, function).await?;
        self.memory.note_no_spare_role(&name, &own.name);
        for arn in &found.attached {
            self.roles.detach(&own.name, arn).await?;
        }
        for policy in &found.further {
            self.roles.delete_policy(&own.name, policy).await?;
        }
        for look in 0..LOOKS {
            let now = self.role_of(&own.name, &release.service).await?;
            if now.serves(&own) {
                // Whoever looked meanwhile may have seen what was there before.
                self.memory.look_again(&name);
                return Ok(());
            }
            sleep(LOOK_AGAIN * 2_u32.pow(look)).await;
        }
        Err(CloudError::Busy {
            cloud: CloudName::Aws,
            resource: own.arn,
            message: "IAM does not tell yet what it was given".to_owned(),
        })
    }

    /// Roles that were made for what was not published go, unless the same will be tried again, which needs them. Failing here costs a role
    /// that nobody uses, so it is told in the log and tried again with the next release.
    pub(in crate::cloud::aws) async fn drop_spare_roles(
        &self,
        service: &ServiceKey,
        name: &str,
        ended: Ended<'_>,
    ) {
        let Ended { own_role, failed } = ended;
        match (failed.map(CloudError::response), own_role) {
            (Some(Response::Retry | Response::RetryAfter(_)), _) => return,
            (None, Some(own)) => self.memory.note_no_spare_role(name, own),
            (Some(Response::CallPerson | Response::Reject), _) | (None, None) => {}
        }
        let spare = self.memory.spare_roles(name);
        if spare.is_empty() {
            return;
        }
        if let Err(error) = self.try_drop_roles(service, name, &spare).await {
            tracing::warn!(function = name, %error, "roles that nothing uses could not be deleted");
        }
    }

    /// What was published since, and what was asked for last, may have one of them.
    async fn try_drop_roles(
        &self,
        service: &ServiceKey,
        name: &str,
        spare: &BTreeSet<String>,
    ) -> Result<(), CloudError> {
        let latest = self.lambda.function(name, None).await?;
        let versions = match latest {
            Some(_) => self.lambda.versions(name).await?,
            None => Vec::new(),
        };
        let configured = latest.into_iter().map(|it| it.config).chain(versions);
        let used: BTreeSet<String> = configured
            .filter_map(|it| name_in(it.role()?, service).map(str::to_owned))
            .collect();
        for role in spare.difference(&used) {
            self.delete_tagged(role, &tags::of(service)).await?;
            self.memory.note_no_spare_role(name, role);
        }
        Ok(())
    }

    /// Deletes roles that are left of a service whose functions were deleted, whichever daemon made them.
    ///
    /// # Guarantees
    ///
    /// A role goes only if its tags name us, the service, its environment and this region, and no function stands here that is called as
    /// the role's is, or runs as it. So roles of the same service in other regions stay, which are below the same path; so do those of
    /// functions that were left since their tags were edited; and so does a spare role that was made before roles were tagged with a region.
    ///
    /// Where roles may not be listed, that is told in the log, and the service is gone all the same: most have none.
    pub(in crate::cloud::aws) async fn delete_all_roles(
        &self,
        service: &ServiceKey,
    ) -> Result<(), CloudError> {
        let left = match self.roles.below(&path_of(service)).await {
            Ok(left) => left,
            Err(CloudError::Denied {
                cloud: _,
                operation,
                message,
            }) => {
                tracing::warn!(
                    %service, operation, message,
                    "nobody knows whether roles are left of it: let the daemon list them, as deploy/aws-policy.json does"
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if left.is_empty() {
            return Ok(());
        }
        let functions = self.lambda.functions().await?;
        let tags = self.role_tags(service);
        let is_used = |role: &&String| {
            functions.iter().any(|it| {
                let runs_as = it.role().and_then(|arn| name_in(arn, service));
                runs_as == Some(role.as_str())
                    || may_be_of(role, it.function_name().unwrap_or_default())
            })
        };
        for role in left.iter().filter(|role| !is_used(role)) {
            self.delete_tagged(role, &tags).await?;
        }
        Ok(())
    }

    /// Deletes roles of ours that versions which are gone had, and that none which is left has.
    pub(in crate::cloud::aws) async fn delete_roles(
        &self,
        service: &ServiceKey,
        gone: &[Settings],
        left: &[Settings],
    ) -> Result<(), CloudError> {
        let names = |of: &[Settings]| -> BTreeSet<String> {
            let names = of.iter().filter_map(|it| name_in(&it.role, service));
            names.map(str::to_owned).collect()
        };
        for name in names(gone).difference(&names(left)) {
            self.delete_tagged(name, &tags::of(service)).await?;
        }
        Ok(())
    }

    fn role_tags(&self, service: &ServiceKey) -> BTreeMap<String, String> {
        let mut tags = tags::of(service);
        let region = self.options.target.region.clone();
        tags.insert(tags::REGION.to_owned(), region);
        tags
    }

    /// What does not carry these tags, or no longer does, stays.
    async fn delete_tagged(
        &self,
        role: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let found = self.roles.role(role).await?;
        let carries = |it: Role| {
            tags.iter()
                .all(|(tag, value)| it.tags.get(tag) == Some(value))
        };
        match found.is_some_and(carries) {
            true => self.roles.delete(role).await,
            false => Ok(()),
        }
    }
}

/// As the name of the role has it.
fn digest(policy: &str, service: &ServiceKey) -> String {
    // Whoever writes it anew may write it in other words.
    let plain = serde_json::from_str::<Value>(policy);
    let plain = plain.map_or_else(|_| policy.to_owned(), |it| it.to_string());
    short_digest(&[&path_of(service), &plain])
}
