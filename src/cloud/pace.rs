//! How fast a cloud may be called: what it publishes, less what its answers have taught. Reads no clock: every moment is told.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

/// Shares are counted in thousandths of what the cloud publishes.
const WHOLE: u32 = 1000;

/// Nobody is slowed below a twentieth: a call every few seconds still finds out that there is room again.
const LEAST: u32 = WHOLE / 20;

/// What is left of the rate where the cloud refused a call.
const LEFT_TENTHS: u32 = 7;

/// What the rate gains in a second of good answers: from half of what is published to all of it in less than a minute, and less than ten
/// refusals a minute where somebody else goes on using the other half.
const GAIN: u32 = WHOLE / 100;
const GAINS_EACH: Duration = Duration::from_secs(1);

/// Where a refusal does not say how long to wait; doubled by each that follows without a good answer in between.
const PAUSE_UNSAID: Duration = Duration::from_secs(1);

/// One resource may be closed for longer than everybody else should wait: who asked for it waits as told.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A token bucket whose tokens are given out in advance: whoever comes is told its moment, and asks again when it has come, since the
/// moments of those who wait move with the rate.
#[derive(Debug)]
pub(super) struct Pace {
    /// From one turn to the next at the published rate.
    interval: Duration,
    /// As far back as turns that nobody took are kept for a burst.
    slack: Duration,
    /// Of the published rate.
    share: u32,
    /// The moment that the next to come gets, if it is not long ago.
    next: Option<Instant>,
    given: u64,
    /// Until then every answer is of a call that was under way when the cloud refused one.
    paused_until: Option<Instant>,
    gained_at: Option<Instant>,
    /// Refusals since a good answer.
    refused: u32,
}

/// A place in the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

/// What an answer changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Learned {
    Nothing,
    /// Those who wait may go sooner than they were told.
    Faster,
    /// To this share of what is published, in percent.
    Slower(u32),
}

impl Pace {
    /// `at_once` is how many may go together after a time in which nobody came.
    pub(super) fn new(per_second: NonZeroU32, at_once: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self {
            interval,
            slack: interval * (at_once.get() - 1),
            share: WHOLE,
            next: None,
            given: 0,
            paused_until: None,
            gained_at: None,
            refused: 0,
        }
    }

    pub(super) fn slack(&self) -> Duration {
        self.slack
    }

    /// A place in the line for who comes now.
    pub(super) fn take(&mut self, now: Instant) -> Ticket {
        let earliest = now.checked_sub(self.slack).unwrap_or(now);
        let turn = self.next.map_or(earliest, |next| next.max(earliest));
        self.next = Some(turn + self.interval());
        self.given += 1;
        Ticket(self.given)
    }

    /// When it is a ticket's turn, as it looks now. One whose turn has come keeps it, unless the cloud refused a call meanwhile.
    pub(super) fn turn_of(&self, Ticket(number): Ticket, now: Instant) -> Instant {
        let behind = u32::try_from(self.given + 1 - number).unwrap_or(u32::MAX);
        let turn = self.next.and_then(|next| {
            let ahead = self.interval().checked_mul(behind)?;
            next.checked_sub(ahead)
        });
        turn.unwrap_or(now)
    }

    /// The cloud took a call.
    pub(super) fn good(&mut self, now: Instant) -> Learned {
        if self.is_paused(now) {
            return Learned::Nothing;
        }
        self.refused = 0;
        let is_soon = self.gained_at.is_some_and(|at| now < at + GAINS_EACH);
        if self.share == WHOLE || is_soon {
            return Learned::Nothing;
        }
        self.gained_at = Some(now);
        self.go_at((self.share + GAIN).min(WHOLE), now, now);
        Learned::Faster
    }

    /// The cloud refused a call as one too many; `told` is how long it wants to be left alone. All refusals of one burst count once.
    pub(super) fn refused(&mut self, told: Option<Duration>, now: Instant) -> Learned {
        let unsaid = PAUSE_UNSAID * 2u32.saturating_pow(self.refused.min(6));
        let pause = told.unwrap_or(unsaid).min(PAUSE_MAX);
        let was_paused = self.is_paused(now);
        let until = self
            .paused_until
            .map_or(now + pause, |it| it.max(now + pause));
        let share = match was_paused {
            true => self.share,
            false => (self.share * LEFT_TENTHS / 10).max(LEAST),
        };
        self.paused_until = Some(until);
        self.gained_at = Some(until);
        self.go_at(share, now, until);
        if was_paused {
            return Learned::Nothing;
        }
        self.refused += 1;
        Learned::Slower(share * 100 / WHOLE)
    }

    /// The cloud said how many calls are left in its bucket: there are no more in ours.
    pub(super) fn left(&mut self, calls: u32, now: Instant) {
        let earliest = now.checked_sub(self.slack).unwrap_or(now);
        let first = self.interval().checked_mul(calls);
        let first = first.and_then(|ago| (now + self.interval()).checked_sub(ago));
        let Some(first) = first.filter(|first| *first > earliest) else {
            return;
        };
        let line = first + self.interval() * self.waiting(now);
        self.next = Some(self.next.map_or(line, |next| next.max(line)));
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// From one turn to the next.
    fn interval(&self) -> Duration {
        let interval = self.interval * WHOLE / self.share;
        interval.max(Duration::from_nanos(1))
    }

    /// How many were told a moment that has not come.
    fn waiting(&self, now: Instant) -> u32 {
        let ahead = self
            .next
            .map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        let intervals = ahead.as_nanos().div_ceil(self.interval().as_nanos());
        let all = intervals.saturating_sub(1).min(u128::from(self.given));
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// From now on at another rate, and nobody goes before a moment. Those who wait keep their order.
    fn go_at(&mut self, share: u32, now: Instant, not_before: Instant) {
        let waiting = self.waiting(now);
        let was = self.interval() * waiting;
        let first = self.next.and_then(|next| next.checked_sub(was));
        self.share = share;
        self.next = match first.filter(|first| *first > not_before) {
            Some(first) => Some(first + self.interval() * waiting),
            None if not_before > now => Some(not_before + self.interval() * waiting),
            // Nobody waits, and what was kept for a burst is kept.
            None => self.next,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A bucket of the cloud's, from which others take, too.
    struct TheirBucket {
        tokens: f64,
        per_second: f64,
        at: Instant,
    }

    impl TheirBucket {
        fn takes(&mut self, now: Instant) -> bool {
            let gained = (now - self.at).as_secs_f64() * self.per_second;
            self.tokens = (self.tokens + gained).min(self.per_second);
            self.at = now;
            let takes = self.tokens >= 1.0;
            self.tokens -= f64::from(u8::from(takes));
            takes
        }
    }

    /// So many calls were taken and refused, of callers that always have something to ask.
    fn play(pace: &mut Pace, theirs: &mut TheirBucket, lasts: Duration) -> (u32, u32) {
        let start = theirs.at;
        let (mut now, mut taken, mut refused) = (start, 0, 0);
        loop {
            let ticket = pace.take(now);
            now = now.max(pace.turn_of(ticket, now));
            if now - start > lasts {
                return (taken, refused);
            }
            if theirs.takes(now) {
                taken += 1;
                pace.good(now);
            } else {
                refused += 1;
                pace.refused(None, now);
            }
        }
    }

    #[test]
    fn who_is_alone_uses_what_is_published_and_is_never_refused() {
        let mut pace = Pace::new(count(15), count(3));
        let mut theirs = TheirBucket {
            tokens: 15.0,
            per_second: 15.0,
            at: Instant::now(),
        };
        let (taken, refused) = play(&mut pace, &mut theirs, seconds(600));
        assert_eq!(refused, 0);
        assert!(taken >= 9_000, "{taken}");
    }

    #[test]
    fn who_shares_with_others_slows_down_and_is_refused_seldom() {
        let mut pace = Pace::new(count(15), count(3));
        let mut theirs = TheirBucket {
            tokens: 0.0,
            per_second: 7.5,
            at: Instant::now(),
        };
        let (taken, refused) = play(&mut pace, &mut theirs, seconds(600));
        // Of 4500 there were, and of 9000 that we would have asked.
        assert!(taken > 3_400, "{taken}");
        assert!(refused < 60, "{refused}");
    }

    #[test]
    fn the_rate_comes_back_when_the_others_have_gone() {
        let mut pace = Pace::new(count(15), count(3));
        let start = Instant::now();
        let mut theirs = TheirBucket {
            tokens: 0.0,
            per_second: 7.5,
            at: start,
        };
        play(&mut pace, &mut theirs, seconds(60));
        assert!(pace.share < WHOLE);
        theirs.per_second = 15.0;
        play(&mut pace, &mut theirs, seconds(120));
        assert_eq!(pace.share, WHOLE);
        let (taken, refused) = play(&mut pace, &mut theirs, seconds(100));
        assert_eq!(refused, 0);
        assert!(taken >= 1_495, "{taken}");
    }

    #[test]
    fn a_refusal_makes_all_who_wait_wait_as_long_as_the_cloud_says_and_in_their_order() {
        let mut pace = Pace::new(count(10), count(1));
        let now = Instant::now();
        let line: Vec<_> = (0..5).map(|_| pace.take(now)).collect();
        let turns = |pace: &Pace| -> Vec<_> {
            let turns = line.iter().map(|it| pace.turn_of(*it, now) - now);
            turns.map(|it| it.as_millis()).collect()
        };
        assert_eq!(turns(&pace), [0, 100, 200, 300, 400]);
        let learned = pace.refused(Some(seconds(3)), now);
        assert_eq!(learned, Learned::Slower(70));
        let after = turns(&pace);
        assert_eq!(after.get(1..), Some([3000, 3142, 3285, 3428].as_slice()));
        // The others of the same burst change nothing more.
        let learned = pace.refused(Some(seconds(3)), now + Duration::from_millis(1));
        assert_eq!(learned, Learned::Nothing);
        assert_eq!(pace.share, 700);
    }

    #[test]
    fn pauses_grow_while_nothing_else_is_heard_and_the_rate_has_a_floor() {
        let mut pace = Pace::new(count(10), count(1));
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            pace.refused(None, now);
            let ticket = pace.take(now);
            let turn = pace.turn_of(ticket, now);
            pauses.push((turn - now).as_secs());
            now = turn;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]);
        assert_eq!(pace.share, LEAST);
        pace.good(now);
        pace.refused(None, now);
        assert_eq!(pace.paused_until, Some(now + seconds(1)));
    }

    #[test]
    fn what_the_cloud_says_is_left_is_what_is_left_here() {
        let now = Instant::now();
        let at_once = |left: u32| {
            let mut pace = Pace::new(count(25), count(225));
            pace.left(left, now);
            let tickets: Vec<_> = (0..300).map(|_| pace.take(now)).collect();
            let at_once = tickets.iter().filter(|it| pace.turn_of(**it, now) <= now);
            at_once.count()
        };
        for (left, goes) in [(0, 0), (1, 1), (100, 100), (224, 224), (11_999, 225)] {
            assert_eq!(at_once(left), goes, "{left}");
        }
    }

    #[test]
    fn an_old_word_about_what_is_left_gives_nothing_back() {
        let mut pace = Pace::new(count(10), count(10));
        let now = Instant::now();
        let line: Vec<_> = (0..12).map(|_| pace.take(now)).collect();
        pace.left(8, now);
        let last = line.last().expect("twelve");
        assert_eq!((pace.turn_of(*last, now) - now).as_millis(), 200);
        pace.left(0, now);
        assert_eq!((pace.turn_of(*last, now) - now).as_millis(), 200);
    }
}
