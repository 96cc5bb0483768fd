//! Errors as Lambda writes them: a header with the name, a JSON body with the message.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An answer that refuses.
#[derive(Debug)]
pub(in crate::local::lambda) struct ApiError {
    status: StatusCode,
    code: String,
    message: String,
    shape: Shape,
}

/// Real answers differ in whether they say `Type`, and in the case of `message`.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// `{"Type":"User","Message":…}`: what is not there.
    Missing,
    /// `{"Type":"User","message":…}`: most refusals.
    Refused,
    /// `{"message":…}`: refused before the operation saw it.
    Unread,
    /// `{"Message":null}`: refused without a word.
    Silent,
    /// With `Reason` and `Retry-After`: asked too much.
    Throttled(&'static str),
}

impl ApiError {
    fn new(status: StatusCode, code: &str, message: impl Into<String>, shape: Shape) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            shape,
        }
    }

    pub(in crate::local::lambda) fn not_found(message: impl Into<String>) -> Self {
        let status = StatusCode::NOT_FOUND;
        Self::new(status, "ResourceNotFoundException", message, Shape::Missing)
    }

    pub(in crate::local::lambda) fn nothing_provisioned() -> Self {
        let status = StatusCode::NOT_FOUND;
        let code = "ProvisionedConcurrencyConfigNotFoundException";
        let message = "No Provisioned Concurrency Config found for this function";
        Self::new(status, code, message, Shape::Refused)
    }

    pub(in crate::local::lambda) fn invalid(message: impl Into<String>) -> Self {
        let code = "InvalidParameterValueException";
        Self::new(StatusCode::BAD_REQUEST, code, message, Shape::Refused)
    }

    pub(in crate::local::lambda) fn conflict(message: impl Into<String>) -> Self {
        let status = StatusCode::CONFLICT;
        Self::new(status, "ResourceConflictException", message, Shape::Refused)
    }

    pub(in crate::local::lambda) fn in_use(message: impl Into<String>) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self::new(status, "ResourceInUseException", message, Shape::Missing)
    }

    /// One value breaks the model of the service.
    pub(in crate::local::lambda) fn validation(value: &str, at: &str, rule: &str) -> Self {
        Self::validations(&[(value, at, rule)])
    }

    /// Values that break the model of the service: each with where it stands, and the rule.
    pub(in crate::local::lambda) fn validations(broken: &[(&str, &str, &str)]) -> Self {
        let told = broken.iter().map(|(value, at, rule)| {
            format!("Value '{value}' at '{at}' failed to satisfy constraint: {rule}")
        });
        let told: Vec<String> = told.collect();
        let plural = if told.len() == 1 { "" } else { "s" };
        let (count, told) = (told.len(), told.join("; "));
        let message = format!("{count} validation error{plural} detected: {told}");
        let code = "ValidationException";
        Self::new(StatusCode::BAD_REQUEST, code, message, Shape::Unread)
    }

    pub(in crate::local::lambda) fn missing(at: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null"
        );
        let code = "ValidationException";
        Self::new(StatusCode::BAD_REQUEST, code, message, Shape::Unread)
    }

    pub(in crate::local::lambda) fn unreadable(message: impl Into<String>) -> Self {
        let code = "SerializationException";
        Self::new(StatusCode::BAD_REQUEST, code, message, Shape::Unread)
    }

    pub(in crate::local::lambda) fn bad_content(message: impl Into<String>) -> Self {
        let code = "InvalidRequestContentException";
        Self::new(StatusCode::BAD_REQUEST, code, message, Shape::Refused)
    }

    pub(in crate::local::lambda) fn precondition() -> Self {
        let message = "The Revision Id provided does not match the latest Revision Id. \
                       Call the GetFunction/GetAlias API to retrieve the latest Revision Id";
        let status = StatusCode::PRECONDITION_FAILED;
        Self::new(
            status,
            "PreconditionFailedException",
            message,
            Shape::Refused,
        )
    }

    pub(in crate::local::lambda) fn too_large(message: impl Into<String>) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(
            status,
            "RequestEntityTooLargeException",
            message,
            Shape::Unread,
        )
    }

    /// Whatever lies in another account; Lambda has no words for it.
    pub(in crate::local::lambda) fn denied() -> Self {
        let status = StatusCode::FORBIDDEN;
        Self::new(status, "AccessDeniedException", "", Shape::Silent)
    }

    pub(in crate::local::lambda) fn throttled(reason: &'static str) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let code = "TooManyRequestsException";
        Self::new(status, code, "Rate exceeded", Shape::Throttled(reason))
    }

    pub(in crate::local::lambda) fn internal(message: impl Into<String>) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "ServiceException", message, Shape::Missing)
    }

    pub(in crate::local::lambda) fn unknown(method: &str, path: &str) -> Self {
        let message = format!("Unable to determine service/operation name for {method} {path}");
        let code = "UnknownOperationException";
        Self::new(StatusCode::NOT_FOUND, code, message, Shape::Unread)
    }

    /// An error that a fault rule asked for.
    pub(in crate::local::lambda) fn injected(
        status: StatusCode,
        code: &str,
        message: &str,
    ) -> Self {
        Self::new(status, code, message, Shape::Refused)
    }

    pub(in crate::local::lambda) fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            message,
            shape,
        } = self;
        let body = match shape {
            Shape::Missing => json!({"Type": "User", "Message": message}),
            Shape::Refused => json!({"Type": "User", "message": message}),
            Shape::Unread => json!({"message": message}),
            Shape::Silent => json!({"Message": null}),
            Shape::Throttled(reason) => {
                json!({"Type": "User", "message": message, "Reason": reason, "retryAfterSeconds": "1"})
            }
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Ok(code) = HeaderValue::from_str(&code) {
            headers.insert("x-amzn-errortype", code);
        }
        if let Shape::Throttled(_) = shape {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
