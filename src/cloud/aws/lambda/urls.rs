//! Operations on the addresses of aliases, one function each.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_lambda::types::{Cors as SdkCors, FunctionUrlAuthType, InvokeMode};
use url::Url;

use super::{
    Class, Lambda,
    account::errors::{asked, is_conflict, is_missing, odd, sorted},
    written,
};
use crate::{
    cloud::{CloudError, unseen::until_told},
    manifest::aws::{Cors, UrlAuth, UrlOptions},
};

/// An address and how it answers.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Address {
    pub(in crate::cloud::aws) url: Url,
    pub(in crate::cloud::aws) options: UrlOptions,
}

fn auth(options: &UrlOptions) -> FunctionUrlAuthType {
    match options.auth {
        UrlAuth::None => FunctionUrlAuthType::None,
        UrlAuth::Iam => FunctionUrlAuthType::AwsIam,
    }
}

fn auth_of(told: &FunctionUrlAuthType) -> UrlAuth {
    match told {
        FunctionUrlAuthType::AwsIam => UrlAuth::Iam,
        // The vendor may add kinds; none of them is one that we ask for.
        FunctionUrlAuthType::None | _ => UrlAuth::None,
    }
}

fn mode(options: &UrlOptions) -> InvokeMode {
    match options.stream {
        true => InvokeMode::ResponseStream,
        false => InvokeMode::Buffered,
    }
}

fn to_sdk(cors: &Cors) -> SdkCors {
    let Cors {
        origins,
        methods,
        headers,
        expose,
        credentials,
        max_age,
    } = cors;
    let list = |set: &BTreeSet<String>| Some(set.iter().cloned().collect());
    let seconds = max_age.map(|it| i32::try_from(it.as_secs()).unwrap_or(i32::MAX));
    SdkCors::builder()
        .set_allow_origins(list(origins))
        .set_allow_methods(list(methods))
        .set_allow_headers(list(headers))
        .set_expose_headers(list(expose))
        .allow_credentials(*credentials)
        .set_max_age(seconds)
        .build()
}

/// A server may tell an empty block where nothing was asked for.
fn from_sdk(read: &SdkCors) -> Option<Cors> {
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    let cors = Cors {
        origins: set(read.allow_origins()),
        methods: set(read.allow_methods()),
        headers: set(read.allow_headers()),
        expose: set(read.expose_headers()),
        credentials: read.allow_credentials().unwrap_or_default(),
        max_age: read
            .max_age()
            .and_then(|it| u64::try_from(it).ok())
            .map(Duration::from_secs),
    };
    let is_there = !cors.origins.is_empty();
    is_there.then_some(cors)
}

impl Lambda {
    pub(in crate::cloud::aws) async fn url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<Option<Address>, CloudError> {
        self.url_of(name, Some(alias)).await
    }

    /// Of an alias, or of the function itself.
    pub(in crate::cloud::aws) async fn url_of(
        &self,
        name: &str,
        alias: Option<&str>,
    ) -> Result<Option<Address>, CloudError> {
        let told = until_told!(
            self.unseen,
            written::url_of(name, alias),
            written::of_url,
            self.url_now(name, alias).await?
        );
        Ok(told)
    }

    async fn url_now(
        &self,
        name: &str,
        alias: Option<&str>,
    ) -> Result<Option<Address>, CloudError> {
        const OPERATION: &str = "GetFunctionUrlConfig";
        self.turn(Class::Other).await;
        let call = self.sdk.get_function_url_config().function_name(name);
        let call = call.set_qualifier(alias.map(str::to_owned));
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(sorted(asked(OPERATION, name), &error)),
        };
        let url = Url::parse(&answer.function_url)
            .map_err(|fault| odd(OPERATION, name, &fault.to_string()))?;
        let options = UrlOptions {
            auth: auth_of(answer.auth_type()),
            stream: answer.invoke_mode() == Some(&InvokeMode::ResponseStream),
            cors: answer.cors().and_then(from_sdk),
        };
        Ok(Some(Address { url, options }))
    }

    /// A second one for the same alias is quietly taken for the first.
    pub(in crate::cloud::aws) async fn create_url(
        &self,
        name: &str,
        alias: &str,
        options: &UrlOptions,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.create_function_url_config().function_name(name);
        let call = call
            .qualifier(alias)
            .auth_type(auth(options))
            .set_invoke_mode(options.stream.then(|| mode(options)))
            .set_cors(options.cors.as_ref().map(to_sdk));
        match call.send().await {
            Ok(_) => self.url_is(name, alias, Some(options)),
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(sorted(asked("CreateFunctionUrlConfig", name), &error)),
        }
        Ok(())
    }

    pub(in crate::cloud::aws) async fn change_url(
        &self,
        name: &str,
        alias: &str,
        options: &UrlOptions,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let none = Cors::default();
        let call = self.sdk.update_function_url_config().function_name(name);
        let call = call
            .qualifier(alias)
            .auth_type(auth(options))
            .invoke_mode(mode(options))
            .cors(to_sdk(options.cors.as_ref().unwrap_or(&none)));
        let answer = call.send().await;
        answer.map_err(|error| sorted(asked("UpdateFunctionUrlConfig", name), &error))?;
        self.url_is(name, alias, Some(options));
        Ok(())
    }

    pub(in crate::cloud::aws) async fn delete_url(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_function_url_config().function_name(name);
        match call.qualifier(alias).send().await {
            Ok(_) => self.url_is(name, alias, None),
            Err(error) if is_missing(&error) => self.url_is(name, alias, None),
            Err(error) => return Err(sorted(asked("DeleteFunctionUrlConfig", name), &error)),
        }
        Ok(())
    }
}
