//! Random commits, faults, edits, actions and crashes from one seed. What must always hold is checked by code that shares nothing with the
//! planner. `VERDIGRIS_SEEDS` says how many seeds, `VERDIGRIS_SEED` which one alone.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use fastrand::Rng;
use verdigris::{
    cloud::{
        CloudError,
        fake::{Fault, HandEdit, Operation},
    },
    manifest::spec::Across,
    name::{CloudName, ReleaseDigest, Slot},
    plan::act::Action,
    store::memory,
};

use crate::stage::{Stage, key, version};

const SEEDS: u64 = 12;
const STEPS: usize = 25;

fn setting(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how much to simulate is told by the environment"
    )]
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_the_invariants_hold_and_things_settle() {
    if let Some(seed) = setting("VERDIGRIS_SEED") {
        return Run::of(seed).await;
    }
    for seed in 0..setting("VERDIGRIS_SEEDS").unwrap_or(SEEDS) {
        Run::of(seed).await;
    }
}

struct Run {
    seed: u64,
    rng: Rng,
    story: Vec<String>,
    versions: u32,
    bad: BTreeSet<ReleaseDigest>,
    has_crashed: bool,
}

impl Run {
    async fn of(seed: u64) {
        let mut run = Self {
            seed,
            rng: Rng::with_seed(seed),
            story: Vec::new(),
            versions: 0,
            bad: BTreeSet::new(),
            has_crashed: false,
        };
        let mut stage = Stage::new().await;
        run.commit(&mut stage).await;
        for _ in 0..STEPS {
            stage = run.step(stage).await;
            let wait = Duration::from_millis(run.rng.u64(0..40_000));
            for _ in 0..8 {
                stage.pass(wait / 8).await;
                run.check_always(&stage).await;
            }
        }
        run.settle(&mut stage).await;
    }

    fn told(&self) -> String {
        let Self { seed, story, .. } = self;
        format!("VERDIGRIS_SEED={seed}\n  {}", story.join("\n  "))
    }

    fn cloud(&mut self) -> CloudName {
        CloudName::ALL[self.rng.usize(0..2)]
    }

    async fn commit(&mut self, stage: &mut Stage) {
        let is_old = self.versions > 2 && self.rng.u32(0..5) == 0;
        let number = if is_old {
            self.rng.u32(1..self.versions)
        } else {
            self.versions += 1;
            self.versions
        };
        let mut desired = version(&number.to_string());
        if self.rng.bool() {
            let first = self.cloud();
            let soak = Duration::from_secs(5);
            desired.rollout.across = Across::InOrder { first, soak };
        }
        let is_bad = !is_old && number > 1 && self.rng.u32(0..4) == 0;
        if is_bad {
            self.bad.insert(desired.release.digest);
            stage
                .world
                .bad
                .lock()
                .unwrap()
                .insert(desired.release.digest);
        }
        self.story.push(format!(
            "commit {number} ({}{})",
            desired.release.digest.short(),
            if is_bad { ", bad" } else { "" }
        ));
        stage.commit(&[desired]).await;
    }

    async fn step(&mut self, mut stage: Stage) -> Stage {
        match self.rng.u32(0..11) {
            0..=2 => self.commit(&mut stage).await,
            3 | 4 => self.fault(&stage),
            5 => self.edit(&stage),
            6 | 7 => self.act(&stage).await,
            8 => {
                self.story.push("crash".to_owned());
                self.has_crashed = true;
                stage = stage.crash().await;
            }
            9 => {
                let cloud = self.cloud();
                let hung = self.rng.bool();
                self.story.push(format!("{cloud} hangs: {hung}"));
                stage.cloud(cloud).hang(hung);
            }
            _ => {
                let fault = if self.rng.bool() {
                    memory::Fault::BeforeEffect
                } else {
                    memory::Fault::AfterEffect
                };
                self.story.push(format!("the disk fails, {fault:?}"));
                stage.store.fail_commit(self.rng.u64(1..4), fault);
            }
        }
        stage
    }

    fn fault(&mut self, stage: &Stage) {
        let cloud = self.cloud();
        let operations = [
            Operation::Observe,
            Operation::Stage,
            Operation::Promote,
            Operation::Repair,
            Operation::Retract,
        ];
        let operation = operations[self.rng.usize(0..operations.len())];
        let fault = match self.rng.u32(0..5) {
            0 => Fault::LoseReply,
            1 => Fault::Throttle(Duration::from_secs(self.rng.u64(1..20))),
            2 => Fault::Slow(Duration::from_secs(self.rng.u64(1..50))),
            _ => Fault::Fail(CloudError::Unreachable {
                cloud,
                operation: format!("{operation:?}"),
                message: "connection reset".to_owned(),
            }),
        };
        let times = self.rng.u64(1..7);
        self.story
            .push(format!("{times} times {cloud} {operation:?} {fault:?}"));
        for nth in 1..=times {
            stage.cloud(cloud).fault(operation, nth, fault.clone());
        }
    }

    fn edit(&mut self, stage: &Stage) {
        let cloud = self.cloud();
        let edit = match self.rng.u32(0..4) {
            0 => HandEdit::Empty(Slot::Green),
            1 => HandEdit::Empty(Slot::Blue),
            2 => HandEdit::Tear {
                slot: Slot::Blue,
                function: "stock".parse().unwrap(),
            },
            _ => HandEdit::Field {
                slot: Slot::Blue,
                path: "stock.memory".to_owned(),
                value: Some(self.rng.u32(1..999).to_string()),
            },
        };
        self.story.push(format!("by hand on {cloud}: {edit:?}"));
        stage.cloud(cloud).edit(&key(), edit);
    }

    async fn act(&mut self, stage: &Stage) {
        let until = Some(stage.clock.now().after(Duration::from_secs(100)));
        let action = match self.rng.u32(0..8) {
            0 | 1 => Action::Abort { reason: None },
            2 | 3 => Action::Rollback { to: None },
            4 => Action::Retry,
            5 => Action::Suspend {
                reason: "a walk".to_owned(),
                until: until.filter(|_| self.rng.bool()),
            },
            6 => Action::Resume,
            _ => Action::Promote { full: false },
        };
        let word = action.word();
        let told = stage.refusal(action, "ana").await;
        self.story.push(format!("{word}: {told}"));
    }

    /// Blue serves nothing that did not pass, and no two orders are at work on one slot.
    async fn check_always(&self, stage: &Stage) {
        for cloud in stage.world.clouds.values() {
            let blue = cloud.held(&key(), Slot::Blue);
            let is_bad = blue.is_some_and(|release| self.bad.contains(&release));
            assert!(!is_bad, "a bad release serves users\n{}", self.told());
        }
        // What a dead process sent may still be at work when the next one sends: the clouds sort that out.
        if !self.has_crashed {
            let overlaps = stage.world.watch.overlaps.load(Ordering::Relaxed);
            assert_eq!(overlaps, 0, "two orders on one slot\n{}", self.told());
        }
    }

    /// All troubles end; then both clouds serve the same, it is what was promoted last, and nothing more is written.
    async fn settle(&mut self, stage: &mut Stage) {
        self.story.push("all troubles end".to_owned());
        for cloud in CloudName::ALL {
            stage.cloud(cloud).hang(false);
            stage.cloud(cloud).forgive();
        }
        if stage.state().await.memory.suspension.is_some() {
            stage.refusal(Action::Resume, "ana").await;
        }
        for _ in 0..20 {
            stage.pass(Duration::from_secs(200)).await;
            self.check_always(stage).await;
        }
        let state = stage.state().await;
        let blues = stage.blues().await;
        let story = self.told();
        assert_eq!(blues[0], blues[1], "{story}\n{state:#?}");
        assert_eq!(blues[0], state.memory.promoted, "{story}\n{state:#?}");
        let is_at_rest = state
            .rollout
            .as_ref()
            .is_none_or(|rollout| rollout.phase.is_ended());
        assert!(is_at_rest, "a rollout never ends\n{story}\n{state:#?}");
        let wanted = state.wanted();
        let is_held = state.memory.pin.is_some()
            || wanted.is_some_and(|wanted| state.memory.rejected.contains_key(&wanted));
        assert!(
            is_held || blues[0] == wanted,
            "git is not followed\n{story}\n{state:#?}"
        );
        let before = stage.changes();
        // A disk that was told to fail once may fail here; a person asks again.
        for _ in 0..3 {
            stage
                .refusal(Action::Reconcile { token: None }, "ana")
                .await;
        }
        stage.pass(Duration::from_secs(600)).await;
        assert_eq!(stage.changes(), before, "a second pass writes\n{story}");
        let events = stage.handle.last_events(10_000).await.unwrap();
        let stalled = events.iter().find(|event| event.reason == "Stalled");
        assert!(stalled.is_none(), "{stalled:?}\n{story}");
    }
}
