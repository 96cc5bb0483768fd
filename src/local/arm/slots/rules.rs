//! What the platform does with a request before any code sees it: who may call, and which web pages may.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::Value;

/// The rules of one slot.
#[derive(Clone, Debug, Default)]
pub(in crate::local::arm) struct Rules {
    /// `authsettingsV2`.
    pub auth: Value,
    /// `cors` of `config/web`.
    pub cors: Value,
}

impl Rules {
    /// The platform's own answer, where it gives one.
    pub(in crate::local::arm) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if let Some(preflight) = self.preflight(request) {
            return Some(preflight);
        }
        let is_refused = self.needs_token(request.uri().path()) && !has_token(request.headers());
        is_refused.then(|| told(StatusCode::UNAUTHORIZED))
    }

    /// Says on an answer which page may read it.
    pub(in crate::local::arm) fn sign(
        &self,
        origin: Option<&HeaderValue>,
        answer: &mut Response<Body>,
    ) {
        if let Some(origin) = origin.filter(|origin| self.trusts(origin)) {
            let headers = answer.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if self.cors["supportCredentials"] == true {
                let yes = HeaderValue::from_static("true");
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
        }
    }

    fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        let origin = headers.get(header::ORIGIN)?;
        let has_rules = self.cors["allowedOrigins"]
            .as_array()
            .is_some_and(|it| !it.is_empty());
        if request.method() != Method::OPTIONS || !has_rules {
            return None;
        }
        let mut answer = told(StatusCode::NO_CONTENT);
        if self.trusts(origin) {
            self.sign(Some(origin), &mut answer);
            let allowed = answer.headers_mut();
            allowed.insert(header::ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
            if let Some(names) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                allowed.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
        }
        Some(answer)
    }

    fn trusts(&self, origin: &HeaderValue) -> bool {
        let origins = self.cors["allowedOrigins"].as_array().into_iter().flatten();
        let mut origins = origins.filter_map(Value::as_str);
        origins.any(|one| one == "*" || *origin == one)
    }

    fn needs_token(&self, path: &str) -> bool {
        let validation = &self.auth["globalValidation"];
        let excluded = validation["excludedPaths"].as_array().into_iter().flatten();
        let mut excluded = excluded.filter_map(Value::as_str);
        self.auth["platform"]["enabled"] == true
            && validation["requireAuthentication"] == true
            && !excluded.any(|one| one == path)
    }
}

/// Any token does, as at the resource manager: nobody here knows the directory's keys.
fn has_token(headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|given| given.to_str().ok());
    given.is_some_and(|given| given.to_ascii_lowercase().starts_with("bearer "))
}

fn told(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}
