//! What functions wrote, and one call of a function. Both take a token: what is logged may be secret, and a call does whatever it does.

use std::time::Duration;

use axum::{Json, extract::State};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Site,
        extract::{Body, Key, Params, Who},
        problem::{Problem, ProblemDocument},
    },
    cloud::{CloudError, SharedCloud},
    name::{CloudName, EnvironmentName, FunctionName, ServiceName, Slot, Timestamp},
    observed::{
        Scope,
        talk::{Input, Invocation, Invoked, LogsTold, LogsWanted},
    },
    reconcile::reach::Reached,
    rollout::intent::Failure,
};

/// Lines of one answer.
const LINES_MAX: usize = 10_000;

const LINES: usize = 200;

/// Longest time for one log: the others are told in any case.
const LOG_MAX: Duration = Duration::from_secs(25);

/// How far back is looked where nobody says.
const BACK: Duration = Duration::from_secs(15 * 60);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct LogsQuery {
    /// Only this cloud.
    cloud: Option<CloudName>,
    /// Only this function.
    function: Option<FunctionName>,
    /// Lines from then on; without it, of the last 15 minutes.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Only lines with this text.
    containing: Option<String>,
    /// The newest so many of each function; 200 without it.
    limit: Option<usize>,
}

/// Lines of all clouds and functions, oldest first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Logs {
    lines: Vec<Line>,
    /// Clouds and functions that did not tell, or not all, and why.
    problems: Vec<String>,
}

#[derive(Serialize, ToSchema, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::api) struct Line {
    at: Timestamp,
    cloud: CloudName,
    /// None where the cloud keeps the logs of all functions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionName>,
    text: String,
}

#[utoipa::path(
    get,
    path = "/api/v1/services/{environment}/{name}/logs",
    summary = "What functions wrote, oldest first: CloudWatch Logs, Application Insights. Takes a token.",
    tag = "services",
    params(("environment" = EnvironmentName, Path), ("name" = ServiceName, Path), LogsQuery),
    responses(
        (status = 200, body = Logs),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(in crate::api) async fn logs(
    State(site): State<Site>,
    Who(_actor): Who,
    Key(key): Key,
    Params(query): Params<LogsQuery>,
) -> Result<Json<Logs>, Problem> {
    let Reached { scope, clouds } = site.api.handle.reach(&key).await?;
    let since = query.since;
    let since = since.unwrap_or_else(|| site.api.clock.now().before(BACK));
    let mut told = Logs {
        lines: Vec::new(),
        problems: Vec::new(),
    };
    let functions = scope.functions.iter();
    let functions: Vec<&FunctionName> = functions
        .filter(|name| query.function.as_ref().is_none_or(|only| only == *name))
        .collect();
    let mut asked = Vec::new();
    for (cloud, reached) in &clouds {
        if query.cloud.is_some_and(|only| only != *cloud) {
            continue;
        }
        let is_shared = *cloud == CloudName::Azure;
        let logs = if is_shared { 1 } else { functions.len() };
        for function in functions.iter().take(logs) {
            let wanted = LogsWanted {
                service: key.clone(),
                function: (*function).clone(),
                called: scope.called.clone(),
                since,
                containing: query.containing.clone(),
                lines_max: query.limit.unwrap_or(LINES).min(LINES_MAX),
            };
            asked.push(async move {
                let lines = lines(reached.as_ref(), &wanted).await;
                let place = (*cloud, (!is_shared).then_some(wanted.function));
                (place, lines)
            });
        }
    }
    for (place, answer) in join_all(asked).await {
        told.take(place, answer);
    }
    told.lines.sort();
    Ok(Json(told))
}

impl Logs {
    fn take(
        &mut self,
        (cloud, function): (CloudName, Option<FunctionName>),
        answer: Result<LogsTold, String>,
    ) {
        let place = match &function {
            Some(function) => format!("{cloud}/{function}"),
            None => cloud.to_string(),
        };
        let LogsTold {
            lines,
            missing_before,
        } = match answer {
            Ok(told) => told,
            Err(message) => return self.problems.push(format!("{place}: {message}")),
        };
        if let Some(at) = missing_before {
            self.problems.push(format!(
                "{place}: there is too much to read all of it: lines from before {at} are missing; ask for less with `since` or `containing`"
            ));
        }
        self.lines.extend(lines.into_iter().map(|line| Line {
            at: line.at,
            cloud,
            function: function.clone(),
            text: line.text,
        }));
    }
}

/// One log that takes long keeps nobody from reading the others.
async fn lines(
    reached: Result<&SharedCloud, &Failure>,
    wanted: &LogsWanted,
) -> Result<LogsTold, String> {
    let cloud = reached.map_err(|failure| failure.message.clone())?;
    let Some(operate) = cloud.operate() else {
        return Err("this cloud keeps no logs".to_owned());
    };
    match timeout(LOG_MAX, operate.logs(wanted)).await {
        Ok(told) => told.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "no answer within {}s: ask for less with `since`, `function` or `containing`",
            LOG_MAX.as_secs()
        )),
    }
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct InvokeBody {
    /// Without it: the first of the environment's.
    cloud: Option<CloudName>,
    function: Option<FunctionName>,
    /// `blue` without it.
    #[schema(value_type = Option<String>)]
    slot: Option<Slot>,
    /// As a user would call it.
    http: Option<HttpInput>,
    /// As its queue would.
    message: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct HttpInput {
    method: String,
    /// With its query.
    path: String,
    body: Option<String>,
}

/// What came of the call.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct InvokeAnswer {
    cloud: CloudName,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    invoked: Invoked,
}

#[utoipa::path(
    post,
    path = "/api/v1/services/{environment}/{name}/invoke",
    summary = "Call a function of a slot once, as a user or its queue would.",
    tag = "actions",
    params(("environment" = EnvironmentName, Path), ("name" = ServiceName, Path)),
    request_body = InvokeBody,
    responses(
        (status = 200, body = InvokeAnswer),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(in crate::api) async fn invoke(
    State(site): State<Site>,
    Who(actor): Who,
    Key(key): Key,
    Body(body): Body<InvokeBody>,
) -> Result<Json<InvokeAnswer>, Problem> {
    let Reached { scope, clouds } = site.api.handle.reach(&key).await?;
    let only = scope
        .functions
        .first()
        .filter(|_| scope.functions.len() == 1);
    let function = body.function.clone().or_else(|| only.cloned());
    let Some(function) = function.filter(|name| scope.functions.contains(name)) else {
        let names: Vec<&str> = scope.functions.iter().map(FunctionName::as_str).collect();
        let detail = format!("say which `function`: {}", names.join(", "));
        return Err(Problem::bad_request("bad-body", detail));
    };
    let wanted = |cloud: CloudName| body.cloud.is_none_or(|only| only == cloud);
    let found = clouds.into_iter().find(|(cloud, _)| wanted(*cloud));
    let Some((cloud, reached)) = found else {
        let detail = "the service does not run on that `cloud`";
        return Err(Problem::bad_request("bad-body", detail));
    };
    let call = call_of(scope, function, body)?;
    tracing::info!(service = %call.service, function = %call.function, by = actor.username, "a function is called by hand");
    let reached = reached.map_err(|failure| Problem::refused(failure.message))?;
    let Some(operate) = reached.operate() else {
        return Err(Problem::refused("functions of this cloud cannot be called"));
    };
    let invoked = operate.invoke(&call).await;
    let invoked = invoked.map_err(|error| Problem::refused(uncertain(&error)))?;
    Ok(Json(InvokeAnswer { cloud, invoked }))
}

/// An answer that did not come says nothing about the call.
fn uncertain(error: &CloudError) -> String {
    match error {
        CloudError::Unreachable { .. } => format!(
            "{error}; the function may have been called: look at its logs before you call it again"
        ),
        CloudError::Throttled { .. }
        | CloudError::Denied { .. }
        | CloudError::Busy { .. }
        | CloudError::Invalid { .. }
        | CloudError::NotOurs { .. }
        | CloudError::NotStaged { .. }
        | CloudError::Unhealthy { .. } => error.to_string(),
    }
}

fn call_of(scope: Scope, function: FunctionName, body: InvokeBody) -> Result<Invocation, Problem> {
    let input = match (body.http, body.message) {
        (Some(HttpInput { method, path, body }), None) if path.starts_with('/') => Input::Http {
            method: method.to_ascii_uppercase(),
            path,
            body,
        },
        (None, Some(message)) => Input::Message(message),
        (Some(_), None) => {
            let detail = "the `path` begins with `/`";
            return Err(Problem::bad_request("bad-body", detail));
        }
        (Some(_), Some(_)) | (None, None) => {
            let detail = "say one of `http: { method, path }` and `message`";
            return Err(Problem::bad_request("bad-body", detail));
        }
    };
    let Scope {
        service,
        functions: _,
        called,
    } = scope;
    Ok(Invocation {
        service,
        function,
        called,
        slot: body.slot.unwrap_or(Slot::Blue),
        input,
    })
}
