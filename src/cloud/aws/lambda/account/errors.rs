//! Errors of the vendor's client, sorted by what happens next.

use std::time::Duration;

use aws_sdk_lambda::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use super::{
    assumed::{Role, role_in},
    ways_out::{of_manifests, of_people, with_help},
};
use crate::{cloud::CloudError, name::CloudName};

/// Where a refusal does not say how long to wait.
const WAIT_UNSAID: Duration = Duration::from_secs(1);

/// What a call concerns, for its error.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::aws) struct Asked<'a> {
    pub(in crate::cloud::aws::lambda) operation: &'a str,
    pub(in crate::cloud::aws::lambda) resource: &'a str,
}

pub(in crate::cloud::aws) fn asked<'a>(operation: &'a str, resource: &'a str) -> Asked<'a> {
    Asked {
        operation,
        resource,
    }
}

/// Whether Lambda said "there is no such thing". Any other 404 is of somebody on the way, who knows nothing of it.
pub(in crate::cloud::aws::lambda) fn is_missing<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> bool {
    status(error) == Some(404) && error.code() == Some("ResourceNotFoundException")
}

/// Whether the answer was "there is one already", or "not now".
pub(in crate::cloud::aws::lambda) fn is_conflict<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> bool {
    status(error) == Some(409)
}

/// Lambda has a word of its own for this.
pub(in crate::cloud::aws::lambda) fn is_nothing_provisioned<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> bool {
    error.code() == Some("ProvisionedConcurrencyConfigNotFoundException")
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

/// Sorts an error of the vendor's client by what happens next.
pub(in crate::cloud::aws) fn sorted<E>(
    asked: Asked<'_>,
    error: &SdkError<E, HttpResponse>,
) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(failed) => refused(asked, failed.err(), failed.raw()),
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => unsent(asked, error),
        SdkError::TimeoutError(_) => unreachable(asked, "no answer in time".to_owned()),
        // An answer that could not be read. The vendor may add kinds: of those nothing is known either.
        SdkError::ResponseError(_) | _ => unreachable(asked, causes(error)),
    }
}

fn refused<E: ProvideErrorMetadata>(
    asked: Asked<'_>,
    error: &E,
    answer: &HttpResponse,
) -> CloudError {
    let cloud = CloudName::Aws;
    let operation = format!("{} of `{}`", asked.operation, asked.resource);
    let resource = asked.resource.to_owned();
    let code = error.code().unwrap_or("Unknown");
    let message = format!("{code}: {}", error.message().unwrap_or("no message"));
    match answer.status().as_u16() {
        _ if has_run_out(code) => run_out(&resource, &message),
        429 => CloudError::Throttled {
            cloud,
            retry_after: told_to_wait(answer).unwrap_or(WAIT_UNSAID),
        },
        404 if error.code() != Some("ResourceNotFoundException") => {
            let whose = "which is no answer of Lambda: is the endpoint right?";
            unreachable(asked, format!("404 {message}, {whose}"))
        }
        // 404: it went away since we looked. 409: an update runs. 412: somebody changed it since we looked. All: look again.
        404 | 409 | 412 => CloudError::Busy {
            cloud,
            resource,
            message,
        },
        // A mapping that is being made or changed.
        400 if code == "ResourceInUseException" => CloudError::Busy {
            cloud,
            resource,
            message,
        },
        // EC2 was asked too much, by whomever of the account.
        _ if code == "EC2ThrottledException" || message.contains("throttled by EC2") => {
            CloudError::Busy {
                cloud,
                resource,
                message,
            }
        }
        status => match of_people(code, &message) {
            Some(help) => CloudError::Denied {
                cloud,
                operation,
                message: with_help(message, Some(&help)),
            },
            None if matches!(status, 401 | 403) => CloudError::Denied {
                cloud,
                operation,
                message,
            },
            None if status >= 500 => unreachable(asked, message),
            None => CloudError::Invalid {
                cloud,
                operation,
                message: with_help(message.clone(), of_manifests(code, &message)),
            },
        },
    }
}

/// The key that a request was signed with has run out. Some services call that a bad request, and others forbid it.
pub(in crate::cloud::aws) fn has_run_out(code: &str) -> bool {
    matches!(code, "ExpiredTokenException" | "ExpiredToken")
}

/// No refusal of what was asked for, and no failed try of it: it is asked again with a new key.
pub(in crate::cloud::aws) fn run_out(resource: &str, message: &str) -> CloudError {
    CloudError::Busy {
        cloud: CloudName::Aws,
        resource: resource.to_owned(),
        message: format!("{message}; new credentials are asked for"),
    }
}

/// What a refusal says of how long to wait.
pub(in crate::cloud::aws::lambda) fn told_to_wait(answer: &HttpResponse) -> Option<Duration> {
    let told = answer.headers().get("retry-after")?;
    told.trim().parse().ok().map(Duration::from_secs)
}

/// No request left this machine: the network is down, or the vendor's chain found no credentials.
fn unsent<E>(asked: Asked<'_>, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let message = causes(error);
    let operation = format!("{} of `{}`", asked.operation, asked.resource);
    match role_in(error) {
        Some(Role::Refused(message)) => {
            return CloudError::Denied {
                cloud: CloudName::Aws,
                operation,
                message,
            };
        }
        Some(Role::Lost) => return unreachable(asked, message),
        None => {}
    }
    if message.contains("credential") || message.contains("identity") {
        return CloudError::Denied {
            cloud: CloudName::Aws,
            operation,
            message: format!("{message}; give the daemon an AWS profile or role"),
        };
    }
    unreachable(asked, message)
}

fn unreachable(asked: Asked<'_>, message: String) -> CloudError {
    CloudError::Unreachable {
        cloud: CloudName::Aws,
        operation: format!("{} of `{}`", asked.operation, asked.resource),
        message,
    }
}

pub(in crate::cloud::aws::lambda) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// An answer that the interface does not allow.
pub(in crate::cloud::aws::lambda) fn odd(operation: &str, name: &str, message: &str) -> CloudError {
    CloudError::Unreachable {
        cloud: CloudName::Aws,
        operation: format!("{operation} of `{name}`"),
        message: message.to_owned(),
    }
}
