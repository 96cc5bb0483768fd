//! Everything at once: rollouts, plans, numbers, repositories, and whether the daemon is well.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Site,
        extract::Params,
        problem::{Problem, ProblemDocument},
    },
    status::{
        condition::ConditionKind,
        record::PlanReport,
        row::{Summary, summary as summed},
        service::{phase::ServicePhase, rollout::RolloutReport},
        source::SourceReport,
    },
};

/// Entries of a list, unless asked otherwise, and at most.
const LIST: usize = 100;
const LIST_MAX: usize = 500;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RolloutsQuery {
    /// At most 500; 100 unless given.
    limit: Option<usize>,
    /// `true`: only those under way.
    #[serde(default)]
    active: bool,
}

/// The newest rollout of each service, those under way first, then the newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Rollouts {
    items: Vec<RolloutReport>,
}

#[utoipa::path(
    get,
    path = "/api/v1/rollouts",
    summary = "The newest rollout of each service: those under way first, then the newest first.",
    tag = "fleet",
    params(RolloutsQuery),
    responses(
        (status = 200, body = Rollouts),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn rollouts(
    State(site): State<Site>,
    Params(query): Params<RolloutsQuery>,
) -> Json<Rollouts> {
    let reports = site.api.handle.page(None, usize::MAX, |report| {
        let rollout = report.status.rollout.as_ref();
        rollout.is_some_and(|rollout| rollout.active || !query.active)
    });
    let rollouts = reports
        .iter()
        .filter_map(|report| report.status.rollout.as_ref());
    let mut rollouts: Vec<&RolloutReport> = rollouts.collect();
    rollouts.sort_by_key(|rollout| std::cmp::Reverse((rollout.active, rollout.started_at)));
    let limit = query.limit.unwrap_or(LIST).min(LIST_MAX);
    let items = rollouts.into_iter().take(limit).cloned().collect();
    Json(Rollouts { items })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PlanQuery {
    /// At most 500; 100 unless given.
    limit: Option<usize>,
}

/// Services that are not at rest, with what would be done for each.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Plans {
    items: Vec<PlanReport>,
    /// Whether there are more than the limit.
    more: bool,
}

#[utoipa::path(
    get,
    path = "/api/v1/plan",
    summary = "What would be done, for every service whose newest commit is not live.",
    tag = "fleet",
    params(PlanQuery),
    responses(
        (status = 200, body = Plans),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn plan(
    State(site): State<Site>,
    Params(query): Params<PlanQuery>,
) -> Json<Plans> {
    let limit = query.limit.unwrap_or(LIST).clamp(1, LIST_MAX);
    let is_quiet = |phase| {
        matches!(
            phase,
            ServicePhase::Live | ServicePhase::Destroyed | ServicePhase::Removed
        )
    };
    let found = site.api.handle.page(None, limit + 1, |report| {
        !is_quiet(report.status.phase) || report.condition(ConditionKind::Reconciling).is_some()
    });
    let mut items = Vec::new();
    for report in found.iter().take(limit) {
        let plan = site.api.handle.plan(&report.key()).await;
        items.extend(plan.as_ref().map(PlanReport::from));
    }
    let more = found.len() > limit;
    Json(Plans { items, more })
}

/// The repositories of the configuration.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Sources {
    items: Vec<SourceReport>,
}

#[utoipa::path(
    get,
    path = "/api/v1/sources",
    summary = "The repositories: what was read, when, and what is wrong in them.",
    tag = "fleet",
    responses(
        (status = 200, body = Sources),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn sources(State(site): State<Site>) -> Json<Sources> {
    let items = site.api.sources.borrow().as_ref().clone();
    Json(Sources { items })
}

#[utoipa::path(
    get,
    path = "/api/v1/summary",
    summary = "All services in a few numbers.",
    tag = "fleet",
    responses(
        (status = 200, body = Summary),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn summary(State(site): State<Site>) -> Json<Summary> {
    Json(counted(&site))
}

pub(in crate::api) fn counted(site: &Site) -> Summary {
    let reports = site.api.handle.page(None, usize::MAX, |_| true);
    let mut summary = summed(reports.iter().map(AsRef::as_ref));
    let sources = site.api.sources.borrow();
    let failing = sources.iter().filter(|source| source.needs_attention());
    summary.sources_failing = failing.count();
    summary
}

#[utoipa::path(
    get,
    path = "/healthz",
    summary = "Whether the process answers.",
    tag = "daemon",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(in crate::api) async fn healthz() -> &'static str {
    "ok\n"
}

#[utoipa::path(
    get,
    path = "/readyz",
    summary = "Whether the store answers and every repository was looked at once.",
    tag = "daemon",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn readyz(State(site): State<Site>) -> Result<&'static str, Problem> {
    site.api.handle.last_events(1).await?;
    let is_polled = |source: &SourceReport| source.last_polled_at.is_some();
    match site.api.sources.borrow().iter().all(is_polled) {
        true => Ok("ok\n"),
        false => Err(Problem::not_ready("a repository was not looked at yet")),
    }
}
