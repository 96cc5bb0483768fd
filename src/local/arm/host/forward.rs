//! Takes a request to the running handler and brings the answer back.

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header,
    request::Parts,
};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    app::{App, InFlight, Routed},
    language::{InvokeError, Language},
    package::Function,
    worker::{Handler, StartError, Talk, Worker},
    wrap::{self, Event, Outcome},
};
use crate::local::{arm::serve::Caller, process::Stream};

/// The largest request body that Azure takes for a function.
const WRAPPED_MAX: usize = 210 << 20;

/// What the host calls itself towards handlers.
pub(super) const HOST_VERSION: &str = "4.1040.300";

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
    #[error("the invocation failed: {0}")]
    Raised(InvokeError),
}

impl From<hyper_util::client::legacy::Error> for CallError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<InvokeError> for CallError {
    fn from(error: InvokeError) -> Self {
        match error {
            InvokeError::Gone => Self::Broken(error.to_string()),
            InvokeError::NotLoaded(_) | InvokeError::Raised(_) => Self::Raised(error),
        }
    }
}

impl CallError {
    pub(in crate::local::arm) fn status(&self) -> StatusCode {
        match self {
            Self::Start(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_GATEWAY,
            Self::Failed(_) | Self::Raised(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

/// Has the function that a request was routed to answer it.
pub(in crate::local::arm) async fn run(
    entered: InFlight,
    routed: &Routed<'_>,
    request: Request<Body>,
    caller: Caller,
) -> Result<Response<Body>, CallError> {
    let worker = entered.app().ready().await?;
    match &worker.talk {
        Talk::Http(handler) if handler.forwards && routed.trigger.http_only => {
            forward(entered, (&worker, handler), request, caller).await
        }
        Talk::Http(handler) => {
            let taken = Taken::of(request, caller).await?;
            wrapped(&entered, (&worker, handler), routed, taken).await
        }
        Talk::Rpc(language) => {
            let taken = Taken::of(request, caller).await?;
            asked(&entered, (&worker, language), routed, taken).await
        }
    }
}

/// Sets off a function of any trigger but HTTP, to its end.
pub(in crate::local::arm) async fn set_off(
    entered: &InFlight,
    (name, function): (&str, &Function),
    event: &Event,
) -> Result<(), CallError> {
    let worker = entered.app().ready().await?;
    match &worker.talk {
        Talk::Http(handler) => {
            let mut names = function.config["bindings"].as_array().into_iter().flatten();
            let binding = names.find_map(|binding| binding["name"].as_str());
            let envelope = wrap::event_envelope(binding.unwrap_or("input"), event);
            let outcome = invoke_wrapped(entered, (&worker, handler), name, &envelope).await;
            outcome.map(drop)
        }
        Talk::Rpc(language) => {
            let done = language.set_off((name, function), event);
            within(entered.app(), &worker, done).await
        }
    }
}

/// What the app itself answers to a plain request for `path`, keys or none.
pub(super) async fn ping(app: &App, worker: &Worker, path: &str) -> Result<StatusCode, CallError> {
    let request = Request::get(path).body(Body::empty());
    let request = request.map_err(|error| CallError::Broken(error.to_string()))?;
    match &worker.talk {
        Talk::Http(handler) => {
            let (mut head, body) = request.into_parts();
            head.uri = handler.uri(path);
            Ok(handler
                .send(Request::from_parts(head, body))
                .await?
                .status())
        }
        Talk::Rpc(language) => {
            let (head, _) = request.into_parts();
            let Some(routed) = app.route("GET", head.uri.path()) else {
                return Ok(StatusCode::NOT_FOUND);
            };
            let function = (routed.name, routed.function);
            let told = language.answer(function, (path, &head), &routed.parameters, &[]);
            Ok(told.await?.status())
        }
    }
}

/// Passes the request on as it came, and streams the answer; `entered` lasts as long as the answer's body does.
async fn forward(
    entered: InFlight,
    (worker, handler): (&Worker, &Handler),
    request: Request<Body>,
    caller: Caller,
) -> Result<Response<Body>, CallError> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = handler.uri(path);
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
    let sent = handler.send(Request::from_parts(head, body));
    let response = within(entered.app(), worker, sent).await?;
    Ok(passed_on(entered, response))
}

/// A request that was read to its end.
struct Taken {
    head: Parts,
    url: String,
    body: Bytes,
}

impl Taken {
    async fn of(request: Request<Body>, caller: Caller) -> Result<Self, CallError> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, WRAPPED_MAX)
            .await
            .map_err(|_| CallError::TooLarge)?;
        let host = head.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let (scheme, host) = (caller.scheme.as_str(), host.unwrap_or("localhost"));
        let url = format!("{scheme}://{host}{}", head.uri);
        Ok(Self { head, url, body })
    }
}

/// Wraps the request in an envelope, and unwraps the answer.
async fn wrapped(
    entered: &InFlight,
    handler: (&Worker, &Handler),
    routed: &Routed<'_>,
    taken: Taken,
) -> Result<Response<Body>, CallError> {
    let Taken { head, url, body } = taken;
    let binding = &routed.trigger.binding;
    let envelope = wrap::http_envelope(binding, &url, &head, &routed.parameters, &body);
    let outcome = invoke_wrapped(entered, handler, routed.name, &envelope).await?;
    Ok(outcome.response().map(Body::from))
}

/// Has the worker of the function's language answer.
async fn asked(
    entered: &InFlight,
    (worker, language): (&Worker, &Language),
    routed: &Routed<'_>,
    taken: Taken,
) -> Result<Response<Body>, CallError> {
    let Taken { head, url, body } = taken;
    let function = (routed.name, routed.function);
    let answer = language.answer(function, (&url, &head), &routed.parameters, &body);
    let answer = within(entered.app(), worker, answer).await?;
    Ok(answer.map(Body::from))
}

/// Sends an envelope to a function of any trigger.
async fn invoke_wrapped(
    entered: &InFlight,
    (worker, handler): (&Worker, &Handler),
    function: &str,
    envelope: &Value,
) -> Result<Outcome, CallError> {
    let mut request = Request::post(handler.uri(&format!("/{function}")))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(envelope.to_string()))
        .map_err(|error| CallError::Broken(error.to_string()))?;
    identify(request.headers_mut());
    let response = within(entered.app(), worker, handler.send(request)).await?;
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

/// Waits for an answer within the app's time limit.
async fn within<T, E: Into<CallError>>(
    app: &App,
    worker: &Worker,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError> {
    let parts = &app.parts;
    let of_package = parts.package.as_ref().map(|package| package.timeout);
    let limit = of_package.map_or(parts.limits.request, |own| own.min(parts.limits.request));
    match timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let error = error.into();
            if matches!(error, CallError::Broken(_)) {
                worker.suspect();
            }
            Err(error)
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
