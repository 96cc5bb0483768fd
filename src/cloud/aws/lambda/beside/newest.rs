//! How the newest lines of a log are found where the cloud tells the oldest first: windows of time, from now backwards. Pure.

use std::time::Duration;

use crate::{name::Timestamp, observed::talk::LogLine};

/// The newest so much is looked through first: what people look for is seldom older.
const FIRST: Duration = Duration::from_secs(60);

/// What the cloud's clock may be before ours.
const AHEAD: Duration = Duration::from_secs(5);

/// Each window before is so many times as wide, where there was room in the last.
const WIDER: u32 = 4;

/// A window that holds too much is cut to this, and no further.
const NARROWEST: Duration = Duration::from_secs(1);

/// Pages of one window: one with more is made narrower, since its newest lines come last.
const PAGES: usize = 4;

/// Pages altogether: five a second are granted.
const PAGES_MAX: usize = 50;

/// A search for the newest lines since a moment.
#[derive(Debug)]
pub(in crate::cloud::aws::lambda) struct Newest {
    since: Timestamp,
    /// All from here on was looked through.
    until: Timestamp,
    width: Duration,
    is_narrowed: bool,
    wanted: usize,
    /// Of the window that is looked through now.
    window: Vec<LogLine>,
    window_pages: usize,
    pages: usize,
    /// Of the windows after it.
    lines: Vec<LogLine>,
}

/// What to do after a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cloud::aws::lambda) enum Step {
    /// The window's next page.
    Next,
    /// The first page of another window.
    Other,
    /// All that was wanted is there, or there is no more.
    Done,
    /// There are more than can be read: lines are missing from here back.
    Cut(Timestamp),
}

impl Newest {
    pub(in crate::cloud::aws::lambda) fn new(
        since: Timestamp,
        now: Timestamp,
        wanted: usize,
    ) -> Self {
        Self {
            since,
            until: now.after(AHEAD),
            width: FIRST,
            is_narrowed: false,
            wanted,
            window: Vec::new(),
            window_pages: 0,
            pages: 0,
            lines: Vec::new(),
        }
    }

    /// The first and the last millisecond to ask for.
    pub(in crate::cloud::aws::lambda) fn window(&self) -> (Timestamp, Timestamp) {
        let from = self.until.before(self.width).max(self.since);
        (from, self.until.before(Duration::from_millis(1)).max(from))
    }

    /// Takes a page of the window; `has_more` where another follows it.
    pub(in crate::cloud::aws::lambda) fn page(
        &mut self,
        lines: Vec<LogLine>,
        has_more: bool,
    ) -> Step {
        self.window.extend(lines);
        self.window_pages += 1;
        self.pages += 1;
        let is_over = self.pages >= PAGES_MAX;
        match has_more {
            true if self.window_pages < PAGES && !is_over => Step::Next,
            true if self.width > NARROWEST && !is_over => {
                self.width = (self.width / WIDER).max(NARROWEST);
                self.is_narrowed = true;
                self.window.clear();
                self.window_pages = 0;
                Step::Other
            }
            true if !is_over => Step::Next,
            true => Step::Cut(self.until),
            false => self.whole(is_over),
        }
    }

    /// The newest of those that were found, oldest first.
    pub(in crate::cloud::aws::lambda) fn lines(self) -> Vec<LogLine> {
        let (mut lines, wanted) = (self.lines, self.wanted);
        lines.sort();
        let beyond = lines.len().saturating_sub(wanted);
        lines.split_off(beyond)
    }

    /// All of the window is there.
    fn whole(&mut self, is_over: bool) -> Step {
        let (from, _) = self.window();
        self.lines.append(&mut self.window);
        self.until = from;
        self.width *= match (self.is_narrowed, self.window_pages) {
            (false, _) => WIDER,
            (true, 1) => 2,
            (true, _) => 1,
        };
        self.window_pages = 0;
        match () {
            () if from <= self.since || self.lines.len() >= self.wanted => Step::Done,
            () if is_over => Step::Cut(from),
            () => Step::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    /// Lines of one page.
    const PAGE: usize = 100;

    /// Searches lines at these milliseconds before now; tells what was found, how many pages it took, and whether all was.
    fn search(before: &[i64], back: Duration, wanted: usize) -> (Vec<i64>, usize, bool) {
        let now = Timestamp::from_millis(NOW);
        let mut log: Vec<i64> = before.iter().map(|it| NOW - it).collect();
        log.sort_unstable();
        let mut newest = Newest::new(now.before(back), now, wanted);
        let (mut skip, mut pages) = (0, 0);
        loop {
            let (from, until) = newest.window();
            let fits = log
                .iter()
                .filter(|at| (from.millis()..=until.millis()).contains(at));
            let mut rest = fits.skip(skip);
            let page = rest.by_ref().take(PAGE).map(|at| LogLine {
                at: Timestamp::from_millis(*at),
                text: String::new(),
            });
            let page = page.collect();
            pages += 1;
            let step = newest.page(page, rest.next().is_some());
            match step {
                Step::Next => skip += PAGE,
                Step::Other => skip = 0,
                Step::Done | Step::Cut(_) => {
                    let found = newest.lines();
                    let found = found.iter().map(|line| NOW - line.at.millis());
                    return (found.collect(), pages, step == Step::Done);
                }
            }
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn of_a_quiet_function_all_is_found_in_a_few_pages() {
        let (found, pages, is_all) = search(&[5, 70_000, 3_000_000, 3_700_000], HOUR, 200);
        assert_eq!(found, [3_000_000, 70_000, 5]);
        assert!(is_all && pages <= 4, "{pages}");
        let (found, _, is_all) = search(&[], HOUR * 24 * 30, 200);
        assert!(found.is_empty() && is_all);
    }

    #[test]
    fn of_a_busy_function_the_newest_are_found_without_the_old_ones() {
        // A line each 10 ms for an hour: 3,600 pages.
        let log: Vec<i64> = (0..360_000).map(|it| it * 10).collect();
        let (found, pages, is_all) = search(&log, HOUR, 200);
        let newest: Vec<i64> = (0..200).rev().map(|it| it * 10).collect();
        assert_eq!(found, newest);
        assert!(is_all && pages <= 20, "{pages}");
    }

    #[test]
    fn a_line_of_every_millisecond_is_told_as_too_much_and_not_in_silence() {
        // Thousand a second, of which ten thousand are wanted.
        let log: Vec<i64> = (0..60_000).collect();
        let (found, pages, is_all) = search(&log, HOUR, 10_000);
        assert!(!is_all);
        assert_eq!(pages, PAGES_MAX);
        assert_eq!(found.last(), Some(&0));
        let has_no_holes = found.windows(2).all(|two| two[0] == two[1] + 1);
        assert!(has_no_holes && found.len() > 2_000, "{}", found.len());
    }
}
