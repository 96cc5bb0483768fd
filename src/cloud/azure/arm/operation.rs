//! The calls that we make, by name: whether they read or write, and whether one may be sent twice.

use std::{collections::BTreeMap, sync::Mutex};

use azure_core::http::Method;

/// What a call does to the cloud.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cloud::azure) enum Effect {
    Reads,
    /// Writes; once or twice is the same.
    Puts,
    /// Starts something; twice is not the same as once.
    Starts,
}

/// One kind of call.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloud::azure) struct Operation {
    pub(in crate::cloud::azure) name: &'static str,
    pub(in crate::cloud::azure) method: Method,
    pub(in crate::cloud::azure) effect: Effect,
}

macro_rules! operations {
    ($($constant:ident = $name:literal, $method:ident, $effect:ident;)*) => {
        $(pub(in crate::cloud::azure) const $constant: Operation =
            Operation { name: $name, method: Method::$method, effect: Effect::$effect };)*

        /// Every operation that changes something, by name.
        const ALL: &[Operation] = &[$($constant),*];
    };
}

operations! {
    GROUPS_GET = "groups.get", Get, Reads;
    GROUPS_PUT = "groups.put", Put, Puts;
    PLANS_GET = "plans.get", Get, Reads;
    PLANS_PUT = "plans.put", Put, Puts;
    PLANS_DELETE = "plans.delete", Delete, Puts;
    CONTAINERS_GET = "containers.get", Get, Reads;
    CONTAINERS_PUT = "containers.put", Put, Puts;
    CONTAINERS_DELETE = "containers.delete", Delete, Puts;
    ACCOUNTS_GET = "storage.get", Get, Reads;
    ACCOUNTS_PUT = "storage.put", Put, Puts;
    SITES_GET = "sites.get", Get, Reads;
    SITES_PUT = "sites.put", Put, Puts;
    SITES_PATCH = "sites.patch", Patch, Puts;
    SITES_LIST = "sites.list", Get, Reads;
    SITES_DELETE = "sites.delete", Delete, Puts;
    SITES_START = "start", Post, Puts;
    SLOTS_GET = "slots.get", Get, Reads;
    SLOTS_PUT = "slots.put", Put, Puts;
    SLOTS_LIST = "slots.list", Get, Reads;
    SLOTS_DELETE = "slots.delete", Delete, Puts;
    SETTINGS_LIST = "appsettings.list", Post, Reads;
    SETTINGS_PUT = "appsettings.put", Put, Puts;
    STICKY_GET = "slotconfignames.get", Get, Reads;
    STICKY_PUT = "slotconfignames.put", Put, Puts;
    FUNCTIONS_LIST = "functions.list", Get, Reads;
    TAGS_PATCH = "tags.patch", Patch, Puts;
    SWAP = "slotsswap", Post, Starts;
    OPERATIONS_GET = "operations.get", Get, Reads;
    BLOBS_LIST = "blobs.list", Get, Reads;
    BLOBS_DELETE = "blobs.delete", Delete, Puts;
    BLOBS_PUT = "blobs.put", Put, Puts;
    TRIGGERS_SYNC = "syncfunctiontriggers", Post, Puts;
    ZIPDEPLOY = "zipdeploy", Post, Starts;
    PUBLISH = "publish", Post, Starts;
    DEPLOYMENTS_GET = "deployments.get", Get, Reads;
    WEB_GET = "config.get", Get, Reads;
    AUTH_GET = "auth.get", Get, Reads;
    AUTH_PUT = "auth.put", Put, Puts;
    REFERENCES_LIST = "references.list", Get, Reads;
    HOST_STATUS = "host.status", Get, Reads;
    LOGS_LIST = "logs.list", Get, Reads;
    LOGS_GET = "logs.get", Get, Reads;
    PREVIEW = "applyslotconfig", Post, Puts;
    PREVIEW_END = "resetslotconfig", Post, Puts;
    ROLES_LIST = "roles.list", Get, Reads;
    ROLES_PUT = "roles.put", Put, Puts;
    VAULTS_GET = "vaults.get", Get, Reads;
    VAULTS_DELETED = "vaults.deleted", Get, Reads;
    VAULTS_PUT = "vaults.put", Put, Puts;
    INSIGHTS_GET = "insights.get", Get, Reads;
    INSIGHTS_PUT = "insights.put", Put, Puts;
    API_GET = "api.get", Get, Reads;
    API_PUT = "api.put", Put, Puts;
    API_DELETE = "api.delete", Delete, Puts;
    APIS_LIST = "apis.list", Get, Reads;
    GATEWAYS_GET = "gateways.get", Get, Reads;
    GATEWAYS_LIST = "gateways.list", Get, Reads;
    API_POLICY = "api.policy", Get, Reads;
    API_OPERATIONS = "api.operations", Get, Reads;
    ACTIVITY_LIST = "activity.list", Get, Reads;
    HOST_KEYS = "host.listkeys", Post, Reads;
    INSIGHTS_QUERY = "insights.query", Post, Reads;
    METRICS_LIST = "metrics.list", Get, Reads;
    DEPLOYMENTS_LOG = "deployments.log", Get, Reads;
}

impl Operation {
    /// Whether a call of unknown outcome may simply be sent again.
    pub(in crate::cloud::azure) fn may_repeat(self) -> bool {
        match self.effect {
            Effect::Reads | Effect::Puts => true,
            Effect::Starts => false,
        }
    }

    pub(in crate::cloud::azure) fn writes(self) -> bool {
        match self.effect {
            Effect::Reads => false,
            Effect::Puts | Effect::Starts => true,
        }
    }
}

/// How often each operation was sent, tries counted one by one.
#[derive(Debug, Default)]
pub(in crate::cloud::azure) struct Calls(Mutex<BTreeMap<&'static str, u64>>);

impl Calls {
    pub(in crate::cloud::azure) fn count(&self, operation: Operation) {
        let mut counts = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *counts.entry(operation.name).or_default() += 1;
    }

    pub(in crate::cloud::azure) fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    pub(in crate::cloud::azure) fn writing(&self) -> u64 {
        let counts = self.all();
        let writing = ALL.iter().filter(|operation| operation.writes());
        writing
            .filter_map(|operation| counts.get(operation.name))
            .sum()
    }
}
