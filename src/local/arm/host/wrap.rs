//! The wrapped form of an invocation: a JSON envelope to the handler, and another one back. Pure.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The envelope of an HTTP request.
pub(in crate::local::arm) fn http_envelope(
    binding: &str,
    url: &str,
    head: &request::Parts,
    parameters: &BTreeMap<String, String>,
    body: &[u8],
) -> Value {
    let query = query_of(head.uri.query().unwrap_or_default());
    let headers = headers_of(&head.headers);
    let request = json!({
        "Url": url,
        "Method": head.method.as_str(),
        "Query": query,
        "Headers": headers,
        "Params": parameters,
        "Identities": [],
        "Body": String::from_utf8_lossy(body),
    });
    json!({
        "Data": {binding: request},
        "Metadata": {"Query": query, "Headers": headers, "Params": parameters},
    })
}

/// What sets off a function of any other trigger.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::local::arm) struct Event {
    pub input: Value,
    /// What the trigger tells of it.
    pub metadata: Map<String, Value>,
}

/// The envelope of an event. A text is JSON inside JSON, as Azure's host has it.
pub(in crate::local::arm) fn event_envelope(binding: &str, event: &Event) -> Value {
    let Event { input, metadata } = event;
    let told = |value: &Value| match value {
        Value::String(_) | Value::Number(_) => json!(value.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.clone(),
    };
    let metadata = metadata.iter();
    let metadata: Map<String, Value> = metadata
        .map(|(name, value)| (name.clone(), told(value)))
        .collect();
    let input = told(input);
    json!({"Data": {binding: input}, "Metadata": metadata})
}

pub(super) fn query_of(query: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn headers_of(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        all.entry(name.to_string()).or_default().push(value);
    }
    all
}

/// What a handler answers.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::local::arm) struct Outcome {
    outputs: Map<String, Value>,
    pub logs: Vec<Value>,
    return_value: Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HttpOutput {
    #[serde(alias = "status")]
    status_code: Option<Value>,
    headers: BTreeMap<String, Value>,
    body: Value,
}

impl Outcome {
    /// The HTTP answer that the handler described; 204 with nothing in it where it described none.
    pub(in crate::local::arm) fn response(mut self) -> Response<Vec<u8>> {
        let described = self
            .outputs
            .remove("res")
            .or_else(|| self.outputs.remove("$return"))
            .or_else(|| (!self.return_value.is_null()).then(|| self.return_value.take()));
        match described {
            None => plain(StatusCode::NO_CONTENT, Vec::new()),
            Some(Value::Object(object)) if is_response(&object) => {
                let output = serde_json::from_value(Value::Object(object)).unwrap_or_default();
                structured(output)
            }
            Some(value) => plain(StatusCode::OK, bytes_of(value)),
        }
    }
}

fn is_response(object: &Map<String, Value>) -> bool {
    ["statusCode", "status", "body", "headers"]
        .iter()
        .any(|member| object.contains_key(*member))
}

fn structured(output: HttpOutput) -> Response<Vec<u8>> {
    let HttpOutput {
        status_code,
        headers,
        body,
    } = output;
    let status = status_code
        .and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()))
        .and_then(|code| u16::try_from(code).ok())
        .and_then(|code| StatusCode::from_u16(code).ok())
        .unwrap_or(StatusCode::OK);
    let is_json = !body.is_string() && !body.is_null();
    let mut response = plain(status, bytes_of(body));
    if is_json {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    let headers = headers.into_iter().map(|(name, value)| {
        let text = value.as_str().map(str::to_owned);
        (name, text.unwrap_or_else(|| value.to_string()))
    });
    with_headers(response, headers)
}

/// What is no header by its form is left out.
pub(super) fn with_headers(
    mut response: Response<Vec<u8>>,
    headers: impl IntoIterator<Item = (String, String)>,
) -> Response<Vec<u8>> {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(super) fn plain(status: StatusCode, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn bytes_of(value: Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.into_bytes(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string().into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_becomes_the_answer_it_describes() {
        let cases = [
            (
                json!({"Outputs": {"res": {"statusCode": 201, "body": "made"}}}),
                201,
                "made",
            ),
            (json!({"Outputs": {"res": {"statusCode": "404"}}}), 404, ""),
            (
                json!({"Outputs": {"res": {"body": {"a": 1}}}}),
                200,
                "{\"a\":1}",
            ),
            (json!({"ReturnValue": "text"}), 200, "text"),
            (json!({}), 204, ""),
        ];
        for (outcome, status, body) in cases {
            let read: Outcome = serde_json::from_value(outcome.clone()).unwrap();
            let response = read.response();
            assert_eq!(response.status(), status, "{outcome}");
            assert_eq!(response.body(), body.as_bytes(), "{outcome}");
        }
    }
}
