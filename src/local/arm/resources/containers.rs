//! Containers of blobs, as the resource manager knows them: apps of Flex Consumption take their packages from one.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{groups, plans::require_account};
use crate::local::arm::{
    cloud::{Cloud, State},
    model::{Key, Resource},
    resources::blobs,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

const KIND: &str = "Microsoft.Storage/storageAccounts/blobServices/containers";

fn id_of(call: &Call) -> String {
    format!(
        "{}/blobServices/default/containers/{}",
        call.account_id(),
        call.arg("container")
    )
}

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    require_account(&state, call)?;
    let name = call.arg("container");
    check_name(name)?;
    let properties = call.body["properties"].as_object().cloned();
    let container = Resource {
        id: id_of(call),
        name: name.to_owned(),
        location: String::new(),
        tags: Default::default(),
        rest: properties.unwrap_or_default(),
    };
    let body = render(&container);
    let key = Key::of(&container.id);
    let status = match state.world.containers.insert(key, container) {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    cloud.changed();
    Ok(Answer::with(status, body))
}

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    groups::require(&state, call)?;
    require_account(&state, call)?;
    let container = state.world.containers.get(&Key::of(&id_of(call)));
    let container = container.ok_or_else(|| ArmError::Coded {
        status: StatusCode::NOT_FOUND,
        code: "ContainerNotFound",
        message: "The specified container does not exist.".to_owned(),
    })?;
    Ok(Answer::ok(render(container)))
}

pub(in crate::local::arm) fn delete(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let gone = state.world.containers.remove(&Key::of(&id_of(call)));
    let within = format!("{}/{}/", call.arg("account"), call.arg("container"));
    let within = within.to_ascii_lowercase();
    let blobs = &mut state.world.blobs;
    blobs.retain(|name, _| !name.starts_with(&within));
    cloud.changed();
    Ok(Answer::empty(match gone {
        Some(_) => StatusCode::OK,
        None => StatusCode::NO_CONTENT,
    }))
}

/// The account of a container that is there, by the address of its blobs.
pub(in crate::local::arm) fn account_of(state: &State, address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let path = url.path().strip_prefix(blobs::ROOT)?;
    let (account, path) = path.trim_matches('/').split_once('/')?;
    let name = path.split('/').next()?;
    let mut accounts = state.world.accounts.values();
    let account = accounts.find(|it| it.name.eq_ignore_ascii_case(account))?;
    let id = format!("{}/blobServices/default/containers/{name}", account.id);
    let found = state.world.containers.get(&Key::of(&id));
    found.map(|_| account.id.clone())
}

fn check_name(name: &str) -> Result<(), ArmError> {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_good = (3..=63).contains(&name.len())
        && name.bytes().all(is_part)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    match is_good {
        true => Ok(()),
        false => Err(ArmError::Invalid(format!(
            "The specified resource name contains invalid characters: {name}"
        ))),
    }
}

fn render(container: &Resource) -> Value {
    let Resource {
        id,
        name,
        location: _,
        tags: _,
        rest,
    } = container;
    let properties: &Map<String, Value> = rest;
    json!({ "id": id, "name": name, "type": KIND, "etag": "\"0x1\"", "properties": properties })
}
