//! What stories found, as short as it can be told.

use std::time::Duration;

use verdigris::{
    cloud::fake::{Fault, HandEdit, Operation},
    manifest::spec::Across,
    name::{CloudName, Slot},
    plan::act::Action,
    store::{Scan, Store as _, Tree},
};

use crate::stage::{Stage, key, service_version, version};

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

/// A person who goes back while another pin holds takes the pin along, and what Git asks meanwhile has no say.
#[tokio::test(start_paused = true)]
async fn a_rollback_of_what_is_pinned_goes_on_whatever_git_asks_for() {
    let mut stage = Stage::new().await;
    for number in ["1", "2"] {
        stage.commit(&[version(number)]).await;
        stage.pass(Duration::from_secs(120)).await;
    }
    let reason = "a fair".to_owned();
    stage.act(Action::Pin { to: None, reason }).await;
    let empty = HandEdit::Empty(Slot::Green);
    for cloud in stage.world.clouds.values() {
        cloud.edit(&key(), empty.clone());
        cloud.fault(
            Operation::Stage,
            1,
            Fault::Throttle(Duration::from_secs(20)),
        );
    }
    stage.act(Action::Reconcile { token: None }).await;
    stage.pass(Duration::from_secs(1)).await;
    stage.act(Action::Rollback { to: None }).await;
    stage.pass(Duration::from_secs(1)).await;
    stage.commit(&[version("3")]).await;
    stage.pass(Duration::from_secs(120)).await;
    for cloud in stage.world.clouds.values() {
        assert_eq!(
            cloud.held(&key(), Slot::Blue),
            Some(version("1").release.digest)
        );
    }
}

/// Who waits for people may wait for days, and users must not.
#[tokio::test(start_paused = true)]
async fn blue_is_put_right_while_a_rollout_waits() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    let two = version("2");
    stage
        .world
        .unclear
        .lock()
        .unwrap()
        .insert(two.release.digest);
    stage.commit(&[two]).await;
    stage.until(&key(), "Paused").await;
    stage
        .cloud(CloudName::Aws)
        .edit(&key(), HandEdit::Empty(Slot::Blue));
    stage.pass(Duration::from_secs(180)).await;
    let blue = stage.cloud(CloudName::Aws).held(&key(), Slot::Blue);
    assert_eq!(blue, Some(version("1").release.digest));
    assert_eq!(stage.phase().await, "Paused");
}

/// What was promoted first and is lost while the second cloud is still to come would be waited for by it for ever.
#[tokio::test(start_paused = true)]
async fn a_first_cloud_that_loses_its_release_takes_the_rollout_back() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    let mut two = version("2");
    two.rollout.across = Across::InOrder {
        first: CloudName::Aws,
        soak: Duration::from_secs(300),
    };
    stage.commit(&[two]).await;
    stage.until(&key(), "Promoting").await;
    stage.pass(Duration::from_secs(10)).await;
    stage
        .cloud(CloudName::Aws)
        .edit(&key(), HandEdit::Empty(Slot::Blue));
    stage.pass(Duration::from_secs(600)).await;
    assert_eq!(stage.phase().await, "RolledBack");
    let one = Some(version("1").release.digest);
    for cloud in stage.world.clouds.values() {
        assert_eq!(cloud.held(&key(), Slot::Blue), one);
    }
}

/// What is deleted counts no longer among those that may not be deleted all at once.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_gone_keeps_no_other_from_going() {
    let mut stage = Stage::new().await;
    let service = |name| service_version(name, "1");
    stage
        .commit(&[service("cart"), service("mail"), service("shop")])
        .await;
    stage.pass(Duration::from_secs(120)).await;
    for cloud in stage.world.clouds.values() {
        let slow = Fault::Slow(Duration::from_secs(30));
        cloud.fault(Operation::Prune, 1, slow);
    }
    stage.commit(&[service("mail"), service("shop")]).await;
    stage.pass(Duration::from_secs(5)).await;
    stage.commit(&[service("shop")]).await;
    stage.pass(Duration::from_secs(180)).await;
    let mail = service("mail").release.service;
    for cloud in stage.world.clouds.values() {
        assert_eq!(cloud.held(&mail, Slot::Blue), None);
    }
}
