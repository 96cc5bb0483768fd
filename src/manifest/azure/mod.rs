//! What is asked of Azure Functions alone: of the app of a service, and of what all services of an environment share. A value of these
//! types has passed every rule.
//!
//! A service is one Function App, so that `azure:` stands at services and environments, and at no function.

mod front;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::front::{ApiFront, HeaderRule, TokenRule};
use super::spec::EnvValue;

/// The `azure:` of a service. `None` and what is empty ask for nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureApp {
    /// The Function App's name in lower case, where it is not the one that we give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Application settings of the platform and its host. They move with the code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Settings that stay with their slot.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sticky: BTreeMap<String, Sticky>,
    /// Parts of the package's `host.json`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub host: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<AzureCors>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Host names that people have bound to the app, and that must be there.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub domains: BTreeSet<String>,
    /// Id of a managed identity that it runs as, instead of its own or the environment's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What its identity may do besides reaching its storage and secrets, by a name for people.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, RoleGrant>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Gates ask green while it has blue's sticky settings.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// What stands before it in API Management.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiFront>,
}

impl AzureApp {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One setting that stays with its slot; where a slot has no value it has no such setting.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sticky {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue: Option<EnvValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub green: Option<EnvValue>,
}

/// Which web pages of other origins may call. The platform answers for methods and headers itself.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureCors {
    /// Never empty.
    pub origins: BTreeSet<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub credentials: bool,
}

/// Who may call, by tokens of Entra ID that the platform itself checks.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Id of the tenant.
    pub tenant: String,
    /// Id of the app registration.
    pub client: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub audiences: BTreeSet<String>,
    #[serde(default)]
    pub unauthenticated: Unauthenticated,
    /// Paths that everyone may call.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exclude: BTreeSet<String>,
}

/// What becomes of requests without a token.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unauthenticated {
    /// 401.
    #[default]
    Refuse,
    /// They reach the code, which sees who is not there.
    Allow,
}

/// A subnet that the app's own requests leave by.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Resource id of a subnet that is delegated to the plan's kind.
    pub subnet: String,
    /// All requests, and not only those to private addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub route_all: bool,
}

/// How many instances there may be, and must be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scale {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
    /// Kept running for this app: plans `EP*` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<u32>,
    /// Kept warm beside those that work: plans `EP*` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<u32>,
}

/// One role that an identity is given.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct RoleGrant {
    /// Id of a role's definition, as a UUID.
    pub role: String,
    /// Resource id that it is given on.
    pub scope: String,
}

/// What the services of an environment share on Azure, where it is not made with names of our own.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureShared {
    /// Name of a storage account of the resource group that is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Name of the Key Vault with the secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// Id of a managed identity that every app runs as, unless its service names another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// People give the roles that apps need; we ask for none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub roles_by_people: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insights: Option<Insights>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_management: Option<String>,
    /// On everything that we make.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Where apps tell how they are.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Insights {
    /// Id of a component of Application Insights that is there.
    Component(String),
    /// Id of a workspace of Log Analytics; we make a component of our own on it.
    Workspace(String),
}
