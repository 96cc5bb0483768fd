//! `/openapi.json`, made from the handlers.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    act::{self, adopt, destroy, hooks, talk},
    metrics,
    read::{events, fleet, services, stream},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Verdigris",
        description = "What is live on both clouds, what is waiting and why; and what people may ask of it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        services::list,
        services::one,
        services::rollout,
        services::history,
        services::plan,
        services::why,
        fleet::rollouts,
        fleet::plan,
        fleet::sources,
        fleet::summary,
        fleet::healthz,
        fleet::readyz,
        events::events,
        stream::watch,
        act::promote,
        act::abort,
        act::retry,
        act::rollback,
        act::suspend,
        act::resume,
        act::pause,
        act::pin,
        act::unpin,
        act::bypass,
        act::reconcile,
        act::approve,
        act::reconcile_all,
        adopt::look,
        adopt::adopt,
        destroy::look,
        destroy::destroy,
        talk::logs,
        talk::invoke,
        hooks::hook,
        metrics::metrics,
        document
    ),
    modifiers(&Token)
)]
struct Told;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = scheme.description(Some("A token of the daemon's token file."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

/// The whole document.
pub fn told() -> Document {
    Told::openapi()
}

#[utoipa::path(
    get,
    path = "/openapi.json",
    summary = "This document.",
    tag = "daemon",
    responses((status = 200, body = serde_json::Value))
)]
pub(super) async fn document() -> Json<Document> {
    Json(told())
}
