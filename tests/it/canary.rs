//! Canaries: a release takes a growing share of blue's requests, and whatever happens meanwhile leaves nothing of it behind.

use std::time::Duration;

use verdigris::{
    cloud::{
        CloudError,
        fake::{Fault, HandEdit, Operation},
    },
    desired::DesiredService,
    guard,
    manifest::{
        spec::{Across, DriftMode, Gate, GateStage},
        strategy::{CanaryStep, Strategy},
    },
    name::{CloudName, Percent, ReleaseDigest, Slot},
    plan::{
        act::Action,
        around::Around,
        preview::preview,
        state::{Policy, ServiceState},
    },
    rollout::{Rollout, intent::Order, phase::Phase},
};

use crate::stage::{Stage, gate, key, version};

const SETTLED: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

fn weight(percent: u8) -> CanaryStep {
    CanaryStep::Weight(Percent::new(percent).unwrap())
}

/// The service at a version, with the steps of a canary.
fn canary(number: &str, steps: Vec<CanaryStep>) -> DesiredService {
    let mut desired = version(number);
    desired.rollout.strategy = Strategy::Canary { steps };
    desired
}

/// 10 %, a minute, a gate, 50 %, a minute.
fn steps() -> Vec<CanaryStep> {
    vec![
        weight(10),
        CanaryStep::Pause(Some(MINUTE)),
        CanaryStep::Gates(vec!["errors".parse().unwrap()]),
        weight(50),
        CanaryStep::Pause(Some(MINUTE)),
    ]
}

fn with_gate(mut desired: DesiredService) -> DesiredService {
    let errors = Gate {
        after: GateStage::Canary,
        ..gate("errors")
    };
    desired.rollout.gates.push(errors);
    desired
}

fn two() -> DesiredService {
    with_gate(canary("2", steps()))
}

/// Version 1 is live.
async fn stage() -> Stage {
    let mut stage = Stage::new().await;
    stage.commit(&[version("1")]).await;
    stage.pass(SETTLED).await;
    stage
}

fn share(stage: &Stage) -> Option<(ReleaseDigest, u8)> {
    assert_eq!(stage.cloud(CloudName::Azure).share(&key()), None);
    let share = stage.cloud(CloudName::Aws).share(&key());
    share.map(|(release, weight)| (release, weight.get()))
}

/// Passes until the release takes a share.
async fn until_share(stage: &Stage, percent: u8) {
    let start = stage.clock.now();
    while share(stage).is_none_or(|(_, given)| given != percent) {
        let waited = stage.clock.now().since(start);
        assert!(waited < MINUTE * 20, "{:#?}", stage.state().await.rollout);
        stage.pass(Duration::from_millis(10)).await;
    }
    stage.pass(Duration::from_secs(1)).await;
}

fn not_staged(cloud: CloudName, desired: &DesiredService) -> Fault {
    Fault::Fail(CloudError::NotStaged {
        cloud,
        release: desired.release.digest,
    })
}

async fn moves(stage: &Stage) -> Vec<String> {
    let rollout = stage.state().await.rollout.unwrap();
    let moves = rollout.transitions.into_iter();
    moves.map(|it| it.phase).collect()
}

#[tokio::test(start_paused = true)]
async fn a_canary_grows_step_by_step_and_the_cloud_that_cannot_share_moves_last() {
    let mut stage = stage().await;
    let (one, two) = (version("1").release.digest, two());
    let new = two.release.digest;
    stage.commit(std::slice::from_ref(&two)).await;
    until_share(&stage, 10).await;
    assert_eq!(stage.phase().await, "Shifting");
    assert_eq!(stage.blues().await, [Some(one); 2]);
    let waits = stage.waits_on().await;
    assert!(
        waits.ends_with("it takes 10 %; blue on azure moves at once, with the promotion"),
        "{waits}"
    );
    stage.pass(Duration::from_secs(50)).await;
    assert_eq!(share(&stage), Some((new, 10)));
    until_share(&stage, 50).await;
    assert_eq!(stage.blues().await, [Some(one); 2]);
    stage.until(&key(), "Live").await;
    assert_eq!(stage.blues().await, [Some(new); 2]);
    assert_eq!(share(&stage), None);
    let told = moves(&stage).await.join(" ");
    assert_eq!(
        told,
        "Queued Building Staging Gating Shifting Shifting Shifting Shifting Shifting Shifting Promoting Baking Live"
    );
}

#[tokio::test(start_paused = true)]
async fn a_first_release_waits_for_nothing_but_its_gates() {
    let mut stage = Stage::new().await;
    stage.commit(&[two()]).await;
    let took = stage.until(&key(), "Live").await;
    assert!(took < MINUTE, "{took:?}");
    let calls = stage.cloud(CloudName::Aws).counts().calls;
    assert_eq!(calls.get(&Operation::Shift), None);
    let gates = stage.state().await.rollout.unwrap().gates;
    assert_eq!(gates.len(), 2, "{gates:#?}");
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Abort,
    Rollback,
    NewCommit,
    BadGate,
    UnaskedGate,
    BlueMoved,
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_a_canary_takes_its_share_back_first() {
    for ending in [
        Ending::Abort,
        Ending::Rollback,
        Ending::NewCommit,
        Ending::BadGate,
        Ending::UnaskedGate,
        Ending::BlueMoved,
    ] {
        let mut stage = stage().await;
        let (one, two, three) = (version("1"), two(), version("3"));
        stage.commit(std::slice::from_ref(&two)).await;
        until_share(&stage, 10).await;
        let bad = two.release.digest;
        let (phase, end) = match ending {
            Ending::Abort => {
                stage.act(Action::Abort { reason: None }).await;
                ("RolledBack", &one)
            }
            Ending::Rollback => {
                stage.act(Action::Rollback { to: None }).await;
                ("RolledBack", &one)
            }
            Ending::NewCommit => {
                stage.commit(std::slice::from_ref(&three)).await;
                ("Live", &three)
            }
            Ending::BadGate => {
                stage.world.bad.lock().unwrap().insert(bad);
                ("RolledBack", &one)
            }
            Ending::UnaskedGate => {
                stage.world.unclear.lock().unwrap().insert(bad);
                ("RolledBack", &one)
            }
            Ending::BlueMoved => {
                let aws = stage.cloud(CloudName::Aws);
                aws.edit(&key(), HandEdit::Swap);
                ("RolledBack", &one)
            }
        };
        stage.pass(SETTLED).await;
        assert_eq!(stage.phase().await, phase, "{ending:?}");
        assert_eq!(share(&stage), None, "{ending:?}");
        let blues = stage.blues().await;
        assert_eq!(blues, [Some(end.release.digest); 2], "{ending:?}");
        let is_rejected = stage.state().await.memory.rejected.contains_key(&bad);
        let is_superseded = matches!(ending, Ending::NewCommit);
        assert_eq!(is_rejected, !is_superseded, "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn shares_that_somebody_changed_are_put_back_during_a_canary_and_are_drift_after_it() {
    let mut stage = stage().await;
    let two = two();
    let new = two.release.digest;
    stage.commit(std::slice::from_ref(&two)).await;
    until_share(&stage, 10).await;
    for edited in [None, Percent::new(70).map(|weight| (new, weight))] {
        let aws = stage.cloud(CloudName::Aws);
        aws.edit(&key(), HandEdit::Share(edited));
        stage.pass(Duration::from_secs(1)).await;
        stage.act(Action::Reconcile { token: None }).await;
        until_share(&stage, 10).await;
    }
    stage.until(&key(), "Live").await;
    let old = version("1").release.digest;
    let edited = Percent::new(5).map(|weight| (old, weight));
    let aws = stage.cloud(CloudName::Aws);
    aws.edit(&key(), HandEdit::Share(edited));
    stage.pass(SETTLED).await;
    assert_eq!(share(&stage), None);
    assert_eq!(stage.blues().await, [Some(new); 2]);
    assert_eq!(stage.phase().await, "Live");
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_an_end_waits_for_a_person() {
    let mut stage = stage().await;
    let two = canary("2", vec![weight(25), CanaryStep::Pause(None), weight(75)]);
    stage.commit(std::slice::from_ref(&two)).await;
    until_share(&stage, 25).await;
    stage.pass(SETTLED).await;
    assert_eq!(share(&stage), Some((two.release.digest, 25)));
    let waits = stage.waits_on().await;
    assert_eq!(
        waits,
        "a person's `promote` or `abort`: it takes 25 %; blue on azure moves at once, with the promotion"
    );
    stage.act(Action::Promote { full: false }).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
    assert_eq!(stage.phase().await, "Live");
}

#[tokio::test(start_paused = true)]
async fn a_suspension_holds_the_share_where_it_is() {
    let mut stage = stage().await;
    stage.commit(&[two()]).await;
    until_share(&stage, 10).await;
    let suspend = Action::Suspend {
        reason: "the fair".to_owned(),
        until: None,
    };
    stage.act(suspend).await;
    stage.pass(SETTLED).await;
    assert_eq!(share(&stage).unwrap().1, 10);
    assert_eq!(
        stage.waits_on().await,
        "`resume`: suspended because the fair"
    );
    stage.act(Action::Resume).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_or_a_crash_at_any_share_changes_nothing_about_where_we_end_up() {
    for nth in 1..=2 {
        for is_crash in [false, true] {
            let mut stage = stage().await;
            let aws = stage.cloud(CloudName::Aws);
            aws.fault(Operation::Shift, nth, Fault::LoseReply);
            let two = two();
            stage.commit(std::slice::from_ref(&two)).await;
            until_share(&stage, if nth == 1 { 10 } else { 50 }).await;
            if is_crash {
                stage = stage.crash().await;
            }
            stage.pass(SETTLED).await;
            assert_eq!(stage.phase().await, "Live", "{nth} {is_crash}");
            assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
            assert_eq!(share(&stage), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_that_cannot_be_given_is_given_up_and_its_way_back_never() {
    let mut stage = stage().await;
    let two = two();
    let ill = || {
        Fault::Fail(CloudError::Unreachable {
            cloud: CloudName::Aws,
            operation: "shift".to_owned(),
            message: "connection reset".to_owned(),
        })
    };
    // The first share comes, the second does not, and neither does the way back for a long while.
    for nth in 2..=20 {
        stage
            .cloud(CloudName::Aws)
            .fault(Operation::Shift, nth, ill());
    }
    stage.commit(&[two]).await;
    until_share(&stage, 10).await;
    stage.until(&key(), "RollingBack").await;
    assert!(share(&stage).is_some(), "the way back is not there yet");
    stage.until(&key(), "RolledBack").await;
    assert_eq!(share(&stage), None);
    let why = stage.state().await.rollout.unwrap();
    let why = why.phase.why().unwrap().clone();
    assert_eq!(why.reason.word(), "ShiftFailed", "{}", why.message);
}

#[tokio::test(start_paused = true)]
async fn clouds_in_an_order_share_only_on_the_first() {
    for first in CloudName::ALL {
        let mut stage = stage().await;
        let soak = MINUTE;
        let mut two = canary("2", vec![weight(20), CanaryStep::Pause(Some(MINUTE))]);
        two.rollout.across = Across::InOrder { first, soak };
        stage.commit(std::slice::from_ref(&two)).await;
        stage.until(&key(), "Shifting").await;
        stage.pass(Duration::from_secs(5)).await;
        let given = (first == CloudName::Aws).then_some((two.release.digest, 20));
        assert_eq!(share(&stage), given, "{first} first");
        stage.until(&key(), "Promoting").await;
        stage.pass(Duration::from_secs(5)).await;
        let on = |cloud: CloudName| stage.cloud(cloud).held(&key(), Slot::Blue);
        let moved: Vec<bool> = CloudName::ALL
            .map(|cloud| on(cloud) == Some(two.release.digest))
            .into();
        let expected: Vec<bool> = CloudName::ALL.map(|cloud| cloud == first).into();
        assert_eq!(moved, expected, "{first} first");
        stage.until(&key(), "Live").await;
        assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
    }
}

/// Nobody is served there, and the release is what people need; that it cannot share is no fault of it.
#[tokio::test(start_paused = true)]
async fn a_canary_on_a_blue_that_was_emptied_shares_with_nobody_and_fills_it() {
    let mut stage = stage().await;
    let mut two = two();
    two.drift.mode = DriftMode::Observe;
    let aws = stage.cloud(CloudName::Aws);
    aws.edit(&key(), HandEdit::Empty(Slot::Blue));
    stage.commit(std::slice::from_ref(&two)).await;
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "Live");
    assert_eq!(stage.blues().await, [Some(two.release.digest); 2]);
    let calls = stage.cloud(CloudName::Aws).counts().calls;
    assert_eq!(calls.get(&Operation::Shift), None);
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_green_was_lost_is_staged_and_measured_again() {
    for lost in CloudName::ALL {
        let mut stage = stage().await;
        let two = canary("2", vec![weight(20), CanaryStep::Pause(Some(MINUTE))]);
        stage.commit(std::slice::from_ref(&two)).await;
        until_share(&stage, 20).await;
        let cloud = stage.cloud(lost);
        cloud.edit(&key(), HandEdit::Empty(Slot::Green));
        stage.pass(SETTLED).await;
        assert_eq!(stage.phase().await, "Live", "{lost}");
        assert_eq!(stage.blues().await, [Some(two.release.digest); 2], "{lost}");
        let told = moves(&stage).await.join(" ");
        assert_eq!(told.matches("Staging Gating").count(), 2, "{lost}: {told}");
        assert!(told.contains("RollingBack Staging"), "{lost}: {told}");
        assert_eq!(share(&stage), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_lost_again_and_again_is_given_up() {
    let mut stage = stage().await;
    let (one, two) = (version("1"), version("2"));
    let azure = stage.cloud(CloudName::Azure);
    for nth in 1..=100 {
        let fault = not_staged(CloudName::Azure, &two);
        azure.fault(Operation::Promote, nth, fault);
    }
    stage.commit(std::slice::from_ref(&two)).await;
    stage.pass(Duration::from_secs(30)).await;
    stage.cloud(CloudName::Azure).forgive();
    stage.pass(SETTLED).await;
    assert_eq!(stage.phase().await, "RolledBack");
    assert_eq!(stage.blues().await, [Some(one.release.digest); 2]);
    let told = moves(&stage).await.join(" ");
    assert_eq!(told.matches("Staging").count(), 3, "{told}");
}

/// What the guard says of a share of version 2 on AWS.
fn opinion(state: &ServiceState, percent: u8) -> String {
    let order = Order::Shift {
        target: CloudName::Aws,
        release: two().release.digest,
        weight: Percent::new(percent).unwrap(),
    };
    let said = guard::check(&order, state, &Around::default(), 50);
    said.map_or_else(|alarm| alarm.to_string(), |()| "may be given".to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_guard_refuses_a_share_that_no_step_allows_or_whose_gates_did_not_pass() {
    let mut stage = stage().await;
    let two = two();
    stage.commit(std::slice::from_ref(&two)).await;
    until_share(&stage, 10).await;
    let state = stage.state().await;
    let refused = format!(
        "refused to give {} a share of aws blue: its rollout has not passed the gates before that",
        two.release.digest.short()
    );
    assert_eq!(opinion(&state, 10), "may be given");
    assert_eq!(opinion(&state, 50), refused, "more than its step says");
    assert_eq!(opinion(&state, 0), refused, "it is not on its way back");
    let changed = |change: fn(&mut Rollout)| {
        let mut state = state.clone();
        change(state.rollout.as_mut().unwrap());
        state
    };
    let skipped = changed(|rollout| {
        let since = rollout.started_at;
        rollout.phase = Phase::Shifting { step: 3, since };
    });
    assert_eq!(opinion(&skipped, 50), refused, "past a gate");
    let unmeasured = changed(|rollout| rollout.gates.clear());
    assert_eq!(opinion(&unmeasured, 10), refused, "staging's gates");
    let early = changed(|rollout| {
        let since = rollout.started_at;
        rollout.phase = Phase::Gating { since };
    });
    assert_eq!(opinion(&early, 10), refused, "not shifting");
    let other = changed(|rollout| rollout.release = version("3").release.digest);
    assert_eq!(opinion(&other, 10), refused, "another release");
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_each_share_and_the_cloud_that_takes_none() {
    let mut stage = stage().await;
    let suspend = Action::Suspend {
        reason: "the test".to_owned(),
        until: None,
    };
    stage.act(suspend).await;
    let two = two();
    stage.commit(std::slice::from_ref(&two)).await;
    stage.pass(Duration::from_secs(5)).await;
    let mut state = stage.state().await;
    state.memory.suspension = None;
    let plan = preview(
        &state,
        &Around::default(),
        Policy::default(),
        stage.clock.now(),
    );
    let orders = plan.orders.iter().map(|planned| planned.order.to_string());
    let told: Vec<String> = orders.chain(plan.notes).collect();
    let told = told.join("\n");
    let told = told.replace(&two.release.digest.short(), "v2");
    insta::assert_snapshot!(told, @r"
    build v2
    stage v2 on aws green
    stage v2 on azure green
    shift 10 % of aws blue to v2
    shift 50 % of aws blue to v2
    promote v2 to aws blue
    promote v2 to azure blue
    no canary on azure: it cannot share requests between two releases, so its blue moves at once, with the promotion
    ");
}
