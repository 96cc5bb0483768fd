//! Operations on functions and their versions, one function each. What is missing is `None`, all else that fails is a `CloudError`.

use std::collections::BTreeMap;

use super::{
    Class, Lambda,
    errors::{asked, is_missing, odd, sorted},
};
use crate::cloud::{CloudError, aws::settings::Settings};
use aws_sdk_lambda::{
    primitives::Blob,
    types::{Architecture, Environment, FunctionCode, FunctionConfiguration, Runtime},
};

/// An answer of `GetFunction`.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Function {
    pub(in crate::cloud::aws) config: FunctionConfiguration,
    /// AWS promises them for the unqualified function only.
    pub(in crate::cloud::aws) tags: Option<BTreeMap<String, String>>,
}

/// What a writing call is for: the function, what it should be, and the state that the caller saw.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Change<'a> {
    pub(in crate::cloud::aws) name: &'a str,
    pub(in crate::cloud::aws) wanted: &'a Settings,
    pub(in crate::cloud::aws) description: &'a str,
    /// The call is refused if somebody else was faster. Some servers have none.
    pub(in crate::cloud::aws) revision_id: Option<String>,
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

impl Lambda {
    pub(in crate::cloud::aws) async fn function(
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
    pub(in crate::cloud::aws) async fn functions(
        &self,
    ) -> Result<Vec<FunctionConfiguration>, CloudError> {
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
    pub(in crate::cloud::aws) async fn versions(
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

    /// Makes the function with a first version, and returns the version's number.
    pub(in crate::cloud::aws) async fn create(
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

    pub(in crate::cloud::aws) async fn configure(
        &self,
        change: Change<'_>,
    ) -> Result<(), CloudError> {
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
    pub(in crate::cloud::aws) async fn upload(
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
    pub(in crate::cloud::aws) async fn publish(
        &self,
        change: Change<'_>,
    ) -> Result<String, CloudError> {
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

    pub(in crate::cloud::aws) async fn tag(
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
    pub(in crate::cloud::aws) async fn delete(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(), CloudError> {
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
