//! Operations on aliases, one function each. What is missing is `None`, all else that fails is a `CloudError`.

use aws_sdk_lambda::types::{AliasConfiguration, AliasRoutingConfiguration};

use super::{
    Class, Lambda,
    account::errors::{asked, is_missing, sorted},
    written::{aliases_of, of_aliases},
};
use crate::{
    cloud::{CloudError, unseen::until_told},
    name::Percent,
};

/// Where an alias should point.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Pointing<'a> {
    pub(in crate::cloud::aws) name: &'a str,
    pub(in crate::cloud::aws) alias: &'a str,
    pub(in crate::cloud::aws) version: &'a str,
    pub(in crate::cloud::aws) description: String,
    /// Another version that takes a share of its requests.
    pub(in crate::cloud::aws) share: Option<Share<'a>>,
}

/// A version and its share of an alias's requests.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::aws) struct Share<'a> {
    pub(in crate::cloud::aws) version: &'a str,
    pub(in crate::cloud::aws) weight: Percent,
}

/// No weights where nothing is shared: all traffic goes to the one version.
fn traffic(share: Option<Share<'_>>) -> AliasRoutingConfiguration {
    let weight = |Share { version, weight }| (String::from(version), Percent::as_fraction(weight));
    AliasRoutingConfiguration::builder()
        .set_additional_version_weights(Some(share.into_iter().map(weight).collect()))
        .build()
}

impl Lambda {
    pub(in crate::cloud::aws) async fn aliases(
        &self,
        name: &str,
    ) -> Result<Vec<AliasConfiguration>, CloudError> {
        let call = || self.sdk.list_aliases().function_name(name);
        let told = until_told!(
            self.unseen,
            aliases_of(name),
            of_aliases,
            match pages!(self, call, aliases) {
                Ok(all) => all,
                Err(error) if is_missing(&error) => Vec::new(),
                Err(error) => return Err(sorted(asked("ListAliases", name), &error)),
            }
        );
        Ok(told)
    }

    /// Returns the alias's first revision.
    pub(in crate::cloud::aws) async fn create_alias(
        &self,
        pointing: Pointing<'_>,
    ) -> Result<Option<String>, CloudError> {
        let Pointing {
            name,
            alias,
            version,
            description,
            share,
        } = pointing;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .create_alias()
            .function_name(name)
            .name(alias)
            .function_version(version)
            .description(description)
            .set_routing_config(share.map(|share| traffic(Some(share))))
            .send()
            .await;
        let told = answer.map_err(|error| sorted(asked("CreateAlias", name), &error))?;
        self.made_alias(name, alias, version);
        Ok(told.revision_id)
    }

    /// Points an alias at one version, with no other share beside it than the one that is asked for, unless somebody else was faster.
    /// Returns the alias's new revision.
    pub(in crate::cloud::aws) async fn update_alias(
        &self,
        pointing: Pointing<'_>,
        revision_id: Option<String>,
    ) -> Result<Option<String>, CloudError> {
        let Pointing {
            name,
            alias,
            version,
            description,
            share,
        } = pointing;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .update_alias()
            .function_name(name)
            .name(alias)
            .function_version(version)
            .description(description)
            .routing_config(traffic(share))
            .set_revision_id(revision_id.clone())
            .send()
            .await;
        let told = answer.map_err(|error| sorted(asked("UpdateAlias", name), &error))?;
        // Some servers leave the revision as it was, and would never tell another.
        let before = revision_id.filter(|before| told.revision_id() != Some(before));
        self.moved_alias((name, alias), version, before);
        Ok(told.revision_id)
    }

    pub(in crate::cloud::aws) async fn delete_alias(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_alias().function_name(name).name(alias);
        match call.send().await {
            Ok(_) => self.deleted_alias(name, alias),
            Err(error) if is_missing(&error) => self.deleted_alias(name, alias),
            Err(error) => return Err(sorted(asked("DeleteAlias", name), &error)),
        }
        Ok(())
    }
}
