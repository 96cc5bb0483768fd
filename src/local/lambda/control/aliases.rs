//! Aliases: names for versions, with weights.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use serde::Deserialize;
use uuid::Uuid;

use super::updates::check_revision;
use crate::local::lambda::{
    Lambda,
    record::{Alias, Function, LATEST, alias_json},
    wire::{ApiError, Call, answer, no_content, page},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct AliasRequest {
    name: Option<String>,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<RoutingRequest>,
    revision_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RoutingRequest {
    additional_version_weights: Option<BTreeMap<String, f64>>,
}

impl RoutingRequest {
    fn weights(self) -> BTreeMap<String, f64> {
        self.additional_version_weights.unwrap_or_default()
    }
}

pub(super) fn create(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let AliasRequest {
        name,
        function_version,
        description,
        routing_config,
        revision_id: _,
    } = call.json()?;
    let name = name.ok_or_else(|| ApiError::missing("name"))?;
    check_alias_name(&name)?;
    let version = function_version.ok_or_else(|| ApiError::missing("functionVersion"))?;
    let weights = routing_config.unwrap_or_default().weights();
    check_weights(&weights)?;
    // A missing function is told by the version that was asked of it.
    let missing = || {
        ApiError::not_found(format!(
            "Function not found: {}",
            lambda.place.arn(&reference.name, Some(&version))
        ))
    };
    if !lambda.functions().contains_key(&reference.name) {
        return Err(missing());
    }
    let body = lambda.change(&reference, |function| {
        check_target(lambda, function, &version, &weights)?;
        if function.aliases.contains_key(&name) {
            let arn = lambda.place.arn(&function.name, Some(&name));
            return Err(ApiError::conflict(format!("Alias already exists: {arn}")));
        }
        let alias = Alias {
            version,
            description: description.unwrap_or_default(),
            weights,
            revision: Uuid::new_v4(),
        };
        let body = alias_json(&lambda.place, &function.name, &name, &alias);
        function.aliases.insert(name, alias);
        Ok(body)
    })?;
    Ok(answer(StatusCode::CREATED, &body))
}

pub(super) fn get(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let (reference, name) = (call.function()?, call.part(1));
    let missing = || {
        let arn = lambda.place.arn(&reference.name, Some(name));
        ApiError::not_found(format!("Cannot find alias arn: {arn}"))
    };
    let body = lambda.see(&reference, |function| {
        let alias = function.aliases.get(name).ok_or_else(missing)?;
        Ok(alias_json(&lambda.place, &function.name, name, alias))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn update(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let (reference, name) = (call.function()?, call.part(1));
    let AliasRequest {
        name: _,
        function_version,
        description,
        routing_config,
        revision_id,
    } = call.json()?;
    let body = lambda.change(&reference, |function| {
        let old = function.aliases.get(name).cloned().ok_or_else(|| {
            let arn = lambda.place.arn(&function.name, Some(name));
            ApiError::not_found(format!("Alias not found: {arn}"))
        })?;
        check_revision(old.revision, revision_id.as_deref())?;
        let alias = Alias {
            version: function_version.unwrap_or(old.version),
            description: description.unwrap_or(old.description),
            weights: routing_config.map_or(old.weights, RoutingRequest::weights),
            revision: Uuid::new_v4(),
        };
        check_weights(&alias.weights)?;
        check_target(lambda, function, &alias.version, &alias.weights)?;
        let body = alias_json(&lambda.place, &function.name, name, &alias);
        function.aliases.insert(name.to_owned(), alias);
        Ok(body)
    })?;
    Ok(answer(StatusCode::OK, &body))
}

/// A missing alias is deleted already.
pub(super) fn delete(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let (reference, name) = (call.function()?, call.part(1));
    lambda.change(&reference, |function| {
        if function.aliases.remove(name).is_some() {
            function.policies.remove(name);
            function.urls.remove(name);
            function.provisioned.remove(name);
            function.asynchronous.remove(name);
        }
        Ok(())
    })?;
    lambda.urls.close(&reference.name, name);
    Ok(no_content())
}

pub(super) fn list(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let wanted = call.query("FunctionVersion");
    lambda.see(&reference, |function| {
        let of_version = |alias: &&Alias| wanted.is_none_or(|version| alias.version == version);
        let aliases = function
            .aliases
            .iter()
            .filter(|(_, alias)| of_version(alias));
        let items = aliases.map(|(name, alias)| (name.clone(), (name, alias)));
        page(call, "Aliases", items, |(name, alias)| {
            alias_json(&lambda.place, &function.name, name, alias)
        })
    })
}

fn check_alias_name(name: &str) -> Result<(), ApiError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let numeric = name.bytes().all(|b| b.is_ascii_digit());
    if name.is_empty() || name.len() > 128 || numeric || !name.chars().all(legal) {
        let rule = "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)";
        return Err(ApiError::validation(name, "name", rule));
    }
    Ok(())
}

/// What can be refused without looking at the function.
fn check_weights(weights: &BTreeMap<String, f64>) -> Result<(), ApiError> {
    let text = || {
        let pairs: Vec<String> = weights
            .iter()
            .map(|(version, weight)| format!("{version}={weight:?}"))
            .collect();
        format!("{{{}}}", pairs.join(", "))
    };
    let at = "routingConfig.additionalVersionWeights";
    if weights.values().any(|weight| !(0.0..=1.0).contains(weight)) {
        return Err(ApiError::validation(
            &text(),
            at,
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]",
        ));
    }
    if weights
        .keys()
        .any(|key| key.is_empty() || !key.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(ApiError::validation(
            &text(),
            at,
            "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]",
        ));
    }
    if weights.len() > 1 {
        return Err(ApiError::invalid(
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ));
    }
    Ok(())
}

fn check_target(
    lambda: &Lambda,
    function: &Function,
    version: &str,
    weights: &BTreeMap<String, f64>,
) -> Result<(), ApiError> {
    if !weights.is_empty() && version == LATEST {
        return Err(ApiError::invalid(
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ));
    }
    if weights.contains_key(version) {
        return Err(ApiError::invalid(format!(
            "Invalid function version {version}. Function version {version} is already included in routing configuration."
        )));
    }
    let find = |label: &str| {
        let arn = lambda.place.arn(&function.name, Some(label));
        let missing = ApiError::not_found(format!("Function not found: {arn}"));
        function.version(label).ok_or(missing)
    };
    let first = &find(version)?.content.config;
    for label in weights.keys() {
        let second = &find(label)?.content.config;
        let letters = "DeadLetterConfig";
        if first.role != second.role || first.carried.get(letters) != second.carried.get(letters) {
            return Err(ApiError::invalid(
                "Both versions of an alias must have the same execution role and the same dead-letter configuration.",
            ));
        }
    }
    Ok(())
}
