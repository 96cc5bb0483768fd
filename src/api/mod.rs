//! The HTTP API and the dashboard: what a running loop knows, and what people may ask of it.
//!
//! Reading is open on loopback, acting takes a token. Nothing here decides: an action is taken by the loop or refused by it.

pub mod act;
mod dashboard;
pub mod door;
mod extract;
mod metrics;
pub mod openapi;
pub mod problem;
pub mod read;
pub mod serve;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{MethodRouter, get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use self::{
    act::{adopt, destroy, hooks, talk, tokens::Tokens},
    door::Doors,
    read::{events, fleet, services, stream},
};
use crate::{clock::Clock, reconcile::handle::Handle, status::source::SourceReport};

/// Longest body of an action.
const BODY_MAX: usize = 64 * 1024;

/// What the API is made of.
pub struct Api {
    pub handle: Handle,
    pub sources: watch::Receiver<Arc<Vec<SourceReport>>>,
    /// Counters and histograms of the whole process, where they are kept.
    pub metrics: Option<PrometheusHandle>,
    pub tokens: Tokens,
    pub doors: Doors,
    /// Secret of incoming webhooks. Without one they are taken on loopback only.
    pub hook_secret: Option<SecretString>,
    /// Wakes every repository; called by webhooks and by `reconcile`.
    pub wake_sources: Arc<dyn Fn() + Send + Sync>,
    pub clock: Arc<dyn Clock>,
    /// Ends the streams, so that a stop need not wait for their readers.
    pub stop: CancellationToken,
}

/// The API and what tells this run of it from others.
struct Shared {
    api: Api,
    /// `resourceVersion` counts within one run of the process; a reader that comes from another run starts over.
    run: String,
}

type Site = Arc<Shared>;

/// Every route of the API, with the path by which `/openapi.json` names it.
fn routes() -> Vec<(&'static str, MethodRouter<Site>)> {
    let mut routes = vec![
        ("/api/v1/services", get(services::list)),
        ("/api/v1/services/{environment}/{name}", get(services::one)),
        (
            "/api/v1/services/{environment}/{name}/rollout",
            get(services::rollout),
        ),
        (
            "/api/v1/services/{environment}/{name}/history",
            get(services::history),
        ),
        (
            "/api/v1/services/{environment}/{name}/plan",
            get(services::plan),
        ),
        (
            "/api/v1/services/{environment}/{name}/why",
            get(services::why),
        ),
        (
            "/api/v1/services/{environment}/{name}/logs",
            get(talk::logs),
        ),
        (door::CALLS, post(talk::invoke)),
        (
            "/api/v1/services/{environment}/{name}/adopt",
            get(adopt::look).post(adopt::adopt),
        ),
        (
            "/api/v1/services/{environment}/{name}/destroy",
            get(destroy::look).post(destroy::destroy),
        ),
        ("/api/v1/rollouts", get(fleet::rollouts)),
        ("/api/v1/plan", get(fleet::plan)),
        ("/api/v1/events", get(events::events)),
        ("/api/v1/sources", get(fleet::sources)),
        ("/api/v1/summary", get(fleet::summary)),
        ("/api/v1/watch", get(stream::watch)),
        ("/api/v1/reconcile", post(act::reconcile_all)),
        ("/metrics", get(metrics::metrics)),
        ("/healthz", get(fleet::healthz)),
        ("/readyz", get(fleet::readyz)),
        ("/openapi.json", get(openapi::document)),
    ];
    routes.extend(act::routes());
    routes.push(("/hooks/{provider}", hooks::route()));
    routes
}

/// The paths that the router answers, apart from the dashboard's own files.
pub fn paths() -> Vec<&'static str> {
    routes().into_iter().map(|(path, _)| path).collect()
}

/// The whole site.
pub fn router(api: Api) -> Router {
    let run = uuid::Uuid::new_v4().simple().to_string();
    let site = Arc::new(Shared { api, run });
    let mut router = Router::new();
    for (path, route) in routes() {
        router = router.route(path, route);
    }
    router
        .merge(dashboard::routes())
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn_with_state(site.clone(), door::guard))
        .with_state(site)
}
