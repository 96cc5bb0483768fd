//! The API of a running daemon: where it listens, who may act, and what it tells of repositories.

use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{
    run::Daemon,
    sources::{SourceProblem, SourceState},
};
use crate::{
    api::{
        self, Api,
        act::tokens::{TokenError, Tokens},
        door::Doors,
    },
    clock::Clock,
    name::{RepositoryName, Timestamp},
    status::{
        condition::Condition,
        source::{Polled, SourceReport, source_ready},
    },
};

/// The file with the token, in the daemon's data folder.
pub const TOKEN_FILE: &str = "api-token";

/// What a site is started with.
pub struct SiteOptions {
    pub listen: SocketAddr,
    /// Host names that are answered to, beside this machine's own.
    pub hosts: Vec<String>,
    pub webhook_secret: Option<SecretString>,
    /// The daemon's data folder.
    pub data: PathBuf,
    pub metrics: Option<PrometheusHandle>,
    pub clock: Arc<dyn Clock>,
}

/// A site that answers. It stops with its daemon.
pub struct Site {
    /// Where it listens.
    pub address: SocketAddr,
    /// The file with the token that lets people act.
    pub token_file: PathBuf,
    serving: JoinHandle<()>,
}

/// Why a site did not start.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("failed to listen on {address}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Site {
    /// Waits until the last answer is sent; the daemon's stop begins the end.
    pub async fn ended(self) {
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the API ended badly");
        }
    }
}

/// Starts to answer.
///
/// # Errors
///
/// An address that is taken, a token file that cannot be used; nothing answers then.
pub async fn start(daemon: &Daemon, options: SiteOptions) -> Result<Site, SiteError> {
    let SiteOptions {
        listen,
        hosts,
        webhook_secret,
        data,
        metrics,
        clock,
    } = options;
    let token_file = data.join(TOKEN_FILE);
    let tokens = Tokens::open(&token_file)?;
    let failed = |source| SiteError::Listen {
        address: listen,
        source,
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let stop = daemon.stop_token();
    if let Some(metrics) = metrics.clone() {
        tokio::spawn(stop.clone().run_until_cancelled_owned(tidy(metrics)));
    }
    let wake = daemon.sources.clone();
    let api = Api {
        handle: daemon.handle.clone(),
        sources: reports(daemon, clock.clone()),
        metrics,
        tokens,
        doors: Doors {
            public: !address.ip().is_loopback(),
            hosts,
        },
        hook_secret: webhook_secret,
        wake_sources: Arc::new(move || wake.wake_all()),
        clock,
        stop: stop.clone(),
    };
    let serving = tokio::spawn(api::serve::serve(listener, api::router(api), stop));
    Ok(Site {
        address,
        token_file,
        serving,
    })
}

/// Between tidyings of what was counted; without them, observations that nobody reads would pile up.
const TIDY_EVERY: Duration = Duration::from_secs(5);

async fn tidy(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        metrics.run_upkeep();
    }
}

// === what is told of repositories ===

/// Follows the repositories' states, and tells of them as people read it.
fn reports(daemon: &Daemon, clock: Arc<dyn Clock>) -> watch::Receiver<Arc<Vec<SourceReport>>> {
    let mut states = daemon.sources.watch();
    let first = tell(&states.borrow_and_update(), &[], clock.now());
    let (told, reports) = watch::channel(Arc::new(first));
    let stop = daemon.stop_token();
    tokio::spawn(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(states.changed()).await {
            let states = states.borrow_and_update().clone();
            let before = told.borrow().clone();
            told.send_replace(Arc::new(tell(&states, &before, clock.now())));
        }
    });
    reports
}

/// Repositories as people read of them. `before` is what was told last.
pub fn tell(
    states: &BTreeMap<RepositoryName, SourceState>,
    before: &[SourceReport],
    now: Timestamp,
) -> Vec<SourceReport> {
    let conditions_of = |name: &RepositoryName| -> &[Condition] {
        let report = before.iter().find(|report| report.name == *name);
        report.map_or(&[], |report| &report.conditions)
    };
    states
        .iter()
        .map(|(name, state)| report(name, state, conditions_of(name), now))
        .collect()
}

fn report(
    name: &RepositoryName,
    state: &SourceState,
    before: &[Condition],
    now: Timestamp,
) -> SourceReport {
    let SourceState {
        repository,
        reading,
        polled_at,
        problem,
        rewritten,
    } = state;
    let polled = match (problem, rewritten, polled_at) {
        (
            Some(SourceProblem {
                reason,
                message,
                since: _,
            }),
            _,
            _,
        ) => Polled::Failed {
            reason: reason.clone(),
            message: message.clone(),
        },
        (None, Some(message), Some(_)) => Polled::Rewritten {
            message: message.clone(),
        },
        (None, None, Some(_)) => Polled::Read,
        (None, _, None) => Polled::Never,
    };
    let faults = reading.iter().flat_map(|reading| &reading.faults);
    SourceReport {
        name: name.clone(),
        url: repository.source.url.to_string(),
        reference: repository.source.reference.to_string(),
        path: repository.path.to_string(),
        revision: reading.as_ref().map(|reading| reading.revision.clone()),
        conditions: vec![source_ready(&polled, before, now)],
        last_polled_at: *polled_at,
        faults: faults.map(ToString::to_string).collect(),
    }
}
