//! How the state of services lies in the store: which tree, which key, which schema.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    desired::DesiredService,
    name::{ReleaseDigest, ServiceKey},
    plan::{
        apply::Write,
        state::{EventRecord, HistoryEntry, Live, Memory, Rejection, ReleaseRecord, ServiceState},
    },
    rollout::{Rollout, intent::Intent},
    store::{Batch, Record, Tree, typed::seq_key},
};

impl Record for Memory {
    const TREE: Tree = Tree::Service;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.service.to_string()
    }
}

impl Record for Live {
    const TREE: Tree = Tree::Live;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}/{}", self.service, self.target)
    }
}

impl Record for ReleaseRecord {
    const TREE: Tree = Tree::Release;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        release_key(&self.release.service, self.release.digest)
    }
}

impl Record for Rollout {
    const TREE: Tree = Tree::Rollout;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.service.to_string()
    }
}

impl Record for Intent {
    const TREE: Tree = Tree::Intent;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}/{}", self.service, self.key)
    }
}

impl Record for HistoryEntry {
    const TREE: Tree = Tree::History;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}/{}", self.service, seq_key(self.rollout))
    }
}

impl Record for EventRecord {
    const TREE: Tree = Tree::Event;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        seq_key(self.seq)
    }
}

/// The rejected releases of one service. They have a record of their own: losing them must not lose more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::reconcile) struct Rejections {
    pub(in crate::reconcile) service: ServiceKey,
    pub(in crate::reconcile) releases: BTreeMap<ReleaseDigest, Rejection>,
}

impl Record for Rejections {
    const TREE: Tree = Tree::Rejected;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.service.to_string()
    }
}

/// What Git asked of one service last, whole: it stands where nothing good can be read after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::reconcile) struct LastAsked {
    pub(in crate::reconcile) service: ServiceKey,
    pub(in crate::reconcile) desired: Arc<DesiredService>,
}

impl Record for LastAsked {
    const TREE: Tree = Tree::Meta;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.service.to_string()
    }
}

fn release_key(service: &ServiceKey, release: ReleaseDigest) -> String {
    format!("{service}/{release}")
}

/// Adds what changed to a batch, as it stands now. Events must have their numbers.
pub(in crate::reconcile) fn add(batch: &mut Batch, state: &ServiceState, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Memory => {
                let releases = state.memory.rejected.clone();
                batch.put(&state.memory).put(&Rejections {
                    service: state.key.clone(),
                    releases,
                });
                if let Some(desired) = state.ask.desired() {
                    batch.put(&LastAsked {
                        service: state.key.clone(),
                        desired: desired.clone(),
                    });
                }
            }
            Write::Rollout => put(batch, state.rollout.as_ref()),
            Write::Live(target) => match state.live.get(target) {
                Some(live) => {
                    batch.put(&**live);
                }
                None => {
                    batch.delete::<Live>(&format!("{}/{target}", state.key));
                }
            },
            Write::Release(release) => put(batch, state.releases.get(release).map(AsRef::as_ref)),
            Write::DropRelease(release) => {
                if !state.releases.contains_key(release) {
                    batch.delete::<ReleaseRecord>(&release_key(&state.key, *release));
                }
            }
            Write::Intent(key) => put(batch, state.intent(key)),
            Write::DropIntent(key) => {
                // The same key may have been recorded anew since.
                if !state.intents.contains_key(key) {
                    batch.delete::<Intent>(&format!("{}/{key}", state.key));
                }
            }
            Write::History(entry) => put(batch, Some(entry)),
            Write::Event(event) => put(batch, Some(event)),
            Write::Forget => forget(batch, state),
        }
    }
}

fn put<T: Record>(batch: &mut Batch, record: Option<&T>) {
    if let Some(record) = record {
        batch.put(record);
    }
}

fn forget(batch: &mut Batch, state: &ServiceState) {
    let key = state.key.to_string();
    batch
        .delete::<Memory>(&key)
        .delete::<Rollout>(&key)
        .delete::<Rejections>(&key)
        .delete::<LastAsked>(&key);
    for target in crate::name::CloudName::ALL {
        batch.delete::<Live>(&format!("{key}/{target}"));
    }
}
