//! Brings what changed to the disk, and then to those who listen.

use std::sync::Arc;

use super::super::{
    Shared,
    pass::Entry,
    points::{self, Part},
};
use super::records;
use crate::{
    plan::{
        apply::Write,
        state::{EventRecord, Severity},
    },
    store::{Batch, SetAside, StoreError},
};

impl Shared {
    /// Brings what changed to the disk, all of it or nothing.
    pub(in crate::reconcile) async fn save(&self, entry: &mut Entry) -> Result<(), StoreError> {
        if entry.unsaved.is_empty() {
            return Ok(());
        }
        self.number(&mut entry.unsaved);
        points::part(&entry.state.key, Part::Save);
        let mut batch = Batch::new();
        records::add(&mut batch, &entry.state, &entry.unsaved);
        self.store.commit(batch).await?;
        self.written(entry);
        Ok(())
    }

    /// Gives numbers to events that have none.
    pub(in crate::reconcile) fn number(&self, unsaved: &mut [Write]) {
        for write in unsaved {
            if let Write::Event(record) = write
                && record.seq == 0
            {
                record.seq = self.journal.number();
            }
        }
    }

    /// All that changed is on the disk: its events may be told.
    pub(in crate::reconcile) fn written(&self, entry: &mut Entry) {
        points::written(&entry.state, &entry.unsaved);
        let mut told = Vec::new();
        for write in entry.unsaved.drain(..) {
            if let Write::Event(record) = write {
                told.push(record);
            }
        }
        self.journal.written(told, |record| self.tell(record));
    }

    /// Events that will not be written keep no later one from being told.
    pub(in crate::reconcile) fn give_up(&self, undone: &[Write]) {
        let mut numbers = Vec::new();
        for write in undone {
            if let Write::Event(record) = write
                && record.seq != 0
            {
                numbers.push(record.seq);
            }
        }
        self.journal.given_up(numbers, |record| self.tell(record));
    }

    pub(in crate::reconcile) fn tell(&self, record: Arc<EventRecord>) {
        let service = record.service.as_ref().map(ToString::to_string);
        let (service, reason) = (service.unwrap_or_default(), &record.reason);
        tracing::info!(service, reason, "{}", record.message);
        // An error says that nobody listens, which is fine.
        self.events.send(record).ok();
    }

    /// Writes and tells events that belong to no service.
    pub(in crate::reconcile) async fn tell_all(
        &self,
        mut events: Vec<EventRecord>,
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for record in &mut events {
            record.seq = self.journal.number();
            record.at = self.clock.now();
            batch.put(record);
        }
        let written = self.store.commit(batch).await;
        match &written {
            Ok(()) => self.journal.written(events, |record| self.tell(record)),
            Err(_) => {
                let numbers = events.iter().map(|record| record.seq);
                self.journal.given_up(numbers, |record| self.tell(record));
            }
        }
        written
    }

    pub(in crate::reconcile) async fn tell_set_aside(
        &self,
        set_aside: Vec<SetAside>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let record = |SetAside { tree, key, why }| EventRecord {
            seq: 0,
            at: now,
            severity: Severity::Warning,
            service: None,
            reason: "RecordSetAside".to_owned(),
            message: format!(
                "{} record `{key}` could not be read and was set aside: {why}",
                tree.name()
            ),
            actor: crate::name::Actor::daemon(),
            revision: None,
            rollout: None,
        };
        self.tell_all(set_aside.into_iter().map(record).collect())
            .await
    }
}
