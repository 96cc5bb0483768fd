//! Concurrency, the account, and who is calling.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Deserialize;
use serde_json::json;

use crate::local::lambda::{
    Lambda,
    record::LATEST,
    wire::{ApiError, Call, Reference, answer, no_content},
};

/// What an account may run at once, and what must stay for functions without a reservation.
const CONCURRENCY: u32 = 1_000;
pub(super) const UNRESERVED_MIN: u32 = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConcurrencyRequest {
    reserved_concurrent_executions: u32,
}

pub(super) fn put_concurrency(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = unqualified(call)?;
    let ConcurrencyRequest {
        reserved_concurrent_executions: reserved,
    } = call.json()?;
    let arn = lambda.place.arn(&reference.name, Some(LATEST));
    lambda.known(&reference, &format!("Function not found: {arn}"))?;
    let others = reserved_by_others(lambda, &reference.name);
    let body = lambda.change(&reference, |function| {
        if others.saturating_add(reserved) > CONCURRENCY - UNRESERVED_MIN {
            return Err(ApiError::invalid(format!(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}]."
            )));
        }
        function.reserved = Some(reserved);
        Ok(json!({"ReservedConcurrentExecutions": reserved}))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

/// What nobody has reserved.
pub(super) fn unreserved(lambda: &Lambda) -> u32 {
    CONCURRENCY.saturating_sub(reserved_by_others(lambda, ""))
}

fn reserved_by_others(lambda: &Lambda, name: &str) -> u32 {
    let functions = lambda.functions();
    let others = functions.values().filter(|function| function.name != name);
    others.filter_map(|function| function.reserved).sum()
}

pub(super) fn get_concurrency(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = unqualified(call)?;
    let body = lambda.see(&reference, |function| {
        Ok(function.reserved.map_or(
            json!({}),
            |reserved| json!({"ReservedConcurrentExecutions": reserved}),
        ))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn delete_concurrency(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    lambda.change(&unqualified(call)?, |function| {
        function.reserved = None;
        Ok(())
    })?;
    Ok(no_content())
}

fn unqualified(call: &Call) -> Result<Reference, ApiError> {
    let reference = call.function()?;
    if reference.qualifier.is_some() {
        return Err(ApiError::invalid(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.",
        ));
    }
    Ok(reference)
}

pub(super) fn settings(lambda: &Lambda) -> Response {
    let unreserved = unreserved(lambda);
    let functions = lambda.functions();
    let versions = functions
        .values()
        .flat_map(|f| std::iter::once(&f.latest).chain(f.versions.values()));
    let size: u64 = versions.map(|version| version.content.code.size).sum();
    let body = json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": CONCURRENCY,
            "UnreservedConcurrentExecutions": unreserved,
        },
        "AccountUsage": {"TotalCodeSize": size, "FunctionCount": functions.len()},
    });
    answer(StatusCode::OK, &body)
}

/// Nothing is ever signed here; tools ask all the same.
pub(super) fn code_signing(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let body = lambda.see(&reference, |function| {
        Ok(json!({"CodeSigningConfigArn": "", "FunctionName": function.name}))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

/// STS's own question, which many tools ask first; the only one of its API that is answered.
pub(super) fn caller_identity(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let mut form = ::url::form_urlencoded::parse(&call.body);
    let action = form
        .find(|(name, _)| name == "Action")
        .map(|(_, action)| action);
    if action.as_deref() != Some("GetCallerIdentity") {
        return Err(ApiError::unknown("POST", "/"));
    }
    let account = &lambda.place.account;
    let text = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/local</Arn><UserId>AIDALOCALVERDIGRIS000</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        uuid::Uuid::new_v4()
    );
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Ok(response)
}
