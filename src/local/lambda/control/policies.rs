//! Resource policies, one per function, version or alias.

use axum::{http::StatusCode, response::Response};
use serde_json::json;
use uuid::Uuid;

use super::updates::check_revision;
use crate::local::lambda::{
    Lambda,
    record::{Function, LATEST, PermissionRequest, Policy},
    wire::{ApiError, Call, Reference, answer, no_content},
};

pub(super) fn add(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let request: PermissionRequest = call.json()?;
    let key = reference.qualifier.clone().unwrap_or_default();
    if key == LATEST {
        return Err(ApiError::invalid(
            "We currently do not support adding policies for $LATEST.",
        ));
    }
    let arn = lambda
        .place
        .arn(&reference.name, reference.qualifier.as_deref());
    let statement = request.statement(&arn)?;
    let body = lambda.change(&reference, |function| {
        check_qualifier(lambda, function, &reference)?;
        let fresh = Policy { statements: Vec::new(), revision: Uuid::new_v4() };
        let policy = function.policies.entry(key).or_insert(fresh);
        check_revision(policy.revision, request.revision_id.as_deref())?;
        if policy.statements.iter().any(|old| old["Sid"] == statement["Sid"]) {
            return Err(ApiError::conflict(format!(
                "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                request.statement_id
            )));
        }
        policy.revision = Uuid::new_v4();
        policy.statements.push(statement.clone());
        Ok(json!({"Statement": statement.to_string()}))
    })?;
    Ok(answer(StatusCode::CREATED, &body))
}

pub(super) fn get(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    let missing = || ApiError::not_found("The resource you requested does not exist.");
    if !lambda.functions().contains_key(&reference.name) {
        return Err(missing());
    }
    let body = lambda.see(&reference, |function| {
        let key = reference.qualifier.as_deref().unwrap_or_default();
        let policy = function.policies.get(key).ok_or_else(missing)?;
        Ok(json!({"Policy": policy.text(), "RevisionId": policy.revision.to_string()}))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn remove(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let (reference, id) = (call.function()?, call.part(1));
    if !lambda.functions().contains_key(&reference.name) {
        let arn = lambda
            .place
            .arn(&reference.name, reference.qualifier.as_deref());
        return Err(ApiError::not_found(format!("No policy found for: {arn}")));
    }
    let asked = call.query("RevisionId");
    lambda.change(&reference, |function| {
        check_qualifier(lambda, function, &reference)?;
        let key = reference.qualifier.clone().unwrap_or_default();
        let none = || ApiError::not_found("No policy is associated with the given resource.");
        let policy = function.policies.get_mut(&key).ok_or_else(none)?;
        check_revision(policy.revision, asked)?;
        let before = policy.statements.len();
        policy.statements.retain(|statement| statement["Sid"] != id);
        if policy.statements.len() == before {
            return Err(ApiError::not_found(format!(
                "Statement {id} is not found in resource policy."
            )));
        }
        policy.revision = Uuid::new_v4();
        if policy.statements.is_empty() {
            function.policies.remove(&key);
        }
        Ok(())
    })?;
    Ok(no_content())
}

/// A policy hangs on what exists.
fn check_qualifier(
    lambda: &Lambda,
    function: &Function,
    reference: &Reference,
) -> Result<(), ApiError> {
    let Some(qualifier) = reference.qualifier.as_deref() else {
        return Ok(());
    };
    if function.qualified(Some(qualifier)).is_some() {
        return Ok(());
    }
    let arn = lambda.place.arn(&function.name, Some(qualifier));
    let numeric = qualifier.bytes().all(|b| b.is_ascii_digit());
    if numeric || qualifier.contains('$') {
        Err(ApiError::not_found(format!("Function not found: {arn}")))
    } else {
        Err(ApiError::not_found(format!("Cannot find alias arn: {arn}")))
    }
}
