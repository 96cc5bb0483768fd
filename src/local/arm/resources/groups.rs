//! Resource groups, and what is in them.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::local::arm::{
    cloud::{Cloud, State, slot_key},
    model::{Key, Resource, SlotKey},
    operations::{Links, begin_done},
    queues::store,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

const KIND: &str = "Microsoft.Resources/resourceGroups";

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let location = call.required("location")?.to_owned();
    let tags = call.tags()?.unwrap_or_default();
    let key = Key::of(&call.group_id());
    let mut state = cloud.state();
    let known = state.world.groups.get(&key).map(|group| group.id.clone());
    let status = if known.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let group = Resource {
        id: known.unwrap_or_else(|| call.group_id()),
        name: call.arg("group").to_owned(),
        location,
        tags,
        rest: Map::new(),
    };
    let body = render(&group);
    state.world.groups.insert(key, group);
    cloud.changed();
    Ok(Answer::with(status, body))
}

pub(in crate::local::arm) fn patch(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let tags = call.tags()?;
    let mut state = cloud.state();
    let key = Key::of(&call.group_id());
    let group = state
        .world
        .groups
        .get_mut(&key)
        .ok_or_else(|| no_group(call))?;
    if let Some(tags) = tags {
        group.tags = tags;
    }
    cloud.changed();
    Ok(Answer::ok(render(group)))
}

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    Ok(Answer::ok(render(require(&state, call)?)))
}

pub(in crate::local::arm) fn head(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    match require(&state, call) {
        Ok(_) => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        Err(_) => Ok(Answer::empty(StatusCode::NOT_FOUND)),
    }
}

pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let parent = Key::of(&call.subscription_id());
    let state = cloud.state();
    let groups = state.world.groups.iter();
    let all = groups.filter(|(key, _)| key.is_under(&parent));
    page::answer(cloud, call, all, |(_, group)| render(group))
}

/// Deletes the group with everything in it.
pub(in crate::local::arm) fn delete(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let key = Key::of(&call.group_id());
    let mut state = cloud.state();
    require(&state, call)?;
    let inside: Vec<Key> = state
        .world
        .sites
        .keys()
        .filter(|site| site.is_under(&key))
        .cloned()
        .collect();
    for site in &inside {
        state.idle(site)?;
    }
    let closed: Vec<SlotKey> = inside
        .iter()
        .filter_map(|site| state.world.sites.remove(site))
        .flat_map(|site| {
            site.slots
                .values()
                .map(|slot| slot_key(&site, slot))
                .collect::<Vec<_>>()
        })
        .collect();
    state.world.plans.retain(|plan, _| !plan.is_under(&key));
    state
        .world
        .accounts
        .retain(|account, _| !account.is_under(&key));
    state.world.containers.retain(|one, _| !one.is_under(&key));
    let world = &mut state.world;
    store::keep_of(&mut world.queues, &world.accounts);
    state.world.groups.remove(&key);
    for slot in &closed {
        cloud.close_slot(slot);
    }
    cloud.changed();
    let what = format!("deletion of group {}", call.arg("group"));
    let id = begin_done(cloud, &mut state, &key, what);
    let (location, status) = (deletion(call, &id), None);
    Ok(Links { location, status }.accepted())
}

fn deletion(call: &Call, id: &str) -> String {
    let subscription = call.subscription_id();
    format!(
        "{}{subscription}/operationresults/{id}?api-version=2021-04-01",
        call.base
    )
}

/// How the deletion of a group ended.
pub(in crate::local::arm) fn operation_result(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let id = call.arg("operation");
    let operation = state.operations.asked(id, call)?;
    operation.result(deletion(call, id), || Ok(Answer::empty(StatusCode::OK)))
}

/// Everything in a group, or in a subscription, as id, type, place and tags.
pub(in crate::local::arm) fn resources(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let parent = if call.arg("group").is_empty() {
        Key::of(&call.subscription_id())
    } else {
        require(&state, call)?;
        Key::of(&call.group_id())
    };
    let plain = |kind: &'static str| {
        move |resource: &Resource| {
            brief(
                &resource.id,
                &resource.name,
                kind,
                &resource.location,
                json!(resource.tags),
            )
        }
    };
    let world = &state.world;
    let plans = world.plans.iter().filter(|(key, _)| key.is_under(&parent));
    let accounts = world
        .accounts
        .iter()
        .filter(|(key, _)| key.is_under(&parent));
    let sites = world.sites.iter().filter(|(key, _)| key.is_under(&parent));
    let slots = sites.flat_map(|(_, site)| {
        site.slots.values().map(|slot| {
            let body = crate::local::arm::resources::site_body::render(cloud, &state, site, slot);
            let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
            brief(
                &slot.id,
                &text("name"),
                &text("type"),
                &slot.location,
                json!(slot.tags),
            )
        })
    });
    let all = plans
        .map(|(_, plan)| plain("Microsoft.Web/serverFarms")(plan))
        .chain(accounts.map(|(_, account)| plain("Microsoft.Storage/storageAccounts")(account)))
        .chain(slots);
    page::answer(cloud, call, all, |body| body)
}

fn brief(id: &str, name: &str, kind: &str, location: &str, tags: Value) -> Value {
    json!({"id": id, "name": name, "type": kind, "location": location, "tags": tags})
}

/// The group that a path names.
pub(in crate::local::arm) fn require<'a>(
    state: &'a State,
    call: &Call,
) -> Result<&'a Resource, ArmError> {
    let key = Key::of(&call.group_id());
    state.world.groups.get(&key).ok_or_else(|| no_group(call))
}

fn no_group(call: &Call) -> ArmError {
    ArmError::NoGroup(call.arg("group").to_owned())
}

fn render(group: &Resource) -> Value {
    let Resource {
        id,
        name,
        location,
        tags,
        rest: _,
    } = group;
    json!({
        "id": id,
        "name": name,
        "type": KIND,
        "location": location,
        "tags": tags,
        "properties": {"provisioningState": "Succeeded"},
    })
}
