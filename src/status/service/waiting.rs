//! What a service waits on, typed and in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    name::{CloudName, GateName, PlanHash, ReleaseDigest, ServiceKey, Timestamp},
    plan::reason::WaitingOn,
    rollout::intent::{Failure, Response},
};

/// One thing that stands between now and the next order.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// `nothing`, `git`, `manifest`, `cloud`, `lastHealthy`, `order`, `gate`, `approval`, `paused`, `window`, `person`, `soak`, `bake`,
    /// `canary`, `suspended`, `destroyed`, `pinned`, `rejected`, `drift`, `driftLoop`, `prune`, `dependency`, `group` or `environment`.
    pub on: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<CloudName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseDigest>,
    /// What is to be approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub plan: Option<PlanHash>,
    /// The other service that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKey>,
    /// When it ends by itself, or is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why the newest try did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Trouble>,
}

/// Why something did not succeed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// A stable word.
    pub reason: String,
    pub message: String,
    /// No retry helps without a person.
    pub needs_person: bool,
}

impl Trouble {
    pub(super) fn of(failure: &Failure) -> Self {
        let Failure {
            reason,
            message,
            response,
        } = failure;
        let needs_person = match response {
            Response::CallPerson => true,
            Response::RetryAfter(_) | Response::Retry | Response::Reject => false,
        };
        Self {
            reason: reason.clone(),
            message: message.clone(),
            needs_person,
        }
    }
}

impl Waiting {
    pub(in crate::status) fn of(waiting: &WaitingOn) -> Self {
        let plain = Self::plain(waiting);
        match waiting {
            WaitingOn::Nothing
            | WaitingOn::Git
            | WaitingOn::Manifest { .. }
            | WaitingOn::Person { .. }
            | WaitingOn::Paused { .. }
            | WaitingOn::Destroyed { .. }
            | WaitingOn::Prune { .. } => plain,
            WaitingOn::Cloud { target, failure }
            | WaitingOn::LastHealthy {
                ill: target,
                failure,
                ..
            } => plain.at(*target, failure.as_ref()),
            WaitingOn::Order {
                order,
                failure,
                next_at,
            } => Self {
                target: order.target(),
                release: order.release(),
                until: *next_at,
                failure: failure.as_ref().map(Trouble::of),
                ..plain
            },
            WaitingOn::Gate { gate, next_at } => Self {
                gate: Some(gate.clone()),
                until: *next_at,
                ..plain
            },
            WaitingOn::Approval {
                gate,
                plan,
                expires,
                ..
            } => Self {
                gate: Some(gate.clone()),
                plan: Some(*plan),
                until: *expires,
                ..plain
            },
            WaitingOn::Soak { target, until } => plain.at(*target, None).until(Some(*until)),
            WaitingOn::Bake { until } => plain.until(Some(*until)),
            WaitingOn::Window { opens: until, .. }
            | WaitingOn::CanaryPause { until, .. }
            | WaitingOn::Suspended { until, .. } => plain.until(*until),
            WaitingOn::Pinned { release, .. } | WaitingOn::Rejected { release, .. } => {
                plain.about(Some(*release))
            }
            WaitingOn::Answer { target, .. } | WaitingOn::Drift { target, .. } => {
                plain.at(*target, None)
            }
            WaitingOn::DriftLoop { target, .. } => plain.looping(*target),
            WaitingOn::Dependency { service, standing }
            | WaitingOn::Group { service, standing } => Self {
                service: Some(service.clone()),
                ..plain.about(standing.release())
            },
            WaitingOn::Environment {
                service,
                until,
                standing,
                ..
            } => Self {
                service: Some(service.clone()),
                ..plain.about(standing.release()).until(*until)
            },
        }
    }

    fn plain(waiting: &WaitingOn) -> Self {
        Self {
            on: waiting.word().to_owned(),
            text: waiting.to_string(),
            ..Self::default()
        }
    }

    /// Repairs there do not last.
    fn looping(self, target: CloudName) -> Self {
        let failure = Failure {
            reason: "DriftLoop".to_owned(),
            message: self.text.clone(),
            response: Response::CallPerson,
        };
        self.at(target, Some(&failure))
    }

    fn about(mut self, release: Option<ReleaseDigest>) -> Self {
        self.release = release;
        self
    }

    fn until(mut self, until: Option<Timestamp>) -> Self {
        self.until = until;
        self
    }

    /// It is about a target, and why the newest try there did not succeed.
    fn at(mut self, target: CloudName, failure: Option<&Failure>) -> Self {
        self.target = Some(target);
        self.failure = failure.map(Trouble::of);
        self
    }
}
