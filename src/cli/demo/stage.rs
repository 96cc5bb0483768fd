//! The stage: both clouds, a repository and a controller, in one temporary folder and on free loopback ports.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    ask,
    example::{self, Shown},
    machine::Machine,
    teller::Teller,
};
use crate::cli::{
    exit::{CliError, Result},
    screen::Tone,
};
use crate::{
    clock::SystemClock,
    cloud::azure::AzureIdentity,
    daemon::{
        config::Config,
        run::{self, Daemon, Options},
        site::{self, Site, SiteOptions},
        telemetry,
    },
    git::author::Author,
    local::{
        arm::{self, ArmEndpoint, ArmOptions},
        lambda::{self, LambdaEndpoint, LambdaOptions},
    },
    name::{CloudName, FunctionName, ObjectId, ServiceKey},
};

/// A free port of this machine.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The repository is asked at once after each commit, as by a webhook; this is for what a person commits later.
const POLL: Duration = Duration::from_secs(1);

/// How often live state is looked at: a minute by default, which is long for somebody who watches.
pub(super) const RESYNC: Duration = Duration::from_secs(2);

/// How long the clouds are pending: as short as keeps the states visible.
const PENDING: Duration = Duration::from_millis(100);

/// Everything that runs.
pub(super) struct Stage {
    pub(super) daemon: Daemon,
    pub(super) site: Site,
    pub(super) author: Author,
    pub(super) http: reqwest::Client,
    pub(super) shown: Vec<Shown>,
    /// The commit that opens the shop.
    pub(super) opening: ObjectId,
    aws: LambdaEndpoint,
    azure: ArmEndpoint,
    clouds: CancellationToken,
    folder: TempDir,
}

impl Stage {
    pub(super) async fn start(folder: TempDir, machine: Machine) -> Result<Self> {
        let clouds = CancellationToken::new();
        let (aws, azure) = start_clouds(&folder, &clouds).await?;
        let shown = example::services(&machine);
        let (author, opening) = open_shop(&folder, &shown)?;
        let config = config(&aws, &azure, &author)?;
        let data = folder.path().join("data");
        let options = Options {
            config,
            config_file: None,
            data: data.clone(),
            identity: AzureIdentity::default(),
            search_path: machine.search_path,
            clock: Arc::new(SystemClock),
            env: |_| None,
        };
        let daemon = Box::pin(run::start(options))
            .await
            .map_err(|error| CliError::of(&error))?;
        let site = SiteOptions {
            listen: ANYWHERE,
            hosts: Vec::new(),
            webhook_secret: None,
            data,
            metrics: Some(telemetry::metrics().map_err(|error| CliError::of(&error))?),
            clock: Arc::new(SystemClock),
        };
        let site = site::start(&daemon, site)
            .await
            .map_err(|error| CliError::of(&error))?;
        Ok(Self {
            daemon,
            site,
            author,
            http: ask::client().map_err(|error| CliError::of(&error))?,
            shown,
            opening,
            aws,
            azure,
            clouds,
            folder,
        })
    }

    pub(super) fn tell(&self, teller: &Teller<'_>) {
        let line = |subject, text: &str| teller.line(Tone::Plain, subject, text);
        line("AWS", &format!("{} speaks as Lambda", self.aws_url()));
        line(
            "Azure",
            &format!("{} speaks as Resource Manager", self.azure_url()),
        );
        line("Git", &self.author.folder().display().to_string());
        line(
            "controller",
            &format!("{} is its dashboard", self.dashboard()),
        );
    }

    /// For whoever stays after the story.
    pub(super) fn invite(&self, teller: &Teller<'_>) {
        teller.end("now it is yours; Ctrl-C ends everything and leaves nothing behind");
        teller.line(Tone::Strong, "dashboard", &self.dashboard());
        teller.line(
            Tone::Plain,
            "repository",
            "change something, commit to main, and watch it go live",
        );
        teller.command(&format!("cd {}", self.author.folder().display()));
        teller.line(Tone::Plain, "controller", "ask it from another terminal");
        let token = self.site.token_file.display();
        teller.command(&format!("export VERDIGRIS_SERVER={}", self.server()));
        teller.command(&format!("export VERDIGRIS_TOKEN_FILE={token}"));
        teller.command("verdigris get; verdigris resume price; verdigris history price");
    }

    /// Ends everything: what is in hand first, then the functions, then the folder.
    pub(super) async fn take_down(self) {
        let folder = self.end().await;
        if let Err(error) = folder.close() {
            tracing::error!(%error, "the folder could not be removed");
        }
    }

    /// As [`Self::take_down`], but the folder stays, since its log says what went wrong.
    pub(super) async fn take_down_but_keep(self) {
        let _kept = self.end().await.keep();
    }

    async fn end(self) -> TempDir {
        let Self {
            daemon,
            site,
            author: _,
            http: _,
            shown: _,
            opening: _,
            aws,
            azure,
            clouds,
            folder,
        } = self;
        daemon.stop().await;
        site.ended().await;
        clouds.cancel();
        tokio::join!(aws.finished(), azure.stopped());
        folder
    }

    // === addresses ===

    pub(super) fn server(&self) -> String {
        format!("http://{}", self.site.address)
    }

    fn dashboard(&self) -> String {
        format!("{}/", self.server())
    }

    pub(super) fn aws_url(&self) -> &str {
        self.aws.url.as_str().trim_end_matches('/')
    }

    pub(super) fn azure_url(&self) -> &str {
        &self.azure.url
    }

    /// Where both blues answer the question that is asked of a service; a blue that is not seen is not among them.
    pub(super) fn blues(&self, key: &ServiceKey, shown: &Shown) -> BTreeMap<CloudName, Url> {
        let report = self.daemon.handle.report(key);
        let targets = report.map(|report| report.status.targets.clone());
        let function = |name: &FunctionName| name.as_str() == shown.function;
        let blue = |target: crate::status::service::target::TargetReport| {
            let mut addresses = target.blue.addresses.into_iter();
            let (_, base) = addresses.find(|(name, _)| function(name))?;
            Some((target.cloud, base.join(shown.path).ok()?))
        };
        targets
            .unwrap_or_default()
            .into_iter()
            .filter_map(blue)
            .collect()
    }
}

async fn start_clouds(
    folder: &TempDir,
    stop: &CancellationToken,
) -> Result<(LambdaEndpoint, ArmEndpoint)> {
    let state = folder.path().join("clouds");
    let trouble = |error: std::io::Error| CliError::of(&error);
    let options = LambdaOptions {
        state: Some(state.clone()),
        pending: PENDING,
        ..LambdaOptions::default()
    };
    let aws = lambda::start(ANYWHERE, options, Arc::new(SystemClock), stop.clone());
    let aws = aws.await.map_err(trouble)?;
    let options = ArmOptions {
        state_dir: Some(state),
        swap_time: 2 * PENDING,
        deploy_time: PENDING / 2,
        ..ArmOptions::default()
    };
    let azure = arm::start(ANYWHERE, None, options, Arc::new(SystemClock), stop.clone());
    Ok((aws, azure.await.map_err(trouble)?))
}

/// Makes the repository, and the commit that opens the shop.
fn open_shop(folder: &TempDir, shown: &[Shown]) -> Result<(Author, ObjectId)> {
    let make = || {
        let author = Author::init(&folder.path().join("shop"))?;
        example::write(&author, shown)?;
        let opening = author.commit("The shop opens")?;
        Ok((author, opening))
    };
    make().map_err(|error: crate::git::GitError| CliError::of(&error))
}

fn config(aws: &LambdaEndpoint, azure: &ArmEndpoint, author: &Author) -> Result<Config> {
    let no_address = || CliError::wrong("the temporary folder has a path that no address can name");
    let repository = Url::from_file_path(author.folder()).map_err(|()| no_address())?;
    let mut config = Config::for_repository(repository.as_str(), "main", "")
        .map_err(|message| CliError::wrong(message).help("TMPDIR names another place"))?;
    for repository in &mut config.repositories {
        repository.interval = POLL;
    }
    config.resync = RESYNC;
    config.aws.endpoint = Some(aws.url.clone());
    let azure = Url::parse(&azure.url).map_err(|error| CliError::of(&error))?;
    config.azure.endpoint = Some(azure);
    Ok(config)
}
