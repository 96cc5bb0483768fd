//! Tags of functions and of event source mappings.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::local::lambda::{
    Lambda,
    wire::{ApiError, Call, Reference, answer, no_content},
};

type Tags = BTreeMap<String, String>;

const TAGS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagRequest {
    #[serde(default)]
    tags: Tags,
}

pub(super) fn list(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let tags = with_tags(lambda, call.part(0), |tags| Ok(tags.clone()))?;
    Ok(answer(StatusCode::OK, &json!({"Tags": tags})))
}

pub(super) fn add(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let TagRequest { tags: fresh } = call.json()?;
    if fresh.is_empty() {
        return Err(ApiError::invalid(
            "An error occurred and the request cannot be processed.",
        ));
    }
    with_tags(lambda, call.part(0), |tags| {
        tags.extend(fresh);
        check_tags(tags)
    })?;
    Ok(no_content())
}

pub(super) fn remove(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let keys = call.query.iter().filter(|(name, _)| name == "tagKeys");
    let keys: Vec<&String> = keys.map(|(_, key)| key).collect();
    if keys.is_empty() {
        return Err(ApiError::missing("tagKeys"));
    }
    with_tags(lambda, call.part(0), |tags| {
        tags.retain(|key, _| !keys.contains(&key));
        Ok(())
    })?;
    Ok(no_content())
}

/// What Lambda refuses to carry as tags.
pub(super) fn check_tags(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(ApiError::invalid(
            "Number of tags exceeds resource tag limit.",
        ));
    }
    let sound = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count())
            && value.chars().count() <= 256
            && !key.starts_with("aws:")
    };
    if !tags.iter().all(sound) {
        return Err(ApiError::invalid(
            "Tag keys have 1 to 128 characters and do not begin with aws:, values have at most 256.",
        ));
    }
    Ok(())
}

fn with_tags<T>(
    lambda: &Lambda,
    arn: &str,
    change: impl FnOnce(&mut Tags) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let prefix = format!(
        "arn:aws:lambda:{}:{}:",
        lambda.place.region, lambda.place.account
    );
    let mapping = arn
        .strip_prefix(&prefix)
        .and_then(|rest| rest.strip_prefix("event-source-mapping:"));
    if let Some(id) = mapping.filter(|id| Uuid::parse_str(id).is_ok()) {
        return with_mapping_tags(lambda, (arn, id), change);
    }
    let is_function = arn.starts_with("arn:aws") && arn.contains(":function:");
    let reference = Reference::parse(arn, None).ok().filter(|_| is_function).ok_or_else(|| {
        let rule = r"Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)";
        ApiError::validation(arn, "resource", rule)
    })?;
    if reference.qualifier.is_some() {
        return Err(ApiError::invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ));
    }
    lambda.change(&reference, |function| {
        let before = function.tags.clone();
        let told = change(&mut function.tags)?;
        // No version has tags, and yet AWS tells another revision after them.
        if function.tags != before {
            function.latest.revision = Uuid::new_v4();
        }
        Ok(told)
    })
}

fn with_mapping_tags<T>(
    lambda: &Lambda,
    (arn, id): (&str, &str),
    change: impl FnOnce(&mut Tags) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let mut mappings = lambda.mappings();
    let mut changed = mappings.clone();
    let missing = || ApiError::not_found(format!("Event source mapping not found: {arn}"));
    let told = change(&mut changed.get_mut(id).ok_or_else(missing)?.tags)?;
    lambda.save_mappings(&changed)?;
    *mappings = changed;
    Ok(told)
}
