//! The resource manager's own listener: who asks, what for, how often, and what should go wrong with it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::{any, put},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;

use crate::local::arm::{
    cloud::Cloud,
    queues::door as queues,
    resources::blobs,
    serve::Caller,
    wire::{
        activity::{self, Asker},
        answer::{Answer, ArmError, error_body},
        call::{self, Call},
        identity, routes,
        throttle::Kind,
    },
};
use crate::local::{
    door,
    faults::{self, Verdict},
    listen,
};

/// The largest body that the resource manager takes.
const BODY_MAX: usize = 4 << 20;

/// All routes of the endpoint, the admin routes among them; no web page may use them.
pub(in crate::local::arm) fn router(cloud: Arc<Cloud>) -> Router {
    let logs = Arc::clone(&cloud);
    let faults = cloud.options.faults.clone();
    let router = Router::new()
        .route(
            &format!("{}/{{*blob}}", blobs::ROOT),
            put(blobs::put).get(blobs::list).delete(blobs::delete),
        )
        .route(&format!("{}/{{*queue}}", queues::ROOT), any(queues::answer))
        .fallback(answer)
        .with_state(cloud)
        .merge(faults::admin_routes(
            faults,
            Arc::new(move |name| logs.logs(name)),
        ));
    door::guarded(router)
}

async fn answer(
    State(cloud): State<Arc<Cloud>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let base = base(&request, caller);
    let common = common_headers(request.headers());
    let kind = Kind::of(request.method());
    match dispatch(&cloud, request, caller, &base).await {
        Ok(Replied::Answer(answer)) => answer.into_response(common),
        Ok(Replied::Lost) => listen::lost_reply(),
        Err(error @ ArmError::Throttled { .. }) => {
            let none_left = error.into_answer(&base).header(kind.header(), "0");
            none_left.into_response(common)
        }
        Err(error) => error
            .into_answer(&base)
            .into_response(common)
            .into_response(),
    }
}

enum Replied {
    Answer(Answer),
    Lost,
}

async fn dispatch(
    cloud: &Arc<Cloud>,
    request: Request,
    caller: Caller,
    base: &str,
) -> Result<Replied, ArmError> {
    let (head, body) = request.into_parts();
    let path = call::segments(head.uri.path());
    if let Some(answer) = identity::before_token(cloud, &head.method, &path, base) {
        return Ok(Replied::Answer(answer));
    }
    check_token(&head.headers)?;
    let asker = Asker::of(&head.headers);
    let found = routes::find(&head.method, &path).ok_or_else(|| ArmError::NoRoute {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
    })?;
    let query = head.uri.query().unwrap_or_default();
    let call = Call {
        scheme: caller.scheme,
        base: base.to_owned(),
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        captured: found.captured,
        if_match: head
            .headers
            .get(header::IF_MATCH)
            .and_then(|version| version.to_str().ok())
            .map(str::to_owned),
        body: read_body(body).await?,
        method: head.method,
    };
    call.query("api-version")
        .filter(|version| !version.is_empty())
        .ok_or(ArmError::NoApiVersion)?;
    let (header, left) = take_token(cloud, &call)?;
    let handle = || {
        let answer = (found.handler)(&cloud.as_told(found.operation, &call), &call)?;
        activity::note(cloud, asker, &call);
        Ok(answer.header(header, left.to_string()))
    };
    match cloud.options.faults.before(found.operation).await {
        Verdict::Proceed => handle().map(Replied::Answer),
        Verdict::LoseReply => {
            // What the work came to is exactly what the caller must not learn.
            drop(handle());
            Ok(Replied::Lost)
        }
        Verdict::Throttle => Err(ArmError::Throttled { retry_after_s: 1 }),
        Verdict::Fail {
            status,
            code,
            message,
        } => Ok(Replied::Answer(Answer::with(
            status,
            error_body(&code, &message),
        ))),
    }
}

fn check_token(headers: &HeaderMap) -> Result<(), ArmError> {
    let refused = |reason: &str| ArmError::Unauthenticated {
        reason: reason.to_owned(),
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| refused("Authentication failed. The 'Authorization' header is missing."))?;
    let token = given.to_str().ok().and_then(|given| given.split_once(' '));
    match token {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() =>
        {
            Ok(())
        }
        Some(_) | None => Err(refused(
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        )),
    }
}

fn take_token(cloud: &Cloud, call: &Call) -> Result<(&'static str, u32), ArmError> {
    let kind = Kind::of(&call.method);
    let limits = cloud.options.rate_limits.as_ref();
    let subscription = call.arg("subscription");
    let now = cloud.clock.now();
    let left = cloud.state().throttle.take(limits, subscription, kind, now);
    match left {
        Ok(left) => Ok((kind.header(), left)),
        Err(retry_after_s) => Err(ArmError::Throttled { retry_after_s }),
    }
}

async fn read_body(body: Body) -> Result<Value, ArmError> {
    let invalid =
        |fault: String| ArmError::Invalid(format!("The request content was invalid: {fault}"));
    let body = to_bytes(body, BODY_MAX)
        .await
        .map_err(|error| invalid(error.to_string()))?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))
}

fn base(request: &Request, caller: Caller) -> String {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    format!(
        "{}://{}",
        caller.scheme.as_str(),
        host.or(authority).unwrap_or("127.0.0.1")
    )
}

/// What stands on every answer, so that a request can be spoken about.
fn common_headers(request: &HeaderMap) -> HeaderMap {
    let mut common = HeaderMap::new();
    let fresh = || HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok();
    let ids = BTreeMap::from([
        ("x-ms-request-id", fresh()),
        (
            "x-ms-correlation-request-id",
            request
                .get("x-ms-correlation-request-id")
                .cloned()
                .or_else(fresh),
        ),
        (
            "x-ms-client-request-id",
            request.get("x-ms-client-request-id").cloned(),
        ),
    ]);
    for (name, value) in ids {
        if let Some(value) = value {
            common.insert(HeaderName::from_static(name), value);
        }
    }
    common.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    common
}
