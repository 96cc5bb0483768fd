//! Who asks the queues of an account, for what, and what should go wrong with it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts,
};
use percent_encoding::percent_decode_str;

use super::{
    keys::{self, Stranger},
    messages, named,
    words::{self, Refusal, bad, missing, refused},
};
use crate::local::{arm::cloud::Cloud, faults::Verdict, listen};

/// Where accounts are, below the endpoint.
pub(in crate::local::arm) const ROOT: &str = "/queues";

/// A message of 64 KiB, and whatever XML makes of it.
const BODY_MAX: usize = 1 << 20;
/// What is read of a body that is too large, so that whoever sends it hears why it is not taken.
const READ_MAX: usize = 16 << 20;

/// What was asked for, about one account.
pub(super) struct Asked {
    pub(super) account: String,
    /// The address of the account's queues, with a slash at its end.
    pub(super) endpoint: String,
    /// What follows the account.
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What is answered.
#[derive(Default)]
pub(super) struct Done {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
}

type Handler = fn(&Cloud, &Asked) -> Result<Done, Refusal>;

/// Answers everything below [`ROOT`].
pub(in crate::local::arm) async fn answer(
    State(cloud): State<Arc<Cloud>>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut answer = match work(&cloud, &head, body).await {
        Ok(Some(done)) => written(done),
        Ok(None) => return listen::lost_reply(),
        Err(refusal) => refusing(&refusal),
    };
    sign(&head, &mut answer);
    answer
}

/// Nothing where the reply is to be lost.
async fn work(cloud: &Cloud, head: &Parts, body: Body) -> Result<Option<Done>, Refusal> {
    let (account, path) = path_of(head);
    let found = {
        let state = cloud.state();
        let mut accounts = state.world.accounts.values();
        accounts
            .find(|it| it.name.eq_ignore_ascii_case(&account))
            .cloned()
    };
    let found = found.ok_or_else(|| missing("ResourceNotFound", "resource"))?;
    keys::check(&found, head).map_err(turned_away)?;
    let query = head.uri.query().unwrap_or_default();
    let query: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.to_lowercase(), value.into_owned()))
        .collect();
    let (operation, handler) = handler(&head.method, &path, &query)?;
    let too_large = || {
        let message = "The request body is too large and exceeds the maximum permissible limit.";
        refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestBodyTooLarge",
            message,
        )
    };
    let asked = Asked {
        endpoint: endpoint_of(head, &found.name),
        account: found.name,
        path,
        query,
        headers: head.headers.clone(),
        body: to_bytes(body, READ_MAX).await.map_err(|_| too_large())?,
    };
    if asked.body.len() > BODY_MAX {
        return Err(too_large());
    }
    match cloud.options.faults.before(operation).await {
        Verdict::Proceed => handler(cloud, &asked).map(Some),
        Verdict::LoseReply => {
            // What the work came to is exactly what the caller must not learn.
            drop(handler(cloud, &asked));
            Ok(None)
        }
        Verdict::Throttle => {
            let message = "The server is currently unable to receive requests.";
            Err(refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServerBusy",
                message,
            ))
        }
        Verdict::Fail {
            status,
            code,
            message,
        } => Err(refused(status, &code, &message)),
    }
}

/// The account, and what follows it.
fn path_of(head: &Parts) -> (String, Vec<String>) {
    let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let parts = path.split('/').filter(|part| !part.is_empty());
    let mut parts = parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
    (parts.next().unwrap_or_default(), parts.collect())
}

fn endpoint_of(head: &Parts, account: &str) -> String {
    let host = head.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let host = host.or_else(|| Some(head.uri.authority()?.as_str()));
    format!("http://{}{ROOT}/{account}/", host.unwrap_or("127.0.0.1"))
}

fn turned_away(stranger: Stranger) -> Refusal {
    match stranger {
        Stranger::SaysNothing => refused(
            StatusCode::UNAUTHORIZED,
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        ),
        Stranger::HasNoRight => refused(
            StatusCode::FORBIDDEN,
            "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.",
        ),
    }
}

/// The operation's name, for faults, and who carries it out.
fn handler(
    method: &Method,
    path: &[String],
    query: &BTreeMap<String, String>,
) -> Result<(&'static str, Handler), Refusal> {
    let comp = query.get("comp").map_or("", String::as_str);
    let peeks = query.get("peekonly").is_some_and(|it| it == "true");
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let found: (&'static str, Handler) = match (method.as_str(), &path[..], comp) {
        ("GET", [], "list") => ("queues.list", named::list),
        ("PUT", [_], "") => ("queues.create", named::create),
        ("DELETE", [_], "") => ("queues.delete", named::delete),
        ("GET" | "HEAD", [_], "metadata") => ("queues.metadata", named::metadata),
        ("PUT", [_], "metadata") => ("queues.setmetadata", named::set_metadata),
        ("POST", [_, "messages"], "") => ("messages.put", messages::put),
        ("GET", [_, "messages"], "") if peeks => ("messages.peek", messages::peek),
        ("GET", [_, "messages"], "") => ("messages.get", messages::get),
        ("DELETE", [_, "messages"], "") => ("messages.clear", messages::clear),
        ("PUT", [_, "messages", _], "") => ("messages.update", messages::update),
        ("DELETE", [_, "messages", _], "") => ("messages.delete", messages::delete),
        (_, [] | [_] | [_, "messages"] | [_, "messages", _], "") => {
            let message = "The resource doesn't support specified Http Verb.";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(refused(status, "UnsupportedHttpVerb", message));
        }
        (_, [] | [_], _) => {
            let message =
                "One of the query parameters specified in the request URI is not supported.";
            return Err(bad("UnsupportedQueryParameter", message));
        }
        _ => {
            let message = "The requested URI does not represent any resource on the server.";
            return Err(bad("InvalidUri", message));
        }
    };
    Ok(found)
}

// === what was asked ===

impl Asked {
    pub(super) fn queue(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    pub(super) fn message(&self) -> &str {
        self.path.get(2).map_or("", String::as_str)
    }

    /// What the caller says of the queue.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            let name = name.as_str().strip_prefix("x-ms-meta-")?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        };
        self.headers.iter().filter_map(pair).collect()
    }

    /// A whole number of the query between two bounds.
    pub(super) fn number(&self, name: &str, low: i64, high: i64) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.query.get(name) else {
            return Ok(None);
        };
        let number: i64 = text.parse().map_err(|_| {
            let message =
                format!("Value for one of the query parameters is invalid: {name}={text}.");
            bad("InvalidQueryParameterValue", &message)
        })?;
        match (low..=high).contains(&number) {
            true => Ok(Some(number)),
            false => {
                let message = format!(
                    "One of the query parameters specified in the request URI is outside the permissible range: {name} is {low} to {high}."
                );
                Err(bad("OutOfRangeQueryParameterValue", &message))
            }
        }
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.query.get(name).map(String::as_str).ok_or_else(|| {
            let message = format!("A required query parameter was not specified: {name}.");
            bad("MissingRequiredQueryParameter", &message)
        })
    }
}

// === how it is answered ===

impl Done {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(super) fn with(status: StatusCode, body: String) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }
}

fn written(done: Done) -> Response<Body> {
    let Done {
        status,
        headers,
        body,
    } = done;
    let is_xml = body.is_some();
    let mut answer = Response::new(body.map_or_else(Body::empty, Body::from));
    *answer.status_mut() = status;
    if is_xml {
        let kind = HeaderValue::from_static("application/xml");
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn refusing(refusal: &Refusal) -> Response<Body> {
    let mut done = Done::with(refusal.status, words::error(refusal));
    done.headers = vec![("x-ms-error-code".to_owned(), refusal.code.clone())];
    written(done)
}

/// What stands on every answer.
fn sign(head: &Parts, answer: &mut Response<Body>) {
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok();
    let id = id.map(|id| ("x-ms-request-id", id));
    let same = |name: &'static str| Some((name, head.headers.get(name)?.clone()));
    let all = [id, same("x-ms-version"), same("x-ms-client-request-id")];
    for (name, value) in all.into_iter().flatten() {
        answer.headers_mut().insert(name, value);
    }
}
