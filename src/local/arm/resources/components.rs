//! Components of Application Insights: control plane only, since nobody listens to what apps tell them.

use std::sync::Arc;

use serde_json::json;

use crate::local::arm::{
    cloud::Cloud,
    model::{Key, Resource},
    resources::{groups, plans},
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

const KIND: &str = "Microsoft.Insights/components";

fn id_of(call: &Call) -> String {
    format!(
        "{}/providers/{KIND}/{}",
        call.group_id(),
        call.arg("component")
    )
}

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut state = cloud.state();
    groups::require(&state, call)?;
    let component = plans::resource(call, id_of(call), call.arg("component"))?;
    let answer = answer(&component);
    state
        .world
        .components
        .insert(Key::of(&component.id), component);
    cloud.changed();
    Ok(answer)
}

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    groups::require(&state, call)?;
    let component = state.world.components.get(&Key::of(&id_of(call)));
    let component = component.ok_or_else(|| ArmError::NoResource {
        kind: KIND,
        name: call.arg("component").to_owned(),
        group: call.arg("group").to_owned(),
    })?;
    Ok(answer(component))
}

fn answer(component: &Resource) -> Answer {
    let mut body = plans::render(component, KIND);
    let key = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, component.id.as_bytes());
    body["properties"]["provisioningState"] = json!("Succeeded");
    body["properties"]["InstrumentationKey"] = json!(key.to_string());
    body["properties"]["ConnectionString"] = json!(format!(
        "InstrumentationKey={key};IngestionEndpoint=https://insights.core.local/"
    ));
    Answer::ok(body)
}
