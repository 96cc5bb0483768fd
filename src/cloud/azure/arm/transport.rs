//! The connection's settings, and calls and answers as the pipeline has them.

use std::{path::Path, time::Duration};

use azure_core::http::{
    Request,
    headers::{self, HeaderName, Headers},
};
use bytes::Bytes;
use url::Url;

use super::{
    Call, Payload,
    answer::{Answer, Links, retry_after, retry_after_ms},
    fault::chain_of,
};
use crate::cloud::azure::AzureError;

pub(super) const CONNECT_MAX: Duration = Duration::from_secs(10);

pub(super) fn http_client(ca_file: Option<&Path>) -> Result<reqwest::Client, AzureError> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = ca_file {
        let bad = |message: String| AzureError::Authority {
            path: path.to_owned(),
            message,
        };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(chain_of(&error)))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| AzureError::Client {
        message: chain_of(&error),
    })
}

/// Whom a token is for: the public cloud, unless the endpoint is one of the sovereign ones.
pub(super) fn scope_of(endpoint: &Url) -> &'static str {
    match endpoint.host_str() {
        Some("management.usgovcloudapi.net") => "https://management.usgovcloudapi.net/.default",
        Some("management.chinacloudapi.cn") => "https://management.chinacloudapi.cn/.default",
        Some(_) | None => "https://management.azure.com/.default",
    }
}

/// Whom a token for a storage account is for, in every cloud.
pub(super) const STORAGE: &str = "https://storage.azure.com/.default";

/// The version of the storage service that we speak; tokens are understood since 2017.
const STORAGE_API: &str = "2024-11-04";

/// Who gives tokens for an endpoint, where nobody says so.
pub(super) fn authority_of(endpoint: &Url) -> &'static str {
    match endpoint.host_str() {
        Some("management.usgovcloudapi.net") => "https://login.microsoftonline.us/",
        Some("management.chinacloudapi.cn") => "https://login.chinacloudapi.cn/",
        Some(_) | None => "https://login.microsoftonline.com/",
    }
}

pub(super) fn request(call: &Call<'_>) -> Request {
    let mut request = Request::new(call.url.clone(), call.operation.method);
    request.insert_header(headers::ACCEPT, "application/json");
    request.insert_header("x-ms-client-request-id", own_id());
    if let Some(version) = &call.if_match {
        request.insert_header(headers::IF_MATCH, version.clone());
    }
    match &call.payload {
        Payload::Nothing => {}
        Payload::Json(body) => {
            request.insert_header(headers::CONTENT_TYPE, "application/json");
            request.set_body(body.to_string());
        }
        Payload::Package(bytes, kind) => {
            request.insert_header(headers::CONTENT_TYPE, *kind);
            request.set_body(bytes.clone());
        }
        Payload::Storage => {
            request.insert_header(headers::ACCEPT, "application/xml");
            request.insert_header("x-ms-version", STORAGE_API);
        }
        Payload::Blob(bytes) => {
            request.insert_header(headers::CONTENT_TYPE, "application/zip");
            request.insert_header("x-ms-version", STORAGE_API);
            request.insert_header("x-ms-blob-type", "BlockBlob");
            request.set_body(bytes.clone());
        }
    }
    request
}

/// How the ids of our requests begin; the subscription's log tells by it which calls were ours.
pub(in crate::cloud::azure) const OUR_REQUESTS: &str = "76657264-6967-";

fn own_id() -> String {
    let id = uuid::Uuid::new_v4().to_string();
    let rest = id.get(OUR_REQUESTS.len()..).unwrap_or_default();
    format!("{OUR_REQUESTS}{rest}")
}

/// One of them stands in an answer, by what was asked.
const CALLS_LEFT: [&str; 3] = [
    "x-ms-ratelimit-remaining-subscription-reads",
    "x-ms-ratelimit-remaining-subscription-writes",
    "x-ms-ratelimit-remaining-subscription-deletes",
];

pub(super) fn answer_of(status: u16, headers: &Headers, body: Bytes) -> Answer {
    let header = |name| headers.get_optional_string(&HeaderName::from_static(name));
    let finer = header("x-ms-retry-after-ms").or_else(|| header("retry-after-ms"));
    let finer = finer.and_then(|value| retry_after_ms(&value));
    let seconds = || header("retry-after").and_then(|value| retry_after(&value));
    let left = CALLS_LEFT.iter().find_map(|name| header(name));
    Answer {
        status,
        calls_left: left.and_then(|value| value.trim().parse().ok()),
        retry_after: finer.or_else(seconds),
        etag: header("etag"),
        links: Links {
            status: header("azure-asyncoperation"),
            result: header("location"),
        },
        body,
    }
}
