//! Packages in the containers of storage accounts: just enough of a blob service for apps that run a package from its address.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::{Path, State},
};
use http::{HeaderMap, Response, StatusCode, header};

use crate::{
    local::{
        arm::{cloud::Cloud, resources::containers, slots::flex, wire::call::Call},
        faults::Verdict,
        listen,
    },
    name::CodeDigest,
};

/// Where accounts are, below the endpoint.
pub(in crate::local::arm) const ROOT: &str = "/blobs";

/// The largest package that is taken.
const PACKAGE_MAX: usize = 1 << 30;

/// Put Blob, of packages.
pub(in crate::local::arm) async fn put(
    State(cloud): State<Arc<Cloud>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    match cloud.options.faults.before("blobs.put").await {
        Verdict::Proceed => taken(&cloud, &name, &headers, body).await,
        Verdict::LoseReply => {
            drop(taken(&cloud, &name, &headers, body).await);
            listen::lost_reply()
        }
        Verdict::Throttle => told(StatusCode::SERVICE_UNAVAILABLE, "ServerBusy"),
        Verdict::Fail { status, code, .. } => told(status, &code),
    }
}

async fn taken(cloud: &Arc<Cloud>, name: &str, headers: &HeaderMap, body: Body) -> Response<Body> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = said(header::AUTHORIZATION.as_str());
    if !token.is_some_and(|token| token.starts_with("Bearer ")) {
        return told(StatusCode::UNAUTHORIZED, "NoAuthenticationInformation");
    }
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

/// The package that settings name by its address: the outer is none where they name no address, the inner where the app cannot read it.
pub(in crate::local::arm) fn package_at(
    cloud: &Cloud,
    call: &Call,
    settings: &BTreeMap<String, String>,
) -> Option<Option<CodeDigest>> {
    let address = settings.get("WEBSITE_RUN_FROM_PACKAGE")?;
    let url = url::Url::parse(address).ok()?;
    let state = cloud.state();
    let (_, slot) = state.site(&call.slot_key())?;
    let account = containers::account_of(&state, address);
    let may_read = account.is_some_and(|account| flex::may_read(cloud, slot, &account));
    let name = url.path().strip_prefix(ROOT).unwrap_or_default();
    let name = name.trim_matches('/').to_ascii_lowercase();
    Some(state.world.blobs.get(&name).copied().filter(|_| may_read))
}
