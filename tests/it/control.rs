//! What a release manager may do: hold, hurry, open a window, pin, approve a plan; and what the daemon says stands in the way.

use std::{sync::Arc, time::Duration};

use verdigris::{
    cloud::fake::{Fault, HandEdit, Operation},
    desired::DesiredService,
    manifest::spec::{Across, ApprovalGate, DriftMode, Gate, GateKind, Window, WindowEffect},
    name::{Actor, CloudName, Slot},
    plan::act::Action,
    status::why::Explanation,
};

use crate::{
    stage::{Stage, gate, key, version},
    why::told,
};

const SETTLED: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);

fn pause() -> Action {
    Action::Pause {
        reason: Some("look first".to_owned()),
    }
}

fn because(reason: &str) -> String {
    reason.to_owned()
}

fn approval(by: &[&str], roles: &[&str]) -> Gate {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let mut gate = gate("release");
    gate.kind = GateKind::Approval(ApprovalGate {
        by: names(by),
        roles: names(roles),
        quorum: 1,
        expires: Some(HOUR),
    });
    gate
}

fn with_approval(number: &str, gate: Gate) -> DesiredService {
    let mut service = version(number);
    service.rollout.gates.push(gate);
    service
}

/// The stage's clock starts on 2023-11-14 at 22:13 UTC.
fn denied_until_midnight(number: &str) -> DesiredService {
    let mut service = version(number);
    let environment = Arc::make_mut(&mut service.environment);
    environment.windows.push(Window {
        effect: WindowEffect::Deny,
        schedule: "0 22 * * *".to_owned(),
        length: 2 * HOUR,
        time_zone: "UTC".to_owned(),
        reason: Some("night shift".to_owned()),
    });
    service
}

async fn why(stage: &Stage) -> Explanation {
    stage.handle.why(&key()).await.unwrap()
}

/// What stands in the way, one line each.
async fn obstacles(stage: &Stage) -> String {
    told(stage, &key()).await
}

#[tokio::test(start_paused = true)]
async fn a_pause_at_any_moment_holds_across_a_crash_until_somebody_resumes() {
    let two = version("2").release.digest;
    for at in (0..4000).step_by(310) {
        let mut stage = Stage::live(&["1", "2"]).await;
        stage.cloud(CloudName::Aws).slow(Duration::from_millis(100));
        stage
            .cloud(CloudName::Azure)
            .slow(Duration::from_millis(350));
        stage.commit(&[version("3")]).await;
        stage.pass(Duration::from_millis(at)).await;
        let told = stage.refusal(pause(), "ana").await;
        if told != "taken" {
            assert!(
                told.contains("no rollout is under way"),
                "{told} at {at} ms"
            );
            continue;
        }
        assert_eq!(
            stage.refusal(pause(), "bo").await,
            "taken",
            "a second one changes nothing"
        );
        stage.pass(SETTLED).await;
        let blues = stage.blues().await;
        assert_eq!(blues[0], blues[1], "both or neither, at {at} ms");
        let before = stage.changes();
        let mut stage = stage.crash().await;
        stage.commit(&[version("4")]).await;
        stage.pass(SETTLED).await;
        assert_eq!(stage.changes(), before, "nothing begins, at {at} ms");
        assert_eq!(stage.blues().await, blues, "at {at} ms");
        let told = obstacles(&stage).await;
        assert!(told.contains("Person: paused by ana [paused"), "{told}");
        let is_before = blues[0] == Some(two);
        assert_eq!(stage.phase().await == "Baking", !is_before, "at {at} ms");
        stage.act(Action::Resume).await;
        stage.pass(SETTLED).await;
        let four = version("4").release.digest;
        assert_eq!(stage.blues().await, [Some(four); 2], "at {at} ms");
    }
}

/// A bake that somebody holds is watched on.
#[tokio::test(start_paused = true)]
async fn a_paused_bake_still_goes_back_when_a_slot_reverts() {
    let mut stage = Stage::live(&["1"]).await;
    stage.commit(&[version("2")]).await;
    stage.until(&key(), "Baking").await;
    stage.act(pause()).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Baking");
    stage.cloud(CloudName::Azure).edit(&key(), HandEdit::Swap);
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "RolledBack");
    assert_eq!(stage.blues().await, [Some(version("1").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn promote_in_full_ends_every_wait_and_skips_no_gate() {
    let mut stage = Stage::live(&["1"]).await;
    let slow = |number: &str| {
        let mut service = version(number);
        service.rollout.bake = HOUR;
        service.rollout.across = Across::InOrder {
            first: CloudName::Aws,
            soak: HOUR,
        };
        service
    };
    stage.commit(&[slow("2")]).await;
    stage.until(&key(), "Promoting").await;
    stage.pass(Duration::from_secs(60)).await;
    assert!(
        stage.waits_on().await.contains("aws to soak"),
        "{}",
        stage.waits_on().await
    );
    stage.act(Action::Promote { full: true }).await;
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.phase().await, "Live");
    // One step: the soak, and then the bake stands.
    stage.commit(&[slow("3")]).await;
    stage.until(&key(), "Promoting").await;
    stage.pass(Duration::from_secs(60)).await;
    stage.act(Action::Promote { full: false }).await;
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.phase().await, "Baking");
    stage.act(Action::Promote { full: false }).await;
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.phase().await, "Live");
    // A gate that fails, fails in full.
    let four = slow("4");
    stage.world.bad.lock().unwrap().insert(four.release.digest);
    stage.commit(&[four]).await;
    stage.refusal(Action::Promote { full: true }, "ana").await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Rejected");
}

#[tokio::test(start_paused = true)]
async fn a_closed_window_holds_the_promotion_and_nothing_else_until_it_opens() {
    let mut stage = Stage::live(&["1"]).await;
    let one = version("1").release.digest;
    stage.commit(&[denied_until_midnight("2")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Gating");
    assert_eq!(stage.blues().await, [Some(one); 2]);
    insta::assert_snapshot!(obstacles(&stage).await, @r"
    Time: outside the windows in which it may be promoted [window, for 300s, until 2023-11-15T00:00:00.000Z]
      - deny `0 22 * * *` for 2h, UTC (night shift)
      > verdigris override prod/shop --reason WHY: lets this one rollout go now; who and why is kept
      > verdigris abort prod/shop: ends the rollout; what is live stays, or comes back
    ");
    let stage = stage.crash().await;
    stage.pass(HOUR).await;
    assert_eq!(stage.blues().await, [Some(one); 2]);
    stage.pass(HOUR).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(version("2").release.digest); 2]);
}

/// A freeze that reached the daemon while a rollout was under way is heeded by the next process, though that cannot read it in Git.
#[tokio::test(start_paused = true)]
async fn a_window_that_git_added_to_a_rollout_under_way_holds_it_after_a_crash_too() {
    let mut stage = Stage::live(&["1"]).await;
    let one = version("1").release.digest;
    let slow = Fault::Slow(Duration::from_secs(30));
    let aws = stage.cloud(CloudName::Aws);
    aws.fault(Operation::Stage, 1, slow);
    stage.commit(&[version("2")]).await;
    stage.pass(Duration::from_secs(1)).await;
    let mut frozen = version("2");
    frozen.rollout.windows = denied_until_midnight("2").environment.windows.clone();
    stage.commit(&[frozen]).await;
    stage.pass(Duration::from_millis(10)).await;
    assert_eq!(stage.phase().await, "Staging");
    let stage = stage.crash_and_read_nothing().await;
    stage.pass(HOUR).await;
    assert_eq!(stage.blues().await, [Some(one); 2]);
    stage.pass(HOUR).await;
    assert_eq!(stage.blues().await, [Some(version("2").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn an_override_opens_the_windows_to_one_rollout_and_is_kept() {
    let mut stage = Stage::live(&["1"]).await;
    let open = |reason: &str| Action::Override {
        reason: because(reason),
    };
    let told = stage.refusal(open("outage"), "ana").await;
    assert!(
        told.contains("neither it nor its environment has windows"),
        "{told}"
    );
    stage.commit(&[denied_until_midnight("2")]).await;
    stage.pass(SETTLED).await;
    let told = stage.refusal(Action::Promote { full: false }, "ana").await;
    assert!(told.contains("`override` opens a window"), "{told}");
    stage.act(open("outage")).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    let history = stage.handle.history(&key(), None, 1).await.unwrap();
    let word = history[0].bypass.as_ref().unwrap();
    assert_eq!(
        (word.actor.username.as_str(), word.reason.as_str()),
        ("ana", "outage")
    );
    let events = stage.handle.last_events(50).await.unwrap();
    let told = events
        .iter()
        .find(|it| it.reason == "WindowOverridden")
        .unwrap();
    assert_eq!(told.actor, Actor::person("ana"));
    // The next one waits again.
    stage.commit(&[denied_until_midnight("3")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Gating");
    // Going back waits for no window.
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(Duration::from_secs(30)).await;
    assert_eq!(stage.blues().await, [Some(version("1").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn an_override_before_there_is_a_rollout_is_for_the_next_one_and_not_for_long() {
    let mut stage = Stage::live(&["1"]).await;
    stage.commit(&[denied_until_midnight("2")]).await;
    stage.until(&key(), "Gating").await;
    stage.act(Action::Abort { reason: None }).await;
    let open = || Action::Override {
        reason: because("outage"),
    };
    stage.act(open()).await;
    let mut stage = stage.crash().await;
    let three = denied_until_midnight("3");
    stage.commit(std::slice::from_ref(&three)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(three.release.digest); 2]);
    let history = stage.handle.history(&key(), None, 1).await.unwrap();
    let word = history[0].bypass.as_ref().unwrap();
    assert_eq!(word.reason, "outage");
    // It was for one rollout.
    stage.commit(&[denied_until_midnight("4")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Gating");
    stage.act(Action::Abort { reason: None }).await;
    // And it does not lie about until something comes that nobody meant.
    stage.act(open()).await;
    stage.pass(HOUR + SETTLED).await;
    let mut five = denied_until_midnight("5");
    Arc::make_mut(&mut five.environment).windows[0].length = 5 * HOUR;
    stage.commit(&[five]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Gating");
}

#[tokio::test(start_paused = true)]
async fn a_pin_holds_what_is_live_or_was_whatever_is_merged_until_unpin() {
    let mut stage = Stage::live(&["1", "2"]).await;
    let (one, two) = (version("1").release.digest, version("2").release.digest);
    let pin = |to| Action::Pin {
        to,
        reason: because("audit"),
    };
    stage.act(pin(None)).await;
    stage.commit(&[version("3")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(two); 2]);
    let mut stage = stage.crash().await;
    stage.commit(&[version("4")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(two); 2]);
    let told = stage.refusal(Action::Resume, "bo").await;
    assert!(told.contains("`unpin` lets go"), "{told}");
    insta::assert_snapshot!(obstacles(&stage).await, @r"
    Person: pinned at e1bf5a56ed27 by ana [pinned, for 600s]
      - because audit
      > verdigris unpin prod/shop: lets the newest commit be rolled out
    ");
    stage.act(pin(Some(one))).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(one); 2]);
    stage.commit(&[version("5")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(one); 2]);
    stage.act(Action::Unpin).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("5").release.digest); 2]);
}

/// A release that is in no slot any more is staged from its package; one that is in a slot needs nothing at all.
#[tokio::test(start_paused = true)]
async fn going_back_builds_nothing_that_is_in_a_slot() {
    let stage = Stage::live(&["1", "2", "3"]).await;
    let builds = *stage.world.builds.lock().unwrap();
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("2").release.digest); 2]);
    assert_eq!(*stage.world.builds.lock().unwrap(), builds);
    let one = version("1").release.digest;
    stage.act(Action::Rollback { to: Some(one) }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(one); 2]);
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_for_one_plan_and_void_when_the_plan_becomes_another() {
    let mut stage = Stage::live(&["1"]).await;
    let mut two = approval(&["ana", "bo"], &[]);
    if let GateKind::Approval(gate) = &mut two.kind {
        gate.quorum = 2;
    }
    let mut two = with_approval("2", two);
    // Else what is changed by hand would be put right while people think.
    two.drift = DriftMode::Observe.into();
    stage.commit(&[two]).await;
    stage.until(&key(), "AwaitingApproval").await;
    let hash = stage.handle.plan(&key()).await.unwrap().hash.unwrap();
    let approve = |plan: &str| Action::Approve {
        plan: Some(plan.to_owned()),
    };
    let told = stage.refusal(approve("0123456789ab"), "ana").await;
    assert!(
        told.contains(&format!("the plan is {} by now", hash.short())),
        "{told}"
    );
    assert_eq!(stage.refusal(approve(&hash.short()), "ana").await, "taken");
    assert!(
        stage.waits_on().await.contains("1 of 2"),
        "{}",
        stage.waits_on().await
    );
    let mut stage = stage.crash().await;
    stage.pass(Duration::from_secs(90)).await;
    assert!(
        stage.waits_on().await.contains("1 of 2"),
        "{}",
        stage.waits_on().await
    );

    // Somebody changes blue by hand: what would be done is no longer what was approved.
    let edit = HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("1024".to_owned()),
    };
    stage.cloud(CloudName::Aws).edit(&key(), edit);
    stage.pass(Duration::from_secs(90)).await;
    let waits = stage.waits_on().await;
    assert!(
        waits.contains("0 of 2 given, 1 void since the plan changed"),
        "{waits}"
    );
    let events = stage.handle.last_events(50).await.unwrap();
    assert!(events.iter().any(|it| it.reason == "ApprovalVoid"));
    let now = stage.handle.plan(&key()).await.unwrap().hash.unwrap();
    assert_ne!(now, hash);
    let refusal = stage.refusal(approve(&hash.to_string()), "bo").await;
    assert!(refusal.contains("by now"), "{refusal}");
    stage.act_as(approve(&now.hex()), "ana").await;
    stage.act_as(Action::Approve { plan: None }, "bo").await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    // Another commit is another plan.
    stage
        .commit(&[with_approval("3", approval(&["ana"], &[]))])
        .await;
    stage.until(&key(), "AwaitingApproval").await;
    let third = stage.handle.plan(&key()).await.unwrap().hash.unwrap();
    assert_ne!(third, now);
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_given_by_name_or_role_and_expires() {
    let mut stage = Stage::live(&["1"]).await;
    let gate = approval(&["ana"], &["release-manager"]);
    stage.commit(&[with_approval("2", gate.clone())]).await;
    stage.until(&key(), "AwaitingApproval").await;
    insta::assert_snapshot!(stage.refusal(Action::Approve { plan: None }, "eve").await, @"cannot approve prod/shop: no approval gate of it takes the word of eve: it waits for ana, anyone with role release-manager");
    let approve = Action::Approve { plan: None };
    let zoe = Actor {
        roles: vec!["release-manager".to_owned()],
        ..Actor::person("zoe")
    };
    stage.handle.act(&key(), approve, zoe).await.unwrap();
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");

    stage.commit(&[with_approval("3", gate)]).await;
    stage.until(&key(), "AwaitingApproval").await;
    stage.pass(HOUR / 2).await;
    let stage = stage.crash().await;
    stage.pass(HOUR).await;
    assert_eq!(stage.phase().await, "Rejected");
    insta::assert_snapshot!(obstacles(&stage).await, @r"
    Person: 416723be6405 was rejected: approval release was not given within 1h; `retry` asks again [rejected, for 1800s]
      > merge a commit that mends it
      > verdigris retry prod/shop: tries the same release again
    ");
    stage.act(Action::Retry).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "AwaitingApproval");
}

#[tokio::test(start_paused = true)]
async fn why_says_what_stands_in_the_way_since_when_and_what_to_type() {
    let mut stage = Stage::live(&["1"]).await;
    assert_eq!(obstacles(&stage).await, "");
    assert!(why(&stage).await.is_live);

    let two = with_approval("2", approval(&["ana"], &[]));
    stage
        .world
        .unclear
        .lock()
        .unwrap()
        .insert(two.release.digest);
    stage.commit(std::slice::from_ref(&two)).await;
    stage.until(&key(), "Paused").await;
    stage.pass(Duration::from_secs(60)).await;
    insta::assert_snapshot!("a_gate_without_an_answer", obstacles(&stage).await);

    stage.world.unclear.lock().unwrap().clear();
    stage.act(Action::Retry).await;
    stage.until(&key(), "AwaitingApproval").await;
    stage.pass(Duration::from_secs(60)).await;
    insta::assert_snapshot!("an_approval", obstacles(&stage).await);
    stage.act(Action::Abort { reason: None }).await;

    let mut three = version("3");
    three.rollout.bake = HOUR;
    stage.commit(std::slice::from_ref(&three)).await;
    stage.until(&key(), "Baking").await;
    stage.pass(Duration::from_secs(60)).await;
    insta::assert_snapshot!("a_bake", obstacles(&stage).await);
    let suspend = Action::Suspend {
        reason: because("audit"),
        until: None,
    };
    stage.act(Action::Rollback { to: None }).await;
    stage.act(suspend).await;
    stage.pass(Duration::from_secs(60)).await;
    insta::assert_snapshot!("suspended_and_rejected", obstacles(&stage).await);
    stage.act(Action::Resume).await;
    stage.commit(&[version("4")]).await;
    stage.pass(SETTLED).await;
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(Duration::from_secs(60)).await;
    insta::assert_snapshot!("a_rollback", obstacles(&stage).await);
    let before = obstacles(&stage).await;
    let stage = stage.crash().await;
    stage.pass(Duration::from_millis(100)).await;
    assert_eq!(obstacles(&stage).await, before, "a restart changes no date");
}
