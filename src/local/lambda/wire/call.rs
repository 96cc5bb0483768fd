//! One request taken apart, and the small answers.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{error::ApiError, reference::Reference};

/// Lambda's own page size.
const PAGE: usize = 50;

/// One request to the control plane.
pub(in crate::local::lambda) struct Call {
    /// What the path's placeholders stand for, decoded.
    pub(in crate::local::lambda) path: Vec<String>,
    pub(in crate::local::lambda) query: Vec<(String, String)>,
    pub(in crate::local::lambda) headers: HeaderMap,
    pub(in crate::local::lambda) body: Bytes,
}

impl Call {
    /// The body, by its model. An empty body counts as an empty object, as Lambda does it.
    pub(in crate::local::lambda) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body: &[u8] = if self.body.is_empty() {
            b"{}"
        } else {
            &self.body
        };
        serde_json::from_slice(body).map_err(|fault| {
            ApiError::unreadable(format!("Could not parse request body into json: {fault}"))
        })
    }

    pub(in crate::local::lambda) fn query(&self, name: &str) -> Option<&str> {
        let mut values = self.query.iter();
        values
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The placeholder at `index`; routes have as many as their operations ask for.
    pub(in crate::local::lambda) fn part(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }

    /// The function that the path names, with the qualifier of path or query.
    pub(in crate::local::lambda) fn function(&self) -> Result<Reference, ApiError> {
        Reference::parse(self.part(0), self.query("Qualifier"))
    }

    pub(in crate::local::lambda) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A JSON answer.
pub(in crate::local::lambda) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// 204, which carries neither body nor content type.
pub(in crate::local::lambda) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// One page of `items`, which come in the order of their keys; the marker is the key of the next page's first.
///
/// A marker whose item is gone meanwhile goes on with the next one.
pub(in crate::local::lambda) fn page<T>(
    call: &Call,
    list: &str,
    items: impl Iterator<Item = (String, T)>,
    show: impl Fn(T) -> Value,
) -> Result<Response, ApiError> {
    let size = match call.query("MaxItems") {
        None => PAGE,
        Some(text) => match text.parse::<usize>() {
            Ok(size @ 1..=10_000) => size.min(PAGE),
            Ok(_) | Err(_) => {
                let rule = "Member must have value between 1 and 10000";
                return Err(ApiError::validation(text, "maxItems", rule));
            }
        },
    };
    let marker = call.query("Marker").unwrap_or_default();
    let mut rest = items.skip_while(|(key, _)| key.as_str() < marker);
    let taken: Vec<Value> = rest
        .by_ref()
        .take(size)
        .map(|(_, item)| show(item))
        .collect();
    let mut body = serde_json::Map::from_iter([(list.to_owned(), Value::Array(taken))]);
    if let Some((next, _)) = rest.next() {
        body.insert("NextMarker".to_owned(), Value::String(next));
    }
    Ok(answer(StatusCode::OK, &Value::Object(body)))
}
