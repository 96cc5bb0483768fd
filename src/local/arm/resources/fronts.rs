//! API Management: control plane only. What is written over must be the version that was read, as it is there.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use crate::local::arm::{
    cloud::Cloud,
    model::{Front, Key},
    operations::{Links, begin_done},
    resources::groups,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

const PROVIDER: &str = "Microsoft.ApiManagement";
const SERVICE: &str = "Microsoft.ApiManagement/service";
const API: &str = "Microsoft.ApiManagement/service/apis";

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let front = state.world.fronts.get(&Key::of(&call.path));
    let found = || front.map(answer).ok_or_else(|| missing(call));
    let (Some(id), Some(code)) = (call.query("asyncId"), call.query("asyncCode")) else {
        return found();
    };
    // How the change of an API ended: with the API, unless it was deleted.
    let operation = state.operations.asked(id, call)?;
    operation.result(links(call, id, code).location, || match code {
        "204" => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        code => {
            let mut answer = found()?;
            answer.status = code.parse().unwrap_or(StatusCode::OK);
            Ok(answer)
        }
    })
}

/// The same in words.
pub(in crate::local::arm) fn status(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let id = call.path.rsplit('/').next().unwrap_or_default();
    let operation = state.operations.asked(id, call)?;
    Ok(operation.status(&call.path))
}

/// APIs alone are changed by operations that go on.
fn links(call: &Call, id: &str, code: &str) -> Links {
    let (base, path) = (&call.base, &call.path);
    let version = call.query("api-version").unwrap_or_default();
    let service = path.split("/apis/").next().unwrap_or_default();
    Links {
        location: format!("{base}{path}?api-version={version}&asyncId={id}&asyncCode={code}"),
        status: Some(format!(
            "{base}{service}/tenant/operationResults/{id}?api-version={version}"
        )),
    }
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
    state.world.fronts.insert(key.clone(), front);
    cloud.changed();
    if kind != API {
        return Ok(answer);
    }
    let id = begin_done(cloud, &mut state, &key, "change of an API".to_owned());
    let code = answer.status.as_str().to_owned();
    Ok(links(call, &id, &code).on(answer))
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
    if kind_of(&call.path) != API {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    let id = begin_done(cloud, &mut state, &key, "deletion of an API".to_owned());
    Ok(links(call, &id, "204").accepted())
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
