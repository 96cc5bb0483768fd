//! Buckets of S3 that call functions: what they tell whom, and what comes and goes in them. The objects themselves are not kept.
//!
//! A bucket comes into being when it is first named.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::Response,
};
use percent_encoding::percent_decode_str;
use roxmltree::{Document, Node};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Lambda,
    deliver::{invoke, permits},
    forms::{Refusal, element, in_xml},
};

const EMPTY: &str =
    "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
const CALLER: &str = "s3.amazonaws.com";

/// What each bucket tells, as it was written, by its name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::local::lambda) struct Buckets(BTreeMap<String, String>);

/// One request to S3.
#[derive(Debug)]
pub(in crate::local::lambda) struct Asked {
    method: Method,
    bucket: String,
    /// None for the bucket itself.
    key: Option<String>,
    of_notifications: bool,
}

impl Asked {
    /// None where the signature is not for S3.
    pub(in crate::local::lambda) fn parse(parts: &Parts) -> Option<Self> {
        if !is_signed_for_s3(&parts.headers) {
            return None;
        }
        let path = parts.uri.path().trim_start_matches('/');
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let query = parts.uri.query().unwrap_or_default();
        let mut query = url::form_urlencoded::parse(query.as_bytes());
        Some(Self {
            method: parts.method.clone(),
            bucket: bucket.to_owned(),
            key: Some(key.to_owned()).filter(|key| !key.is_empty()),
            of_notifications: query.any(|(name, _)| name == "notification"),
        })
    }

    /// By S3's own names.
    pub(in crate::local::lambda) fn operation(&self) -> &'static str {
        match (self.method.as_str(), &self.key, self.of_notifications) {
            ("GET", None, true) => "GetBucketNotificationConfiguration",
            ("PUT", None, true) => "PutBucketNotificationConfiguration",
            ("PUT", None, false) => "CreateBucket",
            ("PUT", Some(_), _) => "PutObject",
            ("DELETE", Some(_), _) => "DeleteObject",
            _ => "Unknown",
        }
    }
}

fn is_signed_for_s3(headers: &HeaderMap) -> bool {
    let told = headers.get(header::AUTHORIZATION);
    let told = told.and_then(|it| it.to_str().ok()).unwrap_or_default();
    told.contains("/s3/aws4_request")
}

pub(in crate::local::lambda) fn carry_out(
    lambda: &Arc<Lambda>,
    asked: &Asked,
    body: &[u8],
) -> Response {
    let Asked {
        method: _,
        bucket,
        key,
        of_notifications: _,
    } = asked;
    let key = key.as_deref().unwrap_or_default();
    let done = match asked.operation() {
        "GetBucketNotificationConfiguration" => Ok(told(lambda, bucket)),
        "PutBucketNotificationConfiguration" => put(lambda, bucket, body),
        "CreateBucket" => save(lambda, bucket, |_| {}),
        "PutObject" => {
            call(lambda, bucket, key, ("ObjectCreated:Put", body.len()));
            Ok(String::new())
        }
        "DeleteObject" => {
            call(lambda, bucket, key, ("ObjectRemoved:Delete", 0));
            Ok(String::new())
        }
        _ => {
            let message = "this endpoint knows notifications of S3, and keeps no objects";
            Err((
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                message.to_owned(),
            ))
        }
    };
    match done {
        Ok(text) if text.is_empty() => Response::new(Body::empty()),
        Ok(text) => in_xml(StatusCode::OK, text),
        Err((status, code, message)) => {
            let parts = [element("Code", code), element("Message", &message)];
            in_xml(status, format!("<Error>{}</Error>", parts.concat()))
        }
    }
}

fn told(lambda: &Lambda, bucket: &str) -> String {
    let buckets = lambda.around.buckets();
    let told = buckets.0.get(bucket).cloned();
    told.unwrap_or_else(|| EMPTY.to_owned())
}

/// Written down before the answer is given.
fn save(
    lambda: &Lambda,
    bucket: &str,
    change: impl FnOnce(&mut String),
) -> Result<String, Refusal> {
    let mut buckets = lambda.around.buckets();
    let mut fresh = buckets.clone();
    change(
        fresh
            .0
            .entry(bucket.to_owned())
            .or_insert_with(|| EMPTY.to_owned()),
    );
    if let Some(Err(fault)) = lambda.keep.as_ref().map(|keep| keep.save_buckets(&fresh)) {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Err((status, "InternalError", fault.to_string()));
    }
    *buckets = fresh;
    Ok(String::new())
}

/// Like S3, only whom a bucket may call can be told.
fn put(lambda: &Lambda, bucket: &str, body: &[u8]) -> Result<String, Refusal> {
    let refused = |code, message: &str| Err((StatusCode::BAD_REQUEST, code, message.to_owned()));
    let text = std::str::from_utf8(body).unwrap_or_default();
    let Ok(document) = Document::parse(text) else {
        return refused("MalformedXML", "The XML you provided was not well-formed");
    };
    let source = format!("arn:aws:s3:::{bucket}");
    for listener in listeners(&document) {
        if !permits(lambda, &listener.function, CALLER, &source) {
            return refused(
                "InvalidArgument",
                "Unable to validate the following destination configurations",
            );
        }
    }
    save(lambda, bucket, |told| text.clone_into(told))
}

/// A function that is called.
struct Listener {
    function: String,
    events: Vec<String>,
    prefix: String,
    suffix: String,
}

fn listeners(document: &Document<'_>) -> Vec<Listener> {
    let root = document.root_element();
    let calls = root.children();
    let calls = calls.filter(|it| it.tag_name().name() == "CloudFunctionConfiguration");
    calls.map(listener).collect()
}

fn listener(node: Node<'_, '_>) -> Listener {
    let texts = |node: Node<'_, '_>, name: &str| {
        let named = node.descendants().filter(|it| it.tag_name().name() == name);
        let texts = named.map(|it| it.text().unwrap_or_default().to_owned());
        texts.collect::<Vec<_>>()
    };
    let names = texts(node, "Name").into_iter().zip(texts(node, "Value"));
    let rules: BTreeMap<_, _> = names
        .map(|(it, value)| (it.to_lowercase(), value))
        .collect();
    let rule = |name: &str| rules.get(name).cloned().unwrap_or_default();
    Listener {
        function: texts(node, "CloudFunction").concat(),
        events: texts(node, "Event"),
        prefix: rule("prefix"),
        suffix: rule("suffix"),
    }
}

impl Listener {
    fn hears(&self, event: &str, key: &str) -> bool {
        let event = format!("s3:{event}");
        let is_meant = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => event == *pattern,
        };
        let is_in = key.starts_with(&self.prefix) && key.ends_with(&self.suffix);
        is_in && self.events.iter().any(is_meant)
    }
}

/// Calls every function that is told, where it permits it. A call that fails is not tried again.
fn call(lambda: &Arc<Lambda>, bucket: &str, key: &str, (event, size): (&str, usize)) {
    let text = told(lambda, bucket);
    let Ok(document) = Document::parse(&text) else {
        return;
    };
    let source = format!("arn:aws:s3:::{bucket}");
    for listener in listeners(&document) {
        let function = listener.function.clone();
        if !listener.hears(event, key) {
            continue;
        }
        if !permits(lambda, &function, CALLER, &source) {
            tracing::warn!(
                bucket,
                function,
                "the function does not permit this bucket to call it"
            );
            continue;
        }
        let told = record(lambda, (bucket, &source), key, (event, size));
        let (lambda, tasks) = (Arc::clone(lambda), lambda.tasks.clone());
        // A call that fails has said so in the function's log.
        tasks.spawn(async move { drop(invoke(&lambda, &function, &told).await) });
    }
}

fn record(
    lambda: &Lambda,
    (bucket, arn): (&str, &str),
    key: &str,
    (event, size): (&str, usize),
) -> Value {
    let now = lambda.clock.now();
    let key: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": lambda.place.region,
        "eventTime": now.to_string(),
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": arn},
            "object": {"key": key, "size": size, "sequencer": format!("{:016X}", now.millis())},
        },
    }]})
}
