//! One call of a function.

use std::time::Duration;

use aws_sdk_lambda::{
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
    types::LogType,
};
use serde_json::Value;

use super::{
    Lambda,
    account::errors::{asked, is_missing, sorted},
};
use crate::cloud::CloudError;

/// What came of a call.
#[derive(Debug)]
pub(in crate::cloud::aws) struct Answered {
    pub(in crate::cloud::aws) version: String,
    /// Where the function itself failed.
    pub(in crate::cloud::aws) failed: Option<String>,
    pub(in crate::cloud::aws) payload: String,
    /// In base64.
    pub(in crate::cloud::aws) log: String,
}

/// As long as the longest function, and a little for the way.
const CALL_MAX: Duration = Duration::from_secs(15 * 60 + 15);

/// A call that nobody heard the end of may have been done: it is never sent again by itself.
fn once() -> Builder {
    let patience = TimeoutConfig::builder()
        .operation_attempt_timeout(CALL_MAX)
        .operation_timeout(CALL_MAX);
    Builder::new()
        .retry_config(RetryConfig::disabled())
        .timeout_config(patience.build())
}

impl Lambda {
    /// None where there is no such function, or no such alias. Calls of functions have a quota of their own, and wait for none here.
    pub(in crate::cloud::aws) async fn invoke(
        &self,
        name: &str,
        alias: &str,
        event: &Value,
    ) -> Result<Option<Answered>, CloudError> {
        let call = self
            .sdk
            .invoke()
            .function_name(name)
            .qualifier(alias)
            .log_type(LogType::Tail)
            .payload(Blob::new(event.to_string()))
            .customize()
            .config_override(once());
        match call.send().await {
            Ok(answer) => Ok(Some(Answered {
                version: answer.executed_version.unwrap_or_default(),
                failed: answer.function_error,
                payload: answer.payload.map_or_else(String::new, |payload| {
                    String::from_utf8_lossy(payload.as_ref()).into_owned()
                }),
                log: answer.log_result.unwrap_or_default(),
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(sorted(asked("Invoke", name), &error)),
        }
    }
}
