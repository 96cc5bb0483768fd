//! What stories found, as short as it can be told.

use std::time::Duration;

use verdigris::{
    cloud::fake::{Fault, HandEdit, Operation},
    name::{CloudName, Slot},
    plan::act::Action,
    store::{Scan, Store as _, Tree},
};

use crate::stage::{Stage, key, version};

/// An order that no record tells of must not reach a cloud, so that its record outlives the rollout that begins meanwhile.
#[tokio::test(start_paused = true)]
async fn an_order_at_work_keeps_its_record_when_a_rollout_begins() {
    let mut stage = Stage::new().await;
    for number in ["1", "2"] {
        stage.commit(&[version(number)]).await;
        stage.pass(Duration::from_secs(120)).await;
    }
    let aws = stage.cloud(CloudName::Aws);
    aws.fault(Operation::Repair, 1, Fault::Slow(Duration::from_secs(30)));
    let edit = HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("1".to_owned()),
    };
    aws.edit(&key(), edit);
    stage.act(Action::Reconcile { token: None }).await;
    stage.pass(Duration::from_secs(2)).await;
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(Duration::from_secs(1)).await;
    let repairs = Scan {
        prefix: format!("{}/drift/", key()),
        ..Scan::default()
    };
    let repairs = stage.store.rows(Tree::Intent, repairs).await.unwrap();
    assert_eq!(repairs.len(), 1);
}

/// Half of a release serves users as well as the whole of it does.
#[tokio::test(start_paused = true)]
async fn the_way_back_from_a_first_promotion_takes_a_torn_blue_off_too() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Baking").await;
    let tear = HandEdit::Tear {
        slot: Slot::Blue,
        function: "stock".parse().unwrap(),
    };
    stage.cloud(CloudName::Aws).edit(&key(), tear);
    stage.act(Action::Abort { reason: None }).await;
    stage.pass(Duration::from_secs(60)).await;
    for cloud in stage.world.clouds.values() {
        assert_eq!(cloud.held(&key(), Slot::Blue), None, "{cloud:?}");
    }
}

/// Alarms are moments, and a clock that goes back takes them away by hours.
#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_hours_holds_no_rollout_up() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Baking").await;
    stage.pass(Duration::from_secs(1)).await;
    stage.set_back(Duration::from_secs(2 * 3600));
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.phase().await, "Live");
}
