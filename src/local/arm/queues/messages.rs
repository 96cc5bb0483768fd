//! Messages of a queue: put, read, looked at, changed, deleted.

use std::time::Duration;

use http::StatusCode;

use super::{
    door::{Asked, Done},
    named,
    store::Missed,
    words::{Refusal, Told, bad, listed, missing, moment, refused, text_in},
};
use crate::local::{arm::cloud::Cloud, queue::MESSAGES_MAX};

const TEXT_MAX: usize = 64 << 10;
const WEEK: i64 = 7 * 24 * 60 * 60;
/// How long a message is hidden that somebody reads, where nothing is said of it.
const HIDDEN: i64 = 30;
/// Messages that are read at once.
const BATCH: i64 = 32;

pub(super) fn put(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let text = text_of(asked)?;
    let hidden = asked.number("visibilitytimeout", 0, WEEK)?.unwrap_or(0);
    // -1 stands for ever; zero for nothing.
    let lives = asked.number("messagettl", -1, i64::from(i32::MAX))?;
    let lives = lives.unwrap_or(WEEK);
    if lives == 0 || (0..=hidden).contains(&lives) {
        let message = "messagettl is -1, or longer than visibilitytimeout.";
        return Err(bad("OutOfRangeQueryParameterValue", message));
    }
    let now = cloud.clock.now();
    let lives = u64::try_from(lives).ok().map(Duration::from_secs);
    let mut state = cloud.state();
    let put = named::of(&mut state, asked)?.put(text, now, seconds(hidden), lives);
    let message = put.ok_or_else(|| {
        let message =
            format!("The queue holds {MESSAGES_MAX} messages, which is what this endpoint keeps.");
        refused(StatusCode::SERVICE_UNAVAILABLE, "ServerBusy", &message)
    })?;
    cloud.changed();
    let body = listed(&[message], Told::Receipt);
    Ok(Done::with(StatusCode::CREATED, body))
}

pub(super) fn get(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let most = most(asked)?;
    let hidden = asked.number("visibilitytimeout", 1, WEEK)?;
    let hidden = seconds(hidden.unwrap_or(HIDDEN));
    let now = cloud.clock.now();
    let mut state = cloud.state();
    let queue = named::of(&mut state, asked)?;
    let read = queue.messages.read(most, now, hidden);
    cloud.changed();
    Ok(Done::with(StatusCode::OK, listed(&read, Told::All)))
}

pub(super) fn peek(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let most = most(asked)?;
    let now = cloud.clock.now();
    let mut state = cloud.state();
    let queue = named::of(&mut state, asked)?;
    let seen: Vec<_> = queue.messages.visible(now).take(most).cloned().collect();
    Ok(Done::with(StatusCode::OK, listed(&seen, Told::Text)))
}

pub(super) fn clear(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let mut state = cloud.state();
    named::of(&mut state, asked)?.messages.take(|_| true);
    cloud.changed();
    Ok(Done::empty(StatusCode::NO_CONTENT))
}

pub(super) fn update(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let receipt = asked.needed("popreceipt")?;
    asked.needed("visibilitytimeout")?;
    let hidden = asked.number("visibilitytimeout", 0, WEEK)?.unwrap_or(0);
    let text = match asked.body.is_empty() {
        true => None,
        false => Some(text_of(asked)?),
    };
    let now = cloud.clock.now();
    let mut state = cloud.state();
    let queue = named::of(&mut state, asked)?;
    let held = (asked.message(), receipt);
    let changed = queue.update(now, held, seconds(hidden), text);
    let changed = changed.map_err(missed)?;
    cloud.changed();
    let mut done = Done::empty(StatusCode::NO_CONTENT);
    done.headers = vec![
        ("x-ms-popreceipt".to_owned(), changed.receipt),
        ("x-ms-time-next-visible".to_owned(), moment(changed.visible)),
    ];
    Ok(done)
}

pub(super) fn delete(cloud: &Cloud, asked: &Asked) -> Result<Done, Refusal> {
    let held = (asked.message(), asked.needed("popreceipt")?);
    let now = cloud.clock.now();
    let mut state = cloud.state();
    let gone = named::of(&mut state, asked)?.delete(now, held);
    gone.map_err(missed)?;
    cloud.changed();
    Ok(Done::empty(StatusCode::NO_CONTENT))
}

fn text_of(asked: &Asked) -> Result<String, Refusal> {
    let text = text_in(&asked.body);
    let text = text.ok_or_else(|| {
        bad(
            "InvalidXmlDocument",
            "XML specified is not syntactically valid.",
        )
    })?;
    match text.len() <= TEXT_MAX {
        true => Ok(text),
        false => {
            let message = "The message exceeds the maximum allowed size.";
            Err(bad("MessageTooLarge", message))
        }
    }
}

fn most(asked: &Asked) -> Result<usize, Refusal> {
    let most = asked.number("numofmessages", 1, BATCH)?.unwrap_or(1);
    Ok(usize::try_from(most).unwrap_or(1))
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

fn missed(missed: Missed) -> Refusal {
    match missed {
        Missed::NoMessage => missing("MessageNotFound", "message"),
        Missed::OtherReceipt => bad(
            "PopReceiptMismatch",
            "The specified pop receipt did not match the pop receipt for a dequeued message.",
        ),
    }
}
