//! Places where a test makes the loop fail: a part of the work for one service panics, or the whole process is killed.
//!
//! They exist only where debug assertions do. A release has empty functions in their place, and reads nothing of the environment for them.

#[cfg(not(debug_assertions))]
pub use self::released::from_environment;
#[cfg(not(debug_assertions))]
pub(super) use self::released::{answered, instead, part, written};
#[cfg(debug_assertions)]
pub(super) use self::tested::{answered, instead, part, written};
#[cfg(debug_assertions)]
pub use self::tested::{from_environment, panic_at, plan_instead};

/// A part of the work for one service.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// What a commit asks for is taken in.
    Ask,
    /// The next step is decided.
    Plan,
    /// A step is taken into the state.
    Step,
    /// Records are made of what changed.
    Save,
    /// The report is made.
    Report,
    /// An order is prepared.
    Order,
    /// What came of an order is taken in.
    Outcome,
    /// What a look found is taken in.
    Look,
    /// A person's action is taken in.
    Act,
}

impl Part {
    pub const ALL: [Self; 9] = [
        Self::Ask,
        Self::Plan,
        Self::Step,
        Self::Save,
        Self::Report,
        Self::Order,
        Self::Outcome,
        Self::Look,
        Self::Act,
    ];
}

#[cfg(not(debug_assertions))]
mod released {
    use super::Part;
    use crate::{
        name::ServiceKey,
        plan::{apply::Write, state::ServiceState, step::Step},
        rollout::intent::IntentKey,
    };

    pub fn from_environment(_: fn(&str) -> Option<String>) {}

    pub(in crate::reconcile) fn part(_: &ServiceKey, _: Part) {}

    pub(in crate::reconcile) fn instead(_: &ServiceKey) -> Option<Step> {
        None
    }

    pub(in crate::reconcile) fn written(_: &ServiceState, _: &[Write]) {}

    pub(in crate::reconcile) fn answered(_: &ServiceKey, _: &IntentKey) {}
}

#[cfg(debug_assertions)]
mod tested {
    use std::{
        collections::BTreeMap,
        fs::OpenOptions,
        io::Write as _,
        path::PathBuf,
        sync::{Mutex, OnceLock},
    };

    use rustix::process::{Signal, getpid, kill_process};

    use super::Part;
    use crate::{
        name::ServiceKey,
        plan::{apply::Write, state::ServiceState, step::Step},
        reconcile::lock,
        rollout::intent::{IntentKey, IntentState},
    };

    /// The file that every point passed is written to.
    const LIST: &str = "VERDIGRIS_TEST_POINTS";

    /// The point where the process is killed.
    const KILL_AT: &str = "VERDIGRIS_TEST_KILL_AT";

    static PANICS: Mutex<BTreeMap<(ServiceKey, Part), u32>> = Mutex::new(BTreeMap::new());
    static STEPS: Mutex<BTreeMap<ServiceKey, Step>> = Mutex::new(BTreeMap::new());
    static WATCH: OnceLock<Watch> = OnceLock::new();

    struct Watch {
        list: Option<PathBuf>,
        kill_at: Option<String>,
    }

    /// Reads what the environment of the process asks for. Without it no point does anything.
    pub fn from_environment(read: fn(&str) -> Option<String>) {
        let watch = Watch {
            list: read(LIST).map(PathBuf::from),
            kill_at: read(KILL_AT),
        };
        // Whoever asks first is heard.
        WATCH.set(watch).ok();
    }

    /// The next `times` that a part of the work for this service is done, it panics; none takes it back.
    pub fn panic_at(service: &ServiceKey, part: Part, times: u32) {
        lock(&PANICS).insert((service.clone(), part), times);
    }

    pub(in crate::reconcile) fn part(service: &ServiceKey, part: Part) {
        let mut panics = lock(&PANICS);
        if panics.is_empty() {
            return;
        }
        let left = panics.get_mut(&(service.clone(), part));
        let is_due = left.is_some_and(|left| {
            let is_due = *left > 0;
            *left = left.saturating_sub(1);
            is_due
        });
        drop(panics);
        assert!(!is_due, "a test asked for a panic at {part:?} of {service}");
    }

    /// In the next pass over this service its planner says this once, whatever it should say.
    pub fn plan_instead(service: &ServiceKey, step: Step) {
        lock(&STEPS).insert(service.clone(), step);
    }

    pub(in crate::reconcile) fn instead(service: &ServiceKey) -> Option<Step> {
        lock(&STEPS).remove(service)
    }

    /// Intents and outcomes that are on the disk now.
    pub(in crate::reconcile) fn written(state: &ServiceState, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Intent(key) => {
                    let intent = state.intents.get(key);
                    let what = match intent.map(|intent| &intent.state) {
                        Some(IntentState::Open { attempts: 0, .. }) => "recorded",
                        Some(IntentState::Open { .. }) => "to be tried again",
                        Some(IntentState::Done { .. }) => "done",
                        Some(IntentState::Failed { .. }) | None => "given up",
                    };
                    pass(&state.key, key, what);
                }
                Write::DropIntent(key) => pass(&state.key, key, "dropped"),
                Write::Memory
                | Write::Rollout
                | Write::Live(_)
                | Write::Release(_)
                | Write::DropRelease(_)
                | Write::History(_)
                | Write::Event(_)
                | Write::Forget => {}
            }
        }
    }

    /// The order came back, and nothing of that is on the disk.
    pub(in crate::reconcile) fn answered(service: &ServiceKey, key: &IntentKey) {
        pass(service, key, "answered");
    }

    fn pass(service: &ServiceKey, key: &IntentKey, what: &str) {
        let Some(Watch { list, kill_at }) = WATCH.get() else {
            return;
        };
        let name = format!("{service} {key} {what}");
        if let Some(path) = list {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let written = file.and_then(|mut file| writeln!(file, "{name}"));
            written.unwrap_or_else(|error| panic!("the test's list of points: {error}"));
        }
        if kill_at.as_ref() == Some(&name) {
            kill_process(getpid(), Signal::KILL).ok();
            // The signal is on its way, and nothing may happen until it is here.
            loop {
                std::thread::park();
            }
        }
    }
}
