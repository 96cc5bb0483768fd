//! Rows as they change, for the dashboard: many changes of one service in a short while are told once.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use futures_util::{Stream, stream};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};
use utoipa::IntoParams;

use super::{
    events::{last_event_id, sse},
    fleet::counted,
};
use crate::{
    api::{Site, extract::Params, problem::ProblemDocument},
    status::{
        row::{ServiceRow, Summary},
        source::SourceReport,
    },
};

/// Changes within this time are told together.
const COALESCE: Duration = Duration::from_millis(100);

/// The numbers are counted at most this often.
const SUMMARY_EVERY: Duration = Duration::from_secs(1);

/// Rows of one message. A reader that missed more reads its page again, which is cheaper for both.
const ROWS_MAX: usize = 1000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct WatchQuery {
    /// `metadata.watch` of a list. Without it the stream begins now.
    since: Option<String>,
}

#[utoipa::path(
    get,
    path = "/api/v1/watch",
    summary = "Changes as they happen, as server-sent events.",
    description = "`rows`: an array of rows that changed. `summary`: the numbers of /api/v1/summary. `sources`: the repositories. `reset`: the reader is too far behind, or comes from another run of the daemon, and should read its list again. `last-event-id` resumes.",
    tag = "events",
    params(WatchQuery, ("last-event-id" = Option<String>, Header)),
    responses(
        (status = 200, body = Vec<ServiceRow>, content_type = "text/event-stream"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn watch(
    State(site): State<Site>,
    headers: HeaderMap,
    Params(query): Params<WatchQuery>,
) -> Response {
    let since = last_event_id(&headers).map(str::to_owned).or(query.since);
    let watcher = Watcher::new(&site, since.as_deref());
    sse(&site, watcher.stream())
}

/// One reader of changes.
struct Watcher {
    site: Site,
    changes: watch::Receiver<u64>,
    sources: watch::Receiver<Arc<Vec<SourceReport>>>,
    /// The version up to which rows were told.
    since: u64,
    count: usize,
    summary: Option<Summary>,
    summary_due: Instant,
    backlog: VecDeque<Event>,
}

impl Watcher {
    fn new(site: &Site, since: Option<&str>) -> Self {
        let mut changes = site.api.handle.changes();
        let sources = site.api.sources.clone();
        let current = *changes.borrow();
        let mut backlog = VecDeque::new();
        let since = match since.map(|since| version_in(since, &site.run)) {
            Some(Some(version)) if version <= current => version,
            Some(_) => {
                backlog.push_back(event("reset", &site.place(current), &()));
                current
            }
            None => current,
        };
        changes.mark_changed();
        let mut watcher = Self {
            changes,
            sources,
            since,
            count: site.api.handle.count(),
            summary: None,
            summary_due: Instant::now(),
            backlog,
            site: site.clone(),
        };
        watcher.tell_sources();
        watcher.tell_summary();
        watcher
    }

    fn stream(self) -> impl Stream<Item = Event> + Send + 'static {
        stream::unfold(self, |mut watcher| async move {
            let event = watcher.next().await?;
            Some((event, watcher))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.backlog.pop_front() {
                return Some(event);
            }
            let summary_due = self.summary_due;
            let is_summary_old = self.summary.is_none();
            tokio::select! {
                changed = self.changes.changed() => {
                    changed.ok()?;
                    tokio::time::sleep(COALESCE).await;
                    self.tell_rows();
                }
                changed = self.sources.changed() => {
                    changed.ok()?;
                    self.tell_sources();
                }
                () = tokio::time::sleep_until(summary_due), if is_summary_old => self.tell_summary(),
            }
        }
    }

    fn tell_rows(&mut self) {
        let current = *self.changes.borrow_and_update();
        let handle = &self.site.api.handle;
        let since = self.since;
        // A version may be given twice when two passes end in the same moment, so that the last one told is looked at again.
        let changed = handle.page(None, ROWS_MAX + 1, |report| {
            report.metadata.resource_version >= since
        });
        let count = handle.count();
        let place = self.site.place(current);
        if changed.len() > ROWS_MAX || count < self.count {
            self.backlog.push_back(event("reset", &place, &()));
        } else if !changed.is_empty() {
            let rows: Vec<ServiceRow> = changed.iter().map(|it| ServiceRow::of(it)).collect();
            self.backlog.push_back(event("rows", &place, &rows));
        }
        self.since = current;
        self.count = count;
        if !changed.is_empty() {
            self.summary = None;
        }
    }

    fn tell_sources(&mut self) {
        let sources = self.sources.borrow_and_update().clone();
        let place = self.site.place(self.since);
        self.backlog
            .push_back(event("sources", &place, sources.as_ref()));
    }

    fn tell_summary(&mut self) {
        let summary = counted(&self.site);
        let place = self.site.place(self.since);
        self.backlog.push_back(event("summary", &place, &summary));
        self.summary = Some(summary);
        self.summary_due = Instant::now() + SUMMARY_EVERY;
    }
}

fn event(name: &str, place: &str, data: &(impl Serialize + ?Sized)) -> Event {
    // Reports have a JSON form; an event without data would be ignored by its reader.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).id(place).data(data)
}

/// The version of a place in this run's changes.
fn version_in(place: &str, run: &str) -> Option<u64> {
    let (from, version) = place.split_once('.')?;
    (from == run).then(|| version.parse().ok())?
}
