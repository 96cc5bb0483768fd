//! The functions that a slot's package holds, and the keys to them.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::local::arm::{
    cloud::{Cloud, State},
    host::{
        app::is_disabled,
        language::RUNTIME,
        package::{Function, Package},
    },
    model::{PRODUCTION, Site, Slot},
    resources::blobs,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
        page,
    },
};

pub(in crate::local::arm) fn list(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = look(&state, call)?;
    let package = package(cloud, slot).filter(|_| blobs::lets_in(cloud, &state, slot));
    let functions = package.iter().flat_map(|package| &package.functions);
    page::answer(cloud, call, functions, |(name, function)| {
        render(call, (site, slot), package.as_deref(), (name, function))
    })
}

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = look(&state, call)?;
    let package = package(cloud, slot);
    let name = call.arg("function");
    let function = package
        .as_ref()
        .and_then(|package| package.functions.get(name));
    let function = function.ok_or_else(|| no_function(call))?;
    let package = package.as_deref();
    Ok(Answer::ok(render(
        call,
        (site, slot),
        package,
        (name, function),
    )))
}

pub(in crate::local::arm) fn host_keys(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = look(&state, call)?;
    Ok(Answer::ok(json!({
        "masterKey": slot.keys.master,
        "functionKeys": {"default": slot.keys.default},
        "systemKeys": {},
    })))
}

/// Renews the master key or the default function key; a value of the caller's own is taken as it is.
pub(in crate::local::arm) fn put_host_key(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let value = call.body["properties"]["value"].as_str();
    let value = value.map_or_else(crate::local::arm::resources::sites::secret, str::to_owned);
    let mut state = cloud.state();
    look(&state, call)?;
    state.idle(&call.slot_key().site)?;
    let slot = state
        .slot_mut(&call.slot_key())
        .ok_or_else(|| call.no_site())?;
    match (
        call.arg("kind").to_ascii_lowercase().as_str(),
        call.arg("key"),
    ) {
        ("masterkey" | "systemkeys", "_master" | "master") => slot.keys.master = value.clone(),
        ("functionkeys", "default") => slot.keys.default = value.clone(),
        (kind, key) => {
            let text = format!(
                "Only the master key and the default function key exist here, not {kind}/{key}."
            );
            return Err(ArmError::Invalid(text));
        }
    }
    let (site, slot) = look(&state, call)?;
    cloud.restart(site, slot);
    cloud.changed();
    Ok(Answer::ok(
        json!({"properties": {"name": call.arg("key"), "value": value}}),
    ))
}

pub(in crate::local::arm) fn function_keys(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = look(&state, call)?;
    let package = package(cloud, slot);
    let known = package.is_some_and(|package| package.functions.contains_key(call.arg("function")));
    if !known {
        return Err(no_function(call));
    }
    Ok(Answer::ok(json!({"default": slot.keys.default})))
}

/// Triggers are read from the package at each deployment, so they are in step already.
pub(in crate::local::arm) fn sync(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    look(&state, call)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

fn look<'a>(state: &'a State, call: &Call) -> Result<(&'a Site, &'a Slot), ArmError> {
    state.site(&call.slot_key()).ok_or_else(|| call.no_site())
}

fn package(cloud: &Cloud, slot: &Slot) -> Option<Arc<Package>> {
    let digest = slot.content.package.as_ref()?;
    cloud.disk.package(digest)
}

fn no_function(call: &Call) -> ArmError {
    ArmError::NoResource {
        kind: "Microsoft.Web/sites/functions",
        name: format!("{}/{}", call.arg("site"), call.arg("function")),
        group: call.arg("group").to_owned(),
    }
}

fn render(
    call: &Call,
    (site, slot): (&Site, &Slot),
    package: Option<&Package>,
    (name, function): (&str, &Function),
) -> Value {
    let production = slot.name.eq_ignore_ascii_case(PRODUCTION);
    let (full, kind) = if production {
        (
            format!("{}/{name}", site.name),
            "Microsoft.Web/sites/functions",
        )
    } else {
        let full = format!("{}/{}/{name}", site.name, slot.name);
        (full, "Microsoft.Web/sites/slots/functions")
    };
    let settings = site.effective_settings(slot);
    let base = format!("{}://127.0.0.1:{}", call.scheme.as_str(), slot.front_port);
    let config = function
        .config
        .as_object()
        .cloned()
        .unwrap_or_else(Map::new);
    json!({
        "id": format!("{}/functions/{name}", slot.id),
        "name": full,
        "type": kind,
        "location": slot.location,
        "properties": {
            "name": name,
            "function_app_id": null,
            "script_root_path_href": format!("{base}/admin/vfs/site/wwwroot/{name}/"),
            "config_href": format!("{base}/admin/vfs/site/wwwroot/{name}/function.json"),
            "href": format!("{base}/admin/functions/{name}"),
            "config": config,
            "files": null,
            "test_data": "",
            "invoke_url_template": invoke_url(&base, package, name, function),
            "language": language(package, &settings),
            "isDisabled": is_disabled(&settings, name, function),
        },
    })
}

/// A handler of the package's own speaks for every language.
fn language(package: Option<&Package>, settings: &BTreeMap<String, String>) -> String {
    let handler = package.and_then(|package| package.handler.as_ref());
    let told = settings.get(RUNTIME).filter(|_| handler.is_none());
    told.cloned().unwrap_or_else(|| "Custom".to_owned())
}

/// Where a function with an HTTP trigger is called.
fn invoke_url(
    base: &str,
    package: Option<&Package>,
    name: &str,
    function: &Function,
) -> Option<String> {
    function.http.as_ref()?;
    let trigger = function.config["bindings"].as_array()?;
    let route = trigger.iter().find_map(|binding| binding["route"].as_str());
    let prefix = package.map_or("", |package| package.route_prefix.trim_matches('/'));
    let path = [prefix, route.unwrap_or(name).trim_matches('/')];
    let path: Vec<&str> = path.into_iter().filter(|part| !part.is_empty()).collect();
    Some(format!("{base}/{}", path.join("/")))
}
