//! Which repositories and which clouds: the arguments that `run` and `plan` share.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::exit::{CliError, Result};
use crate::{
    cloud::azure::AzureIdentity,
    daemon::config::{Config, identity},
};

/// The file that is read where nothing else is said.
const FILE: &str = "verdigris.yaml";

#[derive(Args, Debug)]
pub(super) struct Follow {
    /// The configuration file; without it and without --repo, verdigris.yaml here if there is one
    #[arg(long, value_name = "FILE", env = "VERDIGRIS_CONFIG")]
    config: Option<PathBuf>,
    /// Follow this repository and no other: https://…, ssh://…, file://…
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    repo: Option<String>,
    /// Its branch
    #[arg(
        long,
        value_name = "NAME",
        default_value = "main",
        conflicts_with = "config"
    )]
    branch: String,
    /// The folder whose manifests are read; all of it where unsaid
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "config"
    )]
    path: String,
    /// Where AWS is, instead of AWS itself: `verdigris local` prints it
    #[arg(long, value_name = "URL")]
    aws_endpoint: Option<Url>,
    /// Where Azure Resource Manager is, instead of Azure itself
    #[arg(long, value_name = "URL")]
    azure_endpoint: Option<Url>,
}

impl Follow {
    /// The configuration, and the file that it came from.
    pub(super) fn config(&self) -> Result<(Config, Option<PathBuf>)> {
        let (mut config, file) = match &self.repo {
            Some(url) => (self.of_repository(url)?, None),
            None => self.of_file()?,
        };
        if let Some(endpoint) = &self.aws_endpoint {
            config.aws.endpoint = Some(endpoint.clone());
        }
        if let Some(endpoint) = &self.azure_endpoint {
            config.azure.endpoint = Some(endpoint.clone());
        }
        Ok((config, file))
    }

    fn of_repository(&self, url: &str) -> Result<Config> {
        Config::for_repository(url, &self.branch, &self.path).map_err(|message| {
            CliError::wrong(message)
                .help("for example: --repo https://example.com/shop.git --branch main")
        })
    }

    fn of_file(&self) -> Result<(Config, Option<PathBuf>)> {
        let file = match &self.config {
            Some(file) => file.clone(),
            None => PathBuf::from(FILE),
        };
        if self.config.is_none() && !file.exists() {
            return Err(CliError::wrong(format!(
                "no repository to follow: there is no {FILE} here"
            ))
            .help("name one with --repo URL, or a configuration with --config FILE"));
        }
        let config = Config::load(&file, &variable).map_err(|error| CliError::of(&error))?;
        if config.repositories.is_empty() {
            return Err(
                CliError::wrong(format!("`{}` names no repository", file.display()))
                    .help("add one under `repositories:`, or use --repo URL"),
            );
        }
        Ok((config, Some(file)))
    }
}

/// A variable of the environment, where it is text.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line reads the environment"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the environment says about us to Azure.
pub(super) fn azure_identity() -> Result<AzureIdentity> {
    identity::from_environment(&variable).map_err(CliError::wrong)
}
