//! One move of several services: all of them are held, looked at once more, and written in one batch.

use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::super::{Shared, disk::records, lock};
use super::Entry;
use crate::{
    plan::{
        apply,
        around::Joint,
        state::ServiceState,
        step::{Step, step, turn},
    },
    store::Batch,
};

/// When members come again whose move could not be made.
const AGAIN: Duration = Duration::from_millis(200);

/// A service that is held, and how it was before.
struct Held {
    entry: OwnedMutexGuard<Entry>,
    before: ServiceState,
    /// Changes that were not on the disk before.
    unsaved: usize,
}

impl Shared {
    /// Makes a move for all of its services or for none. What stands in the way is seen by the next pass of each.
    ///
    /// # Guarantees
    ///
    /// On the disk either all have moved or none has.
    pub(in crate::reconcile) async fn together(&self, joint: &Joint) {
        let mut held = Vec::new();
        // In the order of their keys, so that no two of these wait for each other; a pass holds one service and waits for none.
        for key in joint.members.keys() {
            let Some(entry) = self.locked(key).await else {
                return;
            };
            held.push(Held {
                before: entry.state.clone(),
                unsaved: entry.unsaved.len(),
                entry,
            });
        }
        for member in &held {
            self.tell_of(&member.entry);
        }
        let made = held
            .iter()
            .all(|member| self.is_ready(&member.entry, joint))
            && self.write_all(&mut held, joint).await;
        if made {
            // Before any of them is let go: it must not look as if the others had not moved.
            for member in &held {
                self.tell_of(&member.entry);
                self.publish(&member.entry);
                self.wake(member.entry.state.key.clone());
            }
        } else {
            // One of them may have to look at its targets first, or the disk is full: each comes again, and soon.
            let soon = self.clock.now().after(AGAIN);
            for key in joint.members.keys() {
                lock(&self.queue).wake_at(key, Some(soon));
            }
            self.nudge.notify_one();
        }
    }

    /// Whether a service, looked at afresh, would make the very same move.
    fn is_ready(&self, entry: &Entry, joint: &Joint) -> bool {
        if entry.stalled.is_some() || entry.quarantine.is_some() {
            return false;
        }
        let around = lock(&self.around).of(&entry.state);
        let next = step(&entry.state, &around, self.policy, self.clock.now());
        next == Step::Together(joint.clone())
    }

    async fn write_all(&self, held: &mut [Held], joint: &Joint) -> bool {
        let now = self.clock.now();
        let mut batch = Batch::new();
        for member in held.iter_mut() {
            let Held { entry, .. } = member;
            let around = lock(&self.around).of(&entry.state);
            let own = turn(&entry.state, &around, self.policy, now);
            let moved =
                own.and_then(|(_, own)| apply::together(&mut entry.state, joint, own, now).ok());
            let Some(writes) = moved else {
                self.take_back(held);
                return false;
            };
            entry.unsaved.extend(writes);
            self.number(&mut entry.unsaved);
            records::add(&mut batch, &entry.state, &entry.unsaved);
        }
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(%error, "the store could not be written; no member of the group moves");
            self.take_back(held);
            return false;
        }
        for member in held {
            self.written(&mut member.entry);
        }
        true
    }

    fn take_back(&self, held: &mut [Held]) {
        for member in held {
            let Held {
                entry,
                before,
                unsaved,
            } = member;
            entry.state = before.clone();
            let undone = entry.unsaved.split_off(*unsaved);
            self.give_up(&undone);
        }
    }
}
