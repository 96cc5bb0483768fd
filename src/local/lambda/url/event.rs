//! HTTP to payload format 2.0 and back. Synchronous; reads no clock.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::run::Outcome;
use crate::name::Timestamp;

/// What the request itself does not say.
pub(super) struct Facts {
    pub(super) id: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) now: Timestamp,
}

/// The event that a function gets.
pub(super) fn from_request(parts: &Parts, body: &[u8], facts: &Facts) -> Value {
    let Facts {
        id,
        host,
        port,
        now,
    } = facts;
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let mut headers = joined(&parts.headers);
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1".to_owned()),
        ("x-forwarded-port", port.to_string()),
        ("x-forwarded-proto", "http".to_owned()),
    ] {
        headers.entry(name.to_owned()).or_insert(value);
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": id,
            "domainName": host,
            "domainPrefix": id,
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent").map_or("", String::as_str),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": common_log(*now),
            "timeEpoch": now.millis(),
        },
        "headers": headers,
        "isBase64Encoded": false,
    });
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    let parameters = parameters(query);
    if !parameters.is_empty() {
        event["queryStringParameters"] = json!(parameters);
    }
    if !body.is_empty() {
        let text = std::str::from_utf8(body)
            .ok()
            .filter(|_| is_text(&parts.headers));
        event["isBase64Encoded"] = json!(text.is_none());
        event["body"] = json!(text.map_or_else(|| STANDARD.encode(body), str::to_owned));
    }
    event
}

/// Headers by their lower-case name; repeated ones joined by commas, cookies apart.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        if name == header::COOKIE {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        match joined.get_mut(name.as_str()) {
            Some(before) => {
                before.push(',');
                before.push_str(&value);
            }
            None => {
                joined.insert(name.as_str().to_owned(), value.into_owned());
            }
        }
    }
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter();
    let text: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let each = text.iter().flat_map(|line| line.split(';')).map(str::trim);
    each.filter(|cookie| !cookie.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Decoded parameters; repeated ones joined by commas.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in ::url::form_urlencoded::parse(query.as_bytes()) {
        match joined.get_mut(name.as_ref()) {
            Some(before) => {
                before.push(',');
                before.push_str(&value);
            }
            None => {
                joined.insert(name.into_owned(), value.into_owned());
            }
        }
    }
    joined
}

/// The kinds of content that travel as they are; all others travel as base64.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(
            kind.as_str(),
            "application/json" | "application/xml" | "application/javascript"
        )
}

/// `21/Nov/2026:10:00:00 +0000`.
fn common_log(at: Timestamp) -> String {
    let text = at.to_string();
    let month = text
        .get(5..7)
        .and_then(|month| month.parse::<usize>().ok())
        .unwrap_or(1);
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let part = |range| text.get(range).unwrap_or_default();
    let name = MONTHS
        .get(month.saturating_sub(1))
        .copied()
        .unwrap_or_default();
    format!(
        "{}/{name}/{}:{} +0000",
        part(8..10),
        part(0..4),
        part(11..19)
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: Value,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// A function's answer that is not one in payload format 2.0.
#[derive(Debug)]
pub(super) struct Malformed;

/// What comes of a call whose answer goes in one piece.
pub(super) fn whole(outcome: Outcome) -> Result<Response, Malformed> {
    match outcome {
        Outcome::Answered(payload) => to_response(&payload),
        Outcome::Failed {
            payload: _,
            kind: _,
        } => Err(Malformed),
    }
}

/// Stands between the head and the body of an answer that is made piece by piece. No JSON has such bytes.
pub(super) const DIVIDER: [u8; 8] = [0; 8];

/// Where the head of such an answer ends.
pub(super) fn divided(payload: &[u8]) -> Option<usize> {
    payload
        .windows(DIVIDER.len())
        .position(|window| window == DIVIDER)
}

/// The HTTP answer with such a head and this body.
pub(super) fn headed(head: &[u8], body: Body) -> Result<Response, Malformed> {
    let Answer {
        status_code,
        headers,
        body: _,
        cookies,
        is_base64_encoded: _,
    } = serde_json::from_slice(head).map_err(|_| Malformed)?;
    let mut response = plain(status(&status_code)?, body);
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    dress(&mut response, headers, cookies)?;
    Ok(response)
}

/// The HTTP answer. An answer without `statusCode` is a body with status 200.
pub(super) fn to_response(payload: &[u8]) -> Result<Response, Malformed> {
    if let Some(end) = divided(payload) {
        let body = payload[end + DIVIDER.len()..].to_vec();
        return headed(&payload[..end], Body::from(body));
    }
    let value: Value = serde_json::from_slice(payload).map_err(|_| Malformed)?;
    if value.get("statusCode").is_none() {
        let text = match value {
            Value::String(text) => text,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => value.to_string(),
        };
        return Ok(plain(StatusCode::OK, Body::from(text)));
    }
    let Answer {
        status_code,
        headers,
        body,
        cookies,
        is_base64_encoded,
    } = serde_json::from_value(value).map_err(|_| Malformed)?;
    let mut response = plain(
        status(&status_code)?,
        content(body, is_base64_encoded.unwrap_or(false))?,
    );
    dress(&mut response, headers, cookies)?;
    Ok(response)
}

fn dress(
    response: &mut Response,
    headers: Option<Map<String, Value>>,
    cookies: Option<Vec<String>>,
) -> Result<(), Malformed> {
    for (name, value) in headers.unwrap_or_default() {
        let name: HeaderName = name.parse().map_err(|_| Malformed)?;
        let value = scalar(&value)
            .ok_or(Malformed)?
            .parse()
            .map_err(|_| Malformed)?;
        // The server counts the body itself, and connections are its own.
        if !matches!(
            name,
            header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONNECTION
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    for cookie in cookies.unwrap_or_default() {
        let cookie = cookie.parse().map_err(|_| Malformed)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(())
}

pub(super) fn plain(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Ok(id) = Uuid::new_v4().to_string().parse() {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// A number, or a number as text, as Lambda takes both.
fn status(value: &Value) -> Result<StatusCode, Malformed> {
    let number: u16 = scalar(value)
        .ok_or(Malformed)?
        .parse()
        .map_err(|_| Malformed)?;
    // An informational status would leave the client waiting for the real one.
    StatusCode::from_u16(number)
        .ok()
        .filter(|status| !status.is_informational())
        .ok_or(Malformed)
}

fn content(body: Option<Value>, encoded: bool) -> Result<Body, Malformed> {
    let text = match body {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    if !encoded {
        return Ok(Body::from(text));
    }
    STANDARD.decode(text).map(Body::from).map_err(|_| Malformed)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn event(request: Request<&[u8]>) -> Value {
        let facts = Facts {
            id: "abc".to_owned(),
            host: "127.0.0.1:1".to_owned(),
            port: 1,
            now: Timestamp::from_millis(1_700_000_000_123),
        };
        let (parts, body) = request.into_parts();
        from_request(&parts, body, &facts)
    }

    #[test]
    fn a_request_becomes_an_event() {
        let request = Request::post("/a%20b/c?x=1&x=2&y=%C3%A9")
            .header("cookie", "a=1; b=2")
            .header("x-many", "one")
            .header("x-many", "two")
            .header("content-type", "application/json")
            .body(&b"{}"[..])
            .unwrap();
        let event = event(request);
        assert_eq!(event["rawPath"], "/a%20b/c");
        assert_eq!(event["rawQueryString"], "x=1&x=2&y=%C3%A9");
        assert_eq!(
            event["queryStringParameters"],
            json!({"x": "1,2", "y": "é"})
        );
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["headers"]["x-many"], "one,two");
        assert_eq!(event["body"], "{}");
        assert_eq!(
            event["requestContext"]["time"],
            "14/Nov/2023:22:13:20 +0000"
        );
        assert_eq!(event["requestContext"]["http"]["protocol"], "HTTP/1.1");
    }

    #[test]
    fn bytes_travel_as_base64() {
        let cases: [(&str, &[u8], Value, bool); 4] = [
            ("text/plain; charset=utf-8", b"hi", json!("hi"), false),
            ("text/plain", &[0xff], json!("/w=="), true),
            ("image/png", b"hi", json!("aGk="), true),
            ("text/plain", b"", Value::Null, false),
        ];
        for (kind, body, expected, encoded) in cases {
            let request = Request::post("/")
                .header("content-type", kind)
                .body(body)
                .unwrap();
            let event = event(request);
            assert_eq!(
                (&event["body"], &event["isBase64Encoded"]),
                (&expected, &json!(encoded)),
                "{kind}"
            );
        }
    }

    #[tokio::test]
    async fn an_answer_becomes_a_response() {
        let cases = [
            (json!({"statusCode": 404, "body": "no"}), Some((404, "no"))),
            (
                json!({"statusCode": "201", "body": "aGk=", "isBase64Encoded": true}),
                Some((201, "hi")),
            ),
            (json!({"hello": 1}), Some((200, r#"{"hello":1}"#))),
            (json!("hello"), Some((200, "hello"))),
            (json!({"statusCode": 99}), None),
            (
                json!({"statusCode": 200, "headers": {"bad header": "x"}}),
                None,
            ),
            (json!({"statusCode": 200, "headers": {"x": "a\nb"}}), None),
            (
                json!({"statusCode": 200, "body": "%", "isBase64Encoded": true}),
                None,
            ),
        ];
        for (payload, expected) in cases {
            let response = to_response(payload.to_string().as_bytes()).ok();
            let told = match response {
                None => None,
                Some(response) => {
                    let status = response.status().as_u16();
                    let body = axum::body::to_bytes(response.into_body(), 1024)
                        .await
                        .unwrap();
                    Some((status, String::from_utf8(body.to_vec()).unwrap()))
                }
            };
            let expected = expected.map(|(status, body)| (status, body.to_owned()));
            assert_eq!(told, expected, "{payload}");
        }
    }

    #[test]
    fn cookies_are_headers_of_their_own() {
        let payload = json!({"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"], "headers": {"content-length": "999"}});
        let response = to_response(payload.to_string().as_bytes()).unwrap();
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        assert!(response.headers().get("content-length").is_none());
    }
}
