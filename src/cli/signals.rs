//! When to stop: SIGINT and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Returns at the first signal that asks to stop.
pub(super) async fn stopped() {
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            // The system's own handling is still in place, and ends the program.
            tracing::warn!(%error, "signals cannot be waited for");
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for the end of what is in hand; a second signal ends that wait.
pub(super) async fn or_at_once(work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stopped() => {}
    }
}
