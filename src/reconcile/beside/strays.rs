//! Looks for what is ours on the clouds and known to nobody here. A service that Git dropped while the store was lost, or one that a dead
//! process's last order brought back, would stay for ever: nothing here would ever ask a cloud about it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::super::{
    Shared,
    handle::{Asked, count},
    lock,
    pass::Entry,
};
use crate::{
    manifest::spec::Environment,
    name::{CloudName, EnvironmentName},
    observed::Owned,
    plan::{
        apply::{Write, event},
        state::{Ask, Severity},
    },
};

/// How often it is looked whether some target is to be searched.
const TICK: Duration = Duration::from_secs(5 * 60);

/// Ticks for which a target that was searched is left in peace. A search lists everything that a target holds, so it is not for every
/// minute; one that failed is made again at the next tick.
const REST: u32 = 6;

/// Longest time for one search. A target may hold thousands of functions.
const SEARCH_MAX: Duration = Duration::from_secs(5 * 60);

/// One cloud of one environment.
type Place = (EnvironmentName, CloudName);

impl Shared {
    pub(in crate::reconcile) async fn search(self: Arc<Self>, stop: CancellationToken) {
        let mut resting: BTreeMap<Place, u32> = BTreeMap::new();
        while stop
            .run_until_cancelled(tokio::time::sleep(TICK))
            .await
            .is_some()
        {
            resting.retain(|_, left| {
                *left -= 1;
                *left > 0
            });
            if stop
                .run_until_cancelled(self.search_all(&mut resting))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn search_all(&self, resting: &mut BTreeMap<Place, u32>) {
        for environment in self.environments().await {
            for target in environment.targets() {
                let place = (environment.name.clone(), target);
                if resting.contains_key(&place) {
                    continue;
                }
                if let Some(owned) = self.owned(&environment, target).await {
                    self.take_up(&environment, target, owned).await;
                    resting.insert(place, REST);
                }
            }
        }
    }

    /// The environments that Git names something in; none where it could not be read whole, since what it names is not known then.
    async fn environments(&self) -> Vec<Arc<Environment>> {
        let told = self.told.lock().await;
        let mut environments = BTreeMap::new();
        for asked in told.asked.values().filter(|_| told.is_whole) {
            if let Asked::Wanted(desired) = asked {
                let environment = &desired.environment;
                environments
                    .entry(environment.name.clone())
                    .or_insert_with(|| environment.clone());
            }
        }
        environments.into_values().collect()
    }

    /// What a target holds of ours; nothing where it could not be asked.
    async fn owned(&self, environment: &Environment, target: CloudName) -> Option<Vec<Owned>> {
        let listing = async {
            let cloud = self.world.cloud(environment, target).await;
            let cloud = cloud.map_err(|failure| failure.message)?;
            cloud.inventory().await.map_err(|error| error.to_string())
        };
        let listed = tokio::time::timeout(SEARCH_MAX, listing).await;
        let listed = listed.unwrap_or_else(|_| Err("it took too long".to_owned()));
        listed
            .inspect_err(|why| {
                let environment = environment.name.to_string();
                tracing::warn!(environment, %target, why, "services of ours could not be listed");
            })
            .ok()
    }

    /// Makes known what nobody knows, as if Git had dropped it just now: it is told, and goes under the limits that hold for every deletion.
    async fn take_up(&self, environment: &Arc<Environment>, target: CloudName, owned: Vec<Owned>) {
        let told = self.told.lock().await;
        let of_environment = owned
            .into_iter()
            .filter(|it| it.service.environment == environment.name);
        let mut found = Vec::new();
        for stray in of_environment {
            if !told.is_whole || told.asked.contains_key(&stray.service) {
                continue;
            }
            let service = stray.service.clone();
            let is_news = match self.locked(&service).await {
                Some(entry) => self.learn(entry, stray),
                None => {
                    self.know(environment, target, stray).await;
                    true
                }
            };
            found.extend(is_news.then_some(service));
        }
        if found.is_empty() {
            return;
        }
        let unnamed = self.unnamed(&told.asked);
        let lookers = {
            let mut around = lock(&self.around);
            around.count(count(&told.asked, &unnamed));
            around.asked(found.iter().map(|key| (key, None)))
        };
        self.wake_all(lookers.into_iter().chain(found));
    }

    /// What another cloud tells of a stray that is known from the first one; whether that is news. What Git ever asked for is remembered
    /// from there, by the names that it gave.
    fn learn(&self, mut entry: OwnedMutexGuard<Entry>, stray: Owned) -> bool {
        let Owned {
            service: _,
            functions,
            called,
            resources: _,
        } = stray;
        let memory = &mut entry.state.memory;
        if memory.asked.is_some() {
            return false;
        }
        let before = (memory.functions.clone(), memory.called.clone());
        memory.functions.extend(functions);
        memory.called = std::mem::take(&mut memory.called).or(&called);
        if before == (memory.functions.clone(), memory.called.clone()) {
            return false;
        }
        entry.unsaved.push(Write::Memory);
        self.publish(&entry);
        true
    }

    async fn know(&self, environment: &Arc<Environment>, target: CloudName, stray: Owned) {
        let Owned {
            service,
            functions,
            called,
            resources,
        } = stray;
        let mut entry = self.known(&service).await;
        let state = &mut entry.state;
        state.ask = Ask::Absent;
        state.memory.environment = Some(environment.clone());
        state.memory.functions = functions;
        state.memory.called = called;
        let message = format!(
            "{target} holds {} of {service}, which no manifest names and nothing here remembers",
            resources.join(", ")
        );
        let now = self.clock.now();
        let told = event(state, Severity::Warning, "StrayFound", message, now);
        entry.unsaved.extend([Write::Memory, told]);
        self.tell_of(&entry);
        self.publish(&entry);
    }
}
