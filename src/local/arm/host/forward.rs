//! Takes a request to the running handler and brings the answer back.

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    app::{InFlight, Routed},
    worker::{StartError, Worker},
    wrap::{self, Outcome},
};
use crate::local::{arm::serve::Caller, process::Stream};

/// The largest request body that Azure takes for a function.
const WRAPPED_MAX: usize = 210 << 20;

/// What the host calls itself towards handlers.
const HOST_VERSION: &str = "4.1040.300";

/// Headers that belong to one connection and not to the message.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why an invocation gave no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::local::arm) enum CallError {
    #[error("the app could not be started: {0}")]
    Start(#[from] StartError),
    #[error("the function did not answer within its time limit")]
    TooSlow,
    #[error("the handler gave no answer: {0}")]
    Broken(String),
    #[error("the invocation failed: the handler answered {0}")]
    Failed(StatusCode),
    #[error("the request is too large")]
    TooLarge,
}

impl CallError {
    pub(in crate::local::arm) fn status(&self) -> StatusCode {
        match self {
            Self::Start(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_GATEWAY,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

/// Passes the request on as it came, and streams the answer; `entered` lasts as long as the answer's body does.
pub(in crate::local::arm) async fn forward(
    entered: InFlight,
    request: Request<Body>,
    caller: Caller,
) -> Result<Response<Body>, CallError> {
    let worker = entered.app().ready().await?;
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = worker.uri(path);
    if let Some(authority) = head.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        // HTTP/2 carries the host here.
        head.headers.entry(header::HOST).or_insert(host);
    }
    head.uri = uri;
    head.version = Version::HTTP_11;
    strip_hop_by_hop(&mut head.headers);
    add_host_headers(&mut head.headers, caller);
    let response = send(&entered, &worker, Request::from_parts(head, body)).await?;
    Ok(passed_on(entered, response))
}

/// Wraps the request in an envelope, and unwraps the answer.
pub(in crate::local::arm) async fn invoke(
    entered: &InFlight,
    routed: &Routed<'_>,
    request: Request<Body>,
    caller: Caller,
) -> Result<Response<Body>, CallError> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, WRAPPED_MAX)
        .await
        .map_err(|_| CallError::TooLarge)?;
    let host = head
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let url = format!(
        "{}://{}{}",
        caller.scheme.as_str(),
        host.unwrap_or("localhost"),
        head.uri
    );
    let binding = &routed.trigger.binding;
    let envelope = wrap::http_envelope(binding, &url, &head, &routed.parameters, &body);
    let outcome = invoke_wrapped(entered, routed.name, &envelope).await?;
    Ok(outcome.response().map(Body::from))
}

/// Sends an envelope to a function of any trigger.
pub(in crate::local::arm) async fn invoke_wrapped(
    entered: &InFlight,
    function: &str,
    envelope: &Value,
) -> Result<Outcome, CallError> {
    let worker = entered.app().ready().await?;
    let mut request = Request::post(worker.uri(&format!("/{function}")))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(envelope.to_string()))
        .map_err(|error| CallError::Broken(error.to_string()))?;
    identify(request.headers_mut());
    let response = send(entered, &worker, request).await?;
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), WRAPPED_MAX)
        .await
        .map_err(|error| CallError::Broken(error.to_string()))?;
    if !status.is_success() {
        return Err(CallError::Failed(status));
    }
    let outcome = read_outcome(&body)?;
    for line in &outcome.logs {
        let text = line
            .as_str()
            .map_or_else(|| line.to_string(), str::to_owned);
        entered.app().parts.logs.push(Stream::Platform, &text);
    }
    Ok(outcome)
}

fn read_outcome(body: &Bytes) -> Result<Outcome, CallError> {
    if body.is_empty() {
        return Ok(Outcome::default());
    }
    serde_json::from_slice(body).map_err(|error| CallError::Broken(error.to_string()))
}

async fn send(
    entered: &InFlight,
    worker: &Worker,
    request: Request<Body>,
) -> Result<Response<Incoming>, CallError> {
    let parts = &entered.app().parts;
    let of_package = parts.package.as_ref().map(|package| package.timeout);
    let limit = of_package.map_or(parts.limits.request, |own| own.min(parts.limits.request));
    match timeout(limit, worker.send(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            worker.suspect();
            Err(CallError::Broken(error.to_string()))
        }
        Err(_) => {
            // A function that runs over takes its process with it, as on Azure: nobody knows what it still does.
            if of_package.is_some_and(|own| own <= limit) {
                worker.kill();
            }
            Err(CallError::TooSlow)
        }
    }
}

fn passed_on(entered: InFlight, response: Response<Incoming>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    strip_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_11;
    let body = body.map_frame(move |frame| {
        let _lasts_as_long_as_the_body = &entered;
        frame
    });
    Response::from_parts(head, Body::new(body))
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn add_host_headers(headers: &mut HeaderMap, caller: Caller) {
    identify(headers);
    let scheme = HeaderValue::from_static(caller.scheme.as_str());
    headers.entry("x-forwarded-proto").or_insert(scheme);
    if let Ok(address) = HeaderValue::from_str(&caller.address.to_string()) {
        headers.append("x-forwarded-for", address);
    }
}

fn identify(headers: &mut HeaderMap) {
    let id = uuid::Uuid::new_v4().to_string();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-azure-functions-invocationid", id);
    }
    let version = HeaderValue::from_static(HOST_VERSION);
    headers.insert("x-azure-functions-hostversion", version);
}
