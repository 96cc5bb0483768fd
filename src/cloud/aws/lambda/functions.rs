//! Operations on functions and their versions, one function each. What is missing is `None`, all else that fails is a `CloudError`.

use std::collections::BTreeMap;

use super::{
    Class, Lambda,
    account::errors::{asked, is_missing, odd, sorted},
    written::{ALL_FUNCTIONS, of_function, of_functions, of_versions, one_function, versions_of},
};
use crate::cloud::{
    CloudError,
    aws::settings::{Extras, Settings},
    unseen::until_told,
};
use aws_sdk_lambda::{
    primitives::Blob,
    types::{Architecture, Environment, FunctionCode, FunctionConfiguration, PackageType, Runtime},
};

/// What makes a function and what changes it take the same settings by the same names, and are no same type.
macro_rules! configured {
    ($call:expr, $wanted:expr, $parts:expr) => {
        $call
            .set_runtime(runtime($wanted))
            .set_handler(handler($wanted))
            .role(&$wanted.role)
            .memory_size($wanted.memory)
            .timeout($wanted.timeout)
            .environment(environment($wanted))
            .set_ephemeral_storage($parts.storage)
            .set_layers($parts.layers)
            .set_vpc_config($parts.vpc)
            .set_file_system_configs($parts.file_systems)
            .set_dead_letter_config($parts.dead_letter)
            .set_snap_start($parts.snap_start)
            .set_tracing_config($parts.tracing)
            .set_logging_config($parts.logging)
            .set_kms_key_arn($parts.kms_key)
    };
}

/// An answer of `GetFunction`.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Function {
    pub(in crate::cloud::aws) config: FunctionConfiguration,
    /// AWS promises them for the unqualified function only.
    pub(in crate::cloud::aws) tags: Option<BTreeMap<String, String>>,
    /// Concurrency that is kept for it.
    pub(in crate::cloud::aws) reserved: Option<i32>,
    /// The image that it runs, by its digest.
    pub(in crate::cloud::aws) image: Option<String>,
}

/// What a function is made of.
#[derive(Debug)]
pub(in crate::cloud::aws) enum Code {
    Zip(Vec<u8>),
    /// By its digest.
    Image(String),
    /// A zip in S3.
    Object {
        bucket: String,
        key: String,
    },
}

impl Code {
    fn function_code(self) -> FunctionCode {
        let builder = FunctionCode::builder();
        match self {
            Self::Zip(zip) => builder.zip_file(Blob::new(zip)).build(),
            Self::Image(uri) => builder.image_uri(uri).build(),
            Self::Object { bucket, key } => builder.s3_bucket(bucket).s3_key(key).build(),
        }
    }
}

/// What a writing call is for: the function, what it should be, and the state that the caller saw.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Change<'a> {
    pub(in crate::cloud::aws) name: &'a str,
    pub(in crate::cloud::aws) wanted: &'a Settings,
    pub(in crate::cloud::aws) description: &'a str,
    /// What it is now.
    pub(in crate::cloud::aws) before: Extras,
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

/// An image brings its own.
fn runtime(wanted: &Settings) -> Option<Runtime> {
    let named = Some(wanted.runtime.as_str()).filter(|it| !it.is_empty());
    named.map(Runtime::from)
}

fn handler(wanted: &Settings) -> Option<String> {
    Some(wanted.handler.clone()).filter(|it| !it.is_empty())
}

impl Lambda {
    /// The function, or what an alias of it or a version is.
    pub(in crate::cloud::aws) async fn function(
        &self,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Option<Function>, CloudError> {
        let asked = one_function(name, qualifier);
        let told = until_told!(
            self.unseen,
            asked,
            of_function,
            self.function_now(name, qualifier).await?
        );
        Ok(told)
    }

    async fn function_now(
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
                reserved: answer
                    .concurrency
                    .and_then(|it| it.reserved_concurrent_executions),
                image: answer
                    .code
                    .and_then(|it| it.resolved_image_uri.or(it.image_uri)),
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(sorted(asked("GetFunction", name), &error)),
        }
    }

    /// Every function of the account in this region, with the settings of `$LATEST`. Without tags and states.
    pub(in crate::cloud::aws) async fn functions(
        &self,
    ) -> Result<Vec<FunctionConfiguration>, CloudError> {
        let call = || self.sdk.list_functions();
        let told = until_told!(
            self.unseen,
            ALL_FUNCTIONS,
            of_functions,
            pages!(self, call, functions)
                .map_err(|error| sorted(asked("ListFunctions", "all functions"), &error))?
        );
        Ok(told)
    }

    /// Published versions. Empty where there is no such function.
    pub(in crate::cloud::aws) async fn versions(
        &self,
        name: &str,
    ) -> Result<Vec<FunctionConfiguration>, CloudError> {
        let call = || self.sdk.list_versions_by_function().function_name(name);
        let mut all = until_told!(
            self.unseen,
            versions_of(name),
            of_versions,
            match pages!(self, call, versions) {
                Ok(all) => all,
                Err(error) if is_missing(&error) => Vec::new(),
                Err(error) => return Err(sorted(asked("ListVersionsByFunction", name), &error)),
            }
        );
        all.retain(|version| version.version() != Some("$LATEST"));
        Ok(all)
    }

    /// Makes the function with a first version, and returns the version's number.
    pub(in crate::cloud::aws) async fn create(
        &self,
        change: Change<'_>,
        code: Code,
        tags: BTreeMap<String, String>,
    ) -> Result<String, CloudError> {
        let Change {
            name,
            wanted,
            description,
            before,
            revision_id: _,
        } = change;
        let parts = wanted.extras.parts(&before);
        let kind = match &code {
            Code::Zip(_) | Code::Object { bucket: _, key: _ } => None,
            Code::Image(_) => Some(PackageType::Image),
        };
        let call = self.sdk.create_function().function_name(name);
        let call = call.description(description).set_package_type(kind);
        self.turn(Class::Other).await;
        let answer = configured!(call, wanted, parts)
            .set_architectures(architectures(wanted))
            .code(code.function_code())
            .set_tags(Some(tags.into_iter().collect()))
            .publish(true)
            .send()
            .await;
        let answer = answer.map_err(|error| sorted(asked("CreateFunction", name), &error))?;
        let version = version_of("CreateFunction", name, answer.version)?;
        self.made_function(name);
        self.made_version(name, &version);
        Ok(version)
    }

    pub(in crate::cloud::aws) async fn configure(
        &self,
        change: Change<'_>,
    ) -> Result<(), CloudError> {
        let Change {
            name,
            wanted,
            description,
            before,
            revision_id,
        } = change;
        let parts = wanted.extras.parts(&before);
        let call = self.sdk.update_function_configuration();
        let call = call.function_name(name).description(description);
        self.turn(Class::Other).await;
        let answer = configured!(call, wanted, parts)
            .set_revision_id(revision_id.clone())
            .send()
            .await;
        answer.map_err(|error| sorted(asked("UpdateFunctionConfiguration", name), &error))?;
        self.changed_latest(name, revision_id.as_deref());
        Ok(())
    }

    /// Sends the package and publishes: returns the version's number.
    pub(in crate::cloud::aws) async fn upload(
        &self,
        change: Change<'_>,
        code: Code,
    ) -> Result<String, CloudError> {
        let Change {
            name,
            wanted,
            description: _,
            before: _,
            revision_id,
        } = change;
        self.turn(Class::Other).await;
        let call = self.sdk.update_function_code().function_name(name);
        let call = match code {
            Code::Zip(zip) => call.zip_file(Blob::new(zip)),
            Code::Image(uri) => call.image_uri(uri),
            Code::Object { bucket, key } => call.s3_bucket(bucket).s3_key(key),
        };
        let answer = call
            .set_architectures(architectures(wanted))
            .set_revision_id(revision_id.clone())
            .publish(true)
            .send()
            .await;
        let answer = answer.map_err(|error| sorted(asked("UpdateFunctionCode", name), &error))?;
        let version = version_of("UpdateFunctionCode", name, answer.version)?;
        self.changed_latest(name, revision_id.as_deref());
        self.made_version(name, &version);
        Ok(version)
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
            before: _,
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
        let version = version_of("PublishVersion", name, answer.version)?;
        self.made_version(name, &version);
        Ok(version)
    }

    pub(in crate::cloud::aws) async fn tag(
        &self,
        arn: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.tag_resource().resource(arn);
        let sent = tags.clone().into_iter().collect();
        let answer = call.set_tags(Some(sent)).send().await;
        answer.map_err(|error| sorted(asked("TagResource", arn), &error))?;
        for (tag, value) in &tags {
            self.tagged(arn, tag, Some(value));
        }
        Ok(())
    }

    /// Takes tags away; quiet where they are not there.
    pub(in crate::cloud::aws) async fn untag(
        &self,
        arn: &str,
        names: Vec<String>,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.untag_resource().resource(arn);
        let answer = call.set_tag_keys(Some(names.clone())).send().await;
        answer.map_err(|error| sorted(asked("UntagResource", arn), &error))?;
        for name in &names {
            self.tagged(arn, name, None);
        }
        Ok(())
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
            Ok(_) => self.deleted(name, version),
            Err(error) if is_missing(&error) => self.deleted(name, version),
            Err(error) => return Err(sorted(asked("DeleteFunction", name), &error)),
        }
        Ok(())
    }
}

fn version_of(operation: &str, name: &str, version: Option<String>) -> Result<String, CloudError> {
    version
        .filter(|version| version != "$LATEST")
        .ok_or_else(|| odd(operation, name, "the answer names no version"))
}
