//! Who asks a remote, and with what.

use std::{ffi::OsStr, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// Who asks. Printing it shows no secret.
#[derive(Clone, Debug)]
pub enum Credentials {
    None,
    /// Sent as HTTP basic authentication, to the host of the URL and to no other.
    Token {
        username: String,
        token: SecretString,
    },
    /// Used by the `ssh` program; only hosts in `known_hosts` are spoken to.
    Ssh {
        key: PathBuf,
        known_hosts: PathBuf,
    },
}

impl Credentials {
    /// All of it, secrets too.
    fn exposed(&self) -> Option<(bool, &OsStr, &OsStr)> {
        match self {
            Self::None => None,
            Self::Token { username, token } => {
                Some((true, username.as_ref(), token.expose_secret().as_ref()))
            }
            Self::Ssh { key, known_hosts } => {
                Some((false, key.as_os_str(), known_hosts.as_os_str()))
            }
        }
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.exposed() == other.exposed()
    }
}

impl Eq for Credentials {}
