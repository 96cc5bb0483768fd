//! Names that want a pass, now or later. A wake-up carries no news: asking twice costs one pass.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::name::{ServiceKey, Timestamp};

/// Which names wait, which are being worked on, and which are to be woken when.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// In the order they were asked for, so that a busy name keeps no other waiting.
    line: VecDeque<ServiceKey>,
    waiting: BTreeSet<ServiceKey>,
    running: BTreeSet<ServiceKey>,
    alarms: BTreeSet<(Timestamp, ServiceKey)>,
    alarm_of: BTreeMap<ServiceKey, Timestamp>,
    /// The latest moment that anybody came at.
    latest: Timestamp,
}

/// A clock that goes back by less is being corrected; what it puts off by that is nothing.
const CORRECTION_MAX: Duration = Duration::from_secs(1);

impl Queue {
    pub(super) fn wake(&mut self, key: ServiceKey) {
        if self.waiting.insert(key.clone()) {
            self.line.push_back(key);
        }
    }

    /// Wakes a name at a moment; replaces the alarm that it had.
    pub(super) fn wake_at(&mut self, key: &ServiceKey, at: Option<Timestamp>) {
        if let Some(before) = self.alarm_of.remove(key) {
            self.alarms.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.alarms.insert((at, key.clone()));
            self.alarm_of.insert(key.clone(), at);
        }
    }

    /// A name to work on. One that is being worked on waits its turn.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<ServiceKey> {
        self.ring(now);
        let place = self
            .line
            .iter()
            .position(|key| !self.running.contains(key))?;
        let key = self.line.remove(place)?;
        self.waiting.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    pub(super) fn done(&mut self, key: &ServiceKey) {
        self.running.remove(key);
    }

    /// When the next alarm rings.
    pub(super) fn next_alarm(&self) -> Option<Timestamp> {
        self.alarms.first().map(|(at, _)| *at)
    }

    pub(super) fn depth(&self) -> usize {
        self.waiting.len()
    }

    /// Wakes the names whose alarms are due. Where the clock went back, alarms are moments of another time: all of them ring, and those who
    /// wake look at the new one.
    fn ring(&mut self, now: Timestamp) {
        let went_back = self.latest.since(now) > CORRECTION_MAX;
        self.latest = if went_back { now } else { self.latest.max(now) };
        while let Some((at, key)) = self.alarms.first().cloned() {
            if at > now && !went_back {
                break;
            }
            self.alarms.remove(&(at, key.clone()));
            self.alarm_of.remove(&key);
            self.wake(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ServiceKey {
        format!("prod/{name}").parse().unwrap()
    }

    const NOW: Timestamp = Timestamp::from_millis(1000);

    #[test]
    fn asking_twice_costs_one_pass() {
        let mut queue = Queue::default();
        queue.wake(key("a"));
        queue.wake(key("a"));
        assert_eq!(queue.take(NOW), Some(key("a")));
        assert_eq!(queue.take(NOW), None);
    }

    #[test]
    fn a_name_being_worked_on_waits_its_turn() {
        let mut queue = Queue::default();
        queue.wake(key("a"));
        queue.take(NOW);
        queue.wake(key("a"));
        assert_eq!(queue.take(NOW), None);
        queue.done(&key("a"));
        assert_eq!(queue.take(NOW), Some(key("a")));
    }

    #[test]
    fn a_clock_that_goes_back_puts_no_alarm_off() {
        let mut queue = Queue::default();
        let hour = Timestamp::from_millis(3_600_000);
        queue.take(hour);
        queue.wake_at(&key("a"), Some(hour.after(Duration::from_secs(60))));
        assert_eq!(queue.take(Timestamp::from_millis(3_599_500)), None);
        assert_eq!(queue.take(NOW), Some(key("a")));
    }

    #[test]
    fn the_newest_alarm_of_a_name_counts() {
        let mut queue = Queue::default();
        queue.wake_at(&key("a"), Some(Timestamp::from_millis(900)));
        queue.wake_at(&key("a"), Some(Timestamp::from_millis(2000)));
        assert_eq!(queue.take(NOW), None);
        assert_eq!(queue.next_alarm(), Some(Timestamp::from_millis(2000)));
        assert_eq!(queue.take(Timestamp::from_millis(2000)), Some(key("a")));
    }
}
