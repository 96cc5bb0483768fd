//! Connections: how many, how long, and how they end.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;

/// Longest time for a request's head to arrive.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// How long a stop waits for answers that are under way.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// After an accept failed (mostly: no file descriptors left).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until told to stop, then lets answers that are under way finish for a while.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = GracefulShutdown::new();
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new());
    let tasks = tokio_util::task::TaskTracker::new();
    while let Some(Ok(place)) = stop
        .run_until_cancelled(places.clone().acquire_owned())
        .await
    {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else {
            break;
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        // Small answers should not wait for more to send; failing costs a little latency only.
        stream.set_nodelay(true).ok();
        let service = TowerToHyperService::new(router.clone());
        let builder = builder.clone();
        let watcher = connections.watcher();
        tasks.spawn(async move {
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            // A connection that breaks is its reader's business.
            watcher.watch(connection.into_owned()).await.ok();
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    let _ = tokio::time::timeout(DRAIN_MAX, connections.shutdown()).await;
}
