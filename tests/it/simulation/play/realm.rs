//! What the whole simulated world shares: chance, time, clouds, the story, and the eyes that watch.

use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use tokio::{sync::Notify, time::Instant};
use verdigris::{
    clock::Clock,
    cloud::fake::FakeCloud,
    name::{CloudName, Timestamp},
    observed::Observed,
};

use super::{
    checker::Checker,
    fleet::{ENVIRONMENTS, Fleet, Qualities},
    story::Story,
};

/// Tells tokio's time, and what somebody made of it.
pub(crate) struct Sundial {
    start: Instant,
    /// How far somebody set it forward, in milliseconds.
    ahead: AtomicI64,
}

impl Clock for Sundial {
    fn now(&self) -> Timestamp {
        let told = Timestamp::from_millis(1_700_000_000_000).after(self.start.elapsed());
        Timestamp::from_millis(told.millis() + self.ahead.load(Ordering::Relaxed))
    }
}

impl Sundial {
    pub(crate) fn shift(&self, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }
}

/// Where a cloud of an environment stands in [`Realm::sites`].
pub(crate) fn site_of(environment: usize, cloud: CloudName) -> usize {
    environment * CloudName::ALL.len() + usize::from(cloud == CloudName::Azure)
}

/// Whether a cloud hangs. Who waits for its end is woken in the order of coming: a `watch` wakes in any order, and one seed would make
/// several stories.
#[derive(Debug, Default)]
pub(crate) struct Hang {
    is_so: AtomicBool,
    over: Notify,
}

impl Hang {
    pub(crate) fn is_so(&self) -> bool {
        self.is_so.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, is_so: bool) {
        self.is_so.store(is_so, Ordering::Relaxed);
        if !is_so {
            self.over.notify_waiters();
        }
    }

    pub(crate) async fn over(&self) {
        while self.is_so() {
            self.over.notified().await;
        }
    }
}

/// One cloud of one environment, and how it feels today.
pub(crate) struct Site {
    pub(crate) cloud: FakeCloud,
    pub(crate) name: CloudName,
    pub(crate) environment: usize,
    pub(crate) hang: Hang,
    pub(crate) mood: Mutex<Mood>,
}

/// How a cloud treats its callers.
#[derive(Debug, Default)]
pub(crate) struct Mood {
    /// Calls that go wrong in some way, of a hundred.
    pub(crate) storm: u32,
    /// Every call fails so, until it is over.
    pub(crate) outage: Option<Outage>,
    /// Looks may tell what was so a while ago.
    pub(crate) is_stale: bool,
    /// Orders take minutes.
    pub(crate) is_slow: bool,
    /// Services in whose place something stands that is not ours.
    pub(crate) foreign: Vec<bool>,
    /// For each service: what a look showed before the newest change, and until when.
    pub(crate) past: Vec<Past>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pub(crate) newest: Option<Observed>,
    pub(crate) before: Option<(Instant, Observed)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outage {
    Unreachable,
    Denied,
    Busy,
}

/// One life of the daemon: what a dead one does reaches nobody.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub(crate) number: u64,
    is_dead: AtomicBool,
    /// It dies at this many calls or commits from now; 0 is never.
    pub(crate) fuse: AtomicU64,
}

impl Life {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// Comes one closer to the end that was planned; whether this is it.
    pub(crate) fn burn(&self) -> bool {
        let left = self.fuse.load(Ordering::Relaxed);
        if left > 0 {
            self.fuse.store(left - 1, Ordering::Relaxed);
        }
        if left == 1 {
            self.end();
        }
        left == 1
    }
}

/// Waits for as long as nobody is there to hear the answer.
pub(crate) async fn forever<T>() -> T {
    std::future::pending().await
}

pub(crate) struct Realm {
    pub(crate) clock: std::sync::Arc<Sundial>,
    pub(crate) fleet: Fleet,
    pub(crate) sites: Vec<Site>,
    pub(crate) builds_fail: AtomicBool,
    chance: Mutex<Rng>,
    qualities: Mutex<Qualities>,
    story: Mutex<Story>,
    checker: Mutex<Checker>,
}

impl Realm {
    pub(crate) fn new(seed: u64, is_told: bool) -> Self {
        let mut chance = Rng::with_seed(seed);
        let fleet = Fleet::any(&mut chance);
        let count = fleet.members.len();
        let site = |environment: usize, name: CloudName| Site {
            cloud: FakeCloud::new(name),
            name,
            environment,
            hang: Hang::default(),
            mood: Mutex::new(Mood {
                foreign: vec![false; count],
                past: vec![Past::default(); count],
                ..Mood::default()
            }),
        };
        let sites = (0..ENVIRONMENTS.len())
            .flat_map(|environment| CloudName::ALL.map(|name| site(environment, name)));
        Self {
            clock: std::sync::Arc::new(Sundial {
                start: Instant::now(),
                ahead: AtomicI64::new(0),
            }),
            sites: sites.collect(),
            builds_fail: AtomicBool::new(false),
            checker: Mutex::new(Checker::new(&fleet)),
            fleet,
            chance: Mutex::new(chance),
            qualities: Mutex::default(),
            story: Mutex::new(Story::new(is_told)),
        }
    }

    pub(crate) fn chance(&self) -> MutexGuard<'_, Rng> {
        self.chance.lock().unwrap()
    }

    pub(crate) fn qualities(&self) -> MutexGuard<'_, Qualities> {
        self.qualities.lock().unwrap()
    }

    pub(crate) fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap()
    }

    pub(crate) fn checker(&self) -> MutexGuard<'_, Checker> {
        self.checker.lock().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// One step of the simulation happened.
    pub(crate) fn step(&self, kind: &'static str, line: impl FnOnce() -> String) {
        let now = self.now();
        self.story().step(now, kind, line);
    }

    pub(crate) fn aside(&self, line: impl FnOnce() -> String) {
        let now = self.now();
        self.story().aside(now, line);
    }

    pub(crate) fn broke(&self, law: &'static str, told: String) {
        let now = self.now();
        self.story().broke(now, law, told);
    }

    /// Takes what the checker says.
    pub(crate) fn hold(&self, found: Result<(), (&'static str, String)>) {
        if let Err((law, told)) = found {
            self.broke(law, told);
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.story().broken().is_some()
    }

    /// True so many times of a hundred.
    pub(crate) fn one_in_hundred(&self, share: u32) -> bool {
        share > 0 && self.chance().u32(0..100) < share
    }

    pub(crate) fn millis(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.chance().u64(range))
    }
}
