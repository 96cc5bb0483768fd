//! Services that take the operation and its parameters as a form, and answer in XML: IAM and SNS.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use crate::cloud::xml::escaped;

/// Why not: status, code and words.
pub(in crate::local::lambda) type Refusal = (StatusCode, &'static str, String);

/// What was asked for, by name.
pub(in crate::local::lambda) type Form = BTreeMap<String, String>;

pub(in crate::local::lambda) fn read(body: &[u8]) -> Form {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// `namespace` is the service's own.
pub(in crate::local::lambda) fn answered(
    operation: &str,
    namespace: &str,
    done: Result<String, Refusal>,
) -> Response {
    match done {
        Ok(result) => {
            let id = uuid::Uuid::new_v4();
            let text = format!(
                "<{operation}Response xmlns=\"{namespace}\">{result}<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
            );
            in_xml(StatusCode::OK, text)
        }
        Err((status, code, message)) => refused(namespace, status, code, &message),
    }
}

pub(super) fn refused(namespace: &str, status: StatusCode, code: &str, message: &str) -> Response {
    let (id, message) = (uuid::Uuid::new_v4(), escaped(message));
    let text = format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    );
    in_xml(status, text)
}

pub(in crate::local::lambda) fn in_xml(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

pub(in crate::local::lambda) fn needed<'f>(form: &'f Form, name: &str) -> Result<&'f str, Refusal> {
    form.get(name).map(String::as_str).ok_or_else(|| {
        let message = format!("The request must contain the parameter {name}.");
        (StatusCode::BAD_REQUEST, "ValidationError", message)
    })
}

pub(in crate::local::lambda) fn result(operation: &str, inner: &str) -> String {
    format!("<{operation}Result>{inner}</{operation}Result>")
}

pub(in crate::local::lambda) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}
