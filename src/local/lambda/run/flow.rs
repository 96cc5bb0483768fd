//! Answers that a process gives piece by piece, and whoever takes them so.

use std::pin::Pin;

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Duration, timeout},
};
use uuid::Uuid;

use super::{
    Outcome,
    api::{ANSWER_MAX, Said},
    worker::{After, crash, too_large},
};
use crate::local::process::Exit;

/// Lambda's limit of an answer that is passed on as it is made.
const FLOW_MAX: usize = 200 * 1024 * 1024;

/// Pieces under way: whoever takes them slowly slows the process down.
const PIECES: usize = 4;

/// Between the end of a process's connection and the moment that its own end is seen.
const DEATH: Duration = Duration::from_secs(2);

/// An answer under way.
pub(super) struct Flow {
    kind: String,
    pieces: mpsc::Receiver<Piece>,
}

/// Where none of the last three comes, the connection broke off.
enum Piece {
    Data(Bytes),
    End,
    Failure(Outcome),
    TooLarge,
}

/// What a caller gets who takes an answer as it is made. One that ends without `End` was cut off.
pub(in crate::local::lambda) enum Part {
    /// The type of the content.
    Head(String),
    Data(Bytes),
    End,
}

pub(in crate::local::lambda) type Sink = mpsc::Sender<Part>;

/// Both ends of a way from a call to its caller.
pub(in crate::local::lambda) fn way() -> (Sink, mpsc::Receiver<Part>) {
    mpsc::channel(PIECES)
}

/// Whether the process says that it gives its answer piece by piece.
pub(super) fn is_one(headers: &HeaderMap) -> bool {
    let mode = headers.get("lambda-runtime-function-response-mode");
    mode.is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"))
}

/// Reads an answer to its end, and says meanwhile what has come of it.
pub(super) async fn read(
    said: &mpsc::Sender<Said>,
    id: Uuid,
    headers: &HeaderMap,
    mut body: Body,
) -> (StatusCode, Json<Value>) {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or("application/octet-stream").to_owned();
    let (sender, pieces) = mpsc::channel(PIECES);
    // Nobody listens any more where the process is about to be killed: here, and below.
    drop(said.send(Said::Flow(id, Flow { kind, pieces })).await);
    let (mut size, mut last) = (0, Piece::End);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (StatusCode::BAD_REQUEST, Json(json!({})));
        };
        match frame.into_data() {
            Ok(data) => {
                size += data.len();
                if size > FLOW_MAX {
                    drop(sender.send(Piece::TooLarge).await);
                    return (StatusCode::PAYLOAD_TOO_LARGE, Json(json!({})));
                }
                drop(sender.send(Piece::Data(data)).await);
            }
            Err(frame) => {
                let failure = frame.into_trailers().ok().and_then(|told| failure(&told));
                last = failure.map_or(last, Piece::Failure);
            }
        }
    }
    drop(sender.send(last).await);
    (StatusCode::ACCEPTED, Json(json!({"status": "OK"})))
}

/// What went wrong after the answer had begun, as it is told behind it.
fn failure(trailers: &HeaderMap) -> Option<Outcome> {
    let told = |name: &str| trailers.get(name).and_then(|it| it.to_str().ok());
    let kind = told("lambda-runtime-function-error-type")?.to_owned();
    let body = told("lambda-runtime-function-error-body").unwrap_or_default();
    let payload = STANDARD.decode(body).unwrap_or_default().into();
    Some(Outcome::Failed { payload, kind })
}

/// Hands an answer on to whoever takes it piece by piece, or brings all of it together.
pub(super) async fn pass(
    id: Uuid,
    flow: Flow,
    sink: Option<Sink>,
    mut exited: Pin<&mut impl Future<Output = Exit>>,
) -> (Outcome, After) {
    let Flow { kind, mut pieces } = flow;
    let is_taken = sink.is_some();
    let mut taker = Taker {
        sink,
        whole: BytesMut::new(),
    };
    if is_taken {
        taker.tell(Part::Head(kind)).await;
    }
    loop {
        let piece = tokio::select! {
            // What was said before the end still counts.
            biased;
            piece = pieces.recv() => piece,
            exit = exited.as_mut() => return (crash(id, exit), After::Discard),
        };
        match piece {
            Some(Piece::Data(data)) if is_taken => taker.tell(Part::Data(data)).await,
            Some(Piece::Data(data)) => {
                taker.whole.extend_from_slice(&data);
                if taker.whole.len() > ANSWER_MAX {
                    return (too_large(ANSWER_MAX), After::Discard);
                }
            }
            Some(Piece::End) => {
                taker.tell(Part::End).await;
                return (Outcome::Answered(taker.whole.freeze()), After::Reuse);
            }
            Some(Piece::Failure(outcome)) => {
                // Lambda takes an answer that has begun for a good one, however it ends.
                taker.tell(Part::End).await;
                return (outcome, After::Reuse);
            }
            Some(Piece::TooLarge) => return (too_large(FLOW_MAX), After::Discard),
            None => {
                return (
                    broken(id, timeout(DEATH, exited).await.ok()),
                    After::Discard,
                );
            }
        }
    }
}

fn broken(id: Uuid, exit: Option<Exit>) -> Outcome {
    let message = format!("RequestId: {id} Error: the answer broke off");
    let truncated = || Outcome::failed("Runtime.TruncatedResponse", &message);
    exit.map_or_else(truncated, |exit| crash(id, exit))
}

struct Taker {
    sink: Option<Sink>,
    whole: BytesMut,
}

impl Taker {
    /// A caller who left is told nothing more; the function works on, as on Lambda.
    async fn tell(&mut self, part: Part) {
        if let Some(sink) = &self.sink
            && sink.send(part).await.is_err()
        {
            self.sink = None;
        }
    }
}
