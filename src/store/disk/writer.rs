//! The one thread that writes. It takes what waits, makes it one transaction, and answers all at once.
//!
//! sled's `flush_async` hangs as soon as seven tasks use it; one thread with a blocking flush does not, and a group costs one flush.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc as std_mpsc},
    thread,
};

use tokio::sync::{mpsc, oneshot};

use super::shared::Shared;
use crate::store::{StoreError, batch::Op};

/// Batches in one transaction.
const GROUP_MAX: usize = 256;

/// Bytes in one transaction, beyond which no further batch joins.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A batch and who waits for it.
pub(super) struct Job {
    pub(super) ops: Vec<Op>,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

/// The receiver's other end is dropped when the thread has let go of the store.
pub(super) fn start(
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Job>,
) -> Result<std_mpsc::Receiver<()>, StoreError> {
    let path = shared.path().clone();
    let (alive, finished) = std_mpsc::channel();
    let work = move || {
        run(&shared, inbox);
        drop(shared);
        drop(alive);
    };
    let thread = thread::Builder::new().name("store".to_owned());
    let failed = |error: io::Error| StoreError::from_io(&path, &error);
    thread.spawn(work).map_err(failed)?;
    Ok(finished)
}

fn run(shared: &Shared, mut inbox: mpsc::Receiver<Job>) {
    while let Some(first) = inbox.blocking_recv() {
        let group = gather(first, &mut inbox);
        // sled is guarded inside; this keeps a fault of ours from taking the writer away.
        if catch_unwind(AssertUnwindSafe(|| write(shared, group))).is_err() {
            tracing::error!("the store's writer panicked; its callers were told that it is closed");
        }
    }
}

fn gather(first: Job, inbox: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = weight(&first);
    let mut group = vec![first];
    while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
        let Ok(job) = inbox.try_recv() else { break };
        bytes += weight(&job);
        group.push(job);
    }
    group
}

fn weight(job: &Job) -> usize {
    job.ops.iter().map(Op::weight).sum()
}

fn write(shared: &Shared, group: Vec<Job>) {
    let is_full = shared.is_full();
    let refused = |job: &Job| is_full && !job.ops.iter().all(Op::is_delete);
    let (refused, group): (Vec<Job>, Vec<Job>) = group.into_iter().partition(refused);
    answer(refused.into_iter().map(|job| job.done), &Err(shared.full()));
    if group.is_empty() {
        return;
    }
    let (ops, waiting): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.ops, job.done)).unzip();
    let ops: Vec<Op> = ops.into_iter().flatten().collect();
    answer(waiting, &shared.write(&ops));
}

fn answer(
    waiting: impl IntoIterator<Item = oneshot::Sender<Result<(), StoreError>>>,
    outcome: &Result<(), StoreError>,
) {
    for done in waiting {
        // Whoever does not wait any more does not want to know.
        let _unwanted = done.send(outcome.clone());
    }
}
