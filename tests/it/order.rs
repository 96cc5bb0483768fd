//! Services that depend on others, that are promoted together, and that follow another environment: on the whole daemon.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use insta::assert_snapshot;
use verdigris::{
    cloud::fake::{Fault, Operation},
    desired::DesiredService,
    manifest::spec::{Follows, Role},
    name::{Actor, CloudName, ReleaseDigest, ServiceKey, Slot, Timestamp},
    plan::act::Action,
};

use crate::stage::{Stage, service_in, service_version, unreachable};

const SETTLED: Duration = Duration::from_secs(300);

fn needing(name: &str, version: &str, others: &[&str]) -> DesiredService {
    DesiredService {
        depends_on: others.iter().map(|name| name.parse().unwrap()).collect(),
        ..service_version(name, &format!("{name} {version}"))
    }
}

fn grouped(name: &str, version: &str) -> DesiredService {
    let mut desired = service_version(name, &format!("{name} {version}"));
    desired.rollout.group = Some("checkout".parse().unwrap());
    desired
}

/// The shop in both environments; production follows, as soon as a release was live for half an hour.
fn shop(version: &str) -> [DesiredService; 2] {
    let mut prod = service_in("prod", "shop", version);
    let environment = Arc::make_mut(&mut prod.environment);
    environment.follows = Some(Follows {
        environment: "staging".parse().unwrap(),
        after: Duration::from_secs(1800),
    });
    let role = "arn:aws:iam::210987654321:role/functions".to_owned();
    environment.aws.as_mut().unwrap().role = Role::Given(role.clone());
    Arc::make_mut(&mut prod.release.content).role = Some(role);
    prod.release.digest = prod.release.content.digest();
    [service_in("staging", "shop", version), prod]
}

fn key(name: &str) -> ServiceKey {
    name.parse().unwrap()
}

/// What blue holds of a service on both clouds.
fn blues(stage: &Stage, name: &str) -> [Option<ReleaseDigest>; 2] {
    let key = key(name);
    let clouds = match key.environment.as_str() {
        "prod" => &stage.world.clouds,
        _ => &stage.world.elsewhere,
    };
    CloudName::ALL.map(|cloud| clouds[&cloud].held(&key, Slot::Blue))
}

fn holds(desired: &DesiredService) -> [Option<ReleaseDigest>; 2] {
    [Some(desired.release.digest); 2]
}

async fn phase(stage: &Stage, name: &str) -> String {
    let state = stage.handle.state(&key(name)).await;
    let rollout = state.and_then(|state| state.rollout);
    rollout.map_or_else(String::new, |it| it.phase.word().to_owned())
}

/// When the newest rollout of a service came to a phase.
async fn moved(stage: &Stage, name: &str, phase: &str) -> Timestamp {
    let state = stage.handle.state(&key(name)).await.unwrap();
    let moves = state.rollout.unwrap().transitions;
    moves.iter().find(|it| it.phase == phase).unwrap().at
}

/// What a service waits on, in its words.
async fn waits_on(stage: &Stage, name: &str) -> String {
    let plan = stage.handle.plan(&key(name)).await.unwrap();
    let told: Vec<String> = plan.waiting.iter().map(ToString::to_string).collect();
    told.join("; ")
}

async fn act(stage: &Stage, name: &str, action: Action) {
    let ana = Actor::person("ana");
    stage.handle.act(&key(name), action, ana).await.unwrap();
}

fn fails(stage: &Stage, desired: &DesiredService) {
    let mut bad = stage.world.bad.lock().unwrap();
    bad.insert(desired.release.digest);
}

// === dependsOn ===

#[tokio::test(start_paused = true)]
async fn a_service_goes_to_green_when_what_it_depends_on_is_live() {
    let mut stage = Stage::new().await;
    // `a` is looked at before `b`, which is live at the version before, and in sync until it hears of the newer one.
    stage
        .commit(&[needing("a", "1", &["b"]), needing("b", "1", &[])])
        .await;
    stage.pass(SETTLED).await;
    for cloud in CloudName::ALL {
        stage.cloud(cloud).slow(Duration::from_secs(2));
    }
    let (a, b) = (needing("a", "2", &["b"]), needing("b", "2", &[]));
    stage.commit(&[a.clone(), b.clone()]).await;
    stage.until(&key("prod/b"), "Baking").await;
    assert_eq!(phase(&stage, "prod/a").await, "Staging");
    let green = CloudName::ALL.map(|cloud| stage.cloud(cloud).held(&key("prod/a"), Slot::Green));
    assert!(
        !green.contains(&Some(a.release.digest)),
        "green is kept for a rollback"
    );
    let waits = waits_on(&stage, "prod/a").await;
    assert!(
        waits.starts_with("prod/b, which it depends on: it is Baking since "),
        "{waits}"
    );
    stage.pass(SETTLED).await;
    assert_eq!(blues(&stage, "prod/a"), holds(&a));
    assert_eq!(blues(&stage, "prod/b"), holds(&b));
}

#[tokio::test(start_paused = true)]
async fn a_dependant_wakes_when_its_dependency_is_live_and_not_at_an_interval() {
    let mut stage = Stage::new().await;
    stage
        .commit(&[needing("a", "1", &["b"]), needing("b", "1", &[])])
        .await;
    stage.pass(SETTLED).await;
    let live = moved(&stage, "prod/b", "Live").await;
    let measured = moved(&stage, "prod/a", "Gating").await;
    let waited = measured.since(live);
    assert!(waited <= Duration::from_millis(50), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_is_rejected_holds_its_dependants_and_says_so() {
    let mut stage = Stage::new().await;
    let (a, b) = (needing("a", "2", &["b"]), needing("b", "2", &[]));
    fails(&stage, &b);
    stage.commit(&[a.clone(), b]).await;
    stage.pass(SETTLED).await;
    assert_snapshot!(waits_on(&stage, "prod/a").await, @"prod/b, which it depends on: it is waiting for a newer release or `retry`: ea6cde6fbb87 was rejected: gate smoke failed: aws: 1 failed measurement, 0 forgiven; status is 500, not 200");
    assert_eq!(blues(&stage, "prod/a"), [None; 2]);
    stage.commit(&[a.clone(), needing("b", "3", &[])]).await;
    stage.pass(SETTLED).await;
    assert_eq!(blues(&stage, "prod/a"), holds(&a));
}

#[tokio::test(start_paused = true)]
async fn what_others_depend_on_is_deleted_last() {
    let mut stage = Stage::new().await;
    let others = ["x", "y", "z"].map(|name| service_version(name, "1"));
    let tied = [needing("b", "1", &["a"]), service_version("a", "1")];
    stage.commit(&[&others[..], &tied[..]].concat()).await;
    stage.pass(SETTLED).await;
    stage.cloud(CloudName::Aws).slow(Duration::from_secs(5));
    stage.commit(&others).await;
    stage.pass(Duration::from_secs(4)).await;
    assert_snapshot!(waits_on(&stage, "prod/a").await, @"prod/b, which depends on it and goes first: remove it from git, or what it needs from its `dependsOn`");
    assert!(blues(&stage, "prod/a").iter().all(Option::is_some));
    stage.pass(SETTLED).await;
    assert_eq!(blues(&stage, "prod/b"), [None; 2]);
    assert_eq!(blues(&stage, "prod/a"), [None; 2]);
}

// === groups ===

/// Three members of a group at version 1, and a service that is none.
async fn group() -> Stage {
    let mut stage = Stage::new().await;
    stage.commit(&members(["1", "1", "1"])).await;
    stage.pass(Duration::from_secs(30)).await;
    stage
}

fn members(versions: [&str; 3]) -> Vec<DesiredService> {
    let names = ["cart", "pay", "ship"].iter().zip(versions);
    let members = names.map(|(name, version)| grouped(name, version));
    members.chain([service_version("other", "1")]).collect()
}

/// The version of each member that both of its blues hold; `?` where they differ.
fn live(stage: &Stage) -> String {
    let version_of = |name: &str| {
        let held = blues(stage, &format!("prod/{name}"));
        let is = |number: &&&str| held == holds(&grouped(name, number));
        *["1", "2", "3"].iter().find(is).unwrap_or(&"?")
    };
    ["cart", "pay", "ship"].map(version_of).join(" ")
}

#[tokio::test(start_paused = true)]
async fn members_of_a_group_are_promoted_together() {
    let mut stage = group().await;
    assert_eq!(live(&stage), "1 1 1");
    stage.cloud(CloudName::Aws).slow(Duration::from_secs(1));
    stage.commit(&members(["2", "2", "1"])).await;
    stage.until(&key("prod/cart"), "Promoting").await;
    assert_eq!(phase(&stage, "prod/pay").await, "Promoting");
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "2 2 1");
    assert_eq!(phase(&stage, "prod/pay").await, "Live");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_fails_its_gates_keeps_the_others_from_blue() {
    let mut stage = group().await;
    fails(&stage, &grouped("pay", "2"));
    stage.commit(&members(["2", "2", "2"])).await;
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "1 1 1");
    assert_eq!(phase(&stage, "prod/cart").await, "Gating");
    assert_snapshot!(waits_on(&stage, "prod/cart").await, @"prod/pay, which is promoted with it: it is waiting for a newer release or `retry`: a18de4328bf6 was rejected: gate smoke failed: aws: 1 failed measurement, 0 forgiven; status is 500, not 200");
    stage.commit(&members(["2", "3", "2"])).await;
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "2 3 2", "a newer release lets all go");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_cannot_be_promoted_takes_all_back() {
    for ill in CloudName::ALL {
        let mut stage = group().await;
        for nth in 1..=4 {
            stage
                .cloud(ill)
                .fault(Operation::Promote, nth, unreachable(ill));
        }
        stage.commit(&members(["2", "2", "2"])).await;
        stage.pass(SETTLED * 3).await;
        let told = live(&stage);
        assert!(["1 1 1", "2 2 2"].contains(&told.as_str()), "{ill}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bake_that_fails_takes_all_back_and_only_the_one_that_failed_is_rejected() {
    let mut stage = group().await;
    stage.commit(&members(["2", "2", "1"])).await;
    stage.until(&key("prod/cart"), "Baking").await;
    let reason = Some("smoke on the dashboard".to_owned());
    act(&stage, "prod/pay", Action::Abort { reason }).await;
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "1 1 1");
    assert_eq!(phase(&stage, "prod/pay").await, "RolledBack");
    let waits = waits_on(&stage, "prod/cart").await;
    assert_eq!(
        phase(&stage, "prod/cart").await,
        "Gating",
        "it is ready to go again"
    );
    assert!(
        waits.contains("rejected: aborted by ana: smoke on the dashboard"),
        "{waits}"
    );
    act(&stage, "prod/pay", Action::Retry).await;
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "2 2 1");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_a_person_rolled_back_keeps_its_group_waiting() {
    let mut stage = group().await;
    stage.commit(&members(["2", "2", "2"])).await;
    stage.pass(SETTLED).await;
    act(&stage, "prod/pay", Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "2 1 2", "that member only");
    stage.commit(&members(["3", "2", "2"])).await;
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "2 1 2");
    assert_snapshot!(waits_on(&stage, "prod/cart").await, @"prod/pay, which is promoted with it: it is waiting for a newer release or `resume`: a rollback holds it at 72a806584d45");
    act(&stage, "prod/pay", Action::Resume).await;
    stage.pass(SETTLED).await;
    assert_eq!(live(&stage), "3 2 2");
}

#[tokio::test(start_paused = true)]
async fn a_group_is_whole_wherever_the_daemon_stops() {
    for is_bad in [false, true] {
        let mut crashes = 0;
        // Every write of a promotion that succeeds, and every third of one that is taken back.
        for at in (0..60).step_by(if is_bad { 3 } else { 1 }) {
            let mut stage = group().await;
            for cloud in CloudName::ALL {
                stage.cloud(cloud).slow(Duration::from_millis(20));
            }
            if is_bad {
                for nth in 1..=12 {
                    let azure = stage.cloud(CloudName::Azure);
                    azure.fault(Operation::Promote, nth, unreachable(CloudName::Azure));
                }
            }
            let commits = stage.store.commits();
            stage.commit(&members(["2", "2", "1"])).await;
            let deadline = stage.clock.now().after(Duration::from_secs(30));
            while stage.store.commits() < commits + at && stage.clock.now() < deadline {
                stage.pass(Duration::from_millis(1)).await;
            }
            if stage.store.commits() < commits + at {
                break;
            }
            crashes += 1;
            let stage = stage.crash().await;
            stage
                .pass(Duration::from_secs(if is_bad { 300 } else { 60 }))
                .await;
            let told = live(&stage);
            let may_be: &[&str] = if is_bad {
                &["1 1 1", "2 2 1"]
            } else {
                &["2 2 1"]
            };
            assert!(
                may_be.contains(&told.as_str()),
                "{is_bad}, commit {at}: {told}"
            );
        }
        assert!(crashes >= 8, "only {crashes} places to crash at");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_parts_no_group() {
    use verdigris::store::memory::Fault as DiskFault;
    for fault in [DiskFault::BeforeEffect, DiskFault::AfterEffect] {
        for nth in (2..40).step_by(3) {
            let mut stage = group().await;
            stage.store.fail_commit(nth, fault);
            stage.commit(&members(["2", "2", "1"])).await;
            stage.pass(Duration::from_secs(60)).await;
            assert_eq!(live(&stage), "2 2 1", "{fault:?} at {nth}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_any_promotion_parts_no_group() {
    for cloud in CloudName::ALL {
        for nth in 1..=3 {
            let mut stage = group().await;
            stage
                .cloud(cloud)
                .fault(Operation::Promote, nth, Fault::LoseReply);
            stage.commit(&members(["2", "2", "2"])).await;
            stage.pass(SETTLED * 2).await;
            assert_eq!(live(&stage), "2 2 2", "{cloud}, {nth}");
        }
    }
}

// === environments that follow ===

#[tokio::test(start_paused = true)]
async fn production_follows_what_was_live_in_staging_for_a_while_with_the_same_bytes() {
    let mut stage = Stage::new().await;
    let [staging, prod] = shop("1");
    stage.commit(&shop("1")).await;
    stage.pass(SETTLED).await;
    assert_eq!(blues(&stage, "staging/shop"), holds(&staging));
    assert_eq!(blues(&stage, "prod/shop"), [None; 2]);
    let state = stage.handle.state(&key("staging/shop")).await.unwrap();
    let since = state.memory.live_since.unwrap();
    let until = since.after(Duration::from_secs(1800));
    assert_eq!(
        waits_on(&stage, "prod/shop").await,
        format!(
            "staging/shop to hold this release live for 30m, until {until}: it is live since {since}"
        )
    );
    stage.pass(until.since(stage.clock.now())).await;
    assert_eq!(blues(&stage, "prod/shop"), [None; 2]);
    stage.pass(SETTLED).await;
    assert_eq!(blues(&stage, "prod/shop"), holds(&prod));
    let mut codes = BTreeMap::new();
    for name in ["staging/shop", "prod/shop"] {
        let state = stage.handle.state(&key(name)).await.unwrap();
        let record = &state.releases[&state.memory.promoted.unwrap()];
        let packages = record.packages.iter();
        codes.insert(name, packages.map(|(_, it)| it.code).collect::<Vec<_>>());
    }
    assert_eq!(codes["staging/shop"], codes["prod/shop"]);
    assert_ne!(staging.release.digest, prod.release.digest);
}

#[tokio::test(start_paused = true)]
async fn production_stays_where_staging_failed_or_went_back() {
    let mut stage = Stage::new().await;
    stage.commit(&shop("1")).await;
    stage.pass(Duration::from_secs(2400)).await;
    let [staging, prod] = shop("2");
    stage.commit(&shop("2")).await;
    stage.until(&key("staging/shop"), "Baking").await;
    act(&stage, "staging/shop", Action::Abort { reason: None }).await;
    stage.pass(Duration::from_secs(2400)).await;
    assert_eq!(blues(&stage, "prod/shop"), holds(&shop("1")[1]));
    assert_snapshot!(waits_on(&stage, "prod/shop").await, @"staging/shop to hold this release live for 30m: it is waiting for a newer release or `retry`: e1bf5a56ed27 was rejected: aborted by ana");
    act(&stage, "staging/shop", Action::Retry).await;
    stage.until(&key("staging/shop"), "Live").await;
    stage.pass(Duration::from_secs(900)).await;
    act(&stage, "staging/shop", Action::Rollback { to: None }).await;
    stage.pass(Duration::from_secs(2400)).await;
    assert_eq!(blues(&stage, "staging/shop"), holds(&shop("1")[0]));
    assert_eq!(blues(&stage, "prod/shop"), holds(&shop("1")[1]));
    act(&stage, "staging/shop", Action::Resume).await;
    stage.until(&key("staging/shop"), "Live").await;
    stage.pass(Duration::from_secs(1700)).await;
    assert_eq!(
        blues(&stage, "prod/shop"),
        holds(&shop("1")[1]),
        "the time starts anew"
    );
    stage.pass(SETTLED).await;
    assert_eq!(blues(&stage, "staging/shop"), holds(&staging));
    assert_eq!(blues(&stage, "prod/shop"), holds(&prod));
}
