//! Users: they keep asking both blues while blue moves, and count what they get.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use super::ask;
use crate::name::{CloudName, ReleaseDigest};

/// Between an answer and the next question: enough to miss no gap, and gentle to a small machine.
const PAUSE: Duration = Duration::from_millis(10);

/// What users got since they were asked last.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) asked: u64,
    pub(super) failed: u64,
    /// The first failure, in words.
    pub(super) failure: Option<String>,
    /// Good answers by cloud and release.
    answers: BTreeMap<(CloudName, String), u64>,
}

impl Tally {
    /// Answers of one release on one cloud.
    pub(super) fn answers(&self, cloud: CloudName, release: ReleaseDigest) -> u64 {
        let key = (cloud, release.to_string());
        self.answers.get(&key).copied().unwrap_or_default()
    }

    /// Answers of all other releases, on both clouds.
    pub(super) fn answers_of_others(&self, release: ReleaseDigest) -> u64 {
        let release = release.to_string();
        let others = self.answers.iter().filter(|((_, of), _)| *of != release);
        others.map(|(_, count)| count).sum()
    }
}

/// Users at work. Dropping it sends them home.
pub(super) struct Traffic {
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    users: TaskTracker,
}

impl Traffic {
    /// One user for each address.
    pub(super) fn start(http: &reqwest::Client, addresses: &BTreeMap<CloudName, Url>) -> Self {
        let traffic = Self {
            tally: Arc::default(),
            stop: CancellationToken::new(),
            users: TaskTracker::new(),
        };
        for (cloud, url) in addresses {
            let user = User {
                cloud: *cloud,
                url: url.clone(),
                http: http.clone(),
                tally: traffic.tally.clone(),
            };
            let stop = traffic.stop.clone();
            traffic.users.spawn(user.go_on(stop));
        }
        traffic.users.close();
        traffic
    }

    /// What users got since the last time, and from now on anew.
    pub(super) fn take(&self) -> Tally {
        std::mem::take(&mut *lock(&self.tally))
    }

    /// Lets questions in hand be answered.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.users.wait().await;
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct User {
    cloud: CloudName,
    url: Url,
    http: reqwest::Client,
    tally: Arc<Mutex<Tally>>,
}

impl User {
    async fn go_on(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let answer = ask::send(self.http.get(self.url.clone())).await;
            self.count(answer);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn count(&self, answer: Result<ask::Answer, String>) {
        let mut tally = lock(&self.tally);
        tally.asked += 1;
        let failure = match answer {
            Ok(answer) if answer.is_good() => {
                *tally
                    .answers
                    .entry((self.cloud, answer.release))
                    .or_default() += 1;
                return;
            }
            Ok(answer) => answer.short(),
            Err(why) => why,
        };
        tracing::warn!(cloud = %self.cloud, %failure, "a request to blue failed");
        tally.failed += 1;
        tally
            .failure
            .get_or_insert(format!("{}: {failure}", self.cloud));
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
