//! One pass over one service: every step that needs no waiting; then the disk; then the orders.

pub(super) mod carry_out;
pub(super) mod job;
pub(super) mod quarantine;
pub(super) mod together;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::task::AbortHandle;

use self::quarantine::Quarantine;
use super::{
    Shared, lock,
    points::{self, Part},
};
use crate::{
    guard,
    name::{CloudName, ServiceKey, Timestamp},
    plan::{
        apply::{self, Write, event},
        around::{Around, Facts, Joint},
        reason::WaitingOn,
        state::{ServiceState, Severity},
        step::{Sending, Step, Waiting, ready, step},
    },
    rollout::intent::{IntentKey, Order},
    status,
};

/// A rollout takes fewer than twenty steps from beginning to end; a planner that takes more goes in circles.
const STEPS_MAX: usize = 64;

/// How long a pass waits before it tries the disk again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Shortest pause between two passes that nothing but the clock asks for.
const PASS_PAUSE: Duration = Duration::from_millis(20);

/// One service and what the process does for it.
pub(super) struct Entry {
    pub(super) state: ServiceState,
    /// What changed and is not on the disk yet.
    pub(super) unsaved: Vec<Write>,
    pub(super) waiting: Vec<WaitingOn>,
    pub(super) tasks: BTreeMap<IntentKey, AbortHandle>,
    /// Why nothing is decided for this service until a person looks.
    pub(super) stalled: Option<String>,
    /// Its state may be half of something: it is neither used nor written until it was read from the disk afresh.
    pub(super) quarantine: Option<Quarantine>,
}

/// What a pass starts once its intents are on the disk.
enum Start {
    Observe(CloudName),
    Order(IntentKey, Order),
}

/// What comes of a pass.
#[derive(Default)]
struct Decision {
    starts: Vec<Start>,
    /// A move that others make, too.
    joint: Option<Joint>,
    wake: Option<Timestamp>,
}

impl Entry {
    pub(super) fn new(state: ServiceState) -> Self {
        Self {
            state,
            unsaved: Vec::new(),
            waiting: Vec::new(),
            tasks: BTreeMap::new(),
            stalled: None,
            quarantine: None,
        }
    }
}

/// A name that is being worked on. However the pass ends, the name can be worked on again.
struct Hold<'a> {
    shared: &'a Shared,
    key: &'a ServiceKey,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        lock(&self.shared.queue).done(self.key);
        self.shared.nudge.notify_one();
    }
}

impl Shared {
    pub(super) async fn pass(self: Arc<Self>, key: ServiceKey) {
        let _hold = Hold {
            shared: &self,
            key: &key,
        };
        self.guarded(&key, "a pass", self.work(&key)).await;
    }

    async fn work(self: &Arc<Self>, key: &ServiceKey) {
        let Some(entry) = self.entry(key) else {
            return;
        };
        let mut entry = entry.lock().await;
        if entry.quarantine.is_some() {
            return;
        }
        let Decision {
            starts,
            joint,
            mut wake,
        } = self.decide(&mut entry);
        match self.save(&mut entry).await {
            Ok(()) if entry.state.is_forgotten() => return self.forget(&entry),
            Ok(()) => {
                self.start_all(&mut entry, starts);
                self.tell_of(&entry);
            }
            Err(error) => {
                tracing::error!(service = %key, error = %error, "the store could not be written; nothing is sent");
                take_back(&mut entry, &starts);
                wake = Some(self.clock.now().after(STORE_RETRY));
            }
        }
        self.publish(&entry);
        // A wake-up in the past would be a pass without a pause.
        let soonest = self.clock.now().after(PASS_PAUSE);
        lock(&self.queue).wake_at(key, wake.map(|at| at.max(soonest)));
        drop(entry);
        if let Some(joint) = joint {
            self.together(&joint).await;
        }
    }

    /// Nothing is left of the service, here or on any cloud: its name is free again.
    fn forget(&self, entry: &Entry) {
        let key = &entry.state.key;
        lock(&self.entries).remove(key);
        self.board.put(key, |_, _| None);
        lock(&self.queue).wake_at(key, None);
        let lookers = lock(&self.around).forget(key);
        self.wake_all(lookers);
    }

    /// Brings what others may need to know of a service up to date, and wakes those whom it concerns.
    pub(super) fn tell_of(&self, entry: &Entry) {
        let state = &entry.state;
        let now = self.clock.now();
        let stalled = entry.stalled.as_deref();
        let around = lock(&self.around).of(state);
        let turn = match stalled {
            None => ready(state, &around, self.policy, now),
            Some(_) => None,
        };
        let lookers = lock(&self.around).tell(&state.key, |before| {
            Facts::of(state, stalled, turn, before, now)
        });
        self.wake_all(lookers);
    }

    /// Takes steps until the answer is to wait.
    fn decide(&self, entry: &mut Entry) -> Decision {
        let mut decision = Decision::default();
        if entry.stalled.is_some() {
            return decision;
        }
        let around = lock(&self.around).of(&entry.state);
        apply::not_in_the_future(&mut entry.state, self.clock.now());
        for _ in 0..STEPS_MAX {
            let now = self.clock.now();
            points::part(&entry.state.key, Part::Plan);
            let planted = points::instead(&entry.state.key);
            let step = planted.unwrap_or_else(|| step(&entry.state, &around, self.policy, now));
            match self.take(entry, step, &around, now, &mut decision) {
                Ok(None) => {}
                Ok(Some(Waiting { on, wake })) => {
                    let behind = status::why::behind(&entry.state, now);
                    let told = [on.as_slice(), &behind].concat();
                    let dated = apply::date(&mut entry.state, &told, now);
                    entry.unsaved.extend(dated);
                    entry.waiting = on;
                    decision.wake = wake;
                    return decision;
                }
                Err(message) => {
                    self.stall(entry, message);
                    return decision;
                }
            }
        }
        self.stall(entry, format!("planning took more than {STEPS_MAX} steps"));
        decision
    }

    /// Takes one step into the state.
    fn take(
        &self,
        entry: &mut Entry,
        step: Step,
        around: &Around,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<Option<Waiting>, String> {
        let state = &mut entry.state;
        let starts = &mut decision.starts;
        points::part(&state.key, Part::Step);
        let writes = match step {
            Step::Begin {
                release,
                trigger,
                actor,
            } => apply::begin(state, release, trigger, actor, now)
                .map_err(|unknown| unknown.to_string())?,
            Step::Move(change) => {
                apply::advance(state, change, now).map_err(|illegal| illegal.to_string())?
            }
            Step::Note(note) => apply::note(state, note, now),
            Step::Observe(targets) => {
                state.in_flight.observing.extend(targets.iter().copied());
                starts.extend(targets.into_iter().map(Start::Observe));
                Vec::new()
            }
            Step::Send(sendings) => {
                for Sending { order, .. } in &sendings {
                    guard::check(order, state, around, self.policy.prune_share)
                        .map_err(|alarm| alarm.to_string())?;
                }
                let writes = apply::record(state, &sendings, now);
                starts.extend(
                    sendings
                        .into_iter()
                        .map(|sending| Start::Order(sending.key, sending.order)),
                );
                writes
            }
            Step::Together(joint) => {
                decision.joint = Some(joint);
                let (on, wake) = (Vec::new(), None);
                return Ok(Some(Waiting { on, wake }));
            }
            Step::Wait(waiting) => return Ok(Some(waiting)),
        };
        entry.unsaved.extend(writes);
        Ok(None)
    }

    /// Nothing more is decided for this service until a person says `retry` or `reconcile`; the rest goes on.
    fn stall(&self, entry: &mut Entry, message: String) {
        tracing::error!(service = %entry.state.key, message, "stalled");
        let now = self.clock.now();
        entry.unsaved.push(event(
            &entry.state,
            Severity::Error,
            "Stalled",
            message.clone(),
            now,
        ));
        entry.waiting = vec![WaitingOn::Person {
            message: message.clone(),
        }];
        entry.stalled = Some(message);
    }

    fn start_all(self: &Arc<Self>, entry: &mut Entry, starts: Vec<Start>) {
        entry.tasks.retain(|_, task| !task.is_finished());
        for start in starts {
            match start {
                Start::Observe(target) => {
                    self.tasks
                        .spawn(self.clone().look(entry.state.key.clone(), target));
                }
                Start::Order(key, order) => {
                    let task = self
                        .clone()
                        .carry_out(entry.state.key.clone(), key.clone(), order);
                    entry
                        .tasks
                        .insert(key, self.tasks.spawn(task).abort_handle());
                }
            }
        }
        stop_needless(entry);
    }

    /// Tells of a service. A report that panics is told in place of one; the rest of the board stands.
    /// Gates are asked again at the next start, so nobody waits for them now; least of all for a long load.
    pub(super) async fn stop_measuring(&self) {
        let entries: Vec<_> = lock(&self.entries).values().cloned().collect();
        for entry in entries {
            let mut entry = entry.lock().await;
            let is_measure = |order: &Order| matches!(order, Order::Measure { .. });
            let under_way = entry.state.in_flight.orders.iter();
            let measured = under_way.filter(|(_, order)| is_measure(order));
            let measured: Vec<IntentKey> = measured.map(|(key, _)| key.clone()).collect();
            for key in measured {
                if let Some(task) = entry.tasks.remove(&key) {
                    task.abort();
                }
            }
        }
    }

    pub(super) fn publish(&self, entry: &Entry) {
        let made = catch_unwind(AssertUnwindSafe(|| self.put_up(entry)));
        if made.is_err() {
            self.put_up_trouble(entry);
        }
    }

    fn put_up(&self, entry: &Entry) {
        let state = &entry.state;
        points::part(&state.key, Part::Report);
        let now = self.clock.now();
        self.board.put(&state.key, |previous, version| {
            Some(status::report(
                state,
                &entry.waiting,
                entry.stalled.as_deref(),
                previous,
                version,
                now,
            ))
        });
    }
}

/// What was to be started is not: its intents are open and will be sent by the pass that reaches the disk.
fn take_back(entry: &mut Entry, starts: &[Start]) {
    for start in starts {
        match start {
            Start::Observe(target) => {
                entry.state.in_flight.observing.remove(target);
            }
            Start::Order(key, _) => {
                entry.state.in_flight.orders.remove(key);
            }
        }
    }
}

/// Builds and measurements whose rollout ended are stopped. Orders to a cloud are never cut off.
fn stop_needless(entry: &mut Entry) {
    let prefix = entry
        .state
        .active()
        .map(|rollout| format!("{}/", rollout.id));
    let is_needed = |key: &IntentKey| {
        prefix
            .as_ref()
            .is_some_and(|prefix| key.0.starts_with(prefix))
    };
    let orders = &mut entry.state.in_flight.orders;
    let needless: Vec<IntentKey> = orders
        .iter()
        .filter(|(key, order)| !order.writes() && !is_needed(key))
        .map(|(key, _)| key.clone())
        .collect();
    for key in needless {
        orders.remove(&key);
        if let Some(task) = entry.tasks.remove(&key) {
            task.abort();
        }
    }
}
