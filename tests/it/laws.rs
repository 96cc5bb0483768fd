//! Laws of the loop: what holds for every service, whatever goes wrong.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use verdigris::{
    cloud::{
        CloudError,
        fake::{Fault, HandEdit, Operation},
    },
    desired::DesiredService,
    manifest::spec::Across,
    name::{CloudName, ReleaseDigest, Slot},
    plan::act::Action,
    rollout::intent::Order,
    status::{condition::ConditionKind::Healthy, service::target::Health},
};

use crate::stage::{Stage, key, service_in, service_version, unreachable, version};

const SETTLED: Duration = Duration::from_secs(300);

#[tokio::test(start_paused = true)]
async fn a_commit_becomes_live_on_both_clouds() {
    let mut stage = Stage::new().await;
    let one = version("1");
    stage.commit(std::slice::from_ref(&one)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live", "{:#?}", stage.state().await);
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
}

/// Law: what we wait for ourselves is no fault of a cloud, as after a start, when thousands wait for their turn to be looked at.
#[tokio::test(start_paused = true)]
async fn a_long_line_of_our_own_holds_up_and_fails_nothing() {
    let mut stage = Stage::new().await;
    let line = Duration::from_secs(600);
    stage.cloud(CloudName::Aws).line_up(line);
    stage.commit(&[version("1")]).await;
    stage.pass(line / 2).await;
    stage.cloud(CloudName::Aws).line_up(Duration::ZERO);
    let aws = async |stage: &Stage| stage.state().await.live.remove(&CloudName::Aws);
    assert!(aws(&stage).await.is_none(), "nothing is known of it yet");
    stage.pass(line / 2 + SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    let problem = aws(&stage).await.and_then(|live| live.problem);
    assert!(problem.is_none(), "{problem:?}");
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
    stage.commit(std::slice::from_ref(&one)).await;
    stage.pass(SETTLED).await;
    stage.world.bad.lock().unwrap().insert(two.release.digest);
    stage.commit(std::slice::from_ref(&two)).await;
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
        stage.commit(std::slice::from_ref(&one)).await;
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

/// Law: trying a release again that a rollback holds back lets go of it, as a newer release would.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_tried_again_is_held_back_no_more() {
    let mut stage = Stage::new().await;
    for number in ["1", "2"] {
        stage.commit(&[version(number)]).await;
        stage.pass(SETTLED).await;
    }
    let three = version("3");
    let digest = three.release.digest;
    stage.world.bad.lock().unwrap().insert(digest);
    stage.commit(&[three]).await;
    stage.pass(SETTLED).await;
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    stage.world.bad.lock().unwrap().clear();
    stage.act(Action::Retry).await;
    stage.pass(SETTLED).await;
    let state = stage.handle.state(&key()).await.unwrap();
    assert_eq!(state.memory.pin, None);
    assert_eq!(state.memory.promoted, Some(digest));
    assert_eq!(state.rollout.unwrap().phase.word(), "Live");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_quick_and_holds_against_the_loop_until_something_newer() {
    let mut stage = Stage::new().await;
    let (one, two, three) = (version("1"), version("2"), version("3"));
    stage.commit(std::slice::from_ref(&one)).await;
    stage.pass(SETTLED).await;
    stage.commit(std::slice::from_ref(&two)).await;
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
    stage.commit(std::slice::from_ref(&three)).await;
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
        stage.commit(std::slice::from_ref(&two)).await;
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
                stage.commit(std::slice::from_ref(&two)).await;
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
        stage.commit(std::slice::from_ref(&two)).await;
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
    stage.commit(std::slice::from_ref(&two)).await;
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
    stage.commit(std::slice::from_ref(&one)).await;
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

/// A way back is not waited for where nothing is left to do: what stands on blue again and does not answer is told.
#[tokio::test(start_paused = true)]
async fn a_way_back_to_a_release_that_does_not_answer_ends() {
    let mut stage = Stage::live(&["1"]).await;
    stage.commit(&[version("2")]).await;
    stage.until(&key(), "Baking").await;
    let azure = stage.cloud(CloudName::Azure);
    for nth in 1..=50 {
        let fault = Fault::Fail(CloudError::Unhealthy {
            cloud: CloudName::Azure,
            message: "blue does not answer".to_owned(),
        });
        azure.fault(Operation::Promote, nth, fault);
    }
    azure.edit(&key(), HandEdit::Swap);
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "RolledBack");
    let one = version("1").release.digest;
    assert_eq!(stage.blues().await, [Some(one); 2]);
    let events = stage.handle.events_after(0, 10_000).await.unwrap();
    let told = events.iter().filter(|it| it.reason == "HealthCheckFailed");
    assert_eq!(told.count(), 1, "{events:#?}");
}

/// Law: what a cloud says goes wrong with what is as asked for is told, and nothing is changed for it.
#[tokio::test(start_paused = true)]
async fn what_a_cloud_says_goes_wrong_is_told_as_long_as_it_says_so() {
    let stage = Stage::live(&["1"]).await;
    let before = stage.changes();
    let reading = "orders gets nothing of its queue, AWS says: no permission";
    for told in [&[reading][..], &[]] {
        stage.cloud(CloudName::Aws).ail(told);
        stage.pass(SETTLED).await;
        let report = stage.handle.report(&key()).unwrap();
        let aws = &report.status.targets[0];
        assert_eq!(aws.cloud, CloudName::Aws);
        assert_eq!(aws.ailing, told);
        let healthy = aws.conditions.iter().find(|it| it.kind == Healthy).unwrap();
        let (health, reason) = match told {
            [] => (Health::Healthy, "Healthy"),
            _ => (Health::Degraded, "Ailing"),
        };
        assert_eq!((aws.health, healthy.reason.as_str()), (health, reason));
        assert_eq!(healthy.message, told.join("; "));
        assert_eq!(report.status.targets[1].health, Health::Healthy);
    }
    assert_eq!(stage.changes(), before);
}

/// Blue on Azure answers 503 for `look`, after which that must be told, and for so many seconds more.
async fn falls_silent(stage: &mut Stage, look: Duration, seconds: u64) {
    let azure = stage.cloud(CloudName::Azure);
    azure.silence_blue(Some("https://shop.test/ answers 503"));
    stage.pass(look).await;
    assert_eq!(
        stage.waits_on().await,
        "blue on azure to answer as its release: https://shop.test/ answers 503"
    );
    stage.pass(Duration::from_secs(seconds)).await;
    azure.silence_blue(None);
    stage.pass(SETTLED).await;
}

fn blue_after(phase: &str, two: &DesiredService) -> Option<ReleaseDigest> {
    match phase {
        "Live" => Some(two.release.digest),
        _ => Some(version("1").release.digest),
    }
}

/// A look during the bake finds that the platform answers in the release's place: told at once, and both go back where it lasts.
#[tokio::test(start_paused = true)]
async fn a_blue_that_answers_503_during_the_bake_is_told_and_rolls_both_back() {
    let bake = Duration::from_secs(60);
    let two = || {
        let mut two = version("2");
        two.rollout.bake = bake;
        two
    };
    for (silent, expected) in [(15, "Live"), (300, "RolledBack")] {
        let mut stage = Stage::live(&["1"]).await;
        stage.commit(&[two()]).await;
        stage.until(&key(), "Baking").await;
        // A fifth of the bake passes between two looks.
        let look = bake / 5 + Duration::from_secs(1);
        falls_silent(&mut stage, look, silent).await;
        assert_eq!(stage.phase().await, expected);
        let events = stage.handle.events_after(0, 10_000).await.unwrap();
        let told = events.iter().filter(|it| it.reason == "BlueSilent");
        let told: Vec<_> = told.map(|event| event.message.as_str()).collect();
        let silence =
            "blue on azure does not answer as its release: https://shop.test/ answers 503";
        assert_eq!(told, [silence], "once, and not at every look");
        assert_eq!(stage.blues().await, [blue_after(expected, &two()); 2]);
    }
}

/// A bake that would end while blue does not answer ends when it does.
#[tokio::test(start_paused = true)]
async fn a_bake_does_not_end_while_blue_does_not_answer() {
    let mut stage = Stage::live(&["1"]).await;
    stage.commit(&[version("2")]).await;
    stage.until(&key(), "Baking").await;
    let azure = stage.cloud(CloudName::Azure);
    azure.silence_blue(Some("503"));
    stage.pass(Duration::from_secs(20)).await;
    assert_eq!(stage.phase().await, "Baking", "a bake takes ten seconds");
    azure.silence_blue(None);
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_git_no_longer_names_is_pruned_but_never_half_of_them() {
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
async fn a_newer_commit_preempts_a_waiting_rollout() {
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
    stage.commit(std::slice::from_ref(&three)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(three.release.digest); 2]);
}

/// Law: every order may be carried out twice.
#[tokio::test(start_paused = true)]
async fn every_order_twice_ends_where_every_order_once_ends() {
    let mut stage = Stage::new().await;
    stage.world.watch.twice.store(true, Ordering::Relaxed);
    let (one, two) = (version("1"), version("2"));
    stage.commit(std::slice::from_ref(&one)).await;
    stage.pass(SETTLED).await;
    stage.commit(std::slice::from_ref(&two)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
    let edit = HandEdit::Empty(Slot::Blue);
    stage.cloud(CloudName::Azure).edit(&key(), edit);
    stage.act(Action::Reconcile { token: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
    assert_eq!(stage.world.watch.overlaps.load(Ordering::Relaxed), 0);
}

/// Law: losing the reply to any one call of a rollback, or of the way back, changes nothing about where we end up.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_on_the_way_back_still_converges() {
    for cloud in CloudName::ALL {
        for operation in [Operation::Observe, Operation::Stage, Operation::Promote] {
            for nth in 1..=3 {
                let place = format!("{cloud} {operation:?} {nth}");
                let mut stage = Stage::new().await;
                let (one, two) = (version("1"), version("2"));
                stage.commit(std::slice::from_ref(&one)).await;
                stage.pass(SETTLED).await;
                stage.commit(&[two]).await;
                stage.until(&key(), "Baking").await;
                stage.cloud(cloud).fault(operation, nth, Fault::LoseReply);
                stage.act(Action::Abort { reason: None }).await;
                stage.pass(SETTLED).await;
                assert_eq!(stage.phase().await, "RolledBack", "{place}");
                assert_eq!(
                    stage.blues().await,
                    [Some(one.release.digest); 2],
                    "{place}"
                );

                let three = version("3");
                stage.commit(&[three]).await;
                stage.pass(SETTLED).await;
                stage.cloud(cloud).fault(operation, nth, Fault::LoseReply);
                stage.act(Action::Rollback { to: None }).await;
                stage.pass(SETTLED).await;
                assert_eq!(stage.phase().await, "Live", "{place}");
                assert_eq!(
                    stage.blues().await,
                    [Some(one.release.digest); 2],
                    "{place}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_asks_for_patience_gets_it() {
    let throttle = || Fault::Throttle(Duration::from_secs(7));
    let busy = || {
        Fault::Fail(CloudError::Busy {
            cloud: CloudName::Azure,
            resource: "shop".to_owned(),
            message: "another operation is in progress".to_owned(),
        })
    };
    for fault in [throttle(), busy()] {
        for operation in [Operation::Observe, Operation::Stage, Operation::Promote] {
            let mut stage = Stage::new().await;
            for nth in 1..=10 {
                stage
                    .cloud(CloudName::Azure)
                    .fault(operation, nth, fault.clone());
            }
            let one = version("1");
            stage.commit(std::slice::from_ref(&one)).await;
            stage.pass(SETTLED * 3).await;
            assert_eq!(stage.phase().await, "Live", "{operation:?} {fault:?}");
            assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
        }
    }
}

fn denied(cloud: CloudName) -> Fault {
    Fault::Fail(CloudError::Denied {
        cloud,
        operation: "stage".to_owned(),
        message: "not authorised".to_owned(),
    })
}

/// A permission that is missing while staging is waited for; in the middle of a promotion both go back, since users see half of it.
#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_a_person_before_the_promotion_and_goes_back_after_it() {
    let mut stage = Stage::new().await;
    let (one, two) = (version("1"), version("2"));
    let azure = CloudName::Azure;
    for nth in 1..=6 {
        stage
            .cloud(azure)
            .fault(Operation::Stage, nth, denied(azure));
    }
    stage.commit(std::slice::from_ref(&one)).await;
    stage.pass(Duration::from_secs(30)).await;
    assert!(stage.waits_on().await.contains("not authorised"));
    stage.pass(SETTLED * 3).await;
    assert_eq!(stage.phase().await, "Live");
    for nth in 1..=5 {
        stage
            .cloud(azure)
            .fault(Operation::Promote, nth, denied(azure));
    }
    stage.commit(&[two]).await;
    stage.pass(SETTLED * 3).await;
    assert_eq!(stage.phase().await, "RolledBack");
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
}

/// A staging cloud that does not answer for a while says nothing about the release.
#[tokio::test(start_paused = true)]
async fn an_outage_before_the_promotion_rejects_no_release() {
    let mut stage = Stage::new().await;
    for nth in 1..=8 {
        stage
            .cloud(CloudName::Aws)
            .fault(Operation::Stage, nth, unreachable(CloudName::Aws));
    }
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
}

#[tokio::test(start_paused = true)]
async fn a_hung_environment_costs_another_no_time() {
    let mut took = Vec::new();
    for hung in [false, true] {
        let mut stage = Stage::new().await;
        for cloud in stage.world.elsewhere.values() {
            cloud.slow(Duration::from_millis(50));
        }
        for name in CloudName::ALL {
            stage.cloud(name).hang(hung);
        }
        let staging = service_in("staging", "shop", "1");
        let all: Vec<_> = (0..20)
            .map(|n| service_version(&format!("s{n}"), "1"))
            .collect();
        stage.commit(&[all, vec![staging.clone()]].concat()).await;
        took.push(stage.until(&staging.release.service, "Live").await);
    }
    assert_eq!(took[0], took[1]);
}

#[tokio::test(start_paused = true)]
async fn services_roll_out_at_once() {
    let mut took = Vec::new();
    for count in [1, 10] {
        let mut stage = Stage::new().await;
        for name in CloudName::ALL {
            stage.cloud(name).slow(Duration::from_secs(1));
        }
        let all: Vec<_> = (0..count)
            .map(|n| service_version(&format!("s{n}"), "1"))
            .collect();
        stage.commit(&all).await;
        for service in &all {
            stage.until(&service.release.service, "Live").await;
        }
        took.push(stage.clock.now());
    }
    let slower = took[1].since(took[0]);
    assert!(slower < Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_comes_back_starts_afresh_and_its_history_stays() {
    let mut stage = Stage::new().await;
    let others = ["cart", "price"].map(|name| service_version(name, "1"));
    let all = |shop: &DesiredService| [&others[..], std::slice::from_ref(shop)].concat();
    stage.commit(&all(&version("1"))).await;
    stage.pass(SETTLED).await;
    stage.commit(&others).await;
    stage.pass(SETTLED).await;
    assert!(
        stage.handle.state(&key()).await.is_none(),
        "it is forgotten"
    );
    assert!(stage.handle.report(&key()).is_none());
    let events = stage.handle.last_events(100).await.unwrap();
    let told = |reason: &str| events.iter().filter(|event| event.reason == reason).count();
    assert_eq!((told("Pruned"), told("Stalled")), (1, 0));

    stage.commit(&all(&version("2"))).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    let history = stage.handle.history(&key(), None, 10).await.unwrap();
    let rollouts: Vec<u64> = history.iter().map(|entry| entry.rollout).collect();
    assert_eq!(rollouts, [2, 1]);
    let mut stage = stage.crash().await;
    stage.pass(SETTLED).await;
    let before = stage.changes();
    stage.commit(&all(&version("2"))).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.changes(), before);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_waited_for_and_never_touched() {
    let mut stage = Stage::new().await;
    let azure = stage.cloud(CloudName::Azure);
    azure.edit(&key(), HandEdit::Foreign("stock".parse().unwrap()));
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    assert!(
        stage.waits_on().await.contains("does not carry our tags"),
        "{}",
        stage.waits_on().await
    );
    assert_eq!(stage.cloud(CloudName::Azure).counts().changes, 0);
    let events = stage.handle.last_events(100).await.unwrap();
    assert!(events.iter().all(|event| event.reason != "Stalled"));
}

#[tokio::test(start_paused = true)]
async fn one_cloud_soaks_before_the_other_moves() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let mut two = version("2");
    two.rollout.across = Across::InOrder {
        first: CloudName::Azure,
        soak: Duration::from_secs(40),
    };
    stage.commit(std::slice::from_ref(&two)).await;
    stage.until(&key(), "Promoting").await;
    stage.pass(Duration::from_secs(20)).await;
    let new = Some(two.release.digest);
    let blues = stage.blues().await;
    assert!(
        blues[0] != new && blues[1] == new,
        "{}",
        stage.waits_on().await
    );
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [new; 2]);
}

/// The second cloud gets nothing that does not answer on the first.
#[tokio::test(start_paused = true)]
async fn a_blue_that_answers_503_while_it_soaks_keeps_the_other_cloud_as_it_is() {
    let soak = Duration::from_secs(60);
    let two = || {
        let mut two = version("2");
        let first = CloudName::Azure;
        two.rollout.across = Across::InOrder { first, soak };
        two
    };
    for (silent, expected) in [(15, "Live"), (300, "RolledBack")] {
        let mut stage = Stage::live(&["1"]).await;
        stage.commit(&[two()]).await;
        stage.until(&key(), "Promoting").await;
        stage.pass(soak / 4).await;
        falls_silent(&mut stage, soak / 5 + Duration::from_secs(1), silent).await;
        assert_eq!(stage.phase().await, expected);
        assert_eq!(stage.blues().await, [blue_after(expected, &two()); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_turns_while_the_second_cloud_is_on_its_way() {
    let mut stage = Stage::live(&["1"]).await;
    let soak = Duration::from_secs(40);
    let mut two = version("2");
    let first = CloudName::Azure;
    two.rollout.across = Across::InOrder { first, soak };
    let slow = Fault::Slow(Duration::from_secs(600));
    stage
        .cloud(CloudName::Aws)
        .fault(Operation::Promote, 1, slow);
    stage.commit(std::slice::from_ref(&two)).await;
    stage.until(&key(), "Promoting").await;
    while stage.state().await.writing().is_none_or(
        |(_, order)| !matches!(order, Order::Promote { target, .. } if *target != first),
    ) {
        stage.pass(Duration::from_secs(1)).await;
    }
    let azure = stage.cloud(first);
    azure.silence_blue(Some("https://shop.test/ answers 503"));
    stage.pass(Duration::from_secs(400)).await;
    assert_eq!(stage.phase().await, "Promoting");
    azure.silence_blue(None);
    stage.pass(SETTLED * 2).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_first_promotion_that_fails_leaves_no_blue_on_either_cloud() {
    for ill in CloudName::ALL {
        let mut stage = Stage::new().await;
        for nth in 1..=4 {
            stage
                .cloud(ill)
                .fault(Operation::Promote, nth, unreachable(ill));
        }
        stage.commit(&[version("1")]).await;
        stage.pass(SETTLED).await;
        assert_eq!(
            stage.phase().await,
            "RolledBack",
            "{}",
            stage.waits_on().await
        );
        assert_eq!(stage.blues().await, [None, None]);
    }
}

/// A look that hangs must not make the loop turn without a pause.
#[tokio::test(start_paused = true)]
async fn a_hung_look_at_the_end_of_a_bake_costs_few_passes() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Baking").await;
    for name in CloudName::ALL {
        stage.cloud(name).hang(true);
    }
    stage.pass(Duration::from_secs(15)).await;
    let before = *stage.handle.changes().borrow();
    stage.pass(Duration::from_secs(30)).await;
    let passes = *stage.handle.changes().borrow() - before;
    assert!(passes < 10, "{passes} passes in 30 s");
    for name in CloudName::ALL {
        stage.cloud(name).hang(false);
    }
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
}

/// A look that began before the promotion and came back after it tells of a time that is over.
#[tokio::test(start_paused = true)]
async fn a_look_from_before_the_promotion_rolls_nothing_back() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let azure = stage.cloud(CloudName::Azure);
    azure.fault(Operation::Observe, 1, Fault::Slow(Duration::from_secs(3)));
    stage.act(Action::Reconcile { token: None }).await;
    let two = version("2");
    stage.commit(std::slice::from_ref(&two)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_moves_is_seen_anew_and_what_it_left_is_told() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let mut moved = version("1");
    let environment = Arc::make_mut(&mut moved.environment);
    environment.aws.as_mut().unwrap().region = "eu-north-1".to_owned();
    // The new region is empty.
    stage
        .cloud(CloudName::Aws)
        .edit(&key(), HandEdit::Empty(Slot::Blue));
    stage
        .cloud(CloudName::Aws)
        .edit(&key(), HandEdit::Empty(Slot::Green));
    stage.commit(std::slice::from_ref(&moved)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(moved.release.digest); 2]);
    let events = stage.handle.last_events(100).await.unwrap();
    assert!(events.iter().any(|event| event.reason == "TargetMoved"));

    let mut alone = moved;
    Arc::make_mut(&mut alone.environment).azure = None;
    stage.commit(&[alone]).await;
    stage.pass(SETTLED).await;
    let azure = stage.cloud(CloudName::Azure).counts().changes;
    let mut three = version("3");
    Arc::make_mut(&mut three.environment).azure = None;
    stage.commit(std::slice::from_ref(&three)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await[0], Some(three.release.digest));
    assert_eq!(
        stage.cloud(CloudName::Azure).counts().changes,
        azure,
        "what is not asked for is left alone"
    );
    stage.commit(&[version("4")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(version("4").release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn the_only_service_of_an_environment_is_not_deleted_with_its_manifest() {
    let mut stage = Stage::new().await;
    let one = version("1");
    stage.commit(std::slice::from_ref(&one)).await;
    stage.pass(SETTLED).await;
    stage.commit(&[]).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_holds_nothing_up() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    stage.set_back(Duration::from_secs(6 * 3600));
    let two = version("2");
    stage.commit(std::slice::from_ref(&two)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_under_an_order_hides_nothing_of_what_came_of_it() {
    for phase in ["Staging", "Promoting"] {
        let mut stage = Stage::new().await;
        stage.commit(&[version("1")]).await;
        stage.pass(SETTLED).await;
        for cloud in CloudName::ALL {
            stage.cloud(cloud).slow(Duration::from_secs(1));
        }
        let two = version("2");
        stage.commit(std::slice::from_ref(&two)).await;
        stage.until(&key(), phase).await;
        stage.set_back(Duration::from_secs(7200));
        stage.pass(SETTLED).await;
        assert_eq!(stage.phase().await, "Live", "in {phase}");
        assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_with_much_to_say_does_not_outgrow_its_record() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    let message = "é".repeat(100_000);
    for n in 2..40 {
        let invalid = CloudError::Invalid {
            cloud: CloudName::Aws,
            operation: "stage".to_owned(),
            message: message.clone(),
        };
        stage
            .cloud(CloudName::Aws)
            .fault(Operation::Stage, 1, Fault::Fail(invalid));
        stage.commit(&[version(&n.to_string())]).await;
        stage.pass(Duration::from_secs(30)).await;
        assert_eq!(stage.phase().await, "Rejected", "release {n}");
    }
}
