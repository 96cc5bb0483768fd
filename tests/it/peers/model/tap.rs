//! Within our Lambda endpoint: looks at every call and every answer, and changes none. When its test is over, all of it is judged.
//!
//! Function URLs have ports of their own, and what they answer is not AWS's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::HeaderMap;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    local::{
        faults::{Rule, RuleError},
        lambda::{self, LambdaEndpoint, LambdaOptions},
        listen::{self, LostReply},
    },
};

use super::judge;

/// A longer text is no name, no ARN and no word.
const TEXT_MAX: usize = 256;

/// What was asked, and what was answered.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) method: String,
    /// With the query.
    pub(super) target: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) sent: Vec<u8>,
    pub(super) status: u16,
    pub(super) answered: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// By kind: of one kind the first is kept.
type Pairs = Arc<Mutex<BTreeMap<String, Pair>>>;

/// What was seen of one endpoint.
#[must_use = "it judges when it is dropped"]
pub(crate) struct Tap(Pairs);

impl Drop for Tap {
    /// A test that has failed has its reason, and keeps it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let faults = self.faults();
        assert!(
            faults.is_empty(),
            "AWS's models do not allow this:\n{}",
            faults.join("\n")
        );
    }
}

impl Tap {
    /// What is wrong with what was seen since this was asked last. Waits, and holds its thread.
    fn faults(&self) -> Vec<String> {
        judge::faults(std::mem::take(&mut self.0.lock().unwrap()))
    }
}

/// Our Lambda endpoint on a free port, and what looks at it.
pub(crate) async fn tapped(
    options: LambdaOptions,
    stop: CancellationToken,
) -> (LambdaEndpoint, Tap) {
    let pairs = Pairs::default();
    let look = middleware::from_fn_with_state(Arc::clone(&pairs), look);
    let (any, clock) = ("127.0.0.1:0".parse().unwrap(), Arc::new(SystemClock));
    let started = lambda::start_behind(any, options, clock, stop, |router| router.layer(look));
    (started.await.unwrap(), Tap(pairs))
}

async fn look(State(pairs): State<Pairs>, request: Request, next: Next) -> Response {
    // What only this endpoint has.
    if request.uri().path().starts_with("/_verdigris/") {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(sent) = to_bytes(body, usize::MAX).await else {
        return listen::lost_reply();
    };
    let asked = (head.method.to_string(), head.uri.to_string());
    let headers = texts(&head.headers);
    let again = Request::from_parts(head, Body::from(sent.clone()));
    let response = next.run(again).await;
    if response.extensions().get::<LostReply>().is_some() {
        return response;
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let (method, target) = asked;
    let pair = Pair {
        // The listener takes it away.
        body: if method == "HEAD" {
            Vec::new()
        } else {
            body.to_vec()
        },
        method,
        target,
        headers,
        sent: sent.to_vec(),
        status: head.status.as_u16(),
        answered: texts(&head.headers),
    };
    pairs.lock().unwrap().entry(pair.kind()).or_insert(pair);
    Response::from_parts(head, Body::from(body))
}

fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let each = headers.iter();
    each.map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

// === impl Pair ===

impl Pair {
    /// Service, operation, status, and the form of both.
    fn kind(&self) -> String {
        let Self {
            method,
            target,
            headers,
            sent,
            status,
            answered,
            body,
        } = self;
        let of = |headers: &BTreeMap<String, String>, name: &str| headers.get(name).cloned();
        let signed = of(headers, "authorization").unwrap_or_default();
        let service = signed.split('/').nth(3).unwrap_or_default();
        let told = [
            of(headers, "x-amz-target"),
            of(headers, "x-amz-invocation-type"),
            of(answered, "x-amzn-errortype"),
            of(answered, "x-amz-function-error"),
        ];
        let target = match service {
            "s3" => text_form(target),
            _ => target_form(target),
        };
        let (sent, body) = (form(sent), form(body));
        format!("{method} {target} {service} {told:?} {sent} {status} {body}")
    }
}

/// Of Lambda: `/2015-03-31/functions/NAME/aliases/NAME?Qualifier=VALUE`.
fn target_form(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments = path.split('/').enumerate();
    let segments = segments.map(|(index, segment)| match index {
        3 | 5.. => text_form(segment),
        0..=4 => segment.to_owned(),
    });
    let query = url::form_urlencoded::parse(query.as_bytes());
    let query = query.map(|(name, value)| format!("{name}={}", text_form(&value)));
    let parts: Vec<String> = segments.chain(query).collect();
    parts.join(" ")
}

/// What a body is made of, whatever it says.
fn form(body: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice(body) {
        return form_of(&value);
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return "bytes".to_owned();
    };
    let parts: BTreeSet<String> = text.split(['<', '&']).map(text_form).collect();
    format!("{parts:?}")
}

fn form_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => "float".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(text) => text_form(text),
        Value::Array(items) => {
            let forms: BTreeSet<String> = items.iter().map(form_of).collect();
            format!("{forms:?}")
        }
        Value::Object(members) => {
            let forms = members.iter().map(|(name, it)| (name, form_of(it)));
            format!("{:?}", forms.collect::<BTreeMap<_, _>>())
        }
    }
}

/// Words of the model begin with a capital letter and stay; names, numbers and digests do not.
fn text_form(text: &str) -> String {
    if text.len() > TEXT_MAX {
        return "long".to_owned();
    }
    let is_told = |it: char| it.is_alphanumeric() || "/+=".contains(it);
    let mut form = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|it| is_told(it) != is_told(first));
        let (run, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let is_word = first.is_uppercase() && run.chars().all(char::is_alphabetic);
        form.push_str(if is_told(first) && !is_word { "a" } else { run });
        rest = behind;
    }
    form
}

/// Nobody but this test may ask for these kinds, or they were judged before.
#[tokio::test]
async fn what_the_endpoint_says_and_no_model_allows_is_found() {
    let stop = CancellationToken::new();
    let (endpoint, tap) = tapped(LambdaOptions::default(), stop.clone()).await;
    let ask = async |error: RuleError| {
        endpoint.faults().set(vec![Rule {
            error: Some(error),
            ..Rule::of("*")
        }]);
        let functions = endpoint.url.join("2015-03-31/functions").unwrap();
        reqwest::get(functions).await.unwrap().status().as_u16()
    };
    let error = |status, code: &str| RuleError {
        status,
        code: code.to_owned(),
        message: None,
    };
    assert_eq!(ask(error(418, "ServiceException")).await, 418);
    assert_eq!(ask(error(500, "MadeUpException")).await, 500);
    let found = tap.faults();
    let has = |text: &str| found.iter().any(|it| it.contains(text));
    assert!(has("ServiceException with status 418"), "{found:#?}");
    assert!(
        has("MadeUpException is no error of ListFunctions"),
        "{found:#?}"
    );
    assert_eq!(tap.faults(), [""; 0]);
    stop.cancel();
}
