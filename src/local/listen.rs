//! Serves a router on a loopback listener: small answers leave at once, a lost reply closes the connection without one.

use std::{convert::Infallible, pin::pin};

use axum::{Router, body::Body, http::Request, response::Response};
use hyper::{body::Incoming, service::Service as _, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Ends a connection that owes an answer and must not give it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this reply is lost on purpose")]
pub struct LostReply;

/// An answer that [`connection`] turns into a closed connection.
pub fn lost_reply() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(LostReply);
    response
}

/// Serves `router` on plain connections until `stop`; then requests in hand are finished.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((socket, _)) = accepted else {
            // Out of file handles, most likely: wait for some to close rather than spin.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        // Without it a small second write waits for the other side's delayed acknowledgement. A refusal costs speed only.
        drop(socket.set_nodelay(true));
        connections.spawn(connection(socket, router.clone(), stop.clone()));
    }
    connections.close();
    connections.wait().await;
}

/// Serves `router` on one connection, encrypted or not, until the client leaves or `stop`.
pub async fn connection<C>(socket: C, router: Router, stop: CancellationToken)
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| answer(router.clone(), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // A function may think for minutes between two requests on one connection; nobody else reaches loopback.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None);
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(socket), service));
    tokio::select! {
        // However it ended, there is nobody left to tell.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

fn answer(
    router: Router,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, LostReply>> {
    let answer = TowerToHyperService::new(router).call(request);
    async move {
        let response = answer
            .await
            .unwrap_or_else(|never: Infallible| match never {});
        if response.extensions().get::<LostReply>().is_some() {
            return Err(LostReply);
        }
        Ok(response)
    }
}
