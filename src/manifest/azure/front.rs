//! What stands before an app in API Management.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::AzureCors;

/// An API of the environment's API Management whose operations are the service's HTTP functions. Its rules are checked in this order:
/// addresses, headers, tokens.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiFront {
    /// Below the gateway's own address; without slashes at its ends.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<AzureCors>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenRule>,
    /// IPv4 addresses, or two with a hyphen between; everyone where it is empty.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses: BTreeSet<String>,
    /// Headers that must be there, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderRule>,
    /// Callers need a subscription key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub subscription: bool,
}

/// A token that must come with each request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRule {
    /// Address of the issuer's OpenID configuration.
    pub openid: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub audiences: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub issuers: BTreeSet<String>,
}

/// What a header must say.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderRule {
    /// Any of these; anything where it is empty.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub values: BTreeSet<String>,
    /// What the caller is answered otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
}
