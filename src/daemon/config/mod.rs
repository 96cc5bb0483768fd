//! The daemon's own configuration: `verdigris.yaml`. Everything has a working default.

mod check;
pub mod identity;
mod raw;
mod repository;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

use self::raw::{Raw, RawRepository};
use crate::{
    cloud::{aws::KEEP_VERSIONS, azure::AzureSource},
    gates::metric::prometheus::Access,
    git::{credentials::Credentials, source::Source},
    manifest::spec::RepoPath,
    name::{EnvironmentName, RepositoryName},
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
    /// Names of the daemon's environment that its manifests may ask for, and what they are set to. None of them is a secret.
    pub env: BTreeMap<String, Option<String>>,
}

/// How AWS is reached. Without an endpoint it is the real one, with the vendor's own credential chain.
#[derive(Clone, Debug)]
pub struct AwsAccess {
    pub endpoint: Option<Url>,
    pub profile: Option<String>,
    /// Where packages go that are too large for a request; in the region of the functions.
    pub bucket: Option<String>,
    /// What environments have of their own.
    pub environments: BTreeMap<EnvironmentName, AwsOwn>,
    /// Calls a second; what the cloud publishes where unsaid.
    pub calls: AwsCalls,
    /// Of the versions of a function, how many of the newest stay beside those that a slot needs.
    pub keep_versions: usize,
}

/// What one environment has in the place of what all have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AwsOwn {
    pub profile: Option<String>,
    pub bucket: Option<String>,
}

/// How often an account of AWS is called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AwsCalls {
    pub get_function: Option<NonZeroU32>,
    pub other: Option<NonZeroU32>,
}

/// How often a subscription of Azure is called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AzureCalls {
    pub reads: Option<NonZeroU32>,
    pub writes: Option<NonZeroU32>,
}

/// How Azure is reached. Without an endpoint it is the public cloud.
#[derive(Clone, Debug, Default)]
pub struct AzureAccess {
    pub endpoint: Option<Url>,
    pub authority: Option<Url>,
    pub ca_file: Option<PathBuf>,
    /// Who we are there; the vendor's chain where unsaid.
    pub identity: Option<AzureSource>,
    /// The same for environments that have their own; `None` is the vendor's chain.
    pub identities: BTreeMap<EnvironmentName, Option<AzureSource>>,
    /// Calls a second; what the cloud publishes where unsaid.
    pub calls: AzureCalls,
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

impl Default for AwsAccess {
    fn default() -> Self {
        Self {
            endpoint: None,
            profile: None,
            bucket: None,
            environments: BTreeMap::new(),
            calls: AwsCalls::default(),
            keep_versions: KEEP_VERSIONS,
        }
    }
}

impl AwsAccess {
    /// What counts in an environment: its own, else what all have.
    pub fn of(&self, environment: &EnvironmentName) -> AwsOwn {
        let own = self.environments.get(environment);
        let AwsOwn { profile, bucket } = own.cloned().unwrap_or_default();
        AwsOwn {
            profile: profile.or_else(|| self.profile.clone()),
            bucket: bucket.or_else(|| self.bucket.clone()),
        }
    }
}

impl AzureAccess {
    /// The way that is chosen for an environment; none for the vendor's chain.
    pub fn source(&self, environment: &EnvironmentName) -> Option<AzureSource> {
        match self.identities.get(environment) {
            Some(own) => own.clone(),
            None => self.identity.clone(),
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
            token: check::not_empty(&text).ok()?,
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
        check::check(raw, env).map_err(|message| wrong(Place::default(), message))
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
        let repository = repository::repository(raw, &|_| None)?;
        Ok(Self {
            repositories: vec![repository],
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::source::Reference;

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
    fn each_environment_may_have_a_profile_and_a_bucket_of_its_own() {
        let text = "clouds: { aws: { profile: shop, bucket: all, environments: { prod: { profile: shop-prod }, us: { bucket: in-the-us } } } }";
        let aws = parse(text).unwrap().aws;
        for (environment, profile, bucket) in [
            ("prod", "shop-prod", "all"),
            ("us", "shop", "in-the-us"),
            ("dev", "shop", "all"),
        ] {
            let own = aws.of(&EnvironmentName::new(environment).unwrap());
            assert_eq!(own.profile.as_deref(), Some(profile), "{environment}");
            assert_eq!(own.bucket.as_deref(), Some(bucket), "{environment}");
        }
        let wrong = parse("clouds: { aws: { environments: { 'a/b': {} } } }").unwrap_err();
        assert!(
            wrong.contains("clouds.aws.environments: `a/b`: "),
            "{wrong}"
        );
    }

    #[test]
    fn how_many_versions_stay_is_said_once_for_all() {
        for (text, kept) in [
            ("", 5),
            ("clouds: { aws: { keepVersions: 0 } }", 0),
            ("clouds: { aws: { keepVersions: 20 } }", 20),
        ] {
            assert_eq!(parse(text).unwrap().aws.keep_versions, kept, "{text}");
        }
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
                "clouds: { azure: { callsPerSecond: { reads: 0 } } }",
                "configuration `verdigris.yaml`: clouds.azure.callsPerSecond.reads: 0 must be between 1 and 1000",
            ),
            (
                "clouds: { aws: { keepVersions: 501 } }",
                "configuration `verdigris.yaml`: clouds.aws.keepVersions: 501 must be between 0 and 500",
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
