//! Polls one repository for as long as it is followed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Shared, lock};
use crate::{
    daemon::{
        config::Repository,
        reader::{Reader, Reading},
    },
    git::{GitError, mirror::Mirror, tree::Snapshot},
    name::Revision,
    plan::state::Severity,
};

/// Repositories are polled this much earlier or later than their interval says, so that they do not all come at once.
const JITTER: f64 = 0.1;

/// Whoever polls one repository.
pub(super) struct Follower {
    pub(super) shared: Arc<Shared>,
    pub(super) repository: Repository,
    /// None where that failed; the next poll tries again, and says why it fails.
    pub(super) opened: Option<Mirror>,
    pub(super) reader: Arc<Mutex<Reader>>,
    /// What was read last.
    pub(super) last: Option<Revision>,
}

impl Follower {
    pub(super) async fn run(mut self, wake: &Notify, stop: &CancellationToken) {
        if stop.run_until_cancelled(self.recall()).await.is_none() {
            return;
        }
        while !stop.is_cancelled() {
            let Some(polled) = stop.run_until_cancelled(self.poll()).await else {
                return;
            };
            let name = self.repository.name.clone();
            match polled {
                Ok(reading) => {
                    if let Some(reading) = &reading {
                        self.last = Some(reading.revision.clone());
                    }
                    self.shared.succeeded(&name, reading).await;
                }
                Err(GitError::AuthenticationFailed { .. }) if self.renew().await => continue,
                Err(error) => self.shared.failed(&name, &error).await,
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(self.repository.interval)) => {}
                () = wake.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// What was fetched last stands from the start on, before the remote is asked, and without it.
    async fn recall(&mut self) {
        let Some(mirror) = &self.opened else {
            return;
        };
        let mirror = mirror.clone();
        if self
            .shared
            .ledger
            .lock()
            .await
            .is_of_another(&self.repository)
        {
            return;
        }
        let looking = mirror.clone();
        let tip = tokio::task::spawn_blocking(move || looking.tip()).await;
        let Ok(Some(tip)) = tip else {
            return;
        };
        match self.read(&mirror, tip.clone()).await {
            Ok(reading) => {
                self.last = Some(tip);
                let name = &self.repository.name;
                let rewritten = self.shared.ledger.lock().await.rewritten(name);
                self.shared.change(name, |state| {
                    state.reading = Some(reading);
                    state.rewritten = rewritten;
                });
                self.shared.tell_loop().await;
            }
            // The poll that follows mends the mirror, or says what is wrong.
            Err(error) => tracing::warn!(%error, "the mirror could not be read"),
        }
    }

    /// Asks the remote; reads the commit where it is a new one.
    async fn poll(&mut self) -> Result<Option<Reading>, GitError> {
        let mirror = match &self.opened {
            Some(mirror) => mirror.clone(),
            None => self.shared.open(&self.repository)?,
        };
        self.opened = Some(mirror.clone());
        let polled = mirror.poll().await?;
        if polled.moved || polled.rewritten {
            let rewritten = polled.rewritten.then(|| self.rewritten(&polled.revision));
            let name = &self.repository.name;
            self.shared
                .change(name, |state| state.rewritten = rewritten.clone());
            if let Some(message) = rewritten {
                self.shared
                    .tell(Severity::Warning, "HistoryRewritten", message)
                    .await;
            }
        }
        if self.last.as_ref() == Some(&polled.revision) {
            return Ok(None);
        }
        self.read(&mirror, polled.revision).await.map(Some)
    }

    fn rewritten(&self, now: &Revision) -> String {
        format!(
            "history of {} was rewritten; it is now at {}",
            self.repository.name,
            now.short()
        )
    }

    async fn read(&self, mirror: &Mirror, revision: Revision) -> Result<Reading, GitError> {
        let (path, reader) = (self.repository.path.clone(), self.reader.clone());
        let commit = revision.commit.clone();
        let read = move |snapshot: &Snapshot| lock(&reader).read(snapshot, &path, revision);
        mirror.read(&commit, read).await
    }

    /// Takes up the token that its file holds now; whether that is another one.
    async fn renew(&mut self) -> bool {
        let repository = self.repository.clone();
        let renewed = tokio::task::spawn_blocking(move || repository.with_renewed_token());
        let Ok(Some(renewed)) = renewed.await else {
            return false;
        };
        self.opened = self.shared.open(&renewed).ok();
        let shown = renewed.clone();
        self.shared
            .change(&renewed.name, |state| state.repository = shown);
        self.repository = renewed;
        true
    }
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}
