//! Turns at calling a cloud: so many a second, one after the other.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::line::in_line;

/// Whoever is woken later than this after its moment has overslept. A fifth of what any cloud counts together is far less.
const OVERSLEPT: Duration = Duration::from_millis(250);

/// A token bucket whose tokens are given out in advance: whoever comes is told its moment and sleeps until then. So the first to come is
/// the first to go, and a thousand who wait cost no more than one.
#[derive(Debug)]
pub(super) struct Turns {
    /// From one turn to the next.
    interval: Duration,
    /// As far back as turns that nobody took are kept for a burst.
    slack: Duration,
    next: Mutex<Option<Instant>>,
}

impl Turns {
    /// `at_once` is how many may go together after a time in which nobody came.
    pub(super) fn new(per_second: NonZeroU32, at_once: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self {
            interval,
            slack: interval * (at_once.get() - 1),
            next: Mutex::default(),
        }
    }

    /// Waits until there is room for one more call.
    ///
    /// Whoever overslept, since the machine stood still, waits anew: else all who did would go together, which is more than was granted.
    pub(super) async fn turn(&self) {
        loop {
            let turn = self.take();
            in_line(sleep_until(turn)).await;
            if turn.elapsed() <= self.slack.max(OVERSLEPT) {
                return;
            }
        }
    }

    /// Takes a turn without waiting for it: for a call that is made whatever we say. Those who come later wait for it.
    pub(super) fn take(&self) -> Instant {
        let now = Instant::now();
        let earliest = now.checked_sub(self.slack).unwrap_or(now);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(earliest, |next| next.max(earliest));
        *next = Some(turn + self.interval);
        turn
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
        let turns = Turns::new(count(15), count(3));
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
        let turns = Turns::new(count(10), count(1));
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
        let turns = Turns::new(count(10), count(1));
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
}
