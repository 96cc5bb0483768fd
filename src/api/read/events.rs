//! Events: a page of them, or as they happen. A reader that lags or comes back is caught up from the store.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Site,
        extract::Params,
        problem::{Problem, ProblemDocument},
    },
    name::ServiceKey,
    plan::state::EventRecord,
    status::record::EventReport,
};

/// Events of a page, unless asked otherwise, and at most; also how many a stream reads from the store at once.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// Events that are looked at for one page of one service: about as many as are kept.
const LOOK_MAX: usize = 10_000;

/// Events are written down side by side, so that a smaller number can become known after a larger one. A stream remembers this many
/// that it told, to tell each once.
const TOLD_MAX: usize = 4096;

/// How often a stream with nothing to tell says that it is there.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct EventsQuery {
    /// Only events with a larger number. Without it a page holds the newest events, and a stream begins now.
    after: Option<u64>,
    /// At most 1000; 100 unless given.
    limit: Option<usize>,
    /// Only events of `environment/name`.
    service: Option<ServiceKey>,
}

/// Events, the oldest first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Events {
    items: Vec<EventReport>,
    /// Give it as `after` to read on.
    next: u64,
}

#[utoipa::path(
    get,
    path = "/api/v1/events",
    summary = "Events: a page, or with `accept: text/event-stream` a stream of them.",
    description = "In a stream each event has its number as `id`; `last-event-id` resumes after it.",
    tag = "events",
    params(EventsQuery, ("last-event-id" = Option<u64>, Header)),
    responses(
        (status = 200, content((Events = "application/json"), (EventReport = "text/event-stream"))),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub(in crate::api) async fn events(
    State(site): State<Site>,
    headers: HeaderMap,
    Params(query): Params<EventsQuery>,
) -> Result<Response, Problem> {
    if !wants_stream(&headers) {
        return Ok(Json(page(&site, query).await?).into_response());
    }
    let after = match last_event_id(&headers) {
        Some(id) => Some(id.parse().map_err(|_| {
            Problem::bad_request("bad-last-event-id", "`last-event-id` is not a number")
        })?),
        None => query.after,
    };
    let reader = Reader::new(&site, after, query.service);
    Ok(sse(&site, reader.stream()))
}

pub(super) fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap_or_default())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    accepts
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("text/event-stream"))
}

/// A stream of events that ends with the daemon.
pub(super) fn sse(site: &Site, events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let stop = site.api.stop.clone();
    let events = events.take_until(stop.cancelled_owned());
    let events = events.map(Ok::<_, Infallible>);
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

async fn page(site: &Site, query: EventsQuery) -> Result<Events, Problem> {
    let EventsQuery {
        after,
        limit,
        service,
    } = query;
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let (records, next) = match after {
        Some(after) => oldest(site, after, limit, service.as_ref()).await?,
        None => newest(site, limit, service.as_ref()).await?,
    };
    Ok(Events {
        items: records.iter().map(EventReport::from).collect(),
        next,
    })
}

/// Events after a number that are of the service, and where to read on.
async fn oldest(
    site: &Site,
    after: u64,
    limit: usize,
    service: Option<&ServiceKey>,
) -> Result<(Vec<EventRecord>, u64), Problem> {
    let mut found = Vec::new();
    let mut next = after;
    let mut looked_at = 0;
    while found.len() < limit && looked_at < LOOK_MAX {
        let records = site.api.handle.events_after(next, PAGE_MAX).await?;
        if records.is_empty() {
            break;
        }
        looked_at += records.len();
        for record in records {
            if found.len() == limit {
                break;
            }
            next = record.seq;
            if is_of(&record, service) {
                found.push(record);
            }
        }
    }
    Ok((found, next))
}

/// The newest events of the service, the oldest first, and where to read on.
async fn newest(
    site: &Site,
    limit: usize,
    service: Option<&ServiceKey>,
) -> Result<(Vec<EventRecord>, u64), Problem> {
    let look = match service {
        Some(_) => LOOK_MAX,
        None => limit,
    };
    let mut records = site.api.handle.last_events(look).await?;
    let next = records.first().map_or(0, |newest| newest.seq);
    records.retain(|record| is_of(record, service));
    records.truncate(limit);
    records.reverse();
    Ok((records, next))
}

fn is_of(record: &EventRecord, service: Option<&ServiceKey>) -> bool {
    service.is_none_or(|service| record.service.as_ref() == Some(service))
}

/// One reader of the stream.
struct Reader {
    site: Site,
    live: broadcast::Receiver<Arc<EventRecord>>,
    service: Option<ServiceKey>,
    backlog: VecDeque<EventReport>,
    /// Where to read the store from; none while what happens is received.
    behind: Option<u64>,
    newest: u64,
    told: BTreeSet<u64>,
}

impl Reader {
    /// Subscribes first and reads the store after, so that nothing falls in between.
    fn new(site: &Site, after: Option<u64>, service: Option<ServiceKey>) -> Self {
        Self {
            live: site.api.handle.subscribe(),
            site: site.clone(),
            service,
            backlog: VecDeque::new(),
            behind: after,
            newest: after.unwrap_or(0),
            told: BTreeSet::new(),
        }
    }

    fn stream(self) -> impl Stream<Item = Event> + Send + 'static {
        stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            let data = serde_json::to_string(&event).ok()?;
            let sent = Event::default().id(event.seq.to_string()).data(data);
            Some((sent, reader))
        })
    }

    async fn next(&mut self) -> Option<EventReport> {
        loop {
            if let Some(event) = self.backlog.pop_front() {
                return Some(event);
            }
            match self.behind {
                Some(after) => self.catch_up(after).await?,
                None => match self.live.recv().await {
                    Ok(record) => self.take(&record),
                    Err(RecvError::Lagged(_)) => self.behind = Some(self.newest),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    /// Reads on in the store. Ends the stream where that fails: its reader comes back and resumes.
    async fn catch_up(&mut self, after: u64) -> Option<()> {
        let records = self
            .site
            .api
            .handle
            .events_after(after, PAGE_MAX)
            .await
            .ok()?;
        self.behind = records.last().map(|last| last.seq);
        records.iter().for_each(|record| self.take(record));
        Some(())
    }

    fn take(&mut self, record: &EventRecord) {
        self.newest = self.newest.max(record.seq);
        if self.told.insert(record.seq) && is_of(record, self.service.as_ref()) {
            self.backlog.push_back(EventReport::from(record));
        }
        while self.told.len() > TOLD_MAX {
            self.told.pop_first();
        }
    }
}
