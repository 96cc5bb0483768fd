//! The resources that serve the whole environment, and how one that is there differs from what it was given. Pure.

use serde_json::{Value, json};

use crate::{
    cloud::{
        CloudError,
        azure::{
            arm::operation::{self, Operation},
            around::{INSIGHTS_API, VAULTS_API},
            duties::Duties,
            front::APIM_API,
            names::{Names, RESOURCES_API, STORAGE_API, Tags, WEB_API, tag},
            observe::tags_of,
        },
    },
    manifest::azure::Insights,
    name::CloudName,
    observed::Fields,
};

/// What the fields of shared resources start with.
pub(in crate::cloud::azure) const SHARED: &str = "environment.";

/// What serves all and is made by us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Group,
    Storage,
    Vault,
    Plan,
    Insights,
}

/// One resource that serves all, and what we give it.
pub(super) struct Kind {
    pub(super) role: Role,
    pub(super) id: String,
    pub(super) version: &'static str,
    pub(super) get: Operation,
    pub(super) put: Operation,
    /// As it is made; of a vault only what is compared.
    pub(super) body: Value,
    /// What is compared of it, by where it stands there.
    parts: Vec<(&'static str, &'static str)>,
}

/// One that the environment names and people make.
pub(super) struct Named {
    word: &'static str,
    pub(super) id: String,
    pub(super) version: &'static str,
    pub(super) get: Operation,
    way_out: &'static str,
}

/// What is only wanted where some service needs it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    vault: bool,
    gateway: bool,
}

impl Role {
    /// In the name of its fields.
    fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Storage => "storage",
            Self::Vault => "vault",
            Self::Plan => "plan",
            Self::Insights => "insights",
        }
    }

    /// What is told of it where it is not there.
    pub(super) fn missing(self) -> (String, String) {
        let repair = match self {
            Self::Group | Self::Plan | Self::Insights => "a repair makes it",
            Self::Storage => "a repair makes a new one, without what the old one held",
            Self::Vault => {
                "a repair brings it back with its secrets where Azure still keeps it, and else makes an empty one"
            }
        };
        told_missing(self.word(), repair)
    }
}

impl Named {
    pub(super) fn missing(&self) -> (String, String) {
        told_missing(self.word, self.way_out)
    }

    /// For whoever has it repaired: only people can.
    pub(super) fn refusal(&self) -> CloudError {
        CloudError::Denied {
            cloud: CloudName::Azure,
            operation: format!("`{}`", self.id),
            message: format!("it is missing: {}", self.way_out),
        }
    }
}

fn told_missing(word: &str, help: &str) -> (String, String) {
    (format!("{SHARED}{word}"), format!("missing ({help})"))
}

impl Needs {
    /// What this release needs is needed from now on.
    pub(super) fn note(&mut self, names: &Names, duties: &Duties) {
        let vault = names.vault_id();
        self.vault |= duties.roles.values().any(|grant| grant.scope == vault);
        self.gateway |= duties.api.is_some();
    }

    /// Whether it is missed where it is not there.
    pub(super) fn include(self, role: Role) -> bool {
        match role {
            Role::Group | Role::Storage | Role::Plan | Role::Insights => true,
            Role::Vault => self.vault,
        }
    }
}

impl Kind {
    pub(super) fn differences(&self, found: &Value) -> Fields {
        let mut fields = Fields::new();
        let mut tell = |name: &str, found: &str, wanted: &str| {
            let path = format!("{SHARED}{}.{name}", self.role.word());
            fields.insert(path, format!("{found} ({wanted} is asked for)"));
        };
        for (name, pointer) in &self.parts {
            let [is, wanted] = [found, &self.body].map(|it| it.pointer(pointer).map(text));
            // What the cloud does not tell is not known.
            let (Some(is), Some(wanted)) = (is, wanted) else {
                continue;
            };
            let is_safer = *name == "tls" && is > wanted;
            if !is.eq_ignore_ascii_case(&wanted) && !is_safer {
                tell(name, &is, &wanted);
            }
        }
        let known = tags_of(found);
        for (name, wanted) in tags_of(&self.body) {
            let is = tag(&known, &name);
            if is != Some(&wanted) {
                let is = is.map_or("missing", String::as_str);
                tell(&format!("tag.{name}"), is, &wanted);
            }
        }
        fields
    }

    /// What makes it as it was made. Tags of others stay, and so does what we never said.
    pub(super) fn mended(&self, found: &Value) -> Value {
        let mut body = found.clone();
        let mut tags: Tags = tags_of(found);
        for (name, value) in tags_of(&self.body) {
            tags.retain(|known, _| !known.eq_ignore_ascii_case(&name));
            tags.insert(name, value);
        }
        body["tags"] = json!(tags);
        for (_, pointer) in &self.parts {
            let wanted = self.body.pointer(pointer);
            if let (Some(place), Some(wanted)) = (body.pointer_mut(pointer), wanted) {
                *place = wanted.clone();
            }
        }
        if let Some(sku) = self.body.get("sku") {
            // How many instances there are is nothing that we said.
            let capacity = body["sku"]["capacity"].take();
            body["sku"] = sku.clone();
            if !capacity.is_null() {
                body["sku"]["capacity"] = capacity;
            }
        }
        for name in READ_ONLY {
            body.as_object_mut().map(|body| body.remove(name));
            if let Some(properties) = body["properties"].as_object_mut() {
                properties.remove(name);
            }
        }
        body
    }
}

/// What answers say and requests must not.
const READ_ONLY: [&str; 10] = [
    "id",
    "name",
    "type",
    "etag",
    "systemData",
    "managedBy",
    "provisioningState",
    "primaryEndpoints",
    "vaultUri",
    "privateEndpointConnections",
];

fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// What an environment has made for it.
pub(super) fn kinds(names: &Names) -> Vec<Kind> {
    let mut kinds = vec![
        Kind {
            role: Role::Group,
            id: names.group_id(),
            version: RESOURCES_API,
            get: operation::GROUPS_GET,
            put: operation::GROUPS_PUT,
            body: names.group_body(),
            parts: Vec::new(),
        },
        Kind {
            role: Role::Storage,
            id: names.account_id(),
            version: STORAGE_API,
            get: operation::ACCOUNTS_GET,
            put: operation::ACCOUNTS_PUT,
            body: names.account_body(),
            parts: vec![
                ("public", "/properties/allowBlobPublicAccess"),
                ("tls", "/properties/minimumTlsVersion"),
                ("https", "/properties/supportsHttpsTrafficOnly"),
                ("sku", "/sku/name"),
            ],
        },
        Kind {
            role: Role::Vault,
            id: names.vault_id(),
            version: VAULTS_API,
            get: operation::VAULTS_GET,
            put: operation::VAULTS_PUT,
            body: json!({
                "tags": names.shared_tags(),
                "properties": { "enableRbacAuthorization": true },
            }),
            parts: vec![("roles", "/properties/enableRbacAuthorization")],
        },
    ];
    if !names.is_flex() {
        kinds.push(Kind {
            role: Role::Plan,
            id: names.plan_id(),
            version: WEB_API,
            get: operation::PLANS_GET,
            put: operation::PLANS_PUT,
            body: names.plan_body(names.shared_tags()),
            parts: vec![("sku", "/sku/name")],
        });
    }
    if let Some(Insights::Workspace(workspace)) = &names.target.shared.insights {
        kinds.push(Kind {
            role: Role::Insights,
            id: names.component_id(),
            version: INSIGHTS_API,
            get: operation::INSIGHTS_GET,
            put: operation::INSIGHTS_PUT,
            body: names.component_body(workspace),
            parts: vec![("workspace", "/properties/WorkspaceResourceId")],
        });
    }
    kinds
}

/// What an environment names, and does not have made.
pub(super) fn named(names: &Names, needs: Needs) -> Vec<Named> {
    let shared = &names.target.shared;
    let mut named = Vec::new();
    if let Some(Insights::Component(id)) = &shared.insights {
        named.push(Named {
            word: "insights",
            id: id.clone(),
            version: INSIGHTS_API,
            get: operation::INSIGHTS_GET,
            way_out: "make it, or write `workspace` into `insights` of the environment's `azure` to have one made",
        });
    }
    if let Some(id) = shared.api_management.as_ref().filter(|_| needs.gateway) {
        named.push(Named {
            word: "apiManagement",
            id: id.clone(),
            version: APIM_API,
            get: operation::GATEWAYS_GET,
            way_out: "make it, or name another one by `apiManagement` of the environment's `azure`",
        });
    }
    named
}
