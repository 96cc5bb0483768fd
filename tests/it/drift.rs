//! What becomes of drift: what is left to others, and what comes back again and again.

use std::{collections::BTreeSet, time::Duration};

use insta::assert_snapshot;
use verdigris::{
    cloud::{CloudError, fake::HandEdit},
    desired::DesiredService,
    manifest::spec::{Drift, DriftMode, FieldPattern},
    name::{CloudName, Slot},
    observed::Deed,
    plan::act::Action,
    status::condition::ConditionKind,
};

use crate::stage::{Stage, key, version};

/// Long enough for a look, a repair and another look.
const A_WHILE: Duration = Duration::from_secs(150);

fn memory(value: &str) -> HandEdit {
    HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some(value.to_owned()),
    }
}

fn ignoring(pattern: &str) -> DesiredService {
    DesiredService {
        drift: Drift {
            mode: DriftMode::Enforce,
            ignore: BTreeSet::from([FieldPattern::new(pattern).unwrap()]),
        },
        ..version("1")
    }
}

/// What was told of drift so far.
async fn told(stage: &Stage) -> Vec<String> {
    let events = stage.handle.events_after(0, 10_000).await.unwrap();
    let about = events
        .into_iter()
        .filter(|it| it.reason.starts_with("Drift"));
    about
        .map(|it| format!("{}: {}", it.reason, it.message))
        .collect()
}

async fn live(service: DesiredService) -> Stage {
    let mut stage = Stage::new().await;
    stage.commit(&[service]).await;
    stage.pass(A_WHILE).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn what_the_service_leaves_to_others_is_neither_repaired_nor_told() {
    let mut stage = live(ignoring("*.memory")).await;
    let changes = stage.changes();
    stage.cloud(CloudName::Aws).edit(&key(), memory("1024"));
    stage.pass(A_WHILE).await;
    assert_eq!(stage.changes(), changes, "no writing call");
    assert_eq!(told(&stage).await, Vec::<String>::new());
    let report = stage.handle.report(&key()).unwrap();
    let ready = report.condition(ConditionKind::Ready).unwrap();
    assert_snapshot!(ready.message, @"main@6b86b27 is live on aws and azure");
    // What it no longer leaves to others is repaired at once: nothing of it was forgotten.
    stage.commit(&[version("1")]).await;
    stage.pass(A_WHILE).await;
    let state = stage.state().await;
    assert!(
        state
            .live
            .values()
            .all(|live| live.seen.as_ref().unwrap().drift.is_empty())
    );
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_does_not_last_is_made_twice_and_then_no_more() {
    let stage = live(version("1")).await;
    for _ in 0..4 {
        stage.cloud(CloudName::Aws).edit(&key(), memory("1024"));
        stage.pass(A_WHILE).await;
    }
    assert_snapshot!(told(&stage).await.join("\n"), @r"
    DriftDetected: repair aws blue to 4c5f94d67407: drift: stock.memory is 1024, not 256
    DriftRepaired: repair aws blue to 4c5f94d67407
    DriftDetected: repair aws blue to 4c5f94d67407: drift: stock.memory is 1024, not 256
    DriftRepaired: repair aws blue to 4c5f94d67407
    DriftLoop: repairs on aws stop, since the same one was made 2 times in a row and does not last: drift: stock.memory is 1024, not 256; `verdigris reconcile prod/shop` repairs once more
    ");
    assert_snapshot!(stage.waits_on().await, @"a person's `reconcile`: repairs on aws do not last: drift: stock.memory is 1024, not 256");
    let changes = stage.changes();
    stage.pass(Duration::from_secs(3 * 3600)).await;
    assert_eq!(stage.changes(), changes, "no time lets it begin anew");
    let why = stage.handle.why(&key()).await.unwrap();
    let [obstacle] = why.obstacles.as_slice() else {
        panic!("{:?}", why.obstacles);
    };
    let ways = obstacle.ways.iter();
    let ways: Vec<_> = ways
        .map(|way| format!("{} ({})", way.command.as_deref().unwrap_or("-"), way.text))
        .collect();
    assert_snapshot!(format!("{}\n{:?}\n{}", obstacle.what, obstacle.evidence, ways.join("\n")), @r#"
    repairs on aws do not last, so no more are made
    ["stock.memory is 1024, not 256"]
    - (stop what sets it back, or leave the field to it: `drift: { ignore: [...] }`)
    verdigris reconcile prod/shop (repairs it once more)
    "#);
    let report = stage.handle.report(&key()).unwrap();
    let stalled = report.condition(ConditionKind::Stalled).unwrap();
    assert_eq!(stalled.reason, "DriftLoop");
}

#[tokio::test(start_paused = true)]
async fn repairs_go_on_when_a_person_says_so_or_something_else_is_found() {
    let stage = live(version("1")).await;
    let memory_of = async |stage: &Stage| {
        let live = stage.state().await.live[&CloudName::Aws].clone();
        let drift = live.seen.unwrap().drift;
        drift.first().and_then(|it| it.found.clone())
    };
    for _ in 0..3 {
        stage.cloud(CloudName::Aws).edit(&key(), memory("1024"));
        stage.pass(A_WHILE).await;
    }
    assert_eq!(memory_of(&stage).await.as_deref(), Some("1024"));
    stage.act(Action::Reconcile { token: None }).await;
    stage.pass(A_WHILE).await;
    assert_eq!(memory_of(&stage).await, None, "a person said so");
    for _ in 0..3 {
        stage.cloud(CloudName::Aws).edit(&key(), memory("1024"));
        stage.pass(A_WHILE).await;
    }
    assert_eq!(memory_of(&stage).await.as_deref(), Some("1024"));
    stage.cloud(CloudName::Aws).edit(&key(), memory("2048"));
    stage.pass(A_WHILE).await;
    assert_eq!(
        memory_of(&stage).await,
        None,
        "another value is another repair"
    );
}

#[tokio::test(start_paused = true)]
async fn what_people_do_once_a_day_is_no_loop() {
    let stage = live(version("1")).await;
    for day in 0..5 {
        stage.cloud(CloudName::Azure).edit(&key(), memory("1024"));
        stage.pass(Duration::from_secs(24 * 3600)).await;
        let live = stage.state().await.live[&CloudName::Azure].clone();
        assert_eq!(live.seen.unwrap().drift, Vec::new(), "day {day}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_repair_is_stopped_after_a_crash_too_and_over_when_the_drift_is_gone() {
    let stage = live(version("1")).await;
    for _ in 0..3 {
        stage.cloud(CloudName::Aws).edit(&key(), memory("1024"));
        stage.pass(A_WHILE).await;
    }
    let stage = stage.crash().await;
    let changes = stage.changes();
    stage.pass(A_WHILE).await;
    assert_eq!(stage.changes(), changes);
    let wanted = stage.state().await.live[&CloudName::Aws]
        .clone()
        .seen
        .unwrap()
        .drift[0]
        .wanted
        .clone();
    stage
        .cloud(CloudName::Aws)
        .edit(&key(), memory(&wanted.unwrap()));
    stage.pass(A_WHILE).await;
    assert_snapshot!(stage.waits_on().await, @"nothing: live state is as asked for");
    assert!(stage.state().await.memory.repaired.is_empty());
}

fn deed(stage: &Stage, who: &str) -> Deed {
    Deed {
        at: stage.clock.now(),
        who: who.to_owned(),
        operation: "UpdateFunctionConfiguration20150331v2".to_owned(),
        resource: "prod-shop-stock".to_owned(),
    }
}

/// What was told of who did it.
async fn causes(stage: &Stage) -> String {
    let told = told(stage).await.into_iter();
    let told = told.filter(|it| it.starts_with("DriftCause"));
    told.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn whoever_did_it_is_named_as_soon_as_the_cloud_knows() {
    let stage = live(version("1")).await;
    let aws = stage.cloud(CloudName::Aws);
    aws.keep_log(Ok(Vec::new()));
    aws.edit(&key(), memory("1024"));
    let deeds = vec![deed(&stage, "arn:aws:iam::1:user/eve")];
    stage.pass(A_WHILE).await;
    assert_eq!(
        causes(&stage).await,
        "",
        "the log is late, and the repair is not"
    );
    assert_snapshot!(stage.waits_on().await, @"nothing: live state is as asked for");
    stage.cloud(CloudName::Aws).keep_log(Ok(deeds));
    stage.pass(Duration::from_secs(600)).await;
    assert_snapshot!(causes(&stage).await, @"DriftCause: aws (drift: stock.memory is 1024, not 256): UpdateFunctionConfiguration20150331v2 of `prod-shop-stock` by arn:aws:iam::1:user/eve at 2023-11-14T22:15:50.000Z");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_we_may_not_read_is_told_once_with_the_way_out() {
    let stage = live(version("1")).await;
    let aws = stage.cloud(CloudName::Aws);
    aws.keep_log(Err(CloudError::Denied {
        cloud: CloudName::Aws,
        operation: "LookupEvents".to_owned(),
        message: "AccessDeniedException: cloudtrail:LookupEvents is not allowed".to_owned(),
    }));
    aws.edit(&key(), memory("1024"));
    stage.pass(Duration::from_secs(3600)).await;
    assert_snapshot!(causes(&stage).await, @"DriftCause: aws (drift: stock.memory is 1024, not 256): nobody is named: aws refused LookupEvents: AccessDeniedException: cloudtrail:LookupEvents is not allowed");
}

#[tokio::test(start_paused = true)]
async fn drift_that_is_only_told_has_its_cause_told_too_and_a_log_without_an_answer_says_so() {
    let stage = live(DesiredService {
        drift: DriftMode::Observe.into(),
        ..version("1")
    })
    .await;
    stage.cloud(CloudName::Azure).keep_log(Ok(Vec::new()));
    stage.cloud(CloudName::Azure).edit(&key(), memory("1024"));
    stage.pass(Duration::from_secs(3600)).await;
    assert_snapshot!(causes(&stage).await, @"DriftCause: azure (drift: stock.memory is 1024, not 256): nobody is named by the cloud's log");
}
