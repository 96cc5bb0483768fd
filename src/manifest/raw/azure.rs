//! The `azure:` of services and environments, as written.

use schemars::JsonSchema;

use super::{
    EnvText,
    read::{At, Entries, Named, Read, Report},
};
use crate::manifest::{
    azure::Unauthenticated,
    yaml::{Node, Place},
};

record! {
    /// What is asked of Azure Functions alone, for the app that the service is there.
    AzureAppText needs [] {
        /// The Function App's name, where it is not `PREFIX-ENVIRONMENT-SERVICE`. On plans with slots only.
        "name" name: String,
        /// Application settings of the platform and its host, such as `WEBSITE_TIME_ZONE`.
        "settings" settings: Named<String, String>,
        /// Settings that stay with their slot, by name: `{ blue: …, green: … }`.
        "sticky" sticky: Named<String, StickyText>,
        /// Parts of the package's `host.json`, such as `{ functionTimeout: "00:05:00" }`.
        "host" host: serde_json::Value,
        "cors" cors: AzureCorsText,
        "auth" auth: AuthText,
        "network" network: NetworkText,
        "scale" scale: ScaleText,
        /// Host names that are bound to the app and must be there.
        "domains" domains: Vec<At<String>>,
        /// Id of a managed identity that it runs as.
        "identity" identity: String,
        /// What its identity may do besides reaching its storage and secrets, by a name.
        "roles" roles: Named<String, RoleText>,
        "tags" tags: Named<String, String>,
        /// Gates ask green while it has blue's sticky settings.
        "preview" preview: bool,
        /// An API of the environment's API Management.
        "api" api: ApiText,
    }
}

record! {
    /// A setting that stays with its slot.
    StickyText needs [] {
        "blue" blue: EnvText,
        "green" green: EnvText,
    }
}

record! {
    /// Which web pages of other origins may call.
    AzureCorsText needs ["origins"] {
        "origins" origins: Vec<At<String>>,
        "credentials" credentials: bool,
    }
}

record! {
    /// Tokens of Entra ID that the platform itself checks.
    AuthText needs ["tenant", "client"] {
        /// Id of the tenant.
        "tenant" tenant: String,
        /// Id of the app registration.
        "client" client: String,
        "audiences" audiences: Vec<At<String>>,
        /// `refuse` (the default) or `allow`.
        "unauthenticated" unauthenticated: Unauthenticated,
        /// Paths that everyone may call.
        "exclude" exclude: Vec<At<String>>,
    }
}

record! {
    /// A subnet that the app's own requests leave by.
    NetworkText needs ["subnet"] {
        /// Resource id of the subnet.
        "subnet" subnet: String,
        /// All requests, and not only those to private addresses.
        "routeAll" route_all: bool,
    }
}

record! {
    /// How many instances there may be, and must be.
    ScaleText needs [] {
        "most" most: u32,
        /// Kept running for this app: plans `EP*` only.
        "ready" ready: u32,
        /// Kept warm beside those that work: plans `EP*` only.
        "warm" warm: u32,
    }
}

record! {
    /// A role that the app's identity is given.
    RoleText needs ["role", "scope"] {
        /// Id of the role's definition.
        "role" role: String,
        /// Resource id that it is given on.
        "scope" scope: String,
    }
}

record! {
    /// An API in front of the app; its operations are the functions that answer HTTP.
    ApiText needs ["path"] {
        /// Below the gateway's address, such as `shop/stock`.
        "path" path: String,
        "cors" cors: AzureCorsText,
        /// A JSON web token that must come with each request.
        "token" token: TokenText,
        /// IPv4 addresses or ranges (`203.0.113.1-203.0.113.9`) that may call.
        "addresses" addresses: Vec<At<String>>,
        /// Headers that must be there, by name.
        "headers" headers: Named<String, HeaderRuleText>,
        /// Callers need a subscription key.
        "subscription" subscription: bool,
    }
}

record! {
    TokenText needs ["openid"] {
        /// Address of the issuer's OpenID configuration.
        "openid" openid: String,
        "audiences" audiences: Vec<At<String>>,
        "issuers" issuers: Vec<At<String>>,
    }
}

record! {
    HeaderRuleText needs [] {
        /// Any of these; without it, anything.
        "values" values: Vec<At<String>>,
        /// What the caller is answered otherwise; 401 without it.
        "status" status: u32,
    }
}

record! {
    AzureText needs ["subscription", "resourceGroup", "location", "plan"] {
        /// Id of the subscription.
        "subscription" subscription: String,
        "resourceGroup" resource_group: String,
        "location" location: String,
        /// A plan with slots, `Y1`, `EP1`, `S1`, `P1v3` …, or `FC1`, where a service is two apps.
        "plan" plan: String,
        /// First part of each Function App's name, which must be unique in the world. Without it: made from environment,
        /// subscription and resource group.
        "prefix" prefix: String,
        /// Name of a storage account of the resource group. Without it, one is made.
        "storage" storage: String,
        /// Name of the Key Vault with the secrets. Without it: `PREFIX-ENVIRONMENT`, which is made where it is missing.
        "vault" vault: String,
        /// Id of a managed identity that every app runs as. Without it, each slot has an identity of its own.
        "identity" identity: String,
        /// `true` (the default) gives apps the roles that they need; with `false`, people do.
        "grantRoles" grant_roles: bool,
        "insights" insights: InsightsText,
        /// Resource id of the API Management that services with `api` stand behind.
        "apiManagement" api_management: String,
        /// On everything that is made.
        "tags" tags: Named<String, String>,
    }
}

record! {
    /// Application Insights: exactly one of `component` and `workspace`.
    InsightsText needs [] {
        /// Resource id of a component that is there.
        "component" component: String,
        /// Resource id of a workspace of Log Analytics, on which a component is made.
        "workspace" workspace: String,
    }
}
