//! A request and its answer, in the words of a language worker. Pure.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use serde_json::{Map, Value, json};

use super::messages::{Data, Http, Invoked, Parameter, TypedData};
use crate::local::arm::host::{package::Function, wrap};

/// The request as the value of `binding`.
pub(super) fn request(
    binding: &str,
    url: &str,
    head: &Parts,
    params: &BTreeMap<String, String>,
    body: &[u8],
) -> Parameter {
    let http = Http {
        method: head.method.as_str().to_owned(),
        url: url.to_owned(),
        headers: headers_of(&head.headers),
        body: Some(Box::new(Data::Bytes(body.to_vec()).into())),
        params: params.clone(),
        status: String::new(),
        query: wrap::query_of(head.uri.query().unwrap_or_default()),
    };
    Parameter {
        name: binding.to_owned(),
        data: Some(Data::Http(Box::new(http)).into()),
    }
}

/// Headers of one name are one here, as a list.
fn headers_of(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let list: &mut String = all.entry(name.to_string()).or_default();
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&value);
    }
    all
}

/// What sets off a function of any other trigger.
pub(super) fn event(function: &Function, input: &Value) -> Option<Parameter> {
    let is_trigger = |kind: &str| kind.to_ascii_lowercase().ends_with("trigger");
    let mut bindings = function.bindings.iter();
    let (name, binding) = bindings.find(|(_, binding)| is_trigger(&binding.kind))?;
    let data = match input {
        Value::String(_) | Value::Null if binding.kind.eq_ignore_ascii_case("timerTrigger") => {
            Data::Json(json!({"IsPastDue": false}).to_string())
        }
        Value::String(text) => Data::Text(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Data::Json(input.to_string())
        }
    };
    Some(Parameter {
        name: name.clone(),
        data: Some(data.into()),
    })
}

/// What a trigger tells of it.
pub(super) fn metadata(told: &Map<String, Value>) -> BTreeMap<String, TypedData> {
    let data = |value: &Value| match (value, value.as_i64()) {
        (_, Some(number)) => Data::Int(number),
        (Value::String(text), None) => Data::Text(text.clone()),
        (other, None) => Data::Json(other.to_string()),
    };
    let told = told.iter();
    told.map(|(name, value)| (name.clone(), data(value).into()))
        .collect()
}

/// The answer that a function gave: returned, or put into its output of HTTP; 204 with nothing in it where it gave none.
pub(super) fn response(function: &Function, invoked: Invoked) -> Response<Vec<u8>> {
    let Invoked {
        invocation_id: _,
        output,
        result: _,
        returned,
    } = invoked;
    let mut bindings = function.bindings.iter();
    let answers = bindings.find(|(_, binding)| binding.kind.eq_ignore_ascii_case("http"));
    let name = answers.map_or("$return", |(name, _)| name);
    let put = output.into_iter().find(|one| one.name == name);
    match put
        .and_then(|put| put.data)
        .or(returned)
        .and_then(|told| told.data)
    {
        None => wrap::plain(StatusCode::NO_CONTENT, Vec::new()),
        Some(Data::Http(http)) => structured(*http),
        Some(data) => typed(data, "text/plain; charset=utf-8"),
    }
}

fn structured(http: Http) -> Response<Vec<u8>> {
    let status = http.status.parse().ok();
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    let body = http.body.and_then(|body| body.data);
    let body = body.map_or_else(Vec::new, bytes_of);
    let response = wrap::plain(status.unwrap_or(StatusCode::OK), body);
    wrap::with_headers(response, http.headers)
}

fn typed(data: Data, kind: &'static str) -> Response<Vec<u8>> {
    let kind = match &data {
        Data::Json(_) => "application/json",
        Data::Bytes(_) | Data::Stream(_) => "application/octet-stream",
        Data::Text(_) | Data::Http(_) | Data::Int(_) | Data::Double(_) => kind,
    };
    let mut response = wrap::plain(StatusCode::OK, bytes_of(data));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn bytes_of(data: Data) -> Vec<u8> {
    match data {
        Data::Text(text) | Data::Json(text) => text.into_bytes(),
        Data::Bytes(bytes) | Data::Stream(bytes) => bytes,
        Data::Int(number) => number.to_string().into_bytes(),
        Data::Double(number) => number.to_string().into_bytes(),
        // A request inside a body means nothing.
        Data::Http(_) => Vec::new(),
    }
}

impl From<Data> for TypedData {
    fn from(data: Data) -> Self {
        Self { data: Some(data) }
    }
}
