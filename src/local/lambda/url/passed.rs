//! An address that passes answers on as they are made.

use std::{io, pin::pin};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::sync::mpsc::Receiver;

use super::{
    Site,
    event::{DIVIDER, Malformed, divided, headed, plain},
};
use crate::local::lambda::{
    run::{Outcome, Part, way},
    wire::ApiError,
};

/// The type of an answer that begins with a head in JSON.
const WITH_HEAD: &str = "application/vnd.awslambda.http-integration-response";
const HEAD_MAX: usize = 64 * 1024;

/// Answers as soon as the function begins to. What it gives in one piece goes as it is, without a look into it.
pub(super) async fn call(
    site: &Site,
    event: String,
) -> Result<Result<Response, Malformed>, ApiError> {
    let (sink, mut parts) = way();
    let mut called = pin!(site.call(event, Some(sink)));
    // The call goes on by itself when nobody waits for it here.
    let kind = tokio::select! {
        biased;
        Some(Part::Head(kind)) = parts.recv() => kind,
        outcome = &mut called => return outcome.map(raw),
    };
    if kind != WITH_HEAD {
        return Ok(typed(&kind, body(Bytes::new(), parts)));
    }
    let mut begun = BytesMut::new();
    loop {
        if let Some(end) = divided(&begun) {
            let head = begun.split_to(end);
            let first = begun.split_off(DIVIDER.len()).freeze();
            return Ok(headed(&head, body(first, parts)));
        }
        match parts.recv().await {
            Some(Part::Data(data)) if begun.len() <= HEAD_MAX => begun.extend_from_slice(&data),
            // It failed before it said anything, or says what is no head.
            Some(Part::Head(_) | Part::Data(_) | Part::End) | None => return Ok(Err(Malformed)),
        }
    }
}

fn raw(outcome: Outcome) -> Result<Response, Malformed> {
    match outcome {
        Outcome::Answered(payload) => Ok(plain(StatusCode::OK, Body::from(payload))),
        Outcome::Failed {
            payload: _,
            kind: _,
        } => Err(Malformed),
    }
}

fn typed(kind: &str, body: Body) -> Result<Response, Malformed> {
    let mut response = plain(StatusCode::OK, body);
    let kind = HeaderValue::from_str(kind).map_err(|_| Malformed)?;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What is there, and then what comes. The connection is cut where the answer was.
fn body(first: Bytes, parts: Receiver<Part>) -> Body {
    let pieces = stream::unfold(Some((first, parts)), async |state| {
        let (first, mut parts) = state?;
        if !first.is_empty() {
            return Some((Ok(first), Some((Bytes::new(), parts))));
        }
        match parts.recv().await {
            Some(Part::Data(data)) => Some((Ok(data), Some((first, parts)))),
            Some(Part::End) => None,
            Some(Part::Head(_)) | None => {
                let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                Some((Err(cut), None))
            }
        }
    });
    Body::from_stream(pieces)
}
