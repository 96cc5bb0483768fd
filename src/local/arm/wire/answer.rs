//! How answers and refusals look on the wire.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// What a handler answers; headers common to all answers are added by the endpoint.
pub(in crate::local::arm) struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Content>,
}

/// The resource manager speaks JSON, but for publish profiles.
pub(in crate::local::arm) enum Content {
    Json(Value),
    Xml(String),
}

/// A refusal in the resource manager's own words.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(in crate::local::arm) enum ArmError {
    #[error("{reason}")]
    Unauthenticated { reason: String },
    #[error("The api-version query parameter (?api-version=) is required for all requests.")]
    NoApiVersion,
    #[error("{0}")]
    Invalid(String),
    #[error("Resource group '{0}' could not be found.")]
    NoGroup(String),
    #[error("The Resource '{kind}/{name}' under resource group '{group}' was not found.")]
    NoResource {
        kind: &'static str,
        name: String,
        group: String,
    },
    #[error("No route serves {method} {path}.")]
    NoRoute { method: String, path: String },
    #[error("{0}")]
    Conflict(String),
    #[error("Number of requests exceeded the limit. Try again after {retry_after_s} seconds.")]
    Throttled { retry_after_s: u64 },
    #[error("{0}")]
    Internal(String),
    /// A refusal with a code of its service's own.
    #[error("{message}")]
    Coded {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
}

// === impl Answer ===

impl Answer {
    pub(in crate::local::arm) fn ok(body: Value) -> Self {
        Self::with(StatusCode::OK, body)
    }

    pub(in crate::local::arm) fn with(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(Content::Json(body)),
        }
    }

    pub(in crate::local::arm) fn xml(body: String) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: Some(Content::Xml(body)),
        }
    }

    /// No body, and so no content type either: checkers of the contract insist.
    pub(in crate::local::arm) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(in crate::local::arm) fn header(
        mut self,
        name: &'static str,
        value: impl Into<String>,
    ) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(in crate::local::arm) fn into_response(self, common: HeaderMap) -> Response<Body> {
        let Self {
            status,
            headers,
            body,
        } = self;
        let mut response = match body {
            Some(Content::Json(body)) => typed(body.to_string(), "application/json; charset=utf-8"),
            Some(Content::Xml(body)) => typed(body, "application/xml"),
            None => Response::new(Body::empty()),
        };
        *response.status_mut() = status;
        response.headers_mut().extend(common);
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

fn typed(body: String, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

// === impl ArmError ===

impl ArmError {
    pub(in crate::local::arm) fn no_site(group: &str, site: &str, slot: &str) -> Self {
        let production = slot.eq_ignore_ascii_case(crate::local::arm::model::PRODUCTION);
        Self::NoResource {
            kind: if production {
                "Microsoft.Web/sites"
            } else {
                "Microsoft.Web/sites/slots"
            },
            name: if production {
                site.to_owned()
            } else {
                format!("{site}/{slot}")
            },
            group: group.to_owned(),
        }
    }

    pub(in crate::local::arm) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::NoApiVersion | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NoGroup(_) | Self::NoResource { .. } | Self::NoRoute { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Coded { status, .. } => *status,
        }
    }

    pub(in crate::local::arm) fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated { .. } => "AuthenticationFailed",
            Self::NoApiVersion => "MissingApiVersionParameter",
            Self::Invalid(_) => "BadRequest",
            Self::NoGroup(_) => "ResourceGroupNotFound",
            Self::NoResource { .. } => "ResourceNotFound",
            Self::NoRoute { .. } => "NotFound",
            Self::Conflict(_) => "Conflict",
            Self::Throttled { .. } => "TooManyRequests",
            Self::Internal(_) => "InternalServerError",
            Self::Coded { code, .. } => code,
        }
    }

    pub(in crate::local::arm) fn body(&self) -> Value {
        error_body(self.code(), &self.to_string())
    }

    pub(in crate::local::arm) fn into_answer(self, base: &str) -> Answer {
        let answer = Answer::with(self.status(), self.body());
        match self {
            Self::Unauthenticated { .. } => answer.header(
                "www-authenticate",
                format!(
                    "Bearer authorization_uri=\"{base}/common\", error=\"invalid_token\", \
                     error_description=\"{self}\""
                ),
            ),
            Self::Throttled { retry_after_s } => {
                answer.header("retry-after", retry_after_s.to_string())
            }
            Self::NoApiVersion
            | Self::Invalid(_)
            | Self::NoGroup(_)
            | Self::NoResource { .. }
            | Self::NoRoute { .. }
            | Self::Conflict(_)
            | Self::Internal(_)
            | Self::Coded { .. } => answer.header("x-ms-failure-cause", "gateway"),
        }
    }
}

pub(in crate::local::arm) fn error_body(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}
