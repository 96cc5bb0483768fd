//! Folders and records do not grow for ever.

use std::{fs, sync::Arc, time::Duration};

use verdigris::{
    build::{Builder, Limits},
    daemon::packages::Packages,
    name::{Actor, CodeDigest, Timestamp},
    plan::state::HistoryEntry,
    store::{Batch, Scan, Store as _, Tree},
};

use super::Yard;
use crate::stage::{Stage, key, version};

#[tokio::test(start_paused = true)]
async fn packages_that_no_release_names_go() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("v1")]).await;
    stage.pass(Duration::from_secs(120)).await;
    let yard = Yard::new();
    let folder = yard.folder.path().join("packages");
    fs::create_dir_all(&folder).unwrap();
    let named = stage.handle.packages().await;
    assert_eq!(named.len(), 2);
    let stray = CodeDigest::of(b"stray");
    for code in named.iter().chain([&stray]) {
        fs::write(folder.join(format!("{}.zip", code.hex())), "").unwrap();
    }
    let builder = Builder::new(yard.folder.path().to_owned(), Limits::default());
    let packages = Packages::new(builder);
    assert_eq!(packages.tidy(&stage.handle).await.unwrap(), 1);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_removes_what_a_crash_left() {
    let yard = Yard::new();
    let folder = yard.folder.path().join("data/packages");
    fs::create_dir_all(folder.join("work/build-x/source")).unwrap();
    fs::create_dir_all(folder.join("packages")).unwrap();
    fs::write(folder.join("packages/draft-1"), "half").unwrap();
    let stray = format!("packages/{}.zip", CodeDigest::of(b"stray").hex());
    fs::write(folder.join(stray), "whole").unwrap();
    let daemon = yard.daemon(&[]).await;
    assert!(!folder.join("work").exists());
    assert_eq!(fs::read_dir(folder.join("packages")).unwrap().count(), 0);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn old_history_is_dropped() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("v1")]).await;
    let mut batch = Batch::new();
    for rollout in 1000..1230 {
        batch.put(&HistoryEntry {
            service: key(),
            rollout,
            release: version("v1").release.digest,
            revision: version("v1").release.revision,
            previous: None,
            outcome: "Live".to_owned(),
            message: String::new(),
            trigger: "commit".to_owned(),
            actor: Actor::daemon(),
            started_at: Timestamp::default(),
            ended_at: Timestamp::default(),
            transitions: Vec::new(),
            bypass: None,
        });
    }
    let store: Arc<_> = stage.store.clone();
    store.commit(batch).await.unwrap();
    stage.pass(Duration::from_secs(700)).await;
    let rows = store.rows(Tree::History, Scan::default()).await.unwrap();
    assert_eq!(rows.len(), 200);
    assert!(rows[199].0.ends_with(b"1229"));
}
