//! A cloud in memory, which can misbehave on request.
//!
//! It keeps the contract of [`Cloud`] and nothing of any vendor: it is what rollouts, crash tests and simulations run on.

mod judge;
mod operate;
mod state;
mod trouble;

use std::{
    collections::BTreeSet,
    future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use url::Url;

use self::state::{Held, Planned, Service, State, holds};
pub use self::trouble::{Counts, Fault, HandEdit, Operation};
use super::{Cloud, CloudError, Package, line::in_line, operate::Operate};
use crate::{
    desired::Release,
    manifest::{spec::EnvValue, strategy::can_weigh},
    name::{CloudName, CodeDigest, Percent, ReleaseDigest, ServiceKey, Slot},
    observed::{Deed, Fields, Observed, Owned, Scope},
};

/// One cloud in memory.
#[derive(Debug)]
pub struct FakeCloud {
    name: CloudName,
    state: Mutex<State>,
    hung: watch::Sender<bool>,
}

impl FakeCloud {
    pub fn new(name: CloudName) -> Self {
        Self {
            name,
            state: Mutex::default(),
            hung: watch::Sender::new(false),
        }
    }

    /// The `nth` next call of the operation goes wrong, once. 1 is the very next.
    pub fn fault(&self, operation: Operation, nth: u64, fault: Fault) {
        self.state().faults.push(Planned {
            operation,
            spared: nth.saturating_sub(1),
            fault,
        });
    }

    /// Every call waits for as long as this is so.
    pub fn hang(&self, hung: bool) {
        self.hung.send_replace(hung);
    }

    /// Every call takes this long.
    pub fn slow(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Every call stands in our own line for so long, before the cloud is asked.
    pub fn line_up(&self, wait: Duration) {
        self.state().line = wait;
    }

    /// Promotions from now on undo themselves after a while, as slot swaps have been seen to.
    pub fn revert_promotions_after(&self, delay: Option<Duration>) {
        let mut state = self.state();
        state.revert_after = delay;
        state.may_revert |= delay.is_some();
    }

    /// Blue's own address gives this answer in place of the release's.
    pub fn silence_blue(&self, answer: Option<&str>) {
        self.state().silence = answer.map(str::to_owned);
    }

    /// It says so of blue, which is as asked for.
    pub fn ail(&self, told: &[&str]) {
        self.state().ailing = told.iter().map(|it| (*it).to_owned()).collect();
    }

    /// Where every function of a slot answers, for gates that really ask.
    pub fn answer_at(&self, slot: Slot, address: Url) {
        self.state().addresses.insert(slot, address);
    }

    /// It keeps a log from now on, which tells this.
    pub fn keep_log(&self, told: Result<Vec<Deed>, CloudError>) {
        self.state().log = Some(told);
    }

    pub fn edit(&self, service: &ServiceKey, edit: HandEdit) {
        let mut state = self.state();
        if let HandEdit::Foreign(function) = edit {
            state.foreign.insert((service.clone(), function));
            return;
        }
        let service = state.services.entry(service.clone()).or_default();
        service.edit(edit);
    }

    /// Faults that still wait for their call never come.
    pub fn forgive(&self) {
        self.state().faults.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock holds whole values: every change of the state is a single assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, lets it go wrong if it should, and else does the work.
    async fn call<T>(
        &self,
        operation: Operation,
        service: Option<&ServiceKey>,
        work: impl FnOnce(&mut State) -> Result<T, CloudError> + Send,
    ) -> Result<T, CloudError> {
        let line = self.state().line;
        if !line.is_zero() {
            in_line(sleep(line)).await;
        }
        let (fault, latency) = self.state().called(operation);
        let mut hung = self.hung.subscribe();
        // Fails only when the sender is gone, and `self` has it.
        hung.wait_for(|hung| !hung).await.ok();
        sleep(latency).await;
        match fault {
            None => {}
            Some(Fault::Fail(error)) => return Err(error),
            Some(Fault::Throttle(retry_after)) => {
                return Err(CloudError::Throttled {
                    cloud: self.name,
                    retry_after,
                });
            }
            Some(Fault::Slow(delay)) => sleep(delay).await,
            Some(Fault::Hang) => return future::pending().await,
            Some(Fault::LoseReply) => {
                self.work(service, work)?;
                return Err(CloudError::Unreachable {
                    cloud: self.name,
                    operation: format!("{operation:?}").to_lowercase(),
                    message: "the connection was lost before the answer".to_owned(),
                });
            }
        }
        self.work(service, work)
    }

    /// Only the service that the call is about can be changed by it.
    fn work<T>(
        &self,
        service: Option<&ServiceKey>,
        work: impl FnOnce(&mut State) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        let mut state = self.state();
        state.revert_what_is_due();
        let before = service.and_then(|key| state.services.get(key).cloned());
        let answer = work(&mut state);
        if service.is_some_and(|key| state.services.get(key) != before.as_ref()) {
            state.counts.changes += 1;
        }
        answer
    }

    fn hold(&self, release: &Release, package: &Package) -> Held {
        let functions = &release.content.functions;
        let http = functions.iter().filter(|(_, it)| it.http.is_some());
        let fields = self.expected(release, package.code);
        Held {
            release: release.digest,
            revision: release.revision.clone(),
            functions: functions.keys().cloned().collect(),
            http: http.map(|(name, _)| name.clone()).collect(),
            called: release.content.called().on(self.name),
            missing: BTreeSet::new(),
            sealed: fields.clone(),
            fields,
        }
    }

    fn cannot_share(&self) -> CloudError {
        CloudError::Invalid {
            cloud: self.name,
            operation: "a share of blue's requests".to_owned(),
            message: "it cannot share requests; blue moves at once".to_owned(),
        }
    }

    fn refuse_foreign(&self, state: &State, service: &ServiceKey) -> Result<(), CloudError> {
        match state.foreign_of(service).into_iter().next() {
            None => Ok(()),
            Some(resource) => Err(CloudError::NotOurs {
                cloud: self.name,
                resource,
            }),
        }
    }
}

#[async_trait]
impl Cloud for FakeCloud {
    fn name(&self) -> CloudName {
        self.name
    }

    fn expected(&self, release: &Release, code: CodeDigest) -> Fields {
        let mut fields = Fields::from([("package".to_owned(), code.to_string())]);
        for (name, function) in &release.content.functions {
            let mut put = |path: &str, value: String| {
                fields.insert(format!("{name}.{path}"), value);
            };
            put("handler", function.handler.clone());
            put("memory", function.memory.0.to_string());
            put("timeout", function.timeout.as_secs().to_string());
            for (variable, value) in release.content.env_of(name) {
                let text = match value {
                    EnvValue::Plain(text) => text,
                    EnvValue::Secret(secret) => format!("secret {secret}"),
                };
                put(
                    &format!("env.{variable}"),
                    CodeDigest::of(text.as_bytes()).short(),
                );
            }
        }
        fields
    }

    fn operate(&self) -> Option<&dyn Operate> {
        self.state().log.is_some().then_some(self)
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, CloudError> {
        let look = |state: &mut State| Ok(state.observed(&scope.service));
        self.call(Operation::Observe, Some(&scope.service), look)
            .await
    }

    async fn watch(&self, scope: &Scope) -> Result<Observed, CloudError> {
        let look = |state: &mut State| {
            let observed = state.observed(&scope.service);
            let silence = state.silence.clone();
            let silence = silence.filter(|_| observed.blue.release().is_some());
            Ok(Observed {
                silence,
                ..observed
            })
        };
        self.call(Operation::Observe, Some(&scope.service), look)
            .await
    }

    async fn inventory(&self) -> Result<Vec<Owned>, CloudError> {
        let list = |state: &mut State| {
            let owned = state.services.iter().map(|(key, service)| Owned {
                service: key.clone(),
                functions: service.functions(),
                called: service.called(),
                resources: service.resources(key),
            });
            Ok(owned.filter(|it| !it.resources.is_empty()).collect())
        };
        self.call(Operation::Inventory, None, list).await
    }

    async fn stage(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let held = self.hold(release, package);
        let stage = |state: &mut State| {
            self.refuse_foreign(state, &release.service)?;
            let service = state.services.entry(release.service.clone()).or_default();
            service.green = Some(held);
            Ok(())
        };
        self.call(Operation::Stage, Some(&release.service), stage)
            .await
    }

    async fn shift(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
        weight: Percent,
    ) -> Result<(), CloudError> {
        let shift = |state: &mut State| {
            self.refuse_foreign(state, &scope.service)?;
            let service = state.services.get_mut(&scope.service);
            match service {
                Some(service) if weight.is_none() => service.canary = None,
                None if weight.is_none() => {}
                Some(_) | None if !can_weigh(self.name) => return Err(self.cannot_share()),
                Some(service) if holds(service.green.as_ref(), release) => {
                    service.canary = service.blue.as_ref().map(|_| (release, weight));
                }
                Some(_) | None => {
                    return Err(CloudError::NotStaged {
                        cloud: self.name,
                        release,
                    });
                }
            }
            Ok(())
        };
        self.call(Operation::Shift, Some(&scope.service), shift)
            .await
    }

    async fn promote(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let promote = |state: &mut State| {
            self.refuse_foreign(state, &scope.service)?;
            let not_staged = CloudError::NotStaged {
                cloud: self.name,
                release,
            };
            let revert_after = state.revert_after;
            let service = state
                .services
                .get_mut(&scope.service)
                .ok_or(not_staged.clone())?;
            if holds(service.blue.as_ref(), release) {
                service.canary = None;
                return Ok(());
            }
            // What somebody changed since is not what was measured.
            let green = service.green.as_ref();
            if !holds(green, release) || !green.is_some_and(Held::is_as_staged) {
                return Err(not_staged);
            }
            let before = Box::new(Service {
                reversion: None,
                ..service.clone()
            });
            std::mem::swap(&mut service.blue, &mut service.green);
            service.canary = None;
            service.reversion = revert_after.map(|delay| (Instant::now() + delay, before));
            Ok(())
        };
        self.call(Operation::Promote, Some(&scope.service), promote)
            .await
    }

    async fn retract(&self, scope: &Scope, release: ReleaseDigest) -> Result<(), CloudError> {
        let retract = |state: &mut State| {
            let service = state.services.get_mut(&scope.service);
            // A blue of which functions are missing goes, too.
            let is_of = |service: &&mut Service| {
                service
                    .blue
                    .as_ref()
                    .is_some_and(|it| it.release == release)
            };
            if let Some(service) = service.filter(is_of) {
                let held = service.blue.take();
                service.canary = None;
                service.green = service.green.take().or(held);
            }
            Ok(())
        };
        self.call(Operation::Retract, Some(&scope.service), retract)
            .await
    }

    async fn repair(&self, release: &Release, package: &Package) -> Result<(), CloudError> {
        let held = self.hold(release, package);
        let repair = |state: &mut State| {
            self.refuse_foreign(state, &release.service)?;
            let service = state.services.entry(release.service.clone()).or_default();
            service.blue = Some(held);
            service.canary = None;
            Ok(())
        };
        self.call(Operation::Repair, Some(&release.service), repair)
            .await
    }

    async fn prune(&self, scope: &Scope) -> Result<(), CloudError> {
        let prune = |state: &mut State| {
            state.services.remove(&scope.service);
            Ok(())
        };
        self.call(Operation::Prune, Some(&scope.service), prune)
            .await
    }
}
