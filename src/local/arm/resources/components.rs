//! Components of Application Insights. What the apps that are connected to one have written is read by [`super::insights`].

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::local::arm::{
    cloud::Cloud,
    model::{Key, Resource},
    resources::{groups, plans},
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

pub(super) const KIND: &str = "Microsoft.Insights/components";

pub(super) fn id_of(call: &Call) -> String {
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
    body["properties"]["provisioningState"] = json!("Succeeded");
    body["properties"]["InstrumentationKey"] = json!(key(component).to_string());
    body["properties"]["ConnectionString"] = json!(address(component));
    Answer::ok(body)
}

fn key(component: &Resource) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, component.id.as_bytes())
}

/// By what an app is connected to it.
pub(super) fn address(component: &Resource) -> String {
    let key = key(component);
    format!("InstrumentationKey={key};IngestionEndpoint=https://insights.core.local/")
}
