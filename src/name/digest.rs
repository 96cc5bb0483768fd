//! Digests, each with a meaning of its own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::BadName;

/// Defines a SHA-256 digest with a meaning of its own, written `sha256:<hex>`.
macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 32]);

        impl $name {
            pub fn of(content: &[u8]) -> Self {
                Self(Sha256::digest(content).into())
            }

            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            pub fn hex(&self) -> String {
                hex(&self.0)
            }

            /// The first twelve hexadecimal digits, for people.
            pub fn short(&self) -> String {
                hex(&self.0[..6])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(value: &str) -> Result<Self, BadName> {
                parse_digest(value).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(value: String) -> Result<Self, BadName> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> Self {
                digest.to_string()
            }
        }
    };
}

digest_type!(
    /// What is deployed: code, configuration, environment and permissions. Two commits that ask for the same are one release.
    ReleaseDigest
);
digest_type!(
    /// Everything that decides the bytes of a package: source tree, build command, runtime and shim.
    InputDigest
);
digest_type!(
    /// The bytes of a package. AWS calls the same number, in base64, `CodeSha256`.
    CodeDigest
);
digest_type!(
    /// What a rollout would do to what is live. Approvals are given for one, and for no other.
    PlanHash
);

/// Two lower-case digits for each byte. Digests are written in every record and report, so this is not left to `format!`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

fn parse_digest(value: &str) -> Result<[u8; 32], BadName> {
    let bad = || BadName {
        kind: "digest",
        value: value.to_owned(),
        rule: "must read sha256: and 64 hexadecimal digits".to_owned(),
    };
    let hex = value
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.is_ascii())
        .ok_or_else(bad)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
    }
    Ok(bytes)
}
