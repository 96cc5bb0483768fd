//! `verdigris run`: the daemon.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use directories::ProjectDirs;

use super::{
    exit::{CliError, Exit, Result},
    follow::{self, Follow},
    screen::Screen,
    signals,
};
use crate::{
    clock::SystemClock,
    daemon::{
        config::Config,
        run::{self, Daemon, Options},
        telemetry::{self, LogFormat},
    },
};

/// Follows repositories, and brings what they ask for to both clouds
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verdigris run --repo https://example.com/shop.git
  verdigris run --config /etc/verdigris/verdigris.yaml --log-format json

It stops on SIGINT and SIGTERM once what is in hand has finished; a second signal ends it at once, which is safe too.")]
pub(super) struct Run {
    #[command(flatten)]
    follow: Follow,
    /// The folder of the store, the mirrors and the packages; the platform's data folder where unsaid
    #[arg(long, value_name = "FOLDER", env = "VERDIGRIS_DATA")]
    data: Option<PathBuf>,
    /// Where the API and the dashboard listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormatArg,
    /// What is logged, for example `warn,verdigris=debug`
    #[arg(long, value_name = "FILTER", env = "VERDIGRIS_LOG", default_value = telemetry::FILTER)]
    log: String,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormatArg {
    #[default]
    Text,
    Json,
}

impl From<LogFormatArg> for LogFormat {
    fn from(arg: LogFormatArg) -> Self {
        match arg {
            LogFormatArg::Text => Self::Text,
            LogFormatArg::Json => Self::Json,
        }
    }
}

impl Run {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            follow,
            data,
            listen,
            log_format,
            log,
        } = self;
        telemetry::logs((*log_format).into(), log, screen.is_err_colored())
            .map_err(|error| CliError::of(&error))?;
        let (mut config, config_file) = follow.config()?;
        if let Some(listen) = listen {
            config.listen = *listen;
        }
        let data = match data.clone().or_else(|| config.data.clone()) {
            Some(data) => data,
            None => data_folder()?,
        };
        tell_start(screen, &config, &data);
        let options = Options {
            config,
            config_file,
            data,
            identity: follow::azure_identity(),
            search_path: follow::variable("PATH"),
            clock: Arc::new(SystemClock),
            env: follow::variable,
        };
        let daemon = Box::pin(run::start(options))
            .await
            .map_err(|error| start_error(&error))?;
        serve(screen, daemon).await
    }
}

async fn serve(screen: &Screen, daemon: Daemon) -> Result<Exit> {
    signals::stopped().await;
    screen.remark("stopping: what is in hand is finished first");
    signals::or_at_once(daemon.stop()).await;
    Ok(Exit::Done)
}

fn tell_start(screen: &Screen, config: &Config, data: &Path) {
    for repository in &config.repositories {
        screen.line(&format!(
            "follows   {} {:?} every {:?}",
            repository.source.url, repository.source.reference, repository.interval
        ));
    }
    screen.line(&format!("data      {}", data.display()));
}

fn data_folder() -> Result<PathBuf> {
    let folders = ProjectDirs::from("dev", "verdigris", "verdigris").ok_or_else(|| {
        CliError::wrong("there is no home folder to keep data in")
            .help("name one with --data FOLDER")
    })?;
    Ok(folders.data_dir().to_owned())
}

fn start_error(error: &run::StartError) -> CliError {
    CliError::of(error)
}
