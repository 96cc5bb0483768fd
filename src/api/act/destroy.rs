//! Taking a service off every cloud: looked at first, and done by a word that is given for what was looked at.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, checked, given, take};
use crate::{
    api::{
        Site,
        extract::{Body, Key, Who},
        problem::{Problem, ProblemDocument},
    },
    name::{CloudName, EnvironmentName, PlanHash, ReleaseDigest, ServiceKey, ServiceName},
    plan::{
        act::Action,
        destruction::{Destruction, Going, Staying},
    },
};

/// What a destruction would take away, and what it would leave.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct DestructionPlan {
    service: ServiceKey,
    /// Give it back as `plan`; another one means that something else would go.
    #[schema(value_type = String)]
    hash: PlanHash,
    /// What users have now.
    live: Option<ReleaseDigest>,
    clouds: Vec<GoingReport>,
    /// Services that depend on it: they must go first.
    dependants: Vec<ServiceKey>,
    /// What people should know of it.
    notes: Vec<String>,
}

/// One cloud of the plan.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct GoingReport {
    cloud: CloudName,
    /// Region, or resource group.
    place: String,
    /// ARNs, or Azure resource ids, of what carries our tags.
    goes: Vec<String>,
    stays: Vec<StayingReport>,
    /// The cloud was never seen: what of the service stands there goes as soon as it answers.
    is_unseen: bool,
}

#[derive(Serialize, ToSchema)]
pub(in crate::api) struct StayingReport {
    what: String,
    why: String,
}

impl From<Destruction> for DestructionPlan {
    fn from(plan: Destruction) -> Self {
        let Destruction {
            service,
            hash,
            live,
            clouds,
            dependants,
            notes,
        } = plan;
        Self {
            service,
            hash,
            live,
            clouds: clouds.into_iter().map(GoingReport::from).collect(),
            dependants: dependants.into_iter().collect(),
            notes,
        }
    }
}

impl From<Going> for GoingReport {
    fn from(going: Going) -> Self {
        let Going {
            cloud,
            place,
            goes,
            stays,
            is_unseen,
        } = going;
        let told = |Staying { what, why }: Staying| StayingReport { what, why };
        Self {
            cloud,
            place,
            goes,
            stays: stays.into_iter().map(told).collect(),
            is_unseen,
        }
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}/destroy",
    summary = "What a destruction would take away, and what it would leave. Nothing is changed.",
    tag = "services",
    params(("environment" = EnvironmentName, Path), ("name" = ServiceName, Path)),
    responses(
        (status = 200, body = DestructionPlan),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn look(
    State(site): State<Site>,
    Key(key): Key,
) -> Result<Json<DestructionPlan>, Problem> {
    let plan = site.api.handle.destruction(&key).await;
    let plan = plan.ok_or_else(|| Problem::no_service(&key))?;
    Ok(Json(DestructionPlan::from(plan)))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DestroyBody {
    /// The plan that is meant: its hash, or eight digits of it or more. Refused if it is another one by now.
    #[serde(default)]
    plan: String,
    #[serde(default)]
    reason: String,
}

#[utoipa::path(
    post,
    path = "/api/v1/services/{environment}/{name}/destroy",
    summary = "Take a service off every cloud, and keep it off until `resume`, whatever Git asks for. A plan and a reason are required.",
    tag = "actions",
    params(("environment" = EnvironmentName, Path), ("name" = ServiceName, Path)),
    request_body = DestroyBody,
    responses(
        (status = 202, body = super::Taken),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(in crate::api) async fn destroy(
    State(site): State<Site>,
    Who(actor): Who,
    Key(key): Key,
    Body(DestroyBody { plan, reason }): Body<DestroyBody>,
) -> Answer {
    if plan.trim().is_empty() {
        let detail = "name the `plan` by its hash, as GET on this path tells it";
        return Err(Problem::bad_request("bad-body", detail));
    }
    let reason = given(checked(reason)?)?;
    take(&site, key, Action::Destroy { plan, reason }, actor).await
}
