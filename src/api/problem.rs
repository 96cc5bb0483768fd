//! What went wrong, as RFC 9457 problem documents. They name a stable code and a way out, and nothing of what is inside.

use std::any::Any;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{name::BadName, reconcile::handle::ActError, store::StoreError};

/// An answer that is not what was asked for.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
}

/// A problem as it is written (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemDocument {
    /// `urn:verdigris:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// Stable; programs tell problems apart by it.
    code: &'static str,
    /// Whether the same request may succeed later.
    retryable: bool,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let detail = detail.into();
        Self {
            status,
            code,
            title,
            detail,
        }
    }

    pub(super) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code,
            "The request cannot be understood",
            detail,
        )
    }

    pub(super) fn no_service(key: &impl std::fmt::Display) -> Self {
        let detail = format!("no service is called `{key}`: GET /api/v1/services lists them");
        Self::not_found("service-not-found", detail)
    }

    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code,
            "There is no such thing",
            detail,
        )
    }

    pub(super) fn unauthorized(detail: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token-required",
            "A token is required",
            detail,
        )
    }

    pub(super) fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, "This is not allowed", detail)
    }

    pub(super) fn misdirected(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host-not-served",
            "This host is not served here",
            detail,
        )
    }

    pub(super) fn too_large(max: usize) -> Self {
        let detail = format!("the body has more than {max} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
            detail,
        )
    }

    pub(super) fn unsupported_media(detail: &'static str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "json-required",
            "The body must be JSON",
            detail,
        )
    }

    pub(super) fn refused(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "action-refused",
            "The action does not fit what the service is doing",
            detail,
        )
    }

    /// A function was called, and nothing is known of what became of it.
    pub(super) fn too_slow_a_call() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timed-out",
            "The answer took too long",
            "the function may be running still, or have done its work: look at its logs before you call it again",
        )
    }

    pub(super) fn too_slow() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timed-out",
            "The answer took too long",
            "ask again",
        )
    }

    pub(super) fn not_ready(detail: &'static str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not-ready",
            "Not ready yet",
            detail,
        )
    }

    fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong inside",
            "the daemon's log has the cause under this answer's x-request-id",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            title,
            detail,
        } = self;
        let document = ProblemDocument {
            kind: format!("urn:verdigris:problem:{code}"),
            title,
            status: status.as_u16(),
            detail,
            code,
            retryable: status.is_server_error(),
        };
        let mut response = (status, Json(document)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"verdigris\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        match error {
            ActError::NotFound(key) => Self::no_service(&key),
            ActError::Refused(refused) => Self::refused(refused.to_string()),
            error @ ActError::Stalled(_, _) => Self::refused(error.to_string()),
            ActError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed under a request");
        Self::internal()
    }
}

impl From<BadName> for Problem {
    fn from(error: BadName) -> Self {
        Self::bad_request("bad-name", error.to_string())
    }
}

/// A path that leads nowhere.
pub(super) async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at `{}`: /openapi.json lists what is",
        uri.path()
    );
    Problem::not_found("path-not-found", detail)
}

/// A path that is known and not by this method.
pub(super) async fn unknown_method(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{method} does not fit `{}`: /openapi.json lists what does",
        uri.path()
    );
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "The method does not fit the path",
        detail,
    )
}

/// A panic ends its own request and nothing else.
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(message, "a request panicked");
    Problem::internal().into_response()
}
