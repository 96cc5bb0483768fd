//! What was once taken amiss, and what must be seen all the same: told to the eyes that watch as short as it can be.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, advance};
use verdigris::{
    cloud::fake::Operation,
    desired::DesiredService,
    manifest::spec::{Across, Gate},
    name::{CloudName, Percent, ReleaseDigest, Timestamp},
    observed::Observed,
    rollout::evidence::Outcome,
};

use super::play::{
    checker::{Checker, EventRow, Held, RolloutRow, Sent},
    fleet::{Fleet, Way},
};

/// One service, which is asked for, was looked at, and has one gate.
struct Scene {
    checker: Checker,
    versions: [DesiredService; 2],
    gate: Gate,
    told: u64,
}

impl Scene {
    fn new() -> Self {
        let mut chance = Rng::with_seed(0);
        let is_free = |fleet: &Fleet| {
            let first = &fleet.members[0];
            first.follows().is_none() && first.targets == CloudName::ALL
        };
        let fleet = std::iter::repeat_with(|| Fleet::any(&mut chance)).find(is_free);
        let fleet = fleet.unwrap();
        let mut desired = |version| {
            let way = Way::any(&mut chance);
            let mut desired = fleet.members[0].at(version, version, &way);
            desired.rollout.across = Across::Together;
            desired.rollout.group = None;
            desired.depends_on.clear();
            desired
        };
        let is_script = |gate: &Gate| gate.name.as_str() == "script";
        let found = std::iter::repeat_with(|| desired(1))
            .find_map(|it| it.rollout.gates.into_iter().find(is_script));
        let mut gate = found.unwrap();
        gate.measure.count = Some(1);
        gate.measure.failure_limit = Some(0);
        gate.measure.success_limit = None;
        gate.measure.dry_run = false;
        let mut versions = [desired(1), desired(2)];
        for version in &mut versions {
            version.rollout.gates = vec![gate.clone()];
        }
        let mut scene = Self {
            checker: Checker::new(&fleet),
            versions,
            gate,
            told: 0,
        };
        scene.ask(0);
        for cloud in CloudName::ALL {
            let now = Instant::now();
            scene.checker.seen(0, cloud, &Observed::default(), now);
        }
        scene
    }

    fn release(&self, version: usize) -> ReleaseDigest {
        self.versions[version].release.digest
    }

    fn ask(&mut self, version: usize) {
        self.checker.asked(0, &self.versions[version], 1, None);
    }

    fn begin(&mut self, version: usize) -> Held {
        let row = RolloutRow {
            id: 1,
            release: self.release(version),
            trigger: "commit".into(),
        };
        self.checker.began(0, row)
    }

    fn tell(&mut self, reason: &str) -> Held {
        self.told += 1;
        let event = EventRow {
            seq: self.told,
            at: NOW,
            service: None,
            reason: reason.to_owned(),
            message: String::new(),
            rollout: Some(1),
        };
        self.checker.claimed(0, &event)
    }

    fn answer(&mut self, version: usize, outcome: &Outcome) {
        let release = self.release(version);
        self.checker.measured(0, release, &self.gate, None, outcome);
    }

    fn send(&mut self, operation: Operation, version: usize, now: Timestamp) -> Held {
        let sent = Sent {
            service: 0,
            cloud: CloudName::Aws,
            operation,
            release: Some(self.release(version)),
            weight: Percent::NONE,
            life: 1,
            now,
        };
        let held = self.checker.sent(&sent);
        self.checker.ended(&sent);
        held
    }

    /// An order takes effect, whoever sent it.
    fn arrive(&mut self, operation: Operation, version: usize) {
        let release = Some(self.release(version));
        self.checker
            .took_effect(0, CloudName::Aws, operation, release);
        self.checker.holds(0, CloudName::Aws, release);
    }
}

const NOW: Timestamp = Timestamp::from_millis(0);

fn failed() -> Outcome {
    Outcome::Failed {
        why: "exit code 1".to_owned(),
    }
}

#[track_caller]
fn breaks(held: Held, law: &str) {
    assert_eq!(held.unwrap_err().0, law);
}

#[tokio::test(start_paused = true)]
async fn what_is_staged_again_is_judged_by_what_was_answered_since() {
    for (before, since, may_serve) in [
        (failed(), Some(Outcome::Successful), true),
        (Outcome::Successful, Some(failed()), false),
        (Outcome::Successful, None, false),
    ] {
        let mut scene = Scene::new();
        scene.begin(0).unwrap();
        scene.tell("Staging").unwrap();
        scene.answer(0, &before);
        scene.tell("Staging").unwrap();
        since.iter().for_each(|outcome| scene.answer(0, outcome));
        let held = scene.send(Operation::Promote, 0, NOW);
        match may_serve {
            true => held.unwrap(),
            false => breaks(held, "blue serves only what passed"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_of_a_dead_daemon_is_no_move_of_the_rollout_that_lives() {
    let mut scene = Scene::new();
    scene.begin(0).unwrap();
    scene.arrive(Operation::Promote, 0);
    scene.send(Operation::Stage, 0, NOW).unwrap();
    scene.answer(0, &Outcome::Successful);
    scene.send(Operation::Promote, 0, NOW).unwrap();
    scene.arrive(Operation::Promote, 0);
    let held = scene.send(Operation::Stage, 0, NOW);
    breaks(held, "one rollout at a time");
}

#[tokio::test(start_paused = true)]
async fn a_suspension_that_may_have_been_taken_leaves_sure_what_both_ask_for() {
    let soon = NOW.after(Duration::from_secs(60));
    let late = NOW.after(Duration::from_secs(600));
    for (first, second) in [(None, Some(soon)), (Some(soon), Some(late))] {
        let mut scene = Scene::new();
        scene.begin(0).unwrap();
        scene.checker.suspended(0, first, true);
        scene.checker.suspended(0, second, false);
        advance(Duration::from_secs(10)).await;
        let held = scene.send(Operation::Stage, 0, NOW);
        breaks(held, "suspended is suspended");
        scene.send(Operation::Stage, 0, soon).unwrap();
    }
}

/// A look may show for a while what is gone.
#[tokio::test(start_paused = true)]
async fn what_was_pruned_is_no_release_that_can_be_gone_back_to() {
    for is_pruned in [true, false] {
        let mut scene = Scene::new();
        let one = scene.release(0);
        scene.checker.holds(0, CloudName::Aws, Some(one));
        if is_pruned {
            scene.checker.no_longer_asked(0);
            scene.tell("Pruned").unwrap();
        }
        scene.checker.learnt(0, one).unwrap();
        scene.ask(1);
        scene.begin(1).unwrap();
        scene.answer(1, &Outcome::Successful);
        scene.send(Operation::Promote, 1, NOW).unwrap();
        scene.arrive(Operation::Promote, 1);
        scene.tell("RollingBack").unwrap();
        let held = scene.tell("RolledBack");
        match is_pruned {
            true => held.unwrap(),
            false => breaks(held, "claims are true"),
        }
    }
}
