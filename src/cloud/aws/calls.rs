//! The operations of Lambda that we use, one function each. What is missing is `None`, everything else that fails is a `CloudError`.

use std::collections::BTreeMap;

use aws_sdk_lambda::{
    primitives::Blob,
    types::{
        AliasConfiguration, AliasRoutingConfiguration, Architecture, Environment, FunctionCode,
        FunctionConfiguration, FunctionUrlAuthType, Runtime,
    },
};
use url::Url;

use super::{
    client::{Asked, Class, Lambda, is_conflict, is_missing, sorted},
    settings::Settings,
};
use crate::{cloud::CloudError, name::CloudName};

/// An answer of `GetFunction`.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) config: FunctionConfiguration,
    /// AWS promises them for the unqualified function only.
    pub(super) tags: Option<BTreeMap<String, String>>,
}

/// What a writing call is for: the function, what it should be, and the state that the caller saw.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) name: &'a str,
    pub(super) wanted: &'a Settings,
    pub(super) description: &'a str,
    /// The call is refused if somebody else was faster. Some servers have none.
    pub(super) revision_id: Option<String>,
}

/// Where an alias should point.
#[derive(Debug)]
pub(super) struct Pointing<'a> {
    pub(super) name: &'a str,
    pub(super) alias: &'a str,
    pub(super) version: &'a str,
    pub(super) description: String,
}

fn asked<'a>(operation: &'a str, resource: &'a str) -> Asked<'a> {
    Asked {
        operation,
        resource,
    }
}

fn environment(wanted: &Settings) -> Environment {
    let variables = wanted.env.clone().into_iter().collect();
    Environment::builder()
        .set_variables(Some(variables))
        .build()
}

fn architectures(wanted: &Settings) -> Option<Vec<Architecture>> {
    let known = wanted.architectures.iter();
    Some(
        known
            .map(|name| Architecture::from(name.as_str()))
            .collect(),
    )
}

/// No weights: all traffic goes to the one version.
fn whole_traffic() -> AliasRoutingConfiguration {
    AliasRoutingConfiguration::builder()
        .set_additional_version_weights(Some(Default::default()))
        .build()
}

impl Lambda {
    pub(super) async fn function(
        &self,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Option<Function>, CloudError> {
        self.turn(Class::GetFunction).await;
        let call = self.sdk.get_function().function_name(name);
        match call
            .set_qualifier(qualifier.map(str::to_owned))
            .send()
            .await
        {
            Ok(answer) => Ok(answer.configuration.map(|config| Function {
                config,
                tags: answer.tags.map(|tags| tags.into_iter().collect()),
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(sorted(asked("GetFunction", name), &error)),
        }
    }

    /// Every function of the account in this region, with the settings of `$LATEST`. Without tags and states.
    pub(super) async fn functions(&self) -> Result<Vec<FunctionConfiguration>, CloudError> {
        let mut all = Vec::new();
        let mut marker = None;
        loop {
            self.turn(Class::Other).await;
            let call = self.sdk.list_functions().set_marker(marker);
            let page = call
                .send()
                .await
                .map_err(|error| sorted(asked("ListFunctions", "all functions"), &error))?;
            all.extend(page.functions.unwrap_or_default());
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    /// Published versions. Empty where there is no such function.
    pub(super) async fn versions(
        &self,
        name: &str,
    ) -> Result<Vec<FunctionConfiguration>, CloudError> {
        let mut all = Vec::new();
        let mut marker = None;
        loop {
            self.turn(Class::Other).await;
            let call = self.sdk.list_versions_by_function().function_name(name);
            let page = match call.set_marker(marker).send().await {
                Ok(page) => page,
                Err(error) if is_missing(&error) => return Ok(Vec::new()),
                Err(error) => {
                    return Err(sorted(asked("ListVersionsByFunction", name), &error));
                }
            };
            let published = page.versions.unwrap_or_default().into_iter();
            all.extend(published.filter(|version| version.version() != Some("$LATEST")));
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    pub(super) async fn aliases(&self, name: &str) -> Result<Vec<AliasConfiguration>, CloudError> {
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

    /// Makes the function with a first version, and returns the version's number.
    pub(super) async fn create(
        &self,
        change: Change<'_>,
        zip: Vec<u8>,
        tags: BTreeMap<String, String>,
    ) -> Result<String, CloudError> {
        let Change {
            name,
            wanted,
            description,
            revision_id: _,
        } = change;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .create_function()
            .function_name(name)
            .description(description)
            .runtime(Runtime::from(wanted.runtime.as_str()))
            .handler(&wanted.handler)
            .role(&wanted.role)
            .memory_size(wanted.memory)
            .timeout(wanted.timeout)
            .set_architectures(architectures(wanted))
            .environment(environment(wanted))
            .code(FunctionCode::builder().zip_file(Blob::new(zip)).build())
            .set_tags(Some(tags.into_iter().collect()))
            .publish(true)
            .send()
            .await;
        let answer = answer.map_err(|error| sorted(asked("CreateFunction", name), &error))?;
        version_of("CreateFunction", name, answer.version)
    }

    pub(super) async fn configure(&self, change: Change<'_>) -> Result<(), CloudError> {
        let Change {
            name,
            wanted,
            description,
            revision_id,
        } = change;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .update_function_configuration()
            .function_name(name)
            .description(description)
            .runtime(Runtime::from(wanted.runtime.as_str()))
            .handler(&wanted.handler)
            .role(&wanted.role)
            .memory_size(wanted.memory)
            .timeout(wanted.timeout)
            .environment(environment(wanted))
            .set_layers(Some(Vec::new()))
            .set_revision_id(revision_id)
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| sorted(asked("UpdateFunctionConfiguration", name), &error))
    }

    /// Sends the package and publishes: returns the version's number.
    pub(super) async fn upload(
        &self,
        change: Change<'_>,
        zip: Vec<u8>,
    ) -> Result<String, CloudError> {
        let Change {
            name,
            wanted,
            description: _,
            revision_id,
        } = change;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .update_function_code()
            .function_name(name)
            .zip_file(Blob::new(zip))
            .set_architectures(architectures(wanted))
            .set_revision_id(revision_id)
            .publish(true)
            .send()
            .await;
        let answer = answer.map_err(|error| sorted(asked("UpdateFunctionCode", name), &error))?;
        version_of("UpdateFunctionCode", name, answer.version)
    }

    /// Publishes `$LATEST`, if it still has the wanted code: returns the version's number.
    pub(super) async fn publish(&self, change: Change<'_>) -> Result<String, CloudError> {
        let Change {
            name,
            wanted,
            description,
            revision_id,
        } = change;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .publish_version()
            .function_name(name)
            .description(description)
            .code_sha256(&wanted.code)
            .set_revision_id(revision_id)
            .send()
            .await;
        let answer = answer.map_err(|error| sorted(asked("PublishVersion", name), &error))?;
        version_of("PublishVersion", name, answer.version)
    }

    pub(super) async fn create_alias(&self, pointing: Pointing<'_>) -> Result<(), CloudError> {
        let Pointing {
            name,
            alias,
            version,
            description,
        } = pointing;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .create_alias()
            .function_name(name)
            .name(alias)
            .function_version(version)
            .description(description)
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| sorted(asked("CreateAlias", name), &error))
    }

    /// Points an alias at one version, with no weights beside it, unless somebody else was faster.
    pub(super) async fn update_alias(
        &self,
        pointing: Pointing<'_>,
        revision_id: Option<String>,
    ) -> Result<(), CloudError> {
        let Pointing {
            name,
            alias,
            version,
            description,
        } = pointing;
        self.turn(Class::Other).await;
        let answer = self
            .sdk
            .update_alias()
            .function_name(name)
            .name(alias)
            .function_version(version)
            .description(description)
            .routing_config(whole_traffic())
            .set_revision_id(revision_id)
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| sorted(asked("UpdateAlias", name), &error))
    }

    pub(super) async fn delete_alias(&self, name: &str, alias: &str) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_alias().function_name(name).name(alias);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(asked("DeleteAlias", name), &error)),
        }
    }

    pub(super) async fn url(&self, name: &str, alias: &str) -> Result<Option<Url>, CloudError> {
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
    pub(super) async fn create_url(&self, name: &str, alias: &str) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.create_function_url_config().function_name(name);
        let call = call.qualifier(alias).auth_type(FunctionUrlAuthType::None);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(sorted(asked("CreateFunctionUrlConfig", name), &error)),
        }
    }

    pub(super) async fn delete_url(&self, name: &str, alias: &str) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_function_url_config().function_name(name);
        match call.qualifier(alias).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(asked("DeleteFunctionUrlConfig", name), &error)),
        }
    }

    /// Lets everyone call an alias by its URL. AWS wants both statements: one for the URL, one for the function behind it.
    pub(super) async fn permit_url(&self, name: &str, alias: &str) -> Result<(), CloudError> {
        let everyone = || {
            let call = self.sdk.add_permission().function_name(name);
            call.qualifier(alias).principal("*")
        };
        let statements = [
            everyone()
                .statement_id("verdigris-url")
                .action("lambda:InvokeFunctionUrl")
                .function_url_auth_type(FunctionUrlAuthType::None),
            everyone()
                .statement_id("verdigris-invoke")
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

    pub(super) async fn tag(
        &self,
        arn: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.tag_resource().resource(arn);
        let answer = call.set_tags(Some(tags.into_iter().collect())).send().await;
        answer
            .map(drop)
            .map_err(|error| sorted(asked("TagResource", arn), &error))
    }

    /// Deletes one version, or the whole function with all its versions and aliases.
    pub(super) async fn delete(&self, name: &str, version: Option<&str>) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_function().function_name(name);
        let call = call.set_qualifier(version.map(str::to_owned));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(asked("DeleteFunction", name), &error)),
        }
    }
}

fn version_of(operation: &str, name: &str, version: Option<String>) -> Result<String, CloudError> {
    version
        .filter(|version| version != "$LATEST")
        .ok_or_else(|| odd(operation, name, "the answer names no version"))
}

/// An answer that the interface does not allow.
fn odd(operation: &str, name: &str, message: &str) -> CloudError {
    CloudError::Unreachable {
        cloud: CloudName::Aws,
        operation: format!("{operation} of `{name}`"),
        message: message.to_owned(),
    }
}
