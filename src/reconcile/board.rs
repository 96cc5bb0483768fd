//! What is told of every service, for readers that must never wait for a pass.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::lock;
use crate::{name::ServiceKey, status::ServiceReport};

/// The newest report of every service.
pub(super) struct Board {
    reports: Mutex<BTreeMap<ServiceKey, Arc<ServiceReport>>>,
    version: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            reports: Mutex::default(),
            version: watch::channel(0).0,
        }
    }
}

impl Board {
    pub(super) fn get(&self, key: &ServiceKey) -> Option<Arc<ServiceReport>> {
        lock(&self.reports).get(key).cloned()
    }

    /// Puts up a report, made with the version that it will carry.
    pub(super) fn put(
        &self,
        key: &ServiceKey,
        report: impl FnOnce(Option<&ServiceReport>, u64) -> Option<ServiceReport>,
    ) {
        let mut reports = lock(&self.reports);
        let version = *self.version.borrow() + 1;
        match report(reports.get(key).map(AsRef::as_ref), version) {
            Some(report) => reports.insert(key.clone(), Arc::new(report)),
            None => reports.remove(key),
        };
        drop(reports);
        self.version.send_replace(version);
    }

    /// Up to `limit` reports after a key, in order, that the reader wants.
    pub(super) fn page(
        &self,
        after: Option<&ServiceKey>,
        limit: usize,
        wanted: impl Fn(&ServiceReport) -> bool,
    ) -> Vec<Arc<ServiceReport>> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let reports = lock(&self.reports);
        let rows = reports.range::<ServiceKey, _>((from, Bound::Unbounded));
        rows.map(|(_, report)| report)
            .filter(|report| wanted(report))
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.reports).len()
    }

    /// Changes when any report does.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}
