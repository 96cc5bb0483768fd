//! The store: what is acknowledged is found again, and what is broken stops nothing else.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    num::NonZeroUsize,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use verdigris::{
    name::Timestamp,
    store::{
        Batch, Record, Scan, SetAside, Store, StoreError, StoreExt, Tree,
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

/// Changes sled's rows behind the store's back.
fn with_sled(folder: &Path, change: impl FnOnce(&sled::Tree)) {
    let db = sled::open(folder.join("store")).unwrap();
    change(&db.open_tree("live").unwrap());
    db.flush().unwrap();
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
async fn a_record_that_cannot_be_read_is_set_aside_and_stops_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for name in ["a", "b", "c", "d"] {
        put(&store, &note(name, &name.repeat(5000))).await.unwrap();
    }
    put(&store, &NewNote("e".to_owned())).await.unwrap();
    drop(store);
    with_sled(folder.path(), |live| {
        let mut bytes = live.get("a").unwrap().unwrap().to_vec();
        bytes.push(7);
        live.insert("a", bytes).unwrap();
        live.insert("c", b"garbage").unwrap();
        live.insert(b"\xff\xfe", b"").unwrap();
    });
    let store = open(folder.path()).unwrap();
    let loaded = store.load_all::<Note>().await.unwrap();
    let names: Vec<&str> = loaded
        .records
        .iter()
        .map(|note| note.name.as_str())
        .collect();
    assert_eq!(names, ["b", "d"]);
    let aside = |key: &str, why: &str| SetAside {
        tree: Tree::Live,
        key: key.to_owned(),
        why: why.to_owned(),
    };
    let wanted = [
        aside("a", "header line is missing"),
        aside("c", "header line is missing"),
        aside("e", "schema 3 is newer than ours, 2"),
        aside("\u{fffd}\u{fffd}", "key is not text"),
    ];
    assert_eq!(loaded.set_aside, wanted);
    let again = store.load_all::<Note>().await.unwrap();
    assert_eq!(
        (again.records.len(), again.set_aside.len()),
        (2, 0),
        "told once"
    );
    put(&store, &note("a", "new")).await.unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.all_set_aside().await.unwrap(), wanted);
    assert_eq!(store.get("a").await.unwrap(), Some(note("a", "new")));
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
async fn a_record_that_was_rewritten_meanwhile_is_not_set_aside() {
    let store = MemoryStore::new();
    store.damage(Tree::Live, "a", b"bad");
    let rows = store.rows(Tree::Live, Scan::default()).await.unwrap();
    assert_eq!(rows.len(), 1);
    put(&store, &note("a", "good")).await.unwrap();
    assert_eq!(store.load_all::<Note>().await.unwrap().set_aside, []);
    assert_eq!(notes(&store).await, [note("a", "good")]);
}

#[tokio::test]
async fn a_folder_that_does_not_open_is_moved_aside_and_a_fresh_one_is_started() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let store = open(folder.path()).unwrap();
        put(&store, &note("a", "1")).await.unwrap();
        drop(store);
        for file in ["db", "conf"] {
            let path = folder.path().join("store").join(file);
            let bytes = vec![0xa5; fs::metadata(&path).unwrap().len() as usize];
            fs::write(&path, bytes).unwrap();
        }
        let store = open(folder.path()).unwrap();
        let moved = store.moved_aside().unwrap();
        assert_eq!(
            moved.path,
            folder.path().join(format!("store.corrupt-{round}"))
        );
        assert_eq!(notes(&store).await, []);
        put(&store, &note("b", "1")).await.unwrap();
    }
    let kept = fs::read_dir(folder.path()).unwrap();
    let names = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let corrupt = names
        .filter(|name| name.starts_with("store.corrupt-"))
        .count();
    assert_eq!(corrupt, 3, "damaged stores must not fill the disk");
}

#[tokio::test]
async fn a_damaged_byte_anywhere_never_keeps_the_daemon_from_starting() {
    let source = tempfile::tempdir().unwrap();
    let store = open(source.path()).unwrap();
    for index in 0..60 {
        put(
            &store,
            &note(&format!("{index:02}"), &"x".repeat(index * 100)),
        )
        .await
        .unwrap();
    }
    drop(store);
    let db = fs::read(source.path().join("store/db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();
    for step in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = db.clone();
        damaged[used * step / 40] ^= 0xff;
        copy_store(source.path(), folder.path());
        fs::write(folder.path().join("store/db"), damaged).unwrap();
        let store = open(folder.path()).unwrap();
        for note in notes(&store).await {
            let index: usize = note.name.parse().unwrap();
            assert_eq!(note.text.len(), index * 100, "step {step}");
        }
        put(&store, &note("new", "1")).await.unwrap();
        assert_eq!(store.get("new").await.unwrap(), Some(note("new", "1")));
    }
}

fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("store/blobs")).unwrap();
    for entry in fs::read_dir(from.join("store")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join("store").join(entry.file_name())).unwrap();
        }
    }
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

const CHILD_FOLDER: &str = "VERDIGRIS_TEST_STORE_FOLDER";

/// Law: what was acknowledged before `kill -9` is found after it, and no batch in part.
#[tokio::test]
async fn every_acknowledged_batch_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut floor = 0;
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::child_that_commits_until_it_is_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = floor;
        for line in lines.map_while(Result::ok) {
            let Some(number) = line.rsplit("acknowledged ").next() else {
                continue;
            };
            acknowledged = number.parse().unwrap_or(acknowledged);
            if acknowledged >= floor + 40 + round * 7 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let store = open(folder.path()).unwrap();
        assert_eq!(store.moved_aside(), None);
        let found = store.next_seq(Tree::Event).await.unwrap() - 1;
        assert!(
            found >= acknowledged,
            "{acknowledged} acknowledged, {found} found"
        );
        assert_eq!(
            store.load_all::<Event>().await.unwrap().records.len() as u64,
            found
        );
        assert_eq!(
            notes(&store).await.len() as u64,
            found,
            "each batch has one of each"
        );
        assert!(acknowledged > floor);
        floor = found;
    }
}

/// Not a test: the process that the test above starts and kills.
#[tokio::test]
#[ignore = "started by every_acknowledged_batch_survives_kill_9"]
async fn child_that_commits_until_it_is_killed() {
    let folder = std::env::var_os(CHILD_FOLDER).unwrap();
    let store = open(Path::new(&folder)).unwrap();
    let mut seq = store.next_seq(Tree::Event).await.unwrap();
    loop {
        let mut batch = Batch::new();
        let text = "x".repeat(usize::try_from(seq % 50).unwrap() * 400);
        batch.put(&Event { seq }).put(&note(&seq_key(seq), &text));
        store.commit(batch).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {seq}").unwrap();
        out.flush().unwrap();
        seq += 1;
    }
}

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
                    verdigris::store::Order::Descending
                } else {
                    verdigris::store::Order::Ascending
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
