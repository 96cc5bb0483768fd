//! What the endpoint knows of a function. Synchronous: time is told, nothing waits.

mod carried;
mod config;
mod mapping;
mod policy;
mod render;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(super) use config::{Config, ConfigRequest, architecture};
pub(super) use mapping::{Mapping, Source};
pub(super) use policy::{PermissionRequest, Policy};
pub(super) use render::{alias_json, code_sha256, epoch, listed, moment, shown, url_json};

use crate::{
    local::faults::Failure,
    name::{CodeDigest, Timestamp},
};

/// The label of the version that can be changed.
pub(super) const LATEST: &str = "$LATEST";

/// A package: the bytes are kept beside the records, by their digest.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Code {
    pub(super) digest: CodeDigest,
    pub(super) size: u64,
}

/// Code with its configuration: what a process is started from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Content {
    pub(super) config: Config,
    pub(super) code: Code,
}

impl Content {
    /// Equal for equal content: maps are sorted, and floats are absent.
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Equal for equal content, and short.
    pub(super) fn fingerprint(&self) -> String {
        Sha256::digest(self.text())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Where a version stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Phase {
    /// Being created: it serves nothing before `until`.
    Pending {
        until: Timestamp,
        #[serde(default)]
        end: Option<Failure>,
    },
    Active,
    /// Being changed: `serving` is what still runs before `until`.
    Updating {
        until: Timestamp,
        serving: Box<Content>,
        #[serde(default)]
        end: Option<Failure>,
    },
    /// It came to nothing: it was created, and never ran.
    Failed {
        why: Failure,
    },
    /// A change came to nothing: what was asked for is shown, and `serving` runs on.
    Unchanged {
        why: Failure,
        serving: Box<Content>,
    },
}

impl Phase {
    /// Whether nothing is on its way.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Active | Self::Failed { .. } | Self::Unchanged { .. } => true,
            Self::Pending { .. } | Self::Updating { .. } => false,
        }
    }

    /// What it becomes once it has waited long enough.
    fn ended(self) -> Self {
        match self {
            Self::Pending {
                until: _,
                end: Some(why),
            } => Self::Failed { why },
            Self::Updating {
                until: _,
                serving,
                end: Some(why),
            } => Self::Unchanged { why, serving },
            Self::Pending {
                until: _,
                end: None,
            }
            | Self::Updating {
                until: _,
                serving: _,
                end: None,
            } => Self::Active,
            Self::Active | Self::Failed { .. } | Self::Unchanged { .. } => self,
        }
    }
}

/// `$LATEST` or a published, immutable version.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Version {
    /// `$LATEST`, or the number.
    pub(super) label: String,
    pub(super) content: Content,
    pub(super) revision: Uuid,
    pub(super) modified: Timestamp,
    pub(super) phase: Phase,
}

impl Version {
    /// Ends what has waited long enough. Only the end of `$LATEST`'s wait changes the revision.
    fn settle(&mut self, now: Timestamp) {
        let due = match &self.phase {
            Phase::Pending { until, .. } | Phase::Updating { until, .. } => *until <= now,
            Phase::Active | Phase::Failed { .. } | Phase::Unchanged { .. } => false,
        };
        if due {
            self.phase = std::mem::replace(&mut self.phase, Phase::Active).ended();
            if self.label == LATEST {
                self.revision = Uuid::new_v4();
            }
        }
    }

    /// What runs now: the old content while an update is under way, or after it failed.
    pub(super) fn serving(&self) -> &Content {
        match &self.phase {
            Phase::Updating { serving, .. } | Phase::Unchanged { serving, .. } => serving,
            Phase::Pending { .. } | Phase::Active | Phase::Failed { .. } => &self.content,
        }
    }
}

/// A name for a version, or for two with a weight between them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Alias {
    pub(super) version: String,
    pub(super) description: String,
    /// Another version and its share of the calls.
    pub(super) weights: BTreeMap<String, f64>,
    pub(super) revision: Uuid,
}

/// The address of a function or alias.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct UrlConfig {
    pub(super) auth: String,
    pub(super) mode: String,
    pub(super) cors: Option<serde_json::Value>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    /// Where its listener sits on loopback.
    pub(super) port: u16,
}

/// A function with all that hangs on it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) latest: Version,
    pub(super) versions: BTreeMap<u64, Version>,
    /// Numbers are never used twice, not even those of deleted versions.
    pub(super) last_number: u64,
    /// What was published last, so that publishing the same again makes no version.
    pub(super) published: Option<(u64, String)>,
    pub(super) aliases: BTreeMap<String, Alias>,
    /// By alias; the empty name is the function itself.
    pub(super) urls: BTreeMap<String, UrlConfig>,
    /// By version or alias; the empty name is the function itself.
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) reserved: Option<u32>,
    /// What is kept warm, by version or alias.
    #[serde(default)]
    pub(super) provisioned: BTreeMap<String, Provisioned>,
    /// What becomes of calls that nobody waits for, by version or alias.
    #[serde(default)]
    pub(super) asynchronous: BTreeMap<String, Asynchronous>,
}

/// Concurrency that is kept warm.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Provisioned {
    pub(super) asked: u32,
    pub(super) modified: Timestamp,
    /// It is in progress before that.
    pub(super) until: Timestamp,
    /// It is not kept warm afterwards.
    #[serde(default)]
    pub(super) end: Option<Failure>,
}

/// Error handling of asynchronous calls, as it was asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Asynchronous {
    pub(super) retries: Option<u32>,
    pub(super) max_age: Option<u32>,
    pub(super) destinations: Option<serde_json::Value>,
    pub(super) modified: Timestamp,
}

impl Function {
    /// Ends what has waited long enough; callers do so before they look.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.latest.settle(now);
        for version in self.versions.values_mut() {
            version.settle(now);
        }
    }

    pub(super) fn version(&self, label: &str) -> Option<&Version> {
        if label == LATEST {
            return Some(&self.latest);
        }
        self.versions.get(&label.parse().ok()?)
    }

    /// The version that a qualifier leads to, weights aside; no qualifier means `$LATEST`.
    pub(super) fn qualified(&self, qualifier: Option<&str>) -> Option<&Version> {
        let qualifier = qualifier.unwrap_or(LATEST);
        let alias = self.aliases.get(qualifier);
        self.version(alias.map_or(qualifier, |alias| &alias.version))
    }

    /// The version that takes a call when the dice show `share`, 0 to 1.
    pub(super) fn chosen(&self, qualifier: Option<&str>, share: f64) -> Option<&Version> {
        let Some(alias) = qualifier.and_then(|name| self.aliases.get(name)) else {
            return self.qualified(qualifier);
        };
        let mut below = 0.0;
        for (label, weight) in &alias.weights {
            below += weight;
            if share < below {
                return self.version(label);
            }
        }
        self.version(&alias.version)
    }

    /// Publishes what `$LATEST` holds; unchanged content leads to the version it already has.
    pub(super) fn publish(
        &mut self,
        description: Option<String>,
        phase: Phase,
        now: Timestamp,
    ) -> Version {
        let fingerprint = self.latest.content.fingerprint();
        let same = self
            .published
            .as_ref()
            .filter(|(_, last)| *last == fingerprint);
        if let Some(version) = same.and_then(|(number, _)| self.versions.get(number)) {
            return version.clone();
        }
        self.last_number += 1;
        let mut content = self.latest.content.clone();
        if let Some(description) = description {
            content.config.description = description;
        }
        let version = Version {
            label: self.last_number.to_string(),
            content,
            revision: Uuid::new_v4(),
            modified: now,
            phase,
        };
        self.versions.insert(self.last_number, version.clone());
        self.published = Some((self.last_number, fingerprint));
        self.latest.revision = Uuid::new_v4();
        version
    }

    /// The aliases that lead to a version, with or without weight.
    pub(super) fn aliases_of(&self, label: &str) -> Vec<&str> {
        let uses = |alias: &Alias| alias.version == label || alias.weights.contains_key(label);
        let mut names = Vec::new();
        for (name, alias) in &self.aliases {
            if uses(alias) {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Every package that may still be asked for.
    pub(super) fn packages(&self) -> impl Iterator<Item = CodeDigest> {
        let versions = std::iter::once(&self.latest).chain(self.versions.values());
        versions.flat_map(|version| [version.content.code.digest, version.serving().code.digest])
    }
}
