//! Who refused new tokens, so that a refusal that lasts does not cost a new token for each call.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// So many new tokens in a row are asked for because a place refuses what it is shown: one alone may come too late on a slow machine.
const ASKED_MAX: u32 = 3;

/// After that, one each minute.
const PAUSE: i64 = 60_000;

/// Told to whoever sends a call, beside the answer: it is refused with a new token, and was before.
#[derive(Debug, Default)]
pub(in super::super) struct Lasting(AtomicBool);

/// By scheme, host and port of whoever refuses; a place that lets us in has no entry.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<BTreeMap<String, Row>>);

#[derive(Debug, Default)]
struct Row {
    asked: u32,
    /// None is asked for before this moment, in milliseconds of the clock.
    until: Option<i64>,
}

impl Lasting {
    pub(super) fn say(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(in super::super) fn is_said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Refusals {
    fn book(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a new token is asked for because of `place`; it counts as asked for.
    pub(super) fn may_ask(&self, place: &str, now: i64) -> bool {
        let mut book = self.book();
        let row = book.entry(place.to_owned()).or_default();
        if row.is_paused(now) {
            return false;
        }
        row.asked = row.asked.saturating_add(1);
        row.until = (row.asked >= ASKED_MAX).then(|| now + PAUSE);
        true
    }

    pub(super) fn is_lasting(&self, place: &str, now: i64) -> bool {
        self.book().get(place).is_some_and(|row| row.is_paused(now))
    }

    /// The place let us in.
    pub(super) fn end(&self, place: &str) {
        self.book().remove(place);
    }
}

impl Row {
    fn is_paused(&self, now: i64) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}
