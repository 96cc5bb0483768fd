//! What a restart remembers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use verdigris::{
    name::Actor,
    plan::{
        act::Action,
        state::{Ask, Policy},
    },
    reconcile::{
        Parts, Reconciler,
        handle::{Asked, Handle},
    },
};

use super::{Yard, reports, service, source};
use crate::stage::{Stage, key, version};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_stands_though_the_remote_is_gone() {
    let yard = Yard::new();
    yard.repository("shop");
    let follows = [yard.follows("shop")];
    let daemon = yard.daemon(&follows).await;
    let is_wanted =
        |state: &verdigris::plan::state::ServiceState| matches!(state.ask, Ask::Wanted(_));
    let before = service(&daemon, "shop", "asked for", is_wanted).await;
    daemon.stop().await;
    std::fs::remove_dir_all(yard.folder.path().join("shop")).unwrap();

    let daemon = yard.daemon(&follows).await;
    let after = service(&daemon, "shop", "asked for", is_wanted).await;
    assert_eq!(after.wanted(), before.wanted());
    source(&daemon, "shop", "a problem", |it| it.problem.is_some()).await;
    assert!(reports(&daemon)[0].needs_attention());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let yard = Yard::new();
    let daemon = yard.daemon(&[]).await;
    let made = std::fs::metadata(yard.folder.path().join("data"))
        .unwrap()
        .permissions();
    assert_eq!(made.mode() & 0o777, 0o700);
    daemon.stop().await;
}

/// Live at v2, and v1 before it; then a restart, and no repository can be read.
async fn unread(stage: &mut Stage) -> (Handle, CancellationToken) {
    for name in ["v1", "v2"] {
        stage.commit(&[version(name)]).await;
        stage.pass(Duration::from_secs(120)).await;
        assert_eq!(stage.phase().await, "Live");
    }
    let parts = Parts {
        clock: stage.clock.clone(),
        store: Arc::new(stage.store.image()),
        world: stage.world.clone(),
        policy: Policy::default(),
    };
    let (reconciler, handle) = Reconciler::new(parts).await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(reconciler.run(stop.clone()));
    (handle, stop)
}

#[tokio::test(start_paused = true)]
async fn the_last_good_release_stands_when_the_first_commit_is_wrong() {
    let mut stage = Stage::new().await;
    let (handle, stop) = unread(&mut stage).await;
    let wrong = Asked::Invalid(vec!["service.yaml:1:1: no".to_owned()]);
    handle.ask(&BTreeMap::from([(key(), wrong)]), true).await;
    let state = handle.state(&key()).await.unwrap();
    assert!(
        matches!(&state.ask, Ask::Invalid { last_good: Some(good), .. } if **good == version("v2"))
    );
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_rollback_needs_no_repository() {
    let mut stage = Stage::new().await;
    let (handle, stop) = unread(&mut stage).await;
    let back = Action::Rollback { to: None };
    handle
        .act(&key(), back, Actor::person("ana"))
        .await
        .unwrap();
    let begun = handle.state(&key()).await.unwrap().rollout.unwrap();
    assert_eq!(
        begun.spec,
        version("v2").rollout,
        "its gates are asked as ever"
    );
    stage.pass(Duration::from_secs(120)).await;
    let v1 = Some(version("v1").release.digest);
    let is_back = || async {
        let state = handle.state(&key()).await.unwrap();
        assert_eq!(state.memory.promoted, v1);
        assert_eq!(state.rollout.unwrap().phase.word(), "Live");
    };
    is_back().await;

    // Git is there again: what it asked for then is what the rollback held back.
    let asked = Asked::Wanted(Arc::new(version("v2")));
    handle.ask(&BTreeMap::from([(key(), asked)]), true).await;
    stage.pass(Duration::from_secs(300)).await;
    is_back().await;
    stop.cancel();
}
