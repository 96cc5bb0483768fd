//! Messages that come back until somebody deletes them: what SQS and Azure's queues have in common. Pure.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::name::Timestamp;

/// What a queue on a laptop may hold before it refuses more.
pub(super) const MESSAGES_MAX: usize = 120_000;

/// A message as a reader gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    /// Of the last time that it was put, read or changed. Whoever shows another one has lost it.
    pub(super) receipt: String,
    pub(super) body: String,
    pub(super) attributes: Value,
    pub(super) sent: Timestamp,
    pub(super) first_read: Option<Timestamp>,
    pub(super) reads: u32,
    /// From when on it can be read.
    pub(super) visible: Timestamp,
    /// From when on it is gone; never where absent.
    pub(super) expires: Option<Timestamp>,
}

/// In the order in which they were put.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Messages(VecDeque<Message>);

impl Message {
    /// A message that can be read at once, and stays.
    pub(super) fn new(body: String, now: Timestamp) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            receipt: Uuid::new_v4().to_string(),
            body,
            attributes: Value::Null,
            sent: now,
            first_read: None,
            reads: 0,
            visible: now,
            expires: None,
        }
    }

    pub(super) fn is_visible(&self, now: Timestamp) -> bool {
        self.visible <= now && !self.is_over(now)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Keeps it from readers for a while; it has a new receipt.
    pub(super) fn hide(&mut self, now: Timestamp, hidden: Duration) {
        self.receipt = Uuid::new_v4().to_string();
        self.visible = now.after(hidden);
    }
}

impl Messages {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was room for it.
    pub(super) fn put(&mut self, message: Message) -> bool {
        let has_room = self.0.len() < MESSAGES_MAX;
        if has_room {
            self.move_in(message);
        }
        has_room
    }

    /// A message from another queue, which is lost nowhere for want of room.
    pub(super) fn move_in(&mut self, message: Message) {
        self.0.push_back(message);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.0.iter()
    }

    /// What somebody could read now, the oldest first.
    pub(super) fn visible(&self, now: Timestamp) -> impl Iterator<Item = &Message> {
        self.0.iter().filter(move |message| message.is_visible(now))
    }

    /// Up to so many messages that nobody else reads now. They come back after a while, unless they are deleted.
    pub(super) fn read(&mut self, most: usize, now: Timestamp, hidden: Duration) -> Vec<Message> {
        let visible = self.0.iter_mut().filter(|message| message.is_visible(now));
        let read = visible.take(most).map(|message| {
            message.reads += 1;
            message.first_read.get_or_insert(now);
            message.hide(now, hidden);
            message.clone()
        });
        read.collect()
    }

    pub(super) fn find(&mut self, is_it: impl Fn(&Message) -> bool) -> Option<&mut Message> {
        self.0.iter_mut().find(|message| is_it(message))
    }

    /// Takes messages out.
    pub(super) fn take(&mut self, goes: impl Fn(&Message) -> bool) -> Vec<Message> {
        let all = std::mem::take(&mut self.0);
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(goes);
        self.0 = kept;
        gone.into()
    }

    /// Drops what nobody can read any more.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.retain(|message| !message.is_over(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn with(bodies: &[&str]) -> Messages {
        let mut messages = Messages::default();
        for body in bodies {
            messages.put(Message::new((*body).to_owned(), NOW));
        }
        messages
    }

    fn bodies(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|it| it.body.as_str()).collect()
    }

    #[test]
    fn what_is_read_is_hidden_and_comes_back_with_another_receipt() {
        let mut messages = with(&["a", "b"]);
        let first = messages.read(1, NOW, SECOND);
        assert_eq!(bodies(&first), ["a"]);
        assert_eq!(bodies(&messages.read(9, NOW, SECOND)), ["b"]);
        assert_eq!(messages.visible(NOW).count(), 0);
        let again = messages.read(1, NOW.after(SECOND), SECOND);
        assert_eq!((again[0].body.as_str(), again[0].reads), ("a", 2));
        assert_ne!(again[0].receipt, first[0].receipt);
        assert_eq!(again[0].first_read, Some(NOW));
    }

    #[test]
    fn what_is_over_is_read_by_nobody_and_goes() {
        let mut messages = with(&["a"]);
        let mut short = Message::new("b".to_owned(), NOW);
        short.expires = Some(NOW.after(SECOND));
        messages.put(short);
        assert_eq!(messages.visible(NOW).count(), 2);
        let later = NOW.after(SECOND);
        assert_eq!(bodies(&messages.read(9, later, SECOND)), ["a"]);
        messages.expire(later);
        assert_eq!(messages.len(), 1);
    }

    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_keeps_its_order() {
        let mut messages = with(&["a", "b", "c"]);
        assert_eq!(bodies(&messages.take(|it| it.body == "b")), ["b"]);
        assert_eq!(bodies(&messages.read(9, NOW, SECOND)), ["a", "c"]);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut messages = Messages::default();
        let one = Message::new(String::new(), NOW);
        messages.0.resize(MESSAGES_MAX, one.clone());
        assert!(!messages.put(one));
    }
}
