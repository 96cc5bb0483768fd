//! What becomes of a change: Lambda takes it in, and tells by states how it ended.

use std::time::Duration;

use aws_sdk_lambda::types::{
    FunctionConfiguration, LastUpdateStatus, LastUpdateStatusReasonCode, State, StateReasonCode,
};
use tokio::time::{Instant, sleep};

use super::super::{
    AwsCloud,
    lambda::{Function, of_states, with_help},
};
use crate::{cloud::CloudError, name::CloudName};

const POLL_MIN: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(2);

/// How a function or a version ended that was waited for.
pub(in crate::cloud::aws) enum Outcome {
    Ready(Box<FunctionConfiguration>),
    Failed(Box<FunctionConfiguration>, Failure),
}

enum Progress {
    Done,
    Waiting,
    Failed(Failure),
}

/// Why a function does not become active, or was not changed.
pub(in crate::cloud::aws) struct Failure {
    code: String,
    message: String,
}

impl Failure {
    /// The release is not at fault where a quota or a right is missing.
    pub(in crate::cloud::aws) fn told(self, name: &str) -> CloudError {
        let Self { code, message } = self;
        let cloud = CloudName::Aws;
        match of_states(&code) {
            Some(help) => CloudError::Denied {
                cloud,
                operation: format!("to start function `{name}`"),
                message: with_help(format!("{code}: {message}"), Some(help)),
            },
            None => CloudError::Unhealthy {
                cloud,
                message: format!("function `{name}`: {message}"),
            },
        }
    }
}

impl AwsCloud {
    /// `$LATEST` once nothing of it is under way.
    pub(in crate::cloud::aws) async fn at_rest(
        &self,
        name: &str,
        seen: FunctionConfiguration,
    ) -> Result<Outcome, CloudError> {
        match progress(&seen) {
            Progress::Done => Ok(Outcome::Ready(Box::new(seen))),
            Progress::Failed(failure) => Ok(Outcome::Failed(Box::new(seen), failure)),
            Progress::Waiting => self.outcome(name, None, None).await,
        }
    }

    /// Waits until a change of `$LATEST` is done, which was `before`.
    pub(in crate::cloud::aws) async fn settled(
        &self,
        name: &str,
        before: Box<FunctionConfiguration>,
    ) -> Result<Box<FunctionConfiguration>, CloudError> {
        match self.outcome(name, None, before.revision_id()).await? {
            Outcome::Ready(latest) => Ok(latest),
            Outcome::Failed(_, failure) => Err(failure.told(name)),
        }
    }

    /// Waits, by state, until the function or one of its versions can be used, or never will. A failure that is still told at the
    /// revision `before` our change is none of it.
    pub(in crate::cloud::aws) async fn outcome(
        &self,
        name: &str,
        version: Option<&str>,
        before: Option<&str>,
    ) -> Result<Outcome, CloudError> {
        let deadline = Instant::now() + self.options.settle_within;
        let mut pause = POLL_MIN;
        loop {
            if let Some(Function {
                config,
                tags: _,
                reserved: _,
                image: _,
            }) = self.lambda.function(name, version).await?
            {
                let config = Box::new(config);
                match progress(&config) {
                    Progress::Done => return Ok(Outcome::Ready(config)),
                    Progress::Failed(failure)
                        if before.is_none() || before != config.revision_id() =>
                    {
                        return Ok(Outcome::Failed(config, failure));
                    }
                    Progress::Waiting | Progress::Failed(_) => {}
                }
            } else if pause == POLL_MAX {
                return Err(CloudError::Busy {
                    cloud: CloudName::Aws,
                    resource: name.to_owned(),
                    message: "it is gone: somebody deleted it".to_owned(),
                });
            }
            if Instant::now() >= deadline {
                return Err(CloudError::Busy {
                    cloud: CloudName::Aws,
                    resource: name.to_owned(),
                    message: format!("not ready after {}s", self.options.settle_within.as_secs()),
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
    }
}

/// `Inactive` is a function that AWS put to sleep: it wakes at the next call. A state that is not told is a settled one.
fn progress(config: &FunctionConfiguration) -> Progress {
    let reason = |told: Option<&str>| told.unwrap_or("no reason was given").to_owned();
    if config.state() == Some(&State::Failed) {
        let code = config.state_reason_code().map(StateReasonCode::as_str);
        return Progress::Failed(Failure {
            code: code.unwrap_or_default().to_owned(),
            message: reason(config.state_reason()),
        });
    }
    if config.last_update_status() == Some(&LastUpdateStatus::Failed) {
        let code = config.last_update_status_reason_code();
        let code = code.map(LastUpdateStatusReasonCode::as_str);
        return Progress::Failed(Failure {
            code: code.unwrap_or_default().to_owned(),
            message: reason(config.last_update_status_reason()),
        });
    }
    let waiting = config.state() == Some(&State::Pending)
        || config.last_update_status() == Some(&LastUpdateStatus::InProgress);
    if waiting {
        Progress::Waiting
    } else {
        Progress::Done
    }
}
