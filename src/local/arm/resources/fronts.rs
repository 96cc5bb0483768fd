//! API Management: control plane only. What is written over must be the version that was read, as it is there.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use crate::local::arm::{
    cloud::Cloud,
    model::{Front, Key},
    resources::groups,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

const PROVIDER: &str = "Microsoft.ApiManagement";
const SERVICE: &str = "Microsoft.ApiManagement/service";

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let front = state.world.fronts.get(&Key::of(&call.path));
    front.map(answer).ok_or_else(|| missing(call))
}

pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let parent = Key::of(&call.path);
    let depth = parent.depth() + 1;
    let all = state.world.fronts.iter();
    let all = all.filter(|(key, _)| key.is_under(&parent) && key.depth() == depth);
    page::answer(cloud, call, all, |(_, front)| front.body.clone())
}

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let key = Key::of(&call.path);
    let parents = key
        .parents()
        .filter(|parent| !state.world.fronts.contains_key(parent));
    if parents.count() > 0 {
        return Err(missing(call));
    }
    check_version(state.world.fronts.get(&key), call)?;
    let kind = kind_of(&call.path);
    if kind == SERVICE {
        check_service(&call.body)?;
    }
    let known = state.world.fronts.get(&key).map(|front| front.version);
    let mut body = call.body.clone();
    body["id"] = json!(call.path);
    body["name"] = json!(call.path.rsplit('/').next());
    body["type"] = json!(kind);
    let front = Front {
        id: call.path.clone(),
        body,
        version: known.unwrap_or_default() + 1,
    };
    let mut answer = answer(&front);
    if known.is_none() {
        answer.status = StatusCode::CREATED;
    }
    state.world.fronts.insert(key, front);
    cloud.changed();
    Ok(answer)
}

pub(in crate::local::arm) fn delete(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    let key = Key::of(&call.path);
    if !state.world.fronts.contains_key(&key) {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    check_version(state.world.fronts.get(&key), call)?;
    state
        .world
        .fronts
        .retain(|other, _| *other != key && !other.is_under(&key));
    cloud.changed();
    // Of an API nothing but this and `202` is known to the clients; of its parts this is, too.
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// The kind of what is at a path: names stand between its parts.
fn kind_of(path: &str) -> String {
    let is_before = |part: &&str| !part.eq_ignore_ascii_case(PROVIDER);
    let parts = path.split('/').skip_while(is_before).skip(1);
    let parts: Vec<&str> = parts.step_by(2).collect();
    format!("{PROVIDER}/{}", parts.join("/"))
}

/// Who publishes, and how large it is, is asked for when it is made.
fn check_service(body: &Value) -> Result<(), ArmError> {
    let needed = [
        "/location",
        "/sku/name",
        "/sku/capacity",
        "/properties/publisherEmail",
        "/properties/publisherName",
    ];
    let missing = |pointer: &&&str| body.pointer(pointer).is_none();
    match needed.iter().find(missing) {
        Some(pointer) => Err(ArmError::Invalid(format!(
            "The request content is invalid: {} is required.",
            pointer.trim_start_matches('/').replace('/', ".")
        ))),
        None => Ok(()),
    }
}

/// Whoever changes what is there must say which version of it.
fn check_version(known: Option<&Front>, call: &Call) -> Result<(), ArmError> {
    let given = call.if_match.as_deref();
    let fits = match known {
        None => given.is_none_or(|given| given == "*"),
        Some(front) => given.is_some_and(|given| given == "*" || given == etag(front)),
    };
    if fits {
        return Ok(());
    }
    Err(ArmError::Coded {
        status: StatusCode::PRECONDITION_FAILED,
        code: "PreconditionFailed",
        message: "Resource was modified since it was read: the If-Match header names another version, or none.".to_owned(),
    })
}

fn etag(front: &Front) -> String {
    format!("\"{}\"", front.version)
}

fn answer(front: &Front) -> Answer {
    let body: Value = front.body.clone();
    Answer::ok(body).header("etag", etag(front))
}

fn missing(call: &Call) -> ArmError {
    ArmError::NoResource {
        kind: "Microsoft.ApiManagement/service",
        name: call.path.rsplit('/').next().unwrap_or_default().to_owned(),
        group: call.arg("group").to_owned(),
    }
}
