//! What became of every key. Whoever converts a key writes it down here; what nobody wrote down is looked up in the catalogue, and told as
//! unknown where it is not there either. So no key is dropped in silence: below one that was taken over, too, each key that is read with it is
//! named, and what is not read is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use super::{
    catalogue::{Catalogue, Standing},
    report::{Entry, Verdict},
    tree::{At, join, key_text},
};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    told: BTreeMap<String, (Verdict, String)>,
    /// What people must do before the manifests are whole, in the order of finding.
    todo: Vec<String>,
}

impl Ledger {
    /// It means the same here, and stands at this field of ours.
    pub(super) fn taken(&mut self, at: &At<'_>, field: impl Into<String>) {
        self.tell(&at.path, Verdict::Taken, field.into());
    }

    pub(super) fn changed(&mut self, at: &At<'_>, told: impl Into<String>) {
        self.tell(&at.path, Verdict::Changed, told.into());
    }

    /// Nothing is lost without it.
    pub(super) fn unneeded(&mut self, at: &At<'_>, why: impl Into<String>) {
        self.tell(&at.path, Verdict::NotNeeded, why.into());
    }

    /// Why it cannot be, and what comes nearest.
    pub(super) fn impossible(&mut self, at: &At<'_>, why: impl Into<String>) {
        self.tell(&at.path, Verdict::NotPossible, why.into());
    }

    /// A word in the place of what was said before, where the whole shows that it cannot be.
    pub(super) fn instead(&mut self, at: &At<'_>, why: impl Into<String>) {
        self.told.remove(&at.path);
        self.impossible(at, why);
    }

    /// A word in the place of what was said before, where it means less than that.
    pub(super) fn rather(&mut self, at: &At<'_>, told: impl Into<String>) {
        self.told.remove(&at.path);
        self.changed(at, told);
    }

    /// The first word on a key stands.
    fn tell(&mut self, path: &str, verdict: Verdict, told: String) {
        self.told.entry(path.to_owned()).or_insert((verdict, told));
    }

    pub(super) fn todo(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.todo.contains(&what) {
            self.todo.push(what);
        }
    }

    /// Every key of the file with what became of it, in the order of the file; and what is left to do.
    pub(super) fn finish(self, file: &Value, catalogue: Catalogue) -> (Vec<Entry>, Vec<String>) {
        let mut walk = Walk {
            opened: self.told.keys().flat_map(|path| ancestors(path)).collect(),
            told: &self.told,
            catalogue,
            entries: Vec::new(),
        };
        walk.below("", file);
        (walk.entries, self.todo)
    }
}

struct Walk<'l> {
    told: &'l BTreeMap<String, (Verdict, String)>,
    /// Paths below which something is told.
    opened: BTreeSet<String>,
    catalogue: Catalogue,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn below(&mut self, path: &str, value: &Value) {
        match value {
            Value::Mapping(map) => {
                for (key, value) in map {
                    self.visit(join(path, &key_text(key)), value);
                }
            }
            Value::Sequence(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.visit(format!("{path}[{index}]"), value);
                }
            }
            Value::Tagged(tagged) => self.below(path, &tagged.value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn visit(&mut self, path: String, value: &Value) {
        if let Some((verdict, told)) = self.answer(&path) {
            self.add(&path, verdict, &told, value);
        } else if self.opened.contains(&path) || self.catalogue.is_opened(&path) {
            self.below(&path, value);
        } else {
            self.add(&path, Verdict::Unknown, STRANGER, value);
        }
    }

    fn answer(&self, path: &str) -> Option<(Verdict, String)> {
        let told = self.told.get(path).cloned();
        told.or_else(|| {
            let (verdict, told) = self.catalogue.look_up(path)?;
            Some((verdict, told.to_owned()))
        })
    }

    /// A verdict on a key is one on all below it, but for those that have their own.
    fn add(&mut self, path: &str, verdict: Verdict, told: &str, value: &Value) {
        let index = self.entries.len();
        self.entries.push(Entry {
            path: path.to_owned(),
            verdict,
            told: told.to_owned(),
            keys: 0,
        });
        self.told_below(path, value, (verdict, told));
        let own: usize = self.entries[index..].iter().map(|entry| entry.keys).sum();
        self.entries[index].keys = (1 + keys_below(value)).saturating_sub(own);
    }

    /// Of a key that has a verdict: those below it that have another.
    fn told_below(&mut self, path: &str, value: &Value, above: (Verdict, &str)) {
        let below: Vec<(String, &Value)> = match value {
            Value::Mapping(map) => {
                let entry = |(key, value)| (join(path, &key_text(key)), value);
                map.iter().map(entry).collect()
            }
            Value::Sequence(list) => {
                let item = |(index, value)| (format!("{path}[{index}]"), value);
                list.iter().enumerate().map(item).collect()
            }
            Value::Tagged(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => Vec::new(),
        };
        for (path, value) in below {
            self.below_verdict(path, value, above);
        }
    }

    /// What was left out has no parts that were not.
    fn below_verdict(&mut self, path: String, value: &Value, above: (Verdict, &str)) {
        let (verdict, told) = above;
        let is_read = matches!(verdict, Verdict::Taken | Verdict::Changed);
        if let Some((own, told)) = self
            .answer(&path)
            .filter(|_| is_read || self.told.contains_key(&path))
        {
            return self.add(&path, own, &told, value);
        }
        if !is_read {
            return self.told_below(&path, value, above);
        }
        match self.catalogue.standing(&path) {
            Standing::Part => self.add(&path, verdict, told, value),
            Standing::Stranger => self.add(&path, Verdict::Unknown, STRANGER, value),
            Standing::Documented
                if verdict == Verdict::Taken
                    && !self.opened.contains(&path)
                    && !path.ends_with(']') =>
            {
                self.add(&path, Verdict::Unknown, UNREAD, value);
            }
            Standing::Documented | Standing::Free => self.told_below(&path, value, above),
        }
    }
}

const STRANGER: &str = "Serverless's reference knows no such key: it was left out";
const UNREAD: &str = "nothing here reads it: it was left out";

/// The paths above a path, without the root.
fn ancestors(path: &str) -> impl Iterator<Item = String> + '_ {
    let cuts = path.char_indices().filter(|(_, c)| matches!(c, '.' | '['));
    cuts.map(|(at, _)| path[..at].to_owned())
        .filter(|path| !path.is_empty())
}

fn keys_below(value: &Value) -> usize {
    match value {
        Value::Mapping(map) => map.values().map(|value| 1 + keys_below(value)).sum(),
        Value::Sequence(list) => list.iter().map(keys_below).sum(),
        Value::Tagged(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
