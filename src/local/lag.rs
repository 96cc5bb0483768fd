//! What a cloud tells late: for some reads after a write, the answer is what was so before it.
//!
//! Each kind of read of a thing learns of a write by itself, as if another copy were asked each time; what one of them was told once it is
//! not untold. Writes never come here: they act on what is true.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::faults::Faults;
use crate::name::Timestamp;

/// However seldom it is asked, every copy knows of a write after this: sooner than our clients give up waiting for it, also where a busy
/// machine asks for the first time long after.
const LATEST: Duration = Duration::from_secs(2);

/// What is written or read: one thing of a kind, or all of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Subject {
    /// `function`; empty for things of every kind.
    pub(super) kind: String,
    /// None for all of the kind.
    pub(super) name: Option<String>,
}

/// One read, as the endpoint sees it.
pub(super) struct Read<'a> {
    pub(super) operation: &'a str,
    pub(super) subject: Subject,
    /// What tells it from others: a path and a query, without the mark of a page.
    pub(super) key: String,
    /// Whether it goes on with a list that it began before.
    pub(super) goes_on: bool,
}

/// Who was told what. `S` is everything that reads look at.
pub(super) struct Lag<S> {
    faults: Faults,
    /// How many reads of each kind are late where no rule says otherwise.
    reads: u32,
    inner: Mutex<Inner<S>>,
}

struct Inner<S> {
    /// Writes not yet known everywhere, oldest first.
    writes: Vec<Write<S>>,
    count: u64,
    /// Late answers so far.
    late: u64,
    readers: BTreeMap<String, Reader<S>>,
}

struct Write<S> {
    number: u64,
    at: Timestamp,
    subject: Subject,
    before: Arc<S>,
}

struct Reader<S> {
    /// It knows of this write and all before.
    knows: u64,
    /// Late answers since.
    late: u32,
    /// What its last answer was from; None for the truth. Further pages come from there, too.
    from: Option<Arc<S>>,
    asked: Timestamp,
}

impl Subject {
    pub(super) fn one(kind: &str, name: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: Some(name.into()),
        }
    }

    pub(super) fn all(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: None,
        }
    }

    /// Whether a read of this shows what a write of `other` changed.
    fn shows(&self, other: &Self) -> bool {
        let same_kind = self.kind.is_empty() || self.kind == other.kind;
        same_kind && (self.name.is_none() || self.name == other.name)
    }
}

impl<S> Lag<S> {
    /// `reads` of each kind are late after each write, and more where a rule says so.
    pub(super) fn new(reads: u32, faults: Faults) -> Self {
        let inner = Inner {
            writes: Vec::new(),
            count: 0,
            late: 0,
            readers: BTreeMap::new(),
        };
        Self {
            faults,
            reads,
            inner: Mutex::new(inner),
        }
    }

    /// Whether any read may be late. Where none may, everybody knows of everything.
    pub(super) fn is_on(&self) -> bool {
        let is_on = self.reads > 0 || self.faults.any_late();
        if !is_on {
            self.inner().writes.clear();
        }
        is_on
    }

    /// Late answers so far.
    pub(super) fn told_late(&self) -> u64 {
        self.inner().late
    }

    /// Something is about to be written: `before` is what is so until then.
    pub(super) fn write(&self, subject: Subject, now: Timestamp, before: impl FnOnce() -> S) {
        let mut inner = self.inner();
        inner.forget(now);
        inner.count += 1;
        let number = inner.count;
        inner.writes.push(Write {
            number,
            at: now,
            subject,
            before: Arc::new(before()),
        });
    }

    /// What a read is answered from; None for the truth.
    pub(super) fn read(&self, read: &Read<'_>, now: Timestamp) -> Option<Arc<S>> {
        let mut inner = self.inner();
        inner.forget(now);
        let Inner {
            writes,
            count,
            late,
            readers,
        } = &mut *inner;
        if writes.is_empty() {
            return None;
        }
        let reader = readers
            .entry(format!("{} {}", read.operation, read.key))
            .or_insert(Reader {
                knows: 0,
                late: 0,
                from: None,
                asked: now,
            });
        reader.asked = now;
        if read.goes_on {
            return reader.from.clone();
        }
        let mut unknown = writes
            .iter()
            .filter(|write| write.number > reader.knows && read.subject.shows(&write.subject));
        let reads = || {
            let ruled = self.faults.late(read.operation).unwrap_or_default();
            ruled.max(self.reads)
        };
        reader.from = match unknown.next() {
            Some(write) if reader.late < reads() => {
                reader.late += 1;
                *late += 1;
                Some(Arc::clone(&write.before))
            }
            Some(_) | None => {
                (reader.knows, reader.late) = (*count, 0);
                None
            }
        };
        reader.from.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Inner<S> {
    fn forget(&mut self, now: Timestamp) {
        self.writes.retain(|write| now.since(write.at) < LATEST);
        self.readers.retain(|_, it| now.since(it.asked) < LATEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::faults::Rule;

    fn ask(lag: &Lag<u32>, operation: &str, name: Option<&str>, goes_on: bool) -> Option<u32> {
        let name = name.map(str::to_owned);
        let read = Read {
            operation,
            key: name.clone().unwrap_or_default(),
            subject: Subject {
                kind: "thing".to_owned(),
                name,
            },
            goes_on,
        };
        lag.read(&read, Timestamp::from_millis(1)).map(|it| *it)
    }

    fn write(lag: &Lag<u32>, name: &str, before: u32) {
        lag.write(
            Subject::one("thing", name),
            Timestamp::from_millis(0),
            || before,
        );
    }

    #[test]
    fn each_kind_of_read_is_late_as_often_as_told_and_then_knows() {
        let lag = Lag::new(2, Faults::default());
        assert_eq!(ask(&lag, "Get", Some("a"), false), None);
        write(&lag, "a", 1);
        write(&lag, "a", 2);
        for told in [Some(1), Some(1), None, None] {
            assert_eq!(ask(&lag, "Get", Some("a"), false), told);
        }
        assert_eq!(ask(&lag, "GetPart", Some("a"), false), Some(1));
        assert_eq!(ask(&lag, "Get", Some("b"), false), None);
        write(&lag, "a", 3);
        assert_eq!(ask(&lag, "Get", Some("a"), false), Some(3));
    }

    #[test]
    fn a_list_is_late_by_any_of_its_things_and_all_its_pages_agree() {
        let lag = Lag::new(1, Faults::default());
        write(&lag, "b", 1);
        assert_eq!(ask(&lag, "List", None, false), Some(1));
        assert_eq!(ask(&lag, "List", None, true), Some(1));
        assert_eq!(ask(&lag, "List", None, false), None);
        assert_eq!(ask(&lag, "List", None, true), None);
    }

    #[test]
    fn a_rule_makes_its_operation_late_as_often_as_it_says() {
        let faults = Faults::default();
        let lag = Lag::new(0, faults.clone());
        write(&lag, "a", 1);
        assert_eq!(ask(&lag, "Get", Some("a"), false), None);
        faults.set(vec![Rule {
            stale_reads: Some(3),
            times: Some(2),
            ..Rule::of("Get")
        }]);
        write(&lag, "a", 2);
        assert_eq!(ask(&lag, "List", None, false), None);
        for told in [Some(2), Some(2), None] {
            assert_eq!(ask(&lag, "Get", Some("a"), false), told);
        }
    }

    #[test]
    fn after_a_while_everybody_knows() {
        let lag = Lag::new(2, Faults::default());
        let read = Read {
            operation: "Get",
            subject: Subject::all("thing"),
            key: String::new(),
            goes_on: false,
        };
        write(&lag, "a", 1);
        let later = Timestamp::from_millis(0).after(LATEST);
        assert!(lag.read(&read, later).is_none());
    }
}
