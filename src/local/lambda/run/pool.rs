//! The processes of one version's content.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{Target, worker::Worker};
use crate::name::CodeDigest;

/// Content of a version: a changed `$LATEST` gets processes of its own while the old ones drain.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::local::lambda) struct Key {
    pub(in crate::local::lambda) function: String,
    pub(in crate::local::lambda) version: String,
    pub(in crate::local::lambda) content: Vec<u8>,
    pub(in crate::local::lambda) package: CodeDigest,
}

impl Key {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            function: target.function.clone(),
            version: target.version.clone(),
            content: target.content.text(),
            package: target.content.code.digest,
        }
    }
}

pub(super) struct Pool {
    /// A permit is the right to keep one process busy. Processes start only where none is idle, so permits bound
    /// their number too.
    busy: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    workers: Vec<Worker>,
    retired: bool,
}

impl Pool {
    pub(super) fn new(processes: usize) -> Self {
        Self {
            busy: Arc::new(Semaphore::new(processes)),
            idle: Mutex::default(),
        }
    }

    /// Waits for the right to keep a process busy; `None` cannot happen while the pool lives, and is harmless.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.busy).acquire_owned().await.ok()
    }

    /// The process that was used last, so that the others can idle out.
    pub(super) fn take_idle(&self) -> Option<Worker> {
        let mut idle = self.idle();
        while let Some(worker) = idle.workers.pop() {
            if !worker.is_gone() {
                return Some(worker);
            }
        }
        None
    }

    pub(super) async fn give_back(&self, mut worker: Worker) {
        worker.idle_since = Instant::now();
        let unwanted = {
            let mut idle = self.idle();
            if idle.retired {
                Some(worker)
            } else {
                idle.workers.push(worker);
                None
            }
        };
        if let Some(worker) = unwanted {
            worker.end().await;
        }
    }

    /// Keeps a pool whose content is current: ends processes that had nothing to do for `limit`, or died.
    pub(super) async fn end_idle(&self, limit: Duration) {
        let done: Vec<Worker> = {
            let mut idle = self.idle();
            // Content may come back: an update that restores what was there before.
            idle.retired = false;
            let is_done =
                |worker: &mut Worker| worker.is_gone() || worker.idle_since.elapsed() >= limit;
            idle.workers.extract_if(.., is_done).collect()
        };
        for worker in done {
            worker.end().await;
        }
    }

    /// Ends idle processes now and busy ones when they are done.
    pub(super) async fn retire(&self) {
        let workers = {
            let mut idle = self.idle();
            idle.retired = true;
            std::mem::take(&mut idle.workers)
        };
        for worker in workers {
            worker.end().await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle().workers.is_empty()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
