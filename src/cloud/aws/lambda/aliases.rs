//! Operations on aliases and their addresses, one function each. What is missing is `None`, all else that fails is a `CloudError`.

use aws_sdk_lambda::types::{AliasConfiguration, AliasRoutingConfiguration, FunctionUrlAuthType};
use url::Url;

use super::{
    Class, Lambda,
    errors::{asked, is_conflict, is_missing, odd, sorted},
};
use crate::{cloud::CloudError, name::Percent};

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

/// Of the statement for the URL, and of that for the function behind it. A statement cannot be changed, only taken away. The alias is
/// in the name since not every server keeps a policy for each alias.
fn statement_ids(alias: &str) -> [String; 2] {
    ["url", "invoke"].map(|what| format!("verdigris-{what}-{alias}"))
}

fn permits_url(policy: &str, alias: &str) -> bool {
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = policy["Statement"].as_array();
    let has = |id: &String| {
        let mut listed = statements.into_iter().flatten();
        listed.any(|statement| statement["Sid"] == **id)
    };
    statement_ids(alias).iter().all(has)
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
        let mut all = Vec::new();
        let mut marker = None;
        loop {
            self.turn(Class::Other).await;
            let call = self.sdk.list_aliases().function_name(name);
            let page = match call.set_marker(marker).send().await {
                Ok(page) => page,
                Err(error) if is_missing(&error) => return Ok(Vec::new()),
                Err(error) => return Err(sorted(asked("ListAliases", name), &error)),
            };
            all.extend(page.aliases.unwrap_or_default());
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    pub(in crate::cloud::aws) async fn create_alias(
        &self,
        pointing: Pointing<'_>,
    ) -> Result<(), CloudError> {
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
        answer
            .map(drop)
            .map_err(|error| sorted(asked("CreateAlias", name), &error))
    }

    /// Points an alias at one version, with no other share beside it than the one that is asked for, unless somebody else was faster.
    pub(in crate::cloud::aws) async fn update_alias(
        &self,
        pointing: Pointing<'_>,
        revision_id: Option<String>,
    ) -> Result<(), CloudError> {
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
            .set_revision_id(revision_id)
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| sorted(asked("UpdateAlias", name), &error))
    }

    pub(in crate::cloud::aws) async fn delete_alias(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_alias().function_name(name).name(alias);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(asked("DeleteAlias", name), &error)),
        }
    }

    pub(in crate::cloud::aws) async fn url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<Option<Url>, CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.get_function_url_config().function_name(name);
        match call.qualifier(alias).send().await {
            Ok(answer) => Url::parse(&answer.function_url)
                .map(Some)
                .map_err(|fault| odd("GetFunctionUrlConfig", name, &fault.to_string())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(sorted(asked("GetFunctionUrlConfig", name), &error)),
        }
    }

    /// A second one for the same alias is quietly taken for the first.
    pub(in crate::cloud::aws) async fn create_url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.create_function_url_config().function_name(name);
        let call = call.qualifier(alias).auth_type(FunctionUrlAuthType::None);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(sorted(asked("CreateFunctionUrlConfig", name), &error)),
        }
    }

    pub(in crate::cloud::aws) async fn delete_url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_function_url_config().function_name(name);
        match call.qualifier(alias).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(asked("DeleteFunctionUrlConfig", name), &error)),
        }
    }

    /// Whether both statements of [`Self::permit_url`] are there. A person can take them away, and the URL then refuses everyone.
    pub(in crate::cloud::aws) async fn is_url_permitted(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<bool, CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.get_policy().function_name(name);
        match call.qualifier(alias).send().await {
            Ok(answer) => Ok(permits_url(answer.policy().unwrap_or_default(), alias)),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(sorted(asked("GetPolicy", name), &error)),
        }
    }

    /// Lets everyone call an alias by its URL. AWS wants both statements: one for the URL, one for the function behind it.
    pub(in crate::cloud::aws) async fn permit_url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        let [url_id, invoke_id] = statement_ids(alias);
        let everyone = || {
            let call = self.sdk.add_permission().function_name(name);
            call.qualifier(alias).principal("*")
        };
        let statements = [
            everyone()
                .statement_id(&url_id)
                .action("lambda:InvokeFunctionUrl")
                .function_url_auth_type(FunctionUrlAuthType::None),
            everyone()
                .statement_id(&invoke_id)
                .action("lambda:InvokeFunction")
                .invoked_via_function_url(true),
        ];
        for statement in statements {
            self.turn(Class::Other).await;
            match statement.send().await {
                Ok(_) => {}
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(sorted(asked("AddPermission", name), &error)),
            }
        }
        Ok(())
    }
}
