//! The disk of one life: a store in memory, on which commits fail and processes die, and which is read over the daemon's shoulder.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use verdigris::{
    cloud::fake::Operation,
    desired::DesiredService,
    name::{CloudName, ReleaseDigest, ServiceKey},
    store::{
        Batch, Row, Scan, SetAside, Store, StoreError, Tree, memory::MemoryStore, typed::seq_key,
    },
};

use super::{
    checker::{EventRow, Held, RolloutRow, Sent},
    realm::{Life, Realm, forever},
};

pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    pub(crate) life: Arc<Life>,
    realm: Arc<Realm>,
    /// Twice the commits until the process dies there, after the last one's effect; one less dies before it. 0 is never.
    pub(crate) fuse: AtomicU64,
    read: Mutex<Reading>,
}

/// Events that are read again and again behind a number that is missing.
const GAP_MAX: usize = 64;

/// Which events were read already.
#[derive(Clone, Debug)]
struct Reading {
    /// All before it.
    floor: u64,
    above: BTreeSet<u64>,
}

/// An intent as it stands on the disk, as far as it matters here.
#[derive(serde::Deserialize)]
struct IntentRow {
    order: OrderRow,
    state: StateRow,
}

#[derive(serde::Deserialize)]
struct OrderRow {
    r#do: String,
    target: Option<CloudName>,
    release: Option<ReleaseDigest>,
}

#[derive(serde::Deserialize)]
struct StateRow {
    is: String,
}

impl Disk {
    pub(crate) fn new(realm: &Arc<Realm>, store: MemoryStore, life: &Arc<Life>) -> Self {
        Self {
            store,
            life: life.clone(),
            realm: realm.clone(),
            fuse: AtomicU64::new(0),
            read: Mutex::new(Reading {
                floor: 1,
                above: BTreeSet::new(),
            }),
        }
    }

    /// The same disk under another life.
    pub(crate) fn inherited(&self, life: &Arc<Life>) -> Self {
        let mut next = Self::new(&self.realm, self.store.image(), life);
        next.read = Mutex::new(self.read.lock().unwrap().clone());
        next
    }

    /// Every order at a cloud's door is on the disk as an open intent.
    pub(crate) async fn has_intent(&self, key: &ServiceKey, sent: &Sent) -> Held {
        let verb = match sent.operation {
            Operation::Stage => "stage",
            Operation::Shift => "shift",
            Operation::Promote => "promote",
            Operation::Retract => "retract",
            Operation::Repair => "repair",
            Operation::Prune => "prune",
            Operation::Observe | Operation::Inventory => return Ok(()),
        };
        let is_it = |row: &IntentRow| {
            row.state.is == "open"
                && row.order.r#do == verb
                && row.order.target == Some(sent.cloud)
                && row.order.release == sent.release
        };
        let rows = self.rows_of(Tree::Intent, format!("{key}/"), None).await;
        let intents = rows
            .iter()
            .filter_map(|(_, bytes)| parse::<IntentRow>(bytes));
        if intents.into_iter().any(|row| is_it(&row)) {
            return Ok(());
        }
        let told = format!(
            "{verb} of {key} on {} is sent, and the disk does not know",
            sent.cloud
        );
        Err(("recorded before it is sent", told))
    }

    async fn rows_of(&self, tree: Tree, prefix: String, from: Option<String>) -> Vec<Row> {
        let scan = Scan {
            prefix,
            from,
            ..Scan::default()
        };
        // A store in memory can always be read.
        self.store.rows(tree, scan).await.unwrap()
    }

    /// Reads the events that are new on the disk.
    async fn read_on(&self) {
        let from = self.read.lock().unwrap().floor;
        let rows = self
            .rows_of(Tree::Event, String::new(), Some(seq_key(from)))
            .await;
        for (_, bytes) in rows {
            let Some(event) = parse::<EventRow>(&bytes) else {
                continue;
            };
            if self.read.lock().unwrap().is_new(event.seq) {
                self.take_in(&event).await;
            }
        }
    }

    async fn take_in(&self, event: &EventRow) {
        self.realm.aside(|| {
            let service = event.service.as_deref().unwrap_or("-");
            format!("  . {service} {}: {}", event.reason, event.message)
        });
        let Some(key) = event.service.as_ref().and_then(|key| key.parse().ok()) else {
            return;
        };
        let service = self.realm.fleet.place(&key);
        let held = match event.reason.as_str() {
            "RolloutStarted" => {
                let row = self.one::<RolloutRow>(Tree::Rollout, &key).await;
                let row = row.filter(|row| Some(row.id) == event.rollout);
                row.map_or(Ok(()), |row| self.realm.checker().began(service, row))
            }
            "LiveStateLearnt" => {
                #[derive(serde::Deserialize)]
                struct MemoryRow {
                    promoted: Option<ReleaseDigest>,
                }
                let row = self.one::<MemoryRow>(Tree::Service, &key).await;
                let promoted = row.and_then(|row| row.promoted);
                promoted.map_or(Ok(()), |it| self.realm.checker().learnt(service, it))
            }
            _ => self.realm.checker().claimed(service, event),
        };
        self.realm.hold(held);
    }

    async fn one<T: serde::de::DeserializeOwned>(&self, tree: Tree, key: &ServiceKey) -> Option<T> {
        let key = key.to_string();
        let rows = self.rows_of(tree, key.clone(), None).await;
        let row = rows.iter().find(|(stored, _)| *stored == key.as_bytes());
        row.and_then(|(_, bytes)| parse(bytes))
    }

    /// What was asked of a service last, as far as it was written down.
    pub(crate) async fn asked_last(&self, key: &ServiceKey) -> Option<DesiredService> {
        #[derive(serde::Deserialize)]
        struct AskedRow {
            desired: DesiredService,
        }
        let row = self.one::<AskedRow>(Tree::Meta, key).await;
        row.map(|row| row.desired)
    }

    /// Spoils a record; whether there was one.
    pub(crate) async fn rot(&self, tree: Tree, key: &ServiceKey) -> bool {
        let rows = self.rows_of(tree, key.to_string(), None).await;
        let Some((key, _)) = rows.first() else {
            return false;
        };
        self.store
            .damage(tree, &String::from_utf8_lossy(key), b"rot");
        true
    }

    /// Whether some record holds this text, other than those of what manifests say.
    pub(crate) async fn tells(&self, text: &str) -> Option<Tree> {
        let is_told = |tree: &Tree| !matches!(tree, Tree::Release | Tree::Meta);
        for tree in Tree::ALL.into_iter().filter(is_told) {
            let rows = self.rows_of(tree, String::new(), None).await;
            let holds = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|it| it == text.as_bytes());
            if rows.iter().any(|(_, bytes)| holds(bytes)) {
                return Some(tree);
            }
        }
        None
    }
}

impl Reading {
    fn is_new(&mut self, seq: u64) -> bool {
        if seq < self.floor || !self.above.insert(seq) {
            return false;
        }
        while self.above.remove(&self.floor) {
            self.floor += 1;
        }
        // A number that was given out and never written.
        if self.above.len() > GAP_MAX {
            self.floor = self.above.first().copied().unwrap_or(self.floor);
        }
        true
    }
}

/// A record's JSON, without the envelope's line.
fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    serde_json::from_slice(&bytes[line + 1..]).ok()
}

#[async_trait]
impl Store for Disk {
    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if self.life.is_dead() {
            return forever().await;
        }
        let left = self.fuse.load(Ordering::Relaxed);
        self.fuse.store(left.saturating_sub(2), Ordering::Relaxed);
        if left == 1 {
            self.life.end();
            return forever().await;
        }
        let done = self.store.commit(batch).await;
        self.read_on().await;
        if left == 2 {
            self.life.end();
            return forever().await;
        }
        done
    }

    async fn rows(&self, tree: Tree, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.store.rows(tree, scan).await
    }

    async fn last_key(&self, tree: Tree) -> Result<Option<String>, StoreError> {
        self.store.last_key(tree).await
    }

    async fn all_set_aside(&self) -> Result<Vec<SetAside>, StoreError> {
        self.store.all_set_aside().await
    }
}
