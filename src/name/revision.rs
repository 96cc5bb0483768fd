//! Commits, and the branch or tag that they were read from.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::BadName;

/// A Git object id: a commit or a tree, 40 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(String);

impl ObjectId {
    /// # Errors
    ///
    /// Refuses anything but 40 lower-case hexadecimal digits.
    pub fn new(value: impl Into<String>) -> Result<Self, BadName> {
        let value = value.into();
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if value.len() == 40 && value.bytes().all(is_hex) {
            Ok(Self(value))
        } else {
            Err(BadName {
                kind: "object id",
                value,
                rule: "must be 40 hexadecimal digits".to_owned(),
            })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = BadName;

    fn try_from(value: String) -> Result<Self, BadName> {
        Self::new(value)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.0
    }
}

/// The commit that a release came from, written `main@sha1:<hex>` (Flux RFC-0005).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision {
    /// The branch or tag; empty where a bare commit was asked for.
    pub reference: String,
    pub commit: ObjectId,
}

impl Revision {
    /// `main@4f2a9c1`, for people.
    pub fn short(&self) -> String {
        format!("{}@{}", self.reference, self.commit.short())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@sha1:{}", self.reference, self.commit)
    }
}

impl FromStr for Revision {
    type Err = BadName;

    fn from_str(value: &str) -> Result<Self, BadName> {
        let Some((reference, commit)) = value.rsplit_once("@sha1:") else {
            let rule = "must read branch@sha1:<commit>".to_owned();
            return Err(BadName {
                kind: "revision",
                value: value.to_owned(),
                rule,
            });
        };
        Ok(Self {
            reference: reference.to_owned(),
            commit: ObjectId::new(commit)?,
        })
    }
}

impl TryFrom<String> for Revision {
    type Error = BadName;

    fn try_from(value: String) -> Result<Self, BadName> {
        value.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}
