//! Event source mappings: kept and shown; nothing is delivered from them.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::local::lambda::{
    Lambda,
    record::{Mapping, Source},
    wire::{ApiError, Call, Reference, answer, page},
};

type Request = Map<String, Value>;

pub(super) fn create(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let request: Request = call.json()?;
    if text(&request, "EventSourceArn").is_none() && !request.contains_key("SelfManagedEventSource")
    {
        return Err(ApiError::invalid("Unrecognized event source."));
    }
    let function_arn = function_arn(lambda, &request)?;
    let source = text(&request, "EventSourceArn").unwrap_or_default();
    let kind = Source::of(source);
    check_start(&request, source, kind)?;
    if kind == Source::Queue && request.contains_key("DestinationConfig") {
        return Err(ApiError::invalid(
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ));
    }
    let mut mapping = Mapping {
        id: Uuid::new_v4().to_string(),
        function_arn,
        enabled: true,
        members: kind.members(),
        tags: tags(&request),
        modified: lambda.clock.now(),
        problem: problem(lambda, "CreateEventSourceMapping"),
        change: Some(("Creating".to_owned(), lambda.until())),
    };
    mapping.set(&request);
    let body = mapping.json(&arn(lambda, &mapping.id));
    change(lambda, |mappings| {
        let same = |old: &Mapping| {
            old.source() == mapping.source() && old.function_arn == mapping.function_arn
        };
        if let Some(old) = mappings.values().find(|old| same(old)) {
            return Err(ApiError::conflict(format!(
                "An event source mapping with {} and {} already exists. Please update or delete the existing mapping with UUID {}",
                old.source(),
                old.function_arn,
                old.id
            )));
        }
        mappings.insert(mapping.id.clone(), mapping);
        Ok(())
    })?;
    Ok(answer(StatusCode::ACCEPTED, &body))
}

/// A stream is read from somewhere on, and only that of Kinesis from a moment on; a queue has no beginning.
fn check_start(request: &Request, source: &str, kind: Source) -> Result<(), ApiError> {
    match text(request, "StartingPosition") {
        Some("AT_TIMESTAMP") if source.split(':').nth(2) == Some("dynamodb") => {
            Err(ApiError::invalid(format!(
                "Unsupported starting position for arn type: {source}"
            )))
        }
        Some("LATEST" | "AT_TIMESTAMP" | "TRIM_HORIZON") => Ok(()),
        Some(other) => Err(ApiError::validation(
            other,
            "startingPosition",
            "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
        )),
        None if kind == Source::Stream => Err(ApiError::invalid(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
        )),
        None => Ok(()),
    }
}

pub(super) fn get(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let id = call.part(0);
    let body = change(lambda, |mappings| {
        let mapping = mappings.get(id).ok_or_else(missing)?;
        Ok(mapping.json(&arn(lambda, id)))
    })?;
    Ok(answer(StatusCode::OK, &body))
}

pub(super) fn list(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let source = call.query("EventSourceArn");
    let function = call
        .query("FunctionName")
        .map(|name| Reference::parse(name, None))
        .transpose()?;
    let function = function.map(|f| lambda.place.arn(&f.name, f.qualifier.as_deref()));
    change(lambda, |mappings| {
        let wanted = |mapping: &&Mapping| {
            source.is_none_or(|source| mapping.source() == source)
                && function
                    .as_ref()
                    .is_none_or(|arn| mapping.function_arn == *arn)
        };
        let items = mappings
            .values()
            .filter(wanted)
            .map(|mapping| (mapping.id.clone(), mapping));
        page(call, "EventSourceMappings", items, |mapping| {
            mapping.json(&arn(lambda, &mapping.id))
        })
    })
}

pub(super) fn update(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let (id, request): (_, Request) = (call.part(0), call.json()?);
    let function = match request.get("FunctionName") {
        Some(_) => Some(function_arn(lambda, &request)?),
        None => None,
    };
    let body = change(lambda, |mappings| {
        let mapping = mappings.get_mut(id).ok_or_else(missing)?;
        check_idle(mapping)?;
        mapping.set(&request);
        if let Some(function) = function {
            mapping.function_arn = function;
        }
        mapping.modified = lambda.clock.now();
        mapping.problem = problem(lambda, "UpdateEventSourceMapping");
        mapping.change = Some(("Updating".to_owned(), lambda.until()));
        Ok(mapping.json(&arn(lambda, id)))
    })?;
    Ok(answer(StatusCode::ACCEPTED, &body))
}

pub(super) fn delete(lambda: &Lambda, call: &Call) -> Result<Response, ApiError> {
    let id = call.part(0);
    let body = change(lambda, |mappings| {
        let mapping = mappings.get_mut(id).ok_or_else(missing)?;
        check_idle(mapping)?;
        mapping.change = Some(("Deleting".to_owned(), lambda.until()));
        Ok(mapping.json(&arn(lambda, id)))
    })?;
    Ok(answer(StatusCode::ACCEPTED, &body))
}

/// Changes the settled mappings, and writes them down where they differ. A refusal changes nothing.
fn change<T>(
    lambda: &Lambda,
    change: impl FnOnce(&mut BTreeMap<String, Mapping>) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let mut mappings = lambda.mappings();
    let now = lambda.clock.now();
    mappings.retain(|_, mapping| mapping.settle(now));
    let mut changed = mappings.clone();
    let told = change(&mut changed)?;
    lambda.save_mappings(&changed)?;
    *mappings = changed;
    Ok(told)
}

fn problem(lambda: &Lambda, operation: &str) -> Option<String> {
    lambda.faults.later(operation).map(|it| it.message)
}

fn check_idle(mapping: &Mapping) -> Result<(), ApiError> {
    if mapping.change.is_some() {
        return Err(ApiError::in_use(
            "Cannot update the event source mapping because it is in use.",
        ));
    }
    Ok(())
}

fn function_arn(lambda: &Lambda, request: &Request) -> Result<String, ApiError> {
    let name = text(request, "FunctionName").ok_or_else(|| ApiError::missing("functionName"))?;
    let reference = Reference::parse(name, None)?;
    let functions = lambda.functions();
    let function = functions.get(&reference.name);
    let found = function.and_then(|function| function.qualified(reference.qualifier.as_deref()));
    // The real answer to a missing function is a 400 here.
    found.ok_or_else(|| ApiError::invalid("Function does not exist"))?;
    Ok(lambda
        .place
        .arn(&reference.name, reference.qualifier.as_deref()))
}

fn arn(lambda: &Lambda, id: &str) -> String {
    let (region, account) = (&lambda.place.region, &lambda.place.account);
    format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{id}")
}

fn text<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.get(name).and_then(Value::as_str)
}

fn tags(request: &Request) -> BTreeMap<String, String> {
    let tags = request
        .get("Tags")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    tags.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn missing() -> ApiError {
    ApiError::not_found("The resource you requested does not exist.")
}
