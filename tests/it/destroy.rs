//! A service that a person has destroyed: what goes and what stays, whatever is under way, and what brings it back.

use std::time::Duration;

use insta::assert_snapshot;
use verdigris::{
    cloud::{
        Cloud as _, CloudError,
        fake::{Fault, HandEdit, Operation},
    },
    desired::DesiredService,
    guard,
    name::{Actor, CloudName, ServiceKey},
    plan::{
        act::Action,
        around::Around,
        state::{EventRecord, ServiceState},
    },
    rollout::intent::Order,
};

use crate::stage::{Stage, key, service_version, version};

const SETTLED: Duration = Duration::from_secs(300);

/// The word for what would go as it stands.
async fn word(stage: &Stage, key: &ServiceKey) -> Action {
    let plan = stage.handle.destruction(key).await.unwrap();
    Action::Destroy {
        plan: plan.hash.hex(),
        reason: "the trial is over".to_owned(),
    }
}

pub(crate) async fn destroy(stage: &Stage) {
    stage.act(word(stage, &key()).await).await;
}

async fn live() -> Stage {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    stage
}

async fn holds(stage: &Stage, key: &ServiceKey) -> Vec<CloudName> {
    let mut holding = Vec::new();
    for (name, cloud) in &stage.world.clouds {
        let state = stage.handle.state(key).await.unwrap();
        let observed = cloud.observe(&state.scope()).await.unwrap();
        if !observed.resources.is_empty() {
            holding.push(*name);
        }
    }
    holding
}

fn phase_of(stage: &Stage, key: &ServiceKey) -> String {
    let report = stage.handle.report(key).unwrap();
    report.status.phase.as_str().to_owned()
}

fn phase(stage: &Stage) -> String {
    phase_of(stage, &key())
}

fn unreachable(cloud: CloudName) -> Fault {
    Fault::Fail(CloudError::Unreachable {
        cloud,
        operation: "prune".to_owned(),
        message: "connection reset".to_owned(),
    })
}

/// Law: what was destroyed stays so, whatever Git, a hand or a restart does; and then nothing more is done.
#[tokio::test(start_paused = true)]
async fn what_was_destroyed_stays_away_until_somebody_resumes() {
    let mut stage = live().await;
    destroy(&stage).await;
    stage.pass(SETTLED).await;
    assert_eq!(holds(&stage, &key()).await, []);
    assert_eq!(phase(&stage), "Destroyed");

    let before = stage.changes();
    let two = version("2");
    stage.commit(std::slice::from_ref(&two)).await;
    stage.act(Action::Reconcile { token: None }).await;
    stage.pass(SETTLED).await;
    let mut stage = stage.crash().await;
    stage.pass(SETTLED).await;
    stage.commit_faults(&["services/shop.yaml:1: wrong"]).await;
    stage.pass(SETTLED).await;
    stage.commit(std::slice::from_ref(&two)).await;
    let stage = stage.crash_and_read_nothing().await;
    stage.pass(SETTLED).await;
    assert_eq!(
        (phase(&stage).as_str(), stage.changes()),
        ("Destroyed", before)
    );

    let mut stage = stage.crash().await;
    stage.act(Action::Resume).await;
    stage.commit(std::slice::from_ref(&two)).await;
    stage.pass(SETTLED).await;
    assert_eq!(phase(&stage), "Live");
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
}

/// Law: an ill cloud keeps no other; what it holds goes as soon as it answers.
#[tokio::test(start_paused = true)]
async fn the_well_cloud_is_tidied_at_once_and_the_ill_one_when_it_answers() {
    for ill in CloudName::ALL {
        let stage = live().await;
        for nth in 1..=1000 {
            stage
                .cloud(ill)
                .fault(Operation::Prune, nth, unreachable(ill));
        }
        destroy(&stage).await;
        stage.pass(SETTLED).await;
        assert_eq!(holds(&stage, &key()).await, [ill]);
        assert_eq!(phase(&stage), "Destroying");
        let stage = stage.crash().await;
        stage.pass(SETTLED).await;
        assert_eq!(holds(&stage, &key()).await, [ill]);
        let report = stage.handle.report(&key()).unwrap();
        assert!(
            report.status.why.contains("connection reset"),
            "{}",
            report.status.why
        );
        stage.cloud(ill).forgive();
        stage.pass(SETTLED).await;
        assert_eq!(holds(&stage, &key()).await, [], "{ill} answers again");
        assert_eq!(phase(&stage), "Destroyed");
    }
}

/// A cloud that hangs is waited for alone.
#[tokio::test(start_paused = true)]
async fn an_order_that_hangs_on_one_cloud_holds_up_no_other() {
    let mut stage = live().await;
    stage
        .cloud(CloudName::Azure)
        .fault(Operation::Stage, 1, Fault::Hang);
    stage.commit(&[version("2")]).await;
    stage.pass(Duration::from_secs(5)).await;
    destroy(&stage).await;
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(holds(&stage, &key()).await, [CloudName::Azure]);
    stage.pass(Duration::from_secs(20 * 60)).await;
    assert_eq!(holds(&stage, &key()).await, []);
    assert_eq!(phase(&stage), "Destroyed");
}

/// Law: a service goes from wherever its rollout is, and comes back whole.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_is_under_way_ends() {
    for at in ["Staging", "Promoting", "Baking", "RollingBack"] {
        let mut stage = live().await;
        let two = version("2");
        for cloud in CloudName::ALL {
            stage.cloud(cloud).slow(Duration::from_millis(500));
        }
        if at == "RollingBack" {
            for nth in 1..=4 {
                let azure = CloudName::Azure;
                stage
                    .cloud(azure)
                    .fault(Operation::Promote, nth, unreachable(azure));
            }
        }
        stage.commit(std::slice::from_ref(&two)).await;
        stage.until(&key(), at).await;
        destroy(&stage).await;
        stage.pass(SETTLED).await;
        let told = stage.state().await;
        assert_eq!(holds(&stage, &key()).await, [], "at {at}: {told:#?}");
        assert_eq!(phase(&stage), "Destroyed", "at {at}");
        let events = stage.handle.last_events(100).await.unwrap();
        assert!(
            events.iter().all(|event| event.reason != "Stalled"),
            "at {at}"
        );

        stage.act(Action::Resume).await;
        stage.pass(SETTLED).await;
        assert_eq!(phase(&stage), "Live", "at {at}");
        assert_eq!(
            stage.blues().await,
            [Some(two.release.digest); 2],
            "at {at}"
        );
    }
}

/// Law: losing any reply, and stopping at any moment, changes nothing about where it ends.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_or_a_crash_changes_nothing_about_the_end() {
    for cloud in CloudName::ALL {
        for operation in [Operation::Observe, Operation::Prune] {
            let stage = live().await;
            stage.cloud(cloud).fault(operation, 1, Fault::LoseReply);
            destroy(&stage).await;
            stage.pass(SETTLED).await;
            assert_eq!(holds(&stage, &key()).await, [], "{cloud} {operation:?}");
            assert_eq!(phase(&stage), "Destroyed", "{cloud} {operation:?}");
        }
    }
    for millis in (0..200).step_by(10) {
        let stage = live().await;
        for cloud in CloudName::ALL {
            stage.cloud(cloud).slow(Duration::from_millis(40));
        }
        destroy(&stage).await;
        stage.pass(Duration::from_millis(millis)).await;
        let stage = stage.crash().await;
        stage.pass(SETTLED).await;
        assert_eq!(holds(&stage, &key()).await, [], "after {millis} ms");
        assert_eq!(phase(&stage), "Destroyed", "after {millis} ms");
    }
}

/// Law: who resumes in the middle has both clouds as before.
#[tokio::test(start_paused = true)]
async fn who_resumes_in_the_middle_has_it_whole_again() {
    let stage = live().await;
    let azure = CloudName::Azure;
    for nth in 1..=1000 {
        stage
            .cloud(azure)
            .fault(Operation::Prune, nth, unreachable(azure));
    }
    destroy(&stage).await;
    stage.pass(SETTLED).await;
    assert_eq!(holds(&stage, &key()).await, [azure]);
    stage.act(Action::Resume).await;
    stage.cloud(azure).forgive();
    stage.pass(SETTLED).await;
    let one = version("1").release.digest;
    assert_eq!(stage.blues().await, [Some(one); 2]);
    assert_eq!(phase(&stage), "Live");
}

/// Law: what is not ours is shown as what stays, and does stay; what comes back under our tags goes again.
#[tokio::test(start_paused = true)]
async fn what_is_not_ours_stays() {
    let stage = live().await;
    let aws = stage.cloud(CloudName::Aws);
    aws.edit(&key(), HandEdit::Foreign("other".parse().unwrap()));
    stage.act(Action::Reconcile { token: None }).await;
    stage.pass(Duration::from_secs(5)).await;
    let plan = stage.handle.destruction(&key()).await.unwrap();
    let stays: Vec<&str> = plan.clouds[0]
        .stays
        .iter()
        .map(|it| it.why.as_str())
        .collect();
    assert_eq!(
        stays,
        [
            "does not carry our tags",
            "the environment names it, and others may use it",
            "until their retention ends"
        ]
    );
    destroy(&stage).await;
    stage.pass(SETTLED).await;
    assert_eq!(holds(&stage, &key()).await, []);
    let scope = stage.state().await.scope();
    let left = stage.cloud(CloudName::Aws).observe(&scope).await.unwrap();
    assert_eq!(left.foreign.len(), 1, "it is somebody else's");
}

#[tokio::test(start_paused = true)]
async fn a_word_is_for_one_plan_and_no_other_action_suits_what_is_gone() {
    let mut stage = live().await;
    let old = word(&stage, &key()).await;
    stage.commit(&[version("2")]).await;
    stage.pass(SETTLED).await;
    let told = stage.refusal(old, "ana").await;
    assert!(told.contains("look at it with `destroy`"), "{told}");
    let short = Action::Destroy {
        plan: "12".to_owned(),
        reason: "x".to_owned(),
    };
    let told = stage.refusal(short, "ana").await;
    assert!(told.contains("names no plan"), "{told}");

    destroy(&stage).await;
    stage.pass(SETTLED).await;
    for action in [
        Action::Retry,
        Action::Rollback { to: None },
        Action::Promote { full: true },
        Action::Suspend {
            reason: "x".to_owned(),
            until: None,
        },
    ] {
        let word = action.word();
        assert_eq!(
            stage.refusal(action, "bob").await,
            format!("cannot {word} prod/shop: it was destroyed by ana; `resume` brings it back")
        );
    }
    destroy(&stage).await;
}

fn needing(name: &str, others: &[&str]) -> DesiredService {
    DesiredService {
        depends_on: others.iter().map(|name| name.parse().unwrap()).collect(),
        ..service_version(name, "1")
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_need_goes_after_them_and_not_before() {
    let (web, db): (ServiceKey, ServiceKey) =
        ("prod/web".parse().unwrap(), "prod/db".parse().unwrap());
    let mut stage = Stage::new().await;
    let all = [needing("web", &["db"]), needing("db", &[])];
    stage.commit(&all).await;
    stage.pass(SETTLED).await;
    let ana = || Actor::person("ana");
    let told = stage.handle.act(&db, word(&stage, &db).await, ana()).await;
    assert_eq!(
        told.unwrap_err().to_string(),
        "cannot destroy prod/db: prod/web depends on it: destroy that first, or take it out of its `dependsOn`"
    );
    let azure = stage.cloud(CloudName::Azure);
    azure.fault(Operation::Prune, 1, unreachable(CloudName::Azure));
    for key in [&web, &db] {
        let word = word(&stage, key).await;
        stage.handle.act(key, word, ana()).await.unwrap();
    }
    stage.pass(Duration::from_millis(50)).await;
    let report = stage.handle.report(&db).unwrap();
    assert_eq!(report.status.phase.as_str(), "Destroying");
    assert_eq!(
        report.status.waiting[0].text,
        "prod/web, which depends on it and goes first"
    );
    stage.pass(SETTLED).await;
    for key in [&web, &db] {
        assert_eq!(phase_of(&stage, key), "Destroyed");
    }

    stage.handle.act(&web, Action::Resume, ana()).await.unwrap();
    stage.pass(SETTLED).await;
    let report = stage.handle.report(&web).unwrap();
    assert!(
        report.status.why.contains(
            "prod/db, which it depends on: it is waiting for `resume`: it was destroyed by ana"
        ),
        "{}",
        report.status.why
    );
    stage.handle.act(&db, Action::Resume, ana()).await.unwrap();
    stage.pass(SETTLED).await;
    for key in [&web, &db] {
        assert_eq!(phase_of(&stage, key), "Live");
    }
}

/// Git has the last word: what it no longer names is forgotten, and what it names anew is new.
#[tokio::test(start_paused = true)]
async fn what_git_no_longer_names_is_forgotten_and_may_come_back() {
    let mut stage = live().await;
    destroy(&stage).await;
    stage.pass(SETTLED).await;
    stage.commit(&[]).await;
    stage.pass(SETTLED).await;
    assert!(stage.handle.state(&key()).await.is_none());
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    assert_eq!(phase(&stage), "Live");
}

#[tokio::test(start_paused = true)]
async fn it_is_told_who_destroyed_it_and_what_brings_it_back() {
    let stage = live().await;
    destroy(&stage).await;
    stage.pass(SETTLED).await;
    let told = stage.handle.why(&key()).await.unwrap();
    assert_snapshot!(told.why, @"destroyed by ana: the trial is over; `resume` brings it back");
    let report = stage.handle.report(&key()).unwrap();
    assert!(report.is_at_rest() && !report.status.attention);
    let destruction = report.status.destruction.clone().unwrap();
    assert_eq!(
        (
            destruction.actor.username.as_str(),
            destruction.gone_at.is_some()
        ),
        ("ana", true)
    );
    let events = stage.handle.last_events(20).await.unwrap();
    for (reason, message) in [
        ("ActionTaken", "destroy asked for by ana: the trial is over"),
        (
            "Destroyed",
            "nothing of it is left on any cloud, as ana asked: the trial is over",
        ),
    ] {
        let told = |it: &&EventRecord| it.reason == reason && it.message == message;
        assert!(events.iter().any(|it| told(&it)), "{events:#?}");
    }
}

/// The guard knows it as a state of its own: nothing but the deletion may be ordered, though Git names the service.
#[tokio::test(start_paused = true)]
async fn the_guard_lets_only_the_deletion_pass() {
    let stage = live().await;
    let (target, release) = (CloudName::Aws, version("1").release.digest);
    let orders = [
        Order::Prune { target },
        Order::Build { release },
        Order::Stage { target, release },
        Order::Promote { target, release },
        Order::Repair { target, release },
    ];
    let before = stage.state().await;
    destroy(&stage).await;
    let mut state = before.clone();
    state.memory = stage.state().await.memory;
    let said = |state: &ServiceState, order: &Order| {
        let said = guard::check(order, state, &Around::default(), 50);
        said.map_or_else(|alarm| alarm.to_string(), |()| "may be given".to_owned())
    };
    let told: Vec<String> = orders.iter().map(|order| said(&state, order)).collect();
    let told = told.join("\n").replace(&release.short(), "v1");
    assert_snapshot!(told, @r"
    may be given
    refused an order for a service that ana had destroyed: build v1
    refused an order for a service that ana had destroyed: stage v1 on aws green
    refused an order for a service that ana had destroyed: promote v1 to aws blue
    refused an order for a service that ana had destroyed: repair aws blue to v1
    ");
    assert!(said(&before, &orders[0]).contains("git still names the service"));
    state.live.clear();
    assert!(said(&state, &orders[0]).contains("never seen"));
}
