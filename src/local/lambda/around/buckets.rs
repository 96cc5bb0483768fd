//! Buckets of S3: what they hold, what they tell whom, and the functions they call when something comes or goes.
//!
//! A bucket comes into being when it is first named. Its policy is kept and not enforced.

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
    objects::{self, Object},
};
use crate::local::lambda::past::Touch;

const EMPTY: &str =
    "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
const CALLER: &str = "s3.amazonaws.com";

/// All buckets, by name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::local::lambda) struct Buckets(pub(super) BTreeMap<String, Bucket>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(from = "Written")]
pub(super) struct Bucket {
    /// Whom it tells what, as it was written.
    told: String,
    policy: Option<String>,
    /// By their keys.
    pub(super) objects: BTreeMap<String, Object>,
}

/// How a bucket may stand on the disk: once it had nothing but what it tells.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Told(String),
    Whole {
        told: String,
        #[serde(default)]
        policy: Option<String>,
        #[serde(default)]
        objects: BTreeMap<String, Object>,
    },
}

impl From<Written> for Bucket {
    fn from(written: Written) -> Self {
        let (told, policy, objects) = match written {
            Written::Told(told) => (told, None, BTreeMap::new()),
            Written::Whole {
                told,
                policy,
                objects,
            } => (told, policy, objects),
        };
        Self {
            told,
            policy,
            objects,
        }
    }
}

impl Bucket {
    fn empty() -> Self {
        Written::Told(EMPTY.to_owned()).into()
    }
}

/// One request to S3.
#[derive(Debug)]
pub(in crate::local::lambda) struct Asked {
    method: Method,
    pub(super) bucket: String,
    /// None for the bucket itself.
    pub(super) key: Option<String>,
    pub(super) query: BTreeMap<String, String>,
    is_chunked: bool,
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
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let is_chunked = parts.headers.get("x-amz-content-sha256");
        let is_chunked = is_chunked.is_some_and(|it| it.as_bytes().starts_with(b"STREAMING-"));
        Some(Self {
            method: parts.method.clone(),
            bucket: bucket.to_owned(),
            key: Some(key.to_owned()).filter(|key| !key.is_empty()),
            query: query.collect(),
            is_chunked,
        })
    }

    /// By S3's own names.
    pub(in crate::local::lambda) fn operation(&self) -> &'static str {
        let of = [
            "notification",
            "policy",
            "delete",
            "uploads",
            "uploadId",
            "location",
        ];
        let of = of.into_iter().find(|name| self.query.contains_key(*name));
        match (self.method.as_str(), &self.key, of) {
            ("GET", None, Some("notification")) => "GetBucketNotificationConfiguration",
            ("PUT", None, Some("notification")) => "PutBucketNotificationConfiguration",
            ("GET", None, Some("policy")) => "GetBucketPolicy",
            ("PUT", None, Some("policy")) => "PutBucketPolicy",
            ("DELETE", None, Some("policy")) => "DeleteBucketPolicy",
            ("POST", None, Some("delete")) => "DeleteObjects",
            ("GET", None, Some("location")) => "GetBucketLocation",
            ("GET", None, None) if self.query.contains_key("list-type") => "ListObjectsV2",
            ("HEAD", None, None) => "HeadBucket",
            ("PUT", None, None) => "CreateBucket",
            ("DELETE", None, None) => "DeleteBucket",
            ("GET", Some(_), None) => "GetObject",
            ("HEAD", Some(_), None) => "HeadObject",
            ("PUT", Some(_), None) => "PutObject",
            ("DELETE", Some(_), None) => "DeleteObject",
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
    let lambda = &lambda.as_told(|| Touch::of_bucket(asked.operation(), &asked.bucket));
    let bucket = asked.bucket.as_str();
    let key = asked.key.as_deref().unwrap_or_default();
    let done = match asked.operation() {
        "GetBucketNotificationConfiguration" => Ok(xml(told(lambda, bucket))),
        "PutBucketNotificationConfiguration" => put(lambda, bucket, body),
        "GetBucketPolicy" => policy(lambda, bucket),
        "PutBucketPolicy" => {
            let policy = String::from_utf8_lossy(body).into_owned();
            save(lambda, bucket, |it| it.policy = Some(policy))
        }
        "DeleteBucketPolicy" => save(lambda, bucket, |it| it.policy = None).map(|_| no_content()),
        "CreateBucket" => save(lambda, bucket, |_| {}),
        "HeadBucket" => there(&lambda.around.buckets(), bucket).map(|_| nothing()),
        "GetBucketLocation" => Ok(xml(element("LocationConstraint", &lambda.place.region))),
        "DeleteBucket" => delete(lambda, bucket),
        "ListObjectsV2" => objects::list(lambda, asked),
        "GetObject" | "HeadObject" => objects::get(lambda, bucket, key),
        "PutObject" => {
            let body = match asked.is_chunked {
                true => objects::unchunked(body),
                false => body.to_owned(),
            };
            let size = body.len();
            let done = objects::put(lambda, bucket, key, &body);
            call(lambda, bucket, key, ("ObjectCreated:Put", size));
            done
        }
        "DeleteObject" => {
            let done = objects::delete(lambda, bucket, &[key.to_owned()]);
            call(lambda, bucket, key, ("ObjectRemoved:Delete", 0));
            done.map(|()| no_content())
        }
        "DeleteObjects" => objects::delete_many(lambda, bucket, body),
        _ => {
            let message = "this endpoint knows whole objects, policies and notifications of S3";
            let status = StatusCode::NOT_IMPLEMENTED;
            Err((status, "NotImplemented", message.to_owned()))
        }
    };
    done.unwrap_or_else(|(status, code, message)| refused(status, code, &message))
}

pub(in crate::local::lambda) fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let parts = [element("Code", code), element("Message", message)];
    in_xml(status, format!("<Error>{}</Error>", parts.concat()))
}

pub(super) fn xml(text: String) -> Response {
    in_xml(StatusCode::OK, text)
}

fn nothing() -> Response {
    Response::new(Body::empty())
}

fn no_content() -> Response {
    let mut response = nothing();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn told(lambda: &Lambda, bucket: &str) -> String {
    let buckets = lambda.around.buckets();
    let told = buckets.0.get(bucket).map(|it| it.told.clone());
    told.unwrap_or_else(|| EMPTY.to_owned())
}

/// A bucket that somebody named before.
pub(super) fn there<'b>(buckets: &'b Buckets, name: &str) -> Result<&'b Bucket, Refusal> {
    let missing = || {
        let message = "The specified bucket does not exist".to_owned();
        (StatusCode::NOT_FOUND, "NoSuchBucket", message)
    };
    buckets.0.get(name).ok_or_else(missing)
}

fn policy(lambda: &Lambda, bucket: &str) -> Result<Response, Refusal> {
    let buckets = lambda.around.buckets();
    let Some(policy) = there(&buckets, bucket)?.policy.clone() else {
        let message = "The bucket policy does not exist".to_owned();
        return Err((StatusCode::NOT_FOUND, "NoSuchBucketPolicy", message));
    };
    Ok(Response::new(Body::from(policy)))
}

fn delete(lambda: &Lambda, bucket: &str) -> Result<Response, Refusal> {
    changed(lambda, |buckets| {
        if !there(buckets, bucket)?.objects.is_empty() {
            let message = "The bucket you tried to delete is not empty".to_owned();
            return Err((StatusCode::CONFLICT, "BucketNotEmpty", message));
        }
        buckets.0.remove(bucket);
        Ok(no_content())
    })
}

fn save(
    lambda: &Lambda,
    bucket: &str,
    change: impl FnOnce(&mut Bucket),
) -> Result<Response, Refusal> {
    changed(lambda, |buckets| {
        change(open(buckets, bucket));
        Ok(nothing())
    })
}

pub(super) fn open<'b>(buckets: &'b mut Buckets, name: &str) -> &'b mut Bucket {
    let entry = buckets.0.entry(name.to_owned());
    entry.or_insert_with(Bucket::empty)
}

/// Changes the buckets, and writes them down before the answer is given. A refusal changes nothing.
pub(super) fn changed<T>(
    lambda: &Lambda,
    change: impl FnOnce(&mut Buckets) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut buckets = lambda.around.buckets();
    let mut fresh = buckets.clone();
    let told = change(&mut fresh)?;
    if let Some(Err(fault)) = lambda.keep.as_ref().map(|keep| keep.save_buckets(&fresh)) {
        return Err(objects::unkept(&fault));
    }
    *buckets = fresh;
    Ok(told)
}

/// Like S3, only whom a bucket may call can be told.
fn put(lambda: &Lambda, bucket: &str, body: &[u8]) -> Result<Response, Refusal> {
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
    save(lambda, bucket, |it| text.clone_into(&mut it.told))
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
