//! Where a repository is, which commit of it is wanted, who asks, and what is too much. Checked once, here.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use super::{GitError, credentials::Credentials};
use crate::name::ObjectId;

/// Everything that decides what is fetched. Sources with different secrets are different.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    pub url: RemoteUrl,
    pub reference: Reference,
    pub credentials: Credentials,
    pub limits: Limits,
    /// A PEM file with certificate authorities to trust beside the machine's own.
    pub authorities: Option<PathBuf>,
}

/// The commit that is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reference {
    Branch(String),
    Tag(String),
    Commit(ObjectId),
}

/// What is too much for one poll.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// A poll ends after this time, whatever the remote does.
    pub timeout: Duration,
    /// Bytes that one poll may receive.
    pub max_bytes: u64,
    /// Git objects that one poll may receive.
    pub max_objects: u64,
}

impl Default for Limits {
    /// A minute, as Flux has it; half a gibibyte and a million objects are far above a repository of functions and
    /// far below what fills a disk.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            max_bytes: 512 << 20,
            max_objects: 1_000_000,
        }
    }
}

/// The address of a repository. Holds no secret, so it may be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteUrl {
    text: String,
    pub(super) place: Place,
}

/// An address taken apart by who fetches from it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    File(String),
    Http(url::Url),
    Ssh(SshPlace),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SshPlace {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

const SCHEMES: &str = "file://, https://, http://, ssh:// or git@host:path";

// === impl Source ===

impl Source {
    /// A source that anybody may read, within the usual limits.
    #[must_use]
    pub fn new(url: RemoteUrl, reference: Reference) -> Self {
        Self {
            url,
            reference,
            credentials: Credentials::None,
            limits: Limits::default(),
            authorities: None,
        }
    }

    /// Refuses what could never work or would give a secret away.
    ///
    /// # Errors
    ///
    /// [`GitError::Invalid`], saying what to write instead.
    pub fn check(&self) -> Result<(), GitError> {
        let Self {
            url,
            reference,
            credentials,
            limits: _,
            authorities: _,
        } = self;
        reference.check()?;
        match (&url.place, credentials) {
            (_, Credentials::None) => Ok(()),
            (Place::Http(address), Credentials::Token { .. }) if is_private(address) => Ok(()),
            (Place::Http(_), Credentials::Token { .. }) => Err(GitError::invalid(format!(
                "a token would cross the network unencrypted to `{url}`: use https"
            ))),
            (Place::Ssh(_), Credentials::Ssh { key, known_hosts }) => {
                check_option_path(key)?;
                check_option_path(known_hosts)
            }
            (Place::File(_) | Place::Http(_), Credentials::Ssh { .. }) => Err(GitError::invalid(
                format!("an ssh key is of no use for `{url}`: use an ssh address"),
            )),
            (Place::File(_) | Place::Ssh(_), Credentials::Token { .. }) => Err(GitError::invalid(
                format!("a token is of no use for `{url}`: use an https address"),
            )),
        }
    }
}

/// Whether nobody on the way can read what is sent: TLS, or this machine only.
fn is_private(address: &url::Url) -> bool {
    let loopback = match address.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    address.scheme() == "https" || loopback
}

/// A path becomes part of an `ssh -o` option, where quotes, `$` and line ends have a meaning.
fn check_option_path(path: &Path) -> Result<(), GitError> {
    let shown = path.display();
    let text = path.to_str().unwrap_or("\n");
    if !path.is_absolute() {
        Err(GitError::invalid(format!(
            "`{shown}` must be an absolute path"
        )))
    } else if text
        .chars()
        .any(|c| c.is_control() || matches!(c, '"' | '$' | '\\'))
    {
        Err(GitError::invalid(format!(
            "`{shown}` holds a quote, `$`, `\\` or a character that is not text: rename the file"
        )))
    } else {
        Ok(())
    }
}

// === impl Reference ===

impl Reference {
    /// # Errors
    ///
    /// Refuses names that Git refuses, and names that start with a hyphen.
    pub fn check(&self) -> Result<(), GitError> {
        let (Self::Branch(name) | Self::Tag(name)) = self else {
            return Ok(());
        };
        if !name.starts_with('-') && git2::Reference::is_valid_name(&format!("refs/heads/{name}")) {
            return Ok(());
        }
        Err(GitError::invalid(format!(
            "`{}` is not a name that Git allows for a branch or a tag",
            name.escape_debug()
        )))
    }

    /// The full name on the remote; none for a bare commit.
    pub(super) fn full_name(&self) -> Option<String> {
        match self {
            Self::Branch(name) => Some(format!("refs/heads/{name}")),
            Self::Tag(name) => Some(format!("refs/tags/{name}")),
            Self::Commit(_) => None,
        }
    }

    /// As a revision spells it: the bare name, empty for a commit.
    pub(super) fn short_name(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) => name,
            Self::Commit(_) => "",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch `{name}`"),
            Self::Tag(name) => write!(f, "tag `{name}`"),
            Self::Commit(id) => write!(f, "commit `{id}`"),
        }
    }
}

// === impl RemoteUrl ===

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for RemoteUrl {
    type Error = GitError;

    fn try_from(text: String) -> Result<Self, GitError> {
        text.parse()
    }
}

impl FromStr for RemoteUrl {
    type Err = GitError;

    fn from_str(text: &str) -> Result<Self, GitError> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(refuse(text, "holds a space or a control character"));
        }
        let place = match text.split_once("://") {
            Some(("file", _)) => file_place(text)?,
            Some(("http" | "https", _)) => http_place(text)?,
            Some(("ssh", _)) => ssh_place(text)?,
            Some((_, _)) => return Err(refuse(text, &format!("must read {SCHEMES}"))),
            None => scp_place(text)?,
        };
        Ok(Self {
            text: text.to_owned(),
            place,
        })
    }
}

/// Says what is wrong with an address without repeating a secret that it may hold.
fn refuse(text: &str, rule: &str) -> GitError {
    GitError::invalid(format!("the repository address `{}` {rule}", redact(text)))
}

/// The address as it may be shown: where it could hold a secret, no more than its scheme and host.
fn redact(text: &str) -> String {
    if !text.contains(['@', '?', '#']) {
        return text.escape_debug().to_string();
    }
    match url::Url::parse(text) {
        Ok(url) => match url.host_str() {
            Some(host) => format!("{}://{host}/…", url.scheme()),
            None => "…".to_owned(),
        },
        Err(_) => "…".to_owned(),
    }
}

fn parse_url(text: &str) -> Result<url::Url, GitError> {
    let url =
        url::Url::parse(text).map_err(|error| refuse(text, &format!("is not a URL ({error})")))?;
    if url.password().is_some() {
        let rule = "carries a password: put it into the credentials";
        return Err(refuse(text, rule));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(text, "must not hold `?` or `#`"));
    }
    Ok(url)
}

/// The path as bytes mean it; refuses encoded control characters and anything that is not UTF-8.
fn decoded_path(text: &str, url: &url::Url) -> Result<String, GitError> {
    let path = percent_encoding::percent_decode_str(url.path())
        .decode_utf8()
        .map_err(|_| refuse(text, "has a path that is not UTF-8"))?;
    if path.chars().any(char::is_control) {
        return Err(refuse(text, "has a control character in its path"));
    }
    if path.trim_matches('/').is_empty() {
        return Err(refuse(text, "names no repository: add its path"));
    }
    Ok(path.into_owned())
}

fn file_place(text: &str) -> Result<Place, GitError> {
    let url = parse_url(text)?;
    if url.host_str().is_some_and(|host| host != "localhost") {
        let rule = "names a host: write file:///path";
        return Err(refuse(text, rule));
    }
    decoded_path(text, &url)?;
    Ok(Place::File(format!("file://{}", url.path())))
}

fn http_place(text: &str) -> Result<Place, GitError> {
    let url = parse_url(text)?;
    if !url.username().is_empty() {
        let rule = "carries a user name or a token: put it into the credentials";
        return Err(refuse(text, rule));
    }
    decoded_path(text, &url)?;
    Ok(Place::Http(url))
}

fn ssh_place(text: &str) -> Result<Place, GitError> {
    let url = parse_url(text)?;
    let path = decoded_path(text, &url)?;
    // `ssh://host/~user/x` means a path that starts at that user's home.
    let path = match path.strip_prefix("/~") {
        Some(home) => format!("~{home}"),
        None => path,
    };
    let user = Some(url.username()).filter(|user| !user.is_empty());
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    checked_ssh(text, user, host, url.port(), path)
}

fn scp_place(text: &str) -> Result<Place, GitError> {
    let Some((login, path)) = text.split_once(':').filter(|(host, _)| !host.contains('/')) else {
        return Err(refuse(text, &format!("must read {SCHEMES}")));
    };
    if path.is_empty() || path.starts_with([':', '-']) || path.contains(['@', '\\']) {
        return Err(refuse(text, "must read git@host:path, without a password"));
    }
    let (user, host) = match login.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, login),
    };
    checked_ssh(text, user, host, None, path.to_owned())
}

/// What reaches the `ssh` program's command line is plain: no hyphen first, no character with a meaning of its own.
fn checked_ssh(
    text: &str,
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    path: String,
) -> Result<Place, GitError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host_is_plain = |c: char| is_plain(c) || c == ':';
    if host.is_empty() || host.starts_with('-') || !host.chars().all(host_is_plain) {
        return Err(refuse(text, "has a host that ssh cannot be trusted with"));
    }
    if user
        .is_some_and(|user| user.is_empty() || user.starts_with('-') || !user.chars().all(is_plain))
    {
        return Err(refuse(
            text,
            "has a user name that ssh cannot be trusted with",
        ));
    }
    Ok(Place::Ssh(SshPlace {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
        path,
    }))
}
