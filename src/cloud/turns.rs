//! Turns at calling a cloud: so many a second, one after the other, and fewer where the cloud says so.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    select,
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    line::in_line,
    pace::{Learned, Pace, Ticket},
};

/// Whoever is woken later than this after its moment has overslept. A fifth of what any cloud counts together is far less.
const OVERSLEPT: Duration = Duration::from_millis(250);

/// The line before one bucket of a cloud's. The first to come is the first to go, and a thousand who wait cost no more than one.
#[derive(Debug)]
pub(super) struct Turns {
    /// For people: whose bucket.
    name: String,
    pace: Mutex<Pace>,
    /// Those who wait may go sooner than they were told.
    sooner: Notify,
}

/// How a cloud answered one call, as far as its bucket is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    Taken,
    /// One too many; with how long to wait, where that is said.
    TooMany(Option<Duration>),
}

impl Turns {
    /// `at_once` is how many may go together after a time in which nobody came.
    pub(super) fn new(name: &str, per_second: NonZeroU32, at_once: NonZeroU32) -> Self {
        Self {
            name: name.to_owned(),
            pace: Mutex::new(Pace::new(per_second, at_once)),
            sooner: Notify::new(),
        }
    }

    /// Waits until there is room for one more call.
    ///
    /// Whoever overslept, since the machine stood still, waits anew: else all who did would go together, which is more than was granted.
    pub(super) async fn turn(&self) {
        let late = self.pace().slack().max(OVERSLEPT);
        loop {
            let ticket = self.pace().take(Instant::now());
            let turn = in_line(self.wait_for(ticket)).await;
            if turn.elapsed() <= late {
                return;
            }
        }
    }

    /// Takes a turn without waiting for it: for a call that is made whatever we say. Those who come later wait for it.
    pub(super) fn take(&self) {
        self.pace().take(Instant::now());
    }

    /// Learns from an answer.
    pub(super) fn heard(&self, heard: Heard) {
        let now = Instant::now();
        let learned = match heard {
            Heard::Taken => self.pace().good(now),
            Heard::TooMany(told) => self.pace().refused(told, now),
        };
        match learned {
            Learned::Nothing => {}
            Learned::Faster => self.sooner.notify_waiters(),
            Learned::Slower(percent) => tracing::warn!(
                bucket = self.name,
                percent,
                "the cloud asked to slow down: others may use the same quota; so much of it is used for now"
            ),
        }
    }

    /// Learns how many calls the cloud says are left.
    pub(super) fn left(&self, calls: u32) {
        self.pace().left(calls, Instant::now());
    }

    /// Returns when the ticket's turn was: now, or before.
    async fn wait_for(&self, ticket: Ticket) -> Instant {
        loop {
            // Before the look, so that nothing is missed in between.
            let sooner = self.sooner.notified();
            let now = Instant::now();
            let turn = self.pace().turn_of(ticket, now);
            if turn <= now {
                return turn;
            }
            select! {
                () = sleep_until(turn) => {}
                () = sooner => {}
            }
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream::FuturesUnordered};

    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_was_granted_and_the_first_to_come_goes_first() {
        let turns = Turns::new("test", count(15), count(3));
        let start = Instant::now();
        let callers = (0..60).map(async |caller| {
            turns.turn().await;
            (caller, start.elapsed())
        });
        let gone: Vec<_> = callers.collect::<FuturesUnordered<_>>().collect().await;
        let order: Vec<_> = gone.iter().map(|(caller, _)| *caller).collect();
        assert_eq!(order, (0..60).collect::<Vec<_>>());
        let at_once = gone.iter().filter(|(_, at)| at.is_zero()).count();
        assert_eq!(at_once, 3);
        let last = gone.last().expect("sixty").1;
        // 57 turns after the three.
        assert!(last.abs_diff(Duration::from_millis(3_800)) < Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_without_waiting_is_waited_for() {
        let turns = Turns::new("test", count(10), count(1));
        turns.turn().await;
        for _ in 0..5 {
            turns.take();
        }
        let start = Instant::now();
        turns.turn().await;
        assert!(start.elapsed().abs_diff(Duration::from_millis(600)) < Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn who_overslept_does_not_go_with_all_others() {
        let turns = Turns::new("test", count(10), count(1));
        let turns = std::sync::Arc::new(turns);
        let gone = std::sync::Arc::new(Mutex::new(Vec::new()));
        for _ in 0..20 {
            let (turns, gone) = (turns.clone(), gone.clone());
            tokio::spawn(async move {
                turns.turn().await;
                gone.lock().expect("no panic").push(Instant::now());
            });
        }
        tokio::task::yield_now().await;
        // Nobody is woken meanwhile.
        tokio::time::advance(Duration::from_millis(1_500)).await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let gone = gone.lock().expect("no panic").clone();
        assert_eq!(gone.len(), 20);
        let together = |at: &Instant| gone.iter().filter(|it| *it == at).count();
        assert!(
            gone.iter().map(together).max().expect("some") <= 3,
            "{gone:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_moves_those_who_wait_and_good_answers_bring_them_forward_again() {
        let turns = Turns::new("test", count(10), count(1));
        let start = Instant::now();
        turns.turn().await;
        let waits = async {
            turns.turn().await;
            start.elapsed().as_millis()
        };
        let refused = async {
            turns.heard(Heard::TooMany(Some(Duration::from_secs(5))));
        };
        let (went, ()) = tokio::join!(waits, refused);
        assert_eq!(went, 5_000);
        // 30 s of good answers, while a hundred wait at the rate of before.
        let line = (0..100).map(async |_| turns.turn().await);
        let line = line.collect::<FuturesUnordered<_>>().collect::<Vec<_>>();
        let answers = async {
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                turns.heard(Heard::Taken);
            }
        };
        let start = Instant::now();
        let timed = async {
            line.await;
            start.elapsed().as_millis()
        };
        let (took, ()) = tokio::join!(timed, answers);
        // 14.3 s at seven tenths; 13.1 s where the rate grows.
        assert!((12_000..13_800).contains(&took), "{took}");
    }
}
