//! What a service waits on, typed and in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    name::{CloudName, GateName, ReleaseDigest, ServiceKey, Timestamp},
    plan::reason::WaitingOn,
    rollout::intent::{Failure, Response},
};

/// One thing that stands between now and the next order.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// `nothing`, `git`, `manifest`, `cloud`, `lastHealthy`, `order`, `gate`, `approval`, `person`, `soak`, `bake`, `canary`, `suspended`, `pinned`, `rejected`,
    /// `drift`, `prune`, `dependency`, `group` or `environment`.
    pub on: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<CloudName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseDigest>,
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
        let text = waiting.to_string();
        let plain = |on: &str| Self {
            on: on.to_owned(),
            text: text.clone(),
            ..Self::default()
        };
        let until = |on: &str, until: Option<Timestamp>| Self { until, ..plain(on) };
        let about = |on: &str, release: ReleaseDigest| Self {
            release: Some(release),
            ..plain(on)
        };
        let at_gate = |on: &str, gate: &GateName, until: Option<Timestamp>| Self {
            gate: Some(gate.clone()),
            until,
            ..plain(on)
        };
        match waiting {
            WaitingOn::Nothing => plain("nothing"),
            WaitingOn::Git => plain("git"),
            WaitingOn::Manifest { faults: _ } => plain("manifest"),
            WaitingOn::Cloud { target, failure } => plain("cloud").at(*target, failure.as_ref()),
            WaitingOn::LastHealthy {
                target: _,
                ill: target,
                failure,
            } => plain("lastHealthy").at(*target, failure.as_ref()),
            WaitingOn::Order {
                order,
                failure,
                next_at,
            } => Self {
                target: order.target(),
                release: order.release(),
                until: *next_at,
                failure: failure.as_ref().map(Trouble::of),
                ..plain("order")
            },
            WaitingOn::Gate { gate, next_at } => at_gate("gate", gate, *next_at),
            WaitingOn::Approval {
                gate,
                given: _,
                quorum: _,
            } => at_gate("approval", gate, None),
            WaitingOn::Person { message: _ } => plain("person"),
            WaitingOn::Soak { target, until: end } => Self {
                target: Some(*target),
                ..until("soak", Some(*end))
            },
            WaitingOn::Bake { until: end } => until("bake", Some(*end)),
            WaitingOn::CanaryPause {
                weight: _,
                until: end,
                whole: _,
            } => until("canary", *end),
            WaitingOn::Suspended {
                reason: _,
                until: end,
            } => until("suspended", *end),
            WaitingOn::Pinned { release, held: _ } => about("pinned", *release),
            WaitingOn::Rejected {
                release,
                message: _,
            } => about("rejected", *release),
            WaitingOn::Drift { target, message: _ } => plain("drift").at(*target, None),
            WaitingOn::Prune { message: _ } => plain("prune"),
            WaitingOn::Dependency { service, standing } => Self {
                service: Some(service.clone()),
                release: standing.release(),
                ..plain("dependency")
            },
            WaitingOn::Group { service, standing } => Self {
                service: Some(service.clone()),
                release: standing.release(),
                ..plain("group")
            },
            WaitingOn::Environment {
                service,
                after: _,
                until,
                standing,
            } => Self {
                service: Some(service.clone()),
                release: standing.release(),
                until: *until,
                ..plain("environment")
            },
        }
    }

    /// It is about a target, and why the newest try there did not succeed.
    fn at(mut self, target: CloudName, failure: Option<&Failure>) -> Self {
        self.target = Some(target);
        self.failure = failure.map(Trouble::of);
        self
    }
}
