//! Who may act: tokens in a file that only its owner can read.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::{api::problem::Problem, name::Actor};

/// The name of a token that has none.
const OPERATOR: &str = "operator";

/// Shorter tokens could be guessed.
const LENGTH_MIN: usize = 20;

/// The tokens that may act, by the digest of each: comparing digests takes the same time whatever was sent.
#[derive(Clone)]
pub struct Tokens(Vec<Known>);

/// One token: whose it is, and what they may approve as.
#[derive(Clone)]
struct Known {
    name: String,
    roles: Vec<String>,
    digest: [u8; 32],
}

/// A token file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("failed to read or write the token file `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("others can read the token file `{}`: `chmod 600` it", path.display())]
    Exposed { path: PathBuf },
    #[error("line {line} of the token file `{}` must read `TOKEN`, `NAME TOKEN` or `NAME ROLE,ROLE TOKEN`, with a token of at least {LENGTH_MIN} characters", path.display())]
    Line { path: PathBuf, line: usize },
    #[error("the machine gave no random numbers for a token")]
    NoRandom,
}

impl Tokens {
    /// Named tokens.
    pub fn new<'a>(tokens: impl IntoIterator<Item = (&'a str, &'a SecretString)>) -> Self {
        let known = |(name, token): (&str, &SecretString)| Known {
            name: name.to_owned(),
            roles: Vec::new(),
            digest: Sha256::digest(token.expose_secret()).into(),
        };
        Self(tokens.into_iter().map(known).collect())
    }

    /// Reads a token file, or makes one with a random token. Each line reads `TOKEN`, `NAME TOKEN` or `NAME ROLE,ROLE TOKEN`; `#` begins a
    /// comment.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written, that others can read, or that is wrong.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::File {
            path: path.to_owned(),
            source,
        };
        match create(path)? {
            Some(text) => Self::parse(path, &text),
            None => {
                let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
                if mode & 0o077 != 0 {
                    let path = path.to_owned();
                    return Err(TokenError::Exposed { path });
                }
                Self::parse(path, &fs::read_to_string(path).map_err(failed)?)
            }
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, TokenError> {
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let (name, roles, token) = match words[..] {
                [] => continue,
                [token] if token.len() >= LENGTH_MIN => (OPERATOR, "", token),
                [name, token] if token.len() >= LENGTH_MIN => (name, "", token),
                [name, roles, token] if token.len() >= LENGTH_MIN => (name, roles, token),
                _ => {
                    return Err(TokenError::Line {
                        path: path.to_owned(),
                        line: index + 1,
                    });
                }
            };
            let roles = roles.split(',').filter(|role| !role.is_empty());
            tokens.push(Known {
                name: name.to_owned(),
                roles: roles.map(str::to_owned).collect(),
                digest: Sha256::digest(token).into(),
            });
        }
        Ok(Self(tokens))
    }

    /// Whose token it is; every known one is compared, so that time tells nothing.
    fn owner_of(&self, token: &str) -> Option<&Known> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for known in &self.0 {
            if bool::from(known.digest.ct_eq(&digest)) {
                found = Some(known);
            }
        }
        found
    }
}

/// Makes the file where there is none; its text, if it was made.
fn create(path: &Path) -> Result<Option<String>, TokenError> {
    let failed = |source| TokenError::File {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    // Made with the right mode from the first moment, and only if it is not there.
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let text = format!("{}\n", random()?);
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(Some(text))
}

fn random() -> Result<String, TokenError> {
    let mut bytes = [0; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let filled = provider.secure_random.fill(&mut bytes);
    filled.map_err(|_| TokenError::NoRandom)?;
    let mut text = String::from("vg_");
    for byte in bytes {
        // Writing to a text cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    Ok(text)
}

/// Who sends a request.
pub(in crate::api) fn actor(tokens: &Tokens, headers: &HeaderMap) -> Result<Actor, Problem> {
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|given| given.to_str().ok());
    let Some((scheme, token)) = given.and_then(|given| given.split_once(' ')) else {
        return Err(Problem::unauthorized(
            "send `authorization: Bearer TOKEN`; the token is in the file that the daemon names at its start",
        ));
    };
    let owner = tokens.owner_of(token.trim());
    match owner.filter(|_| scheme.eq_ignore_ascii_case("bearer")) {
        Some(Known { name, roles, .. }) => Ok(Actor {
            roles: roles.clone(),
            ..Actor::person(name)
        }),
        None => Err(Problem::unauthorized("this token is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of<'t>(tokens: &'t Tokens, token: &str) -> Option<&'t str> {
        tokens.owner_of(token).map(|known| known.name.as_str())
    }

    #[test]
    fn a_first_start_makes_a_token_that_only_its_owner_reads_and_a_second_finds_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("api-token");
        Tokens::open(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let token = fs::read_to_string(&path).unwrap();
        let again = Tokens::open(&path).unwrap();
        assert_eq!(name_of(&again, token.trim()), Some("operator"));
        assert_eq!(name_of(&again, "vg_other"), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            Tokens::open(&path),
            Err(TokenError::Exposed { .. })
        ));
    }

    #[test]
    fn tokens_may_have_names_and_roles() {
        let text = "# who may act\nana 0123456789abcdef0123\nfedcba98765432100123 # mine\nbo release-manager,ops abcdefghij0123456789\n";
        let tokens = Tokens::parse(Path::new("f"), text).unwrap();
        assert_eq!(name_of(&tokens, "0123456789abcdef0123"), Some("ana"));
        assert_eq!(name_of(&tokens, "fedcba98765432100123"), Some("operator"));
        let bo = tokens.owner_of("abcdefghij0123456789").unwrap();
        assert_eq!(bo.roles, ["release-manager", "ops"]);
        let wrong = Tokens::parse(Path::new("f"), "\nshort\n").err().unwrap();
        assert!(
            wrong
                .to_string()
                .starts_with("line 2 of the token file `f`")
        );
    }
}
