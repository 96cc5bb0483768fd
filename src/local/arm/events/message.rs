//! A message as a function is told of it, and what becomes of it. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, json};

use crate::{
    local::{
        arm::host::{package::Polling, wrap::Event},
        queue::Message,
    },
    name::Timestamp,
};

/// What is to be done with a message that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    Delete,
    GiveBack,
    /// To the queue `NAME-poison`, as it is.
    Bury,
}

/// Nothing where the message is not in the form that the app asks for.
pub(super) fn event(message: &Message, polling: &Polling, now: Timestamp) -> Option<Event> {
    let text = match polling.encoded {
        true => String::from_utf8(STANDARD.decode(message.body.trim()).ok()?).ok()?,
        false => message.body.clone(),
    };
    let moment = |at: Timestamp| json!(at.to_string());
    let mut metadata = Map::from_iter([
        ("Id".to_owned(), json!(message.id)),
        ("PopReceipt".to_owned(), json!(message.receipt)),
        ("DequeueCount".to_owned(), json!(message.reads)),
        ("InsertionTime".to_owned(), moment(message.sent)),
        ("NextVisibleTime".to_owned(), moment(message.visible)),
        ("sys".to_owned(), json!({ "UtcNow": moment(now) })),
    ]);
    if let Some(expires) = message.expires {
        metadata.insert("ExpirationTime".to_owned(), moment(expires));
    }
    Some(Event {
        input: json!(text),
        metadata,
    })
}

/// What becomes of a message that was tried so often.
pub(super) fn fate(worked: bool, tried: u32, polling: &Polling) -> Fate {
    match (worked, tried >= polling.tries) {
        (true, _) => Fate::Delete,
        (false, true) => Fate::Bury,
        (false, false) => Fate::GiveBack,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn polling(encoded: bool) -> Polling {
        Polling {
            batch: 16,
            threshold: 8,
            pause: Duration::ZERO,
            tries: 3,
            encoded,
        }
    }

    #[test]
    fn a_message_is_tried_so_often_and_no_more() {
        let told = [1, 2, 3, 4].map(|tried| fate(false, tried, &polling(true)));
        assert_eq!(
            told,
            [Fate::GiveBack, Fate::GiveBack, Fate::Bury, Fate::Bury]
        );
        assert_eq!(fate(true, 9, &polling(true)), Fate::Delete);
    }

    #[test]
    fn a_message_is_base64_unless_the_app_says_otherwise() {
        let message = Message::new("aGVsbG8=".to_owned(), NOW);
        let input = |encoded| event(&message, &polling(encoded), NOW).map(|it| it.input);
        assert_eq!(input(true), Some(json!("hello")));
        assert_eq!(input(false), Some(json!("aGVsbG8=")));
        let plain = Message::new("hello!".to_owned(), NOW);
        assert_eq!(event(&plain, &polling(true), NOW), None);
    }
}
