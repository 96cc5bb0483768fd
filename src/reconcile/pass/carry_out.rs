//! Carries out one order, or one look, and brings the outcome home.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::super::{
    Shared,
    beside::culprit::{self, Case},
    points::{self, Part},
};
use super::job::{Ask, Job, failure, holds};
use crate::{
    cloud::{SharedCloud, line::answered_within},
    diff::{self, FieldDrift},
    name::{CloudName, CodeDigest, GateName, ReleaseDigest, ServiceKey, Timestamp},
    observed::{Fields, Observed},
    plan::{
        apply::{self, Write},
        state::{PackageRecord, ServiceState},
    },
    rollout::{
        evidence::Measurement,
        facts::judged,
        intent::{Failure, IntentKey, Order, Response},
    },
};

/// Longest time for one order to a cloud; a swap may take minutes.
const ORDER_MAX: Duration = Duration::from_secs(15 * 60);

/// Longest time for one look, once the cloud was asked.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// Longest time for a build or a measurement. Both have limits of their own, which users set; this one is for what those miss.
const WORK_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// A look, and the cloud that can say what it should have found.
struct Look {
    target: CloudName,
    began: Timestamp,
    found: Result<(SharedCloud, Observed), Failure>,
}

/// What came of an order.
#[derive(Default)]
struct Outcome {
    built: Option<(ReleaseDigest, BTreeMap<CloudName, PackageRecord>)>,
    measured: Option<(GateName, Vec<Measurement>)>,
    look: Option<Look>,
}

impl Shared {
    /// Looks at one target.
    pub(in crate::reconcile) async fn look(self: Arc<Self>, key: ServiceKey, target: CloudName) {
        self.guarded(&key, "a look", self.look_at(&key, target))
            .await;
        self.wake(key);
    }

    async fn look_at(self: &Arc<Self>, key: &ServiceKey, target: CloudName) {
        let Some(entry) = self.entry(key) else {
            return;
        };
        let job = Job::look(&entry.lock().await.state, self.clock.now());
        let look = caught(async { Ok(self.observe(&job, target, job.began).await) }).await;
        let look = look.unwrap_or_else(|failure| Look {
            target,
            began: job.began,
            found: Err(failure),
        });
        let mut entry = entry.lock().await;
        entry.state.in_flight.observing.remove(&target);
        let is_there = entry.state.at_work_in() == job.environment.as_ref();
        if is_there && entry.quarantine.is_none() {
            points::part(key, Part::Look);
            let now = self.clock.now();
            apply::not_in_the_future(&mut entry.state, now);
            let before = culprit::about(&entry.state, target);
            let seen = entry.state.seen(target).map(|seen| seen.at);
            let writes = looked(&mut entry.state, look);
            entry.unsaved.extend(writes);
            let seen = seen.unwrap_or_default();
            let case = Case::open(&entry.state, target, before.as_deref(), seen, now);
            if let Some(case) = case {
                self.tasks.spawn(self.clone().inquire(case));
            }
        }
    }

    /// Carries out one order. Its outcome is in the state before the name is woken, and on the disk before the next order is sent.
    pub(in crate::reconcile) async fn carry_out(
        self: Arc<Self>,
        key: ServiceKey,
        intent: IntentKey,
        order: Order,
    ) {
        let work = Box::pin(self.carry_out_alone(&key, &intent, &order));
        self.guarded_order(&key, &intent, work).await;
        self.wake(key);
    }

    async fn carry_out_alone(&self, key: &ServiceKey, intent: &IntentKey, order: &Order) {
        let Some(entry) = self.entry(key) else {
            return;
        };
        let (job, question) = {
            let entry = entry.lock().await;
            let now = self.clock.now();
            points::part(key, Part::Order);
            (
                Job::order(&entry.state, order, now),
                Ask::of(&entry.state, order, now),
            )
        };
        let done = caught(self.perform(job, question, order)).await;
        points::answered(key, intent);
        let mut entry = entry.lock().await;
        if entry.quarantine.is_some() {
            // Its intent is open on the disk: it is sent again once the service goes on.
            entry.forget_order(intent);
            return;
        }
        points::part(key, Part::Outcome);
        // What is known must not seem newer than what comes now.
        apply::not_in_the_future(&mut entry.state, self.clock.now());
        let result = match done {
            Ok((outcome, result)) => {
                let writes = take_in(&mut entry.state, outcome);
                entry.unsaved.extend(writes);
                result
            }
            Err(failure) => Err(failure),
        };
        let now = self.clock.now();
        let writes = apply::settle(&mut entry.state, intent, result, self.policy, now);
        entry.unsaved.extend(writes);
    }

    async fn perform(
        &self,
        job: Job,
        ask: Option<Ask>,
        order: &Order,
    ) -> Result<(Outcome, Result<(), Failure>), Failure> {
        match order {
            Order::Build { release } => {
                let build = self.world.build(&job.release(*release)?.release);
                let packages = in_time(order, WORK_MAX, build).await?;
                let outcome = Outcome {
                    built: Some((*release, packages)),
                    ..Outcome::default()
                };
                Ok((outcome, Ok(())))
            }
            Order::Measure { gate, .. } => {
                let ask = ask.ok_or_else(|| no_longer_asked(gate))?;
                let measure = async { Ok(self.world.measure(&ask.gate, &ask.question).await) };
                let measurements = in_time(order, WORK_MAX, measure).await?;
                let judged = measurements.into_iter().map(|made| judged(&ask.gate, made));
                let outcome = Outcome {
                    measured: Some((gate.clone(), judged.collect())),
                    ..Outcome::default()
                };
                Ok((outcome, Ok(())))
            }
            Order::Stage { target, .. }
            | Order::Shift { target, .. }
            | Order::Promote { target, .. }
            | Order::Retract { target, .. }
            | Order::Repair { target, .. }
            | Order::Prune { target } => self.to_cloud(job, *target, order).await,
        }
    }

    /// Sends an order to a cloud and looks at what came of it, since a reply alone proves nothing.
    async fn to_cloud(
        &self,
        mut job: Job,
        target: CloudName,
        order: &Order,
    ) -> Result<(Outcome, Result<(), Failure>), Failure> {
        let cloud = job.cloud(&*self.world, target).await?;
        let mut built = None;
        if let Some(release) = job.lacks_package(order) {
            let rebuild = job.rebuild(&*self.world, release);
            let record = in_time(order, WORK_MAX, rebuild).await?;
            built = Some((release, record.packages));
        }
        let sent = in_time(order, ORDER_MAX, job.send(&cloud, order)).await;
        let look = self.observe(&job, target, self.clock.now()).await;
        let result = match (&sent, &look.found) {
            (Err(failure), _) | (Ok(()), Err(failure)) => Err(failure.clone()),
            (Ok(()), Ok((_, observed))) => holds(order, observed),
        };
        let outcome = Outcome {
            built,
            look: Some(look),
            ..Outcome::default()
        };
        Ok((outcome, result))
    }

    async fn observe(&self, job: &Job, target: CloudName, began: Timestamp) -> Look {
        let look = async {
            let cloud = job.cloud(&*self.world, target).await?;
            let observed = match job.promoted.contains(&target) {
                true => cloud.watch(&job.scope).await,
                false => cloud.observe(&job.scope).await,
            };
            Ok((cloud, observed.map_err(|error| failure(&error))?))
        };
        let slow = || Failure {
            reason: "TimedOut".to_owned(),
            message: format!(
                "{target} did not answer a look within {}s",
                LOOK_MAX.as_secs()
            ),
            response: Response::Retry,
        };
        let found = answered_within(LOOK_MAX, look).await;
        Look {
            target,
            began,
            found: found.unwrap_or_else(|_| Err(slow())),
        }
    }
}

fn take_in(state: &mut ServiceState, outcome: Outcome) -> Vec<Write> {
    let Outcome {
        built,
        measured,
        look,
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
    if let Some(look) = look {
        writes.extend(looked(state, look));
    }
    writes
}

fn looked(state: &mut ServiceState, look: Look) -> Vec<Write> {
    let Look {
        target,
        began,
        found,
    } = look;
    let found = found.map(|(cloud, observed)| {
        let drift = drift(state, &cloud, target, &observed);
        (observed, drift)
    });
    apply::seen(state, target, found, began)
}

/// How blue differs from the release that it holds; nothing where nobody knows that release.
fn drift(
    state: &ServiceState,
    cloud: &SharedCloud,
    target: CloudName,
    observed: &Observed,
) -> Vec<FieldDrift> {
    let compare = || {
        let holding = observed.blue.holding()?;
        let record = state.releases.get(&holding.release)?;
        let wanted = |code| cloud.expected(&record.release, code);
        Some(match record.packages.get(&target) {
            Some(package) => diff::fields(&wanted(package.code), &holding.fields),
            None => drift_beside_code(wanted, &holding.fields),
        })
    };
    compare().unwrap_or_default()
}

/// The same for a release that was never built here, as after a lost store: what follows from its code is not known, the rest is.
fn drift_beside_code(wanted: impl Fn(CodeDigest) -> Fields, found: &Fields) -> Vec<FieldDrift> {
    let [one, other] = ["one", "other"].map(|code| wanted(CodeDigest::of(code.as_bytes())));
    let mut drift = diff::fields(&one, found);
    drift.retain(|it| one.get(&it.field) == other.get(&it.field));
    drift
}

async fn in_time<T>(
    order: &Order,
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let too_slow = || Failure {
        reason: "TimedOut".to_owned(),
        message: format!("{order} took longer than {} minutes", limit.as_secs() / 60),
        response: Response::Retry,
    };
    let done = answered_within(limit, work).await;
    done.unwrap_or_else(|_| Err(too_slow()))
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
