//! One story: a daemon, its clouds and its people, all from one seed, under virtual time.
//!
//! The reconcile wiring and the pure core are the real ones; clouds, disk, gates, builds, clock and people are simulated. A *step* is one
//! thing that happens: an answer that reaches the daemon (a cloud's, a gate's, a build's), or something that somebody or something does (a
//! commit, an action, an edit, a fault that begins or ends, a clock that jumps, a death, a start). What must always hold is checked by
//! `checker`, at every step, and now and then all troubles end and everything must come to rest.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a judge names the cases that it knows a law of, and lets the others pass"
)]

mod calm;
pub(crate) mod checker;
mod cloud;
mod daemon;
mod disk;
pub(crate) mod fleet;
mod people;
mod realm;
mod story;
mod troubles;
mod world;

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Duration;

pub(crate) use self::story::Broken;
use self::{daemon::Daemon, people::Git, realm::Realm};

/// Steps between two times of calm.
const STORM: u64 = 400;

/// What came of a story.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) steps: u64,
    pub(crate) broken: Option<Broken>,
    /// Equal for equal stories.
    pub(crate) print: u64,
    /// How often each kind of step was.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    /// Line by line, where it was to be told.
    pub(crate) text: String,
}

/// Plays the story of a seed for so many steps, or until a law is broken. The same seed makes the same story.
pub(crate) fn play(seed: u64, steps: u64, is_told: bool) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let realm = Arc::new(Realm::new(seed, is_told));
        let daemon = Daemon::first(&realm).await;
        let git = Git::new(realm.fleet.members.len());
        let mut play = Play {
            realm,
            daemon,
            git,
            reverts: false,
        };
        play.through(steps).await;
        play.played()
    })
}

struct Play {
    realm: Arc<Realm>,
    daemon: Daemon,
    git: Git,
    /// Some promotion since the last calm may undo itself.
    reverts: bool,
}

impl Play {
    async fn through(&mut self, steps: u64) {
        for service in 0..self.realm.fleet.members.len() {
            self.write_manifest(service);
        }
        self.tell_git().await;
        let mut next_calm = STORM.min(steps);
        while !self.realm.is_broken() {
            if self.steps() >= next_calm {
                self.calm().await;
                if self.steps() >= steps {
                    return;
                }
                next_calm = (self.steps() + STORM).min(steps);
            }
            self.happen().await;
            if self.daemon.life.is_dead() {
                self.revive().await;
            }
        }
    }

    fn steps(&self) -> u64 {
        self.realm.story().steps()
    }

    /// One thing happens; then time passes.
    async fn happen(&mut self) {
        let what = self.realm.chance().u32(0..100);
        match what {
            0..20 => self.commit().await,
            20..42 => self.act().await,
            42..52 => self.weather(),
            52..56 => self.outage(),
            56..61 => self.hang(),
            61..68 => self.oddity(),
            68..78 => self.edit(),
            78..80 => self.foreign(),
            80..84 => self.disk_fault(),
            84..86 => self.builds(),
            86..88 => self.clock_jumps(),
            88..89 => self.unreadable_git(),
            89..96 => self.end().await,
            _ => {}
        }
        let wait = self.wait();
        tokio::time::sleep(wait).await;
    }

    /// Mostly seconds, now and then minutes.
    fn wait(&self) -> Duration {
        let range = match self.realm.chance().u32(0..20) {
            0..9 => 0..2_000,
            9..18 => 0..15_000,
            _ => 0..120_000,
        };
        self.realm.millis(range)
    }

    fn played(&self) -> Played {
        let story = self.realm.story();
        Played {
            steps: story.steps(),
            broken: story.broken().cloned(),
            print: story.print(),
            kinds: story.kinds().clone(),
            text: story.text(),
        }
    }
}
