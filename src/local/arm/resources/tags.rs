//! Tags of a site or slot as a resource of their own.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::local::arm::{
    cloud::Cloud,
    model::Slot,
    wire::{
        answer::{Answer, ArmError},
        call::{Call, check_tags},
    },
};

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = state.site(&call.slot_key()).ok_or_else(|| call.no_site())?;
    Ok(Answer::ok(render(slot)))
}

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let given = given(call)?;
    alter(cloud, call, |_| given)
}

pub(in crate::local::arm) fn patch(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let given = given(call)?;
    match call.required("operation")? {
        "Merge" => alter(cloud, call, |mut tags| {
            tags.extend(given);
            tags
        }),
        "Replace" => alter(cloud, call, |_| given),
        "Delete" => alter(cloud, call, |mut tags| {
            tags.retain(|name, _| !given.contains_key(name));
            tags
        }),
        other => Err(ArmError::Invalid(format!(
            "The operation {other} is not known."
        ))),
    }
}

fn alter(
    cloud: &Arc<Cloud>,
    call: &Call,
    change: impl FnOnce(BTreeMap<String, String>) -> BTreeMap<String, String>,
) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    let slot = state
        .slot_mut(&call.slot_key())
        .ok_or_else(|| call.no_site())?;
    let tags = change(slot.tags.clone());
    check_tags(&tags)?;
    slot.tags = tags;
    cloud.changed();
    Ok(Answer::ok(render(slot)))
}

fn given(call: &Call) -> Result<BTreeMap<String, String>, ArmError> {
    let tags = &call.body["properties"]["tags"];
    if tags.is_null() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_value(tags.clone())
        .map_err(|error| ArmError::Invalid(format!("tags: {error}")))
}

fn render(slot: &Slot) -> Value {
    json!({
        "id": format!("{}/providers/Microsoft.Resources/tags/default", slot.id),
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": slot.tags},
    })
}
