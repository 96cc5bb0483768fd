//! Packages in the containers of storage accounts: just enough of a blob service for apps that run a package from its address.
//! They are put there, listed and deleted.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::{Path, Query, State},
};
use http::{HeaderMap, Response, StatusCode, header};

use crate::{
    local::{
        arm::{
            cloud::{self, Cloud},
            model::Slot,
            resources::containers,
            slots::flex,
        },
        faults::Verdict,
        listen,
    },
    name::CodeDigest,
};

/// Where accounts are, below the endpoint.
pub(in crate::local::arm) const ROOT: &str = "/blobs";

/// The setting that names a package.
const RUN_FROM: &str = "WEBSITE_RUN_FROM_PACKAGE";

/// The largest package that is taken.
const PACKAGE_MAX: usize = 1 << 30;

/// Put Blob, of packages.
pub(in crate::local::arm) async fn put(
    State(cloud): State<Arc<Cloud>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let work = taken(&cloud, &name, &headers, body);
    answered(&cloud, "blobs.put", &headers, work).await
}

async fn taken(cloud: &Arc<Cloud>, name: &str, headers: &HeaderMap, body: Body) -> Response<Body> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Without a version a token is not understood.
    if said("x-ms-version").is_none() || said("x-ms-blob-type") != Some("BlockBlob") {
        return told(StatusCode::BAD_REQUEST, "MissingRequiredHeader");
    }
    let address = format!("http://127.0.0.1{ROOT}/{name}");
    if containers::account_of(&cloud.state(), &address).is_none() {
        return told(StatusCode::NOT_FOUND, "ContainerNotFound");
    }
    let Ok(zip) = to_bytes(body, PACKAGE_MAX).await else {
        return told(StatusCode::BAD_REQUEST, "IncompleteBody");
    };
    let digest = CodeDigest::of(&zip);
    let disk = Arc::clone(cloud);
    let unpacked = tokio::task::spawn_blocking(move || disk.disk.add(&zip)).await;
    // Whatever is no package is kept nowhere, and an app that is told to run it finds nothing.
    if let Ok(Ok(_)) = unpacked {
        let mut state = cloud.state();
        state.world.blobs.insert(name.to_ascii_lowercase(), digest);
        drop(state);
        cloud.changed();
    }
    told(StatusCode::CREATED, "")
}

/// List Blobs, on one page.
pub(in crate::local::arm) async fn list(
    State(cloud): State<Arc<Cloud>>,
    Path(name): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response<Body> {
    let work = async { listed(&cloud, &name, &query) };
    answered(&cloud, "blobs.list", &headers, work).await
}

fn listed(cloud: &Cloud, name: &str, query: &BTreeMap<String, String>) -> Response<Body> {
    if query.get("comp").map(String::as_str) != Some("list") {
        return told(StatusCode::NOT_FOUND, "BlobNotFound");
    }
    let state = cloud.state();
    let address = format!("http://127.0.0.1{ROOT}/{name}/");
    if containers::account_of(&state, &address).is_none() {
        return told(StatusCode::NOT_FOUND, "ContainerNotFound");
    }
    let within = format!("{}/", name.trim_matches('/').to_ascii_lowercase());
    let blobs = state.world.blobs.keys();
    let blobs: String = blobs
        .filter_map(|blob| blob.strip_prefix(&within))
        .map(|blob| format!("<Blob><Name>{blob}</Name></Blob>"))
        .collect();
    let text = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>"
    );
    Response::new(Body::from(text))
}

/// Delete Blob.
pub(in crate::local::arm) async fn delete(
    State(cloud): State<Arc<Cloud>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let work = async { deleted(&cloud, &name) };
    answered(&cloud, "blobs.delete", &headers, work).await
}

fn deleted(cloud: &Cloud, name: &str) -> Response<Body> {
    let gone = cloud.state().world.blobs.remove(&name.to_ascii_lowercase());
    cloud.changed();
    match gone {
        Some(_) => told(StatusCode::ACCEPTED, ""),
        None => told(StatusCode::NOT_FOUND, "BlobNotFound"),
    }
}

/// Does it for who shows a token, and under the faults that are set: a reply that is lost is lost when the work is done.
async fn answered(
    cloud: &Cloud,
    operation: &str,
    headers: &HeaderMap,
    work: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    let token = headers.get(header::AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok());
    let work = async {
        match token.is_some_and(|token| token.starts_with("Bearer ")) {
            true => work.await,
            false => told(StatusCode::UNAUTHORIZED, "NoAuthenticationInformation"),
        }
    };
    match cloud.options.faults.before(operation).await {
        Verdict::Proceed => work.await,
        Verdict::LoseReply => {
            drop(work.await);
            listen::lost_reply()
        }
        Verdict::Throttle => told(StatusCode::SERVICE_UNAVAILABLE, "ServerBusy"),
        Verdict::Fail { status, code, .. } => told(status, &code),
    }
}

fn told(status: StatusCode, code: &str) -> Response<Body> {
    let body = match code {
        "" => Body::empty(),
        code => Body::from(format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"
        )),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// The package that settings name by its address: the outer is none where they name no address, the inner where nothing is there.
pub(in crate::local::arm) fn package_at(
    cloud: &Cloud,
    settings: &BTreeMap<String, String>,
) -> Option<Option<CodeDigest>> {
    let url = url::Url::parse(settings.get(RUN_FROM)?).ok()?;
    let name = url.path().strip_prefix(ROOT).unwrap_or_default();
    let name = name.trim_matches('/').to_ascii_lowercase();
    Some(cloud.state().world.blobs.get(&name).copied())
}

/// Whether a slot may read its package by now, where it is run from an address.
pub(in crate::local::arm) fn lets_in(cloud: &Cloud, state: &cloud::State, slot: &Slot) -> bool {
    let address = slot.content.settings.get(RUN_FROM);
    let Some(address) = address.filter(|it| url::Url::parse(it).is_ok()) else {
        return true;
    };
    let account = containers::account_of(state, address);
    account.is_some_and(|account| flex::may_read(cloud, slot, &account))
}
