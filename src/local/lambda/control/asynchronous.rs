//! What becomes of calls that nobody waits for: kept and shown. A call that fails is not tried again here, and nobody is told.

use axum::{http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::local::lambda::{
    Lambda,
    record::{Asynchronous, epoch},
    wire::{ApiError, Call, Reference, answer, no_content, page},
};

const NO_FUNCTION: &str = "The function doesn't exist.";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    maximum_retry_attempts: Option<u32>,
    maximum_event_age_in_seconds: Option<u32>,
    destination_config: Option<Value>,
}

impl Request {
    fn check(&self) -> Result<(), ApiError> {
        if let Some(retries) = self.maximum_retry_attempts.filter(|it| *it > 2) {
            let rule = "Member must have value less than or equal to 2";
            return Err(ApiError::validation(
                &retries.to_string(),
                "maximumRetryAttempts",
                rule,
            ));
        }
        if let Some(age) = self
            .maximum_event_age_in_seconds
            .filter(|it| !(60..=21_600).contains(it))
        {
            let rule = match age < 60 {
                true => "Member must have value greater than or equal to 60",
                false => "Member must have value less than or equal to 21600",
            };
            return Err(ApiError::validation(
                &age.to_string(),
                "maximumEventAgeInSeconds",
                rule,
            ));
        }
        let is_empty = self.maximum_retry_attempts.is_none()
            && self.maximum_event_age_in_seconds.is_none()
            && self.destination_config.is_none();
        if is_empty {
            return Err(ApiError::invalid(
                "You must specify at least one of error handling or destination setting.",
            ));
        }
        Ok(())
    }
}

/// Sets all of it; what is not named is as it is without it.
pub(super) fn put(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    set(lambda, call, |_, request| Ok(request))
}

/// Changes what is named, and leaves the rest.
pub(super) fn update(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    set(lambda, call, |before, request| {
        let before = before.ok_or(())?;
        Ok(Request {
            maximum_retry_attempts: request.maximum_retry_attempts.or(before.retries),
            maximum_event_age_in_seconds: request.maximum_event_age_in_seconds.or(before.max_age),
            destination_config: request
                .destination_config
                .or_else(|| before.destinations.clone()),
        })
    })
}

fn set(
    lambda: &Lambda,
    call: &Call,
    join: impl FnOnce(Option<&Asynchronous>, Request) -> Result<Request, ()>,
) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let request: Request = call.json()?;
    request.check()?;
    lambda.known(&reference, NO_FUNCTION)?;
    let key = reference.qualifier.clone().unwrap_or_default();
    let body = lambda.change(&reference, |function| {
        if function.qualified(reference.qualifier.as_deref()).is_none() {
            return Err(ApiError::not_found(NO_FUNCTION));
        }
        let joined = join(function.asynchronous.get(&key), request);
        let request = joined.map_err(|()| missing(lambda, &reference))?;
        let fresh = Asynchronous {
            retries: request.maximum_retry_attempts,
            max_age: request.maximum_event_age_in_seconds,
            destinations: request.destination_config,
            modified: lambda.clock.now(),
        };
        let body = shown(lambda, &reference.name, &key, &fresh);
        function.asynchronous.insert(key, fresh);
        Ok(body)
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn get(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    lambda.known(&reference, &none(lambda, &reference))?;
    let key = reference.qualifier.clone().unwrap_or_default();
    let body = lambda.see(&reference, |function| {
        let found = function.asynchronous.get(&key);
        let found = found.ok_or_else(|| missing(lambda, &reference))?;
        Ok(shown(lambda, &reference.name, &key, found))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn list(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    lambda.known(&reference, NO_FUNCTION)?;
    lambda.see(&reference, |function| {
        let all = function.asynchronous.iter();
        let items = all.map(|(key, it)| (key.clone(), (key, it)));
        page(call, "FunctionEventInvokeConfigs", items, |(key, it)| {
            shown(lambda, &function.name, key, it)
        })
    })
}

pub(super) fn delete(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    lambda.known(&reference, &none(lambda, &reference))?;
    let key = reference.qualifier.clone().unwrap_or_default();
    lambda.change(&reference, |function| {
        let gone = function.asynchronous.remove(&key);
        gone.map(drop).ok_or_else(|| missing(lambda, &reference))
    })?;
    Ok(no_content())
}

fn arn(lambda: &Lambda, name: &str, key: &str) -> String {
    let qualifier = if key.is_empty() { "$LATEST" } else { key };
    lambda.place.arn(name, Some(qualifier))
}

fn none(lambda: &Lambda, reference: &Reference) -> String {
    let key = reference.qualifier.as_deref().unwrap_or_default();
    let arn = arn(lambda, &reference.name, key);
    format!("The function {arn} doesn't have an EventInvokeConfig")
}

fn missing(lambda: &Lambda, reference: &Reference) -> ApiError {
    ApiError::not_found(none(lambda, reference))
}

fn shown(lambda: &Lambda, name: &str, key: &str, asynchronous: &Asynchronous) -> Value {
    let Asynchronous {
        retries,
        max_age,
        destinations,
        modified,
    } = asynchronous;
    let mut told = json!({
        "LastModified": epoch(*modified),
        "FunctionArn": arn(lambda, name, key),
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    });
    if let Some(retries) = retries {
        told["MaximumRetryAttempts"] = json!(retries);
    }
    if let Some(max_age) = max_age {
        told["MaximumEventAgeInSeconds"] = json!(max_age);
    }
    for side in ["OnSuccess", "OnFailure"] {
        let to = destinations.as_ref().map(|it| &it[side]);
        if let Some(to) = to.filter(|it| it.is_object()) {
            told["DestinationConfig"][side] = to.clone();
        }
    }
    told
}
