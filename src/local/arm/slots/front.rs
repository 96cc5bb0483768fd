//! The public face of a slot: routes requests to functions, checks their keys, and answers when there is nobody to.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::State,
};
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::local::arm::{
    host::{
        app::{App, InFlight},
        forward::{self, CallError},
        package::AuthLevel,
        wrap::Event,
    },
    model::SlotKey,
    serve::Caller,
    trust::references::Fetched,
};
use crate::local::{
    faults::{Faults, Verdict},
    listen,
};

/// The largest input of a function that is set off by hand.
const INPUT_MAX: usize = 1 << 20;

/// Which app answers for which slot. A swap exchanges two entries in one step.
#[derive(Default)]
pub(in crate::local::arm) struct Doors(RwLock<BTreeMap<SlotKey, Arc<App>>>);

impl Doors {
    /// Puts apps in place, all at once, and hands back those that were there.
    pub(in crate::local::arm) fn put(&self, apps: Vec<(SlotKey, Arc<App>)>) -> Vec<Arc<App>> {
        let mut doors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        apps.into_iter()
            .filter_map(|(key, app)| doors.insert(key, app))
            .collect()
    }

    pub(in crate::local::arm) fn remove(&self, key: &SlotKey) -> Option<Arc<App>> {
        let mut doors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        doors.remove(key)
    }

    pub(in crate::local::arm) fn all(&self) -> Vec<Arc<App>> {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        doors.values().cloned().collect()
    }

    /// Every app, and where it is.
    pub(in crate::local::arm) fn each(&self) -> Vec<(SlotKey, Arc<App>)> {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let pair = |(key, app): (&SlotKey, &Arc<App>)| (key.clone(), Arc::clone(app));
        doors.iter().map(pair).collect()
    }

    /// Whether an app still has its place.
    pub(in crate::local::arm) fn holds(&self, key: &SlotKey, app: &Arc<App>) -> bool {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        doors.get(key).is_some_and(|it| Arc::ptr_eq(it, app))
    }

    /// Counts an event in, where the app still has its place.
    pub(in crate::local::arm) fn enter_as(
        &self,
        key: &SlotKey,
        app: &Arc<App>,
    ) -> Option<InFlight> {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let app = doors.get(key).filter(|it| Arc::ptr_eq(it, app));
        app.map(App::enter)
    }

    /// What became of the references in a slot's settings.
    pub(in crate::local::arm) fn fetched(&self, key: &SlotKey) -> Fetched {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let app = doors.get(key);
        app.map(|app| app.parts.fetched.clone()).unwrap_or_default()
    }

    /// What the host in a slot says of itself.
    pub(in crate::local::arm) fn host_status(&self, key: &SlotKey) -> Value {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let fault = doors.get(key).and_then(|app| app.fault());
        match fault {
            None => json!({"state": "Running", "errors": []}),
            Some(fault) => json!({"state": "Error", "errors": [fault]}),
        }
    }

    /// Counted in under the lock, so that an app that gives way still waits for this request.
    fn enter(&self, key: &SlotKey) -> Option<InFlight> {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        doors.get(key).map(App::enter)
    }
}

/// The routes of one slot's own listener.
pub(in crate::local::arm) fn router(doors: Arc<Doors>, key: SlotKey, faults: Faults) -> Router {
    Router::new().fallback(answer).with_state(Front {
        doors,
        operation: format!("front.{}", key.slot),
        key: Arc::new(key),
        faults,
    })
}

#[derive(Clone)]
struct Front {
    doors: Arc<Doors>,
    key: Arc<SlotKey>,
    /// `front.production`: a rule of this name makes the slot's own address misbehave.
    operation: String,
    faults: Faults,
}

impl Front {
    /// What a rule makes of a request; rules for everything mean the resource manager.
    async fn fault(&self) -> Option<Response<Body>> {
        let rules = self.faults.list();
        if !rules.iter().any(|rule| rule.operation == self.operation) {
            return None;
        }
        match self.faults.before(&self.operation).await {
            Verdict::Proceed => None,
            Verdict::Fail {
                status, message, ..
            } => Some(told(status, &message)),
            Verdict::Throttle => Some(told(StatusCode::TOO_MANY_REQUESTS, "")),
            Verdict::LoseReply => Some(listen::lost_reply()),
        }
    }
}

async fn answer(
    State(front): State<Front>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    if let Some(fault) = front.fault().await {
        return fault;
    }
    let Some(entered) = front.doors.enter(&front.key) else {
        return told(StatusCode::NOT_FOUND, "This site does not exist.");
    };
    let app = Arc::clone(entered.app());
    if !app.parts.running {
        return told(
            StatusCode::FORBIDDEN,
            "Error 403 - This web app is stopped.",
        );
    }
    if let Some(answer) = app.parts.rules.answer(&request) {
        return answer;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut answer = served(entered, &app, request, caller).await;
    app.parts.rules.sign(origin.as_ref(), &mut answer);
    answer
}

async fn served(
    entered: InFlight,
    app: &App,
    request: Request<Body>,
    caller: Caller,
) -> Response<Body> {
    if let Some(name) = request.uri().path().strip_prefix("/admin/") {
        let name = name.to_owned();
        return admin(entered, &name, request).await;
    }
    let routed = app.route(request.method().as_str(), request.uri().path());
    let Some(routed) = routed else {
        return unrouted(app, request.uri().path());
    };
    if !key_fits(app, routed.trigger.level, &request) {
        return told(StatusCode::UNAUTHORIZED, "");
    }
    let outcome = forward::run(entered, &routed, request, caller).await;
    outcome.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &CallError) -> Response<Body> {
    told(error.status(), &error.to_string())
}

/// The landing page stands at `/` unless a function takes it; everything else is not found.
fn unrouted(app: &App, path: &str) -> Response<Body> {
    let hidden = app.parts.settings.get("AzureWebJobsDisableHomepage");
    match (path, hidden.is_some_and(|told| told == "true")) {
        ("/" | "", true) => told(StatusCode::NO_CONTENT, ""),
        ("/" | "", false) => told(StatusCode::OK, "This function app is up.\n"),
        _ => told(StatusCode::NOT_FOUND, ""),
    }
}

fn told(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    if !text.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    response
}

// === keys ===

fn key_fits(app: &App, level: AuthLevel, request: &Request<Body>) -> bool {
    let keys = &app.parts.keys;
    let accepted: &[&String] = match level {
        AuthLevel::Anonymous => return true,
        AuthLevel::Function => &[&keys.default, &keys.master],
        AuthLevel::Admin => &[&keys.master],
    };
    presented_key(request).is_some_and(|shown| {
        let same = |key: &&String| bool::from(key.as_bytes().ct_eq(shown.as_bytes()));
        accepted.iter().any(same)
    })
}

fn presented_key(request: &Request<Body>) -> Option<String> {
    if let Some(key) = request.headers().get("x-functions-key") {
        return key.to_str().ok().map(str::to_owned);
    }
    let query = request.uri().query()?.as_bytes();
    url::form_urlencoded::parse(query)
        .find(|(name, _)| name == "code")
        .map(|(_, value)| value.into_owned())
}

// === the host's own routes ===

async fn admin(entered: InFlight, path: &str, request: Request<Body>) -> Response<Body> {
    if !key_fits(entered.app(), AuthLevel::Admin, &request) {
        return told(StatusCode::UNAUTHORIZED, "");
    }
    match path.split_once('/') {
        Some(("host", "status" | "ping")) => json_told(json!({"state": "Running", "errors": []})),
        Some(("functions", name)) => set_off(entered, name, request).await,
        _ => told(StatusCode::NOT_FOUND, ""),
    }
}

/// Sets off a function of any trigger by hand: 202, and the work goes on after the answer.
async fn set_off(entered: InFlight, name: &str, request: Request<Body>) -> Response<Body> {
    let Ok(body) = to_bytes(request.into_body(), INPUT_MAX).await else {
        return told(StatusCode::PAYLOAD_TOO_LARGE, "");
    };
    let mut input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let app = Arc::clone(entered.app());
    let package = app.parts.package.as_ref();
    let Some(function) = package.and_then(|package| package.functions.get(name)) else {
        return told(StatusCode::NOT_FOUND, "");
    };
    if app.is_disabled(name, function) {
        return told(StatusCode::NOT_FOUND, "");
    }
    let (name, function) = (name.to_owned(), function.clone());
    let event = Event {
        input: input["input"].take(),
        ..Event::default()
    };
    tokio::spawn(async move {
        let done = forward::set_off(&entered, (&name, &function), &event);
        if let Err(error) = done.await {
            let logs = &entered.app().parts.logs;
            let told = format!("{name} failed: {error}");
            logs.push(crate::local::process::Stream::Platform, &told);
        }
    });
    told(StatusCode::ACCEPTED, "")
}

fn json_told(body: Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
