//! The daemon's own configuration: `verdigris.yaml`. Everything has a working default.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::{
    gates::metric::prometheus::Access,
    git::{
        credentials::Credentials,
        source::{Limits, Reference, RemoteUrl, Source},
    },
    manifest,
    manifest::spec::RepoPath,
    name::{ObjectId, RepositoryName},
    plan::state::Policy,
};

/// Where the API listens unless told otherwise.
pub const LISTEN: &str = "127.0.0.1:7654";

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub repositories: Vec<Repository>,
    /// The folder of the store, the mirrors, the packages and the token. None means the platform's data folder.
    pub data: Option<PathBuf>,
    pub listen: SocketAddr,
    /// Host names that the API answers to, beside this machine's own.
    pub hosts: Vec<String>,
    /// What senders of webhooks must know; without it anybody who reaches the API may say "look now".
    pub webhook_secret: Option<SecretString>,
    pub resync: Duration,
    /// Whether services that Git no longer names are deleted.
    pub prune: bool,
    /// Share of an environment's services that may be deleted at once, in percent.
    pub prune_share: usize,
    pub build_timeout: Duration,
    pub aws: AwsAccess,
    pub azure: AzureAccess,
    /// Requests of `load` gates that may be under way at once, over all of them.
    pub load_requests: u32,
    /// Prometheus servers that `metric` gates may ask, by name.
    pub prometheus: BTreeMap<String, PrometheusAccess>,
}

/// A repository to follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repository {
    pub name: RepositoryName,
    pub source: Source,
    /// Where the token was read from, since it may be another one by now.
    pub token_file: Option<PathBuf>,
    /// The folder whose manifests are read.
    pub path: RepoPath,
    pub interval: Duration,
}

/// How AWS is reached. Without an endpoint it is the real one, with the vendor's own credential chain.
#[derive(Clone, Debug, Default)]
pub struct AwsAccess {
    pub endpoint: Option<Url>,
    pub profile: Option<String>,
    /// Where packages go that are too large for a request; in the region of the functions.
    pub bucket: Option<String>,
}

/// How Azure is reached. Without an endpoint it is the public cloud.
#[derive(Clone, Debug, Default)]
pub struct AzureAccess {
    pub endpoint: Option<Url>,
    pub authority: Option<Url>,
    pub ca_file: Option<PathBuf>,
}

/// How a Prometheus server is reached.
#[derive(Clone, Debug)]
pub struct PrometheusAccess {
    pub url: Url,
    pub access: Access,
    pub ca_file: Option<PathBuf>,
}

/// What is wrong with the configuration, where, and what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to read configuration `{}`", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("configuration `{}`{place}: {message}", path.display())]
    Wrong {
        path: PathBuf,
        place: Place,
        message: String,
    },
}

/// Line and column, where they are known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Place(Option<(usize, usize)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            repositories: Vec::new(),
            data: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 7654)),
            hosts: Vec::new(),
            webhook_secret: None,
            resync: Duration::from_secs(60),
            prune: true,
            prune_share: Policy::default().prune_share,
            build_timeout: Duration::from_secs(600),
            aws: AwsAccess::default(),
            azure: AzureAccess::default(),
            load_requests: 256,
            prometheus: BTreeMap::new(),
        }
    }
}

impl Repository {
    /// The same with the token that its file holds now; none where that is the same, there is no such file, or it holds no token.
    /// Blocks.
    pub fn with_renewed_token(&self) -> Option<Self> {
        let text = std::fs::read_to_string(self.token_file.as_ref()?).ok()?;
        let Credentials::Token { username, token: _ } = &self.source.credentials else {
            return None;
        };
        let mut renewed = self.clone();
        renewed.source.credentials = Credentials::Token {
            username: username.clone(),
            token: not_empty(&text).ok()?,
        };
        (renewed != *self).then_some(renewed)
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is wrong; the message names the place and what to write instead.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text, env)
    }

    /// Reads a text. `env` gives the environment's variables that the text names.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse(
        path: &Path,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let wrong = |place, message| ConfigError::Wrong {
            path: path.to_owned(),
            place,
            message,
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let raw: Raw = serde_yaml::from_str(text).map_err(|error| {
            let place = Place(error.location().map(|at| (at.line(), at.column())));
            wrong(place, error.to_string())
        })?;
        check(raw, env).map_err(|message| wrong(Place::default(), message))
    }

    /// A configuration for one repository and nothing else, as `verdigris run --repo URL` has it.
    ///
    /// # Errors
    ///
    /// An address or branch that cannot be one.
    pub fn for_repository(url: &str, branch: &str, path: &str) -> Result<Self, String> {
        let raw = RawRepository {
            url: url.to_owned(),
            branch: Some(branch.to_owned()),
            path: path.to_owned(),
            ..RawRepository::default()
        };
        let repository = repository(raw, &|_| None)?;
        Ok(Self {
            repositories: vec![repository],
            ..Self::default()
        })
    }
}

// === as written ===

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Raw {
    repositories: Vec<RawRepository>,
    data: Option<PathBuf>,
    listen: Option<String>,
    hosts: Vec<String>,
    webhooks: RawWebhooks,
    resync: Option<String>,
    prune: Option<bool>,
    prune_share: Option<usize>,
    build: RawBuild,
    clouds: RawClouds,
    gates: RawGates,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawRepository {
    name: Option<String>,
    url: String,
    branch: Option<String>,
    tag: Option<String>,
    commit: Option<String>,
    path: String,
    interval: Option<String>,
    timeout: Option<String>,
    max_megabytes: Option<u64>,
    username: Option<String>,
    token: Option<RawSecret>,
    ssh: Option<RawSsh>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawWebhooks {
    secret: Option<RawSecret>,
}

/// Where a secret is: never in the file itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawSecret {
    env: Option<String>,
    file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSsh {
    key: PathBuf,
    known_hosts: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawBuild {
    timeout: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawClouds {
    aws: RawAws,
    azure: RawAzure,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawGates {
    load_requests: Option<u32>,
    prometheus: Vec<RawPrometheus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawPrometheus {
    name: Option<String>,
    url: Url,
    token: Option<RawSecret>,
    username: Option<String>,
    password: Option<RawSecret>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawAws {
    endpoint: Option<Url>,
    profile: Option<String>,
    bucket: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawAzure {
    endpoint: Option<Url>,
    authority: Option<Url>,
    ca_file: Option<PathBuf>,
}

// === as written -> checked ===

fn check(raw: Raw, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
    let Raw {
        repositories,
        data,
        listen,
        hosts,
        webhooks,
        resync,
        prune,
        prune_share,
        build,
        clouds,
        gates,
    } = raw;
    let secret_of =
        |raw: &RawSecret| secret(raw, env).map_err(|message| format!("webhooks.secret: {message}"));
    let RawClouds { aws, azure } = clouds;
    let standard = Config::default();
    let mut names = BTreeSet::new();
    let mut checked = Vec::new();
    for raw in repositories {
        let repository = repository(raw, env)?;
        if !names.insert(repository.name.clone()) {
            return Err(format!(
                "two repositories are called `{}`: give one another `name`",
                repository.name
            ));
        }
        checked.push(repository);
    }
    let listen = match listen {
        None => standard.listen,
        Some(text) => text
            .parse()
            .map_err(|_| format!("listen: `{text}` must read like {LISTEN}"))?,
    };
    Ok(Config {
        repositories: checked,
        data,
        listen,
        hosts,
        webhook_secret: webhooks.secret.as_ref().map(secret_of).transpose()?,
        resync: at_least("resync", resync, standard.resync, Duration::from_secs(1))?,
        prune: prune.unwrap_or(standard.prune),
        prune_share: match prune_share.unwrap_or(standard.prune_share) {
            share @ 0..=100 => share,
            share => {
                return Err(format!(
                    "pruneShare: {share} is no share: write percent, 0 to 100"
                ));
            }
        },
        build_timeout: at_least(
            "build.timeout",
            build.timeout,
            standard.build_timeout,
            Duration::from_secs(1),
        )?,
        aws: AwsAccess {
            endpoint: aws.endpoint,
            profile: aws.profile,
            bucket: aws.bucket,
        },
        azure: AzureAccess {
            endpoint: azure.endpoint,
            authority: azure.authority,
            ca_file: azure.ca_file,
        },
        load_requests: load_requests(gates.load_requests, standard.load_requests)?,
        prometheus: prometheus(gates.prometheus, env)?,
    })
}

fn load_requests(written: Option<u32>, standard: u32) -> Result<u32, String> {
    match written {
        None => Ok(standard),
        Some(number @ 1..=100_000) => Ok(number),
        Some(number) => Err(format!(
            "gates.loadRequests: {number} must be between 1 and 100000"
        )),
    }
}

fn prometheus(
    servers: Vec<RawPrometheus>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, PrometheusAccess>, String> {
    let mut checked = BTreeMap::new();
    for server in servers {
        let RawPrometheus {
            name,
            url,
            token,
            username,
            password,
            ca_file,
        } = server;
        let name = name.unwrap_or_else(|| "main".to_owned());
        let told = |message: String| format!("gates.prometheus: server `{name}`: {message}");
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
            let message = "write an http(s) address without a user in it";
            return Err(told(message.to_owned()));
        }
        let secret = |raw: &RawSecret| secret(raw, env).map_err(told);
        let access = match (&token, username, &password) {
            (None, None, None) => Access::Open,
            (Some(token), None, None) => Access::Bearer(secret(token)?),
            (None, Some(username), Some(password)) => Access::Basic {
                username,
                password: secret(password)?,
            },
            _ => {
                let message = "write `token`, or `username` and `password`, or none of them";
                return Err(told(message.to_owned()));
            }
        };
        let access = PrometheusAccess {
            url,
            access,
            ca_file,
        };
        if checked.insert(name.clone(), access).is_some() {
            return Err(format!(
                "gates.prometheus: two servers are called `{name}`: give one another `name`"
            ));
        }
    }
    Ok(checked)
}

fn at_least(
    field: &str,
    text: Option<String>,
    standard: Duration,
    least: Duration,
) -> Result<Duration, String> {
    let Some(text) = text else {
        return Ok(standard);
    };
    let value = manifest::duration(&text).map_err(|message| format!("{field}: {message}"))?;
    if value < least {
        return Err(format!("{field}: `{text}` is shorter than {least:?}"));
    }
    Ok(value)
}

fn repository(
    raw: RawRepository,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Repository, String> {
    let RawRepository {
        name,
        url,
        branch,
        tag,
        commit,
        path,
        interval,
        timeout,
        max_megabytes,
        username,
        token,
        ssh,
        ca_file,
    } = raw;
    let address: RemoteUrl = url
        .parse()
        .map_err(|error| format!("repositories: {error}"))?;
    let name = match name {
        Some(name) => RepositoryName::new(name),
        None => RepositoryName::new(name_of(&url)),
    }
    .map_err(|error| format!("repositories: {error}: write a `name`"))?;
    let told = |message: String| format!("repository {name}: {message}");
    let reference = match (branch, tag, commit) {
        (branch, None, None) => Reference::Branch(branch.unwrap_or_else(|| "main".to_owned())),
        (None, Some(tag), None) => Reference::Tag(tag),
        (None, None, Some(commit)) => {
            Reference::Commit(ObjectId::new(commit).map_err(|error| told(error.to_string()))?)
        }
        _ => return Err(told("write one of `branch`, `tag` and `commit`".to_owned())),
    };
    let token_file = token.as_ref().and_then(|token| token.file.clone());
    let mut source = Source::new(address, reference);
    source.credentials = credentials(username, token, ssh, env).map_err(told)?;
    source.authorities = ca_file;
    let standard = Limits::default();
    source.limits = Limits {
        timeout: at_least("timeout", timeout, standard.timeout, Duration::from_secs(1))
            .map_err(told)?,
        max_bytes: max_megabytes.map_or(standard.max_bytes, |megabytes| {
            megabytes.saturating_mul(1 << 20)
        }),
        max_objects: standard.max_objects,
    };
    source.check().map_err(|error| told(error.to_string()))?;
    let path = RepoPath::new(path).map_err(|error| told(error.to_string()))?;
    let interval = at_least(
        "interval",
        interval,
        Duration::from_secs(60),
        Duration::from_secs(1),
    )
    .map_err(told)?;
    Ok(Repository {
        name,
        source,
        token_file,
        path,
        interval,
    })
}

/// `https://host/acme/Shop.git` is called `shop`.
fn name_of(url: &str) -> String {
    let last = url
        .trim_end_matches('/')
        .rsplit(['/', ':'])
        .next()
        .unwrap_or_default();
    let plain: String = last.trim_end_matches(".git").to_ascii_lowercase();
    plain
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect::<String>()
        .trim_matches('-')
        .to_owned()
}

fn credentials(
    username: Option<String>,
    token: Option<RawSecret>,
    ssh: Option<RawSsh>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Credentials, String> {
    match (token, ssh) {
        (None, None) => Ok(Credentials::None),
        (Some(_), Some(_)) => Err("write `token` or `ssh`, not both".to_owned()),
        (None, Some(RawSsh { key, known_hosts })) => Ok(Credentials::Ssh { key, known_hosts }),
        (Some(token), None) => {
            // What GitHub, GitLab and Azure DevOps take with a token.
            let username = username.unwrap_or_else(|| "x-access-token".to_owned());
            Ok(Credentials::Token {
                username,
                token: secret(&token, env).map_err(|message| format!("token: {message}"))?,
            })
        }
    }
}

fn secret(raw: &RawSecret, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString, String> {
    let RawSecret {
        env: variable,
        file,
    } = raw;
    let text = match (variable, file) {
        (Some(variable), None) => {
            env(variable).ok_or_else(|| format!("variable `{variable}` is not set"))?
        }
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| format!("`{}`: {error}", file.display()))?,
        _ => return Err("write one of `env` and `file`".to_owned()),
    };
    not_empty(&text)
}

/// An empty secret would let everybody in, or nobody; neither was meant.
fn not_empty(text: &str) -> Result<SecretString, String> {
    match text.trim() {
        "" => Err("is empty: write a secret there, or leave the field out".to_owned()),
        text => Ok(SecretString::from(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let env = |name: &str| match name {
            "TOKEN" => Some("s3cret".to_owned()),
            "BLANK" => Some(" \n".to_owned()),
            _ => None,
        };
        Config::parse(Path::new("verdigris.yaml"), text, &env).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = parse("").unwrap();
        assert_eq!(config.listen.to_string(), LISTEN);
        assert!(config.repositories.is_empty());
    }

    #[test]
    fn a_repository_needs_no_more_than_its_address() {
        let config = parse("repositories:\n  - url: https://example.com/acme/Shop.git\n").unwrap();
        assert_eq!(config.repositories[0].name.as_str(), "shop");
        assert_eq!(
            config.repositories[0].source.reference,
            Reference::Branch("main".to_owned())
        );
    }

    #[test]
    fn faults_name_the_place_and_the_way_out() {
        for (text, told) in [
            (
                "resync: 10",
                "configuration `verdigris.yaml`: resync: has no unit: write `10s` for seconds",
            ),
            (
                "listen: everywhere",
                "configuration `verdigris.yaml`: listen: `everywhere` must read like 127.0.0.1:7654",
            ),
            (
                "repositories:\n  - url: https://example.com/a\n    token: {env: NOPE}\n",
                "configuration `verdigris.yaml`: repository a: token: variable `NOPE` is not set",
            ),
            (
                "repositories:\n  - url: https://example.com/a\n    token: {env: BLANK}\n",
                "configuration `verdigris.yaml`: repository a: token: is empty: write a secret there, or leave the field out",
            ),
            (
                "webhooks: {secret: {env: BLANK}}",
                "configuration `verdigris.yaml`: webhooks.secret: is empty: write a secret there, or leave the field out",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), told);
        }
        let told = parse("prune: true\nreposotories: []\n").unwrap_err();
        assert!(
            told.starts_with("configuration `verdigris.yaml`:2:1: unknown field `reposotories`"),
            "{told}"
        );
    }

    #[test]
    fn a_token_is_shown_nowhere() {
        let config =
            parse("repositories:\n  - url: https://example.com/a\n    token: {env: TOKEN}\n")
                .unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
