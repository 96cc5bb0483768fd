//! The store: what is acknowledged is found again, and what is broken stops nothing else.

mod crash;
mod damage;
mod model;

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use verdigris::{
    name::Timestamp,
    store::{
        Batch, Record, Store, StoreError, StoreExt, Tree,
        disk::{DiskStore, Options},
        memory::{Fault, MemoryStore},
        typed::seq_key,
    },
};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Note {
    name: String,
    text: String,
}

impl Record for Note {
    const TREE: Tree = Tree::Live;
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn upgrade(from: u32, mut value: serde_json::Value) -> Option<serde_json::Value> {
        let words = value.as_object_mut()?.remove("words")?;
        value["text"] = words;
        (from == 1).then_some(value)
    }
}

/// What `Note` was before.
#[derive(Serialize, Deserialize)]
struct OldNote {
    name: String,
    words: String,
}

impl Record for OldNote {
    const TREE: Tree = Tree::Live;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.name.clone()
    }
}

/// What `Note` will be.
#[derive(Serialize, Deserialize)]
struct NewNote(String);

impl Record for NewNote {
    const TREE: Tree = Tree::Live;
    const SCHEMA: u32 = 3;

    fn key(&self) -> String {
        self.0.clone()
    }
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Event {
    seq: u64,
}

impl Record for Event {
    const TREE: Tree = Tree::Event;
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        seq_key(self.seq)
    }
}

fn note(name: &str, text: &str) -> Note {
    let (name, text) = (name.to_owned(), text.to_owned());
    Note { name, text }
}

fn open(folder: &Path) -> Result<DiskStore, StoreError> {
    DiskStore::open(
        folder,
        &Options::default(),
        Timestamp::from_millis(1_763_000_000_000),
    )
}

async fn put<T: Record>(store: &dyn Store, record: &T) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(record);
    store.commit(batch).await
}

async fn notes(store: &dyn Store) -> Vec<Note> {
    store.load_all::<Note>().await.unwrap().records
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let mut batch = Batch::new();
    batch
        .put(&note("a", "1"))
        .put(&note("b", "2"))
        .put(&note("c", "3"));
    batch.delete::<Note>("b").put(&note("a", "4"));
    store.commit(batch).await.unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(notes(&store).await, [note("a", "4"), note("c", "3")]);
    assert_eq!(store.get("c").await.unwrap(), Some(note("c", "3")));
    assert_eq!(store.get::<Note>("b").await.unwrap(), None);
    assert_eq!(store.moved_aside(), None);
}

#[tokio::test]
async fn large_records_are_kept_inside_the_log_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let sizes = [
        0, 1, 3900, 4000, 4096, 8192, 9000, 65_536, 1_000_000, 5, 300_000,
    ];
    for round in 0..3 {
        for (index, size) in sizes.into_iter().cycle().take(80).enumerate() {
            let text = "x".repeat(size + round);
            put(&store, &note(&format!("{index:03}"), &text))
                .await
                .unwrap();
        }
    }
    let blobs = fs::read_dir(folder.path().join("store/blobs")).unwrap();
    assert_eq!(blobs.count(), 0, "sled does not sync what it puts there");
    drop(store);
    let store = open(folder.path()).unwrap();
    let lengths: Vec<usize> = notes(&store)
        .await
        .iter()
        .map(|note| note.text.len())
        .collect();
    let wanted: Vec<usize> = sizes
        .into_iter()
        .cycle()
        .take(80)
        .map(|size| size + 2)
        .collect();
    assert_eq!(lengths, wanted);
}

#[tokio::test]
async fn a_record_that_cannot_be_written_spoils_its_batch_and_nothing_else() {
    let store = MemoryStore::new();
    let long = "k".repeat(201);
    let cases = [
        (note("", "x"), "live key `` is empty".to_owned()),
        (
            note("a\nb", "x"),
            "live key `a\nb` may not hold control characters".to_owned(),
        ),
        (
            note(&long, "x"),
            format!("live key `{long}` has 201 bytes: at most 200 are allowed"),
        ),
        (
            note("big", &"x".repeat(1024 * 1024)),
            "live record `big` has 1048600 bytes: at most 1048576 are kept".to_owned(),
        ),
    ];
    for (bad, wanted) in cases {
        let mut batch = Batch::new();
        batch.put(&note("good", "x")).put(&bad);
        let error = store.commit(batch).await.unwrap_err();
        assert_eq!(error.to_string(), wanted);
        assert!(!error.is_in_doubt());
    }
    assert_eq!(notes(&store).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_that_commit_at_once_share_flushes_and_do_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).unwrap());
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for turn in 0..10 {
                    put(&*store, &note(&format!("{task:02}-{turn}"), "x"))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    let all = futures_util::future::join_all(tasks);
    let done = tokio::time::timeout(Duration::from_secs(60), all).await;
    done.unwrap().into_iter().for_each(|task| task.unwrap());
    assert_eq!(notes(&*store).await.len(), 640);
}

#[tokio::test]
async fn a_second_daemon_is_told_who_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let Err(error) = open(folder.path()) else {
        panic!("two daemons in one folder");
    };
    let StoreError::Locked { holder, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(holder.pid, std::process::id());
    let told = error.to_string();
    assert!(
        told.contains(&format!("is held by process {}", std::process::id())),
        "{told}"
    );
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn a_file_in_the_place_of_the_folder_is_told_as_not_writable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    fs::write(&path, "no folder").unwrap();
    let Err(error) = open(&path) else {
        panic!("opened a file");
    };
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"no folder");
}

#[tokio::test]
async fn a_full_disk_refuses_new_records_keeps_old_ones_and_lets_them_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, &note("a", "1")).await.unwrap();
    put(&store, &note("b", "1")).await.unwrap();
    drop(store);
    let reserve_bytes = u64::MAX;
    let options = Options {
        reserve_bytes,
        ..Options::default()
    };
    let store = DiskStore::open(
        folder.path(),
        &options,
        Timestamp::from_millis(1_763_000_000_000),
    )
    .unwrap();
    let error = put(&store, &note("c", "1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let mut batch = Batch::new();
    batch.delete::<Note>("a");
    store.commit(batch).await.unwrap();
    assert_eq!(notes(&store).await, [note("b", "1")]);
}

#[tokio::test]
async fn records_of_an_older_schema_are_upgraded_as_they_are_read() {
    let store = MemoryStore::new();
    let (name, words) = ("a".to_owned(), "hello".to_owned());
    put(&store, &OldNote { name, words }).await.unwrap();
    put(&store, &note("b", "new")).await.unwrap();
    assert_eq!(notes(&store).await, [note("a", "hello"), note("b", "new")]);
}

#[tokio::test]
async fn event_numbers_grow_over_restarts_pruning_and_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).unwrap();
    assert_eq!(store.next_seq(Tree::Event).await.unwrap(), 1);
    let mut batch = Batch::new();
    for seq in 1..=1500 {
        batch.put(&Event { seq });
    }
    store.commit(batch).await.unwrap();
    let keep = NonZeroUsize::new(100).unwrap();
    let mut pruned = Vec::new();
    for _ in 0..3 {
        pruned.push(store.prune(Tree::Event, "", keep).await.unwrap());
        drop(store);
        store = open(folder.path()).unwrap();
    }
    assert_eq!(pruned, [1000, 400, 0]);
    assert_eq!(store.next_seq(Tree::Event).await.unwrap(), 1501);
    let page = store.range(Tree::Event, &seq_key(1450), 2).await.unwrap();
    let keys: Vec<String> = page.records.into_iter().map(|record| record.key).collect();
    assert_eq!(keys, [seq_key(1450), seq_key(1451)]);
    let last = store.last_of::<Event>("", 2).await.unwrap().records;
    assert_eq!(last, [Event { seq: 1500 }, Event { seq: 1499 }]);
    drop(store);
    let db = sled::open(folder.path().join("store")).unwrap();
    db.open_tree("event")
        .unwrap()
        .insert(seq_key(1500), b"?")
        .unwrap();
    db.flush().unwrap();
    drop(db);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.load(Tree::Event).await.unwrap().set_aside.len(), 1);
    assert_eq!(
        store.next_seq(Tree::Event).await.unwrap(),
        1501,
        "1500 was given once"
    );
}

#[tokio::test]
async fn a_told_fault_fails_one_commit_before_or_after_its_effect() {
    for (fault, wanted) in [(Fault::BeforeEffect, 1), (Fault::AfterEffect, 2)] {
        let store = MemoryStore::new();
        store.fail_commit(2, fault);
        put(&store, &note("a", "1")).await.unwrap();
        let error = put(&store, &note("b", "1")).await.unwrap_err();
        assert!(error.is_in_doubt());
        assert_eq!(notes(&store.image()).await.len(), wanted, "{fault:?}");
        put(&store, &note("c", "1")).await.unwrap();
        assert_eq!(store.commits(), 3);
    }
}
