//! A process that is killed in the middle of committing.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use verdigris::store::{Batch, Store as _, StoreExt as _, Tree, typed::seq_key};

use super::{Event, note, notes, open};

const CHILD_FOLDER: &str = "VERDIGRIS_TEST_STORE_FOLDER";

/// Law: what was acknowledged before `kill -9` is found after it, and no batch in part.
#[tokio::test]
async fn every_acknowledged_batch_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut floor = 0;
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::crash::child_that_commits_until_it_is_killed",
            ])
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
