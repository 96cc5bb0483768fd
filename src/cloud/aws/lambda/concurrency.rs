//! Operations on how often a function runs at once, and on calls that nobody waits for. Of `blue`, but for the reservation.

use std::time::Duration;

use aws_sdk_lambda::types::{
    DestinationConfig, OnFailure, OnSuccess, ProvisionedConcurrencyStatusEnum,
};

use super::{
    Class, Lambda,
    account::errors::{asked, is_missing, is_nothing_provisioned, sorted},
};
use crate::{
    cloud::{CloudError, aws::settings::alias},
    manifest::aws::Asynchronous,
    name::Slot,
};

const BLUE: &str = alias(Slot::Blue);
/// What Lambda does where nobody says otherwise.
const RETRIES: i32 = 2;
const MAX_AGE: i32 = 6 * 60 * 60;

/// What is kept warm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws) struct Warm {
    pub(in crate::cloud::aws) asked: Option<u32>,
    /// Why AWS gave it up.
    pub(in crate::cloud::aws) failure: Option<String>,
}

impl Lambda {
    pub(in crate::cloud::aws) async fn provisioned(
        &self,
        name: &str,
    ) -> Result<Option<Warm>, CloudError> {
        self.provisioned_of(name, BLUE).await
    }

    pub(in crate::cloud::aws) async fn provisioned_of(
        &self,
        name: &str,
        alias: &str,
    ) -> Result<Option<Warm>, CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.get_provisioned_concurrency_config();
        match call.function_name(name).qualifier(alias).send().await {
            Ok(answer) => {
                let asked = answer.requested_provisioned_concurrent_executions();
                let has_failed = answer.status() == Some(&ProvisionedConcurrencyStatusEnum::Failed);
                let reason = answer.status_reason().unwrap_or("no reason was given");
                Ok(Some(Warm {
                    asked: asked.and_then(|it| u32::try_from(it).ok()),
                    failure: has_failed.then(|| reason.to_owned()),
                }))
            }
            Err(error) if is_missing(&error) || is_nothing_provisioned(&error) => Ok(None),
            Err(error) => Err(sorted(
                asked("GetProvisionedConcurrencyConfig", name),
                &error,
            )),
        }
    }

    pub(in crate::cloud::aws) async fn provision(
        &self,
        name: &str,
        many: u32,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let many = i32::try_from(many).unwrap_or(i32::MAX);
        let call = self.sdk.put_provisioned_concurrency_config();
        let call = call.function_name(name).qualifier(BLUE);
        let answer = call.provisioned_concurrent_executions(many).send().await;
        answer
            .map(drop)
            .map_err(|error| sorted(asked("PutProvisionedConcurrencyConfig", name), &error))
    }

    pub(in crate::cloud::aws) async fn unprovision(&self, name: &str) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_provisioned_concurrency_config();
        match call.function_name(name).qualifier(BLUE).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) || is_nothing_provisioned(&error) => Ok(()),
            Err(error) => Err(sorted(
                asked("DeleteProvisionedConcurrencyConfig", name),
                &error,
            )),
        }
    }

    pub(in crate::cloud::aws) async fn reserve(
        &self,
        name: &str,
        many: u32,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let many = i32::try_from(many).unwrap_or(i32::MAX);
        let call = self.sdk.put_function_concurrency().function_name(name);
        let answer = call.reserved_concurrent_executions(many).send().await;
        answer.map_err(|error| sorted(asked("PutFunctionConcurrency", name), &error))?;
        self.reserved(name, Some(many));
        Ok(())
    }

    pub(in crate::cloud::aws) async fn unreserve(&self, name: &str) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_function_concurrency().function_name(name);
        match call.send().await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(sorted(asked("DeleteFunctionConcurrency", name), &error)),
        }
        self.reserved(name, None);
        Ok(())
    }

    pub(in crate::cloud::aws) async fn asynchronous(
        &self,
        name: &str,
    ) -> Result<Option<Asynchronous>, CloudError> {
        self.asynchronous_of(name, Some(BLUE)).await
    }

    /// Of an alias, or of the function itself.
    pub(in crate::cloud::aws) async fn asynchronous_of(
        &self,
        name: &str,
        alias: Option<&str>,
    ) -> Result<Option<Asynchronous>, CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.get_function_event_invoke_config();
        let call = call.function_name(name);
        let call = call.set_qualifier(alias.map(str::to_owned));
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => {
                return Err(sorted(asked("GetFunctionEventInvokeConfig", name), &error));
            }
        };
        let to = answer.destination_config();
        let success = to
            .and_then(|it| it.on_success())
            .and_then(|it| it.destination());
        let failure = to
            .and_then(|it| it.on_failure())
            .and_then(|it| it.destination());
        let filled = |it: Option<&str>| it.filter(|it| !it.is_empty()).map(str::to_owned);
        Ok(Some(Asynchronous {
            retries: answer
                .maximum_retry_attempts()
                .filter(|it| *it != RETRIES)
                .and_then(|it| u32::try_from(it).ok()),
            max_age: answer
                .maximum_event_age_in_seconds()
                .filter(|it| *it != MAX_AGE)
                .and_then(|it| u64::try_from(it).ok())
                .map(Duration::from_secs),
            on_success: filled(success),
            on_failure: filled(failure),
        }))
    }

    /// What is not asked for is as Lambda does it.
    pub(in crate::cloud::aws) async fn set_asynchronous(
        &self,
        name: &str,
        wanted: Option<&Asynchronous>,
    ) -> Result<(), CloudError> {
        let Some(wanted) = wanted else {
            return self.unset_asynchronous(name).await;
        };
        let Asynchronous {
            retries,
            max_age,
            on_success,
            on_failure,
        } = wanted;
        let success = on_success
            .as_ref()
            .map(|it| OnSuccess::builder().destination(it).build());
        let failure = on_failure
            .as_ref()
            .map(|it| OnFailure::builder().destination(it).build());
        let has_any = success.is_some() || failure.is_some();
        let to = DestinationConfig::builder()
            .set_on_success(success)
            .set_on_failure(failure)
            .build();
        let retries = retries.map_or(RETRIES, |it| i32::try_from(it).unwrap_or(RETRIES));
        let age = max_age.map_or(MAX_AGE, |it| i32::try_from(it.as_secs()).unwrap_or(MAX_AGE));
        self.turn(Class::Other).await;
        let call = self.sdk.put_function_event_invoke_config();
        let call = call.function_name(name).qualifier(BLUE);
        let call = call.maximum_retry_attempts(retries);
        let call = call.maximum_event_age_in_seconds(age);
        let answer = call
            .set_destination_config(has_any.then_some(to))
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| sorted(asked("PutFunctionEventInvokeConfig", name), &error))
    }

    async fn unset_asynchronous(&self, name: &str) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_function_event_invoke_config();
        match call.function_name(name).qualifier(BLUE).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(sorted(
                asked("DeleteFunctionEventInvokeConfig", name),
                &error,
            )),
        }
    }
}
