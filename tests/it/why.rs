//! What stands between the newest commit and users: every wait that there is, brought about on the whole daemon, as people read it.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use verdigris::{
    cloud::fake::{Fault, HandEdit, Operation},
    desired::DesiredService,
    manifest::{
        spec::{
            Across, ApprovalGate, DriftMode, Follows, Gate, GateKind, GateStage, Window,
            WindowEffect,
        },
        strategy::{CanaryStep, Strategy},
    },
    name::{Actor, CloudName, Percent, ServiceKey, Slot},
    plan::{act::Action, reason::WaitingOn},
};

use crate::stage::{Stage, gate, key, service_in, service_version, unreachable, version};

const SETTLED: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Makes the list of all kinds and what holds it whole out of one list.
macro_rules! kinds {
    ($($kind:ident $word:literal),* $(,)?) => {
        const KINDS: &[&str] = &[$($word),*];

        /// A kind that is in no line of the list does not compile.
        fn word_of(on: &WaitingOn) -> &'static str {
            match on {
                $(WaitingOn::$kind { .. } => $word,)*
            }
        }
    };
}

kinds! {
    Nothing "nothing",
    Git "git",
    Manifest "manifest",
    Cloud "cloud",
    Answer "answer",
    LastHealthy "lastHealthy",
    Order "order",
    Gate "gate",
    Approval "approval",
    Paused "paused",
    Window "window",
    Person "person",
    Soak "soak",
    Bake "bake",
    CanaryPause "canary",
    Suspended "suspended",
    Destroyed "destroyed",
    Pinned "pinned",
    Rejected "rejected",
    Drift "drift",
    DriftLoop "driftLoop",
    Prune "prune",
    Dependency "dependency",
    Group "group",
    Environment "environment",
}

/// What stands in the way of a service, as `verdigris why` tells it.
pub(crate) async fn told(stage: &Stage, key: &ServiceKey) -> String {
    let explanation = stage.handle.why(key).await.unwrap();
    let mut told = String::new();
    for obstacle in explanation.obstacles {
        let since = obstacle.since.map(|since| {
            let ago = stage.clock.now().since(since).as_secs();
            format!(", for {ago}s")
        });
        let until = obstacle.until.map(|until| format!(", until {until}"));
        let (since, until) = (since.unwrap_or_default(), until.unwrap_or_default());
        let (needs, what, kind) = (obstacle.needs, obstacle.what, obstacle.kind);
        writeln!(told, "{needs:?}: {what} [{kind}{since}{until}]").unwrap();
        for line in obstacle.evidence {
            writeln!(told, "  - {line}").unwrap();
        }
        for way in obstacle.ways {
            match way.command {
                Some(command) => writeln!(told, "  > {command}: {}", way.text).unwrap(),
                None => writeln!(told, "  > {}", way.text).unwrap(),
            }
        }
    }
    unhashed(stage, key, told).await
}

/// A plan's hash follows everything that a service can ask for.
async fn unhashed(stage: &Stage, key: &ServiceKey, text: String) -> String {
    match stage.handle.plan(key).await.and_then(|plan| plan.hash) {
        Some(plan) => text.replace(&plan.short(), "[plan]"),
        None => text,
    }
}

/// A way to each kind of wait; some kinds have two.
const SCENES: &[&str] = &[
    "nothing",
    "git",
    "manifest",
    "cloud",
    "answer",
    "lastHealthy",
    "order",
    "gate",
    "approval",
    "paused",
    "window",
    "window without an opening",
    "person",
    "soak",
    "bake",
    "canary",
    "canary without an end",
    "suspended",
    "suspended without an end",
    "destroyed",
    "pinned",
    "pinned by a rollback",
    "rejected",
    "drift",
    "driftLoop",
    "prune",
    "dependency",
    "group",
    "environment",
];

async fn scene(name: &str) -> (Stage, ServiceKey) {
    let (stage, about) = match name {
        "nothing" => (Stage::live(&["1"]).await, "prod/shop"),
        "git" => (unread().await, "prod/shop"),
        "manifest" => (faulty().await, "prod/shop"),
        "cloud" => (unseen().await, "prod/shop"),
        "answer" => (silent().await, "prod/shop"),
        "lastHealthy" => (last_healthy().await, "prod/shop"),
        "order" => (failing_order().await, "prod/shop"),
        "gate" => (asked_again().await, "prod/shop"),
        "approval" => (half_approved().await, "prod/shop"),
        "paused" => (paused().await, "prod/shop"),
        "window" => (closed("0 22 * * *", 2 * HOUR).await, "prod/shop"),
        "window without an opening" => (closed("* * * * *", HOUR).await, "prod/shop"),
        "person" => (unclear().await, "prod/shop"),
        "soak" => (soaking().await, "prod/shop"),
        "bake" => (baking().await, "prod/shop"),
        "canary" => (canary(Some(HOUR)).await, "prod/shop"),
        "canary without an end" => (canary(None).await, "prod/shop"),
        "suspended" => (suspended(true).await, "prod/shop"),
        "suspended without an end" => (suspended(false).await, "prod/shop"),
        "destroyed" => (destroyed().await, "prod/shop"),
        "pinned" => (pinned().await, "prod/shop"),
        "pinned by a rollback" => (rolled_back().await, "prod/shop"),
        "rejected" => (rejected().await, "prod/shop"),
        "drift" => (drifted().await, "prod/shop"),
        "driftLoop" => (drifting().await, "prod/shop"),
        "prune" => (dropped().await, "prod/a"),
        "dependency" => (depending().await, "prod/a"),
        "group" => (grouped().await, "prod/cart"),
        "environment" => (following().await, "prod/shop"),
        unknown => panic!("no scene is called {unknown}"),
    };
    stage.pass(MINUTE).await;
    (stage, about.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn every_wait_says_since_when_what_is_known_of_it_and_what_would_end_it() {
    let shown: Vec<&str> = SCENES
        .iter()
        .map(|scene| scene.split(' ').next().unwrap())
        .collect();
    for kind in KINDS {
        assert!(shown.contains(kind), "no scene shows the wait `{kind}`");
    }
    let mut all = String::new();
    for name in SCENES {
        let (stage, key) = scene(name).await;
        let plan = stage.handle.plan(&key).await.unwrap();
        for on in &plan.waiting {
            assert_eq!(word_of(on), on.word());
        }
        let kind = name.split(' ').next().unwrap();
        let explanation = stage.handle.why(&key).await.unwrap();
        let found = explanation.obstacles.iter().find(|it| it.kind == kind);
        assert_eq!(
            found.is_some(),
            kind != "nothing",
            "{name}: {explanation:#?}"
        );
        if let Some(found) = found {
            assert!(!found.ways.is_empty(), "{name} says no way out");
            // What was never read or seen has no beginning that a daemon could know.
            assert!(found.since.is_some() || kind == "git", "{name} has no date");
        }
        let why = unhashed(&stage, &key, explanation.why).await;
        writeln!(all, "=== {name}: {why}").unwrap();
        all.push_str(&told(&stage, &key).await);
        all.push('\n');
    }
    insta::assert_snapshot!("every_wait", all);
}

// === the scenes ===

/// Version 1 is live, and the next commit asks for this.
async fn next(change: impl FnOnce(&mut DesiredService)) -> Stage {
    let mut stage = Stage::live(&["1"]).await;
    let mut two = version("2");
    change(&mut two);
    stage.commit(&[two]).await;
    stage
}

async fn unread() -> Stage {
    Stage::live(&["1"]).await.crash_and_read_nothing().await
}

async fn faulty() -> Stage {
    let mut stage = Stage::live(&["1"]).await;
    let faults = [
        "shop.yaml:7:5: spec.runtime: `python2` is no runtime",
        "shop.yaml:9:5: spec.source: is missing",
    ];
    stage.commit_faults(&faults).await;
    stage
}

async fn unseen() -> Stage {
    let mut stage = Stage::new().await;
    for _ in 0..40 {
        let aws = stage.cloud(CloudName::Aws);
        aws.fault(Operation::Observe, 1, unreachable(CloudName::Aws));
    }
    stage.commit(&[version("1")]).await;
    stage
}

fn in_order(service: &mut DesiredService, soak: Duration) {
    let first = CloudName::Aws;
    service.rollout.across = Across::InOrder { first, soak };
}

async fn last_healthy() -> Stage {
    let stage = next(|two| in_order(two, 2 * MINUTE)).await;
    stage.until(&key(), "Promoting").await;
    stage.pass(MINUTE).await;
    stage.cloud(CloudName::Aws).hang(true);
    stage.pass(2 * MINUTE).await;
    stage
}

async fn silent() -> Stage {
    let stage = next(|two| two.rollout.bake = 2 * MINUTE).await;
    stage.until(&key(), "Baking").await;
    let azure = stage.world.clouds[&CloudName::Azure].clone();
    // Not for so long that the rollout goes back before somebody asks why.
    tokio::spawn(async move {
        tokio::time::sleep(MINUTE * 2 / 3).await;
        azure.silence_blue(Some("https://shop.test/ answers 503"));
    });
    stage
}

async fn failing_order() -> Stage {
    let stage = Stage::live(&["1"]).await;
    let azure = stage.cloud(CloudName::Azure);
    for nth in 1..=2 {
        azure.fault(Operation::Stage, nth, unreachable(CloudName::Azure));
    }
    azure.fault(Operation::Stage, 3, Fault::Throttle(5 * MINUTE));
    let mut stage = stage;
    stage.commit(&[version("2")]).await;
    stage
}

async fn asked_again() -> Stage {
    let often = |two: &mut DesiredService| {
        let measure = &mut two.rollout.gates[0].measure;
        measure.count = Some(10);
        measure.interval = 2 * MINUTE;
    };
    let stage = next(often).await;
    stage.until(&key(), "Gating").await;
    stage
}

async fn half_approved() -> Stage {
    let mut approval: Gate = gate("release");
    approval.kind = GateKind::Approval(ApprovalGate {
        by: ["ana", "bo"].map(str::to_owned).to_vec(),
        roles: Vec::new(),
        quorum: 2,
        expires: Some(HOUR),
    });
    let stage = next(|two| two.rollout.gates.push(approval)).await;
    stage.until(&key(), "AwaitingApproval").await;
    stage.act(Action::Approve { plan: None }).await;
    stage
}

async fn paused() -> Stage {
    let mut stage = Stage::live(&["1"]).await;
    stage.cloud(CloudName::Aws).slow(Duration::from_secs(1));
    stage.commit(&[version("2")]).await;
    stage.until(&key(), "Staging").await;
    let reason = Some("look first".to_owned());
    stage.act(Action::Pause { reason }).await;
    stage
}

async fn closed(schedule: &str, length: Duration) -> Stage {
    let window = Window {
        effect: WindowEffect::Deny,
        schedule: schedule.to_owned(),
        length,
        time_zone: "UTC".to_owned(),
        reason: Some("night shift".to_owned()),
    };
    next(|two| Arc::make_mut(&mut two.environment).windows.push(window)).await
}

async fn unclear() -> Stage {
    let mut stage = Stage::live(&["1"]).await;
    let two = version("2");
    let digest = two.release.digest;
    stage.world.unclear.lock().unwrap().insert(digest);
    stage.commit(&[two]).await;
    stage.until(&key(), "Paused").await;
    stage
}

async fn soaking() -> Stage {
    let stage = next(|two| in_order(two, HOUR)).await;
    stage.until(&key(), "Promoting").await;
    stage
}

async fn baking() -> Stage {
    let watched = Gate {
        after: GateStage::Promotion,
        ..gate("errors")
    };
    let stage = next(|two| {
        two.rollout.bake = HOUR;
        two.rollout.gates.push(watched);
    });
    let stage = stage.await;
    stage.until(&key(), "Baking").await;
    stage
}

async fn canary(pause: Option<Duration>) -> Stage {
    let stage = next(|two| {
        let share = CanaryStep::Weight(Percent::new(10).unwrap());
        let steps = vec![share, CanaryStep::Pause(pause)];
        two.rollout.strategy = Strategy::Canary { steps };
    });
    let stage = stage.await;
    stage.until(&key(), "Shifting").await;
    stage
}

async fn suspended(has_end: bool) -> Stage {
    let stage = Stage::live(&["1"]).await;
    let until = has_end.then(|| stage.clock.now().after(HOUR));
    let reason = "audit".to_owned();
    stage.act(Action::Suspend { reason, until }).await;
    let mut stage = stage;
    stage.commit(&[version("2")]).await;
    stage
}

async fn destroyed() -> Stage {
    let stage = Stage::live(&["1"]).await;
    crate::destroy::destroy(&stage).await;
    stage
}

async fn pinned() -> Stage {
    let mut stage = Stage::live(&["1"]).await;
    let reason = "audit".to_owned();
    stage.act(Action::Pin { to: None, reason }).await;
    stage.commit(&[version("2")]).await;
    stage
}

async fn rolled_back() -> Stage {
    let stage = Stage::live(&["1", "2"]).await;
    stage.act(Action::Rollback { to: None }).await;
    stage
}

async fn rejected() -> Stage {
    let stage = Stage::live(&["1"]).await;
    let two = version("2");
    stage.world.bad.lock().unwrap().insert(two.release.digest);
    let mut stage = stage;
    stage.commit(&[two]).await;
    stage
}

async fn drifted() -> Stage {
    let mut one = version("1");
    one.drift.mode = DriftMode::Observe;
    let mut stage = Stage::new().await;
    stage.commit(&[one]).await;
    stage.pass(SETTLED).await;
    stage.cloud(CloudName::Aws).edit(&key(), more_memory());
    stage.pass(MINUTE).await;
    stage
}

fn more_memory() -> HandEdit {
    HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("1024".to_owned()),
    }
}

async fn drifting() -> Stage {
    let stage = Stage::live(&["1"]).await;
    for _ in 0..3 {
        stage.cloud(CloudName::Aws).edit(&key(), more_memory());
        stage.pass(3 * MINUTE).await;
    }
    stage
}

async fn dropped() -> Stage {
    let mut stage = Stage::new().await;
    let all = ["a", "b", "c"].map(|name| service_version(name, "1"));
    stage.commit(&all).await;
    stage.pass(SETTLED).await;
    stage.commit(&all[2..]).await;
    stage
}

async fn depending() -> Stage {
    let mut a = service_version("a", "1");
    a.depends_on = ["b".parse().unwrap()].into();
    let b = service_version("b", "1");
    let mut stage = Stage::new().await;
    stage.world.bad.lock().unwrap().insert(b.release.digest);
    stage.commit(&[a, b]).await;
    stage
}

async fn grouped() -> Stage {
    let member = |name: &str| {
        let mut member = service_version(name, &format!("{name} 1"));
        member.rollout.group = Some("checkout".parse().unwrap());
        member
    };
    let mut pay = member("pay");
    pay.rollout.gates[0].measure.initial_delay = HOUR;
    let mut stage = Stage::new().await;
    stage.commit(&[member("cart"), pay]).await;
    stage
}

async fn following() -> Stage {
    let mut prod = service_in("prod", "shop", "1");
    Arc::make_mut(&mut prod.environment).follows = Some(Follows {
        environment: "staging".parse().unwrap(),
        after: HOUR / 2,
    });
    let mut stage = Stage::new().await;
    stage
        .commit(&[service_in("staging", "shop", "1"), prod])
        .await;
    stage.until(&"staging/shop".parse().unwrap(), "Live").await;
    stage
}

/// What people read does not depend on who reads: a daemon that starts again says the same, with the same dates.
#[tokio::test(start_paused = true)]
async fn a_restart_changes_no_word_and_no_date() {
    // What is told of tries that failed is counted anew, and gates that were being asked are asked again.
    let changed = ["git", "manifest", "cloud", "lastHealthy", "order"];
    for name in SCENES.iter().filter(|name| !changed.contains(name)) {
        let (stage, key) = scene(name).await;
        let before = told(&stage, &key).await;
        let stage = stage.crash().await;
        stage.pass(Duration::from_millis(300)).await;
        assert_eq!(told(&stage, &key).await, before, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_presses_most_stands_first() {
    let mut stage = Stage::live(&["1"]).await;
    let mut approval = gate("release");
    approval.kind = GateKind::Approval(ApprovalGate {
        by: vec!["ana".to_owned()],
        roles: Vec::new(),
        quorum: 1,
        expires: None,
    });
    let mut two = version("2");
    two.rollout.gates.push(approval);
    two.rollout.gates[0].measure.initial_delay = HOUR;
    stage.commit(&[two]).await;
    stage.until(&key(), "Gating").await;
    let suspend = Action::Suspend {
        reason: "audit".to_owned(),
        until: None,
    };
    let ana = Actor::person("ana");
    stage.handle.act(&key(), suspend, ana).await.unwrap();
    stage.pass(MINUTE).await;
    let explanation = stage.handle.why(&key()).await.unwrap();
    let needs: Vec<_> = explanation.obstacles.iter().map(|it| it.needs).collect();
    assert!(needs.is_sorted() && needs.len() >= 2, "{needs:?}");
    assert_eq!(explanation.obstacles[0].kind, "suspended");
}
