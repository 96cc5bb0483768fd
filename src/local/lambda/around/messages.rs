//! What queues hold: messages that come back until somebody deletes them.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

pub(super) use crate::local::queue::{MESSAGES_MAX, Message};
use crate::{local::queue::Messages, name::Timestamp};

const VISIBILITY: Duration = Duration::from_secs(30);

/// By name.
#[derive(Debug, Default)]
pub(in crate::local::lambda) struct Queues(pub(super) BTreeMap<String, Queue>);

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) messages: Messages,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Queue {
    fn new(attributes: BTreeMap<String, String>) -> Self {
        Self {
            messages: Messages::default(),
            attributes,
        }
    }

    pub(super) fn visibility(&self) -> Duration {
        let told = self.attributes.get("VisibilityTimeout");
        let seconds = told.and_then(|text| text.parse().ok());
        seconds.map_or(VISIBILITY, Duration::from_secs)
    }

    /// Where messages go that were read too often, and how often that is.
    fn redrive(&self) -> Option<(String, u32)> {
        let told: Value = serde_json::from_str(self.attributes.get("RedrivePolicy")?).ok()?;
        let arn = told["deadLetterTargetArn"].as_str()?;
        let most = told["maxReceiveCount"].as_u64().or_else(|| {
            let text = told["maxReceiveCount"].as_str();
            text.and_then(|text| text.parse().ok())
        })?;
        Some((name_of(arn).to_owned(), u32::try_from(most).ok()?))
    }
}

/// The last part of an ARN or URL.
pub(super) fn name_of(address: &str) -> &str {
    address.rsplit([':', '/']).next().unwrap_or_default()
}

impl Queues {
    pub(super) fn open(&mut self, name: &str) -> &mut Queue {
        let fresh = || Queue::new(BTreeMap::new());
        self.0.entry(name.to_owned()).or_insert_with(fresh)
    }

    pub(super) fn send(
        &mut self,
        name: &str,
        body: String,
        attributes: Value,
        now: Timestamp,
        wait: Duration,
    ) -> Option<String> {
        let message = Message {
            attributes,
            visible: now.after(wait),
            ..Message::new(body, now)
        };
        let id = message.id.clone();
        self.open(name).messages.put(message).then_some(id)
    }

    /// Up to so many messages that nobody else reads now. They come back after a while, unless they are deleted.
    pub(super) fn read(
        &mut self,
        name: &str,
        most: usize,
        now: Timestamp,
        hidden: Option<Duration>,
    ) -> Vec<Message> {
        let queue = self.open(name);
        let hidden = hidden.unwrap_or_else(|| queue.visibility());
        if let Some((to, most)) = queue.redrive() {
            let is_dead = |message: &Message| message.is_visible(now) && message.reads >= most;
            let dead = queue.messages.take(is_dead);
            self.bury(&to, dead, now);
        }
        self.open(name).messages.read(most, now, hidden)
    }

    fn bury(&mut self, to: &str, dead: Vec<Message>, now: Timestamp) {
        for message in dead {
            let fresh = Message {
                reads: 0,
                first_read: None,
                visible: now,
                ..message
            };
            self.open(to).messages.move_in(fresh);
        }
    }

    pub(super) fn delete(&mut self, name: &str, receipt: &str) {
        let queue = self.open(name);
        queue.messages.take(|message| message.receipt == receipt);
    }
}
