//! What stories found, as short as it can be told.

use std::{sync::Arc, time::Duration};

use verdigris::{
    cloud::{
        Cloud as _,
        fake::{Fault, HandEdit, Operation},
    },
    manifest::{aws::AwsFunction, azure::AzureApp, spec::Across},
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

/// Where neither a slot nor the store has the release before, nobody can go back to it, and what is newer must not wait for that.
#[tokio::test(start_paused = true)]
async fn a_way_back_that_was_lost_with_slot_and_store_keeps_nothing_newer_out() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    stage.commit(&[version("2")]).await;
    let mut stage = stage.lose_store().await;
    stage.until(&key(), "Baking").await;
    let aws = stage.cloud(CloudName::Aws);
    aws.edit(&key(), HandEdit::Empty(Slot::Green));
    stage.act(Action::Abort { reason: None }).await;
    stage.until(&key(), "RolledBack").await;
    let azure = stage.cloud(CloudName::Azure).held(&key(), Slot::Blue);
    assert_eq!(azure, Some(version("1").release.digest));
    let three = version("3");
    stage.commit(std::slice::from_ref(&three)).await;
    stage.until(&key(), "Live").await;
    for cloud in stage.world.clouds.values() {
        let blue = cloud.held(&key(), Slot::Blue);
        assert_eq!(blue, Some(three.release.digest), "{cloud:?}");
    }
}

/// Repairs that do not last stop; but users of an empty blue get nothing, and somebody must fill it however often it is emptied.
#[tokio::test(start_paused = true)]
async fn a_blue_that_is_emptied_again_and_again_is_filled_again_after_a_while() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    let one = Some(version("1").release.digest);
    let held = |stage: &Stage| stage.cloud(CloudName::Aws).held(&key(), Slot::Blue);
    let empty = HandEdit::Empty(Slot::Blue);
    for _ in 0..2 {
        stage.cloud(CloudName::Aws).edit(&key(), empty.clone());
        stage.pass(Duration::from_secs(100)).await;
        assert_eq!(held(&stage), one);
    }
    stage.cloud(CloudName::Aws).edit(&key(), empty.clone());
    stage.pass(Duration::from_secs(100)).await;
    assert_eq!(held(&stage), None);
    for _ in 0..3 {
        stage.pass(Duration::from_secs(400)).await;
        assert_eq!(held(&stage), one);
        stage.cloud(CloudName::Aws).edit(&key(), empty.clone());
    }
}

/// Gates and soaks count from moments that a clock which is set back leaves in the future.
#[tokio::test(start_paused = true)]
async fn a_clock_set_back_holds_no_gate_and_no_soak_up() {
    for waits in ["Gating", "Promoting"] {
        let mut stage = Stage::new().await;
        stage.commit(&[version("1")]).await;
        stage.until(&key(), "Live").await;
        let mut two = version("2");
        let measure = &mut two.rollout.gates[0].measure;
        measure.count = Some(3);
        measure.interval = Duration::from_secs(20);
        two.rollout.across = Across::InOrder {
            first: CloudName::Aws,
            soak: Duration::from_secs(30),
        };
        stage.commit(&[two]).await;
        stage.until(&key(), waits).await;
        stage.pass(Duration::from_secs(5)).await;
        stage.set_back(Duration::from_secs(2 * 3600));
        stage.pass(Duration::from_secs(180)).await;
        assert_eq!(stage.phase().await, "Live", "{waits}");
    }
}

/// Nothing else would wake those that waited for it.
#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_its_group_lets_the_others_go_at_once() {
    let member = |name, number, group: Option<&str>| {
        let mut desired = service_version(name, &format!("{name} {number}"));
        desired.rollout.group = group.map(|group| group.parse().unwrap());
        desired
    };
    let shop = Some("shop");
    let mut stage = Stage::new().await;
    let both = ["cart", "mail"].map(|name| member(name, "1", shop));
    stage.commit(&both).await;
    stage.pass(Duration::from_secs(120)).await;
    let (cart, mail) = (member("cart", "2", shop), member("mail", "2", shop));
    let unclear = mail.release.digest;
    stage.world.unclear.lock().unwrap().insert(unclear);
    stage.commit(&[cart.clone(), mail]).await;
    stage.until(&"prod/mail".parse().unwrap(), "Paused").await;
    stage.pass(Duration::from_secs(5)).await;
    let held = |stage: &Stage| {
        let cloud = stage.cloud(CloudName::Aws);
        cloud.held(&cart.release.service, Slot::Blue)
    };
    assert_ne!(held(&stage), Some(cart.release.digest));
    stage
        .commit(&[cart.clone(), member("mail", "2", None)])
        .await;
    stage.pass(Duration::from_secs(1)).await;
    assert_eq!(held(&stage), Some(cart.release.digest));
}

/// Between the move to `Promoting` and its first order a person may still say that nothing is to begin.
#[tokio::test(start_paused = true)]
async fn a_pause_holds_a_promotion_of_which_nothing_was_sent() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    let two = version("2");
    let digest = two.release.digest;
    stage.world.unclear.lock().unwrap().insert(digest);
    stage.commit(&[two]).await;
    stage.until(&key(), "Paused").await;
    // A repair of what is live is at work while the gates pass, so the promotion must wait for it.
    let repair = Fault::Slow(Duration::from_secs(300));
    let aws = stage.cloud(CloudName::Aws);
    aws.fault(Operation::Repair, 1, repair);
    aws.edit(&key(), HandEdit::Empty(Slot::Blue));
    stage.pass(Duration::from_secs(90)).await;
    stage.world.unclear.lock().unwrap().clear();
    stage.act(Action::Retry).await;
    stage.until(&key(), "Promoting").await;
    stage.act(Action::Pause { reason: None }).await;
    stage.pass(Duration::from_secs(600)).await;
    assert_eq!(stage.phase().await, "Promoting");
    for cloud in stage.world.clouds.values() {
        assert_ne!(cloud.held(&key(), Slot::Blue), Some(digest));
    }
    stage.act(Action::Resume).await;
    stage.until(&key(), "Live").await;
}

/// Who is refused changes nothing, in memory as on the disk.
#[tokio::test(start_paused = true)]
async fn a_resume_that_is_refused_leaves_an_ended_suspension_as_it_is_on_the_disk() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    let until = stage.clock.now().after(Duration::from_secs(10));
    let suspend = Action::Suspend {
        reason: "audit".to_owned(),
        until: Some(until),
    };
    stage.act(suspend).await;
    stage.pass(Duration::from_secs(20)).await;
    let refused = stage.refusal(Action::Resume, "ana").await;
    assert!(refused.contains("neither paused"), "{refused}");
    let before = stage.state().await.memory.suspension;
    let stage = stage.crash().await;
    assert_eq!(stage.state().await.memory.suspension, before);
}

/// Neither Git nor the store says its name any more; its tags do.
#[tokio::test(start_paused = true)]
async fn a_service_that_git_dropped_while_the_store_was_lost_is_found_and_pruned() {
    let mut stage = Stage::new().await;
    let service = |name| service_version(name, "1");
    let all = ["cart", "mail", "shop"].map(service);
    stage.commit(&all).await;
    stage.pass(Duration::from_secs(120)).await;
    // Most of an environment does not go, found or not.
    stage.commit(&all[..1]).await;
    let mut stage = stage.lose_store().await;
    stage.pass(Duration::from_secs(3600)).await;
    let held = |stage: &Stage, name| {
        let clouds = stage.world.clouds.values();
        let key = service(name).release.service;
        clouds
            .filter(|cloud| cloud.held(&key, Slot::Blue).is_some())
            .count()
    };
    assert_eq!((held(&stage, "mail"), held(&stage, "shop")), (2, 2));
    stage.commit(&all[..2]).await;
    let stage = stage.lose_store().await;
    stage.pass(Duration::from_secs(3600)).await;
    assert_eq!((held(&stage, "mail"), held(&stage, "shop")), (2, 0));
}

/// What each cloud calls it is remembered, though the first one made it known.
#[tokio::test(start_paused = true)]
async fn a_stray_on_both_clouds_is_known_by_its_names_on_both() {
    let mut stage = Stage::new().await;
    let mut shop = version("1");
    let content = Arc::make_mut(&mut shop.release.content);
    let stock = Arc::make_mut(content.functions.values_mut().next().unwrap());
    stock.aws = Some(Box::new(AwsFunction {
        name: Some("Legacy_Stock".to_owned()),
        ..AwsFunction::default()
    }));
    content.azure = Some(Box::new(AzureApp {
        name: Some("legacy-shop".to_owned()),
        ..AzureApp::default()
    }));
    let called = content.called();
    let others = ["cart", "mail"].map(|name| service_version(name, "1"));
    let all = [&others[..], &[shop]].concat();
    stage.commit(&all).await;
    stage.pass(Duration::from_secs(120)).await;
    // Most of an environment does not go, so that both strays stay to be looked at.
    stage.commit(&all[..1]).await;
    let stage = stage.lose_store().await;
    stage.pass(Duration::from_secs(3600)).await;
    let memory = stage.state().await.memory;
    assert_eq!(memory.called, called);
    assert_eq!(memory.functions.len(), 1);
}

/// What a lost store knew of a release besides its code is in Git.
#[tokio::test(start_paused = true)]
async fn a_field_that_somebody_changes_after_the_store_was_lost_is_put_right() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    let stage = stage.lose_store().await;
    stage.pass(Duration::from_secs(100)).await;
    let edit = HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("1".to_owned()),
    };
    stage.cloud(CloudName::Aws).edit(&key(), edit);
    stage.pass(Duration::from_secs(100)).await;
    let scope = stage.state().await.scope();
    let seen = stage.cloud(CloudName::Aws).observe(&scope).await.unwrap();
    assert_eq!(seen.blue.holding().unwrap().fields["stock.memory"], "256");
}

/// A cloud does not promote what was changed since it was staged, though the slot still names the release.
#[tokio::test(start_paused = true)]
async fn a_blue_whose_release_lies_changed_in_green_is_put_right_all_the_same() {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.until(&key(), "Live").await;
    let aws = stage.cloud(CloudName::Aws);
    let edit = HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("1".to_owned()),
    };
    aws.edit(&key(), edit);
    aws.edit(&key(), HandEdit::Swap);
    stage.pass(Duration::from_secs(180)).await;
    let blue = stage.cloud(CloudName::Aws).held(&key(), Slot::Blue);
    assert_eq!(blue, Some(version("1").release.digest));
}
