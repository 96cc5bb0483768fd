//! The process stops after any write to the disk, the disk fails at any write, or a record rots: where we end up is the same.

use std::time::Duration;

use verdigris::{
    cloud::fake::{HandEdit, Operation},
    manifest::{
        spec::{Window, WindowEffect},
        strategy::{CanaryStep, Strategy},
    },
    name::{CloudName, Percent, ReleaseDigest, Slot},
    plan::act::Action,
    store::{Scan, Store as _, Tree, memory},
};

use crate::stage::{Stage, key, service_version, unreachable, version};

const SETTLED: Duration = Duration::from_secs(60);

/// Long enough for a cloud that was ill for a while, and for every wait in between.
const LONG: Duration = Duration::from_secs(600);

/// What happens while things go wrong.
#[derive(Clone, Copy, Debug)]
enum Story {
    Promotion,
    FailedPromotion,
    Canary,
    FailedCanary,
    Rollback,
    Prune,
    DriftRepair,
    /// A person holds the rollout.
    Paused,
    /// A window holds the promotion.
    Closed,
    /// A person opens the window.
    Overridden,
    /// A window closes once blue has moved.
    Overtaken,
}

const STORIES: [Story; 11] = [
    Story::Promotion,
    Story::FailedPromotion,
    Story::Canary,
    Story::FailedCanary,
    Story::Rollback,
    Story::Prune,
    Story::DriftRepair,
    Story::Paused,
    Story::Closed,
    Story::Overridden,
    Story::Overtaken,
];

impl Story {
    /// Versions 1 and 2 are live, one after the other, and every call takes a while.
    async fn stage() -> Stage {
        let mut stage = Stage::new().await;
        for number in ["1", "2"] {
            stage.commit(&all(number)).await;
            stage.pass(SETTLED).await;
        }
        for cloud in CloudName::ALL {
            stage.cloud(cloud).slow(Duration::from_millis(20));
        }
        stage
    }

    async fn begin(self, stage: &mut Stage) {
        match self {
            Self::Promotion => stage.commit(&all("3")).await,
            Self::FailedPromotion => {
                for nth in 1..=8 {
                    let azure = stage.cloud(CloudName::Azure);
                    azure.fault(Operation::Promote, nth, unreachable(CloudName::Azure));
                }
                stage.commit(&all("3")).await;
            }
            Self::Canary => stage.commit(&canaries()).await,
            Self::FailedCanary => {
                for nth in 1..=8 {
                    let azure = stage.cloud(CloudName::Azure);
                    azure.fault(Operation::Promote, nth, unreachable(CloudName::Azure));
                }
                stage.commit(&canaries()).await;
            }
            Self::Rollback => stage.act(Action::Rollback { to: None }).await,
            Self::Prune => stage.commit(&all("2")[1..]).await,
            Self::DriftRepair => {
                let azure = stage.cloud(CloudName::Azure);
                azure.edit(&key(), HandEdit::Empty(Slot::Blue));
                stage.act(Action::Reconcile { token: None }).await;
            }
            Self::Paused => {
                stage.commit(&all("3")).await;
                stage.until(&key(), "Staging").await;
                insist(stage, Action::Pause { reason: None }).await;
            }
            Self::Closed => stage.commit(&denied("22")).await,
            Self::Overridden => {
                stage.commit(&denied("22")).await;
                stage.until(&key(), "Staging").await;
                insist(stage, open()).await;
            }
            Self::Overtaken => stage.commit(&denied("22:16")).await,
        }
    }

    /// Writes from one stop to the next: what is promoted like any other release is not stopped at each.
    fn stride(self) -> usize {
        if matches!(self, Self::Overtaken) {
            2
        } else {
            1
        }
    }

    /// After which nothing more happens by itself.
    fn rest(self) -> Duration {
        match self {
            Self::Paused | Self::Closed => SETTLED,
            Self::FailedPromotion | Self::FailedCanary => LONG,
            Self::Promotion
            | Self::Canary
            | Self::Rollback
            | Self::Prune
            | Self::DriftRepair
            | Self::Overridden
            | Self::Overtaken => SETTLED * 4,
        }
    }

    /// What holds it is taken away, and it goes on.
    async fn go_on(self, stage: &Stage) {
        let action = match self {
            Self::Paused => Action::Resume,
            Self::Closed => open(),
            Self::Promotion
            | Self::FailedPromotion
            | Self::Canary
            | Self::FailedCanary
            | Self::Rollback
            | Self::Prune
            | Self::DriftRepair
            | Self::Overridden
            | Self::Overtaken => return,
        };
        insist(stage, action).await;
        stage.pass(SETTLED * 4).await;
        let three = Some(version("3").release.digest);
        assert_eq!(stage.blues().await, [three; 2], "{self:?}, let go");
    }

    /// What both blues hold in the end.
    fn end(self) -> Option<ReleaseDigest> {
        let number = match self {
            Self::Promotion | Self::Canary | Self::Overridden | Self::Overtaken => "3",
            Self::FailedPromotion
            | Self::FailedCanary
            | Self::DriftRepair
            | Self::Paused
            | Self::Closed => "2",
            Self::Rollback => "1",
            Self::Prune => return None,
        };
        Some(version(number).release.digest)
    }
}

fn all(number: &str) -> [verdigris::desired::DesiredService; 3] {
    [
        version(number),
        service_version("cart", "1"),
        service_version("price", "1"),
    ]
}

/// Version 3 comes in two steps.
fn canaries() -> [verdigris::desired::DesiredService; 3] {
    let mut all = all("3");
    let pause = CanaryStep::Pause(Some(Duration::from_secs(2)));
    let weight = |percent| CanaryStep::Weight(Percent::new(percent).unwrap());
    all[0].rollout.strategy = Strategy::Canary {
        steps: vec![weight(10), pause.clone(), weight(50), pause],
    };
    all
}

/// Version 3, which is not promoted from this time on for two hours: an hour, or an hour and a minute. The stage's clock starts at 22:13,
/// and two versions take two minutes.
fn denied(from: &str) -> [verdigris::desired::DesiredService; 3] {
    let (hour, minute) = from.split_once(':').unwrap_or((from, "0"));
    let mut all = all("3");
    all[0].rollout.bake = Duration::from_secs(120);
    all[0].rollout.windows.push(Window {
        effect: WindowEffect::Deny,
        schedule: format!("{minute} {hour} * * *"),
        length: Duration::from_secs(2 * 3600),
        time_zone: "UTC".to_owned(),
        reason: None,
    });
    all
}

fn open() -> Action {
    Action::Override {
        reason: "outage".to_owned(),
    }
}

/// Asks again until it is taken: a disk that fails takes no word. One that fails once it has written has taken it, and a second time is
/// refused as there is nothing left to do.
async fn insist(stage: &Stage, action: Action) {
    let mut told = String::new();
    let mut has_failed = false;
    for _ in 0..20 {
        told = stage.refusal(action.clone(), "ana").await;
        if told == "taken" || has_failed && told.starts_with("cannot") {
            return;
        }
        has_failed |= !told.starts_with("cannot");
        stage.pass(Duration::from_millis(100)).await;
    }
    panic!("{action:?} is never taken: {told}");
}

/// Waits for the `at`th commit to the store from now; whether it came.
async fn wait_for_commit(stage: &Stage, at: u64) -> bool {
    let start = stage.store.commits();
    let deadline = stage.clock.now().after(Duration::from_secs(20));
    while stage.store.commits() < start + at && stage.clock.now() < deadline {
        stage.pass(Duration::from_millis(1)).await;
    }
    stage.store.commits() >= start + at
}

#[tokio::test(start_paused = true)]
async fn a_stop_after_any_write_to_the_disk_changes_nothing_about_where_we_end_up() {
    for story in STORIES {
        let mut crashes = 0;
        for at in (0..40).step_by(story.stride()) {
            let mut stage = Story::stage().await;
            story.begin(&mut stage).await;
            if !wait_for_commit(&stage, at).await {
                break;
            }
            crashes += 1;
            let stage = stage.crash().await;
            stage.pass(story.rest()).await;
            let blues = stage.blues().await;
            assert_eq!(blues, [story.end(); 2], "{story:?}, commit {at}");
            let share = stage.cloud(CloudName::Aws).share(&key());
            assert_eq!(share, None, "{story:?}, commit {at}");
            story.go_on(&stage).await;
        }
        // A prune writes least: two intents, their outcomes, and the end. What is paused in the middle writes less.
        let least = if matches!(story, Story::Paused) { 1 } else { 3 };
        assert!(
            crashes >= least,
            "{story:?}: only {crashes} places to crash at"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_before_any_write_changes_nothing_about_where_we_end_up() {
    fail_at_writes(memory::Fault::BeforeEffect).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_after_any_write_changes_nothing_about_where_we_end_up() {
    fail_at_writes(memory::Fault::AfterEffect).await;
}

async fn fail_at_writes(fault: memory::Fault) {
    for story in STORIES {
        for nth in (2..22).step_by(4) {
            let mut stage = Story::stage().await;
            stage.store.fail_commit(nth, fault);
            story.begin(&mut stage).await;
            stage.pass(story.rest()).await;
            let blues = stage.blues().await;
            assert_eq!(blues, [story.end(); 2], "{story:?}, {fault:?} at {nth}");
            let share = stage.cloud(CloudName::Aws).share(&key());
            assert_eq!(share, None, "{story:?}, {fault:?} at {nth}");
            story.go_on(&stage).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_of_any_kind_that_rots_stops_nothing() {
    let trees = [
        Tree::Service,
        Tree::Live,
        Tree::Release,
        Tree::Rollout,
        Tree::Intent,
        Tree::History,
        Tree::Event,
        Tree::Rejected,
    ];
    for story in [Story::Promotion, Story::FailedPromotion, Story::Rollback] {
        for tree in trees {
            for at in [5] {
                let mut stage = Story::stage().await;
                story.begin(&mut stage).await;
                wait_for_commit(&stage, at).await;
                let rows = stage.store.rows(tree, Scan::default()).await.unwrap();
                let stage = stage
                    .crash_and(|store| {
                        for (name, _) in &rows {
                            store.damage(tree, &String::from_utf8_lossy(name), b"\x00rot");
                        }
                    })
                    .await;
                stage.pass(LONG).await;
                let place = format!("{story:?}, {tree:?} after commit {at}");
                let blues = stage.blues().await;
                let end = [story.end(); 2];
                // A rollback that nobody remembers asking for did not happen, and Git stands.
                let forgotten = [Some(version("2").release.digest); 2];
                let may_forget = matches!(story, Story::Rollback)
                    && matches!(tree, Tree::Rollout | Tree::Service);
                assert!(
                    blues == end || may_forget && blues == forgotten,
                    "{place}: {blues:?} {:#?}",
                    stage.handle.state(&key()).await
                );
                let aside = stage.store.all_set_aside().await.unwrap();
                // What only people read is set aside when somebody reads it.
                let is_read_at_start = !matches!(tree, Tree::History | Tree::Event);
                let is_told = aside.len() >= rows.len() || !is_read_at_start;
                assert!(is_told, "{place}: told of {}", aside.len());
            }
        }
    }
}
