//! Services that take the operation in a header and speak JSON.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::signed::{Asking, Said, Signed};
use crate::{cloud::CloudError, name::CloudName};

/// One operation.
#[derive(Debug)]
pub(super) struct Json<'a> {
    /// As hosts and signatures name it.
    pub(super) service: &'a str,
    /// As the header names it.
    pub(super) protocol: &'a str,
    /// Of the form in which it speaks JSON: `1.0` or `1.1`.
    pub(super) version: &'a str,
    pub(super) operation: &'a str,
    pub(super) resource: &'a str,
    pub(super) body: &'a Value,
}

/// What a service says no with.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: String,
    pub(super) status: u16,
    pub(super) message: String,
}

impl Signed {
    /// # Errors
    ///
    /// As [`Signed::ask`]; what the service refuses is the inner error.
    pub(super) async fn ask_json(
        &self,
        json: Json<'_>,
    ) -> Result<Result<Value, Refusal>, CloudError> {
        let Json {
            service,
            protocol,
            version,
            operation,
            resource,
            body,
        } = json;
        let asking = Asking {
            service,
            operation,
            resource,
            method: Method::POST,
            path: "/".to_owned(),
            headers: vec![
                ("content-type", format!("application/x-amz-json-{version}")),
                ("x-amz-target", format!("{protocol}.{operation}")),
            ],
            body: body.to_string().into(),
        };
        let Said { status, text: said } = self.ask(asking).await?;
        let told: Value = serde_json::from_str(&said).unwrap_or_default();
        if status == 200 {
            return Ok(Ok(told));
        }
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let kind = text("__type");
        Ok(Err(Refusal {
            kind: kind.rsplit('#').next().unwrap_or_default().to_owned(),
            status,
            message: [text("message"), text("Message")].concat(),
        }))
    }
}

impl Refusal {
    /// By what happens next.
    pub(super) fn sorted(self, operation: &str, resource: &str) -> CloudError {
        let Self {
            kind,
            status,
            message,
        } = self;
        let cloud = CloudName::Aws;
        let operation = format!("{operation} of `{resource}`");
        let message = format!("{kind}: {message}");
        match (status, kind.as_str()) {
            (_, "ThrottlingException" | "TooManyRequestsException" | "Throttling") | (429, _) => {
                CloudError::Throttled {
                    cloud,
                    retry_after: Duration::from_secs(1),
                }
            }
            (
                _,
                "ConcurrentModificationException"
                | "ConcurrentModification"
                | "OperationAbortedException",
            ) => CloudError::Busy {
                cloud,
                resource: resource.to_owned(),
                message,
            },
            (401 | 403, _)
            | (_, "AccessDeniedException" | "LimitExceededException" | "LimitExceeded") => {
                CloudError::Denied {
                    cloud,
                    operation,
                    message,
                }
            }
            (500.., _) | (_, "") => CloudError::Unreachable {
                cloud,
                operation,
                message: format!("{status} {message}"),
            },
            _ => CloudError::Invalid {
                cloud,
                operation,
                message,
            },
        }
    }
}
