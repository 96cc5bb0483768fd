//! What we wrote and were not told yet: for a while a cloud may answer with what was so before.
//!
//! Whoever reads such a thing asks again, until it is told; or until so long after that somebody else's change is likelier. Where every
//! answer tells what was written, nothing is asked twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Asks until the answer has all that we wrote of it: `$mark` says what an answer tells of a part.
macro_rules! until_told {
    ($unseen:expr, $asked:expr, $mark:expr, $ask:expr) => {{
        let asked = $asked;
        let mut times = 0;
        loop {
            let pause = {
                let told = $ask;
                match $unseen.pause(&asked, times, |part| $mark(&told, part)) {
                    None => break told,
                    Some(pause) => pause,
                }
            };
            tokio::time::sleep(pause).await;
            times += 1;
        }
    }};
}
pub(super) use until_told;

/// Clouds are late by a second or two. Who changed it meanwhile keeps us waiting for this long, and once.
const LATEST: Duration = Duration::from_secs(3);

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What tells one state of a thing from another: a revision, a digest, or that it is there at all. None where it is not there.
pub(super) type Mark = Option<String>;

/// The mark of what is there, whatever it is.
pub(super) fn there(is_there: bool) -> Mark {
    is_there.then(String::new)
}

/// By what is asked for, and by its parts. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unseen(Arc<Mutex<BTreeMap<String, Parts>>>);

type Parts = BTreeMap<String, Awaited>;

#[derive(Debug)]
struct Awaited {
    written: Instant,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Is(Mark),
    /// Any other than these, which it had before.
    IsNot(BTreeSet<Mark>),
    /// This or a later one.
    Since(String),
}

impl Awaited {
    fn is_told_by(&self, mark: &Mark) -> bool {
        match &self.wanted {
            Wanted::Is(wanted) => mark == wanted,
            Wanted::IsNot(before) => !before.contains(mark),
            Wanted::Since(moment) => mark.as_ref().is_some_and(|told| told >= moment),
        }
    }

    fn is_over(&self) -> bool {
        self.written.elapsed() >= LATEST
    }
}

impl Unseen {
    /// A part is this from now on.
    pub(super) fn wrote(&self, asked: &str, part: &str, now: Mark) {
        self.await_(asked, part, Wanted::Is(now));
    }

    /// A part is no longer what it was.
    pub(super) fn replaced(&self, asked: &str, part: &str, before: Mark) {
        let mut book = self.book();
        let known = book.get_mut(asked).and_then(|parts| parts.remove(part));
        drop(book);
        let mut all = match known.map(|it| it.wanted) {
            Some(Wanted::IsNot(before)) => before,
            Some(Wanted::Is(_) | Wanted::Since(_)) | None => BTreeSet::new(),
        };
        all.insert(before);
        self.await_(asked, part, Wanted::IsNot(all));
    }

    /// A part was changed at a moment, and tells when; moments are compared as texts.
    pub(super) fn changed(&self, asked: &str, part: &str, moment: String) {
        self.await_(asked, part, Wanted::Since(moment));
    }

    /// All that begins so is gone, or nobody knows what it is.
    pub(super) fn forget(&self, start: &str) {
        self.book().retain(|asked, _| !asked.starts_with(start));
    }

    /// How long to wait until it is asked again, after so many times; none where the answer has all that was written. `mark` says what the
    /// answer tells of a part.
    pub(super) fn pause(
        &self,
        asked: &str,
        times: u32,
        mark: impl Fn(&str) -> Mark,
    ) -> Option<Duration> {
        let longer = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
        let pause = PAUSE_MIN.saturating_mul(longer).min(PAUSE_MAX);
        (!self.is_told(asked, mark)).then_some(pause)
    }

    fn await_(&self, asked: &str, part: &str, wanted: Wanted) {
        let mut book = self.book();
        book.retain(|_, parts| {
            parts.retain(|_, it| !it.is_over());
            !parts.is_empty()
        });
        let written = Instant::now();
        let parts = book.entry(asked.to_owned()).or_default();
        parts.insert(part.to_owned(), Awaited { written, wanted });
    }

    fn is_told(&self, asked: &str, mark: impl Fn(&str) -> Mark) -> bool {
        let mut book = self.book();
        let Some(parts) = book.get_mut(asked) else {
            return true;
        };
        parts.retain(|part, it| !it.is_told_by(&mark(part)) && !it.is_over());
        let is_told = parts.is_empty();
        if is_told {
            book.remove(asked);
        }
        is_told
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<String, Parts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks until it is told, and gives how often.
    async fn asks(unseen: &Unseen, answers: &[&str]) -> usize {
        let mut left = answers.iter();
        let mark = |told: &&&str, _: &str| Some((**told).to_owned());
        until_told!(unseen, "thing", mark, left.next().expect("no more answers"));
        answers.len() - left.len()
    }

    fn mark(text: &str) -> Mark {
        Some(text.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_written_is_asked_for_until_it_is_told() {
        let unseen = Unseen::default();
        unseen.wrote("thing", "", mark("new"));
        assert_eq!(asks(&unseen, &["old", "older", "new", "more"]).await, 3);
        assert_eq!(asks(&unseen, &["whatever", "more"]).await, 1);
        unseen.replaced("thing", "", mark("1"));
        unseen.replaced("thing", "", mark("2"));
        assert_eq!(asks(&unseen, &["1", "2", "somebody's", "more"]).await, 3);
        unseen.changed("thing", "", "5".to_owned());
        assert_eq!(asks(&unseen, &["3", "4", "6", "more"]).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let unseen = Unseen::default();
        unseen.wrote("thing", "", mark("new"));
        let began = Instant::now();
        let others = ["somebody's"; 40];
        assert!(asks(&unseen, &others).await > 3);
        assert!(began.elapsed() >= LATEST && began.elapsed() < LATEST * 2);
        assert_eq!(asks(&unseen, &["somebody's", "more"]).await, 1);
    }
}
