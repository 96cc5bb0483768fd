//! What people ask for. Each request is taken by the loop, written down, and answered with the service as it stands then.

pub(super) mod adopt;
pub(super) mod destroy;
pub mod hooks;
pub(super) mod talk;
pub mod tokens;

use axum::{
    Json,
    extract::State,
    routing::{MethodRouter, post},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Site,
    extract::{Body, Key, Who},
    problem::{Problem, ProblemDocument},
};
use crate::{
    name::{Actor, ReleaseDigest, ServiceKey, Timestamp},
    plan::act::Action,
    status::ServiceReport,
};

/// Longest reason that a person may give, in bytes.
const REASON_MAX: usize = 1000;

pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        (
            "/api/v1/services/{environment}/{name}/promote",
            post(promote),
        ),
        ("/api/v1/services/{environment}/{name}/abort", post(abort)),
        ("/api/v1/services/{environment}/{name}/retry", post(retry)),
        (
            "/api/v1/services/{environment}/{name}/rollback",
            post(rollback),
        ),
        (
            "/api/v1/services/{environment}/{name}/suspend",
            post(suspend),
        ),
        ("/api/v1/services/{environment}/{name}/resume", post(resume)),
        ("/api/v1/services/{environment}/{name}/pause", post(pause)),
        ("/api/v1/services/{environment}/{name}/pin", post(pin)),
        ("/api/v1/services/{environment}/{name}/unpin", post(unpin)),
        (
            "/api/v1/services/{environment}/{name}/override",
            post(bypass),
        ),
        (
            "/api/v1/services/{environment}/{name}/reconcile",
            post(reconcile),
        ),
        (
            "/api/v1/services/{environment}/{name}/approve",
            post(approve),
        ),
    ]
}

/// No words are needed.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Plain {}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AbortBody {
    reason: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackBody {
    /// A release that was live before: its digest, four digits of it or more, a commit, or a rollout like `r-12`. Without it: the previous
    /// one.
    to: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuspendBody {
    #[serde(default)]
    reason: String,
    /// When it ends by itself.
    until: Option<Timestamp>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReconcileBody {
    /// Comes back as `status.lastHandledReconcileAt`.
    token: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromoteBody {
    /// End every wait that is still to come: pauses, soaks, the bake. Gates, approvals and windows stay.
    #[serde(default)]
    full: bool,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveBody {
    /// The plan that is meant: its hash, or eight digits of it or more. Refused if it is another one by now.
    plan: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    reason: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PinBody {
    /// A release that was live before, named as for `rollback`; without it, the one that is live.
    to: Option<String>,
    #[serde(default)]
    reason: String,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OverrideBody {
    #[serde(default)]
    reason: String,
}

/// An action was taken.
#[derive(Serialize, ToSchema)]
pub(super) struct Taken {
    action: String,
    actor: String,
    /// As it stands right after; what follows is told as it happens.
    service: ServiceReport,
}

type Answer = Result<(StatusCode, Json<Taken>), Problem>;

async fn take(site: &Site, key: ServiceKey, action: Action, actor: Actor) -> Answer {
    let word = action.word();
    site.api.handle.act(&key, action, actor.clone()).await?;
    metrics::counter!("verdigris_actions_total", "action" => word).increment(1);
    let report = site.api.handle.report(&key);
    let report = report.ok_or_else(|| Problem::no_service(&key))?;
    let taken = Taken {
        action: word.to_owned(),
        actor: actor.username,
        service: ServiceReport::clone(&report),
    };
    Ok((StatusCode::ACCEPTED, Json(taken)))
}

/// The release that a person means, if they name one.
async fn named(
    site: &Site,
    key: &ServiceKey,
    action: &'static str,
    name: Option<String>,
) -> Result<Option<ReleaseDigest>, Problem> {
    match name {
        Some(name) => Ok(Some(site.api.handle.named(key, action, &name).await?)),
        None => Ok(None),
    }
}

fn checked(reason: String) -> Result<String, Problem> {
    match reason.len() {
        0..=REASON_MAX => Ok(reason),
        _ => Err(Problem::bad_request(
            "bad-body",
            format!("the reason has more than {REASON_MAX} bytes"),
        )),
    }
}

/// Defines the handler of an action, and how the document tells of it.
macro_rules! action {
    ($name:ident, $path:literal, $body:ident, $summary:literal, |$site:ident, $key:ident, $given:pat_param| $action:expr) => {
        #[utoipa::path(
            post,
            path = $path,
            summary = $summary,
            tag = "actions",
            params(
                ("environment" = crate::name::EnvironmentName, Path),
                ("name" = crate::name::ServiceName, Path)
            ),
            request_body = Option<$body>,
            responses(
                (status = 202, body = Taken),
                (status = "default", body = ProblemDocument, content_type = "application/problem+json")
            ),
            security(("token" = []))
        )]
        pub(super) async fn $name(
            State($site): State<Site>,
            Who(actor): Who,
            Key($key): Key,
            Body($given): Body<$body>,
        ) -> Answer {
            let action = $action;
            take(&$site, $key, action, actor).await
        }
    };
}

action!(
    promote,
    "/api/v1/services/{environment}/{name}/promote",
    PromoteBody,
    "End the wait that is under way, or with `full` all that are still to come. Gates are never skipped.",
    |site, key, PromoteBody { full }| Action::Promote { full }
);
action!(
    abort,
    "/api/v1/services/{environment}/{name}/abort",
    AbortBody,
    "End the rollout: green is left, or blue goes back.",
    |site, key, AbortBody { reason }| Action::Abort {
        reason: reason.map(checked).transpose()?
    }
);
action!(
    retry,
    "/api/v1/services/{environment}/{name}/retry",
    Plain,
    "Try a rejected release again, or measure a paused gate again.",
    |site, key, Plain {}| Action::Retry
);
action!(
    rollback,
    "/api/v1/services/{environment}/{name}/rollback",
    RollbackBody,
    "Go back to an earlier release, and stay there until a newer one is asked for.",
    |site, key, RollbackBody { to }| Action::Rollback {
        to: named(&site, &key, "rollback", to).await?
    }
);
action!(
    suspend,
    "/api/v1/services/{environment}/{name}/suspend",
    SuspendBody,
    "No new rollout and no repair until `resume`. A reason is required.",
    |site, key, SuspendBody { reason, until }| Action::Suspend {
        reason: given(checked(reason)?)?,
        until
    }
);
action!(
    resume,
    "/api/v1/services/{environment}/{name}/resume",
    Plain,
    "End a pause and a suspension, let go of a rollback's pin, and bring back what was destroyed.",
    |site, key, Plain {}| Action::Resume
);
action!(
    pause,
    "/api/v1/services/{environment}/{name}/pause",
    PauseBody,
    "Begin nothing more of the rollout until `resume`; a bake is watched on.",
    |site, key, PauseBody { reason }| Action::Pause {
        reason: reason.map(checked).transpose()?
    }
);
action!(
    pin,
    "/api/v1/services/{environment}/{name}/pin",
    PinBody,
    "Stay at what is live, or at a release that was, until `unpin`. A reason is required.",
    |site, key, PinBody { to, reason }| Action::Pin {
        to: named(&site, &key, "pin", to).await?,
        reason: given(checked(reason)?)?
    }
);
action!(
    unpin,
    "/api/v1/services/{environment}/{name}/unpin",
    Plain,
    "Let go of a pin.",
    |site, key, Plain {}| Action::Unpin
);
action!(
    bypass,
    "/api/v1/services/{environment}/{name}/override",
    OverrideBody,
    "Let the rollout that is under way be promoted outside its windows. A reason is required.",
    |site, key, OverrideBody { reason }| Action::Override {
        reason: given(checked(reason)?)?
    }
);
action!(
    reconcile,
    "/api/v1/services/{environment}/{name}/reconcile",
    ReconcileBody,
    "Look now: at the repositories and at the clouds.",
    |site, key, ReconcileBody { token }| {
        (site.api.wake_sources)();
        Action::Reconcile {
            token: token.map(checked).transpose()?,
        }
    }
);
action!(
    approve,
    "/api/v1/services/{environment}/{name}/approve",
    ApproveBody,
    "Give a word for the plan of the rollout that waits for it.",
    |site, key, ApproveBody { plan }| Action::Approve { plan }
);

fn given(reason: String) -> Result<String, Problem> {
    match reason.trim().is_empty() {
        true => Err(Problem::bad_request("bad-body", "say why, in `reason`")),
        false => Ok(reason),
    }
}

/// Every repository is looked at.
#[derive(Serialize, ToSchema)]
pub(super) struct Woken {
    repositories: usize,
}

#[utoipa::path(
    post,
    path = "/api/v1/reconcile",
    summary = "Look at every repository now.",
    tag = "actions",
    request_body = Option<Plain>,
    responses(
        (status = 202, body = Woken),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(super) async fn reconcile_all(
    State(site): State<Site>,
    Who(_actor): Who,
    Body(Plain {}): Body<Plain>,
) -> (StatusCode, Json<Woken>) {
    (site.api.wake_sources)();
    let repositories = site.api.sources.borrow().len();
    (StatusCode::ACCEPTED, Json(Woken { repositories }))
}
