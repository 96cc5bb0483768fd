//! Takes up a changed configuration file. A bad one is refused with its fault, and the old one stays.

use std::{path::PathBuf, time::Duration};

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{config::Config, sources::Sources, world::chain};
use crate::{
    name::{Actor, Timestamp},
    plan::state::{EventRecord, Severity},
    reconcile::handle::Handle,
};

/// An editor writes a file in several steps.
const SETTLE: Duration = Duration::from_millis(200);

/// A notification may be lost, so the file is looked at now and then anyway.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Watches the file until told to stop.
///
/// # Errors
///
/// A folder that cannot be watched.
pub(super) fn watch(
    file: PathBuf,
    env: fn(&str) -> Option<String>,
    sources: Sources,
    handle: Handle,
    stop: CancellationToken,
) -> notify::Result<()> {
    let (hint, mut hints) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_read = matches!(
            event,
            Ok(notify::Event {
                kind: EventKind::Access(_),
                ..
            })
        );
        if !is_read {
            // A full channel holds a hint already.
            hint.try_send(()).ok();
        }
    })?;
    // The folder, since an editor may replace the file.
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    tokio::spawn(async move {
        let _watcher = watcher;
        let mut before = std::fs::read(&file).ok();
        while !stop.is_cancelled() {
            tokio::select! {
                _ = hints.recv() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let now = std::fs::read(&file).ok();
            if now != before {
                before = now;
                reload(&file, env, &sources, &handle, &stop).await;
            }
        }
    });
    Ok(())
}

async fn reload(
    file: &std::path::Path,
    env: fn(&str) -> Option<String>,
    sources: &Sources,
    handle: &Handle,
    stop: &CancellationToken,
) {
    let outcome = match Config::load(file, &env) {
        Ok(config) => {
            sources.follow(&config.repositories, stop);
            Ok(())
        }
        Err(error) => Err(chain(&error)),
    };
    let (severity, reason, message) = match outcome {
        Ok(()) => (
            Severity::Info,
            "ConfigurationReloaded",
            "repositories are followed as it says now; other changes need a restart".to_owned(),
        ),
        Err(fault) => (
            Severity::Error,
            "ConfigurationRefused",
            format!("{fault}; the old one stays"),
        ),
    };
    let event = EventRecord {
        seq: 0,
        at: Timestamp::default(),
        severity,
        service: None,
        reason: reason.to_owned(),
        message,
        actor: Actor::daemon(),
        revision: None,
        rollout: None,
    };
    if let Err(error) = handle.tell(event).await {
        tracing::error!(%error, "an event could not be written");
    }
}
