//! What queues hold: messages that come back until somebody deletes them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::Value;
use uuid::Uuid;

use crate::name::Timestamp;

/// What a queue on a laptop may hold before it refuses more.
pub(super) const MESSAGES_MAX: usize = 120_000;
const VISIBILITY: Duration = Duration::from_secs(30);

/// By name.
#[derive(Debug, Default)]
pub(in crate::local::lambda) struct Queues(pub(super) BTreeMap<String, Queue>);

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) messages: VecDeque<Message>,
    pub(super) attributes: BTreeMap<String, String>,
}

/// A message as a reader gets it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    /// Of the last time that it was read.
    pub(super) receipt: String,
    pub(super) body: String,
    pub(super) attributes: Value,
    pub(super) sent: Timestamp,
    pub(super) first_read: Option<Timestamp>,
    pub(super) reads: u32,
    pub(super) visible: Timestamp,
}

impl Queue {
    fn new(attributes: BTreeMap<String, String>) -> Self {
        Self {
            messages: VecDeque::new(),
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
        let queue = self.open(name);
        if queue.messages.len() >= MESSAGES_MAX {
            return None;
        }
        let id = Uuid::new_v4().to_string();
        queue.messages.push_back(Message {
            id: id.clone(),
            receipt: String::new(),
            body,
            attributes,
            sent: now,
            first_read: None,
            reads: 0,
            visible: now.after(wait),
        });
        Some(id)
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
        let redrive = queue.redrive();
        let mut read = Vec::new();
        let mut dead = Vec::new();
        for message in &mut queue.messages {
            if read.len() == most {
                break;
            }
            if message.visible > now {
                continue;
            }
            if redrive
                .as_ref()
                .is_some_and(|(_, most)| message.reads >= *most)
            {
                dead.push(message.id.clone());
                continue;
            }
            message.reads += 1;
            message.first_read.get_or_insert(now);
            message.receipt = Uuid::new_v4().to_string();
            message.visible = now.after(hidden);
            read.push(message.clone());
        }
        if let Some((to, _)) = redrive.filter(|_| !dead.is_empty()) {
            self.bury(name, &to, &dead, now);
        }
        read
    }

    fn bury(&mut self, from: &str, to: &str, dead: &[String], now: Timestamp) {
        let queue = self.open(from);
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut queue.messages)
            .into_iter()
            .partition(|message| dead.contains(&message.id));
        queue.messages = kept;
        for message in gone {
            let fresh = Message {
                reads: 0,
                first_read: None,
                visible: now,
                ..message
            };
            self.open(to).messages.push_back(fresh);
        }
    }

    pub(super) fn delete(&mut self, name: &str, receipt: &str) {
        let queue = self.open(name);
        queue.messages.retain(|message| message.receipt != receipt);
    }
}
