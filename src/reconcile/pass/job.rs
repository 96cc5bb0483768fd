//! What an order needs, taken from the state before the wait, so that nothing is held while a cloud thinks.

use std::sync::Arc;

use super::super::world::{Question, World};
use crate::{
    cloud::{CloudError, Package, SharedCloud},
    manifest::spec::{Environment, Gate, GateStage},
    name::{CloudName, ReleaseDigest, Timestamp},
    observed::{Observed, Scope},
    plan::state::{PackageRecord, ReleaseRecord, ServiceState},
    rollout::{
        intent::{Failure, Intent, IntentState, Order, Response},
        phase::Phase,
    },
};

/// What an order or a look needs.
pub(in crate::reconcile) struct Job {
    pub(in crate::reconcile) scope: Scope,
    pub(in crate::reconcile) environment: Option<Arc<Environment>>,
    /// The release that the order is about.
    release: Option<Box<ReleaseRecord>>,
    pub(in crate::reconcile) began: Timestamp,
    /// Where blue was promoted just now, so that it is asked whether it answers.
    pub(in crate::reconcile) promoted: Vec<CloudName>,
}

impl Job {
    pub(in crate::reconcile) fn look(state: &ServiceState, now: Timestamp) -> Self {
        Self {
            scope: state.scope(),
            environment: state.at_work_in().cloned(),
            release: None,
            began: now,
            promoted: just_promoted(state),
        }
    }

    pub(in crate::reconcile) fn order(state: &ServiceState, order: &Order, now: Timestamp) -> Self {
        let release = order.release();
        Self {
            release: release.and_then(|release| state.releases.get(&release).cloned()),
            ..Self::look(state, now)
        }
    }

    /// The target of an environment, reached as the daemon is told to.
    pub(in crate::reconcile) async fn cloud(
        &self,
        world: &dyn World,
        target: CloudName,
    ) -> Result<SharedCloud, Failure> {
        match &self.environment {
            Some(environment) => world.cloud(environment, target).await,
            None => Err(Failure {
                reason: "EnvironmentUnknown".to_owned(),
                message: format!(
                    "environment {} is not known any more",
                    self.scope.service.environment
                ),
                response: Response::CallPerson,
            }),
        }
    }

    /// The release that the order is about. One that is not known may become so when Git is read, so nothing is decided about it.
    pub(in crate::reconcile) fn release(
        &self,
        release: ReleaseDigest,
    ) -> Result<&ReleaseRecord, Failure> {
        let known = self.release.as_ref();
        let known = known.filter(|record| record.release.digest == release);
        known.map(AsRef::as_ref).ok_or_else(|| Failure {
            reason: "ReleaseUnknown".to_owned(),
            message: format!(
                "release {} is neither in git nor in the store",
                release.short()
            ),
            response: Response::CallPerson,
        })
    }

    /// A release and its package for a cloud.
    fn package(
        &self,
        release: ReleaseDigest,
        target: CloudName,
    ) -> Result<(&ReleaseRecord, Package), Failure> {
        let record = self.release(release)?;
        let missing = || Failure {
            reason: "PackageMissing".to_owned(),
            message: format!("release {} was not built for {target}", release.short()),
            response: Response::Retry,
        };
        let package = record.packages.get(&target);
        let PackageRecord { code, path, size } = package.ok_or_else(missing)?;
        let package = Package {
            code: *code,
            path: path.clone(),
            size: *size,
        };
        Ok((record, package))
    }

    /// The release whose packages must be found or built first: where no record of them is left, and for a repair, which may come so long
    /// after the build that their folder is lost.
    pub(in crate::reconcile) fn lacks_package(&self, order: &Order) -> Option<ReleaseDigest> {
        match order {
            Order::Repair { release, .. } => Some(*release),
            Order::Stage { target, release } => {
                let is_there = self.package(*release, *target).is_ok();
                (!is_there).then_some(*release)
            }
            Order::Build { .. }
            | Order::Measure { .. }
            | Order::Shift { .. }
            | Order::Promote { .. }
            | Order::Retract { .. }
            | Order::Prune { .. } => None,
        }
    }

    /// Finds or builds the packages again.
    pub(in crate::reconcile) async fn rebuild(
        &mut self,
        world: &dyn World,
        release: ReleaseDigest,
    ) -> Result<ReleaseRecord, Failure> {
        let packages = world.build(&self.release(release)?.release).await?;
        let mut record = self.release(release)?.clone();
        record.packages = packages;
        self.release = Some(Box::new(record.clone()));
        Ok(record)
    }

    pub(in crate::reconcile) async fn send(
        &self,
        cloud: &SharedCloud,
        order: &Order,
    ) -> Result<(), Failure> {
        let sent = match order {
            Order::Build { .. } | Order::Measure { .. } => Ok(()),
            Order::Stage { target, release } => {
                let (record, package) = self.package(*release, *target)?;
                cloud.stage(&record.release, &package).await
            }
            Order::Shift {
                release, weight, ..
            } => cloud.shift(&self.scope, *release, *weight).await,
            Order::Promote { release, .. } => cloud.promote(&self.scope, *release).await,
            Order::Retract { release, .. } => cloud.retract(&self.scope, *release).await,
            Order::Repair { target, release } => {
                let (record, package) = self.package(*release, *target)?;
                cloud.repair(&record.release, &package).await
            }
            Order::Prune { .. } => cloud.prune(&self.scope).await,
        };
        sent.map_err(|error| failure(&error))
    }
}

/// The targets that a rollout has promoted and is not done with: all of them while it bakes, some while it is still promoting.
fn just_promoted(state: &ServiceState) -> Vec<CloudName> {
    let Some(rollout) = state.active() else {
        return Vec::new();
    };
    if matches!(rollout.phase, Phase::Baking { .. }) {
        return rollout.targets.clone();
    }
    if !matches!(rollout.phase, Phase::Promoting) {
        return Vec::new();
    }
    let release = rollout.release;
    let is_done = |target: &&CloudName| {
        let target = **target;
        let order = Order::Promote { target, release };
        let is_it = |intent: &Intent| {
            intent.order == order && matches!(intent.state, IntentState::Done { .. })
        };
        state.intents.values().any(|intent| is_it(intent))
    };
    rollout.targets.iter().filter(is_done).copied().collect()
}

/// What a measurement asks, taken from the state before the wait.
pub(in crate::reconcile) struct Ask {
    pub(in crate::reconcile) gate: Gate,
    pub(in crate::reconcile) question: Question,
}

impl Ask {
    pub(in crate::reconcile) fn of(
        state: &ServiceState,
        order: &Order,
        now: Timestamp,
    ) -> Option<Self> {
        let Order::Measure { gate: name, .. } = order else {
            return None;
        };
        let rollout = state.active()?;
        let gate = rollout
            .spec
            .gates
            .iter()
            .find(|gate| gate.name == *name)?
            .clone();
        let release = state.releases.get(&rollout.release)?.release.clone();
        let after = gate.after;
        let run = rollout.gates.iter().find(|run| run.gate == *name)?;
        let due = run.due(&gate, &rollout.targets, now);
        let slots = due.iter().filter_map(|target| {
            let observed = &state.seen(*target)?.observed;
            let slot = match after {
                GateStage::Staging | GateStage::Canary if observed.green.holds(rollout.release) => {
                    &observed.green
                }
                GateStage::Staging | GateStage::Canary | GateStage::Promotion => &observed.blue,
            };
            let holding = slot
                .holding()
                .filter(|holding| holding.release == rollout.release)?;
            Some((*target, holding.addresses.clone()))
        });
        let blue = due.iter().filter_map(|target| {
            let observed = &state.seen(*target)?.observed;
            Some((*target, observed.blue.holding()?.clone()))
        });
        let question = Question {
            blue: blue.collect(),
            environment: state.at_work_in().cloned(),
            revision: rollout.revision.clone(),
            after,
            slots: slots.collect(),
            targets: due.clone(),
            release,
        };
        Some(Self { gate, question })
    }
}

/// Whether the cloud now holds what the order was to bring about.
pub(in crate::reconcile) fn holds(order: &Order, observed: &Observed) -> Result<(), Failure> {
    let is_so = match order {
        Order::Build { .. } | Order::Measure { .. } => true,
        Order::Stage { release, .. } => {
            observed.green.holds(*release) || observed.blue.holds(*release)
        }
        Order::Shift {
            release, weight, ..
        } => observed.blue.gives(*release, *weight),
        Order::Promote { release, .. } | Order::Repair { release, .. } => {
            observed.blue.holds(*release) && observed.blue.canary().is_none()
        }
        Order::Retract { release, .. } => !observed.blue.has_any_of(*release),
        Order::Prune { .. } => observed.resources.is_empty(),
    };
    let not_so = || Failure {
        reason: "NotHeld".to_owned(),
        message: format!("{order} was answered as done, but a look shows otherwise"),
        response: Response::Retry,
    };
    is_so.then_some(()).ok_or_else(not_so)
}

pub(in crate::reconcile) fn failure(error: &CloudError) -> Failure {
    Failure {
        reason: error.reason().to_owned(),
        message: error.to_string(),
        response: error.response(),
    }
}
