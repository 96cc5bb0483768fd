//! Listeners: plain http, TLS, or whichever the first byte says.

pub(super) mod tls;

use std::{io, net::SocketAddr, time::Duration};

use axum::{Extension, Router};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::local::listen;

/// The first byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// A client that does not even start to speak is hung up on after this.
const HELLO_MAX: Duration = Duration::from_secs(60);

/// How long requests under way may take to end once the listener stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);

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

/// Where a request came from; handlers find it among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub scheme: Scheme,
    pub address: SocketAddr,
}

/// One listener with its work.
#[derive(Clone)]
pub(super) struct Listening {
    pub speaks: Speaks,
    pub router: Router,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Listening {
    /// Accepts until told to stop; answers under way are finished.
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
                // Out of file handles, most likely: give others time to close theirs.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, address: SocketAddr) {
        let stop = self.stop.clone();
        match stop.run_until_cancelled(self.acceptor(&stream)).await {
            Some(Ok(Some(acceptor))) => self.encrypted(stream, acceptor, address).await,
            Some(Ok(None)) => {
                let scheme = Scheme::Http;
                self.converse(stream, Caller { scheme, address }).await;
            }
            Some(Err(error)) => tracing::debug!(%error, %address, "a connection said nothing"),
            None => {}
        }
    }

    async fn encrypted(self, stream: TcpStream, acceptor: TlsAcceptor, address: SocketAddr) {
        match timeout(HELLO_MAX, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let scheme = Scheme::Https;
                self.converse(stream, Caller { scheme, address }).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, %address, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
        }
    }

    async fn converse<C>(self, stream: C, caller: Caller)
    where
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let router = self.router.layer(Extension(caller));
        let late = async {
            self.stop.cancelled().await;
            sleep(DRAIN_MAX).await;
        };
        tokio::select! {
            () = listen::connection(stream, router, self.stop.clone()) => {}
            () = late => {}
        }
    }

    async fn acceptor(&self, stream: &TcpStream) -> io::Result<Option<TlsAcceptor>> {
        stream.set_nodelay(true)?;
        match &self.speaks {
            Speaks::Plain => Ok(None),
            Speaks::Tls(acceptor) => Ok(Some(acceptor.clone())),
            Speaks::Either(acceptor) => {
                let mut first = [0];
                timeout(HELLO_MAX, stream.peek(&mut first)).await??;
                Ok((first[0] == TLS_HANDSHAKE).then(|| acceptor.clone()))
            }
        }
    }
}

/// Takes `port` again where it is still free, so that an address survives a restart; any other port otherwise.
pub(super) fn bind_again(port: u16) -> io::Result<TcpListener> {
    let bind = |port| std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port));
    let listener = if port == 0 {
        bind(0)?
    } else {
        bind(port).or_else(|_| bind(0))?
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
