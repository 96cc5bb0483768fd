//! A panic in the work for one service is that service's alone: it is stalled with the reason, and everything else goes on.
//!
//! Its state may be half of something then. So it is neither used nor written any more, and what the disk says of it is the truth: a
//! person's `retry` or `reconcile` reads it afresh, as a restart would.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;

use super::super::{
    Shared, ask,
    disk::load::load,
    handle::Asked,
    points::{self, Part},
};
use super::Entry;
use crate::{
    name::ServiceKey,
    plan::{
        apply::event_record,
        reason::WaitingOn,
        state::{Ask, ServiceState, Severity},
    },
    rollout::intent::IntentKey,
    status,
    store::StoreError,
};

/// What became of a service while its state could not be used.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Quarantine {
    /// What Git asked for meanwhile; `Some(None)` where nothing names it any more.
    asked: Option<Option<Asked>>,
}

impl Entry {
    /// An order came back, and what came of it is not known here.
    pub(in crate::reconcile) fn forget_order(&mut self, order: &IntentKey) {
        self.state.in_flight.orders.remove(order);
        self.tasks.remove(order);
    }
}

impl Shared {
    /// Does a part of the work for a service. `None` where it panicked, and the service is in quarantine.
    pub(in crate::reconcile) async fn guarded<T>(
        &self,
        key: &ServiceKey,
        what: &str,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let done = AssertUnwindSafe(work).catch_unwind().await;
        if done.is_err() {
            self.quarantine(key, what, None).await;
        }
        done.ok()
    }

    /// The same for an order, which is under way no longer when it panicked.
    pub(in crate::reconcile) async fn guarded_order(
        &self,
        key: &ServiceKey,
        order: &IntentKey,
        work: impl Future<Output = ()>,
    ) {
        let done = AssertUnwindSafe(work).catch_unwind().await;
        if done.is_err() {
            self.quarantine(key, "an order", Some(order)).await;
        }
    }

    async fn quarantine(&self, key: &ServiceKey, what: &str, order: Option<&IntentKey>) {
        let message = format!(
            "{what} panicked, and the log has the place; `retry` reads the service afresh and goes on"
        );
        tracing::error!(service = %key, message, "stalled");
        let Some(mut entry) = self.locked(key).await else {
            return;
        };
        if let Some(order) = order {
            entry.forget_order(order);
        }
        // What was not written is not written any more.
        self.give_up(&std::mem::take(&mut entry.unsaved));
        entry.waiting = vec![WaitingOn::Person {
            message: message.clone(),
        }];
        entry.stalled = Some(message.clone());
        entry.quarantine.get_or_insert_default();
        self.publish(&entry);
        let now = self.clock.now();
        let told = event_record(&entry.state, Severity::Error, "Stalled", message, now);
        drop(entry);
        if let Err(error) = self.tell_all(vec![told]).await {
            tracing::error!(service = %key, %error, "the store could not be written");
        }
    }

    /// A report that could not be made: what can be said without the state.
    pub(in crate::reconcile) fn put_up_trouble(&self, entry: &Entry) {
        let state = ServiceState::new(entry.state.key.clone(), entry.state.memory.created_at);
        let message = "its report panicked, and the log has the place; what else is told of it may be missing";
        tracing::error!(service = %state.key, message);
        let stalled = entry.stalled.as_deref().unwrap_or(message);
        let now = self.clock.now();
        let made = catch_unwind(AssertUnwindSafe(|| {
            self.board.put(&state.key, |previous, version| {
                let report = status::report(
                    &state,
                    &entry.waiting,
                    Some(stalled),
                    previous,
                    version,
                    now,
                );
                Some(status::ServiceReport {
                    spec: previous.and_then(|previous| previous.spec.clone()),
                    ..report
                })
            });
        }));
        if made.is_err() {
            tracing::error!(service = %state.key, "its last report stays");
        }
    }

    /// Ends a quarantine: the state is what the disk says, as after a restart, and Git asks anew. Orders that are under way stay so.
    ///
    /// # Errors
    ///
    /// A store that cannot be read; the quarantine goes on then.
    pub(in crate::reconcile) async fn revive(&self, entry: &mut Entry) -> Result<(), StoreError> {
        let Some(Quarantine { asked }) = entry.quarantine.as_ref() else {
            return Ok(());
        };
        let now = self.clock.now();
        let key = entry.state.key.clone();
        let (states, set_aside) = load(&*self.store, now).await?;
        let found = states.into_iter().find(|state| state.key == key);
        let mut fresh = found.unwrap_or_else(|| ServiceState::new(key, now));
        let before = std::mem::take(&mut entry.state.ask);
        let asked = asked.clone().or_else(|| asked_before(&mut fresh, before));
        entry.tasks.retain(|_, task| !task.is_finished());
        let mut orders = std::mem::take(&mut entry.state.in_flight.orders);
        orders.retain(|key, _| entry.tasks.contains_key(key));
        fresh.in_flight.orders = orders;
        entry.state = fresh;
        entry.quarantine = None;
        entry.stalled = None;
        if let Some(asked) = asked {
            self.ask_of(entry, asked.as_ref());
        }
        self.tell_set_aside(set_aside).await
    }

    /// Takes in what Git asks of a service; whether that is news. In quarantine it is kept for later.
    pub(in crate::reconcile) fn ask_of(&self, entry: &mut Entry, asked: Option<&Asked>) -> bool {
        if let Some(quarantine) = &mut entry.quarantine {
            quarantine.asked = Some(asked.cloned());
            return false;
        }
        let taken = catch_unwind(AssertUnwindSafe(|| {
            points::part(&entry.state.key, Part::Ask);
            ask::take(&mut entry.state, asked, self.clock.now())
        }));
        match taken {
            Ok((is_news, writes)) => {
                entry.unsaved.extend(writes);
                is_news
            }
            Err(panic) => {
                entry.quarantine = Some(Quarantine {
                    asked: Some(asked.cloned()),
                });
                std::panic::resume_unwind(panic)
            }
        }
    }
}

/// What Git asked for last, to be asked again.
fn asked_before(fresh: &mut ServiceState, before: Ask) -> Option<Option<Asked>> {
    match before {
        Ask::Unknown => None,
        Ask::Absent => Some(None),
        Ask::Wanted(desired) => Some(Some(Asked::Wanted(desired))),
        Ask::Invalid { faults, last_good } => {
            fresh.asked_before = last_good.or(fresh.asked_before.take());
            Some(Some(Asked::Invalid(faults)))
        }
    }
}
