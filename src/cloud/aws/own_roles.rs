//! Makes roles that functions have of their own, gives back what hands changed in them, and deletes them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    AwsCloud,
    duties::short_digest,
    roles::{OwnRole, RunsAs, name_in, path_of, wanted},
    settings::Settings,
    survey::AliasDetail,
    tags,
};
use crate::{
    cloud::CloudError,
    desired::Release,
    name::{CloudName, FunctionName, ServiceKey},
};

/// Whoever Lambda runs as it must be let.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// IAM tells Lambda of a new role within seconds: a refusal for that is one to wait for, and nobody needs to come.
pub(super) fn not_yet(error: CloudError, function: &str) -> CloudError {
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
    pub(super) async fn make_role(
        &self,
        release: &Release,
        function: &FunctionName,
    ) -> Result<bool, CloudError> {
        let RunsAs::Own(own) = wanted(release, function, &self.options.target) else {
            return Ok(false);
        };
        let OwnRole {
            path,
            name,
            arn,
            policy,
            digest: _,
        } = own;
        match self.roles.tags(&name).await? {
            Some(tags) if tags.get(tags::OWNER).is_none_or(|it| it != tags::VERDIGRIS) => {
                return Err(CloudError::NotOurs {
                    cloud: CloudName::Aws,
                    resource: arn,
                });
            }
            Some(_) => {}
            None => {
                let tags = tags::of(&release.service);
                self.roles.create(&path, &name, TRUST, &tags).await?;
            }
        }
        self.roles.put_policy(&name, &policy).await?;
        Ok(true)
    }

    /// A digest of what a role of ours allows, as its name has it; `none` where it allows nothing, or is gone.
    pub(super) async fn policy_of(
        &self,
        role: &str,
        service: &ServiceKey,
    ) -> Result<String, CloudError> {
        let Some(policy) = self.roles.policy(role).await? else {
            return Ok("none".to_owned());
        };
        // Whoever writes it anew may write it in other words.
        let plain = serde_json::from_str::<Value>(&policy);
        let plain = plain.map_or(policy, |it| it.to_string());
        Ok(short_digest(&[&path_of(service), &plain]))
    }

    /// Gives back the rights that somebody changed by hand.
    pub(super) async fn mend_role(
        &self,
        release: &Release,
        function: &FunctionName,
        now: Option<&AliasDetail>,
    ) -> Result<(), CloudError> {
        let RunsAs::Own(own) = wanted(release, function, &self.options.target) else {
            return Ok(());
        };
        let read = now.and_then(|it| it.policy.as_ref());
        if read.is_none_or(|it| *it == own.digest) {
            return Ok(());
        }
        let name = self.lambda_name(&release.service, function)?;
        self.memory.look_again(&name);
        self.make_role(release, function).await?;
        // Whoever looked meanwhile may have seen the rights that were there before.
        self.memory.look_again(&name);
        Ok(())
    }

    /// Deletes roles of ours that versions which are gone had, and that none which is left has.
    pub(super) async fn delete_roles(
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
            self.roles.delete(name).await?;
        }
        Ok(())
    }
}
