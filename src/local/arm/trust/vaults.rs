//! Key Vaults: their names are one space for all of Azure, and a deleted one keeps its name until it is recovered or purged.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;
use serde_json::{Value, json};

use super::Vault;
use crate::local::arm::{
    cloud::Cloud,
    model::{Key, Resource},
    resources::{groups, plans},
    wire::{
        answer::{Answer, ArmError},
        call::Call,
    },
};

const KIND: &str = "Microsoft.KeyVault/vaults";

fn id_of(call: &Call) -> String {
    format!("{}/providers/{KIND}/{}", call.group_id(), call.arg("vault"))
}

pub(in crate::local::arm) fn put(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    groups::require(&cloud.state(), call)?;
    let properties = &call.body["properties"];
    if properties["tenantId"].as_str().is_none_or(str::is_empty) {
        let told = "The vault's tenantId is required.".to_owned();
        return Err(ArmError::Invalid(told));
    }
    let id = id_of(call);
    let key = Key::of(&id);
    let resource = plans::resource(call, id, call.arg("vault"))?;
    let mut trust = cloud.trust();
    let same_name = |vault: &Vault| vault.resource.name.eq_ignore_ascii_case(call.arg("vault"));
    let elsewhere = trust
        .vaults
        .iter()
        .any(|(other, vault)| *other != key && same_name(vault));
    if elsewhere {
        return Err(conflict(
            "VaultAlreadyExists",
            "The vault name is already in use. Vault names are globally unique.",
        ));
    }
    let deleted = trust.deleted.iter().find(|(_, vault)| same_name(vault));
    let deleted = deleted.map(|(id, _)| id.clone());
    let recovers = properties["createMode"].as_str() == Some("recover");
    let mut secrets = match (deleted, recovers) {
        (Some(id), true) => trust
            .deleted
            .remove(&id)
            .map(|vault| vault.secrets)
            .unwrap_or_default(),
        (Some(_), false) => {
            return Err(conflict(
                "ConflictError",
                "A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault.",
            ));
        }
        (None, _) => BTreeMap::new(),
    };
    if let Some(known) = trust.vaults.get(&key) {
        secrets.clone_from(&known.secrets);
    }
    let body = render(&resource);
    trust.vaults.insert(key, Vault { resource, secrets });
    drop(trust);
    cloud.changed();
    Ok(Answer::ok(body))
}

fn conflict(code: &'static str, message: &str) -> ArmError {
    ArmError::Coded {
        status: StatusCode::CONFLICT,
        code,
        message: message.to_owned(),
    }
}

pub(in crate::local::arm) fn get(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    groups::require(&cloud.state(), call)?;
    let trust = cloud.trust();
    let vault = trust.vaults.get(&Key::of(&id_of(call)));
    let vault = vault.ok_or_else(|| no_vault(call))?;
    Ok(Answer::ok(render(&vault.resource)))
}

/// The name stays taken.
pub(in crate::local::arm) fn delete(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let mut trust = cloud.trust();
    let Some(vault) = trust.vaults.remove(&Key::of(&id_of(call))) else {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    };
    let location = &vault.resource.location;
    let id = deleted_id(call.arg("subscription"), location, call.arg("vault"));
    trust.deleted.insert(Key::of(&id), vault);
    drop(trust);
    cloud.changed();
    Ok(Answer::empty(StatusCode::OK))
}

pub(in crate::local::arm) fn get_deleted(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let id = deleted_id(
        call.arg("subscription"),
        call.arg("location"),
        call.arg("vault"),
    );
    let trust = cloud.trust();
    let vault = trust
        .deleted
        .get(&Key::of(&id))
        .ok_or_else(|| no_vault(call))?;
    let Resource {
        id: was,
        name,
        location,
        tags,
        rest: _,
    } = &vault.resource;
    Ok(Answer::ok(json!({
        "id": id,
        "name": name,
        "type": "Microsoft.KeyVault/deletedVaults",
        "properties": { "vaultId": was, "location": location, "tags": tags },
    })))
}

pub(in crate::local::arm) fn purge(cloud: &Arc<Cloud>, call: &Call) -> Result<Answer, ArmError> {
    let id = deleted_id(
        call.arg("subscription"),
        call.arg("location"),
        call.arg("vault"),
    );
    let gone = cloud.trust().deleted.remove(&Key::of(&id));
    gone.ok_or_else(|| no_vault(call))?;
    cloud.changed();
    Ok(Answer::empty(StatusCode::OK))
}

fn deleted_id(subscription: &str, location: &str, vault: &str) -> String {
    format!(
        "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}"
    )
}

/// Puts a secret into a vault. Apps that refer to it see it when they are given other settings, or another package.
pub(in crate::local::arm) fn put_secret(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let value = call.body["properties"]["value"].as_str();
    let value = value.ok_or_else(|| ArmError::Invalid("A secret has a value.".to_owned()))?;
    let mut trust = cloud.trust();
    let vault = trust.vaults.get_mut(&Key::of(&id_of(call)));
    let vault = vault.ok_or_else(|| no_vault(call))?;
    let name = call.arg("secret");
    let body = secret(&vault.resource, name);
    vault.secrets.insert(name.to_owned(), value.to_owned());
    drop(trust);
    cloud.changed();
    Ok(Answer::ok(body))
}

pub(in crate::local::arm) fn get_secret(
    cloud: &Arc<Cloud>,
    call: &Call,
) -> Result<Answer, ArmError> {
    let trust = cloud.trust();
    let vault = trust.vaults.get(&Key::of(&id_of(call)));
    let vault = vault.ok_or_else(|| no_vault(call))?;
    let name = call.arg("secret");
    if !vault.secrets.contains_key(name) {
        return Err(ArmError::NoResource {
            kind: "Microsoft.KeyVault/vaults/secrets",
            name: format!("{}/{name}", vault.resource.name),
            group: call.arg("group").to_owned(),
        });
    }
    Ok(Answer::ok(secret(&vault.resource, name)))
}

/// Its value is shown to nobody here.
fn secret(vault: &Resource, name: &str) -> Value {
    json!({
        "id": format!("{}/secrets/{name}", vault.id),
        "name": name,
        "type": "Microsoft.KeyVault/vaults/secrets",
        "location": vault.location,
        "properties": { "attributes": { "enabled": true } },
    })
}

fn no_vault(call: &Call) -> ArmError {
    ArmError::NoResource {
        kind: KIND,
        name: call.arg("vault").to_owned(),
        group: call.arg("group").to_owned(),
    }
}

fn render(vault: &Resource) -> Value {
    let mut body = plans::render(vault, KIND);
    body["properties"]["provisioningState"] = json!("Succeeded");
    body["properties"]["vaultUri"] = json!(format!("https://{}.vault.core.local/", vault.name));
    body
}
