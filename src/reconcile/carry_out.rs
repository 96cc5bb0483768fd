//! Carries out one order, or one look, and brings the outcome home.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::{
    Shared,
    world::{Question, World},
};
use crate::{
    cloud::{CloudError, Package, SharedCloud},
    diff::{self, FieldDrift},
    manifest::spec::{Environment, Gate, GateStage},
    name::{CloudName, GateName, ReleaseDigest, ServiceKey, Timestamp},
    observed::{Observed, Scope},
    plan::{
        apply::{self, Write},
        state::{PackageRecord, ReleaseRecord, ServiceState},
    },
    rollout::{
        evidence::Measurement,
        intent::{Failure, IntentKey, Order, Response},
        phase::Phase,
    },
};

/// Longest time for one order to a cloud; a swap may take minutes.
const ORDER_MAX: Duration = Duration::from_secs(15 * 60);

/// Longest time for one look.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// What an order to a cloud needs, taken from the state before the wait.
struct Job {
    scope: Scope,
    environment: Option<Environment>,
    releases: BTreeMap<ReleaseDigest, ReleaseRecord>,
}

/// What came of an order.
#[derive(Default)]
struct Outcome {
    built: Option<(ReleaseDigest, BTreeMap<CloudName, PackageRecord>)>,
    measured: Option<(GateName, Vec<Measurement>)>,
    seen: Option<(CloudName, Result<(Observed, Vec<FieldDrift>), Failure>)>,
}

impl Shared {
    /// Looks at one target.
    pub(super) async fn look(self: Arc<Self>, key: ServiceKey, target: CloudName) {
        let Some(entry) = self.entry(&key) else {
            return;
        };
        let job = Job::of(&entry.lock().await.state);
        let look = caught(self.observe(&job, target)).await;
        let mut entry = entry.lock().await;
        let writes = apply::seen(&mut entry.state, target, look, self.clock.now());
        entry.unsaved.extend(writes);
        drop(entry);
        self.wake(key);
    }

    /// Carries out one order. Its outcome is in the state before the name is woken, and on the disk before the next order is sent.
    pub(super) async fn carry_out(
        self: Arc<Self>,
        key: ServiceKey,
        intent: IntentKey,
        order: Order,
    ) {
        let Some(entry) = self.entry(&key) else {
            return;
        };
        let (job, question) = {
            let entry = entry.lock().await;
            (
                Job::of(&entry.state),
                Ask::of(&entry.state, &order, self.clock.now()),
            )
        };
        let done = caught(self.perform(&job, question, &order)).await;
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        let result = match done {
            Ok((outcome, result)) => {
                let writes = take_in(&mut entry.state, outcome, now);
                entry.unsaved.extend(writes);
                result
            }
            Err(failure) => Err(failure),
        };
        let writes = apply::settle(&mut entry.state, &intent, result, self.policy, now);
        entry.unsaved.extend(writes);
        drop(entry);
        self.wake(key);
    }

    async fn perform(
        &self,
        job: &Job,
        ask: Option<Ask>,
        order: &Order,
    ) -> Result<(Outcome, Result<(), Failure>), Failure> {
        match order {
            Order::Build { release } => {
                let packages = self.world.build(&job.release(*release)?.release).await?;
                Ok((
                    Outcome {
                        built: Some((*release, packages)),
                        ..Outcome::default()
                    },
                    Ok(()),
                ))
            }
            Order::Measure { gate, .. } => {
                let Some(Ask {
                    gate: spec,
                    question,
                }) = ask
                else {
                    return Err(no_longer_asked(gate));
                };
                let measurements = self.world.measure(&spec, &question).await;
                Ok((
                    Outcome {
                        measured: Some((gate.clone(), measurements)),
                        ..Outcome::default()
                    },
                    Ok(()),
                ))
            }
            Order::Stage { target, .. }
            | Order::Promote { target, .. }
            | Order::Retract { target, .. }
            | Order::Repair { target, .. }
            | Order::Prune { target } => self.to_cloud(job, *target, order).await,
        }
    }

    /// Sends an order to a cloud and looks at what came of it, since a reply alone proves nothing.
    async fn to_cloud(
        &self,
        job: &Job,
        target: CloudName,
        order: &Order,
    ) -> Result<(Outcome, Result<(), Failure>), Failure> {
        let cloud = job.cloud(&*self.world, target).await?;
        let sent = tokio::time::timeout(ORDER_MAX, job.send(&cloud, order));
        let sent = sent.await.unwrap_or_else(|_| Err(too_slow(order)));
        let look = self.observe(job, target).await;
        let result = match (&sent, &look) {
            (Err(failure), _) => Err(failure.clone()),
            (Ok(()), Err(failure)) => Err(failure.clone()),
            (Ok(()), Ok((observed, _))) => holds(order, observed),
        };
        Ok((
            Outcome {
                seen: Some((target, look)),
                ..Outcome::default()
            },
            result,
        ))
    }

    async fn observe(
        &self,
        job: &Job,
        target: CloudName,
    ) -> Result<(Observed, Vec<FieldDrift>), Failure> {
        let cloud = job.cloud(&*self.world, target).await?;
        let looked = tokio::time::timeout(LOOK_MAX, cloud.observe(&job.scope)).await;
        let slow = || Failure {
            reason: "TimedOut".to_owned(),
            message: format!(
                "{target} did not answer a look within {}s",
                LOOK_MAX.as_secs()
            ),
            response: Response::Retry,
        };
        let observed = looked
            .map_err(|_| slow())?
            .map_err(|error| failure(&error))?;
        let drift = job.drift(&cloud, target, &observed);
        Ok((observed, drift))
    }
}

impl Job {
    fn of(state: &ServiceState) -> Self {
        let environment = state
            .ask
            .desired()
            .map(|desired| desired.environment.clone());
        Self {
            scope: state.scope(),
            environment: environment.or_else(|| state.memory.environment.clone()),
            releases: state.releases.clone(),
        }
    }

    async fn cloud(&self, world: &dyn World, target: CloudName) -> Result<SharedCloud, Failure> {
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

    fn release(&self, release: ReleaseDigest) -> Result<&ReleaseRecord, Failure> {
        self.releases.get(&release).ok_or_else(|| Failure {
            reason: "ReleaseUnknown".to_owned(),
            message: format!(
                "release {} is neither in git nor in the store",
                release.short()
            ),
            response: Response::Reject,
        })
    }

    /// A release and its package for a cloud.
    fn package(
        &self,
        release: ReleaseDigest,
        target: CloudName,
    ) -> Result<(&ReleaseRecord, Package), Failure> {
        let record = self.release(release)?;
        let package = record
            .packages
            .get(&target)
            .map(|PackageRecord { code, path, size }| Package {
                code: *code,
                path: path.clone(),
                size: *size,
            });
        let missing = || Failure {
            reason: "PackageMissing".to_owned(),
            message: format!("release {} was not built for {target}", release.short()),
            response: Response::Retry,
        };
        Ok((record, package.ok_or_else(missing)?))
    }

    async fn send(&self, cloud: &SharedCloud, order: &Order) -> Result<(), Failure> {
        let sent = match order {
            Order::Build { .. } | Order::Measure { .. } => Ok(()),
            Order::Stage { target, release } => {
                let (record, package) = self.package(*release, *target)?;
                cloud.stage(&record.release, &package).await
            }
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

    /// How blue differs from the release that it holds; nothing where that release was never built here.
    fn drift(
        &self,
        cloud: &SharedCloud,
        target: CloudName,
        observed: &Observed,
    ) -> Vec<FieldDrift> {
        let Some(holding) = observed.blue.holding() else {
            return Vec::new();
        };
        let Some(record) = self.releases.get(&holding.release) else {
            return Vec::new();
        };
        match record.packages.get(&target) {
            Some(package) => diff::fields(
                &cloud.expected(&record.release, package.code),
                &holding.fields,
            ),
            None => Vec::new(),
        }
    }
}

/// What a measurement asks, taken from the state before the wait.
struct Ask {
    gate: Gate,
    question: Question,
}

impl Ask {
    fn of(state: &ServiceState, order: &Order, now: Timestamp) -> Option<Self> {
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
        let after = match rollout.phase {
            Phase::Baking { .. } => GateStage::Promotion,
            _ => GateStage::Staging,
        };
        let run = rollout.gates.iter().find(|run| run.gate == *name)?;
        let due = run.due(&gate, &rollout.targets, now);
        let slots = due.iter().filter_map(|target| {
            let observed = &state.seen(*target)?.observed;
            let slot = match after {
                GateStage::Staging if observed.green.holds(rollout.release) => &observed.green,
                GateStage::Staging | GateStage::Promotion => &observed.blue,
            };
            let holding = slot
                .holding()
                .filter(|holding| holding.release == rollout.release)?;
            Some((*target, holding.addresses.clone()))
        });
        let question = Question {
            revision: rollout.revision.clone(),
            after,
            slots: slots.collect(),
            targets: due.clone(),
            release,
        };
        Some(Self { gate, question })
    }
}

fn take_in(state: &mut ServiceState, outcome: Outcome, now: Timestamp) -> Vec<Write> {
    let Outcome {
        built,
        measured,
        seen,
    } = outcome;
    let mut writes = Vec::new();
    if let Some((release, packages)) = built
        && let Some(record) = state.releases.get_mut(&release)
        && record.packages != packages
    {
        record.packages = packages;
        writes.push(Write::Release(release));
    }
    if let Some((gate, measurements)) = measured {
        writes.extend(apply::measured(state, &gate, measurements));
    }
    if let Some((target, look)) = seen {
        writes.extend(apply::seen(state, target, look, now));
    }
    writes
}

/// Whether the cloud now holds what the order was to bring about.
fn holds(order: &Order, observed: &Observed) -> Result<(), Failure> {
    let is_so = match order {
        Order::Build { .. } | Order::Measure { .. } => true,
        Order::Stage { release, .. } => {
            observed.green.holds(*release) || observed.blue.holds(*release)
        }
        Order::Promote { release, .. } | Order::Repair { release, .. } => {
            observed.blue.holds(*release)
        }
        Order::Retract { release, .. } => !observed.blue.holds(*release),
        Order::Prune { .. } => observed.resources.is_empty(),
    };
    let not_so = || Failure {
        reason: "NotHeld".to_owned(),
        message: format!("{order} was answered as done, but a look shows otherwise"),
        response: Response::Retry,
    };
    is_so.then_some(()).ok_or_else(not_so)
}

fn failure(error: &CloudError) -> Failure {
    Failure {
        reason: error.reason().to_owned(),
        message: error.to_string(),
        response: error.response(),
    }
}

fn too_slow(order: &Order) -> Failure {
    Failure {
        reason: "TimedOut".to_owned(),
        message: format!(
            "{order} took longer than {} minutes",
            ORDER_MAX.as_secs() / 60
        ),
        response: Response::Retry,
    }
}

fn no_longer_asked(gate: &GateName) -> Failure {
    Failure {
        reason: "GateGone".to_owned(),
        message: format!("gate {gate} is no longer asked"),
        response: Response::Retry,
    }
}

/// A panic in one order is a failure of that order, and of nothing else.
async fn caught<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let panicked = || Failure {
        reason: "Panicked".to_owned(),
        message: "the order panicked; the log has the place".to_owned(),
        response: Response::CallPerson,
    };
    std::panic::AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(panicked()))
}
