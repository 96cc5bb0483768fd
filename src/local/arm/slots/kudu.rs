//! The deployment service of a slot: packages come in here, over its own listener or through the resource manager.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq as _;

use crate::local::arm::{
    cloud::Cloud,
    model::{Outcome, SlotKey},
    serve::Caller,
    slots::{
        deployment::{begin, end, finish, render},
        flex,
    },
    wire::answer::{ArmError, error_body},
};
use crate::local::{faults::Verdict, listen};

/// The name of the one file that holds what a slot's code wrote.
const LOG_FILE: &str = "local_default_docker.log";

/// The largest package that is taken.
const PACKAGE_MAX: usize = 1 << 30;

#[derive(Clone)]
struct Kudu {
    cloud: Arc<Cloud>,
    key: Arc<SlotKey>,
}

/// The routes of one slot's deployment listener.
pub(in crate::local::arm) fn router(cloud: Arc<Cloud>, key: SlotKey) -> Router {
    let kudu = Kudu {
        cloud,
        key: Arc::new(key),
    };
    Router::new()
        .route(
            "/",
            get(|| async { "This is the deployment service of a function app.\n" }),
        )
        .route("/api/zipdeploy", post(zipdeploy).put(zipdeploy))
        .route("/api/publish", post(push))
        .route("/api/deployments", get(history))
        .route("/api/deployments/{id}", get(one))
        .route("/api/settings", get(settings))
        .route("/api/logs/docker", get(log_files))
        .route("/api/vfs/LogFiles/{file}", get(log_file))
        .route_layer(middleware::from_fn_with_state(kudu.clone(), guard))
        .with_state(kudu)
}

// === who may, and what goes wrong ===

async fn guard(State(kudu): State<Kudu>, request: Request, next: Next) -> Response {
    if !kudu.admits(request.headers()) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"site\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let operation = match request.uri().path() {
        "/api/zipdeploy" => "zipdeploy",
        "/api/publish" => "publish",
        "/api/settings" => "kudu.settings",
        path if path.starts_with("/api/deployments") => "deployments.get",
        _ => "kudu.get",
    };
    match kudu.cloud.options.faults.before(operation).await {
        Verdict::Proceed => next.run(request).await,
        Verdict::Fail {
            status,
            code,
            message,
        } => (status, Json(error_body(&code, &message))).into_response(),
        Verdict::Throttle => {
            let later = [(header::RETRY_AFTER, "1")];
            (StatusCode::TOO_MANY_REQUESTS, later).into_response()
        }
        Verdict::LoseReply => {
            drop(next.run(request).await);
            listen::lost_reply()
        }
    }
}

impl Kudu {
    fn lines(&self) -> Vec<crate::local::process::LogLine> {
        self.cloud.lines_of(&self.key)
    }

    /// Any bearer token, since the resource manager takes any too; or the publishing password.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some((scheme, rest)) = given.and_then(|given| given.split_once(' ')) else {
            return false;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return !rest.trim().is_empty();
        }
        let decoded = STANDARD.decode(rest.trim()).unwrap_or_default();
        let text = String::from_utf8_lossy(&decoded).into_owned();
        let shown = text.split_once(':').map_or("", |(_, password)| password);
        let state = self.cloud.state();
        scheme.eq_ignore_ascii_case("basic")
            && state.site(&self.key).is_some_and(|(_, slot)| {
                bool::from(slot.password.as_bytes().ct_eq(shown.as_bytes()))
            })
    }
}

// === routes ===

/// Plans without slots take packages by `/api/publish` only, and Consumption on Linux by their address only.
async fn zipdeploy(
    State(kudu): State<Kudu>,
    caller: Extension<Caller>,
    query: Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let is_elsewhere = {
        let state = kudu.cloud.state();
        let found = state.site(&kudu.key);
        found.is_some_and(|(_, slot)| {
            flex::is_flex(&state, &slot.plan) || flex::is_consumption(&state, &slot.plan)
        })
    };
    match is_elsewhere {
        true => StatusCode::NOT_FOUND.into_response(),
        false => push(State(kudu), caller, query, headers, body).await,
    }
}

async fn push(
    State(kudu): State<Kudu>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let named = |name: &str| {
        let mut all = query.iter();
        all.find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    };
    // Only /api/zipdeploy can be told to wait; what the command line calls "publish" never waits.
    let waits = named("isAsync")
        .or(named("async"))
        .is_some_and(|told| told.eq_ignore_ascii_case("false"));
    let deployer = named("Deployer").unwrap_or("Push-Deployer").to_owned();
    let begun = match begin(&kudu.cloud, &kudu.key, deployer) {
        Ok(begun) => begun,
        Err(error) => return refused(&error),
    };
    let Ok(zip) = to_bytes(body, PACKAGE_MAX).await else {
        end(
            &kudu.cloud,
            &begun,
            Err("the package did not arrive whole".to_owned()),
        );
        return (StatusCode::BAD_REQUEST, "the package did not arrive whole").into_response();
    };
    let id = begun.deployment.clone();
    let refused = {
        let state = kudu.cloud.state();
        let found = state.site(&kudu.key);
        found.and_then(|(_, slot)| flex::no_storage(&kudu.cloud, &state, slot))
    };
    let cloud = Arc::clone(&kudu.cloud);
    let work = async move {
        match refused {
            Some(fault) => end(&cloud, &begun, Err(fault)),
            None => finish(cloud, begun, zip).await,
        }
    };
    // It goes on whether or not the caller waits.
    let done = kudu.cloud.tasks.spawn(work);
    if waits && done.await.is_ok() {
        return one(State(kudu), Extension(caller), Path(id), headers).await;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let location = format!(
        "{}://{}/api/deployments/latest",
        caller.scheme.as_str(),
        host.unwrap_or("127.0.0.1")
    );
    (
        StatusCode::ACCEPTED,
        [
            (header::LOCATION, location),
            (header::RETRY_AFTER, "1".to_owned()),
        ],
        [("scm-deployment-id", id)],
    )
        .into_response()
}

fn refused(error: &ArmError) -> Response {
    (error.status(), error.to_string()).into_response()
}

async fn one(
    State(kudu): State<Kudu>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let state = kudu.cloud.state();
    let Some((site, slot)) = state.site(&kudu.key) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut all = slot.content.deployments.iter();
    let found = match id.as_str() {
        "latest" => all.next_back(),
        id => all.find(|deployment| deployment.id == id),
    };
    let Some(deployment) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("127.0.0.1");
    let base = format!("{}://{host}", caller.scheme.as_str());
    let body = render(&site.name, deployment, &base);
    let status = match deployment.outcome {
        Outcome::Running => StatusCode::ACCEPTED,
        Outcome::Succeeded | Outcome::Failed { .. } => StatusCode::OK,
    };
    let mut response = (status, Json(body)).into_response();
    if let (Outcome::Running, Ok(link)) = (
        &deployment.outcome,
        HeaderValue::from_str(&format!("{base}/api/deployments/latest")),
    ) {
        response.headers_mut().insert(header::LOCATION, link);
    }
    response
}

async fn history(State(kudu): State<Kudu>) -> Response {
    let state = kudu.cloud.state();
    let Some((site, slot)) = state.site(&kudu.key) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let all = slot.content.deployments.iter().rev();
    let all: Vec<Value> = all
        .map(|deployment| render(&site.name, deployment, ""))
        .collect();
    Json(all).into_response()
}

/// One file with the output of the slot's code, and when it was written last.
async fn log_files(
    State(kudu): State<Kudu>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("127.0.0.1");
    let lines = kudu.lines();
    let size: usize = lines.iter().map(|line| line.text.len() + 1).sum();
    Json(json!([{
        "machineName": "local",
        "lastUpdated": lines.last().map(|line| line.at.to_string()),
        "size": size,
        "href": format!("{}://{host}/api/vfs/LogFiles/{LOG_FILE}", caller.scheme.as_str()),
        "path": format!("/home/LogFiles/{LOG_FILE}"),
    }]))
    .into_response()
}

async fn log_file(State(kudu): State<Kudu>, Path(file): Path<String>) -> Response {
    if file != LOG_FILE {
        return StatusCode::NOT_FOUND.into_response();
    }
    let lines = kudu.lines();
    let text: String = lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect();
    text.into_response()
}

/// The settings as the code sees them: command lines wait here for a change to arrive.
async fn settings(State(kudu): State<Kudu>) -> Response {
    let state = kudu.cloud.state();
    match state.site(&kudu.key) {
        Some((site, slot)) => Json(site.effective_settings(slot)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
