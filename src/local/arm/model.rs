//! What the endpoint remembers: groups, plans, accounts, sites and their slots. Plain data, no effects.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{queues::store::Queues, trust::Trust};
use crate::name::{CodeDigest, Timestamp};

/// The slot that serves users. It is addressed as the site itself.
pub(super) const PRODUCTION: &str = "production";

/// A resource id as compared: Azure ignores letter case.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn of(id: &str) -> Self {
        Self(id.trim_end_matches('/').to_ascii_lowercase())
    }

    /// Parts of the id.
    pub(super) fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// The ids of what a nested resource is in, below its group: types and names in turn.
    pub(super) fn parents(&self) -> impl Iterator<Item = Self> {
        const RESOURCE: usize = 9;
        let parts: Vec<&str> = self.0.split('/').collect();
        let ends = (RESOURCE..parts.len()).step_by(2);
        let ids: Vec<Self> = ends.map(|end| Self(parts[..end].join("/"))).collect();
        ids.into_iter()
    }

    pub(super) fn is_under(&self, parent: &Self) -> bool {
        self.0
            .strip_prefix(&parent.0)
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

/// One slot of one site; the slot's name in lower case.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct SlotKey {
    pub site: Key,
    pub slot: String,
}

/// Everything that outlives a restart.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct World {
    pub groups: BTreeMap<Key, Resource>,
    pub accounts: BTreeMap<Key, Resource>,
    pub plans: BTreeMap<Key, Resource>,
    pub sites: BTreeMap<Key, Site>,
    /// API Management: services, and what is in them, by id.
    #[serde(default)]
    pub fronts: BTreeMap<Key, Front>,
    #[serde(default)]
    pub components: BTreeMap<Key, Resource>,
    /// Containers of blobs; their properties are the rest of each.
    #[serde(default)]
    pub containers: BTreeMap<Key, Resource>,
    /// Packages in containers, by `account/container/name`.
    #[serde(default)]
    pub blobs: BTreeMap<String, CodeDigest>,
    #[serde(default)]
    pub queues: Queues,
    /// Filled in when the world is saved.
    #[serde(default)]
    pub trust: Trust,
}

/// A resource that is only kept: a group, a plan, a storage account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Resource {
    pub id: String,
    pub name: String,
    pub location: String,
    pub tags: BTreeMap<String, String>,
    /// Members that the caller sent and we only hand back.
    pub rest: Map<String, Value>,
}

/// A part of API Management, as it was sent.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Front {
    pub id: String,
    pub body: Value,
    /// Grows with each change.
    pub version: u64,
}

/// A Function App: its slots, production among them, and the names that stay with a slot in a swap.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Site {
    pub id: String,
    pub name: String,
    pub subscription: String,
    pub group: String,
    pub sticky: StickyNames,
    pub slots: BTreeMap<String, Slot>,
}

/// Names of settings that stay with their slot (`slotConfigNames`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StickyNames {
    pub app_setting_names: BTreeSet<String>,
    pub connection_string_names: BTreeSet<String>,
    pub azure_storage_config_names: BTreeSet<String>,
}

/// One slot: what stays with its name, and what moves in a swap.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Slot {
    pub id: String,
    /// As written by whoever made it.
    pub name: String,
    pub location: String,
    pub kind: String,
    pub tags: BTreeMap<String, String>,
    pub identity: Option<Value>,
    pub plan: String,
    /// Properties that the caller sent and we only hand back.
    pub properties: Map<String, Value>,
    pub running: bool,
    pub keys: HostKeys,
    pub password: String,
    pub front_port: u16,
    pub scm_port: u16,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub last_swap: Option<LastSwap>,
    /// The slot whose sticky settings are applied here while a swap is previewed.
    pub preview: Option<String>,
    /// `authsettingsV2`: who may call.
    #[serde(default)]
    pub auth: Value,
    /// Host names beside its own, which stay with it.
    #[serde(default)]
    pub domains: BTreeSet<String>,
    pub content: Content,
}

/// What moves in a swap, but for the sticky names within.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Content {
    pub settings: BTreeMap<String, String>,
    pub connections: BTreeMap<String, Value>,
    /// `config/web`.
    pub config: Map<String, Value>,
    pub package: Option<CodeDigest>,
    pub deployments: Vec<Deployment>,
}

/// Keys that callers of functions present.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct HostKeys {
    pub master: String,
    pub default: String,
}

/// The last swap that a slot took part in.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LastSwap {
    pub at: Timestamp,
    pub source: String,
    pub destination: String,
}

/// One package deployment, as the deployment service reports it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Deployment {
    pub id: String,
    pub received: Timestamp,
    pub ended: Option<Timestamp>,
    pub deployer: String,
    pub outcome: Outcome,
}

/// How far a deployment came.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Running,
    Succeeded,
    Failed { reason: String },
}

// === impl Site ===

impl Site {
    pub(super) fn key(&self) -> Key {
        Key::of(&self.id)
    }

    /// The settings that a slot's code really sees: its own, or the target's sticky ones while a swap is previewed.
    pub(super) fn effective_settings(&self, slot: &Slot) -> BTreeMap<String, String> {
        let target = slot.preview.as_ref().and_then(|name| self.slots.get(name));
        match target {
            Some(target) => self.settings_at(&slot.content, &target.content),
            None => slot.content.settings.clone(),
        }
    }

    /// `moving`'s settings once they run in the place of `staying`: its own, but for the sticky ones.
    pub(super) fn settings_at(
        &self,
        moving: &Content,
        staying: &Content,
    ) -> BTreeMap<String, String> {
        merged(
            &moving.settings,
            &staying.settings,
            &self.sticky.app_setting_names,
        )
    }

    /// `moving` as it will be in the place of `staying`.
    pub(super) fn content_at(&self, moving: &Content, staying: &Content) -> Content {
        let Content {
            settings: _,
            connections,
            config,
            package,
            deployments,
        } = moving.clone();
        let connections = merged(
            &connections,
            &staying.connections,
            &self.sticky.connection_string_names,
        );
        Content {
            settings: self.settings_at(moving, staying),
            connections,
            config: config_at(config, &staying.config),
            package,
            deployments,
        }
    }
}

/// Parts of `config/web` that never move in a swap.
const STAYING_CONFIG: [&str; 4] = ["alwaysOn", "cors", "experiments", "ipSecurityRestrictions"];

fn config_at(mut moving: Map<String, Value>, staying: &Map<String, Value>) -> Map<String, Value> {
    for name in STAYING_CONFIG {
        moving.remove(name);
        if let Some(value) = staying.get(name) {
            moving.insert(name.to_owned(), value.clone());
        }
    }
    moving
}

fn merged<V: Clone>(
    moving: &BTreeMap<String, V>,
    staying: &BTreeMap<String, V>,
    sticky: &BTreeSet<String>,
) -> BTreeMap<String, V> {
    let is_sticky = |name: &String| sticky.contains(name);
    let moved = moving.iter().filter(|(name, _)| !is_sticky(name));
    let stayed = staying.iter().filter(|(name, _)| is_sticky(name));
    moved
        .chain(stayed)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(settings: &[(&str, &str)]) -> Content {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Content {
            settings,
            ..Content::default()
        }
    }

    #[test]
    fn sticky_settings_stay_and_all_others_move() {
        let site = Site {
            id: "/x".to_owned(),
            name: "x".to_owned(),
            subscription: "s".to_owned(),
            group: "g".to_owned(),
            sticky: StickyNames {
                app_setting_names: BTreeSet::from(["Stay".to_owned(), "OnlyGreen".to_owned()]),
                ..StickyNames::default()
            },
            slots: BTreeMap::new(),
        };
        let green = content(&[("Stay", "green"), ("OnlyGreen", "1"), ("Release", "new")]);
        let blue = content(&[("Stay", "blue"), ("Release", "old")]);
        let at_blue = site.content_at(&green, &blue).settings;
        let at_green = site.content_at(&blue, &green).settings;
        assert_eq!(
            at_blue,
            content(&[("Stay", "blue"), ("Release", "new")]).settings
        );
        assert_eq!(
            at_green,
            content(&[("Stay", "green"), ("OnlyGreen", "1"), ("Release", "old")]).settings
        );
    }

    #[test]
    fn a_key_ignores_case_and_knows_its_parent_by_whole_segments() {
        let parent = Key::of("/subscriptions/S/resourceGroups/rg");
        assert!(Key::of("/Subscriptions/s/resourcegroups/RG/providers/x").is_under(&parent));
        assert!(!Key::of("/subscriptions/s/resourcegroups/rg2/providers/x").is_under(&parent));
    }
}
