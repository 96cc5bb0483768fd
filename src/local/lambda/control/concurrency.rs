//! Concurrency that is kept warm, of an alias or version. Nothing is really started ahead of its time.

use axum::{http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::{UNRESERVED_MIN, unreserved};
use crate::local::{
    faults::Failure,
    lambda::{
        Lambda,
        record::{Function, LATEST, Provisioned, moment},
        wire::{ApiError, Call, Reference, answer, no_content, page},
    },
};

const UNFIT: &str = "The function resource provided must be an alias or a published version.";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    provisioned_concurrent_executions: u32,
}

pub(super) fn put(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let unfit =
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
    let reference = qualified(lambda, call, unfit)?;
    let Request {
        provisioned_concurrent_executions: asked,
    } = call.json()?;
    if asked == 0 {
        return Err(ApiError::validation(
            "0",
            "provisionedConcurrentExecutions",
            "Member must have value greater than or equal to 1",
        ));
    }
    let key = reference.qualifier.clone().unwrap_or_default();
    let free = unreserved(lambda);
    let body = lambda.change(&reference, |function| {
        check(lambda, function, &reference)?;
        if function.reserved.is_none() {
            check_free(asked, free)?;
        }
        if function.reserved.is_some_and(|reserved| asked > reserved) {
            return Err(ApiError::invalid(format!(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function {}",
                function.name
            )));
        }
        let fresh = Provisioned {
            asked,
            modified: lambda.clock.now(),
            until: lambda.until(),
            end: lambda.faults.later("PutProvisionedConcurrencyConfig"),
        };
        let body = shown(lambda, &fresh);
        function.provisioned.insert(key, fresh);
        Ok(body)
    })?;
    Ok(answer(StatusCode::ACCEPTED, &body))
}

/// What is kept warm without a reservation is taken from what nobody has reserved.
fn check_free(asked: u32, free: u32) -> Result<(), ApiError> {
    let why = match free.checked_sub(asked) {
        None => format!("is greater than account's unreserved concurrency [{free}]"),
        Some(left) if left < UNRESERVED_MIN => format!(
            "decreases account's UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}]"
        ),
        Some(_) => return Ok(()),
    };
    let what = "Specified ConcurrentExecutions for function";
    Err(ApiError::invalid(format!("{what} {why}.")))
}

pub(super) fn get(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    if call.query("List").is_some() {
        return list(lambda, call);
    }
    let reference = qualified(lambda, call, UNFIT)?;
    let key = reference.qualifier.clone().unwrap_or_default();
    let body = lambda.see(&reference, |function| {
        check(lambda, function, &reference)?;
        let found = function.provisioned.get(&key);
        found
            .map(|found| shown(lambda, found))
            .ok_or_else(ApiError::nothing_provisioned)
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn list(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    lambda.see(&reference, |function| {
        let items = function
            .provisioned
            .iter()
            .map(|(key, it)| (key.clone(), (key, it)));
        page(call, "ProvisionedConcurrencyConfigs", items, |(key, it)| {
            let mut told = shown(lambda, it);
            told["FunctionArn"] = json!(lambda.place.arn(&function.name, Some(key)));
            told
        })
    })
}

pub(super) fn delete(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = qualified(lambda, call, UNFIT)?;
    let key = reference.qualifier.clone().unwrap_or_default();
    lambda.change(&reference, |function| {
        check(lambda, function, &reference)?;
        function.provisioned.remove(&key);
        Ok(())
    })?;
    Ok(no_content())
}

/// An alias or a version of a function that is there.
fn qualified(lambda: &Lambda, call: &Call, unfit: &str) -> Result<Reference, ApiError> {
    let reference = call.function()?;
    match reference.qualifier.as_deref() {
        Some(LATEST) | None => Err(ApiError::invalid(unfit)),
        Some(key) => {
            lambda.known(&reference, &absent(lambda, &reference.name, key))?;
            Ok(reference)
        }
    }
}

fn absent(lambda: &Lambda, name: &str, key: &str) -> String {
    let arn = lambda.place.arn(name, Some(key));
    match is_version(key) {
        true => format!("Function not found: {arn}"),
        false => format!("Cannot find alias arn: {arn}"),
    }
}

fn is_version(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is asked about must be there, and must not be kept warm twice.
fn check(lambda: &Lambda, function: &Function, reference: &Reference) -> Result<(), ApiError> {
    let key = reference.qualifier.as_deref().unwrap_or_default();
    let Some(version) = function.qualified(Some(key)) else {
        return Err(ApiError::not_found(absent(lambda, &function.name, key)));
    };
    let twin = if version.label == key {
        let aliases = function.aliases_of(key).into_iter();
        aliases
            .map(str::to_owned)
            .find(|it| function.provisioned.contains_key(it))
    } else {
        let label = version.label.clone();
        Some(label).filter(|it| function.provisioned.contains_key(it))
    };
    match twin {
        None => Ok(()),
        Some(_) if is_version(key) => Err(ApiError::conflict(
            "Version is pointed by a Provisioned Concurrency alias",
        )),
        Some(_) => Err(ApiError::conflict(
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
        )),
    }
}

fn shown(lambda: &Lambda, provisioned: &Provisioned) -> Value {
    let Provisioned {
        asked,
        modified,
        until,
        end,
    } = provisioned;
    let is_over = *until <= lambda.clock.now();
    let status = match end {
        _ if !is_over => "IN_PROGRESS",
        Some(_) => "FAILED",
        None => "READY",
    };
    let there = if status == "READY" { *asked } else { 0 };
    let mut told = json!({
        "RequestedProvisionedConcurrentExecutions": asked,
        "AvailableProvisionedConcurrentExecutions": there,
        "AllocatedProvisionedConcurrentExecutions": there,
        "Status": status,
        "LastModified": moment(*modified),
    });
    if let Some(Failure { code: _, message }) = end.as_ref().filter(|_| is_over) {
        told["StatusReason"] = json!(message);
    }
    told
}
