//! Calls that brought no answer, and answers that end nothing yet. Pure.

use std::{error::Error as StdError, time::Duration};

use azure_core::error::ErrorKind;
use url::Url;

use super::{
    answer::{Answer, Judge, Progress, is_same_origin, not_let_in, pause, quote, refusal},
    operation::Operation,
};
use crate::{cloud::CloudError, name::CloudName};

/// A try that brought no answer.
pub(super) struct Lost {
    pub(super) denied: bool,
    message: String,
}

impl Lost {
    pub(super) fn new(error: &azure_core::Error) -> Self {
        Self {
            denied: matches!(error.kind(), ErrorKind::Credential) && !is_network(error),
            message: chain_of(error),
        }
    }

    /// New tokens are refused, and have been for a while: whatever the cloud calls it, no later try will be let in by itself.
    pub(super) fn refused(answer: &Answer) -> Self {
        Self {
            denied: true,
            message: not_let_in(answer),
        }
    }

    pub(super) fn told(message: String) -> Self {
        Self {
            denied: false,
            message,
        }
    }

    pub(super) fn into_error(self, operation: Operation) -> CloudError {
        let Self { denied, message } = self;
        if denied {
            return CloudError::Denied {
                cloud: CloudName::Azure,
                operation: operation.name.to_owned(),
                message,
            };
        }
        unreachable(operation, message)
    }
}

/// What a look at something slow says. No answer, or a refusal that passes, is not the end of it.
pub(super) fn progress_of(
    look: Result<Answer, CloudError>,
    judge: Judge,
    (operation, resource): (Operation, &str),
    looks: u32,
) -> Result<(Progress, Answer), CloudError> {
    let answer = match look {
        Ok(answer) => answer,
        Err(error) => return Ok((patience(error, looks)?, Answer::default())),
    };
    match judge.progress(&answer, looks) {
        Some(progress) => Ok((progress, answer)),
        None => Ok((
            patience(refusal(operation.name, resource, &answer), looks)?,
            answer,
        )),
    }
}

/// Looks again after an error that passes by itself.
fn patience(error: CloudError, looks: u32) -> Result<Progress, CloudError> {
    match error {
        CloudError::Throttled { retry_after, .. } => Ok(Progress::Under(retry_after)),
        CloudError::Unreachable { .. } => Ok(Progress::Under(pause(looks))),
        error @ (CloudError::Busy { .. }
        | CloudError::Denied { .. }
        | CloudError::NotOurs { .. }
        | CloudError::NotStaged { .. }
        | CloudError::Invalid { .. }
        | CloudError::Unhealthy { .. }) => Err(error),
    }
}

/// An address told to us, absolute or relative to `origin`, if it lies on that origin.
pub(in crate::cloud::azure) fn link_at(
    origin: &Url,
    operation: Operation,
    address: &str,
) -> Result<Url, CloudError> {
    match origin.join(address) {
        Ok(url) if is_same_origin(origin, &url) => Ok(url),
        Ok(url) => Err(elsewhere(operation, &url)),
        Err(error) => Err(unreachable(
            operation,
            format!("it names an address that cannot be read: {error}"),
        )),
    }
}

pub(super) fn elsewhere(operation: Operation, url: &Url) -> CloudError {
    let host = url.host_str().unwrap_or("nowhere");
    CloudError::Denied {
        cloud: CloudName::Azure,
        operation: operation.name.to_owned(),
        message: format!("it leads to `{host}`, and our token is not shown to other hosts"),
    }
}

pub(super) fn failed(operation: Operation, message: String) -> CloudError {
    CloudError::Invalid {
        cloud: CloudName::Azure,
        operation: operation.name.to_owned(),
        message,
    }
}

pub(super) fn still_under_way(operation: Operation, resource: &str, bound: Duration) -> CloudError {
    CloudError::Busy {
        cloud: CloudName::Azure,
        resource: resource.to_owned(),
        message: format!("{} is not done after {}s", operation.name, bound.as_secs()),
    }
}

pub(in crate::cloud::azure) fn unreachable(operation: Operation, message: String) -> CloudError {
    CloudError::Unreachable {
        cloud: CloudName::Azure,
        operation: operation.name.to_owned(),
        message,
    }
}

fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        (*error).source()
    })
}

fn is_network(error: &(dyn StdError + 'static)) -> bool {
    sources(error).any(|error| error.is::<reqwest::Error>() || error.is::<std::io::Error>())
}

/// An error and its causes on one line. Addresses are left out: their queries may hold signatures.
pub(in crate::cloud::azure) fn chain_of(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for error in sources(error) {
        let part = match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => "the request timed out".to_owned(),
            Some(error) if error.is_connect() => "no connection".to_owned(),
            Some(_) => "the connection broke off".to_owned(),
            None => error.to_string(),
        };
        if !parts.iter().any(|told| told.contains(&part)) {
            parts.push(part);
        }
    }
    quote(&parts.join(": "))
}
