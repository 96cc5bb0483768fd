//! What a request says, checked before a handler sees it. What does not fit is a problem document, never a panic.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
};
use http::{StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;

use super::{BODY_MAX, Site, act::tokens, problem::Problem};
use crate::name::{Actor, EnvironmentName, ServiceKey, ServiceName};

/// The service that the path names.
pub(super) struct Key(pub(super) ServiceKey);

impl FromRequestParts<Site> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, site).await;
        let Path((environment, service)) =
            path.map_err(|bad| Problem::bad_request("bad-path", bad.body_text()))?;
        Ok(Self(ServiceKey {
            environment: EnvironmentName::new(environment)?,
            service: ServiceName::new(service)?,
        }))
    }
}

/// What stands behind the question mark.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Site> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let Query(query) =
            query.map_err(|bad| Problem::bad_request("bad-query", bad.body_text()))?;
        Ok(Self(query))
    }
}

/// Who acts, by the token.
pub(super) struct Who(pub(super) Actor);

impl FromRequestParts<Site> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        tokens::actor(&site.api.tokens, &parts.headers).map(Self)
    }
}

/// A JSON body; none at all is the default.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Site> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_json = kind
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let bytes = Bytes::from_request(request, site).await;
        let bytes = bytes.map_err(|bad| unread(&bad, BODY_MAX))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            let detail = "send it with `content-type: application/json`";
            return Err(Problem::unsupported_media(detail));
        }
        let body = serde_json::from_slice(&bytes);
        let body = body.map_err(|bad| Problem::bad_request("bad-body", bad.to_string()))?;
        Ok(Self(body))
    }
}

/// A body that could not be read.
pub(super) fn unread(bad: &BytesRejection, max: usize) -> Problem {
    match bad.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(max),
        _ => Problem::bad_request("bad-body", "the body broke off"),
    }
}
