//! Laws of the loop: what holds for every service, whatever goes wrong.

use std::time::Duration;

use verdigris::{
    cloud::{
        CloudError,
        fake::{Fault, HandEdit, Operation},
    },
    name::{CloudName, Slot},
    plan::act::Action,
};

use crate::stage::{Stage, key, version};

const SETTLED: Duration = Duration::from_secs(300);

fn unreachable(cloud: CloudName) -> Fault {
    Fault::Fail(CloudError::Unreachable {
        cloud,
        operation: "promote".to_owned(),
        message: "connection reset".to_owned(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_commit_becomes_live_on_both_clouds() {
    let mut stage = Stage::new().await;
    let one = version("1");
    stage.commit(&[one.clone()]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live", "{:#?}", stage.state().await);
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_second_pass_with_nothing_new_makes_no_writing_call() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let before = stage.changes();
    stage.act(Action::Reconcile { token: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.changes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_its_gate_never_touches_blue_and_is_not_tried_again() {
    let mut stage = Stage::new().await;
    let (one, two) = (version("1"), version("2"));
    stage.commit(&[one.clone()]).await;
    stage.pass(SETTLED).await;
    stage.world.bad.lock().unwrap().insert(two.release.digest);
    stage.commit(&[two.clone()]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Rejected");
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
    assert_eq!(
        stage.state().await.rollout.unwrap().id.0,
        2,
        "it must not be tried again by itself"
    );

    stage.world.bad.lock().unwrap().clear();
    stage.act(Action::Retry).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_promotion_that_fails_on_one_cloud_is_taken_back_on_the_other() {
    for ill in CloudName::ALL {
        let mut stage = Stage::new().await;
        let (one, two) = (version("1"), version("2"));
        stage.commit(&[one.clone()]).await;
        stage.pass(SETTLED).await;
        for nth in 1..=4 {
            stage
                .cloud(ill)
                .fault(Operation::Promote, nth, unreachable(ill));
        }
        stage.commit(&[two]).await;
        stage.pass(SETTLED).await;
        assert_eq!(
            stage.phase().await,
            "RolledBack",
            "{ill} was ill: {:#?}",
            stage.state().await
        );
        assert_eq!(
            stage.blues().await,
            [Some(one.release.digest); 2],
            "{ill} was ill"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_quick_and_holds_against_the_loop_until_something_newer() {
    let mut stage = Stage::new().await;
    let (one, two, three) = (version("1"), version("2"), version("3"));
    stage.commit(&[one.clone()]).await;
    stage.pass(SETTLED).await;
    stage.commit(&[two.clone()]).await;
    stage.pass(SETTLED).await;
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(Duration::from_secs(1)).await;
    assert_eq!(
        stage.blues().await,
        [Some(one.release.digest); 2],
        "{:#?}",
        stage.state().await
    );
    stage.pass(SETTLED).await;
    stage.commit(&[two]).await;
    stage.pass(SETTLED).await;
    assert_eq!(
        stage.blues().await,
        [Some(one.release.digest); 2],
        "a rollback pins"
    );
    stage.commit(&[three.clone()]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(three.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired() {
    let edits = [
        HandEdit::Field {
            slot: Slot::Blue,
            path: "stock.memory".to_owned(),
            value: Some("1".to_owned()),
        },
        HandEdit::Swap,
        HandEdit::Empty(Slot::Blue),
    ];
    for edit in edits {
        let mut stage = Stage::new().await;
        stage.commit(&[version("1")]).await;
        stage.pass(SETTLED).await;
        let two = version("2");
        stage.commit(&[two.clone()]).await;
        stage.pass(SETTLED).await;
        stage.cloud(CloudName::Azure).edit(&key(), edit.clone());
        stage.act(Action::Reconcile { token: None }).await;
        stage.pass(SETTLED).await;
        assert_eq!(
            stage.blues().await,
            [Some(two.release.digest); 2],
            "{edit:?}"
        );
        let drift: Vec<_> = stage
            .state()
            .await
            .live
            .values()
            .map(|live| live.seen.clone().unwrap().drift)
            .collect();
        assert!(drift.iter().all(Vec::is_empty), "{edit:?}: {drift:?}");
    }
}

/// Law: losing the reply to any one call changes nothing about where we end up.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_at_any_step_still_converges() {
    for cloud in CloudName::ALL {
        for operation in [Operation::Observe, Operation::Stage, Operation::Promote] {
            for nth in 1..=3 {
                let mut stage = Stage::new().await;
                stage.cloud(cloud).fault(operation, nth, Fault::LoseReply);
                stage.commit(&[version("1")]).await;
                stage.pass(SETTLED).await;
                let two = version("2");
                stage.commit(&[two.clone()]).await;
                stage.pass(SETTLED).await;
                assert_eq!(stage.phase().await, "Live", "{cloud} {operation:?} {nth}");
                assert_eq!(
                    stage.blues().await,
                    [Some(two.release.digest); 2],
                    "{cloud} {operation:?} {nth}"
                );
            }
        }
    }
}

/// Law: stopping after any write to the disk, and starting again, changes nothing about where we end up.
#[tokio::test(start_paused = true)]
async fn a_crash_after_any_commit_still_converges() {
    let mut crashes = 0;
    for at in 1.. {
        let mut stage = Stage::new().await;
        stage.commit(&[version("1")]).await;
        stage.pass(SETTLED).await;
        let two = version("2");
        let start = stage.store.commits();
        stage.commit(&[two.clone()]).await;
        // Every call takes a while, so that a crash finds it under way.
        for cloud in CloudName::ALL {
            stage.cloud(cloud).slow(Duration::from_millis(20));
        }
        let deadline = stage.clock.now().after(SETTLED);
        while stage.store.commits() < start + at && stage.clock.now() < deadline {
            stage.pass(Duration::from_millis(1)).await;
        }
        if stage.clock.now() >= deadline {
            break;
        }
        crashes += 1;
        let stage = stage.crash().await;
        stage.pass(SETTLED).await;
        assert_eq!(
            stage.phase().await,
            "Live",
            "after commit {at}: {:#?}",
            stage.state().await
        );
        assert_eq!(
            stage.blues().await,
            [Some(two.release.digest); 2],
            "after commit {at}"
        );
    }
    // From the beginning of a rollout to its end the disk is written to six times; looks that find nothing new are no writes.
    assert!(crashes >= 6, "only {crashes} places to crash at");
}

#[tokio::test(start_paused = true)]
async fn losing_the_store_loses_no_truth() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let two = version("2");
    stage.commit(&[two.clone()]).await;
    stage.pass(SETTLED).await;
    let before = stage.changes();
    let stage = stage.lose_store().await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
    assert_eq!(
        stage.state().await.memory.promoted,
        Some(two.release.digest)
    );
    assert_eq!(
        stage.changes(),
        before,
        "what is as asked for is left alone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_reverts_itself_during_the_bake_rolls_both_back() {
    let mut stage = Stage::new().await;
    let one = version("1");
    stage.commit(&[one.clone()]).await;
    stage.pass(SETTLED).await;
    stage
        .cloud(CloudName::Azure)
        .revert_promotions_after(Some(Duration::from_secs(4)));
    stage.commit(&[version("2")]).await;
    stage.pass(Duration::from_secs(60)).await;
    stage.cloud(CloudName::Azure).revert_promotions_after(None);
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "RolledBack");
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_git_no_longer_names_is_pruned_but_never_half_of_them() {
    use crate::stage::service_version;
    let mut stage = Stage::new().await;
    let all = ["shop", "cart", "price"].map(|name| service_version(name, "1"));
    stage.commit(&all).await;
    stage.pass(SETTLED).await;
    stage.commit(&[]).await;
    stage.pass(SETTLED).await;
    assert!(
        stage.blues().await.iter().all(Option::is_some),
        "an empty checkout must not delete a company"
    );
    stage.commit(&all[1..]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_hung_cloud_holds_up_no_other_service_and_a_newer_commit_preempts_a_waiting_rollout() {
    let mut stage = Stage::new().await;
    let (one, two, three) = (version("1"), version("2"), version("3"));
    stage.commit(&[one]).await;
    stage.pass(SETTLED).await;
    stage
        .world
        .unclear
        .lock()
        .unwrap()
        .insert(two.release.digest);
    stage.commit(&[two]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Paused");
    stage.commit(&[three.clone()]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(three.release.digest); 2]);
}
