//! Listeners: plain http, TLS, or whichever the first byte says.

use std::{convert::Infallible, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The first byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// A client that says nothing for so long after connecting is hung up on.
const HELLO_MAX: Duration = Duration::from_secs(30);

/// How long answers under way may take once the listener stops.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What a listener understands.
#[derive(Clone)]
pub(super) enum Speaks {
    Plain,
    Tls(TlsAcceptor),
    /// Decided by the first byte of each connection.
    Either(TlsAcceptor),
}

/// How a request came in; answers hold links of the same scheme.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub scheme: Scheme,
    pub address: SocketAddr,
}

/// The work is done, and the caller is not told: the connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the reply was lost on purpose")]
pub(super) struct LostReply;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, LostReply>> + Send>>;

/// What a listener does with a request.
pub(super) type Serve = Arc<dyn Fn(Request<Incoming>, Caller) -> Answering + Send + Sync>;

/// One listener with its work.
#[derive(Clone)]
pub(super) struct Listening {
    pub speaks: Speaks,
    pub serve: Serve,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Listening {
    /// Accepts until told to stop; answers under way get a few seconds to end.
    pub(super) fn spawn(self, listener: TcpListener) {
        let tasks = self.tasks.clone();
        tasks.spawn(self.accept(listener));
    }

    async fn accept(self, listener: TcpListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, address)) => {
                    self.tasks.spawn(self.clone().connection(stream, address));
                }
                // Out of file descriptors, most likely: give others time to close theirs.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = self.converse(stream, address).await {
            tracing::debug!(%error, %address, "a connection ended early");
        }
    }

    async fn converse(self, stream: TcpStream, address: SocketAddr) -> io::Result<()> {
        stream.set_nodelay(true)?;
        match self.acceptor(&stream).await? {
            Some(acceptor) => {
                let stream = timeout(HELLO_MAX, acceptor.accept(stream)).await??;
                let scheme = Scheme::Https;
                self.http(stream, Caller { scheme, address }).await
            }
            None => {
                let scheme = Scheme::Http;
                self.http(stream, Caller { scheme, address }).await
            }
        }
    }

    async fn acceptor(&self, stream: &TcpStream) -> io::Result<Option<TlsAcceptor>> {
        Ok(match &self.speaks {
            Speaks::Plain => None,
            Speaks::Tls(acceptor) => Some(acceptor.clone()),
            Speaks::Either(acceptor) => {
                let mut first = [0];
                let peeked = self.stop.run_until_cancelled(timeout(HELLO_MAX, stream.peek(&mut first)));
                if let Some(read) = peeked.await {
                    read??;
                }
                (first[0] == TLS_HANDSHAKE).then(|| acceptor.clone())
            }
        })
    }

    async fn http<S>(self, stream: S, caller: Caller) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let serve = self.serve;
        let service = service_fn(move |request| serve(request, caller));
        let server = auto::Builder::new(TokioExecutor::new());
        let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(io::Error::other),
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        timeout(DRAIN_MAX, connection).await?.map_err(io::Error::other)
    }
}

/// For handlers that always answer.
pub(super) fn answered(response: Result<Response<Body>, Infallible>) -> Response<Body> {
    match response {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
