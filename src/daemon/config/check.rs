//! From what is written to what is checked. An error names the field and what to write instead.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    time::Duration,
};

use secrecy::SecretString;

use super::{
    AwsAccess, AwsCalls, AwsOwn, AzureAccess, AzureCalls, Config, LISTEN, PrometheusAccess,
    identity::{identities, identity},
    raw::{
        Raw, RawAws, RawAwsCalls, RawAwsEnvironment, RawAzure, RawAzureCalls, RawClouds,
        RawPrometheus, RawSecret,
    },
    repository::repository,
};
use crate::{
    cloud::aws::KEEP_VERSIONS, gates::metric::prometheus::Access, manifest, name::EnvironmentName,
};

/// No cloud publishes more, and no local endpoint needs more.
const RATE_MAX: u32 = 1000;

pub(super) fn check(raw: Raw, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
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
        aws: aws_access(aws)?,
        azure: azure_access(azure, env)?,
        load_requests: load_requests(gates.load_requests, standard.load_requests)?,
        prometheus: prometheus(gates.prometheus, env)?,
    })
}

/// Lambda lists fifty versions a page, and all of them are listed for each release.
const KEEP_VERSIONS_MAX: usize = 500;

fn aws_access(raw: RawAws) -> Result<AwsAccess, String> {
    let RawAws {
        endpoint,
        profile,
        bucket,
        environments,
        calls_per_second,
        keep_versions,
    } = raw;
    let mut own = BTreeMap::new();
    for (name, RawAwsEnvironment { profile, bucket }) in environments {
        let environment = EnvironmentName::new(name.clone());
        let environment =
            environment.map_err(|error| format!("clouds.aws.environments: `{name}`: {error}"))?;
        own.insert(environment, AwsOwn { profile, bucket });
    }
    let RawAwsCalls {
        get_function,
        other,
    } = calls_per_second;
    Ok(AwsAccess {
        endpoint,
        profile,
        bucket,
        environments: own,
        calls: AwsCalls {
            get_function: rate("clouds.aws.callsPerSecond.getFunction", get_function)?,
            other: rate("clouds.aws.callsPerSecond.other", other)?,
        },
        keep_versions: match keep_versions.unwrap_or(KEEP_VERSIONS) {
            number @ 0..=KEEP_VERSIONS_MAX => number,
            number => {
                return Err(format!(
                    "clouds.aws.keepVersions: {number} must be between 0 and {KEEP_VERSIONS_MAX}"
                ));
            }
        },
    })
}

fn rate(field: &str, written: Option<u32>) -> Result<Option<NonZeroU32>, String> {
    let Some(number) = written else {
        return Ok(None);
    };
    let rate = NonZeroU32::new(number).filter(|it| it.get() <= RATE_MAX);
    let wrong = || format!("{field}: {number} must be between 1 and {RATE_MAX}");
    rate.map(Some).ok_or_else(wrong)
}

fn azure_access(
    raw: RawAzure,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<AzureAccess, String> {
    let RawAzure {
        endpoint,
        authority,
        ca_file,
        identity: shared,
        identities: own,
        calls_per_second: RawAzureCalls { reads, writes },
    } = raw;
    let shared = shared.map(|raw| identity(raw, env)).transpose();
    let shared = shared.map_err(|message| format!("clouds.azure.identity: {message}"))?;
    Ok(AzureAccess {
        endpoint,
        authority,
        ca_file,
        identity: shared.flatten(),
        identities: identities(own, env)?,
        calls: AzureCalls {
            reads: rate("clouds.azure.callsPerSecond.reads", reads)?,
            writes: rate("clouds.azure.callsPerSecond.writes", writes)?,
        },
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

pub(super) fn at_least(
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

pub(super) fn secret(
    raw: &RawSecret,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<SecretString, String> {
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
pub(super) fn not_empty(text: &str) -> Result<SecretString, String> {
    match text.trim() {
        "" => Err("is empty: write a secret there, or leave the field out".to_owned()),
        text => Ok(SecretString::from(text.to_owned())),
    }
}
