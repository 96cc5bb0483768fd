//! Names, digests, revisions and timestamps: the nouns that every other room shares.
//!
//! Each is a type of its own, so that two strings cannot be swapped by mistake; each is checked once, where it enters.

mod called;
mod digest;
mod percent;
mod revision;
mod time;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::{
    called::Called,
    digest::{CodeDigest, InputDigest, PlanHash, ReleaseDigest, hex},
    percent::Percent,
    revision::{ObjectId, Revision},
    time::Timestamp,
};

/// A name that breaks the rule of its kind.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} `{value}` {rule}")]
pub struct BadName {
    pub kind: &'static str,
    pub value: String,
    pub rule: String,
}

/// Defines a checked name: lower-case letters, digits and hyphens, a letter first, no hyphen last.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Longest accepted name, in bytes.
            pub const MAX: usize = $max;

            /// # Errors
            ///
            /// Refuses anything but lower-case letters, digits and hyphens with a letter first and no hyphen last.
            pub fn new(value: impl Into<String>) -> Result<Self, BadName> {
                check_label($kind, value.into(), Self::MAX).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(value: &str) -> Result<Self, BadName> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(value: String) -> Result<Self, BadName> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name_type!(
    /// A set of functions that are deployed, promoted and rolled back as one.
    ServiceName, "service name", 32
);
name_type!(
    /// Where services run: one AWS account and region, one Azure subscription, resource group and location.
    EnvironmentName, "environment name", 24
);
name_type!(
    /// One function of a service.
    FunctionName, "function name", 40
);
name_type!(
    /// A gate, shared or local to a service.
    GateName, "gate name", 63
);
name_type!(
    /// Services of one environment that are promoted together or not at all.
    GroupName, "group name", 63
);
name_type!(
    /// A repository in the daemon's configuration.
    RepositoryName, "repository name", 63
);

fn check_label(kind: &'static str, value: String, max: usize) -> Result<String, BadName> {
    let bytes = value.as_bytes();
    let rule = if bytes.is_empty() {
        "is empty: give it at least one letter".to_owned()
    } else if bytes.len() > max {
        format!("has {} characters: at most {max} are allowed", bytes.len())
    } else if !bytes
        .iter()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    {
        "may hold lower-case letters, digits and hyphens only".to_owned()
    } else if !bytes[0].is_ascii_lowercase() {
        "must start with a letter".to_owned()
    } else if bytes.ends_with(b"-") {
        "must not end with a hyphen".to_owned()
    } else {
        return Ok(value);
    };
    Err(BadName { kind, value, rule })
}

/// One service in one environment: the thing that is reconciled. Reads `environment/service`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceKey {
    pub environment: EnvironmentName,
    pub service: ServiceName,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.environment, self.service)
    }
}

impl FromStr for ServiceKey {
    type Err = BadName;

    fn from_str(value: &str) -> Result<Self, BadName> {
        let Some((environment, service)) = value.split_once('/') else {
            let rule = "must read environment/service".to_owned();
            return Err(BadName {
                kind: "service key",
                value: value.to_owned(),
                rule,
            });
        };
        Ok(Self {
            environment: environment.parse()?,
            service: service.parse()?,
        })
    }
}

impl TryFrom<String> for ServiceKey {
    type Error = BadName;

    fn try_from(value: String) -> Result<Self, BadName> {
        value.parse()
    }
}

impl From<ServiceKey> for String {
    fn from(key: ServiceKey) -> Self {
        key.to_string()
    }
}

/// One of the two clouds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudName {
    Aws,
    Azure,
}

impl CloudName {
    pub const ALL: [Self; 2] = [Self::Aws, Self::Azure];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
        }
    }
}

impl fmt::Display for CloudName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `blue` serves users; `green` is the candidate, and after a promotion the previous blue.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    Blue,
    Green,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

/// Who asked for something: a person by the name of a token, or a part of the daemon.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Actor {
    pub username: String,
    pub automated: bool,
    /// What their token says that they are: who may approve what is asked by these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

impl Actor {
    pub fn person(username: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            automated: false,
            roles: Vec::new(),
        }
    }

    pub fn daemon() -> Self {
        Self {
            username: "verdigris".to_owned(),
            automated: true,
            roles: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_rule_it_breaks() {
        let told = |value: &str| ServiceName::new(value).unwrap_err().to_string();
        assert_eq!(
            told("Stock"),
            "service name `Stock` may hold lower-case letters, digits and hyphens only"
        );
        assert_eq!(
            told(""),
            "service name `` is empty: give it at least one letter"
        );
        assert_eq!(told("1a"), "service name `1a` must start with a letter");
        assert_eq!(told("a-"), "service name `a-` must not end with a hyphen");
        assert_eq!(
            told(&"a".repeat(33)),
            format!(
                "service name `{}` has 33 characters: at most 32 are allowed",
                "a".repeat(33)
            )
        );
    }

    #[test]
    fn written_forms_read_back() {
        let digest = ReleaseDigest::of(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let revision: Revision = "main@sha1:0123456789012345678901234567890123456789"
            .parse()
            .unwrap();
        assert_eq!(revision.to_string().parse(), Ok(revision));
        let moment = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn a_digest_that_is_not_hexadecimal_is_refused() {
        assert!("sha256:zz".parse::<CodeDigest>().is_err());
        assert!(
            format!("sha256:{}", "é".repeat(32))
                .parse::<CodeDigest>()
                .is_err()
        );
    }
}
