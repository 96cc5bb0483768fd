//! What the place of a slot has besides settings: identity, network, scale, CORS, authentication, tags, and settings that stay.
//!
//! None of it moves in a swap, so a release remembers in a setting of its own, which does move, what its place must have. A promotion
//! and a rollback read it there and give blue's place what the release on its way asks for; a tag of the place says what it was given
//! last, so that nobody who asks for nothing costs a call.

mod body;
pub(super) mod fixed;
mod found;
mod look;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(super) use self::{
    found::{Found, cors_of},
    settle::Settle,
};
use super::{
    around::SECRETS_USER,
    flex::FlexApp,
    names::Names,
    settings::{self, Settings},
};
use crate::{
    desired::Release,
    manifest::azure::{ApiFront, Auth, AzureApp, AzureCors, Network, RoleGrant, Scale},
    name::{CodeDigest, Slot},
};

/// Which duties a place was given last.
pub(super) const SETTLED_TAG: &str = "verdigris-settled";

/// There while the platform was not yet told to look at the triggers of the package that a place runs.
pub(super) const SYNC_TAG: &str = "verdigris-sync";

/// Everything that a place has for its release. Equal duties need no call.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Duties {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cors: Option<AzureCors>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth: Option<Auth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scale: Option<Scale>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) domains: BTreeSet<String>,
    /// A managed identity; its own where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<String, String>,
    /// Settings that stay, by slot, as settings have them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sticky: BTreeMap<String, Pair>,
    /// Names of settings that look like the platform's, and are the release's.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) set: BTreeSet<String>,
    /// What its identity may do beside reaching its storage.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) roles: BTreeMap<String, RoleGrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api: Option<Api>,
    /// What it is on a plan without slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flex: Option<FlexApp>,
}

/// A setting on either slot.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pair {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) green: Option<String>,
}

/// An API in front of the app.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Api {
    pub(super) front: ApiFront,
    /// Methods and path by the name of the function; no method means any.
    pub(super) operations: BTreeMap<String, (Vec<String>, String)>,
}

impl Duties {
    /// What a release asks for.
    pub(super) fn wanted(names: &Names, release: &Release) -> Self {
        let mut duties = Self::asked(names, release);
        if duties.has_secrets(names, release) {
            let grant = RoleGrant {
                role: SECRETS_USER.to_owned(),
                scope: names.vault_id(),
            };
            duties.roles.insert("vault secrets".to_owned(), grant);
        }
        duties
    }

    /// The same without what follows from it.
    pub(super) fn asked(names: &Names, release: &Release) -> Self {
        let shared = &names.target.shared;
        let flex = names.is_flex().then(|| FlexApp::wanted(release));
        let Some(app) = release.content.azure.as_deref() else {
            return Self {
                identity: shared.identity.clone(),
                flex,
                ..Self::default()
            };
        };
        let AzureApp {
            name: _,
            settings,
            sticky,
            host: _,
            cors,
            auth,
            network,
            scale,
            domains,
            identity,
            roles,
            tags,
            preview: _,
            api,
        } = app;
        let pair = |(name, it): (&String, &crate::manifest::azure::Sticky)| {
            let setting = |value: &Option<_>| value.as_ref().map(|value| names.setting(value));
            let (blue, green) = (setting(&it.blue), setting(&it.green));
            (name.clone(), Pair { blue, green })
        };
        Self {
            cors: cors.clone(),
            auth: auth.clone(),
            network: network.clone(),
            scale: *scale,
            domains: domains.clone(),
            identity: identity.clone().or_else(|| shared.identity.clone()),
            tags: tags.clone(),
            sticky: sticky.iter().map(pair).collect(),
            set: settings.keys().cloned().collect(),
            roles: roles.clone(),
            api: api.as_ref().map(|front| Api::of(front, release)),
            flex,
        }
    }

    /// Whether any setting of the release that asks for all this is a reference to the vault.
    pub(super) fn has_secrets(&self, names: &Names, release: &Release) -> bool {
        let is_secret = |value: &String| value.starts_with("@Microsoft.KeyVault(");
        let sticky = [Slot::Blue, Slot::Green].map(|slot| self.sticky_on(slot));
        let all = sticky.iter().flat_map(|settings| settings.values());
        let variables = settings::variables(names, release);
        variables.values().chain(all).any(is_secret)
    }

    /// What an app has before its first release.
    pub(super) fn of_nobody(&self) -> Self {
        Self {
            identity: self.identity.clone(),
            flex: self.flex.clone(),
            ..Self::default()
        }
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The setting that remembers it; none where there is nothing to remember.
    pub(super) fn written(&self) -> Option<String> {
        // Cannot fail: every key is a string and every value has a JSON form.
        let json = || serde_json::to_string(self).unwrap_or_default();
        (!self.is_none()).then(json)
    }

    /// What cannot be read asks for nothing; the seal tells that somebody wrote it.
    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The value of [`SETTLED_TAG`]: what concerns the place itself.
    pub(super) fn mark(&self) -> String {
        let place = Self {
            sticky: BTreeMap::new(),
            set: BTreeSet::new(),
            domains: BTreeSet::new(),
            roles: BTreeMap::new(),
            api: None,
            ..self.clone()
        };
        let text = place.written().unwrap_or_default();
        CodeDigest::of(text.as_bytes()).short()
    }

    /// What stays on a slot.
    pub(super) fn sticky_on(&self, slot: Slot) -> Settings {
        let on = |pair: &Pair| match slot {
            Slot::Blue => pair.blue.clone(),
            Slot::Green => pair.green.clone(),
        };
        let pairs = self.sticky.iter();
        pairs
            .filter_map(|(name, pair)| Some((name.clone(), on(pair)?)))
            .collect()
    }
}

impl Api {
    fn of(front: &ApiFront, release: &Release) -> Self {
        let functions = release.content.functions.iter();
        let operations = functions.filter_map(|(name, function)| {
            let route = function.http.as_ref()?;
            Some((
                name.to_string(),
                (route.methods.clone(), route.path.0.clone()),
            ))
        });
        Self {
            front: front.clone(),
            operations: operations.collect(),
        }
    }
}
