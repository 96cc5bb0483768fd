//! The Lambda Runtime API (2018-06-01) for one process: it asks for work, and brings answers back.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, watch},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::flow::{self, Flow};
use crate::local::listen;

/// Lambda's limit of a synchronous answer.
pub(super) const ANSWER_MAX: usize = 6_291_556;

/// Work for the process.
pub(super) struct Event {
    pub(super) id: Uuid,
    pub(super) payload: Bytes,
    /// Milliseconds since 1970 at which the process will be killed.
    pub(super) deadline: i64,
    pub(super) arn: String,
    pub(super) trace: String,
}

/// What the process said.
pub(super) enum Said {
    Answer(Uuid, Bytes),
    /// An answer that comes piece by piece.
    Flow(Uuid, Flow),
    Failure(Uuid, Bytes),
    TooLarge(Uuid),
    InitFailure(Bytes),
}

/// Our end of the conversation. Dropping it closes the listener.
pub(super) struct Api {
    pub(super) address: String,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) said: mpsc::Receiver<Said>,
    /// True while the process asks for work; once it has, it is initialised.
    pub(super) ready: watch::Receiver<bool>,
    stop: CancellationToken,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Shared {
    events: Mutex<mpsc::Receiver<Event>>,
    said: mpsc::Sender<Said>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
}

type Side = State<Arc<Shared>>;

impl Api {
    /// Listens on a loopback port of its own, because a process knows its API by address alone.
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        // One invocation at a time: there is never more than one event or answer under way.
        let (events, inbox) = mpsc::channel(1);
        let (said_sender, said) = mpsc::channel(1);
        let (ready_sender, ready) = watch::channel(false);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            events: Mutex::new(inbox),
            said: said_sender,
            ready: ready_sender,
            stop: stop.clone(),
        });
        tokio::spawn(listen::serve(listener, routes(shared), stop.clone()));
        Ok(Self {
            address,
            events,
            said,
            ready,
            stop,
        })
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    let base = "/2018-06-01/runtime";
    Router::new()
        .route(&format!("{base}/invocation/next"), get(next))
        .route(
            &format!("{base}/invocation/{{id}}/response"),
            post(response),
        )
        .route(&format!("{base}/invocation/{{id}}/error"), post(failure))
        .route(&format!("{base}/init/error"), post(init_failure))
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn next(State(side): Side) -> Response {
    side.ready.send_replace(true);
    let event = async { side.events.lock().await.recv().await };
    match side.stop.run_until_cancelled(event).await {
        Some(Some(event)) => {
            side.ready.send_replace(false);
            offer(event)
        }
        Some(None) | None => StatusCode::GONE.into_response(),
    }
}

fn offer(event: Event) -> Response {
    let Event {
        id,
        payload,
        deadline,
        arn,
        trace,
    } = event;
    let headers = [
        ("lambda-runtime-aws-request-id", id.to_string()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", trace),
        ("content-type", "application/json".to_owned()),
    ];
    let mut response = Response::new(Body::from(payload));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn response(
    State(side): Side,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, Json<Value>) {
    if flow::is_one(&headers) {
        return flow::read(&side.said, id, &headers, body).await;
    }
    match axum::body::to_bytes(body, ANSWER_MAX).await {
        Ok(body) => tell(&side, Said::Answer(id, body)).await,
        Err(_) => {
            // The function learns of its fault by the status.
            drop(side.said.send(Said::TooLarge(id)).await);
            let fault = json!({"errorMessage": "Exceeded maximum allowed payload size", "errorType": "RequestEntityTooLarge"});
            (StatusCode::PAYLOAD_TOO_LARGE, Json(fault))
        }
    }
}

async fn failure(
    State(side): Side,
    Path(id): Path<Uuid>,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    tell(&side, Said::Failure(id, body)).await
}

async fn init_failure(State(side): Side, body: Bytes) -> (StatusCode, Json<Value>) {
    tell(&side, Said::InitFailure(body)).await
}

async fn tell(side: &Shared, said: Said) -> (StatusCode, Json<Value>) {
    // Nobody listens any more where the process is about to be killed.
    drop(side.said.send(said).await);
    (StatusCode::ACCEPTED, Json(json!({"status": "OK"})))
}
