//! The queues of storage accounts, and what may be done with their messages. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    local::{
        arm::model::{Key, Resource},
        queue::{Message, Messages},
    },
    name::Timestamp,
};

/// By `account/queue`.
pub(in crate::local::arm) type Queues = BTreeMap<String, Queue>;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::local::arm) struct Queue {
    pub metadata: BTreeMap<String, String>,
    pub messages: Messages,
}

/// Why a message was neither changed nor deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::local::arm) enum Missed {
    NoMessage,
    /// Somebody else has read it since.
    OtherReceipt,
}

/// The key of a queue. Accounts are compared without letter case.
pub(in crate::local::arm) fn key(account: &str, queue: &str) -> String {
    format!("{}/{queue}", account.to_ascii_lowercase())
}

/// Drops the queues of accounts that are gone.
pub(in crate::local::arm) fn keep_of(queues: &mut Queues, accounts: &BTreeMap<Key, Resource>) {
    let named = |name: &str| {
        let mut accounts = accounts.values();
        accounts.any(|account| account.name.eq_ignore_ascii_case(name))
    };
    queues.retain(|key, _| key.split('/').next().is_some_and(named));
}

impl Queue {
    /// The message as its sender sees it; none where the queue is full.
    pub(in crate::local::arm) fn put(
        &mut self,
        body: String,
        now: Timestamp,
        hidden: Duration,
        lives: Option<Duration>,
    ) -> Option<Message> {
        self.messages.expire(now);
        let message = Message {
            visible: now.after(hidden),
            expires: lives.map(|lives| now.after(lives)),
            ..Message::new(body, now)
        };
        self.messages.put(message.clone()).then_some(message)
    }

    pub(in crate::local::arm) fn delete(
        &mut self,
        now: Timestamp,
        (id, receipt): (&str, &str),
    ) -> Result<(), Missed> {
        self.held(now, (id, receipt))?;
        self.messages.take(|message| message.id == id);
        Ok(())
    }

    /// Keeps a message for longer, or gives it back, with another text where there is one.
    pub(in crate::local::arm) fn update(
        &mut self,
        now: Timestamp,
        held: (&str, &str),
        hidden: Duration,
        body: Option<String>,
    ) -> Result<Message, Missed> {
        let message = self.held(now, held)?;
        message.hide(now, hidden);
        if let Some(body) = body {
            message.body = body;
        }
        Ok(message.clone())
    }

    fn held(
        &mut self,
        now: Timestamp,
        (id, receipt): (&str, &str),
    ) -> Result<&mut Message, Missed> {
        self.messages.expire(now);
        let message = self.messages.find(|message| message.id == id);
        let message = message.ok_or(Missed::NoMessage)?;
        match message.receipt == receipt {
            true => Ok(message),
            false => Err(Missed::OtherReceipt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn whoever_read_a_message_first_has_lost_it_to_the_next() {
        let mut queue = Queue::default();
        queue.put("a".to_owned(), NOW, Duration::ZERO, None);
        let first = queue.messages.read(1, NOW, SECOND).remove(0);
        let later = NOW.after(SECOND);
        let second = queue.messages.read(1, later, SECOND).remove(0);
        let held = (first.id.as_str(), first.receipt.as_str());
        assert_eq!(queue.delete(later, held), Err(Missed::OtherReceipt));
        let held = (second.id.as_str(), second.receipt.as_str());
        assert_eq!(queue.delete(later, held), Ok(()));
        assert_eq!(queue.delete(later, held), Err(Missed::NoMessage));
    }

    #[test]
    fn a_change_hides_a_message_for_as_long_as_it_says_and_turns_its_receipt() {
        let mut queue = Queue::default();
        let put = queue.put("a".to_owned(), NOW, SECOND, None).unwrap();
        assert_eq!(queue.messages.visible(NOW).count(), 0);
        let held = (put.id.as_str(), put.receipt.as_str());
        let text = Some("b".to_owned());
        let changed = queue.update(NOW, held, Duration::ZERO, text).unwrap();
        assert_ne!(changed.receipt, put.receipt);
        let seen: Vec<_> = queue.messages.visible(NOW).map(|it| &it.body).collect();
        assert_eq!(seen, ["b"]);
        let again = queue.update(NOW, held, SECOND, None);
        assert_eq!(again.unwrap_err(), Missed::OtherReceipt);
    }

    #[test]
    fn what_has_had_its_time_is_gone_for_its_reader_too() {
        let mut queue = Queue::default();
        let put = queue.put("a".to_owned(), NOW, Duration::ZERO, Some(SECOND));
        let put = put.unwrap();
        let held = (put.id.as_str(), put.receipt.as_str());
        assert_eq!(
            queue.delete(NOW.after(SECOND), held),
            Err(Missed::NoMessage)
        );
    }
}
