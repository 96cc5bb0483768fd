//! Queues as such: made, listed, told about, deleted.

use std::collections::BTreeMap;

use http::StatusCode;

use super::{
    door::{Asked, Done},
    store::{Queue, key},
    words::{Refusal, bad, document, element, missing, refused},
};
use crate::local::arm::cloud::{Cloud, State};

/// Queues on one page of a list.
const PAGE: i64 = 5000;

pub(super) fn no_queue() -> Refusal {
    missing("QueueNotFound", "queue")
}

/// The queue that is asked about.
pub(super) fn of<'s>(state: &'s mut State, asked: &Asked) -> Result<&'s mut Queue, Refusal> {
    let key = key(&asked.account, asked.queue());
    state.world.queues.get_mut(&key).ok_or_else(no_queue)
}

pub(super) fn create(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    check_name(asked.queue())?;
    let metadata = asked.metadata();
    let mut state = cloud.state();
    let queues = &mut state.world.queues;
    let key = key(&asked.account, asked.queue());
    match queues.get(&key) {
        Some(there) if there.metadata == metadata => {
            return Ok(Done::empty(StatusCode::NO_CONTENT));
        }
        Some(_) => {
            let message = "The specified queue already exists.";
            return Err(refused(StatusCode::CONFLICT, "QueueAlreadyExists", message));
        }
        None => {}
    }
    let queue = Queue {
        metadata,
        ..Queue::default()
    };
    queues.insert(key, queue);
    cloud.changed();
    Ok(Done::empty(StatusCode::CREATED))
}

pub(super) fn delete(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let key = key(&asked.account, asked.queue());
    let gone = cloud.state().world.queues.remove(&key);
    gone.ok_or_else(no_queue)?;
    cloud.changed();
    Ok(Done::empty(StatusCode::NO_CONTENT))
}

pub(super) fn metadata(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let now = cloud.clock.now();
    let mut state = cloud.state();
    let queue = of(&mut state, asked)?;
    queue.messages.expire(now);
    let own = queue.metadata.iter();
    let own = own.map(|(name, value)| (format!("x-ms-meta-{name}"), value.clone()));
    let count = queue.messages.len().to_string();
    let count = ("x-ms-approximate-messages-count".to_owned(), count);
    Ok(Done {
        status: StatusCode::OK,
        headers: own.chain([count]).collect(),
        body: None,
    })
}

pub(super) fn set_metadata(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    of(&mut cloud.state(), asked)?.metadata = asked.metadata();
    cloud.changed();
    Ok(Done::empty(StatusCode::NO_CONTENT))
}

pub(super) fn list(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let most = asked.number("maxresults", 1, PAGE)?;
    let size = usize::try_from(most.unwrap_or(PAGE)).unwrap_or(1);
    let said = |name: &str| asked.query.get(name).map_or("", String::as_str);
    let (prefix, marker) = (said("prefix"), said("marker"));
    let with_metadata = said("include") == "metadata";
    let within = key(&asked.account, "");
    let state = cloud.state();
    let queues = state.world.queues.iter();
    let mut queues = queues
        .filter_map(|(key, queue)| Some((key.strip_prefix(&within)?, queue)))
        .filter(|(name, _)| name.starts_with(prefix) && *name >= marker);
    let page: Vec<_> = queues.by_ref().take(size).collect();
    let next = queues.next().map_or("", |(name, _)| name);
    let entries: String = page
        .iter()
        .map(|(name, it)| entry(name, it, with_metadata))
        .collect();
    let mut inner = String::new();
    for (name, value) in [("Prefix", prefix), ("Marker", marker)] {
        if !value.is_empty() {
            inner += &element(name, value);
        }
    }
    if let Some(most) = most {
        inner += &element("MaxResults", &most.to_string());
    }
    inner += &format!("<Queues>{entries}</Queues>{}", element("NextMarker", next));
    let endpoint = crate::cloud::xml::escaped(&asked.endpoint);
    let body = document(&format!(
        "<EnumerationResults ServiceEndpoint=\"{endpoint}\">{inner}</EnumerationResults>"
    ));
    Ok(Done::with(StatusCode::OK, body))
}

fn entry(name: &str, queue: &Queue, with_metadata: bool) -> String {
    let mut text = element("Name", name);
    if with_metadata {
        text += &format!("<Metadata>{}</Metadata>", elements(&queue.metadata));
    }
    format!("<Queue>{text}</Queue>")
}

fn elements(metadata: &BTreeMap<String, String>) -> String {
    let pairs = metadata.iter();
    pairs.map(|(name, value)| element(name, value)).collect()
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if !(3..=63).contains(&name.len()) {
        let message = "The specified resource name length is not within the permissible limits.";
        return Err(bad("OutOfRangeInput", message));
    }
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_good = name.bytes().all(is_part)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    let message = "The specified resource name contains invalid characters.";
    is_good
        .then_some(())
        .ok_or_else(|| bad("InvalidResourceName", message))
}
