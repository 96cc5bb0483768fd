//! `verdigris demo`: the whole job on this machine, told as a story.
//!
//! # Guarantees
//!
//! Listens on free loopback ports only, and writes below one temporary folder only, which it removes with every process that it started. After
//! a failure the folder stays, since its log says why.

mod ask;
mod example;
mod machine;
mod stage;
mod story;
mod teller;
mod traffic;

use std::path::PathBuf;

use clap::Args;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use self::{machine::Machine, stage::Stage, story::Twist, teller::Teller};
use super::{
    exit::{CliError, Exit, Result},
    follow,
    screen::{Screen, Tone},
    signals,
};
use crate::daemon::telemetry;

/// What is kept in the log, which people read after a failure only.
const LOG_FILTER: &str = "warn,verdigris=debug";

/// Events that are shown after a failure.
const EVENTS_SHOWN: usize = 12;

/// Shows the whole job on this machine: both clouds, a repository, merges, a rejection, a rollback, drift
#[derive(Args, Debug)]
#[command(after_help = "\
It needs no account, no free port of a certain number and no network; a C compiler, and Python and Node where they are there.
Everything it writes is in a temporary folder, which is removed at the end.")]
pub(super) struct Demo {
    /// End after the story, and say by the exit code whether every step went as told
    #[arg(long)]
    once: bool,
}

/// How the story came to its end.
enum Told {
    Well,
    Interrupted,
}

impl Demo {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self { once } = self;
        let teller = Teller::new(screen);
        let (folder, log) = own_folder()?;
        // Until the stage stands there is nothing to take down but the folder, which goes by itself.
        let stage = tokio::select! {
            stage = Box::pin(set_up(&teller, folder)) => stage?,
            () = stopped(&teller) => return interrupted(*once),
        };
        let told = tokio::select! {
            told = Box::pin(story::tell(&stage, &teller)) => told.map(|()| Told::Well),
            () = stopped(&teller) => Ok(Told::Interrupted),
        };
        match told {
            Ok(Told::Well) if *once => {
                signals::or_at_once(stage.take_down()).await;
                teller.end("every step went as told");
                Ok(Exit::Done)
            }
            Ok(Told::Well) => {
                stage.invite(&teller);
                stopped(&teller).await;
                leave(&teller, stage).await;
                Ok(Exit::Done)
            }
            Ok(Told::Interrupted) => {
                leave(&teller, stage).await;
                interrupted(*once)
            }
            Err(twist) => {
                show_events(&stage, &teller).await;
                signals::or_at_once(stage.take_down_but_keep()).await;
                Err(failed(&twist, &log))
            }
        }
    }
}

/// The one folder that is written to, and the log in it.
fn own_folder() -> Result<(TempDir, PathBuf)> {
    let trouble = |error: std::io::Error| {
        CliError::wrong(format!("failed to make a temporary folder: {error}"))
            .help("TMPDIR names another place")
    };
    let folder = TempDir::with_prefix("verdigris-demo-").map_err(trouble)?;
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).map_err(trouble)?;
    // A second demo in this process would go on with the folder of the first; there is one a process.
    tempfile::env::override_temp_dir(&scratch).ok();
    let log = folder.path().join("verdigris.log");
    let file = std::fs::File::create(&log).map_err(trouble)?;
    telemetry::logs_to_file(file, LOG_FILTER).map_err(|error| CliError::of(&error))?;
    Ok((folder, log))
}

async fn set_up(teller: &Teller<'_>, folder: TempDir) -> Result<Stage> {
    teller.title("Verdigris: one merge, both clouds. All of it on this machine, with no account.");
    let machine = Machine::look(folder.path(), follow::variable("PATH")).await?;
    machine.tell(teller);
    let stage = Stage::start(folder, machine).await?;
    stage.tell(teller);
    Ok(stage)
}

/// Returns when somebody asks to stop, or when nobody is there any more.
async fn stopped(teller: &Teller<'_>) {
    tokio::select! {
        () = signals::stopped() => {}
        () = hung_up() => {}
        () = teller.left() => {}
    }
}

/// The terminal was closed: without this the functions would go on alone.
async fn hung_up() {
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            hangup.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "a closed terminal will not be noticed");
            std::future::pending::<()>().await;
        }
    }
}

async fn leave(teller: &Teller<'_>, stage: Stage) {
    teller.farewell("the functions, both clouds and the controller end, and the folder goes");
    signals::or_at_once(stage.take_down()).await;
}

/// Whoever asked for the whole story did not get it.
fn interrupted(once: bool) -> Result<Exit> {
    if once {
        return Err(CliError::wrong(
            "the demo was stopped before the end of its story",
        ));
    }
    Ok(Exit::Done)
}

async fn show_events(stage: &Stage, teller: &Teller<'_>) {
    let events = stage.daemon.handle.last_events(EVENTS_SHOWN).await;
    let mut events = events.unwrap_or_default();
    events.reverse();
    teller.line(Tone::Bad, "events", "the last, oldest first:");
    for event in events {
        let service = event.service.map(|key| key.to_string()).unwrap_or_default();
        teller.more(&format!("{service} {}: {}", event.reason, event.message));
    }
}

fn failed(twist: &Twist, log: &std::path::Path) -> CliError {
    CliError::wrong(twist.to_string()).help(format!("the log is in {}", log.display()))
}
