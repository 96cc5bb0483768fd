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
    screen::{Screen, Tone},
    signals,
};
use crate::{
    clock::SystemClock,
    daemon::{
        config::Config,
        run::{self, Options},
        site::{self, Site, SiteOptions},
        telemetry::{self, LogFormat},
    },
    reconcile::points,
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
        points::from_environment(follow::variable);
        let (mut config, config_file) = follow.config()?;
        if let Some(listen) = listen {
            config.listen = *listen;
        }
        let data = match data.clone().or_else(|| config.data.clone()) {
            Some(data) => data,
            None => data_folder()?,
        };
        let metrics = telemetry::metrics().map_err(|error| CliError::of(&error))?;
        let site = SiteOptions {
            listen: config.listen,
            hosts: config.hosts.clone(),
            webhook_secret: config.webhook_secret.clone(),
            data: data.clone(),
            metrics: Some(metrics),
            clock: Arc::new(SystemClock),
        };
        let follows = follows(&config);
        let daemon = Options {
            config,
            config_file,
            data,
            identity: follow::azure_identity()?,
            search_path: follow::variable("PATH"),
            clock: Arc::new(SystemClock),
            env: follow::variable,
        };
        serve(screen, daemon, site, &follows).await
    }
}

async fn serve(
    screen: &Screen,
    options: Options,
    site: SiteOptions,
    follows: &[String],
) -> Result<Exit> {
    let data = options.data.clone();
    let daemon = Box::pin(run::start(options))
        .await
        .map_err(|error| start_error(&error, &data))?;
    let site = match site::start(&daemon, site).await {
        Ok(site) => site,
        Err(error) => {
            daemon.stop().await;
            return Err(
                CliError::of(&error).help("--listen names another address, --data another folder")
            );
        }
    };
    tell(screen, &site, &data, follows);
    signals::stopped().await;
    screen.remark("stopping: what is in hand is finished first; a second signal ends it at once");
    signals::or_at_once(async {
        daemon.stop().await;
        site.ended().await;
    })
    .await;
    Ok(Exit::Done)
}

fn tell(screen: &Screen, site: &Site, data: &Path, follows: &[String]) {
    let field = |name: &str, value: &str| {
        let name = screen.paint(Tone::Quiet, &format!("{name:<10}"));
        screen.line(&format!("{name} {}", screen.paint(Tone::Plain, value)));
    };
    field("dashboard", &format!("http://{}/", site.address));
    field("token", &site.token_file.display().to_string());
    field("data", &data.display().to_string());
    for followed in follows {
        field("follows", followed);
    }
}

/// `https://example.com/shop.git branch `main` every 60s`, one for each repository.
fn follows(config: &Config) -> Vec<String> {
    let told = config.repositories.iter().map(|repository| {
        format!(
            "{} {} every {:?}",
            repository.source.url, repository.source.reference, repository.interval
        )
    });
    told.collect()
}

/// Where a daemon keeps its data unless told otherwise.
pub(super) fn data_folder() -> Result<PathBuf> {
    let folders = ProjectDirs::from("dev", "verdigris", "verdigris").ok_or_else(|| {
        CliError::wrong("there is no home folder to keep data in")
            .help("name one with --data FOLDER")
    })?;
    Ok(folders.data_dir().to_owned())
}

fn start_error(error: &run::StartError, data: &Path) -> CliError {
    let told = CliError::of(error);
    match error {
        run::StartError::Store(_) => told.help(format!(
            "one daemon at a time uses {}; --data names another folder",
            data.display()
        )),
        run::StartError::Data { .. } => told.help("--data names another folder"),
        run::StartError::Config(_)
        | run::StartError::Gates(_)
        | run::StartError::Prometheus(_)
        | run::StartError::Watch(_)
        | run::StartError::Stopped => told,
    }
}
