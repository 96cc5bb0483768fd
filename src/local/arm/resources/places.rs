//! What stays with a slot beside its settings: who may call. And what the host in it says of itself.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::local::arm::{
    cloud::Cloud,
    model::Slot,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

pub(in crate::local::arm) fn get_auth(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    Ok(Answer::ok(render(slot)))
}

/// Replaces who may call, and restarts the code.
pub(in crate::local::arm) fn put_auth(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let given = call.body["properties"].clone();
    if !given.is_object() {
        return Err(ArmError::Invalid(
            "The parameter properties is required.".to_owned(),
        ));
    }
    let key = call.slot_key();
    let mut state = cloud.state();
    state.site(&key).ok_or_else(|| call.no_site())?;
    state.idle(&key.site)?;
    let slot = state.slot_mut(&key).ok_or_else(|| call.no_site())?;
    slot.auth = given;
    let body = render(slot);
    if let Some((site, slot)) = state.site(&key) {
        cloud.restart(site, slot);
    }
    cloud.changed();
    Ok(Answer::ok(body))
}

fn render(slot: &Slot) -> Value {
    let properties = match slot.auth.is_object() {
        true => slot.auth.clone(),
        false => json!({ "platform": { "enabled": false } }),
    };
    json!({
        "id": format!("{}/config/authsettingsV2", slot.id),
        "name": "authsettingsV2",
        "type": "Microsoft.Web/sites/config",
        "location": slot.location,
        "properties": properties,
    })
}

/// Binds a host name; whose it is, is nobody's question here.
pub(in crate::local::arm) fn bind(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let name = call.arg("hostname").to_ascii_lowercase();
    let mut state = cloud.state();
    let slot = state.slot_mut(&call.slot_key());
    let slot = slot.ok_or_else(|| call.no_site())?;
    slot.domains.insert(name.clone());
    let body = binding(slot, &name);
    cloud.changed();
    Ok(Answer::ok(body))
}

pub(in crate::local::arm) fn unbind(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let name = call.arg("hostname").to_ascii_lowercase();
    let mut state = cloud.state();
    let slot = state.slot_mut(&call.slot_key());
    slot.ok_or_else(|| call.no_site())?.domains.remove(&name);
    cloud.changed();
    Ok(Answer::empty(http::StatusCode::OK))
}

pub(in crate::local::arm) fn bindings(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    let all = slot.domains.iter();
    crate::local::arm::wire::page::answer(cloud, call, all, |name| binding(slot, name))
}

fn binding(slot: &Slot, name: &str) -> Value {
    json!({
        "id": format!("{}/hostNameBindings/{name}", slot.id),
        "name": name,
        "type": "Microsoft.Web/sites/hostNameBindings",
        "location": slot.location,
        "properties": { "hostNameType": "Verified" },
    })
}

/// The host's own word: whether it runs, and why not.
pub(in crate::local::arm) fn host_status(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let key = call.slot_key();
    cloud.state().site(&key).ok_or_else(|| call.no_site())?;
    Ok(Answer::ok(cloud.doors.host_status(&key)))
}
