//! The configuration as it is written.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use url::Url;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) repositories: Vec<RawRepository>,
    pub(super) data: Option<PathBuf>,
    pub(super) listen: Option<String>,
    pub(super) hosts: Vec<String>,
    pub(super) webhooks: RawWebhooks,
    pub(super) resync: Option<String>,
    pub(super) prune: Option<bool>,
    pub(super) prune_share: Option<usize>,
    pub(super) build: RawBuild,
    pub(super) clouds: RawClouds,
    pub(super) gates: RawGates,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawRepository {
    pub(super) name: Option<String>,
    pub(super) url: String,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) path: String,
    pub(super) interval: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) max_megabytes: Option<u64>,
    pub(super) username: Option<String>,
    pub(super) token: Option<RawSecret>,
    pub(super) ssh: Option<RawSsh>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) env: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawWebhooks {
    pub(super) secret: Option<RawSecret>,
}

/// Where a secret is: never in the file itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawSecret {
    pub(super) env: Option<String>,
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawSsh {
    pub(super) key: PathBuf,
    pub(super) known_hosts: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawBuild {
    pub(super) timeout: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawClouds {
    pub(super) aws: RawAws,
    pub(super) azure: RawAzure,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawGates {
    pub(super) load_requests: Option<u32>,
    pub(super) prometheus: Vec<RawPrometheus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawPrometheus {
    pub(super) name: Option<String>,
    pub(super) url: Url,
    pub(super) token: Option<RawSecret>,
    pub(super) username: Option<String>,
    pub(super) password: Option<RawSecret>,
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawAws {
    pub(super) endpoint: Option<Url>,
    pub(super) profile: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) environments: BTreeMap<String, RawAwsEnvironment>,
    pub(super) calls_per_second: RawAwsCalls,
    pub(super) keep_versions: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawAwsEnvironment {
    pub(super) profile: Option<String>,
    pub(super) bucket: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawAwsCalls {
    pub(super) get_function: Option<u32>,
    pub(super) other: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawAzureCalls {
    pub(super) reads: Option<u32>,
    pub(super) writes: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawAzure {
    pub(super) endpoint: Option<Url>,
    pub(super) authority: Option<Url>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) identity: Option<RawIdentity>,
    pub(super) identities: BTreeMap<String, RawIdentity>,
    pub(super) calls_per_second: RawAzureCalls,
}

/// Who we are to Azure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawIdentity {
    pub(super) from: RawWay,
    pub(super) tenant: Option<RawText>,
    pub(super) client: Option<RawText>,
    pub(super) secret: Option<RawSecret>,
    pub(super) certificate: Option<RawText>,
    pub(super) send_chain: Option<bool>,
    pub(super) token_file: Option<RawText>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawWay {
    Chain,
    Secret,
    Certificate,
    Federated,
    Managed,
    Cli,
}

/// No secret: it may stand in the file, or in a variable that the file names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawText {
    Written(String),
    Named { env: String },
}
