//! The configuration of a slot: settings, sticky names, connection strings, `config/web`, publishing credentials.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::local::arm::{
    cloud::{Cloud, State},
    model::{PRODUCTION, Site, Slot, StickyNames},
    resources::blobs,
    serve::Scheme,
    slots::flex,
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

/// The body of one piece of configuration.
fn config_body(slot: &Slot, name: &str, properties: Value) -> Value {
    json!({
        "id": format!("{}/config/{name}", slot.id),
        "name": name,
        "type": config_type(slot),
        "location": slot.location,
        "tags": slot.tags,
        "properties": properties,
    })
}

fn config_type(slot: &Slot) -> &'static str {
    if slot.name.eq_ignore_ascii_case(PRODUCTION) {
        "Microsoft.Web/sites/config"
    } else {
        "Microsoft.Web/sites/slots/config"
    }
}

fn look<'a>(state: &'a State, call: &Call) -> Result<(&'a Site, &'a Slot), ArmError> {
    state.site(&call.slot_key()).ok_or_else(|| call.no_site())
}

/// Changes a slot that is idle, and restarts its code, as every change of settings does.
fn alter(
    cloud: &Arc<Cloud>,
    call: &Call,
    name: &str,
    change: impl FnOnce(&mut Slot) -> Value,
) -> Result<Answer, ArmError> {
    let key = call.slot_key();
    let mut state = cloud.state();
    look(&state, call)?;
    state.idle(&key.site)?;
    let now = cloud.clock.now();
    let slot = state.slot_mut(&key).ok_or_else(|| call.no_site())?;
    slot.modified = now;
    let properties = change(slot);
    let body = config_body(slot, name, properties);
    let (site, slot) = look(&state, call)?;
    cloud.restart(site, slot);
    cloud.changed();
    Ok(Answer::ok(body))
}

// === app settings ===

/// Replaces the whole map.
pub(in crate::local::arm) fn put_app_settings(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let settings = call.string_properties()?;
    {
        let state = cloud.state();
        let (_, slot) = look(&state, call)?;
        if flex::is_flex(&state, &slot.plan) {
            flex::check_settings(settings.keys().map(String::as_str))?;
        }
    }
    let package = blobs::package_at(cloud, &settings);
    alter(cloud, call, "appsettings", |slot| {
        slot.content.settings = settings;
        if let Some(package) = package {
            slot.content.package = package;
        }
        json!(slot.content.settings)
    })
}

pub(in crate::local::arm) fn list_app_settings(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = look(&state, call)?;
    let settings = json!(site.effective_settings(slot));
    Ok(Answer::ok(config_body(slot, "appsettings", settings)))
}

// === connection strings ===

pub(in crate::local::arm) fn put_connections(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let given = call.body["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    alter(cloud, call, "connectionstrings", |slot| {
        slot.content.connections = given.into_iter().collect();
        json!(slot.content.connections)
    })
}

pub(in crate::local::arm) fn list_connections(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = look(&state, call)?;
    let connections = json!(slot.content.connections);
    Ok(Answer::ok(config_body(
        slot,
        "connectionstrings",
        connections,
    )))
}

// === sticky names ===

pub(in crate::local::arm) fn put_sticky(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let mut given = call.body["properties"].clone();
    if let Some(members) = given.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let names = if given.is_null() {
        StickyNames::default()
    } else {
        serde_json::from_value(given)
            .map_err(|error| ArmError::Invalid(format!("slotConfigNames: {error}")))?
    };
    let key = call.slot_key();
    let mut state = cloud.state();
    look(&state, call)?;
    state.idle(&key.site)?;
    if let Some(site) = state.world.sites.get_mut(&key.site) {
        site.sticky = names;
    }
    cloud.changed();
    let (site, slot) = look(&state, call)?;
    Ok(Answer::ok(config_body(
        slot,
        "slotConfigNames",
        json!(site.sticky),
    )))
}

pub(in crate::local::arm) fn get_sticky(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = look(&state, call)?;
    Ok(Answer::ok(config_body(
        slot,
        "slotConfigNames",
        json!(site.sticky),
    )))
}

// === config/web ===

pub(in crate::local::arm) fn get_web(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = look(&state, call)?;
    Ok(Answer::ok(config_body(slot, "web", web(slot))))
}

pub(in crate::local::arm) fn put_web(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    take_web(cloud, call, Map::new())
}

pub(in crate::local::arm) fn patch_web(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let kept = {
        let state = cloud.state();
        look(&state, call)?.1.content.config.clone()
    };
    take_web(cloud, call, kept)
}

fn take_web(
    cloud: &Arc<Cloud>,
    call: &Call,
    mut config: Map<String, Value>,
) -> Result<Answer, ArmError> {
    let given = call.body["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    config.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
    alter(cloud, call, "web", |slot| {
        slot.content.config = config;
        web(slot)
    })
}

/// What was set, over what a fresh app has.
fn web(slot: &Slot) -> Value {
    let defaults = json!({
        "numberOfWorkers": 1,
        "linuxFxVersion": "",
        "httpLoggingEnabled": false,
        "scmType": "None",
        "use32BitWorkerProcess": false,
        "webSocketsEnabled": false,
        "alwaysOn": false,
        "http20Enabled": true,
        "minTlsVersion": "1.2",
        "ftpsState": "FtpsOnly",
        "functionAppScaleLimit": 200,
        "minimumElasticInstanceCount": 0,
        "experiments": {"rampUpRules": []},
    });
    let mut web = defaults.as_object().cloned().unwrap_or_default();
    web.extend(slot.content.config.clone());
    Value::Object(web)
}

// === publishing ===

pub(in crate::local::arm) fn credentials(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = look(&state, call)?;
    let user = publishing_user(site, slot);
    let scheme = match call.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let password = &slot.password;
    let uri = format!("{scheme}://{user}:{password}@127.0.0.1:{}", slot.scm_port);
    Ok(Answer::ok(json!({
        "id": format!("{}/publishingcredentials/{user}", slot.id),
        "name": site.name,
        "type": "Microsoft.Web/sites/publishingcredentials",
        "location": slot.location,
        "properties": {
            "publishingUserName": user,
            "publishingPassword": password,
            "scmUri": uri,
        },
    })))
}

/// The ways to publish that the slot has, as the XML that publishing tools read. There is no FTP server here; its address leads nowhere,
/// as it does on an app that refuses FTP.
pub(in crate::local::arm) fn publish_profiles(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (site, slot) = look(&state, call)?;
    let user = publishing_user(site, slot);
    let scm = format!("127.0.0.1:{}", slot.scm_port);
    let profile = |method: &str, url: &str| {
        format!(
            r#"<publishProfile profileName="{name} - {method}" publishMethod="{method}" publishUrl="{url}" userName="{user}" userPWD="{password}" destinationAppUrl="http://127.0.0.1:{port}" />"#,
            name = site.name,
            password = slot.password,
            port = slot.front_port,
        )
    };
    Ok(Answer::xml(format!(
        "<publishData>{}{}</publishData>",
        profile("ZipDeploy", &scm),
        profile("FTP", "ftps://127.0.0.1/site/wwwroot"),
    )))
}

/// `$app`, or `$app__slot`.
pub(in crate::local::arm) fn publishing_user(site: &Site, slot: &Slot) -> String {
    if slot.name.eq_ignore_ascii_case(PRODUCTION) {
        format!("${}", site.name)
    } else {
        format!("${}__{}", site.name, slot.name)
    }
}

pub(in crate::local::arm) fn policy(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = look(&state, call)?;
    Ok(Answer::ok(policy_body(slot, call.arg("policy"))))
}

pub(in crate::local::arm) fn policies(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let state = cloud.state();
    let (_, slot) = look(&state, call)?;
    let all = ["ftp", "scm"].map(|name| policy_body(slot, name));
    Ok(Answer::ok(json!({"value": all})))
}

fn policy_body(slot: &Slot, name: &str) -> Value {
    json!({
        "id": format!("{}/basicPublishingCredentialsPolicies/{name}", slot.id),
        "name": name,
        "type": "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
        "location": slot.location,
        "properties": {"allow": true},
    })
}
