//! Services: a page of them, and one with all that is told of it.

use axum::{Json, extract::State};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Shared, Site,
        extract::{Key, Params},
        problem::{Problem, ProblemDocument},
    },
    name::{EnvironmentName, ServiceKey},
    status::{
        API_VERSION, ServiceReport,
        condition::Truth,
        record::{HistoryReport, PlanReport},
        row::ServiceRow,
        service::{
            phase::ServicePhase,
            rollout::{RolloutDetail, detail},
        },
        why::Explanation,
    },
};

/// Rows of a page, unless asked otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 500;

/// Longest text that is searched for, in bytes.
const SEARCH_MAX: usize = 200;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ListQuery {
    /// At most 500; 100 unless given.
    limit: Option<usize>,
    /// Where the page before it ended.
    #[serde(rename = "continue")]
    after: Option<String>,
    environment: Option<EnvironmentName>,
    phase: Option<ServicePhase>,
    /// `True`, `False` or `Unknown`.
    ready: Option<Truth>,
    /// `true`: only those that a person should look at.
    #[serde(default)]
    attention: bool,
    /// Part of `environment/name` or of a revision; upper and lower case are the same.
    search: Option<String>,
}

/// A page of services.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ServiceList {
    api_version: &'static str,
    kind: &'static str,
    metadata: ListMetadata,
    items: Vec<ServiceRow>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ListMetadata {
    /// Give it as `continue` for the next page; absent on the last.
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Give it to `/api/v1/watch` as `since`, to be told what changes from here on.
    watch: String,
    resource_version: u64,
}

#[utoipa::path(
    get,
    path = "/api/v1/services",
    summary = "Services in short, by environment and name.",
    tag = "services",
    params(ListQuery),
    responses(
        (status = 200, body = ServiceList),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn list(
    State(site): State<Site>,
    Params(query): Params<ListQuery>,
) -> Result<Json<ServiceList>, Problem> {
    let filter = Filter::of(&query)?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let after = query.after.as_deref().map(read_token).transpose()?;
    // Read before the page: what changes in between is told once more, rather than never.
    let version = site.version();
    let handle = &site.api.handle;
    let mut found = handle.page(after.as_ref(), limit + 1, |report| filter.takes(report));
    let is_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| is_more);
    Ok(Json(ServiceList {
        api_version: API_VERSION,
        kind: "ServiceList",
        metadata: ListMetadata {
            after: last.map(|report| write_token(&report.key())),
            watch: site.place(version),
            resource_version: version,
        },
        items: found.iter().map(|report| ServiceRow::of(report)).collect(),
    }))
}

impl Shared {
    pub(in crate::api) fn version(&self) -> u64 {
        *self.api.handle.changes().borrow()
    }

    /// A place in the changes of this run.
    pub(in crate::api) fn place(&self, version: u64) -> String {
        format!("{}.{version}", self.run)
    }
}

/// Which services are wanted.
struct Filter<'a> {
    query: &'a ListQuery,
    search: Option<String>,
}

impl<'a> Filter<'a> {
    fn of(query: &'a ListQuery) -> Result<Self, Problem> {
        let search = query.search.as_ref().map(|text| text.trim().to_lowercase());
        match search.as_ref().map_or(0, String::len) {
            0..=SEARCH_MAX => Ok(Self { query, search }),
            _ => Err(Problem::bad_request("bad-query", "`search` is too long")),
        }
    }

    fn takes(&self, report: &ServiceReport) -> bool {
        let ListQuery {
            limit: _,
            after: _,
            environment,
            phase,
            ready,
            attention,
            search: _,
        } = self.query;
        let status = &report.status;
        environment
            .as_ref()
            .is_none_or(|it| *it == report.metadata.environment)
            && match phase {
                Some(phase) => *phase == status.phase,
                None => status.phase != ServicePhase::Removed,
            }
            && ready.is_none_or(|it| it == report.ready())
            && (!attention || status.attention)
            && self.search.as_ref().is_none_or(|text| finds(report, text))
    }
}

fn finds(report: &ServiceReport, text: &str) -> bool {
    let revisions = &report.status.revisions;
    let has = |revision: &crate::name::Revision| revision.to_string().to_lowercase().contains(text);
    report.key().to_string().contains(text)
        || revisions.desired.as_ref().is_some_and(has)
        || revisions.live.as_ref().is_some_and(has)
}

fn write_token(key: &ServiceKey) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

fn read_token(token: &str) -> Result<ServiceKey, Problem> {
    let bad = || Problem::bad_request("bad-continue", "`continue` is not from an earlier page");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    text.parse().map_err(|_| bad())
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}",
    summary = "One service with all that is told of it.",
    tag = "services",
    params(("environment" = EnvironmentName, Path), ("name" = crate::name::ServiceName, Path)),
    responses(
        (status = 200, body = ServiceReport),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn one(
    State(site): State<Site>,
    Key(key): Key,
) -> Result<Json<ServiceReport>, Problem> {
    let report = site.api.handle.report(&key);
    let report = report.ok_or_else(|| Problem::no_service(&key))?;
    Ok(Json(ServiceReport::clone(&report)))
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}/rollout",
    summary = "The newest rollout of a service, with every move and all evidence that is kept.",
    tag = "services",
    params(("environment" = EnvironmentName, Path), ("name" = crate::name::ServiceName, Path)),
    responses(
        (status = 200, body = RolloutDetail),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn rollout(
    State(site): State<Site>,
    Key(key): Key,
) -> Result<Json<RolloutDetail>, Problem> {
    if site.api.handle.report(&key).is_none() {
        return Err(Problem::no_service(&key));
    }
    let rollout = site.api.handle.rollout(&key).await;
    let none = || Problem::not_found("no-rollout", format!("`{key}` had no rollout yet"));
    Ok(Json(detail(&rollout.ok_or_else(none)?)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct HistoryQuery {
    /// At most 500; 100 unless given.
    limit: Option<usize>,
    /// Only rollouts with a smaller number.
    before: Option<u64>,
}

/// Ended rollouts, the newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct History {
    items: Vec<HistoryReport>,
    /// Give it as `before` for the next page; absent on the last.
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}/history",
    summary = "Ended rollouts of a service, the newest first.",
    tag = "services",
    params(
        ("environment" = EnvironmentName, Path),
        ("name" = crate::name::ServiceName, Path),
        HistoryQuery
    ),
    responses(
        (status = 200, body = History),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn history(
    State(site): State<Site>,
    Key(key): Key,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let found = site
        .api
        .handle
        .history(&key, query.before, limit + 1)
        .await?;
    if found.is_empty() && site.api.handle.report(&key).is_none() {
        return Err(Problem::no_service(&key));
    }
    let is_more = found.len() > limit;
    let items: Vec<HistoryReport> = found.iter().take(limit).map(HistoryReport::from).collect();
    let before = items.last().filter(|_| is_more).map(|last| last.number);
    Ok(Json(History { items, before }))
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}/plan",
    summary = "What would be done for a service, and what it waits on.",
    tag = "services",
    params(("environment" = EnvironmentName, Path), ("name" = crate::name::ServiceName, Path)),
    responses(
        (status = 200, body = PlanReport),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn plan(
    State(site): State<Site>,
    Key(key): Key,
) -> Result<Json<PlanReport>, Problem> {
    let plan = site.api.handle.plan(&key).await;
    let plan = plan.ok_or_else(|| Problem::no_service(&key))?;
    Ok(Json(PlanReport::from(&plan)))
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}/why",
    summary = "What stands between the newest commit and users, the most pressing first, and what would unblock it.",
    tag = "services",
    params(("environment" = EnvironmentName, Path), ("name" = crate::name::ServiceName, Path)),
    responses(
        (status = 200, body = Explanation),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn why(
    State(site): State<Site>,
    Key(key): Key,
) -> Result<Json<Explanation>, Problem> {
    let why = site.api.handle.why(&key).await;
    Ok(Json(why.ok_or_else(|| Problem::no_service(&key))?))
}
