//! A planner that is made to say what it must not, on the whole daemon. Each order is one that goes out where nothing forbids it, and is
//! given once more where something does: then no call reaches the cloud, nothing is recorded, and the service is stalled with the reason.

use std::time::Duration;

use verdigris::{
    cloud::fake::{Fault, HandEdit, Operation},
    desired::DesiredService,
    manifest::spec::Across,
    name::{Actor, CloudName, ReleaseDigest, ServiceKey},
    plan::{
        act::Action,
        reason::Reason,
        step::{Sending, Step},
    },
    reconcile::points,
    rollout::intent::{IntentKey, Order},
};

use super::{AWS, AZURE, SETTLED};
use crate::stage::{Stage, service_version};

const SECOND: Duration = Duration::from_secs(1);

/// What became of an order that the planner was made to give.
#[derive(Debug, Eq, PartialEq)]
enum Became {
    /// The cloud was called.
    Sent,
    /// It was not, and the service is stalled with this.
    Refused(String),
}

fn key_of(desired: &DesiredService) -> ServiceKey {
    desired.release.service.clone()
}

fn digest(name: &str, version: &str) -> ReleaseDigest {
    service_version(name, version).release.digest
}

/// Calls so far that write.
fn calls(stage: &Stage, cloud: CloudName) -> u64 {
    let calls = stage.cloud(cloud).counts().calls;
    let writing = calls.iter().filter(|(operation, _)| match operation {
        Operation::Observe | Operation::Inventory => false,
        Operation::Stage
        | Operation::Shift
        | Operation::Promote
        | Operation::Retract
        | Operation::Repair
        | Operation::Prune => true,
    });
    writing.map(|(_, count)| count).sum()
}

/// The service's planner gives this order in its next pass, under the key that it would have.
async fn mislead(stage: &Stage, key: &ServiceKey, step: &str, order: Order) {
    let state = stage.handle.state(key).await.unwrap();
    let intent = match &state.rollout {
        Some(rollout) if rollout.is_active() => format!("{}/{step}", rollout.id),
        Some(_) | None => step.to_owned(),
    };
    let sending = Sending {
        key: IntentKey(intent),
        order,
        reason: Reason::NeverDeployed,
    };
    points::plan_instead(key, Step::Send(vec![sending]));
}

/// What became of the order to a cloud that had so many calls before.
async fn became(stage: &Stage, key: &ServiceKey, cloud: CloudName, before: u64) -> Became {
    stage.handle.wake(key);
    stage.pass(SECOND / 10).await;
    let report = stage.handle.report(key).unwrap();
    let conditions = report.status.conditions.iter();
    let stalled = conditions
        .filter(|it| it.reason == "Stalled")
        .map(|it| it.message.replace("a person must look: ", ""))
        .next();
    match (calls(stage, cloud) > before, stalled) {
        (true, None) => Became::Sent,
        (false, Some(message)) => Became::Refused(message),
        (is_sent, stalled) => panic!("{key}: sent {is_sent}, stalled {stalled:?}"),
    }
}

/// Without what tells one release from another.
fn plain(became: Became, releases: &[(&str, ReleaseDigest)]) -> Became {
    let Became::Refused(mut message) = became else {
        return became;
    };
    for (name, release) in releases {
        message = message.replace(&release.short(), name);
    }
    Became::Refused(message)
}

// === promoting on the last healthy cloud ===

/// Version 2 is on AWS and soaks; AWS answers no more, or does; and then Azure is to be promoted.
async fn second_cloud(name: &str, is_ill: bool) -> Became {
    let mut stage = Stage::new().await;
    let one = service_version(name, "1");
    let key = key_of(&one);
    stage.commit(&[one]).await;
    stage.until(&key, "Live").await;
    let mut two = service_version(name, "2");
    two.rollout.across = Across::InOrder {
        first: AWS,
        soak: SECOND * 120,
    };
    stage.commit(std::slice::from_ref(&two)).await;
    stage.until(&key, "Promoting").await;
    stage.pass(SECOND * 60).await;
    if is_ill {
        stage.cloud(AWS).hang(true);
        // The soak ends, a look at AWS is begun, and comes to nothing.
        stage.pass(SECOND * 200).await;
    }
    let release = two.release.digest;
    let before = calls(&stage, AZURE);
    let order = Order::Promote {
        target: AZURE,
        release,
    };
    mislead(&stage, &key, "promote/azure", order).await;
    became(&stage, &key, AZURE, before).await
}

#[tokio::test(start_paused = true)]
async fn the_last_healthy_cloud_is_not_promoted_on() {
    assert_eq!(second_cloud("m-healthy", false).await, Became::Sent);
    let refused = "refused to promote on azure: aws is ill, and azure is the last healthy cloud";
    let became = second_cloud("m-ill", true).await;
    assert_eq!(became, Became::Refused(refused.to_owned()));
}

// === orders for a release that was superseded ===

/// Version 2 is on AWS green, and Azure asks to be left alone for a while; version 3 is merged, or is not.
async fn late_stage(name: &str, is_superseded: bool) -> Became {
    let mut stage = Stage::new().await;
    let one = service_version(name, "1");
    let key = key_of(&one);
    stage.commit(&[one]).await;
    stage.until(&key, "Live").await;
    let azure = stage.cloud(AZURE);
    azure.fault(Operation::Stage, 1, Fault::Throttle(SETTLED));
    stage.commit(&[service_version(name, "2")]).await;
    stage.until(&key, "Staging").await;
    stage.pass(SECOND * 10).await;
    let before = calls(&stage, AZURE);
    let release = digest(name, "2");
    let order = Order::Stage {
        target: AZURE,
        release,
    };
    mislead(&stage, &key, "stage/azure", order).await;
    if is_superseded {
        stage.commit(&[service_version(name, "3")]).await;
    }
    let became = became(&stage, &key, AZURE, before).await;
    plain(became, &[("v2", release), ("v3", digest(name, "3"))])
}

#[tokio::test(start_paused = true)]
async fn nothing_is_staged_of_a_release_that_was_superseded() {
    assert_eq!(late_stage("m-newest", false).await, Became::Sent);
    let refused = "refused an order for v2: v3 is asked for now";
    let became = late_stage("m-superseded", true).await;
    assert_eq!(became, Became::Refused(refused.to_owned()));
}

// === a member of a group alone ===

/// Two members are on AWS and soak; one of them goes back, or does not; and then the other is to be promoted on Azure.
async fn one_of_a_group(name: &str, is_left: bool) -> Became {
    let member = |which: &str, version: &str, soak: Duration| {
        let mut member = service_version(&format!("{name}-{which}"), version);
        member.rollout.group = Some(name.parse().unwrap());
        member.rollout.across = Across::InOrder { first: AWS, soak };
        member
    };
    let both = |version, soak| [member("a", version, soak), member("b", version, soak)];
    let [own, mate] = both("1", SECOND).map(|member| key_of(&member));
    let mut stage = Stage::new().await;
    stage.commit(&both("1", SECOND)).await;
    stage.until(&own, "Live").await;
    stage.pass(SECOND * 60).await;
    stage.commit(&both("2", SETTLED * 12)).await;
    stage.until(&own, "Promoting").await;
    stage.pass(SECOND * 30).await;
    let before = calls(&stage, AZURE);
    let release = member("a", "2", SECOND).release.digest;
    let order = Order::Promote {
        target: AZURE,
        release,
    };
    mislead(&stage, &own, "promote/azure", order).await;
    if is_left {
        let abort = Action::Abort { reason: None };
        let ana = Actor::person("ana");
        stage.handle.act(&mate, abort, ana).await.unwrap();
        stage.pass(SECOND / 10).await;
    }
    let became = became(&stage, &own, AZURE, before).await;
    plain(became, &[("v2", release)])
}

#[tokio::test(start_paused = true)]
async fn no_member_of_a_group_is_promoted_once_another_has_left() {
    assert_eq!(one_of_a_group("m-whole", false).await, Became::Sent);
    let refused = "refused to promote v2 on azure: prod/m-parted-b, which goes with it, does not";
    let became = one_of_a_group("m-parted", true).await;
    assert_eq!(became, Became::Refused(refused.to_owned()));
}

// === what is not ours ===

/// The first version is to be staged where something of another owner stands, or nothing does.
async fn first_stage(name: &str, is_foreign: bool) -> Became {
    let mut stage = Stage::new().await;
    let one = service_version(name, "1");
    let key = key_of(&one);
    let azure = stage.cloud(AZURE);
    if is_foreign {
        azure.edit(&key, HandEdit::Foreign("stock".parse().unwrap()));
    }
    azure.fault(Operation::Stage, 1, Fault::Throttle(SETTLED));
    stage.commit(std::slice::from_ref(&one)).await;
    stage.until(&key, "Staging").await;
    stage.pass(SECOND * 5).await;
    let release = one.release.digest;
    let before = calls(&stage, AZURE);
    let order = Order::Stage {
        target: AZURE,
        release,
    };
    mislead(&stage, &key, "stage/azure", order).await;
    became(&stage, &key, AZURE, before).await
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_not_written_to() {
    assert_eq!(first_stage("m-ours", false).await, Became::Sent);
    let Became::Refused(told) = first_stage("m-theirs", true).await else {
        panic!("it was written to");
    };
    assert!(told.starts_with("refused to write to azure: `"), "{told}");
    assert!(told.ends_with("` does not carry our tags"), "{told}");
}

// === pruning more than the share ===

/// So many of four services vanish from Git, and one of them is to be deleted; pruning waits for a person meanwhile.
async fn prune_of(name: &str, vanished: usize) -> Became {
    let mut stage = Stage::new().await;
    let all: Vec<DesiredService> = (0..4)
        .map(|nth| service_version(&format!("{name}-{nth}"), "1"))
        .collect();
    let key = key_of(&all[0]);
    stage.commit(&all).await;
    stage.pass(SETTLED).await;
    let suspend = Action::Suspend {
        reason: "hold".to_owned(),
        until: None,
    };
    let ana = Actor::person("ana");
    stage.handle.act(&key, suspend, ana).await.unwrap();
    stage
        .cloud(AWS)
        .fault(Operation::Prune, 1, Fault::Throttle(SETTLED));
    stage.commit(&all[vanished..]).await;
    stage.pass(SECOND).await;
    let before = calls(&stage, AWS);
    mislead(&stage, &key, "prune/aws", Order::Prune { target: AWS }).await;
    became(&stage, &key, AWS, before).await
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_share_is_pruned() {
    assert_eq!(prune_of("m-one", 1).await, Became::Sent);
    let refused = "refused to prune aws: 3 of 4 services would go";
    let became = prune_of("m-three", 3).await;
    assert_eq!(became, Became::Refused(refused.to_owned()));
}

// === orders that fit nothing that is under way ===

#[tokio::test(start_paused = true)]
async fn what_no_rollout_asks_for_is_not_sent() {
    type Wrong = fn(ReleaseDigest) -> Order;
    let wrong: [(&str, Wrong, &str); 4] = [
        (
            "w-promote",
            |release| Order::Promote {
                target: AWS,
                release,
            },
            "refused to promote v2 on aws: its rollout has not passed its gates",
        ),
        (
            "w-stage",
            |release| Order::Stage {
                target: AWS,
                release,
            },
            "refused to stage v2 on aws: no rollout asks for it",
        ),
        (
            "w-prune",
            |_| Order::Prune { target: AWS },
            "refused to prune aws: git still names the service, or was not read",
        ),
        (
            "w-retract",
            |release| Order::Retract {
                target: AWS,
                release,
            },
            "refused to take v2 off aws: it is not the way back from a first promotion",
        ),
    ];
    for (name, order, message) in wrong {
        let mut stage = Stage::new().await;
        let one = service_version(name, "1");
        let key = key_of(&one);
        stage.commit(&[one]).await;
        stage.until(&key, "Live").await;
        let release = digest(name, "2");
        let before = calls(&stage, AWS);
        mislead(&stage, &key, "wrong", order(release)).await;
        let became = became(&stage, &key, AWS, before).await;
        let refused = Became::Refused(message.to_owned());
        assert_eq!(plain(became, &[("v2", release)]), refused, "{name}");
        stage.pass(SETTLED).await;
        assert_eq!(calls(&stage, AWS), before, "{name}");
        let state = stage.handle.state(&key).await.unwrap();
        assert!(state.intents.keys().all(|key| key.0 != "wrong"), "{name}");
    }
}
