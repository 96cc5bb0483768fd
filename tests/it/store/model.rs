//! Both stores against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use verdigris::store::{Batch, Order, Scan, Store, StoreExt as _, memory::MemoryStore};

use super::{Note, note, open};

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, Option<u16>)>),
    Reopen,
    Read {
        from: u8,
        before: u8,
        skip: usize,
        limit: usize,
        newest: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let change = (0..24_u8, proptest::option::of(0..9000_u16));
    prop_oneof![
        6 => proptest::collection::vec(change, 0..8).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
        3 => (0..24_u8, 0..24_u8, 0..4_usize, 0..9_usize, any::<bool>())
            .prop_map(|(from, before, skip, limit, newest)| Step::Read { from, before, skip, limit, newest }),
    ]
}

fn key(number: u8) -> String {
    format!("k/{number:02}")
}

fn batch_of(changes: &[(u8, Option<u16>)]) -> Batch {
    let mut batch = Batch::new();
    for (number, size) in changes {
        match size {
            Some(size) => batch.put(&note(&key(*number), &"y".repeat((*size).into()))),
            None => batch.delete::<Note>(&key(*number)),
        };
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Law: both stores read like a plain map, also after opening again.
    #[test]
    fn batches_replay_equal_to_a_map(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(replay(steps));
    }
}

async fn replay(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut model: BTreeMap<String, usize> = BTreeMap::new();
    let memory = MemoryStore::new();
    let mut disk = open(folder.path()).unwrap();
    for step in steps {
        match step {
            Step::Commit(changes) => {
                disk.commit(batch_of(&changes)).await.unwrap();
                memory.commit(batch_of(&changes)).await.unwrap();
                for (number, size) in changes {
                    match size {
                        Some(size) => drop(model.insert(key(number), size.into())),
                        None => drop(model.remove(&key(number))),
                    }
                }
            }
            Step::Reopen => {
                drop(disk);
                disk = open(folder.path()).unwrap();
            }
            Step::Read {
                from,
                before,
                skip,
                limit,
                newest,
            } => {
                let order = if newest {
                    Order::Descending
                } else {
                    Order::Ascending
                };
                let (from, before) = (key(from), key(before));
                let inside = model
                    .iter()
                    .filter(|(key, _)| **key >= from && **key < before);
                let mut wanted: Vec<(String, usize)> =
                    inside.map(|(key, size)| (key.clone(), *size)).collect();
                if newest {
                    wanted.reverse();
                }
                let wanted: Vec<_> = wanted.into_iter().skip(skip).take(limit).collect();
                let scan = Scan {
                    prefix: "k/".to_owned(),
                    from: Some(from),
                    before: Some(before),
                    order,
                    skip,
                    limit,
                };
                assert_eq!(sizes(&disk, scan.clone()).await, wanted);
                assert_eq!(sizes(&memory, scan).await, wanted);
            }
        }
    }
    let wanted: Vec<(String, usize)> = model.into_iter().collect();
    assert_eq!(sizes(&disk, Scan::default()).await, wanted);
    assert_eq!(sizes(&memory, Scan::default()).await, wanted);
}

async fn sizes(store: &dyn Store, scan: Scan) -> Vec<(String, usize)> {
    let found = store.find::<Note>(scan).await.unwrap();
    assert_eq!(found.set_aside, []);
    found
        .records
        .into_iter()
        .map(|note| (note.name, note.text.len()))
        .collect()
}
