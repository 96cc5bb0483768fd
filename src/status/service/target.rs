//! What is told of one cloud: both slots, and whether they are as they should be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::waiting::Trouble;
use crate::{
    manifest::spec::Environment,
    name::{CloudName, FunctionName, Percent, ReleaseDigest, Revision, Timestamp},
    observed::{Canary, Holding, Observed, SlotContent},
    plan::state::{Problem, Seen, ServiceState},
    status::condition::{Condition, ConditionKind, Said, Truth},
};

/// One cloud of the environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetReport {
    pub cloud: CloudName,
    /// Region or location.
    pub place: String,
    pub health: Health,
    pub sync: Sync,
    pub blue: SlotReport,
    pub green: SlotReport,
    /// None until it was seen once.
    pub seen_at: Option<Timestamp>,
    /// Why the newest look failed; what is told besides is from the last one that did not.
    pub problem: Option<LookProblem>,
    /// How blue differs from what was promoted, one sentence each.
    pub drift: Vec<String>,
    /// What the cloud says goes wrong with blue, though it is as asked for: a sentence each, with the way out.
    #[serde(default)]
    pub ailing: Vec<String>,
    pub conditions: Vec<Condition>,
}

/// Whether blue can serve.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
pub enum Health {
    Healthy,
    /// Functions of blue are missing or of different releases, or the cloud says that what should call them does not reach them.
    Degraded,
    /// Blue holds nothing.
    Missing,
    /// It could not be seen, which is not the same as missing.
    Unknown,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Missing => "Missing",
            Self::Unknown => "Unknown",
        }
    }
}

/// Whether blue is what was promoted, and that is what Git asks for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
pub enum Sync {
    Synced,
    OutOfSync,
    Unknown,
}

/// What a slot holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotReport {
    pub state: SlotState,
    pub release: Option<ReleaseDigest>,
    pub revision: Option<Revision>,
    /// The cloud's own word for it.
    pub label: String,
    /// Where each HTTP function answers.
    #[schema(value_type = BTreeMap<String, String>)]
    pub addresses: BTreeMap<FunctionName, url::Url>,
    /// What takes a share of blue's requests beside its release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryShare>,
}

/// What takes a share of blue's requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CanaryShare {
    /// None where it is no whole release of this service.
    pub release: Option<ReleaseDigest>,
    /// In percent.
    #[schema(value_type = u8)]
    pub weight: Percent,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// Never seen.
    #[default]
    Unknown,
    Empty,
    Whole,
    /// Its functions are of different releases, or some are missing.
    Torn,
}

/// A look that failed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LookProblem {
    #[serde(flatten)]
    pub trouble: Trouble,
    pub since: Timestamp,
}

/// Tells of every target of a service.
pub(super) fn targets(
    state: &ServiceState,
    previous: &[TargetReport],
    now: Timestamp,
) -> Vec<TargetReport> {
    let tell = |cloud: CloudName| {
        let before = previous.iter().find(|before| before.cloud == cloud);
        let conditions = before.map(|before| before.conditions.as_slice());
        target(state, cloud, conditions.unwrap_or_default(), now)
    };
    state.targets().into_iter().map(tell).collect()
}

fn target(
    state: &ServiceState,
    cloud: CloudName,
    previous: &[Condition],
    now: Timestamp,
) -> TargetReport {
    let live = state.live.get(&cloud);
    let seen = live.and_then(|live| live.seen.as_ref());
    let problem = live.and_then(|live| live.problem.as_ref()).map(told);
    let drift = drift(state, cloud, seen);
    let health = match (&problem, seen) {
        (Some(_), _) | (None, None) => Health::Unknown,
        (None, Some(seen)) => health(&seen.observed),
    };
    let ailing = seen.map(|seen| seen.observed.ailing.clone());
    let ailing = ailing.unwrap_or_default();
    let sync = sync(state, seen.filter(|_| problem.is_none()), &drift);
    let slot = |pick: fn(&Seen) -> &SlotContent| seen.map(pick).map(slot).unwrap_or_default();
    let dated = |said: Said| said.dated(previous, state.memory.generation, now);
    TargetReport {
        cloud,
        place: place(state, cloud),
        health,
        sync,
        blue: slot(|seen| &seen.observed.blue),
        green: slot(|seen| &seen.observed.green),
        seen_at: seen.map(|seen| seen.at),
        conditions: vec![
            dated(healthy(health, problem.as_ref(), &ailing)),
            dated(synced(sync, &drift)),
        ],
        problem,
        drift,
        ailing,
    }
}

fn told(problem: &Problem) -> LookProblem {
    let Problem {
        failure,
        since,
        at: _,
        times: _,
    } = problem;
    LookProblem {
        trouble: Trouble::of(failure),
        since: *since,
    }
}

fn health(observed: &Observed) -> Health {
    match &observed.blue {
        SlotContent::Whole(_) if observed.ailing.is_empty() => Health::Healthy,
        SlotContent::Whole(_) | SlotContent::Torn(_) => Health::Degraded,
        SlotContent::Empty => Health::Missing,
    }
}

fn sync(state: &ServiceState, seen: Option<&Seen>, drift: &[String]) -> Sync {
    let Some(seen) = seen else {
        return Sync::Unknown;
    };
    match state.wanted() {
        Some(wanted) if drift.is_empty() && seen.observed.blue.holds(wanted) => Sync::Synced,
        Some(_) | None => Sync::OutOfSync,
    }
}

/// How blue differs from what was promoted. While a rollout moves blue, another release in it is no drift.
fn drift(state: &ServiceState, cloud: CloudName, seen: Option<&Seen>) -> Vec<String> {
    let (Some(seen), Some(promoted), None) = (seen, state.memory.promoted, state.active()) else {
        return Vec::new();
    };
    match seen.observed.blue.release() {
        Some(release) if release == promoted => {
            let drift = state.drift(cloud).into_iter();
            drift.map(ToString::to_string).collect()
        }
        Some(release) => vec![format!(
            "blue holds {}, not {}",
            release.short(),
            promoted.short()
        )],
        None => vec![format!("blue does not hold {} whole", promoted.short())],
    }
}

fn slot(content: &SlotContent) -> SlotReport {
    match content {
        SlotContent::Empty => SlotReport {
            state: SlotState::Empty,
            ..SlotReport::default()
        },
        SlotContent::Torn(_) => SlotReport {
            state: SlotState::Torn,
            ..SlotReport::default()
        },
        SlotContent::Whole(Holding {
            release,
            revision,
            addresses,
            fields: _,
            label,
            canary,
        }) => SlotReport {
            state: SlotState::Whole,
            release: Some(*release),
            revision: revision.clone(),
            label: label.clone(),
            addresses: addresses.clone(),
            canary: canary
                .as_ref()
                .map(|Canary { release, weight }| CanaryShare {
                    release: *release,
                    weight: *weight,
                }),
        },
    }
}

fn place(state: &ServiceState, cloud: CloudName) -> String {
    let environment = state
        .ask
        .desired()
        .map(|desired| &desired.environment)
        .or(state.memory.environment.as_ref())
        .map(AsRef::as_ref);
    let Some(Environment {
        name: _,
        aws,
        azure,
        windows: _,
        follows: _,
    }) = environment
    else {
        return String::new();
    };
    let place = match cloud {
        CloudName::Aws => aws.as_ref().map(|aws| aws.region.clone()),
        CloudName::Azure => azure.as_ref().map(|azure| azure.location.clone()),
    };
    place.unwrap_or_default()
}

fn healthy(health: Health, problem: Option<&LookProblem>, ailing: &[String]) -> Said {
    let told = ailing.join("; ");
    let (status, reason, message) = match health {
        Health::Healthy => (Truth::True, "Healthy", ""),
        Health::Degraded if !ailing.is_empty() => (Truth::False, "Ailing", told.as_str()),
        Health::Degraded => (
            Truth::False,
            "Degraded",
            "blue's functions are missing or of different releases",
        ),
        Health::Missing => (Truth::False, "Missing", "blue holds nothing"),
        Health::Unknown => (Truth::Unknown, "NotSeen", "it was not seen yet"),
    };
    let message = problem.map_or(message, |problem| &problem.trouble.message);
    let reason = problem.map_or(reason, |problem| &problem.trouble.reason);
    Said::new(ConditionKind::Healthy, status, reason, message)
}

fn synced(sync: Sync, drift: &[String]) -> Said {
    let (status, reason) = match (sync, drift.is_empty()) {
        (Sync::Synced, _) => (Truth::True, "InSync"),
        (Sync::OutOfSync, false) => (Truth::False, "Drifted"),
        (Sync::OutOfSync, true) => (Truth::False, "ApplyPending"),
        (Sync::Unknown, _) => (Truth::Unknown, "NotSeen"),
    };
    Said::new(ConditionKind::Synced, status, reason, drift.join("; "))
}
