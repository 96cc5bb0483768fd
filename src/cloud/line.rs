//! How long a cloud may take to answer, without the time that we stand in our own lines.
//!
//! After a start every service is looked at together, and a cloud grants so many calls a second: the last in line is asked after minutes.
//! That is no silence of the cloud.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, error::Elapsed, timeout_at};

tokio::task_local! {
    /// Of the work that is timed. Whoever makes others stand in line knows nothing of who times them, so no call hands it on.
    static TIMED: Arc<Line>;
}

/// What some work stood in line, all of it together.
#[derive(Debug, Default)]
struct Line(Mutex<Stood>);

#[derive(Debug, Default)]
struct Stood {
    /// Parts of the work that stand in line now, and since when there is one.
    now: usize,
    since: Option<Instant>,
    before: Duration,
}

impl Line {
    fn stood(&self) -> MutexGuard<'_, Stood> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn total(&self) -> Duration {
        let stood = self.stood();
        stood.before + stood.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// One part of the work stands in line for as long as this lives.
struct Standing(Arc<Line>);

impl Standing {
    fn begin(line: Arc<Line>) -> Self {
        let mut stood = line.stood();
        stood.now += 1;
        stood.since.get_or_insert_with(Instant::now);
        drop(stood);
        Self(line)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut stood = self.0.stood();
        stood.now -= 1;
        if stood.now == 0 {
            let since = stood.since.take();
            stood.before += since.map_or(Duration::ZERO, |since| since.elapsed());
        }
    }
}

/// Waits for what others of ours hold; whoever times the caller does not count it.
pub(super) async fn in_line<T>(wait: impl Future<Output = T>) -> T {
    let _standing = TIMED.try_with(Arc::clone).ok().map(Standing::begin);
    wait.await
}

/// Waits for work that asks a cloud, but no longer than `limit` beside the time in which any part of it stood in line.
///
/// # Errors
///
/// The cloud took longer.
///
/// # Assumptions
///
/// The work spawns no task that stands in line for it.
pub async fn answered_within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let began = Instant::now();
    let line = Arc::new(Line::default());
    let mut work = pin!(TIMED.scope(Arc::clone(&line), work));
    loop {
        let done = timeout_at(began + limit + line.total(), work.as_mut()).await;
        // Else it stood in line meanwhile.
        if done.is_ok() || began.elapsed() >= limit + line.total() {
            return done;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn stand(seconds: u64) {
        in_line(sleep(Duration::from_secs(seconds))).await;
    }

    async fn ask(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn standing_in_line_does_not_count() {
        let work = async {
            stand(600).await;
            ask(30).await;
            stand(600).await;
            ask(29).await;
        };
        answered_within(LIMIT, work).await.expect("59 s of answers");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_cloud_is_given_up_when_its_time_is_over() {
        let start = Instant::now();
        let work = async {
            stand(600).await;
            std::future::pending::<()>().await;
        };
        answered_within(LIMIT, work).await.expect_err("silence");
        let took = start.elapsed().as_secs();
        assert!((660..662).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn lines_of_parts_that_go_together_count_once() {
        let start = Instant::now();
        let work = async {
            join(stand(100), stand(150)).await;
            // One that gave up stands no longer.
            let gave_up = tokio::time::timeout(Duration::from_secs(50), stand(1_000)).await;
            gave_up.expect_err("it gave up");
            std::future::pending::<()>().await;
        };
        answered_within(LIMIT, work).await.expect_err("silence");
        let took = start.elapsed().as_secs();
        assert!((260..262).contains(&took), "{took}");
    }
}
