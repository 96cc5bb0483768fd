//! Calls to functions: through the API, or by way of a function URL.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    Lambda,
    record::Phase,
    run::{Asked, Outcome, Ran, Sink, Target},
    wire::{ApiError, Call, Reference},
};

const PAYLOAD_MAX: usize = 6 * 1024 * 1024;
const EVENT_MAX: usize = 1024 * 1024;

/// A function that is ready to take a call.
pub(super) struct Ready {
    pub(super) target: Target,
    arn: String,
}

impl Lambda {
    /// Chooses the version, by weight where an alias has weights, and refuses what cannot run yet.
    pub(super) async fn ready(&self, reference: &Reference) -> Result<Ready, ApiError> {
        let (mut target, digest) = {
            let mut functions = self.functions();
            let qualifier = reference.qualifier.as_deref();
            let arn = self
                .place
                .arn(&reference.name, Some(qualifier.unwrap_or("$LATEST")));
            let missing = || ApiError::not_found(format!("Function not found: {arn}"));
            let function = functions.get_mut(&reference.name).ok_or_else(missing)?;
            function.settle(self.clock.now());
            let version = function
                .chosen(qualifier, fastrand::f64())
                .ok_or_else(missing)?;
            let unfit = match version.phase {
                Phase::Pending { .. } => Some("Pending"),
                Phase::Failed { .. } => Some("Failed"),
                Phase::Active | Phase::Updating { .. } | Phase::Unchanged { .. } => None,
            };
            if let Some(state) = unfit {
                return Err(ApiError::conflict(format!(
                    "The operation cannot be performed at this time. The function is currently in the following state: {state}"
                )));
            }
            let content = version.serving().clone();
            let digest = content.code.digest;
            let target = Target {
                function: function.name.clone(),
                version: version.label.clone(),
                content,
                package: std::path::PathBuf::new(),
                reserved: function.reserved,
            };
            (target, digest)
        };
        target.package = self.packages.folder(digest).await?;
        let arn = self
            .place
            .arn(&reference.name, reference.qualifier.as_deref());
        Ok(Ready { target, arn })
    }

    /// Runs a call to its end, even when the caller does not wait for it.
    pub(super) async fn run(&self, ready: Ready, payload: Bytes) -> Result<Ran, ApiError> {
        self.run_telling(ready, payload, false, None).await
    }

    /// As [`Self::run`]; an answer that the function gives piece by piece goes to `sink` as it is made.
    pub(super) async fn run_passing(
        &self,
        ready: Ready,
        payload: Bytes,
        sink: Sink,
    ) -> Result<Ran, ApiError> {
        self.run_telling(ready, payload, false, Some(sink)).await
    }

    async fn run_telling(
        &self,
        ready: Ready,
        payload: Bytes,
        wants_log: bool,
        sink: Option<Sink>,
    ) -> Result<Ran, ApiError> {
        let Ready { target, arn } = ready;
        let runner = Arc::clone(&self.runner);
        let asked = Asked {
            payload,
            arn,
            trace: trace(),
            wants_log,
            sink,
        };
        let call = async move { runner.invoke(&target, asked).await };
        let ran = self.tasks.spawn(call).await;
        let ran =
            ran.map_err(|_| ApiError::internal("the call was cut off by the endpoint's end"))?;
        ran.map_err(|throttled| ApiError::throttled(throttled.reason))
    }
}

/// Reads like X-Ray's own ids, cut from ids of 32 digits; nothing is sampled.
fn trace() -> String {
    let (root, parent) = (
        Uuid::new_v4().simple().to_string(),
        Uuid::new_v4().simple().to_string(),
    );
    format!(
        "Root=1-{}-{};Parent={};Sampled=0",
        &root[..8],
        &root[8..],
        &parent[..16]
    )
}

pub(super) async fn invoke(lambda: &Arc<Lambda>, call: Call) -> Result<Response, ApiError> {
    let reference = call.function()?;
    reference.check_place(&lambda.place)?;
    let kind = call
        .header("x-amz-invocation-type")
        .unwrap_or("RequestResponse")
        .to_owned();
    let ready = lambda.ready(&reference).await?;
    check_payload(&call.body, &kind)?;
    match kind.as_str() {
        "RequestResponse" => answer_call(lambda, &call, ready).await,
        "Event" => Ok(begin(lambda, call.body, ready)),
        "DryRun" => Ok(status(
            StatusCode::NO_CONTENT,
            &ready.target.version,
            Body::empty(),
        )),
        other => Err(ApiError::validation(
            other,
            "invocationType",
            "Member must satisfy enum value set: [Event, RequestResponse, DryRun]",
        )),
    }
}

fn check_payload(body: &Bytes, kind: &str) -> Result<(), ApiError> {
    let limit = if kind == "Event" {
        EVENT_MAX
    } else {
        PAYLOAD_MAX
    };
    if body.len() > limit {
        return Err(ApiError::too_large(format!(
            "{} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
            body.len()
        )));
    }
    if !body.is_empty()
        && let Err(fault) = serde_json::from_slice::<serde::de::IgnoredAny>(body)
    {
        return Err(ApiError::bad_content(format!(
            "Could not parse request body into json: {fault}"
        )));
    }
    Ok(())
}

async fn answer_call(lambda: &Lambda, call: &Call, ready: Ready) -> Result<Response, ApiError> {
    let wants_log = call.header("x-amz-log-type") == Some("Tail");
    let payload = or_empty_object(&call.body);
    let version = ready.target.version.clone();
    let Ran { id, outcome, log } = lambda.run_telling(ready, payload, wants_log, None).await?;
    let (body, failed) = match outcome {
        Outcome::Answered(body) => (body, false),
        Outcome::Failed { payload, kind: _ } => (payload, true),
    };
    let mut response = status(StatusCode::OK, &version, Body::from(body));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if failed {
        headers.insert(
            "x-amz-function-error",
            HeaderValue::from_static("Unhandled"),
        );
    }
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(log) = log
        && let Ok(log) = HeaderValue::from_str(&STANDARD.encode(log))
    {
        headers.insert("x-amz-log-result", log);
    }
    Ok(response)
}

/// Answers at once; the call runs on, and is finished before the endpoint is.
fn begin(lambda: &Arc<Lambda>, body: Bytes, ready: Ready) -> Response {
    let version = ready.target.version.clone();
    let lambda = Arc::clone(lambda);
    let tasks = lambda.tasks.clone();
    tasks.spawn(async move {
        // A call that fails has said so in the function's log.
        drop(lambda.run(ready, or_empty_object(&body)).await);
    });
    status(StatusCode::ACCEPTED, &version, Body::empty())
}

fn or_empty_object(body: &Bytes) -> Bytes {
    if body.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body.clone()
    }
}

fn status(status: StatusCode, version: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Ok(version) = HeaderValue::from_str(version) {
        response
            .headers_mut()
            .insert("x-amz-executed-version", version);
    }
    response
}
