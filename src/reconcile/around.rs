//! What services know of one another, kept as it changes, so that no pass walks over all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::handle::Asked;
use crate::{
    desired::DesiredService,
    name::{EnvironmentName, GroupName, ServiceKey, Timestamp},
    plan::{
        around::{Around, AskedOf, Facts, Other},
        preview::learnt,
        state::{Ask, ServiceState},
        step::Fleets,
    },
};

/// The facts of every service, and who looks at whom.
#[derive(Default)]
pub struct Surroundings {
    fleets: Fleets,
    services: BTreeMap<ServiceKey, Known>,
    /// Who waits for a service, or follows it.
    watchers: BTreeMap<ServiceKey, BTreeSet<ServiceKey>>,
    /// Who must be gone before a service may go.
    dependants: BTreeMap<ServiceKey, BTreeSet<ServiceKey>>,
    groups: BTreeMap<(EnvironmentName, GroupName), BTreeSet<ServiceKey>>,
}

#[derive(Default)]
struct Known {
    asked: What,
    facts: Option<Facts>,
    ties: Ties,
}

/// What the newest commit asks of a service.
#[derive(Default)]
enum What {
    #[default]
    Unknown,
    Absent,
    Invalid,
    Wanted(Arc<DesiredService>),
}

/// Whom a service looks at.
#[derive(Clone, Default, Eq, PartialEq)]
struct Ties {
    watched: BTreeSet<ServiceKey>,
    needs: BTreeSet<ServiceKey>,
    group: Option<GroupName>,
}

impl Surroundings {
    /// What is known of services that were all looked at once, and never before.
    pub fn at_first_sight(states: &[ServiceState], fleets: Fleets, now: Timestamp) -> Self {
        let mut surroundings = Self {
            fleets,
            ..Self::default()
        };
        for state in states {
            let what = match &state.ask {
                Ask::Unknown => What::Unknown,
                Ask::Absent => What::Absent,
                Ask::Invalid { .. } => What::Invalid,
                Ask::Wanted(desired) => What::Wanted(desired.clone()),
            };
            let known = surroundings.services.entry(state.key.clone()).or_default();
            known.asked = what;
            surroundings.tell(&state.key, |_| {
                Facts::of(&learnt(state, now), None, None, None, now)
            });
        }
        surroundings
    }

    pub fn count(&mut self, fleets: Fleets) {
        self.fleets = fleets;
    }

    /// Takes in what commits ask of some services, before any of them hears: else one could go on since another has not heard yet. Gives
    /// those that had to do with one of them before and may have no longer, since nothing else would wake them.
    pub fn asked<'a>(
        &mut self,
        all: impl Iterator<Item = (&'a ServiceKey, Option<&'a Asked>)>,
    ) -> BTreeSet<ServiceKey> {
        let mut lookers = BTreeSet::new();
        for (key, asked) in all {
            if asked.is_none() && !self.services.contains_key(key) {
                continue;
            }
            lookers.extend(self.lookers(key));
            let known = self.services.entry(key.clone()).or_default();
            known.asked = match asked {
                Some(Asked::Wanted(desired)) => What::Wanted(desired.clone()),
                Some(Asked::Invalid(_)) => What::Invalid,
                None => What::Absent,
            };
            self.tie(key);
        }
        lookers
    }

    /// Takes in what a service tells of itself; who looks at it, if that is news.
    pub fn tell(
        &mut self,
        key: &ServiceKey,
        facts: impl FnOnce(Option<&Facts>) -> Facts,
    ) -> BTreeSet<ServiceKey> {
        let known = self.services.entry(key.clone()).or_default();
        let facts = facts(known.facts.as_ref());
        if known.facts.as_ref() == Some(&facts) {
            return BTreeSet::new();
        }
        let mut mates = pact(known);
        known.facts = Some(facts);
        mates.extend(pact(known));
        // Those that it had to do with until now, too.
        mates.extend(self.lookers(key));
        self.tie(key);
        mates.extend(self.lookers(key));
        mates
    }

    /// Nothing is left of a service; who looks at it.
    pub fn forget(&mut self, key: &ServiceKey) -> BTreeSet<ServiceKey> {
        let lookers = self.lookers(key);
        self.fleets.forget(key);
        let ties = self.services.remove(key).map(|known| known.ties);
        self.untie(key, &ties.unwrap_or_default());
        lookers
    }

    /// Who is to look again when something about a service changes.
    pub fn lookers(&self, key: &ServiceKey) -> BTreeSet<ServiceKey> {
        let mut lookers = self.watchers.get(key).cloned().unwrap_or_default();
        lookers.extend(self.mates(key));
        if let Some(known) = self.services.get(key) {
            lookers.extend(known.ties.needs.iter().cloned());
        }
        lookers.remove(key);
        lookers
    }

    /// What matters to a service.
    pub fn of(&self, state: &ServiceState) -> Around {
        let key = &state.key;
        let group = self.mates(key);
        let known = self.services.get(key);
        let watched = known.into_iter().flat_map(|known| &known.ties.watched);
        let pact = state.rollout.as_ref().map(|rollout| rollout.pact.keys());
        let others = watched.chain(&group).chain(pact.into_iter().flatten());
        let others = others.filter_map(|other| Some((other.clone(), self.other(other)?)));
        Around {
            fleet: self.fleets.of(key),
            others: others.collect(),
            dependants: self.dependants_of(key),
            group,
        }
    }

    fn other(&self, key: &ServiceKey) -> Option<Other> {
        let known = self.services.get(key)?;
        Some(Other {
            asked: match &known.asked {
                What::Unknown => AskedOf::Unknown,
                What::Absent => AskedOf::Absent,
                What::Invalid => AskedOf::Invalid,
                What::Wanted(desired) => AskedOf::Release(desired.release.digest),
            },
            facts: known.facts.clone(),
        })
    }

    fn mates(&self, key: &ServiceKey) -> BTreeSet<ServiceKey> {
        let known = self.services.get(key);
        let group = known.and_then(|known| known.ties.group.clone());
        let members = group.and_then(|group| self.groups.get(&(key.environment.clone(), group)));
        let mut mates = members.cloned().unwrap_or_default();
        mates.remove(key);
        mates
    }

    /// Those that need a service and are still there. Two that need each other, by manifests of different times, keep neither.
    fn dependants_of(&self, key: &ServiceKey) -> BTreeSet<ServiceKey> {
        let Some(dependants) = self.dependants.get(key) else {
            return BTreeSet::new();
        };
        let needs = self.services.get(key).map(|known| &known.ties.needs);
        let is_mutual = |other: &ServiceKey| needs.is_some_and(|needs| needs.contains(other));
        let others = dependants.iter().filter(|other| !is_mutual(other));
        others.cloned().collect()
    }

    /// Brings the indexes up to what is known of a service.
    fn tie(&mut self, key: &ServiceKey) {
        let Some(known) = self.services.get_mut(key) else {
            return;
        };
        let ties = ties(key, known);
        if ties == known.ties {
            return;
        }
        let before = std::mem::replace(&mut known.ties, ties.clone());
        self.untie(key, &before);
        for other in ties.watched {
            self.watchers.entry(other).or_default().insert(key.clone());
        }
        for other in ties.needs {
            self.dependants
                .entry(other)
                .or_default()
                .insert(key.clone());
        }
        if let Some(group) = ties.group {
            let place = (key.environment.clone(), group);
            self.groups.entry(place).or_default().insert(key.clone());
        }
    }

    fn untie(&mut self, key: &ServiceKey, before: &Ties) {
        for other in &before.watched {
            take_out(&mut self.watchers, other, key);
        }
        for other in &before.needs {
            take_out(&mut self.dependants, other, key);
        }
        if let Some(group) = &before.group {
            let place = (key.environment.clone(), group.clone());
            take_out(&mut self.groups, &place, key);
        }
    }
}

fn take_out<K: Ord>(index: &mut BTreeMap<K, BTreeSet<ServiceKey>>, at: &K, key: &ServiceKey) {
    if let Some(keys) = index.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(at);
        }
    }
}

fn pact(known: &Known) -> BTreeSet<ServiceKey> {
    let facts = known.facts.as_ref();
    let rollout = facts.and_then(|facts| facts.rollout.as_ref());
    rollout.map(|it| it.pact.clone()).unwrap_or_default()
}

/// As the newest good manifest says; where there is none, as the service remembers.
fn ties(key: &ServiceKey, known: &Known) -> Ties {
    let at = |environment: &EnvironmentName, service| ServiceKey {
        environment: environment.clone(),
        service,
    };
    let facts = known.facts.as_ref();
    let needed = facts.map(|facts| facts.needs.iter());
    let needed = needed.into_iter().flatten();
    let mut ties = Ties {
        needs: needed.map(|it| at(&key.environment, it.clone())).collect(),
        ..Ties::default()
    };
    match &known.asked {
        What::Wanted(desired) => {
            let DesiredService {
                release: _,
                environment,
                rollout,
                depends_on,
                drift: _,
            } = &**desired;
            let follows = environment.follows.as_ref();
            let watched = depends_on.iter().map(|it| at(&key.environment, it.clone()));
            ties.watched = watched.collect();
            ties.watched
                .extend(follows.map(|it| at(&it.environment, key.service.clone())));
            ties.group.clone_from(&rollout.group);
        }
        What::Unknown | What::Invalid => {
            ties.watched = ties.needs.clone();
            ties.group = facts.and_then(|facts| facts.group.clone());
        }
        What::Absent => {}
    }
    ties
}
