//! Services that take the operation in a header and speak JSON.

use std::time::Duration;

use serde_json::Value;

use super::super::account::{
    errors::{has_run_out, run_out},
    ways_out::{of_people, with_help},
};
use super::{Asking, Said, Signed};
use crate::{cloud::CloudError, name::CloudName};

/// A service, and how it takes its operations.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::aws::lambda) struct Service {
    /// As hosts and signatures name it.
    pub(in crate::cloud::aws::lambda) name: &'static str,
    /// As the header names it.
    pub(in crate::cloud::aws::lambda) protocol: &'static str,
    /// Of the form in which it speaks JSON: `1.0` or `1.1`.
    pub(in crate::cloud::aws::lambda) version: &'static str,
}

/// The token of the next page, where there is one.
pub(in crate::cloud::aws::lambda) fn next(told: &mut Value, name: &str) -> Option<Value> {
    let token = told[name].take();
    let is_there = token.as_str().is_some_and(|it| !it.is_empty());
    is_there.then_some(token)
}

/// What a service says no with.
#[derive(Debug)]
pub(in crate::cloud::aws::lambda) struct Refusal {
    pub(in crate::cloud::aws::lambda) kind: String,
    pub(in crate::cloud::aws::lambda) status: u16,
    pub(in crate::cloud::aws::lambda) message: String,
}

impl Signed {
    /// # Errors
    ///
    /// As [`Signed::ask`]; what the service refuses is the inner error.
    pub(in crate::cloud::aws::lambda) async fn ask_json(
        &self,
        service: Service,
        operation: &str,
        resource: &str,
        body: &Value,
    ) -> Result<Result<Value, Refusal>, CloudError> {
        let Service {
            name,
            protocol,
            version,
        } = service;
        let headers = vec![
            ("content-type", format!("application/x-amz-json-{version}")),
            ("x-amz-target", format!("{protocol}.{operation}")),
        ];
        let named = (name, operation, resource);
        let asking = Asking::at_root(named, headers, body.to_string());
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
    pub(in crate::cloud::aws::lambda) fn sorted(
        self,
        operation: &str,
        resource: &str,
    ) -> CloudError {
        let Self {
            kind,
            status,
            message,
        } = self;
        let cloud = CloudName::Aws;
        let operation = format!("{operation} of `{resource}`");
        let message = format!("{kind}: {message}");
        let help = of_people(&kind, &message);
        match (status, kind.as_str()) {
            (_, kind) if has_run_out(kind) => run_out(resource, &message),
            (
                _,
                "ThrottlingException"
                | "TooManyRequestsException"
                | "Throttling"
                | "Throttled"
                | "SlowDown",
            )
            | (429, _) => CloudError::Throttled {
                cloud,
                retry_after: Duration::from_secs(1),
            },
            (
                _,
                "ConcurrentModificationException"
                | "ConcurrentModification"
                | "OperationAborted"
                | "OperationAbortedException",
            ) => CloudError::Busy {
                cloud,
                resource: resource.to_owned(),
                message,
            },
            // S3 asks Lambda whether it may call, and a permission that was just given takes a moment.
            (_, "InvalidArgument") if message.contains("destination configurations") => {
                CloudError::Busy {
                    cloud,
                    resource: resource.to_owned(),
                    message,
                }
            }
            (status, _) if help.is_some() || matches!(status, 401 | 403) => CloudError::Denied {
                cloud,
                operation,
                message: with_help(message, help.as_deref()),
            },
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
