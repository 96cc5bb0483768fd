//! Long-running operations: what runs on what, and how it ended.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::local::arm::{
    cloud::{Cloud, State},
    model::Key,
    wire::{
        answer::{Answer, ArmError, error_body},
        call::Call,
    },
};
use crate::name::Timestamp;
use http::StatusCode;
use serde_json::json;
use tokio::time::sleep;

/// Ended operations that are remembered for those who still poll.
const REMEMBERED_MAX: usize = 1000;

/// Seconds between polls, for clients that read no finer header. Azure says 15; on one machine waiting is wasted.
const POLL_SECONDS: &str = "1";

/// Milliseconds between polls, in the header that Azure's own clients know, too: a swap here takes a fraction of a second.
const POLL_MILLIS: &str = "100";

/// How long it is said of what is done at once that it goes on: who looks when told to, looks twice.
const GOES_ON: Duration = Duration::from_millis(150);

/// How an operation stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    Running,
    Succeeded,
    Failed(ArmError),
}

/// One operation that outlives its request.
#[derive(Clone)]
pub(super) struct Operation {
    pub id: String,
    /// What it is about.
    pub on: Key,
    /// In words, for those whom it keeps waiting.
    pub what: String,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    pub progress: Progress,
}

/// All operations; at most one at a time on a site.
#[derive(Default)]
pub(super) struct Operations {
    all: BTreeMap<String, Operation>,
    order: VecDeque<String>,
    busy: BTreeMap<Key, String>,
}

impl Operations {
    /// Begins an operation on a site that is idle, and hands back its id.
    pub(super) fn begin(&mut self, site: &Key, what: String, now: Timestamp) -> String {
        let id = self.add(site, what, now);
        self.busy.insert(site.clone(), id.clone());
        id
    }

    /// The same of what keeps nobody waiting.
    fn add(&mut self, site: &Key, what: String, now: Timestamp) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let operation = Operation {
            id: id.clone(),
            on: site.clone(),
            what,
            started: now,
            ended: None,
            progress: Progress::Running,
        };
        self.all.insert(id.clone(), operation);
        id
    }

    /// Ends an operation; its site is idle again.
    pub(super) fn end(&mut self, id: &str, progress: Progress, now: Timestamp) {
        let Some(operation) = self.all.get_mut(id) else {
            return;
        };
        operation.progress = progress;
        operation.ended = Some(now);
        self.busy.retain(|_, running| running != id);
        self.order.push_back(id.to_owned());
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.all.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Operation> {
        self.all.get(id)
    }

    /// The one that a caller asks about.
    pub(super) fn asked(&self, id: &str, call: &Call) -> Result<&Operation, ArmError> {
        self.get(id).ok_or_else(|| call.no_operation())
    }

    /// What runs on a site, in words.
    pub(super) fn busy(&self, site: &Key) -> Option<&str> {
        let id = self.busy.get(site)?;
        self.all.get(id).map(|operation| operation.what.as_str())
    }

    /// The id of what runs on a site.
    pub(super) fn running(&self, site: &Key) -> Option<&str> {
        self.busy.get(site).map(String::as_str)
    }
}

/// Begins what is done already, and yet is said to go on for a while, as it is there; hands back its id.
pub(super) fn begin_done(cloud: &Arc<Cloud>, state: &mut State, on: &Key, what: String) -> String {
    let id = state.operations.add(on, what, cloud.clock.now());
    let (ending, ended) = (Arc::clone(cloud), id.clone());
    cloud.tasks.spawn(async move {
        ending.stop.run_until_cancelled(sleep(GOES_ON)).await;
        let now = ending.clock.now();
        let mut state = ending.state();
        state.operations.end(&ended, Progress::Succeeded, now);
    });
    id
}

/// Where an operation can be asked about: each provider gives the links that it gives there.
pub(super) struct Links {
    /// Answers 202 until it is done, then as the operation itself.
    pub location: String,
    /// Always answers 200 with a status in words.
    pub status: Option<String>,
}

impl Links {
    /// The first answer of a long-running operation.
    pub(super) fn accepted(self) -> Answer {
        self.on(Answer::empty(StatusCode::ACCEPTED))
    }

    /// Says of an answer that what it tells of goes on.
    pub(super) fn on(self, answer: Answer) -> Answer {
        let Self { location, status } = self;
        let answer = ask_again(answer.header("location", location));
        match status {
            Some(status) => answer.header("azure-asyncoperation", status),
            None => answer,
        }
    }
}

/// Says when to ask again.
fn ask_again(answer: Answer) -> Answer {
    answer
        .header("retry-after", POLL_SECONDS)
        .header("x-ms-retry-after-ms", POLL_MILLIS)
}

impl Operation {
    /// The answer at `location`, which is `done` in the end.
    pub(super) fn result(
        &self,
        location: String,
        done: impl FnOnce() -> Result<Answer, ArmError>,
    ) -> Result<Answer, ArmError> {
        match &self.progress {
            Progress::Running => Ok(Links {
                location,
                status: None,
            }
            .accepted()),
            Progress::Succeeded => done(),
            Progress::Failed(error) => Err(error.clone()),
        }
    }

    /// The answer of the status page.
    pub(super) fn status(&self, path: &str) -> Answer {
        let status = match &self.progress {
            Progress::Running => "InProgress",
            Progress::Succeeded => "Succeeded",
            Progress::Failed(_) => "Failed",
        };
        let mut body = json!({
            "id": path,
            "name": self.id,
            "status": status,
            "startTime": self.started.to_string(),
        });
        if let Some(ended) = self.ended {
            body["endTime"] = json!(ended.to_string());
        }
        if let Progress::Failed(error) = &self.progress {
            body["error"] = error_body(error.code(), &error.to_string())["error"].take();
        }
        let answer = Answer::ok(body);
        match self.progress {
            Progress::Running => ask_again(answer),
            Progress::Succeeded | Progress::Failed(_) => answer,
        }
    }
}
