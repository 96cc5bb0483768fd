//! How a site or slot reads on the wire.

use serde_json::{Value, json};

use crate::local::arm::{
    cloud::{Cloud, State},
    model::{Key, LastSwap, PRODUCTION, Site, Slot},
    resources::plans,
    trust::shown_identity,
};

pub(in crate::local::arm) fn render(
    cloud: &Cloud,
    state: &State,
    site: &Site,
    slot: &Slot,
) -> Value {
    let production = slot.name.eq_ignore_ascii_case(PRODUCTION);
    let (name, kind) = if production {
        (site.name.clone(), "Microsoft.Web/sites")
    } else {
        (
            format!("{}/{}", site.name, slot.name),
            "Microsoft.Web/sites/slots",
        )
    };
    let mut body = json!({
        "id": slot.id,
        "name": name,
        "type": kind,
        "kind": slot.kind,
        "location": slot.location,
        "tags": slot.tags,
        "properties": properties(cloud, state, site, slot),
    });
    if let Some(identity) = &slot.identity {
        body["identity"] = shown_identity(identity, slot, &cloud.options.tenant);
    }
    body
}

fn properties(cloud: &Cloud, state: &State, site: &Site, slot: &Slot) -> Value {
    let front = format!("127.0.0.1:{}", slot.front_port);
    let scm = format!("127.0.0.1:{}", slot.scm_port);
    let mut names = vec![front.clone()];
    names.extend(slot.domains.iter().cloned());
    let mut enabled = names.clone();
    enabled.push(scm.clone());
    let plan = state.world.plans.get(&Key::of(&slot.plan));
    let computed = json!({
        "name": site.name,
        "state": if slot.running { "Running" } else { "Stopped" },
        "hostNames": names,
        "enabledHostNames": enabled,
        "defaultHostName": front,
        "hostNameSslStates": [
            {"name": front, "sslState": "Disabled", "hostType": "Standard", "toUpdate": null},
            {"name": scm, "sslState": "Disabled", "hostType": "Repository", "toUpdate": null},
        ],
        "repositorySiteName": site.name,
        "usageState": "Normal",
        "enabled": slot.running,
        "adminEnabled": true,
        "availabilityState": "Normal",
        "runtimeAvailabilityState": "Normal",
        "serverFarmId": slot.plan,
        "sku": plans::tier(plans::sku_of(plan)),
        "reserved": true,
        "lastModifiedTimeUtc": slot.modified.to_string(),
        "siteConfig": site_config(slot),
        "targetSwapSlot": slot.preview,
        "inProgressOperationId": state.operations.running(&site.key()),
        "resourceGroup": site.group,
        "containerSize": cloud.options.memory_limit.unwrap_or(0) >> 20,
        "provisioningState": "Succeeded",
    });
    let mut properties = slot.properties.clone();
    properties.entry("httpsOnly").or_insert(json!(false));
    properties.extend(computed.as_object().cloned().unwrap_or_default());
    if let Some(swap) = &slot.last_swap {
        // Absent until there was one: the contract has no null here.
        properties.insert("slotSwapStatus".to_owned(), swap_status(swap));
    }
    Value::Object(properties)
}

/// A part of `config/web`; settings are never shown here.
fn site_config(slot: &Slot) -> Value {
    let mut config = slot.content.config.clone();
    for (name, unsaid) in [("linuxFxVersion", json!("")), ("alwaysOn", json!(false))] {
        config.entry(name).or_insert(unsaid);
    }
    let mut config = Value::Object(config);
    config["appSettings"] = Value::Null;
    config["connectionStrings"] = Value::Null;
    config
}

fn swap_status(swap: &LastSwap) -> Value {
    json!({
        "timestampUtc": swap.at.to_string(),
        "sourceSlotName": swap.source,
        "destinationSlotName": swap.destination,
    })
}
