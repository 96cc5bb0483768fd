//! The order in which events are told: that of their numbers, whichever write reaches the disk first.
//!
//! A reader that resumes after an event must find every later one. So an event is told, and shown to readers, only when all before it
//! are on the disk or were given up.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::super::lock;
use crate::plan::state::EventRecord;

/// Numbers given out, and events that wait for those before them.
pub(in crate::reconcile) struct Journal(Mutex<State>);

struct State {
    /// The next number to give out.
    next: u64,
    /// The number before which everything was told.
    told: u64,
    /// What is on the disk, or was given up, behind a number that is not.
    behind: BTreeMap<u64, Option<Arc<EventRecord>>>,
}

impl Journal {
    pub(in crate::reconcile) fn starting_at(next: u64) -> Self {
        Self(Mutex::new(State {
            next,
            told: next,
            behind: BTreeMap::new(),
        }))
    }

    pub(in crate::reconcile) fn number(&self) -> u64 {
        let mut state = lock(&self.0);
        let number = state.next;
        state.next += 1;
        number
    }

    /// Whether every event up to this one may be shown.
    pub(in crate::reconcile) fn is_told(&self, number: u64) -> bool {
        number < lock(&self.0).told
    }

    /// These events are on the disk. `tell` gets every event whose turn it is, in order.
    pub(in crate::reconcile) fn written(
        &self,
        events: impl IntoIterator<Item = EventRecord>,
        tell: impl FnMut(Arc<EventRecord>),
    ) {
        let each = events.into_iter();
        self.settled(each.map(|event| (event.seq, Some(Arc::new(event)))), tell);
    }

    /// These numbers will never be written.
    pub(in crate::reconcile) fn given_up(
        &self,
        numbers: impl IntoIterator<Item = u64>,
        tell: impl FnMut(Arc<EventRecord>),
    ) {
        self.settled(numbers.into_iter().map(|number| (number, None)), tell);
    }

    fn settled(
        &self,
        each: impl Iterator<Item = (u64, Option<Arc<EventRecord>>)>,
        mut tell: impl FnMut(Arc<EventRecord>),
    ) {
        let mut state = lock(&self.0);
        state.behind.extend(each);
        while let Some(event) = {
            let turn = state.told;
            state.behind.remove(&turn)
        } {
            state.told += 1;
            event.into_iter().for_each(&mut tell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        name::{Actor, Timestamp},
        plan::state::Severity,
    };

    fn event(seq: u64) -> EventRecord {
        EventRecord {
            seq,
            at: Timestamp::default(),
            severity: Severity::Info,
            service: None,
            reason: "Test".to_owned(),
            message: String::new(),
            actor: Actor::daemon(),
            revision: None,
            rollout: None,
        }
    }

    #[test]
    fn events_are_told_in_the_order_of_their_numbers_whichever_is_written_first() {
        let journal = Journal::starting_at(7);
        let numbers = [journal.number(), journal.number(), journal.number()];
        assert_eq!(numbers, [7, 8, 9]);
        let mut told = Vec::new();
        journal.written([event(9)], |event| told.push(event.seq));
        assert!(told.is_empty());
        journal.written([event(7)], |event| told.push(event.seq));
        assert_eq!(told, [7]);
        assert!(journal.is_told(7) && !journal.is_told(9));
        journal.given_up([8], |event| told.push(event.seq));
        assert_eq!(told, [7, 9]);
    }
}
