//! What a host asks before it runs anything: whether its own storage lets it in.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Trust, principals};
use crate::{
    clock::Clock,
    local::arm::{cloud::Cloud, model::Slot, slots::flex::BLOB_ROLES},
    name::Timestamp,
};

/// The account that keeps what a host knows of itself.
const ACCOUNT: &str = "AzureWebJobsStorage__accountName";

/// The storage of one host, and who the host is.
pub(in crate::local::arm) struct Storage {
    account: String,
    principals: BTreeSet<String>,
    trust: Arc<Mutex<Trust>>,
    clock: Arc<dyn Clock>,
}

/// The storage of who runs in a slot with these settings; none where they hold its key.
pub(in crate::local::arm) fn of(
    cloud: &Cloud,
    slot: &Slot,
    settings: &BTreeMap<String, String>,
) -> Option<Storage> {
    Some(Storage {
        account: settings.get(ACCOUNT)?.to_ascii_lowercase(),
        principals: principals(slot),
        trust: cloud.trust.clone(),
        clock: cloud.clock.clone(),
    })
}

impl Storage {
    /// Whether the host may read and write there by now.
    pub(in crate::local::arm) fn lets_in(&self) -> bool {
        let trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        trust.reaches(&self.principals, &self.account, self.clock.now())
    }
}

impl Trust {
    /// Names of accounts are one space for all of Azure: what is given above an account is not told from what is given above others.
    fn reaches(&self, principals: &BTreeSet<String>, account: &str, now: Timestamp) -> bool {
        self.roles.values().any(|given| {
            let scope = given.scope.to_ascii_lowercase();
            let named = scope.split("/storageaccounts/").nth(1);
            let is_there = named.is_none_or(|named| named == account);
            let is_fit = BLOB_ROLES.iter().any(|role| given.is(role));
            is_there && is_fit && principals.contains(&given.principal) && given.counts_by(now)
        })
    }
}
