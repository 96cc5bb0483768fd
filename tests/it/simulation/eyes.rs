//! The eyes themselves: what they let pass, and what they do not.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use verdigris::{
    desired::DesiredService,
    manifest::spec::DriftMode,
    name::{CloudName, ReleaseDigest, Timestamp},
};

use super::play::{
    checker::{Checker, EventRow, Held, Rest, RolloutRow, Told},
    fleet::{Fleet, Way},
};

/// The first service of a fleet, and the eyes on it.
struct Watch {
    checker: Checker,
    versions: Vec<Arc<DesiredService>>,
    rollouts: u64,
}

impl Watch {
    fn new(drift: DriftMode) -> Self {
        let mut chance = Rng::with_seed(1);
        let fleet = Fleet::any(&mut chance);
        let way = Way::any(&mut chance);
        let version = |number| {
            let mut desired = fleet.members[0].at(number, number, &way);
            desired.drift.mode = drift;
            desired.rollout.group = None;
            desired.depends_on.clear();
            Arc::new(desired)
        };
        Self {
            checker: Checker::new(&fleet),
            versions: (1..4).map(version).collect(),
            rollouts: 0,
        }
    }

    fn release(&self, version: usize) -> ReleaseDigest {
        self.versions[version - 1].release.digest
    }

    /// Git asks for a version, and everybody has heard.
    async fn asks(&mut self, version: usize) {
        let desired = self.versions[version - 1].clone();
        self.checker.asked(0, &desired, version as u64, None);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    fn begins(&mut self, version: usize, trigger: serde_json::Value) -> Held {
        self.rollouts += 1;
        let row = RolloutRow {
            id: self.rollouts,
            release: self.release(version),
            trigger,
        };
        self.checker.began(0, row)
    }

    fn tells(&mut self, reason: &str) -> Held {
        let event = EventRow {
            seq: 0,
            at: Timestamp::default(),
            service: None,
            reason: reason.to_owned(),
            message: String::new(),
            rollout: Some(self.rollouts),
        };
        self.checker.claimed(0, &event)
    }

    /// Every blue holds a version.
    fn serves(&mut self, version: usize) {
        let release = Some(self.release(version));
        for cloud in CloudName::ALL {
            self.checker.holds(0, cloud, release);
        }
    }

    fn rest(&self, told: &Told) -> Rest {
        let others = self.checker.services.len() - 1;
        let all = std::iter::once(told.clone()).chain(vec![Told::default(); others]);
        self.checker.rest(0, &all.collect::<Vec<_>>()).unwrap()
    }
}

fn law(held: Held) -> Option<&'static str> {
    held.err().map(|(law, _)| law)
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_went_back_for_a_newer_commit_may_be_tried_again_and_one_that_failed_may_not()
{
    for (newer, expected) in [
        (Some(2), None),
        (None, Some("what was rejected is not tried again")),
    ] {
        let mut watch = Watch::new(DriftMode::Enforce);
        watch.asks(1).await;
        watch.begins(1, "commit".into()).unwrap();
        if let Some(newer) = newer {
            watch.asks(newer).await;
        }
        watch.tells("RollingBack").unwrap();
        watch.asks(1).await;
        watch.tells("RolledBack").unwrap();
        let again = watch.begins(1, "commit".into());
        assert_eq!(law(again), expected, "{newer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_holds_a_release_back_until_somebody_has_it_tried_again() {
    for (is_retried, expected) in [(true, None), (false, Some("a rollback holds"))] {
        let mut watch = Watch::new(DriftMode::Enforce);
        watch.asks(2).await;
        watch.serves(1);
        watch.checker.learnt(0, watch.release(1)).unwrap();
        let rollback = serde_json::json!({ "rollback": { "held": watch.release(2) } });
        watch.begins(1, rollback).unwrap();
        watch.tells("Live").unwrap();
        if is_retried {
            watch.begins(2, "retry".into()).unwrap();
            watch.tells("Superseded").unwrap();
        }
        assert_eq!(law(watch.begins(2, "commit".into())), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_stood_on_blue_when_the_store_was_lost_may_stay_and_what_came_later_may_not() {
    for (is_before, expected) in [(true, Rest::Open), (false, Rest::Blue(None))] {
        let mut watch = Watch::new(DriftMode::Enforce);
        if is_before {
            watch.serves(1);
        }
        watch.checker.store_lost();
        watch.asks(1).await;
        watch.begins(1, "commit".into()).unwrap();
        watch.checker.trouble(0, "a cloud refuses it");
        watch.tells("Rejected").unwrap();
        let told = Told {
            rejected: vec![watch.release(1)],
            ..Told::default()
        };
        assert_eq!(watch.rest(&told), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_only_watched_must_be_given_what_git_asks_for() {
    let mut watch = Watch::new(DriftMode::Observe);
    watch.asks(1).await;
    assert_eq!(watch.rest(&Told::default()), Rest::Given(watch.release(1)));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_met_an_edited_slot_is_excused_also_when_the_slot_was_put_right_since() {
    let mut watch = Watch::new(DriftMode::Enforce);
    watch.asks(2).await;
    watch.asks(1).await;
    watch.checker.edited(0);
    watch.begins(1, "commit".into()).unwrap();
    watch.tells("RolledBack").unwrap();
    watch.serves(2);
    let rollback = serde_json::json!({ "rollback": { "held": watch.release(1) } });
    watch.checker.learnt(0, watch.release(2)).unwrap();
    watch.begins(2, rollback).unwrap();
    watch.tells("Live").unwrap();
    let told = Told {
        rejected: vec![watch.release(1)],
        live: Some(watch.release(2)),
        ..Told::default()
    };
    assert_eq!(watch.rest(&told), Rest::Blue(Some(watch.release(2))));
}
