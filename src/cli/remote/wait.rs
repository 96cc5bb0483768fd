//! `verdigris wait`, and the `--wait` of actions: looks until a service is as wished, or cannot become so by itself.

use std::{str::FromStr, time::Duration};

use clap::Args;
use tokio::time::Instant;

use super::client::{Client, Server, understand};
use crate::{
    cli::{
        exit::{CliError, Exit, Result},
        screen::{Screen, Tone},
    },
    manifest,
    name::ServiceKey,
    status::{
        ServiceReport,
        condition::{Condition, Truth},
        service::phase::ServicePhase,
    },
};

/// Waits until a service is live, or as wished
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verdigris wait inventory
  verdigris wait prod/inventory --for condition=Stalled --timeout 5m
  verdigris wait inventory --for phase=AwaitingApproval

Exit code 0 once it is so, 1 as soon as that cannot come by itself, 2 when the time is up.")]
pub(in crate::cli) struct Wait {
    /// `service`, or `environment/service`
    name: String,
    /// `live`, `condition=TYPE` (or `condition=TYPE=False`), or `phase=PHASE`
    #[arg(long = "for", value_name = "WISH", default_value = "live")]
    wish: Wish,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    server: Server,
}

#[derive(Args, Clone, Debug)]
pub(super) struct Patience {
    /// How long to wait, like 30s or 10m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = manifest::duration)]
    pub(super) timeout: Duration,
}

/// What is waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// The newest commit is live on every target.
    Live,
    Condition {
        kind: String,
        status: Truth,
    },
    Phase(ServicePhase),
    /// Whatever was begun has come to an end; for `--wait`.
    Rest,
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "live" {
            return Ok(Self::Live);
        }
        match text.split_once('=') {
            Some(("condition", rest)) => condition(rest),
            Some(("phase", phase)) => named(phase).map(Self::Phase),
            Some(_) | None => Err(
                "write `live`, `condition=TYPE`, `condition=TYPE=False` or `phase=PHASE`"
                    .to_owned(),
            ),
        }
    }
}

fn condition(text: &str) -> Result<Wish, String> {
    let (kind, status) = text.split_once('=').unwrap_or((text, "True"));
    let all = [Truth::True, Truth::False, Truth::Unknown];
    let status = all
        .into_iter()
        .find(|truth| truth.as_str().eq_ignore_ascii_case(status))
        .ok_or_else(|| format!("`{status}` is not True, False or Unknown"))?;
    Ok(Wish::Condition {
        kind: kind.to_owned(),
        status,
    })
}

fn named(phase: &str) -> Result<ServicePhase, String> {
    let mut all = ServicePhase::ALL.into_iter();
    all.find(|known| known.as_str().eq_ignore_ascii_case(phase))
        .ok_or_else(|| {
            let all: Vec<_> = ServicePhase::ALL
                .iter()
                .map(|phase| phase.as_str())
                .collect();
            format!("no phase is called `{phase}`: there are {}", all.join(", "))
        })
}

impl Wait {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            name,
            wish,
            patience,
            server,
        } = self;
        let client = server.connect()?;
        let key = client.key(name).await?;
        wait(&client, screen, &key, wish, patience).await
    }
}

/// Between looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A daemon that restarts is waited for.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// What one look decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Look {
    There,
    NotYet,
    /// Nothing more happens by itself, and it is not as wished.
    Never,
}

/// Looks until it is decided or the time is up.
pub(super) async fn wait(
    client: &Client,
    screen: &Screen,
    key: &ServiceKey,
    wish: &Wish,
    patience: &Patience,
) -> Result<Exit> {
    let began = Instant::now();
    let mut seen_at = began;
    let mut before = Look::NotYet;
    loop {
        let report = match look(client, key).await {
            Ok(report) => report,
            Err(error) if error.exit() == Exit::Unreachable && seen_at.elapsed() < AWAY_MAX => {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        seen_at = Instant::now();
        let look = wish.judge(&report);
        // What is begun may not show at the first look after it was asked for: an end counts when it is seen twice.
        if look != Look::NotYet && (look == before || *wish != Wish::Rest) {
            screen.progress_done();
            return Ok(told(screen, &report, look));
        }
        before = look;
        if began.elapsed() >= patience.timeout {
            screen.progress_done();
            return Err(late(&report, patience.timeout));
        }
        let status = &report.status;
        screen.progress(&format!(
            "{key}  {}  {}s  {}",
            status.phase.as_str(),
            began.elapsed().as_secs(),
            status.why
        ));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(client: &Client, key: &ServiceKey) -> Result<ServiceReport> {
    let path = format!("/api/v1/services/{key}");
    understand(&client.get(&path, &[]).await?)
}

fn told(screen: &Screen, report: &ServiceReport, look: Look) -> Exit {
    let status = &report.status;
    let phase = screen.paint(super::tone(status.phase), status.phase.as_str());
    let why = screen.paint(Tone::Plain, &status.why);
    screen.line(&format!("{}  {phase}  {why}", report.key()));
    match look {
        Look::There => Exit::Done,
        Look::NotYet => Exit::Pending,
        Look::Never => Exit::Wrong,
    }
}

fn late(report: &ServiceReport, timeout: Duration) -> CliError {
    let status = &report.status;
    let message = format!(
        "{} is {} after {timeout:?}: {}",
        report.key(),
        status.phase.as_str(),
        status.why
    );
    CliError::new(Exit::Pending, message).help("`verdigris status NAME` tells what it waits for")
}

impl Wish {
    fn judge(&self, report: &ServiceReport) -> Look {
        match self {
            Self::Live => live(report),
            Self::Condition { kind, status } => {
                let is_it =
                    |told: &&Condition| format!("{:?}", told.kind).eq_ignore_ascii_case(kind);
                let found = report.status.conditions.iter().find(is_it);
                // A condition that tells of trouble is absent where there is none.
                let is_so = match found {
                    Some(condition) => condition.status == *status,
                    None => *status == Truth::False,
                };
                if is_so { Look::There } else { Look::NotYet }
            }
            Self::Phase(phase) if report.status.phase == *phase => Look::There,
            Self::Phase(_) => Look::NotYet,
            Self::Rest if report.is_at_rest() => rested(report.status.phase),
            Self::Rest => Look::NotYet,
        }
    }
}

fn live(report: &ServiceReport) -> Look {
    let status = &report.status;
    let is_newest = status.observed_generation == report.metadata.generation;
    if report.ready() == Truth::True && is_newest {
        return Look::There;
    }
    match status.phase {
        ServicePhase::Rejected
        | ServicePhase::RolledBack
        | ServicePhase::Invalid
        | ServicePhase::Pinned
        | ServicePhase::Suspended
        | ServicePhase::Destroyed
        | ServicePhase::Removed
            if report.is_at_rest() =>
        {
            Look::Never
        }
        ServicePhase::Unknown
        | ServicePhase::Invalid
        | ServicePhase::Pending
        | ServicePhase::Queued
        | ServicePhase::Building
        | ServicePhase::Staging
        | ServicePhase::Gating
        | ServicePhase::Paused
        | ServicePhase::AwaitingApproval
        | ServicePhase::Shifting
        | ServicePhase::Promoting
        | ServicePhase::Baking
        | ServicePhase::Live
        | ServicePhase::Drifted
        | ServicePhase::Rejected
        | ServicePhase::RollingBack
        | ServicePhase::RolledBack
        | ServicePhase::Pinned
        | ServicePhase::Suspended
        | ServicePhase::Stalled
        | ServicePhase::CloudUnknown
        | ServicePhase::Destroying
        | ServicePhase::Destroyed
        | ServicePhase::Removing
        | ServicePhase::Removed => Look::NotYet,
    }
}

/// How what was asked for ended.
fn rested(phase: ServicePhase) -> Look {
    match phase {
        ServicePhase::Live
        | ServicePhase::Pinned
        | ServicePhase::Suspended
        | ServicePhase::AwaitingApproval
        | ServicePhase::Destroyed
        | ServicePhase::Removed => Look::There,
        ServicePhase::Unknown
        | ServicePhase::Pending
        | ServicePhase::Queued
        | ServicePhase::Building
        | ServicePhase::Staging
        | ServicePhase::Gating
        | ServicePhase::Shifting
        | ServicePhase::Promoting
        | ServicePhase::Baking
        | ServicePhase::RollingBack
        | ServicePhase::Destroying
        | ServicePhase::Removing => Look::NotYet,
        ServicePhase::Invalid
        | ServicePhase::Paused
        | ServicePhase::Drifted
        | ServicePhase::Rejected
        | ServicePhase::RolledBack
        | ServicePhase::Stalled
        | ServicePhase::CloudUnknown => Look::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_or_told_how_to_write() {
        let stalled = |status| Wish::Condition {
            kind: "Stalled".to_owned(),
            status,
        };
        for (text, wish) in [
            ("live", Ok(Wish::Live)),
            ("condition=Stalled", Ok(stalled(Truth::True))),
            ("condition=Stalled=false", Ok(stalled(Truth::False))),
            ("phase=baking", Ok(Wish::Phase(ServicePhase::Baking))),
            (
                "condition=a=b",
                Err("`b` is not True, False or Unknown".to_owned()),
            ),
        ] {
            assert_eq!(text.parse(), wish, "{text}");
        }
        assert!(
            "soon"
                .parse::<Wish>()
                .unwrap_err()
                .starts_with("write `live`")
        );
        assert!(
            "phase=x"
                .parse::<Wish>()
                .unwrap_err()
                .starts_with("no phase is called `x`")
        );
    }
}
