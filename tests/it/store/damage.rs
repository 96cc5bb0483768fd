//! Bytes that are not what was written.

use std::{fs, path::Path};

use verdigris::store::{Scan, SetAside, Store as _, StoreExt as _, Tree, memory::MemoryStore};

use super::{NewNote, Note, note, notes, open, put};

/// Changes sled's rows behind the store's back.
fn with_sled(folder: &Path, change: impl FnOnce(&sled::Tree)) {
    let db = sled::open(folder.join("store")).unwrap();
    change(&db.open_tree("live").unwrap());
    db.flush().unwrap();
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
