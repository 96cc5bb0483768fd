//! The clouds, in our own nouns.
//!
//! A [`Cloud`] is one target: one cloud of one environment. The trait never mentions a vendor; `aws` and `azure` speak to the real
//! services through the vendors' own clients, `fake` keeps everything in memory and can misbehave on request. None of them knows
//! whether its endpoint is the real one or a local one.

pub mod aws;
pub mod azure;
pub mod fake;
pub mod line;
mod looking;
pub mod operate;
mod pace;
mod turns;
mod unseen;
pub(crate) mod xml;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::operate::Operate;
use crate::{
    desired::Release,
    manifest::gates::MetricSource,
    name::{Called, CloudName, CodeDigest, Percent, ReleaseDigest, ServiceName, Slot, Timestamp},
    observed::{Fields, Observed, Owned, Scope},
    rollout::intent::Response,
};

/// A built package on this machine's disk.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Package {
    pub code: CodeDigest,
    pub path: PathBuf,
    pub size: u64,
}

/// One cloud of one environment.
///
/// # Guarantees
///
/// Every operation is safe to repeat: a crash or a lost reply can leave us not knowing whether it ran. What does not carry our tags is
/// never changed or deleted. Blue is touched by `shift`, `promote`, `retract`, `repair` and `prune` only.
#[async_trait]
pub trait Cloud: fmt::Debug + Send + Sync {
    fn name(&self) -> CloudName;

    /// What `observe` would read from a slot that holds exactly this release. Pure.
    fn expected(&self, release: &Release, code: CodeDigest) -> Fields;

    /// Reads both slots of one service. No writing call.
    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError>;

    /// As `observe`, and asks blue at its own address whether the release that it holds answers there: for a while after a promotion, since
    /// the platform itself may answer then. Where blue moves without a restart there is nothing to ask.
    async fn watch(&self, scope: &Scope) -> Result<Observed, CloudError> {
        self.observe(scope).await
    }

    /// Every service of ours on this target, found by tags.
    async fn inventory(&self) -> Result<Vec<Owned>, CloudError>;

    /// Puts a release on green, and returns when green answers. Creates what is missing.
    async fn stage(&self, release: &Release, package: &Package) -> Result<(), CloudError>;

    /// Gives the release on green a share of blue's requests, and the release on blue the rest; a share of nothing takes back whatever
    /// share there is. Promotion, retraction and repair end a share in the same move. Quietly done where it is so already. `Invalid` on a
    /// cloud that cannot share requests (see [`can_weigh`](crate::manifest::strategy::can_weigh)).
    async fn shift(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
        weight: Percent,
    ) -> Result<(), CloudError>;

    /// Makes blue hold a release that a slot holds: all functions or none. The previous blue becomes green.
    /// Serves promotion and rollback alike; quietly done where blue holds it already. A function of the scope that the release does
    /// not have leaves blue.
    async fn promote(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError>;

    /// Takes the release off blue where no release was before: the way back from a first promotion.
    async fn retract(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError>;

    /// Makes blue hold the release again, with every field as asked for, in the quickest way there is.
    async fn repair(&self, release: &Release, package: &Package) -> Result<(), CloudError>;

    /// Deletes everything of ours that belongs to the service.
    async fn prune(&self, scope: &Scope) -> Result<(), CloudError>;

    /// What it answers beside rollouts; nothing where that is no real cloud.
    fn operate(&self) -> Option<&dyn Operate> {
        None
    }

    /// One number of the cloud's own monitoring up to a moment; None where it has none. No writing call.
    async fn metric(&self, question: &MetricQuestion<'_>) -> Result<Option<f64>, CloudError> {
        Err(CloudError::Invalid {
            cloud: self.name(),
            operation: "a metric".to_owned(),
            message: format!(
                "{} is not what this cloud is asked by",
                question.source.word()
            ),
        })
    }
}

/// What is asked of a cloud's monitoring.
#[derive(Clone, Copy, Debug)]
pub struct MetricQuestion<'a> {
    /// Without placeholders.
    pub source: &'a MetricSource,
    /// Whose slot is meant where the source names no resource.
    pub service: &'a ServiceName,
    pub called: &'a Called,
    pub slot: Slot,
    pub until: Timestamp,
}

/// Why a cloud did not do what it was asked to, sorted by what happens next.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CloudError {
    /// Wait, then ask again.
    #[error("{cloud} asked us to slow down for {}s", retry_after.as_secs_f32())]
    Throttled {
        cloud: CloudName,
        retry_after: Duration,
    },
    /// Another operation is at work on the resource: ask again soon.
    #[error("{cloud} is busy with `{resource}`: {message}")]
    Busy {
        cloud: CloudName,
        resource: String,
        message: String,
    },
    /// No answer, or a server's fault: ask again later; nothing is known of what happened.
    #[error("{cloud} could not be reached for {operation}: {message}")]
    Unreachable {
        cloud: CloudName,
        operation: String,
        message: String,
    },
    /// A person must change credentials, permissions or a quota.
    #[error("{cloud} refused {operation}: {message}")]
    Denied {
        cloud: CloudName,
        operation: String,
        message: String,
    },
    /// Something that is not ours stands where ours should be. A person must rename, remove or adopt it.
    #[error(
        "`{resource}` exists on {cloud} and does not carry our tags: rename the service, remove it, or adopt it"
    )]
    NotOurs { cloud: CloudName, resource: String },
    /// No slot holds the release: it must be staged first.
    #[error("no slot on {cloud} holds release {}", release.short())]
    NotStaged {
        cloud: CloudName,
        release: ReleaseDigest,
    },
    /// The cloud says that what we ask for is wrong; asking again cannot help.
    #[error("{cloud} does not accept {operation}: {message}")]
    Invalid {
        cloud: CloudName,
        operation: String,
        message: String,
    },
    /// The release does not start or does not answer on the cloud.
    #[error("release does not start on {cloud}: {message}")]
    Unhealthy { cloud: CloudName, message: String },
}

/// A cloud that is at work on the resource is asked again after this; the wait does not count as a failed try.
const BUSY_WAIT: Duration = Duration::from_millis(500);

impl CloudError {
    /// What to do about it.
    pub fn response(&self) -> Response {
        match self {
            Self::Throttled { retry_after, .. } => Response::RetryAfter(*retry_after),
            Self::Busy { .. } => Response::RetryAfter(BUSY_WAIT),
            Self::Unreachable { .. } | Self::NotStaged { .. } => Response::Retry,
            Self::Denied { .. } | Self::NotOurs { .. } => Response::CallPerson,
            Self::Invalid { .. } | Self::Unhealthy { .. } => Response::Reject,
        }
    }

    /// A stable word for conditions and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "Throttled",
            Self::Busy { .. } => "Busy",
            Self::Unreachable { .. } => "Unreachable",
            Self::Denied { .. } => "AccessDenied",
            Self::NotOurs { .. } => "OwnershipConflict",
            Self::NotStaged { .. } => "NotStaged",
            Self::Invalid { .. } => "UnsupportedSpec",
            Self::Unhealthy { .. } => "HealthCheckFailed",
        }
    }
}

/// An answer, or why somebody may not look there; anything else is a fault.
fn refused<T>(answer: Result<T, CloudError>) -> Result<Result<T, String>, CloudError> {
    match answer {
        Ok(found) => Ok(Ok(found)),
        Err(CloudError::Denied { message, .. } | CloudError::Invalid { message, .. }) => {
            Ok(Err(message))
        }
        Err(error) => Err(error),
    }
}

/// A target that many tasks share.
pub type SharedCloud = Arc<dyn Cloud>;
