//! What stands where a service's own should, and how it becomes the service's: looked at first, and taken by name.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{
        Site,
        extract::{Body, Key, Who},
        problem::{Problem, ProblemDocument},
    },
    cloud::SharedCloud,
    name::{CloudName, EnvironmentName, ServiceKey, ServiceName},
    observed::Scope,
    plan::act::Action,
    reconcile::reach::Reached,
};

/// What adoption would do.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Adoption {
    service: ServiceKey,
    /// Resources at the service's names that do not carry our tags.
    resources: Vec<Stranger>,
    /// Clouds that could not be looked at, and why.
    problems: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Stranger {
    cloud: CloudName,
    /// An ARN, or an Azure resource id.
    resource: String,
    /// What comes of it.
    then: String,
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}/adopt",
    summary = "What stands where the service's own should, and what adoption would do. Nothing is changed.",
    tag = "services",
    params(("environment" = EnvironmentName, Path), ("name" = ServiceName, Path)),
    responses(
        (status = 200, body = Adoption),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn look(
    State(site): State<Site>,
    Key(key): Key,
) -> Result<Json<Adoption>, Problem> {
    let Reached { scope, clouds } = site.api.handle.reach(&key).await?;
    let mut adoption = Adoption {
        service: key,
        resources: Vec::new(),
        problems: Vec::new(),
    };
    for (cloud, reached) in clouds {
        match foreign(reached.map_err(|it| it.message), &scope).await {
            Ok(found) => adoption
                .resources
                .extend(found.into_iter().map(|resource| Stranger {
                    cloud,
                    resource,
                    then: then(cloud).to_owned(),
                })),
            Err(message) => adoption.problems.push(format!("{cloud}: {message}")),
        }
    }
    Ok(Json(adoption))
}

async fn foreign(
    reached: Result<SharedCloud, String>,
    scope: &Scope,
) -> Result<Vec<String>, String> {
    let observed = reached?.observe(scope).await;
    observed
        .map(|it| it.foreign)
        .map_err(|error| error.to_string())
}

/// What the next rollout does with it.
fn then(cloud: CloudName) -> &'static str {
    match cloud {
        CloudName::Aws => {
            "gets our tags; the next release writes over its settings and code ($LATEST), publishes a version and adds the aliases `green` and `blue`: whoever calls it without an alias meets the new code at once"
        }
        CloudName::Azure => {
            "gets our tags; the next release goes to its slot `green`, and what it runs now is replaced by the swap that promotes it; settings and tags that no manifest asks for go with it"
        }
    }
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct AdoptBody {
    /// As they were told by the look.
    resources: BTreeSet<String>,
}

/// They are the service's from now on.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Adopted {
    service: ServiceKey,
    resources: BTreeSet<String>,
}

#[utoipa::path(
    post,
    path = "/api/v1/services/{environment}/{name}/adopt",
    summary = "Take over resources that stand where the service's own should: they get our tags, and nothing else of them changes now.",
    tag = "actions",
    params(("environment" = EnvironmentName, Path), ("name" = ServiceName, Path)),
    request_body = AdoptBody,
    responses(
        (status = 200, body = Adopted),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(in crate::api) async fn adopt(
    State(site): State<Site>,
    Who(actor): Who,
    Key(key): Key,
    Body(AdoptBody { resources }): Body<AdoptBody>,
) -> Result<Json<Adopted>, Problem> {
    if resources.is_empty() {
        let detail = "name the `resources`, as GET on this path tells them";
        return Err(Problem::bad_request("bad-body", detail));
    }
    let Reached { scope, clouds } = site.api.handle.reach(&key).await?;
    for (_, reached) in clouds {
        let cloud = reached.map_err(|failure| Problem::refused(failure.message))?;
        let Some(operate) = cloud.operate() else {
            continue;
        };
        let adopted = operate.adopt(&scope, &resources).await;
        adopted.map_err(|error| Problem::refused(error.to_string()))?;
    }
    tracing::info!(service = %key, by = actor.username, ?resources, "resources are adopted");
    let look = Action::Reconcile { token: None };
    site.api.handle.act(&key, look, actor).await?;
    Ok(Json(Adopted {
        service: key,
        resources,
    }))
}
