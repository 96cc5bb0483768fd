//! A repository, checked.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Repository,
    check::{at_least, secret},
    raw::{RawRepository, RawSecret, RawSsh},
};
use crate::{
    git::{
        credentials::Credentials,
        source::{Limits, Reference, RemoteUrl, Source},
    },
    manifest::{self, spec::RepoPath},
    name::{ObjectId, RepositoryName},
};

pub(super) fn repository(
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
        env: names,
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
    let allowed = allowed(names, env).map_err(told)?;
    Ok(Repository {
        name,
        source,
        token_file,
        path,
        interval,
        env: allowed,
    })
}

/// Names of the environment that manifests may ask for, and what they are set to.
fn allowed(
    names: Vec<String>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Option<String>>, String> {
    if let Some(name) = names.iter().find(|name| manifest::looks_secret(name)) {
        return Err(format!(
            "env: `{name}` looks like a secret, and variables stand in plans and records: write `{{ secret: NAME }}` in the manifest"
        ));
    }
    let value = |name: String| {
        let value = env(&name);
        (name, value)
    };
    Ok(names.into_iter().map(value).collect())
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
