//! Function URLs: one per function or alias, each on a loopback port of its own.

use std::sync::Arc;

use axum::{http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::Value;

use crate::local::lambda::{
    Lambda,
    record::{Function, UrlConfig, url_json},
    url,
    wire::{ApiError, Call, Reference, answer, no_content, page},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UrlRequest {
    auth_type: Option<String>,
    invoke_mode: Option<String>,
    cors: Option<Value>,
}

pub(super) async fn create(lambda: &Arc<Lambda>, call: &Call) -> Result<Response, ApiError> {
    let reference = alias_only(call)?;
    let UrlRequest {
        auth_type,
        invoke_mode,
        cors,
    } = call.json()?;
    let auth = auth_type.ok_or_else(|| ApiError::missing("authType"))?;
    let is_mode_told = invoke_mode.is_some();
    let mode = invoke_mode.unwrap_or_else(|| "BUFFERED".to_owned());
    check(&auth, &mode)?;
    let key = reference.qualifier.clone().unwrap_or_default();
    lambda.known(&reference, "Function does not exist")?;
    lambda.see(&reference, |function| {
        refuse_twin(lambda, function, &reference)
    })?;
    let listening = url::listen(None)
        .await
        .map_err(|fault| ApiError::internal(format!("no port for the function URL: {fault}")))?;
    let now = lambda.clock.now();
    let config = UrlConfig {
        auth,
        mode,
        cors,
        created: now,
        modified: now,
        port: listening.port,
    };
    let mut body = url_json(&lambda.place, &reference.name, &key, &config);
    lambda.change(&reference, |function| {
        // Somebody may have been quicker while the port was bound.
        refuse_twin(lambda, function, &reference)?;
        function.urls.insert(key.clone(), config);
        Ok(())
    })?;
    url::serve(lambda, listening, &reference.name, &key);
    // The real answer to a creation tells less than the others do.
    forget(&mut body, "LastModifiedTime");
    if !is_mode_told {
        forget(&mut body, "InvokeMode");
    }
    Ok(answer(StatusCode::CREATED, &body))
}

pub(super) fn get(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = alias_only(call)?;
    let key = reference.qualifier.as_deref().unwrap_or_default();
    lambda.known(&reference, "The resource you requested does not exist.")?;
    let body = lambda.see(&reference, |function| {
        let config = function.urls.get(key).ok_or_else(missing)?;
        Ok(url_json(&lambda.place, &function.name, key, config))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn update(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = alias_only(call)?;
    let UrlRequest {
        auth_type,
        invoke_mode,
        cors,
    } = call.json()?;
    let is_mode_told = invoke_mode.is_some();
    let key = reference.qualifier.clone().unwrap_or_default();
    lambda.known(&reference, "Function does not exist")?;
    let mut body = lambda.change(&reference, |function| {
        if !key.is_empty() && !function.aliases.contains_key(&key) {
            return Err(ApiError::not_found("Function does not exist"));
        }
        let config = function.urls.get_mut(&key).ok_or_else(missing)?;
        config.auth = auth_type.unwrap_or_else(|| config.auth.clone());
        config.mode = invoke_mode.unwrap_or_else(|| config.mode.clone());
        config.cors = cors.or_else(|| config.cors.clone());
        config.modified = lambda.clock.now();
        check(&config.auth, &config.mode)?;
        Ok(url_json(&lambda.place, &reference.name, &key, config))
    })?;
    if !is_mode_told {
        forget(&mut body, "InvokeMode");
    }
    Ok(answer(StatusCode::OK, &body))
}

/// Answers to writing calls name the mode only where the request did.
fn forget(body: &mut Value, member: &str) {
    if let Some(members) = body.as_object_mut() {
        members.remove(member);
    }
}

pub(super) fn delete(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = alias_only(call)?;
    let key = reference.qualifier.clone().unwrap_or_default();
    lambda.known(&reference, "The resource you requested does not exist.")?;
    lambda.change(&reference, |function| {
        function.urls.remove(&key).map(|_| ()).ok_or_else(missing)
    })?;
    lambda.urls.close(&reference.name, &key);
    Ok(no_content())
}

pub(super) fn list(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    lambda.known(&reference, "Function does not exist")?;
    lambda.see(&reference, |function| {
        let items = function
            .urls
            .iter()
            .map(|(key, config)| (key.clone(), (key, config)));
        page(call, "FunctionUrlConfigs", items, |(key, config)| {
            url_json(&lambda.place, &function.name, key, config)
        })
    })
}

/// A function URL belongs to an alias or to the function itself, never to a version.
fn alias_only(call: &Call) -> Result<Reference, ApiError> {
    if let Some(qualifier) = call.query("Qualifier") {
        let numeric = qualifier.bytes().all(|b| b.is_ascii_digit());
        if numeric || qualifier.contains('$') {
            let rule =
                r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)";
            return Err(ApiError::validation(qualifier, "qualifier", rule));
        }
    }
    call.function()
}

fn check(auth: &str, mode: &str) -> Result<(), ApiError> {
    if !matches!(auth, "NONE" | "AWS_IAM") {
        let rule = "Member must satisfy enum value set: [NONE, AWS_IAM]";
        return Err(ApiError::validation(auth, "authType", rule));
    }
    if !matches!(mode, "BUFFERED" | url::STREAM) {
        let rule = "Member must satisfy enum value set: [BUFFERED, RESPONSE_STREAM]";
        return Err(ApiError::validation(mode, "invokeMode", rule));
    }
    Ok(())
}

fn refuse_twin(
    lambda: &Lambda,
    function: &Function,
    reference: &Reference,
) -> Result<(), ApiError> {
    let key = reference.qualifier.as_deref().unwrap_or_default();
    if !key.is_empty() && !function.aliases.contains_key(key) {
        return Err(ApiError::not_found("Function does not exist"));
    }
    if function.urls.contains_key(key) {
        let arn = lambda
            .place
            .arn(&function.name, reference.qualifier.as_deref());
        return Err(ApiError::conflict(format!(
            "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig exists for this Lambda function"
        )));
    }
    Ok(())
}

fn missing() -> ApiError {
    ApiError::not_found("The resource you requested does not exist.")
}
