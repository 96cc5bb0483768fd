//! What Git asks for and what the clouds hold, and how the plan reads.

use std::{sync::Arc, time::Duration};

use insta::assert_snapshot;
use verdigris::{
    cloud::{
        CloudError,
        fake::{Fault, HandEdit, Operation},
    },
    desired::DesiredService,
    manifest::spec::{DriftMode, EnvValue, Megabytes},
    name::{CloudName, Slot},
    plan::act::Action,
};

use crate::stage::{Stage, key, service_version, version};

const SETTLED: Duration = Duration::from_secs(300);

/// The versions that were live before, and what happened since.
struct Before<'a> {
    live: &'a [&'a str],
    edits: &'a [(CloudName, HandEdit)],
}

const NOTHING: Before<'static> = Before {
    live: &[],
    edits: &[],
};

/// The plan for the service as a person reads it: suspended, so that it is told and not carried out.
async fn plan(before: Before<'_>, git: Option<DesiredService>) -> String {
    let mut stage = Stage::new().await;
    let others = ["cart", "price"].map(|name| service_version(name, "1"));
    for number in before.live {
        stage
            .commit(&[&others[..], &[version(number)]].concat())
            .await;
        stage.pass(SETTLED).await;
    }
    for (cloud, edit) in before.edits {
        stage.cloud(*cloud).edit(&key(), edit.clone());
    }
    let git: Vec<DesiredService> = others.into_iter().chain(git).collect();
    // A clock that stands still: the looks come back, and nothing is decided between them and the plan.
    if before.live.is_empty() {
        for name in CloudName::ALL {
            for nth in 1..=100 {
                stage.cloud(name).fault(Operation::Stage, nth, Fault::Hang);
            }
        }
        stage.commit(&git).await;
        stage.pass(Duration::from_millis(5)).await;
    } else {
        let suspend = Action::Suspend {
            reason: "the test".to_owned(),
            until: None,
        };
        stage.act(suspend).await;
        stage.commit(&git).await;
        stage.act(Action::Reconcile { token: None }).await;
        stage.pass(Duration::from_secs(5)).await;
    }
    let mut state = stage.state().await;
    state.memory.suspension = None;
    state.in_flight = verdigris::plan::state::InFlight::default();
    if before.live.is_empty() {
        state.rollout = None;
        state.intents.clear();
    }
    read(&state, stage.clock.now())
}

fn read(state: &verdigris::plan::state::ServiceState, now: verdigris::name::Timestamp) -> String {
    use verdigris::plan::{around::Around, preview::preview, state::Policy, step::Fleet};
    let around = Around {
        fleet: Fleet {
            known: 3,
            absent: 1,
        },
        ..Around::default()
    };
    let plan = preview(state, &around, Policy::default(), now);
    let mut told = String::new();
    for planned in &plan.orders {
        told += &format!("{} ({})\n", planned.order, planned.reason);
    }
    for gate in &plan.gates {
        told += &format!("gate {gate}\n");
    }
    for on in &plan.waiting {
        told += &format!("waits on {on}\n");
    }
    told
}

fn edited(
    number: &str,
    edit: impl FnOnce(&mut verdigris::desired::ReleaseContent),
) -> DesiredService {
    let mut desired = version(number);
    edit(Arc::make_mut(&mut desired.release.content));
    let text = format!("{:?}", desired.release.content);
    desired.release.digest = verdigris::name::ReleaseDigest::of(text.as_bytes());
    desired
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_never_deployed_is_built_staged_and_promoted() {
    assert_snapshot!(plan(NOTHING, Some(version("1"))).await, @r"
    build 4c5f94d67407 (never deployed)
    stage 4c5f94d67407 on aws green (never deployed)
    stage 4c5f94d67407 on azure green (never deployed)
    promote 4c5f94d67407 to aws blue (never deployed)
    promote 4c5f94d67407 to azure blue (never deployed)
    gate smoke
    ");
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_says_so() {
    let before = Before {
        live: &["1"],
        edits: &[],
    };
    assert_snapshot!(plan(before, Some(version("1"))).await, @"waits on nothing: live state is as asked for");
}

#[tokio::test(start_paused = true)]
async fn a_change_says_what_changed_and_no_value_of_a_variable() {
    let changed = edited("2", |content| {
        let stock = Arc::make_mut(content.functions.values_mut().next().unwrap());
        stock.memory = Megabytes(512);
        stock.timeout = Duration::from_secs(60);
        let secret = EnvValue::Plain("hunter2".to_owned());
        content.env.insert("TOKEN".to_owned(), secret);
    });
    let before = Before {
        live: &["1"],
        edits: &[],
    };
    let told = plan(before, Some(changed)).await;
    assert!(!told.contains("hunter2"));
    assert_snapshot!(told, @r"
    build 14f6c327399c (code changed, stock memory 256Mi to 512Mi, stock timeout 30s to 60s, variable TOKEN added)
    stage 14f6c327399c on aws green (code changed, stock memory 256Mi to 512Mi, stock timeout 30s to 60s, variable TOKEN added)
    stage 14f6c327399c on azure green (code changed, stock memory 256Mi to 512Mi, stock timeout 30s to 60s, variable TOKEN added)
    promote 14f6c327399c to aws blue (code changed, stock memory 256Mi to 512Mi, stock timeout 30s to 60s, variable TOKEN added)
    promote 14f6c327399c to azure blue (code changed, stock memory 256Mi to 512Mi, stock timeout 30s to 60s, variable TOKEN added)
    gate smoke
    ");
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_field_by_field_and_repaired() {
    let edit = HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("128".to_owned()),
    };
    let before = Before {
        live: &["1", "2"],
        edits: &[(CloudName::Aws, edit), (CloudName::Azure, HandEdit::Swap)],
    };
    assert_snapshot!(plan(before, Some(version("2"))).await, @r"
    repair aws blue to e1bf5a56ed27 (drift: stock.memory is 128, not 256)
    promote e1bf5a56ed27 to azure blue (drift: blue holds 4c5f94d67407)
    ");
}

#[tokio::test(start_paused = true)]
async fn drift_that_is_only_told_waits_for_a_person_and_holds_up_no_release() {
    let swapped = || Before {
        live: &["1", "2"],
        edits: &[(CloudName::Azure, HandEdit::Swap)],
    };
    let observe = |number: &str| DesiredService {
        drift: DriftMode::Observe.into(),
        ..version(number)
    };
    assert_snapshot!(plan(swapped(), Some(observe("2"))).await, @"waits on a person: drift on azure is only told: drift: blue holds 4c5f94d67407");
    assert_snapshot!(plan(swapped(), Some(observe("3"))).await, @r"
    build 416723be6405 (code changed)
    stage 416723be6405 on aws green (code changed)
    stage 416723be6405 on azure green (code changed)
    promote 416723be6405 to aws blue (code changed)
    promote 416723be6405 to azure blue (code changed)
    gate smoke
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_git_no_longer_names_is_pruned() {
    let before = Before {
        live: &["1"],
        edits: &[],
    };
    assert_snapshot!(plan(before, None).await, @r"
    prune aws (removed from git)
    prune azure (removed from git)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_release_waits_for_a_newer_one_or_a_retry() {
    let mut stage = Stage::new().await;
    stage
        .world
        .bad
        .lock()
        .unwrap()
        .insert(version("1").release.digest);
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    assert_snapshot!(stage.waits_on().await, @"a newer release, or `retry`: 4c5f94d67407 was rejected: gate smoke failed: aws: 1 failed measurement, 0 forgiven; status is 500, not 200");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_was_never_seen_is_waited_for() {
    let mut stage = Stage::new().await;
    for nth in 1..=100 {
        let fault = Fault::Fail(CloudError::Unreachable {
            cloud: CloudName::Azure,
            operation: "observe".to_owned(),
            message: "no route to host".to_owned(),
        });
        stage
            .cloud(CloudName::Azure)
            .fault(Operation::Observe, nth, fault);
    }
    stage.commit(&[version("1")]).await;
    stage.pass(Duration::from_secs(10)).await;
    assert_snapshot!(stage.waits_on().await, @"a look at azure: azure could not be reached for observe: no route to host");
    assert_eq!(stage.changes(), 0);
}
