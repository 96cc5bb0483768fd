//! An answer that Lambda passes on as it is made.
//!
//! The Runtime API takes it in chunks: a head in JSON, eight zero bytes, and the body as it comes. What goes wrong in the middle is told
//! behind the last chunk.

use std::{env, io};

use super::{
    aws::{Api, ERROR, RUNTIME, failed, failure, head, object},
    base64,
    contract::Answer,
    http::Connection,
    json::{self, Value},
    program::Flow,
};

const TYPE: &str = "lambda-runtime-function-error-type";
const BODY: &str = "lambda-runtime-function-error-body";

/// Whether the address of this version passes answers on as they are made.
pub(crate) fn is_asked() -> bool {
    let told = env::var("VERDIGRIS_HTTP").unwrap_or_default();
    json::parse(told.as_bytes()).is_some_and(|told| *told.get("stream") == Value::Bool(true))
}

/// Sends all of an answer. A program that ends in the middle of one is told in the log, and to the cloud without the reason.
pub(crate) fn send(
    api: &mut Api<'_>,
    id: &str,
    begun: Result<Flow<'_>, Answer>,
) -> Result<(), String> {
    let path = format!("/invocation/{id}/response");
    let mut connection = api.connection().map_err(|fault| failed(&path, &fault))?;
    let io = |error: io::Error| failed(&path, &error.into());
    begin(&mut connection, api.address, &path).map_err(io)?;
    let trailers = match begun {
        Ok(flow) => pass(&mut connection, flow).map_err(io)?,
        Err(mut answer) => {
            let body = std::mem::take(&mut answer.body);
            connection.send_chunk(&prelude(answer)).map_err(io)?;
            if !body.is_empty() {
                connection.send_chunk(&body).map_err(io)?;
            }
            None
        }
    };
    let trailers = trailers.as_ref().map(|body| [(TYPE, ERROR), (BODY, body)]);
    let trailers = trailers.as_ref().map_or(&[][..], |it| it);
    connection.send_end(trailers).map_err(io)?;
    let taken = connection.response("POST");
    // Lambda asks for a connection of its own for each answer that is passed on so: this one ends here.
    taken.map(drop).map_err(|fault| failed(&path, &fault))
}

fn begin(connection: &mut Connection, host: &str, path: &str) -> io::Result<()> {
    let trailers = format!("{TYPE}, {BODY}");
    let headers = [
        ("host", host),
        (
            "content-type",
            "application/vnd.awslambda.http-integration-response",
        ),
        ("lambda-runtime-function-response-mode", "streaming"),
        ("transfer-encoding", "chunked"),
        ("trailer", trailers.as_str()),
    ];
    connection.send(&format!("POST {RUNTIME}{path} HTTP/1.1"), &headers, b"")
}

/// Passes each piece on as it comes. Gives back what is to be told of a fault.
fn pass(connection: &mut Connection, mut flow: Flow<'_>) -> io::Result<Option<String>> {
    connection.send_chunk(&prelude(flow.answer.clone()))?;
    loop {
        match flow.next() {
            Ok(Some(piece)) => connection.send_chunk(&piece)?,
            Ok(None) => {
                flow.end();
                return Ok(None);
            }
            Err(error) => {
                eprintln!("verdigris: {error}");
                let mut told = String::new();
                failure("the answer broke off").write(&mut told);
                return Ok(Some(base64::encode(told.as_bytes())));
            }
        }
    }
}

/// The head, and what divides it from the body.
fn prelude(answer: Answer) -> Vec<u8> {
    let mut text = String::new();
    object(head(answer)).write(&mut text);
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&[0; 8]);
    bytes
}
