//! Who apps are, what they may do, and the secrets that they may read: identities, role assignments and vaults.

pub(super) mod references;
pub(super) mod roles;
pub(super) mod storage;
pub(super) mod vaults;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    local::arm::model::{Key, Resource, Slot},
    name::Timestamp,
};

/// Kept apart from the sites, since an app that starts asks for its secrets while its site is being changed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Trust {
    /// Role assignments by their ids.
    roles: BTreeMap<Key, Assignment>,
    vaults: BTreeMap<Key, Vault>,
    /// Vaults that were deleted and keep their names.
    deleted: BTreeMap<Key, Vault>,
}

/// A role that an identity was given.
#[derive(Clone, Serialize, Deserialize)]
struct Assignment {
    id: String,
    scope: String,
    principal: String,
    properties: Map<String, Value>,
    /// From when on it counts.
    #[serde(default)]
    counts: Option<Timestamp>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Vault {
    resource: Resource,
    secrets: BTreeMap<String, String>,
}

/// The ids by which roles are given to whoever runs in a slot.
pub(super) fn principals(slot: &Slot) -> BTreeSet<String> {
    let Some(identity) = &slot.identity else {
        return BTreeSet::new();
    };
    let shown = shown_identity(identity, slot, "");
    let own = shown["principalId"].as_str().map(str::to_owned);
    let named = shown["userAssignedIdentities"]
        .as_object()
        .into_iter()
        .flatten();
    let named = named.filter_map(|(_, one)| Some(one["principalId"].as_str()?.to_owned()));
    own.into_iter().chain(named).collect()
}

/// An identity as Azure shows it: with the ids that it was given in the directory.
pub(super) fn shown_identity(identity: &Value, slot: &Slot, tenant: &str) -> Value {
    let mut shown = identity.clone();
    let kind = identity["type"].as_str().unwrap_or_default();
    if kind.contains("SystemAssigned") {
        shown["principalId"] = json!(directory_id(&slot.id, "principal"));
        shown["tenantId"] = json!(tenant);
    }
    if let Some(named) = shown["userAssignedIdentities"].as_object_mut() {
        for (id, one) in named {
            *one = json!({
                "principalId": directory_id(id, "principal"),
                "clientId": directory_id(id, "client"),
            });
        }
    }
    shown
}

fn directory_id(resource: &str, what: &str) -> String {
    let name = format!("{what} {}", resource.to_ascii_lowercase());
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}
