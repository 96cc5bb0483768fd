//! The line to one worker: it calls us, and then messages go both ways until either side hangs up.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    frames::{Frames, framed},
    messages::{Content, Envelope, Invoked},
};
use crate::local::{
    listen,
    process::{LogRing, Stream},
};

const PATH: &str = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream";

/// The worker has hung up, or was never there.
#[derive(Debug, thiserror::Error)]
#[error("the worker has gone")]
pub(super) struct Gone;

/// Our end. Dropping it hangs up.
pub(super) struct Line {
    pub(super) port: u16,
    outgoing: mpsc::UnboundedSender<Envelope>,
    /// What the worker says before it takes invocations.
    opening: tokio::sync::Mutex<mpsc::UnboundedReceiver<Content>>,
    waiting: Arc<Waiting>,
    _hangs_up: DropGuard,
}

/// The side of the listener.
struct Side {
    /// Taken by the one call that there is.
    outgoing: Mutex<Option<mpsc::UnboundedReceiver<Envelope>>>,
    /// None once the worker has hung up.
    opening: Mutex<Option<mpsc::UnboundedSender<Content>>>,
    waiting: Arc<Waiting>,
    logs: Arc<LogRing>,
}

/// Who waits for which invocation; nobody can any more once the worker has hung up.
struct Waiting(Mutex<Option<BTreeMap<String, oneshot::Sender<Invoked>>>>);

impl Line {
    /// Listens on a loopback port of its own, because a worker knows its host by address alone.
    pub(super) async fn listen(logs: &Arc<LogRing>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let (heard, opening) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting(Mutex::new(Some(BTreeMap::new()))));
        let side = Side {
            outgoing: Mutex::new(Some(to_send)),
            opening: Mutex::new(Some(heard)),
            waiting: Arc::clone(&waiting),
            logs: Arc::clone(logs),
        };
        let router = Router::new().route(PATH, post(taken));
        let stop = CancellationToken::new();
        let router = router.with_state(Arc::new(side));
        tokio::spawn(listen::serve(listener, router, stop.clone()));
        Ok(Self {
            port,
            outgoing,
            opening: tokio::sync::Mutex::new(opening),
            waiting,
            _hangs_up: stop.drop_guard(),
        })
    }

    pub(super) fn say(&self, content: Content) -> Result<(), Gone> {
        let envelope = Envelope {
            request_id: uuid::Uuid::new_v4().to_string(),
            content: Some(content),
        };
        self.outgoing.send(envelope).map_err(|_| Gone)
    }

    /// The next thing that the worker says before it takes invocations.
    pub(super) async fn hear(&self) -> Result<Content, Gone> {
        self.opening.lock().await.recv().await.ok_or(Gone)
    }

    /// Who will be told what becomes of an invocation. Ask before it is sent.
    pub(super) fn await_invocation(&self, id: &str) -> Result<oneshot::Receiver<Invoked>, Gone> {
        let (told, outcome) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        let waiting = waiting.as_mut().ok_or(Gone)?;
        waiting.insert(id.to_owned(), told);
        Ok(outcome)
    }

    /// The worker called, and hung up.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.lock().is_none()
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&self, id: &str) {
        self.waiting.take(id);
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<String, oneshot::Sender<Invoked>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, id: &str) -> Option<oneshot::Sender<Invoked>> {
        self.lock().as_mut()?.remove(id)
    }
}

// === the call ===

async fn taken(State(side): State<Arc<Side>>, body: Body) -> Response {
    let mut outgoing = side.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(outgoing) = outgoing.take() else {
        return StatusCode::CONFLICT.into_response();
    };
    // It ends with the connection, and the connection with the worker or with us.
    tokio::spawn(listen_to(body, Arc::clone(&side)));
    let mut response = Response::new(spoken(outgoing));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}

/// Everything that we say, and in the end that it went well.
fn spoken(outgoing: mpsc::UnboundedReceiver<Envelope>) -> Body {
    let messages = stream::unfold(outgoing, async |mut outgoing| {
        let envelope = outgoing.recv().await?;
        Some((Frame::data(framed(&envelope)), outgoing))
    });
    let end = stream::once(async {
        let status = ("grpc-status", HeaderValue::from_static("0"));
        let mut trailers = HeaderMap::new();
        trailers.insert(status.0, status.1);
        Frame::<Bytes>::trailers(trailers)
    });
    Body::new(StreamBody::new(
        messages.chain(end).map(Ok::<_, Infallible>),
    ))
}

async fn listen_to(mut body: Body, side: Arc<Side>) {
    let mut frames = Frames::default();
    'call: while let Some(Ok(frame)) = body.frame().await {
        let Ok(bytes) = frame.into_data() else {
            break;
        };
        frames.extend(&bytes);
        loop {
            match frames.next() {
                Ok(Some(envelope)) => side.sort(envelope),
                Ok(None) => break,
                Err(fault) => {
                    let told = format!("the worker cannot be understood: {fault}");
                    side.logs.push(Stream::Platform, &told);
                    break 'call;
                }
            }
        }
    }
    // Whoever waits learns that nothing will come.
    side.opening().take();
    side.waiting.lock().take();
}

impl Side {
    fn opening(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<Content>>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sort(&self, envelope: Envelope) {
        let Envelope {
            request_id: _,
            content,
        } = envelope;
        match content {
            Some(Content::Log(log)) if log.matters() => {
                self.logs.push(Stream::Stderr, &log.message);
            }
            Some(Content::Log(_)) | None => {}
            Some(Content::Invoked(invoked)) => {
                if let Some(told) = self.waiting.take(&invoked.invocation_id) {
                    // Whoever asked may have given up.
                    drop(told.send(invoked));
                }
            }
            Some(
                opening @ (Content::Invoke(_)
                | Content::Load(_)
                | Content::Loaded(_)
                | Content::Initialised(_)
                | Content::Initialise(_)
                | Content::Started(_)),
            ) => {
                if let Some(heard) = self.opening().as_ref() {
                    // Whoever started the worker may have given up.
                    drop(heard.send(opening));
                }
            }
        }
    }
}
