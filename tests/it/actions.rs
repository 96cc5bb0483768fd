//! What people may ask of a service, and what becomes of it.

use std::{sync::atomic::Ordering, time::Duration};

use verdigris::{
    cloud::fake::{HandEdit, Operation},
    manifest::spec::{ApprovalGate, GateKind},
    name::{CloudName, Slot},
    plan::act::Action,
};

use crate::stage::{Stage, gate, key, unreachable, version};

const SETTLED: Duration = Duration::from_secs(300);

#[tokio::test(start_paused = true)]
async fn a_rollback_goes_ahead_on_the_healthy_cloud_and_on_the_ill_one_when_it_answers() {
    for ill in CloudName::ALL {
        let stage = Stage::live(&["1", "2"]).await;
        let (one, two) = (version("1").release.digest, version("2").release.digest);
        for nth in 1..=12 {
            stage
                .cloud(ill)
                .fault(Operation::Promote, nth, unreachable(ill));
        }
        stage.act(Action::Rollback { to: None }).await;
        stage.pass(Duration::from_secs(2)).await;
        let blues = stage.blues().await;
        for (cloud, blue) in CloudName::ALL.into_iter().zip(blues) {
            assert_eq!(
                blue,
                Some(if cloud == ill { two } else { one }),
                "{ill} is ill"
            );
        }
        let why = stage.handle.report(&key()).unwrap().status.why.clone();
        for cloud in CloudName::ALL {
            let serves = version(if cloud == ill { "2" } else { "1" });
            let told = format!("{cloud} serves {}", serves.release.revision.short());
            assert!(why.contains(&told), "{told}: {why}");
        }
        assert!(
            stage.waits_on().await.contains("connection reset"),
            "{}",
            stage.waits_on().await
        );
        stage.pass(SETTLED * 4).await;
        assert_eq!(stage.phase().await, "Live");
        assert_eq!(stage.blues().await, [Some(one); 2], "{ill} was ill");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_finds_a_slot_that_lost_its_release() {
    let stage = Stage::live(&["1", "2"]).await;
    stage
        .cloud(CloudName::Aws)
        .edit(&key(), HandEdit::Empty(Slot::Green));
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(version("1").release.digest); 2]);
}

/// Whenever it comes, and whatever is under way: no two orders at once on one slot, and blue ends on the release before.
#[tokio::test(start_paused = true)]
async fn an_abort_at_any_moment_ends_on_the_release_before() {
    for at in (70..2000).step_by(70) {
        let mut stage = Stage::new().await;
        stage.commit(&[version("1")]).await;
        stage.pass(SETTLED).await;
        stage.cloud(CloudName::Aws).slow(Duration::from_millis(100));
        stage
            .cloud(CloudName::Azure)
            .slow(Duration::from_millis(350));
        stage.commit(&[version("2")]).await;
        stage.pass(Duration::from_millis(at)).await;
        let told = stage.refusal(Action::Abort { reason: None }, "ana").await;
        assert_eq!(told, "taken", "after {at} ms");
        stage.pass(SETTLED).await;
        let phase = stage.phase().await;
        assert!(
            phase == "Rejected" || phase == "RolledBack",
            "{phase} after {at} ms"
        );
        assert_eq!(
            stage.blues().await,
            [Some(version("1").release.digest); 2],
            "after {at} ms"
        );
        assert_eq!(
            stage.world.watch.overlaps.load(Ordering::Relaxed),
            0,
            "after {at} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_commit_or_a_rollback_at_any_moment_leaves_no_two_orders_on_one_slot() {
    for at in (0..2000).step_by(70) {
        let mut stage = Stage::live(&["1", "2"]).await;
        stage.cloud(CloudName::Aws).slow(Duration::from_millis(100));
        stage
            .cloud(CloudName::Azure)
            .slow(Duration::from_millis(350));
        stage.commit(&[version("3")]).await;
        stage.pass(Duration::from_millis(at)).await;
        let told = stage.refusal(Action::Rollback { to: None }, "ana").await;
        stage.pass(Duration::from_millis(at / 2)).await;
        stage.commit(&[version("4")]).await;
        stage.pass(SETTLED).await;
        let four = version("4").release.digest;
        assert_eq!(
            stage.blues().await,
            [Some(four); 2],
            "after {at} ms: rollback {told}"
        );
        assert_eq!(
            stage.world.watch.overlaps.load(Ordering::Relaxed),
            0,
            "after {at} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_needs_its_quorum_of_the_people_it_lists() {
    let mut stage = Stage::new().await;
    let mut one = version("1");
    let mut approval = gate("release");
    approval.kind = GateKind::Approval(ApprovalGate {
        by: vec!["ana".to_owned(), "bo".to_owned(), "cy".to_owned()],
        quorum: 2,
        roles: Vec::new(),
        expires: None,
    });
    one.rollout.gates.push(approval);
    stage.commit(std::slice::from_ref(&one)).await;
    stage.pass(SETTLED).await;
    let waits = stage.waits_on().await;
    assert!(waits.ends_with(": 0 of 2 given"), "{waits}");
    let refused = stage.refusal(Action::Approve { plan: None }, "eve").await;
    assert!(
        refused.contains("takes the word of eve: it waits for ana, bo, cy"),
        "{refused}"
    );
    stage.act_as(Action::Approve { plan: None }, "ana").await;
    let refused = stage.refusal(Action::Approve { plan: None }, "ana").await;
    assert!(refused.contains("ana has approved already"), "{refused}");
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [None, None]);
    let stage = stage.crash().await;
    stage.pass(SETTLED).await;
    stage.act_as(Action::Approve { plan: None }, "cy").await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
}

#[tokio::test(start_paused = true)]
async fn a_suspension_holds_commits_and_repairs_until_it_ends() {
    let mut stage = Stage::live(&["1", "2"]).await;
    let suspend = |until| Action::Suspend {
        reason: "audit".to_owned(),
        until,
    };
    let until = stage.clock.now().after(Duration::from_secs(1000));
    stage.act(suspend(Some(until))).await;
    stage.cloud(CloudName::Aws).edit(&key(), HandEdit::Swap);
    stage.commit(&[version("3")]).await;
    stage.pass(Duration::from_secs(900)).await;
    let (one, two) = (version("1").release.digest, version("2").release.digest);
    assert_eq!(stage.blues().await, [Some(one), Some(two)]);
    let seen = stage.state().await.seen(CloudName::Aws).unwrap().at;
    assert!(
        stage.clock.now().since(seen) < Duration::from_secs(100),
        "it is still looked at"
    );
    stage.pass(SETTLED).await;
    assert_eq!(
        stage.blues().await,
        [Some(version("3").release.digest); 2],
        "it has expired"
    );

    stage.act(suspend(None)).await;
    stage.commit(&[version("4")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("3").release.digest); 2]);
    // A person who says so means it.
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(two); 2]);
    stage.act(Action::Resume).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("4").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let mut told = String::new();
    let live = version("1").release.digest;
    let actions = [
        Action::Promote { full: false },
        Action::Abort { reason: None },
        Action::Retry,
        Action::Rollback { to: None },
        Action::Rollback { to: Some(live) },
        Action::Resume,
        Action::Approve { plan: None },
    ];
    for action in &actions {
        told += &format!("{}\n", stage.refusal(action.clone(), "ana").await);
    }
    insta::assert_snapshot!(told, @r"
    cannot promote prod/shop: no rollout is under way
    cannot abort prod/shop: no rollout is under way
    cannot retry prod/shop: the release that git asks for was not rejected
    cannot rollback prod/shop: nothing was promoted before the release that is live
    cannot rollback prod/shop: release 4c5f94d67407 is live already
    cannot resume prod/shop: it is neither paused, suspended, pinned nor destroyed
    cannot approve prod/shop: its rollout is Live and waits for no approval
    ");
    // Also while a rollout waits: a refused rollback must not end it.
    stage
        .world
        .unclear
        .lock()
        .unwrap()
        .insert(version("2").release.digest);
    stage.commit(&[version("2")]).await;
    stage.pass(SETTLED).await;
    let refused = stage.refusal(Action::Rollback { to: None }, "ana").await;
    assert!(refused.contains("nothing was promoted before"), "{refused}");
    assert_eq!(stage.phase().await, "Paused");
    stage.world.unclear.lock().unwrap().clear();
    stage.act(Action::Retry).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
}

/// Promote ends the bake; it skips no gate and no look.
#[tokio::test(start_paused = true)]
async fn a_bake_that_is_cut_short_still_looks_at_the_slots() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let mut two = version("2");
    two.rollout.bake = Duration::from_secs(3600);
    stage.commit(std::slice::from_ref(&two)).await;
    stage.until(&key(), "Baking").await;
    stage.pass(Duration::from_secs(60)).await;
    stage.act(Action::Promote { full: false }).await;
    stage.pass(Duration::from_secs(5)).await;
    assert_eq!(stage.phase().await, "Live");

    let mut three = version("3");
    three.rollout.bake = Duration::from_secs(3600);
    stage.commit(&[three]).await;
    stage.until(&key(), "Baking").await;
    stage.pass(Duration::from_secs(45)).await;
    stage.cloud(CloudName::Azure).edit(&key(), HandEdit::Swap);
    stage.act(Action::Promote { full: false }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "RolledBack");
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
}

// === green that is lost before its turn ===

/// What the newest rollout went through, in order.
async fn moves(stage: &Stage) -> Vec<String> {
    let rollout = stage.state().await.rollout.unwrap();
    rollout.transitions.into_iter().map(|it| it.phase).collect()
}

/// A gate that is asked a minute after the staging; then somebody empties green, and the first asking finds nobody.
async fn emptied_before_the_gate(times: u32) -> Stage {
    let mut stage = Stage::live(&["1", "2"]).await;
    let mut three = version("3");
    three.rollout.gates[0].measure.initial_delay = Duration::from_secs(60);
    three.rollout.gates[0].measure.error_limit = 0;
    let release = three.release.digest;
    stage.commit(&[three]).await;
    for _ in 0..times {
        stage.until(&key(), "Gating").await;
        stage.pass(Duration::from_secs(10)).await;
        let azure = stage.cloud(CloudName::Azure);
        azure.edit(&key(), HandEdit::Empty(Slot::Green));
        // As the gates find it: nobody answers as the release.
        stage.world.unclear.lock().unwrap().insert(release);
        stage.pass(Duration::from_secs(51)).await;
        stage.world.unclear.lock().unwrap().clear();
    }
    stage
}

#[tokio::test(start_paused = true)]
async fn green_that_is_lost_while_it_is_measured_is_staged_again_and_calls_nobody() {
    let stage = emptied_before_the_gate(1).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("3").release.digest); 2]);
    let moves = moves(&stage).await;
    assert!(!moves.contains(&"Paused".to_owned()), "{moves:?}");
    let staged = moves.iter().filter(|it| *it == "Staging").count();
    assert_eq!(staged, 2, "{moves:?}");
}

#[tokio::test(start_paused = true)]
async fn green_that_is_lost_again_and_again_is_given_up_with_the_reason() {
    let stage = emptied_before_the_gate(3).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Rejected");
    assert_eq!(stage.blues().await, [Some(version("2").release.digest); 2]);
    let why = stage.handle.report(&key()).unwrap().status.why.clone();
    assert!(why.contains("somebody else writes to it"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_without_an_answer_on_a_green_that_is_there_still_calls_a_person() {
    let mut stage = Stage::live(&["1", "2"]).await;
    let three = version("3");
    stage
        .world
        .unclear
        .lock()
        .unwrap()
        .insert(three.release.digest);
    stage.commit(&[three]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Paused");
}

#[tokio::test(start_paused = true)]
async fn green_that_is_lost_while_people_think_is_staged_and_measured_again() {
    let mut stage = Stage::live(&["1", "2"]).await;
    let mut three = version("3");
    let mut approval = gate("release");
    approval.kind = GateKind::Approval(ApprovalGate {
        by: Vec::new(),
        roles: Vec::new(),
        quorum: 1,
        expires: None,
    });
    three.rollout.gates.push(approval);
    stage.commit(&[three]).await;
    stage.until(&key(), "AwaitingApproval").await;
    stage.pass(Duration::from_secs(5)).await;
    let aws = stage.cloud(CloudName::Aws);
    aws.edit(&key(), HandEdit::Empty(Slot::Green));
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "AwaitingApproval");
    let moves = moves(&stage).await;
    let staged = moves.iter().filter(|it| *it == "Staging").count();
    assert_eq!(staged, 2, "{moves:?}");
    stage.act(Action::Approve { plan: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("3").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn green_that_is_changed_by_hand_never_reaches_blue_and_is_staged_and_measured_again() {
    let mut stage = Stage::live(&["1", "2"]).await;
    let mut three = version("3");
    three.rollout.gates[0].measure.initial_delay = Duration::from_secs(60);
    stage.commit(&[three]).await;
    stage.until(&key(), "Gating").await;
    stage.pass(Duration::from_secs(10)).await;
    let edit = HandEdit::Field {
        slot: Slot::Green,
        path: "stock.memory".to_owned(),
        value: Some("1024".to_owned()),
    };
    stage.cloud(CloudName::Azure).edit(&key(), edit);
    stage.pass(SETTLED).await;
    let moves = moves(&stage).await;
    let measured = moves.iter().filter(|it| *it == "Gating").count();
    assert_eq!(measured, 2, "{moves:?}");
    assert_eq!(stage.blues().await, [Some(version("3").release.digest); 2]);
    let events = stage.handle.last_events(1000).await.unwrap();
    let is_drift = |reason: &str| reason.starts_with("Drift");
    assert!(!events.iter().any(|event| is_drift(&event.reason)));
}
