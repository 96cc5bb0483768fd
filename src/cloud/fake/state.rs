//! What the fake remembers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;
use url::Url;

use super::{Counts, Fault, HandEdit, Operation};
use crate::{
    cloud::CloudError,
    name::{Called, FunctionName, Percent, ReleaseDigest, Revision, ServiceKey, Slot},
    observed::{Addresses, Canary, Deed, Fields, Holding, Observed, SlotContent},
};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) services: BTreeMap<ServiceKey, Service>,
    pub(super) foreign: BTreeSet<(ServiceKey, FunctionName)>,
    pub(super) faults: Vec<Planned>,
    pub(super) addresses: BTreeMap<Slot, Url>,
    /// What blue's own address answers in place of the release.
    pub(super) silence: Option<String>,
    pub(super) ailing: Vec<String>,
    pub(super) latency: Duration,
    /// In front of every call.
    pub(super) line: Duration,
    pub(super) revert_after: Option<Duration>,
    /// Some promotion may undo itself yet.
    pub(super) may_revert: bool,
    /// What its log tells; nothing where it keeps none.
    pub(super) log: Option<Result<Vec<Deed>, CloudError>>,
    pub(super) counts: Counts,
}

/// A fault that waits for its call.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) operation: Operation,
    /// Calls of the operation that still go well before.
    pub(super) spared: u64,
    pub(super) fault: Fault,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Service {
    pub(super) blue: Option<Held>,
    pub(super) green: Option<Held>,
    /// What takes a share of blue's requests.
    pub(super) canary: Option<(ReleaseDigest, Percent)>,
    /// When the last promotion undoes itself, and what is there then.
    pub(super) reversion: Option<(Instant, Box<Self>)>,
}

/// What a slot holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Held {
    pub(super) release: ReleaseDigest,
    pub(super) revision: Revision,
    pub(super) functions: BTreeSet<FunctionName>,
    pub(super) http: BTreeSet<FunctionName>,
    /// On this cloud.
    pub(super) called: Called,
    pub(super) missing: BTreeSet<FunctionName>,
    pub(super) fields: Fields,
    /// The fields as they were put there.
    pub(super) sealed: Fields,
}

impl Held {
    pub(super) fn is_as_staged(&self) -> bool {
        self.fields == self.sealed
    }
}

impl State {
    pub(super) fn called(&mut self, operation: Operation) -> (Option<Fault>, Duration) {
        *self.counts.calls.entry(operation).or_default() += 1;
        let mut due = None;
        for (index, planned) in self.faults.iter_mut().enumerate() {
            match (planned.operation == operation, planned.spared) {
                (true, 0) if due.is_none() => due = Some(index),
                (true, 1..) => planned.spared -= 1,
                (true, 0) | (false, _) => {}
            }
        }
        let fault = due.map(|index| self.faults.remove(index).fault);
        (fault, self.latency)
    }

    pub(super) fn revert_what_is_due(&mut self) {
        if !self.may_revert {
            return;
        }
        let now = Instant::now();
        for service in self.services.values_mut() {
            if let Some((at, before)) = service.reversion.take() {
                if at <= now {
                    *service = *before;
                } else {
                    service.reversion = Some((at, before));
                }
            }
        }
    }

    pub(super) fn observed(&self, key: &ServiceKey) -> Observed {
        let service = self.services.get(key).cloned().unwrap_or_default();
        Observed {
            blue: self.shared(key, &service),
            green: self.content(key, Slot::Green, service.green.as_ref()),
            resources: service.resources(key),
            foreign: self.foreign_of(key),
            silence: None,
            ailing: match service.blue {
                Some(_) => self.ailing.clone(),
                None => Vec::new(),
            },
        }
    }

    pub(super) fn foreign_of(&self, service: &ServiceKey) -> Vec<String> {
        let of_service = self.foreign.iter().filter(|(owner, _)| owner == service);
        of_service
            .map(|(owner, function)| resource(owner, function))
            .collect()
    }

    pub(super) fn addresses(&self, service: &ServiceKey, slot: Slot, held: &Held) -> Addresses {
        let address = |function: &FunctionName| {
            let fixed = self.addresses.get(&slot).cloned();
            // Names hold letters, digits and hyphens only, so that they always make a host.
            let ServiceKey {
                environment,
                service,
            } = service;
            let host = format!("http://{function}.{slot}.{service}.{environment}.test/");
            fixed.or_else(|| Url::parse(&host).ok())
        };
        let found = held
            .http
            .iter()
            .map(|name| address(name).map(|url| (name.clone(), url)));
        found.flatten().collect()
    }

    pub(super) fn content(
        &self,
        service: &ServiceKey,
        slot: Slot,
        held: Option<&Held>,
    ) -> SlotContent {
        let Some(held) = held else {
            return SlotContent::Empty;
        };
        if !held.missing.is_empty() {
            let here = |name: &FunctionName| !held.missing.contains(name);
            let functions = held.functions.iter();
            return SlotContent::Torn(
                functions
                    .map(|name| (name.clone(), here(name).then_some(held.release)))
                    .collect(),
            );
        }
        SlotContent::Whole(Holding {
            release: held.release,
            revision: Some(held.revision.clone()),
            addresses: self.addresses(service, slot, held),
            fields: held.fields.clone(),
            label: format!("release {}", held.release.short()),
            canary: None,
        })
    }

    /// Blue, with what takes a share of its requests.
    pub(super) fn shared(&self, key: &ServiceKey, service: &Service) -> SlotContent {
        let mut content = self.content(key, Slot::Blue, service.blue.as_ref());
        if let (SlotContent::Whole(holding), Some((release, weight))) =
            (&mut content, service.canary)
        {
            let is_there = holds(service.green.as_ref(), release);
            let fields = &mut holding.fields;
            fields.insert("traffic".to_owned(), "split".to_owned());
            holding.canary = Some(Canary {
                release: is_there.then_some(release),
                weight,
            });
        }
        content
    }
}

impl Service {
    pub(super) fn slot(&mut self, slot: Slot) -> &mut Option<Held> {
        match slot {
            Slot::Blue => &mut self.blue,
            Slot::Green => &mut self.green,
        }
    }

    pub(super) fn edit(&mut self, edit: HandEdit) {
        match edit {
            HandEdit::Field { slot, path, value } => {
                if let Some(held) = self.slot(slot) {
                    match value {
                        Some(value) => held.fields.insert(path, value),
                        None => held.fields.remove(&path),
                    };
                }
            }
            HandEdit::Empty(slot) => *self.slot(slot) = None,
            HandEdit::Tear { slot, function } => {
                if let Some(held) = self.slot(slot) {
                    held.missing.insert(function);
                }
            }
            HandEdit::Swap => std::mem::swap(&mut self.blue, &mut self.green),
            HandEdit::Share(canary) => self.canary = canary,
            // Kept beside the services: it is none of ours.
            HandEdit::Foreign(_) => {}
        }
    }

    pub(super) fn resources(&self, key: &ServiceKey) -> Vec<String> {
        let functions = self.functions();
        functions.iter().map(|it| resource(key, it)).collect()
    }

    pub(super) fn functions(&self) -> BTreeSet<FunctionName> {
        let functions = self.held().flat_map(|held| &held.functions);
        functions.cloned().collect()
    }

    pub(super) fn called(&self) -> Called {
        let none = Called::default();
        self.held()
            .fold(none, |called, held| called.or(&held.called))
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        [&self.blue, &self.green].into_iter().flatten()
    }
}

pub(super) fn resource(service: &ServiceKey, function: &FunctionName) -> String {
    format!("{}-{}-{function}", service.environment, service.service)
}

pub(super) fn holds(held: Option<&Held>, release: ReleaseDigest) -> bool {
    held.is_some_and(|held| held.release == release && held.missing.is_empty())
}
