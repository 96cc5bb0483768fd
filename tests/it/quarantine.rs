//! A service whose evaluation panics is stalled with the reason, and everything else goes on; when a person says so it goes on, too.

#![cfg(debug_assertions)]

use std::time::Duration;

use verdigris::{
    desired::DesiredService,
    name::{Actor, ServiceKey},
    plan::{act::Action, state::ServiceState},
    reconcile::points::{Part, panic_at},
    status::condition::{ConditionKind, Truth},
};

use crate::stage::{Stage, service_version};

const SETTLED: Duration = Duration::from_secs(300);

/// As often as it is asked.
const ALWAYS: u32 = u32::MAX;

/// A pair of services that no other test has: tests share a process, and where a service panics is told by its name.
struct Pair {
    ill: DesiredService,
    well: DesiredService,
}

impl Pair {
    fn at(test: &str, part: Part, version: &str) -> Self {
        let named = |what: &str| {
            let name = format!("{what}-{test}-{}", format!("{part:?}").to_lowercase());
            service_version(&name, version)
        };
        Self {
            ill: named("ill"),
            well: named("well"),
        }
    }

    fn both(&self) -> [DesiredService; 2] {
        [self.ill.clone(), self.well.clone()]
    }
}

fn key(desired: &DesiredService) -> &ServiceKey {
    &desired.release.service
}

async fn state(stage: &Stage, of: &DesiredService) -> ServiceState {
    stage.handle.state(key(of)).await.unwrap()
}

async fn is_live(stage: &Stage, desired: &DesiredService) -> bool {
    let state = state(stage, desired).await;
    let is_live = state
        .rollout
        .is_some_and(|rollout| rollout.phase.word() == "Live");
    is_live && state.memory.promoted == Some(desired.release.digest)
}

/// What the service's condition `Stalled` says, where it is stalled.
fn stalled(stage: &Stage, desired: &DesiredService) -> Option<String> {
    let report = stage.handle.report(key(desired)).unwrap();
    let mut conditions = report.status.conditions.iter();
    let stalled = conditions.find(|it| it.kind == ConditionKind::Stalled)?;
    (stalled.status == Truth::True).then(|| stalled.message.clone())
}

async fn say(stage: &Stage, desired: &DesiredService, action: Action) -> String {
    let said = stage.handle.act(key(desired), action, Actor::person("ana"));
    said.await
        .map_or_else(|error| error.to_string(), |()| "taken".to_owned())
}

/// Both are live at one, and the second commit is where one of them begins to panic.
async fn panicking_at(test: &str, part: Part) -> (Stage, Pair) {
    let mut stage = Stage::new().await;
    stage.commit(&Pair::at(test, part, "1").both()).await;
    stage.pass(SETTLED).await;
    let two = Pair::at(test, part, "2");
    panic_at(key(&two.ill), part, ALWAYS);
    stage.commit(&two.both()).await;
    if part == Part::Act {
        let said = say(&stage, &two.ill, Action::Reconcile { token: None });
        assert!(said.await.contains("panicked"));
    }
    stage.pass(SETTLED).await;
    (stage, two)
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_stalls_its_service_with_the_reason_and_no_other() {
    for part in Part::ALL {
        let (mut stage, two) = panicking_at("anywhere", part).await;
        assert!(is_live(&stage, &two.well).await, "{part:?}");
        let why = stalled(&stage, &two.ill).unwrap_or_else(|| panic!("{part:?} does not stall"));
        assert!(why.contains("panicked"), "{part:?}: {why}");
        let events = stage.handle.last_events(1000).await.unwrap();
        let is_told = |reason: &str| {
            let told = events.iter().filter(|event| event.reason == reason);
            told.filter(|event| event.service.as_ref() == Some(key(&two.ill)))
                .count()
        };
        // A report that cannot be made keeps nothing from being done.
        let expected = usize::from(part != Part::Report);
        assert_eq!(is_told("Stalled"), expected, "{part:?}");

        // The others go on and on.
        let three = Pair::at("anywhere", part, "3");
        stage.commit(&three.both()).await;
        stage.pass(SETTLED).await;
        assert!(is_live(&stage, &three.well).await, "{part:?}");

        // As long as it panics, another try ends the same way.
        say(&stage, &three.ill, Action::Retry).await;
        stage.pass(SETTLED).await;
        if part != Part::Act {
            assert!(stalled(&stage, &three.ill).is_some(), "{part:?}");
        }

        panic_at(key(&three.ill), part, 0);
        say(&stage, &three.ill, Action::Retry).await;
        stage.pass(SETTLED).await;
        assert_eq!(stalled(&stage, &three.ill), None, "{part:?}");
        assert!(is_live(&stage, &three.ill).await, "{part:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_ends_a_quarantine_as_a_retry_does() {
    for part in [
        Part::Plan,
        Part::Step,
        Part::Save,
        Part::Outcome,
        Part::Look,
    ] {
        let (stage, two) = panicking_at("restarted", part).await;
        assert!(stalled(&stage, &two.ill).is_some(), "{part:?}");
        panic_at(key(&two.ill), part, 0);
        let stage = stage.crash().await;
        stage.pass(SETTLED).await;
        assert_eq!(stalled(&stage, &two.ill), None, "{part:?}");
        assert!(is_live(&stage, &two.ill).await, "{part:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_quarantine_nothing_is_sent_and_actions_say_what_to_do() {
    let (stage, two) = panicking_at("asked", Part::Step).await;
    let before = stage.changes();
    let said = say(&stage, &two.ill, Action::Rollback { to: None }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.changes(), before);
    assert_eq!(
        said,
        "prod/ill-asked-step is stalled: a pass panicked, and the log has the place; `retry` reads the service afresh and goes on"
    );
    panic_at(key(&two.ill), Part::Step, 0);
}
