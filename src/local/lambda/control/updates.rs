//! Changes of code and configuration, and the publishing of versions.

use axum::{http::StatusCode, response::Response};
use serde::Deserialize;
use uuid::Uuid;

use super::functions::{CodeRequest, check_role};
use crate::local::{
    faults::Failure,
    lambda::{
        Lambda,
        record::{ConfigRequest, Content, Function, Phase, architecture, code_sha256, shown},
        wire::{ApiError, Call, answer},
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateCodeRequest {
    #[serde(flatten)]
    code: CodeRequest,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    dry_run: bool,
    revision_id: Option<String>,
    architectures: Option<Vec<String>>,
}

pub(super) async fn code(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let UpdateCodeRequest {
        code,
        publish,
        dry_run,
        revision_id,
        architectures,
    } = call.json()?;
    let architecture = architecture(architectures)?;
    let check = |function: &Function| check_change(lambda, function, revision_id.as_deref());
    lambda.see(&reference, check)?;
    let code = lambda.packages.keep(code.zip(lambda)?).await?;
    let change = |function: &mut Function| {
        check(function)?;
        let mut content = Content {
            config: function.latest.content.config.clone(),
            code,
        };
        if let Some(architecture) = architecture {
            content.config.architecture = architecture;
        }
        let end = lambda.faults.later("UpdateFunctionCode");
        begin(lambda, function, content, end.clone());
        if !publish {
            return Ok(shown(&lambda.place, function, &function.latest, None));
        }
        let phase = Phase::Pending {
            until: lambda.until(),
            end,
        };
        let version = function.publish(None, phase, lambda.clock.now());
        Ok(shown(
            &lambda.place,
            function,
            &version,
            Some(&version.label),
        ))
    };
    let body = if dry_run {
        lambda.see(&reference, |function| change(&mut function.clone()))?
    } else {
        lambda.change(&reference, change)?
    };
    Ok(answer(StatusCode::OK, &body))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateConfigurationRequest {
    revision_id: Option<String>,
    #[serde(flatten)]
    config: ConfigRequest,
}

pub(super) fn configuration(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let UpdateConfigurationRequest {
        revision_id,
        config,
    } = call.json()?;
    let body = lambda.change(&reference, |function| {
        check_change(lambda, function, revision_id.as_deref())?;
        let Content { config: old, code } = &function.latest.content;
        let config = config.apply(old)?;
        check_role(lambda, &config)?;
        let content = Content {
            config,
            code: *code,
        };
        let end = lambda.faults.later("UpdateFunctionConfiguration");
        begin(lambda, function, content, end);
        Ok(shown(&lambda.place, function, &function.latest, None))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishRequest {
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

pub(super) fn publish(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let PublishRequest {
        code_sha256: wanted,
        description,
        revision_id,
    } = call.json()?;
    let body = lambda.change(&reference, |function| {
        check_change(lambda, function, revision_id.as_deref())?;
        let current = code_sha256(&function.latest.content.code);
        if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty() && *wanted != current) {
            return Err(ApiError::invalid(format!(
                "CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({current}). Please try again with the CodeSHA256 in $LATEST."
            )));
        }
        let description = description.filter(|text| !text.is_empty());
        let version = function.publish(description, Phase::Active, lambda.clock.now());
        Ok(shown(&lambda.place, function, &version, Some(&version.label)))
    })?;
    Ok(answer(StatusCode::CREATED, &body))
}

/// `$LATEST` takes new content; what it ran before serves until the update is done.
fn begin(lambda: &Lambda, function: &mut Function, content: Content, end: Option<Failure>) {
    let latest = &mut function.latest;
    let serving = Box::new(latest.serving().clone());
    latest.content = content;
    latest.phase = Phase::Updating {
        until: lambda.until(),
        serving,
        end,
    };
    latest.revision = Uuid::new_v4();
    latest.modified = lambda.clock.now();
}

/// One change at a time, and only of what the caller has seen.
fn check_change(
    lambda: &Lambda,
    function: &Function,
    revision: Option<&str>,
) -> Result<(), ApiError> {
    match function.latest.phase {
        // What failed may be tried again.
        Phase::Active | Phase::Failed { .. } | Phase::Unchanged { .. } => {}
        Phase::Pending { .. } => {
            return Err(ApiError::conflict(
                "The operation cannot be performed at this time. The function is currently in the following state: Pending",
            ));
        }
        Phase::Updating { .. } => {
            let arn = lambda.place.arn(&function.name, None);
            return Err(ApiError::conflict(format!(
                "The operation cannot be performed at this time. An update is in progress for resource: {arn}"
            )));
        }
    }
    check_revision(function.latest.revision, revision)
}

pub(super) fn check_revision(current: Uuid, asked: Option<&str>) -> Result<(), ApiError> {
    match asked {
        Some(asked) if !asked.is_empty() && asked != current.to_string() => {
            Err(ApiError::precondition())
        }
        Some(_) | None => Ok(()),
    }
}
