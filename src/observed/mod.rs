//! What a cloud told us. A cloud that we could not see is *unknown* and has no value of these types; it is never *empty*.

pub mod talk;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::name::{Called, FunctionName, Percent, ReleaseDigest, Revision, ServiceKey, Timestamp};

/// Settings of a slot by path (`stock.memory`, `stock.env.LOG_LEVEL`, `package`), in a form that can be compared and shown.
/// Values of variables stand as the first digits of their digest, since they may be secret.
pub type Fields = BTreeMap<String, String>;

/// What the field `FUNCTION.url` tells of an address that answers whoever signs, and is permitted.
pub const SIGNED: &str = "signed";

/// Base address of each HTTP function in a slot.
pub type Addresses = BTreeMap<FunctionName, Url>;

/// One service on one target.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub blue: SlotContent,
    pub green: SlotContent,
    /// Identifiers of the resources that carry our tags (ARNs, Azure resource ids).
    pub resources: Vec<String>,
    /// Resources that stand where ours should, and do not carry our tags.
    pub foreign: Vec<String>,
    /// What blue's own address answers in place of the release that it holds, where it was asked and that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// What the cloud itself says goes wrong with blue, though all of it is as asked for: sentences, each with the way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ailing: Vec<String>,
}

/// What a slot holds.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SlotContent {
    #[default]
    Empty,
    /// All functions are of one release.
    Whole(Holding),
    /// The functions are of different releases, or some are missing: somebody is, or was, in the middle of something.
    Torn(BTreeMap<FunctionName, Option<ReleaseDigest>>),
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    pub release: ReleaseDigest,
    pub revision: Option<Revision>,
    pub addresses: Addresses,
    /// As read from the cloud, to be compared with what the release asks for.
    pub fields: Fields,
    /// The cloud's own word for it, for people: `version 41`, `production`.
    pub label: String,
    /// What takes a share of its requests; only blue has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

impl Holding {
    /// Whether the function's address answers signed requests only.
    pub fn is_signed(&self, function: &FunctionName) -> bool {
        let told = self.fields.get(&format!("{function}.url"));
        told.is_some_and(|told| told == SIGNED)
    }
}

/// What takes a share of blue's requests beside the release that it holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// None where it is no whole release that green holds, or where functions share their requests in different ways.
    pub release: Option<ReleaseDigest>,
    /// The largest share of any function.
    pub weight: Percent,
}

impl SlotContent {
    pub fn holding(&self) -> Option<&Holding> {
        match self {
            Self::Whole(holding) => Some(holding),
            Self::Empty | Self::Torn(_) => None,
        }
    }

    pub fn release(&self) -> Option<ReleaseDigest> {
        self.holding().map(|holding| holding.release)
    }

    pub fn holds(&self, release: ReleaseDigest) -> bool {
        self.release() == Some(release)
    }

    /// Whether some function of it, if not all, is of the release.
    pub fn has_any_of(&self, release: ReleaseDigest) -> bool {
        match self {
            Self::Empty => false,
            Self::Whole(holding) => holding.release == release,
            Self::Torn(functions) => functions.values().any(|of| *of == Some(release)),
        }
    }

    /// What takes a share of its requests.
    pub fn canary(&self) -> Option<&Canary> {
        self.holding()?.canary.as_ref()
    }

    /// Whether a release takes exactly this share of its requests.
    pub fn gives(&self, release: ReleaseDigest, weight: Percent) -> bool {
        match self.canary() {
            None => weight.is_none(),
            Some(canary) => {
                !weight.is_none() && canary.release == Some(release) && canary.weight == weight
            }
        }
    }
}

/// A writing call on a cloud, by the cloud's own log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deed {
    pub at: Timestamp,
    /// As the cloud names people and programs: an ARN, a user principal name.
    pub who: String,
    /// As the cloud names it: `UpdateAlias20150331`, `Microsoft.Web/sites/config/write`.
    pub operation: String,
    pub resource: String,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            who,
            operation,
            resource,
        } = self;
        write!(f, "{operation} of `{resource}` by {who} at {at}")
    }
}

/// A service of ours that a target holds, found by its tags.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Owned {
    pub service: ServiceKey,
    /// Where the cloud keeps functions apart, those that were found.
    #[serde(default)]
    pub functions: BTreeSet<FunctionName>,
    #[serde(default)]
    pub called: Called,
    pub resources: Vec<String>,
}

/// A service and every function that it is known to have, or to have had: where to look on a cloud that keeps functions apart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    pub service: ServiceKey,
    pub functions: BTreeSet<FunctionName>,
    /// What they are called there, where it is not as we would call them.
    #[serde(default)]
    pub called: Called,
}
