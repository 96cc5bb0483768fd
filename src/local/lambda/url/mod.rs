//! Function URLs: each alias with one has a loopback listener of its own.

mod event;
mod passed;
mod signature;

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    Lambda,
    run::{Outcome, Sink},
    wire::{ApiError, Reference},
};
use crate::local::{faults::Verdict, listen};

const BODY_MAX: usize = 6 * 1024 * 1024;

/// The mode of an address that passes answers on as they are made.
pub(super) const STREAM: &str = "RESPONSE_STREAM";

/// What fault rules and counts call a request to a function URL.
const OPERATION: &str = "InvokeFunctionUrl";

/// The open listeners, by function and alias.
#[derive(Default)]
pub(super) struct Listeners(Mutex<BTreeMap<(String, String), CancellationToken>>);

impl Listeners {
    /// New connections are refused from now on; requests in hand are finished.
    pub(super) fn close(&self, function: &str, alias: &str) {
        let key = (function.to_owned(), alias.to_owned());
        if let Some(stop) = self.open().remove(&key) {
            stop.cancel();
        }
    }

    pub(super) fn close_function(&self, function: &str) {
        self.open().retain(|(name, _), stop| {
            if name == function {
                stop.cancel();
            }
            name != function
        });
    }

    pub(super) fn close_all(&self) {
        for stop in self.open().values() {
            stop.cancel();
        }
        self.open().clear();
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<(String, String), CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bound port that nobody serves yet.
pub(super) struct Listening {
    pub(super) port: u16,
    listener: TcpListener,
}

/// Binds a port: the one it had before where that is free, else any.
pub(super) async fn listen(before: Option<u16>) -> io::Result<Listening> {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = match before {
        Some(port) => match bind(port).await {
            Ok(listener) => listener,
            Err(_) => bind(0).await?,
        },
        None => bind(0).await?,
    };
    let port = listener.local_addr()?.port();
    Ok(Listening { port, listener })
}

/// Serves the URL of a function or alias until it is closed.
pub(super) fn serve(lambda: &Arc<Lambda>, listening: Listening, function: &str, alias: &str) {
    let Listening { port, listener } = listening;
    let stop = CancellationToken::new();
    let key = (function.to_owned(), alias.to_owned());
    let site = Arc::new(Site {
        lambda: Arc::clone(lambda),
        function: key.0.clone(),
        alias: key.1.clone(),
        port,
    });
    if let Some(old) = lambda.urls.open().insert(key, stop.clone()) {
        old.cancel();
    }
    let router = Router::new().fallback(handle).with_state(site);
    lambda.tasks.spawn(listen::serve(listener, router, stop));
}

/// Opens the listeners of functions that were restored from the state folder.
pub(super) async fn restore(lambda: &Arc<Lambda>) {
    let urls: Vec<(String, String, u16)> = {
        let functions = lambda.functions();
        let each = functions.values().flat_map(|function| {
            function
                .urls
                .iter()
                .map(|(alias, url)| (function.name.clone(), alias.clone(), url.port))
        });
        each.collect()
    };
    for (name, alias, port) in urls {
        let Ok(listening) = listen(Some(port)).await else {
            tracing::warn!(function = name, alias, "no port is free for a function URL");
            continue;
        };
        let mut functions = lambda.functions();
        if let Some(function) = functions.get_mut(&name)
            && let Some(url) = function.urls.get_mut(&alias)
        {
            url.port = listening.port;
            if lambda.save(function).is_err() {
                tracing::warn!(
                    function = name,
                    alias,
                    "the new port of a function URL is not written down"
                );
            }
        }
        drop(functions);
        serve(lambda, listening, &name, &alias);
    }
}

/// One URL.
struct Site {
    lambda: Arc<Lambda>,
    function: String,
    alias: String,
    port: u16,
}

async fn handle(State(site): State<Arc<Site>>, request: Request) -> Response {
    match site.lambda.faults.before(OPERATION).await {
        Verdict::Proceed => answer(&site, request).await,
        Verdict::Fail {
            status,
            code: _,
            message,
        } => refusal(status, &message),
        Verdict::Throttle => refusal(StatusCode::TOO_MANY_REQUESTS, "Rate Exceeded."),
        Verdict::LoseReply => {
            drop(answer(&site, request).await);
            listen::lost_reply()
        }
    }
}

async fn answer(site: &Site, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    if let Err(response) = site.admit(&parts, &body) {
        return *response;
    }
    let event = event::from_request(&parts, &body, &site.facts()).to_string();
    let answered = match site.streams() {
        true => passed::call(site, event).await,
        false => site.call(event, None).await.map(event::whole),
    };
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(event::Malformed)) => refusal(StatusCode::BAD_GATEWAY, "Internal Server Error"),
        Err(error) if error.status() == StatusCode::TOO_MANY_REQUESTS => {
            refusal(StatusCode::TOO_MANY_REQUESTS, "Rate Exceeded.")
        }
        Err(error) => error.into_response(),
    }
}

impl Site {
    /// Whether answers are passed on as they are made.
    fn streams(&self) -> bool {
        let functions = self.lambda.functions();
        let function = functions.get(&self.function);
        let config = function.and_then(|function| function.urls.get(&self.alias));
        config.is_some_and(|config| config.mode == STREAM)
    }

    async fn call(&self, event: String, sink: Option<Sink>) -> Result<Outcome, ApiError> {
        let qualifier = Some(self.alias.as_str()).filter(|alias| !alias.is_empty());
        let reference = Reference::parse(&self.function, qualifier)?;
        let ready = self.lambda.ready(&reference).await?;
        let ran = match sink {
            None => self.lambda.run(ready, event.into()).await?,
            Some(sink) => self.lambda.run_passing(ready, event.into(), sink).await?,
        };
        Ok(ran.outcome)
    }

    /// Public by policy, or signed.
    fn admit(&self, parts: &Parts, body: &[u8]) -> Result<(), Box<Response>> {
        let functions = self.lambda.functions();
        let function = functions.get(&self.function);
        let config = function.and_then(|function| function.urls.get(&self.alias));
        let policy = function.and_then(|function| function.policies.get(&self.alias));
        let public = config.is_some_and(|config| config.auth == "NONE")
            && policy.is_some_and(super::record::Policy::is_public);
        let (region, now) = (&self.lambda.place.region, self.lambda.clock.now());
        let is_signed = || signature::is_good(parts, body, region, now);
        if public || (config.is_some_and(|config| config.auth == "AWS_IAM") && is_signed()) {
            return Ok(());
        }
        let mut response = refusal(
            StatusCode::FORBIDDEN,
            "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html",
        );
        let name = HeaderValue::from_static("AccessDeniedException");
        response.headers_mut().insert("x-amzn-errortype", name);
        Err(Box::new(response))
    }

    fn facts(&self) -> event::Facts {
        event::Facts {
            id: format!("{:x}", self.port),
            host: format!("127.0.0.1:{}", self.port),
            port: self.port,
            now: self.lambda.clock.now(),
        }
    }
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let body = json!({"Message": message}).to_string();
    let mut response = (status, Body::from(body)).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
