//! `${…}` as Serverless resolves them, for one stage. What only the daemon can know (`env`, `git`) stays, in our words, which are the same;
//! what nobody here can know stays as it is, and whoever needs the value says so.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use serde_yaml::{Mapping, Value};

use super::{
    Files,
    tree::{key_text, scalar_text},
};

/// No file needs more; what refers to itself ends here.
const DEPTH_MAX: usize = 24;
/// Values that one file may expand to.
const STEPS_MAX: usize = 200_000;
const TEXT_MAX: usize = 256 * 1024;

/// Takes the place of the `$` of what is looked at already.
const SEEN: &str = "\u{1}{";

pub(super) struct Resolver<'a> {
    pub(super) root: &'a Value,
    pub(super) stage: &'a str,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) files: &'a Files<'a>,
    pub(super) seen: Seen,
}

/// What was asked for on the way.
#[derive(Debug, Default)]
pub(super) struct Seen {
    steps: Cell<usize>,
    /// Paths within the file whose values were written where they were used.
    pub(super) used: RefCell<BTreeSet<String>>,
    /// Parameters that came from a command line or a dashboard.
    pub(super) params: RefCell<BTreeSet<String>>,
    /// Files that were asked for and not given.
    pub(super) missing: RefCell<BTreeSet<String>>,
}

enum Found {
    Value(Value),
    /// In our words; only the daemon knows.
    Ours(String),
    Nothing,
}

impl Resolver<'_> {
    pub(super) fn resolve(&self, value: &Value) -> Value {
        self.tree(value, 0)
    }

    fn tree(&self, value: &Value, depth: usize) -> Value {
        self.seen.steps.set(self.seen.steps.get() + 1);
        if self.seen.steps.get() > STEPS_MAX || depth > DEPTH_MAX {
            return value.clone();
        }
        match value {
            Value::String(text) if text.contains("${") => self.text(text, depth),
            Value::Mapping(map) => {
                let entry = |(key, value): (&Value, &Value)| (key.clone(), self.tree(value, depth));
                Value::Mapping(map.iter().map(entry).collect::<Mapping>())
            }
            Value::Sequence(list) => list.iter().map(|item| self.tree(item, depth)).collect(),
            Value::Tagged(tagged) => {
                let mut tagged = tagged.clone();
                tagged.value = self.tree(&tagged.value, depth);
                Value::Tagged(tagged)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    /// From the inside out. A text that is one variable takes its type.
    fn text(&self, text: &str, depth: usize) -> Value {
        let mut text = text.to_owned();
        while let Some((start, end)) = innermost(&text) {
            self.seen.steps.set(self.seen.steps.get() + 1);
            if self.seen.steps.get() > STEPS_MAX || text.len() > TEXT_MAX {
                break;
            }
            let replacement = match self.expression(&text[start + 2..end], depth) {
                Found::Value(value) if start == 0 && end + 1 == text.len() => return value,
                Found::Value(value) => scalar_text(&value).unwrap_or_default(),
                Found::Ours(inner) => format!("{SEEN}{inner}}}"),
                Found::Nothing => format!("{SEEN}{}}}", &text[start + 2..end]),
            };
            text.replace_range(start..=end, &replacement);
        }
        Value::String(text.replace(SEEN, "${"))
    }

    /// The first source that knows a value; `env:X, 'default'`.
    fn expression(&self, expression: &str, depth: usize) -> Found {
        let sources = alternatives(expression);
        for (index, source) in sources.iter().enumerate() {
            match self.source(source, depth) {
                Found::Nothing => {}
                Found::Value(value) => return Found::Value(value),
                Found::Ours(ours) => {
                    let rest = self.expression(&sources[index + 1..].join(", "), depth);
                    return Found::Ours(with_default(ours, rest));
                }
            }
        }
        Found::Nothing
    }

    fn source(&self, source: &str, depth: usize) -> Found {
        if let Some(literal) = literal(source) {
            return Found::Value(literal);
        }
        let (head, address) = head_and_address(source);
        let (name, given) = match head.split_once('(') {
            Some((name, given)) => (name, given.trim_end_matches(')')),
            None => (head, ""),
        };
        match name {
            "self" => self.own(address, depth),
            "sls" if address == "stage" => Found::Value(self.stage.into()),
            "opt" => self.option(address),
            "param" => self.param(address, depth),
            "env" if !address.is_empty() => Found::Ours(format!("env:{address}")),
            "git" => git(address),
            "aws" if address == "region" => Found::Value(self.region.clone().into()),
            "aws" if address == "accountId" => Found::Value(self.account.clone().into()),
            "file" => self.file(given, address, depth),
            "strToBool" => boolean(given),
            _ => Found::Nothing,
        }
    }

    fn option(&self, name: &str) -> Found {
        match name {
            "stage" | "s" => Found::Value(self.stage.into()),
            "region" | "r" if !self.region.is_empty() => Found::Value(self.region.clone().into()),
            // Whoever imports gives none: the default is meant.
            _ => Found::Nothing,
        }
    }

    fn own(&self, address: &str, depth: usize) -> Found {
        let found = self.walk(self.root, address, depth);
        if !matches!(found, Found::Nothing) {
            self.seen.used.borrow_mut().insert(address.to_owned());
        }
        found
    }

    /// The way down a tree, through variables that stand for parts of it.
    fn walk(&self, root: &Value, address: &str, depth: usize) -> Found {
        if depth >= DEPTH_MAX {
            return Found::Nothing;
        }
        let mut here = root.clone();
        for part in address.split('.').filter(|part| !part.is_empty()) {
            if here.as_str().is_some_and(|text| text.contains("${")) {
                here = self.tree(&here, depth + 1);
            }
            let next = match &here {
                Value::Sequence(list) => part.parse().ok().and_then(|at: usize| list.get(at)),
                Value::Mapping(map) => map
                    .iter()
                    .find(|(key, _)| key_text(key) == part)
                    .map(|(_, value)| value),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Tagged(_) => None,
            };
            match next.cloned() {
                Some(next) => here = next,
                None => return Found::Nothing,
            }
        }
        let value = self.tree(&here, depth + 1);
        if value.is_null() {
            Found::Nothing
        } else {
            Found::Value(value)
        }
    }

    fn param(&self, name: &str, depth: usize) -> Found {
        let stage = self.stage;
        let places = [
            format!("stages.{stage}.params.{name}"),
            format!("params.{stage}.{name}"),
            format!("stages.default.params.{name}"),
            format!("params.default.{name}"),
        ];
        for place in places {
            let found = self.walk(self.root, &place, depth);
            if !matches!(found, Found::Nothing) {
                return found;
            }
        }
        self.seen.params.borrow_mut().insert(name.to_owned());
        Found::Ours(format!("param:{name}"))
    }

    fn file(&self, path: &str, key: &str, depth: usize) -> Found {
        let path = path.trim().trim_start_matches("./");
        let Some(text) = (self.files)(path) else {
            self.seen.missing.borrow_mut().insert(path.to_owned());
            return Found::Nothing;
        };
        let is_tree = [".yml", ".yaml", ".json"]
            .iter()
            .any(|end| path.ends_with(end));
        if !is_tree {
            return Found::Value(text.into());
        }
        match super::tree::parse(&text) {
            Ok(tree) => self.walk(&tree, key, depth),
            Err(_) => Found::Nothing,
        }
    }
}

/// The last `${` and the `}` after it: nothing is nested in there.
fn innermost(text: &str) -> Option<(usize, usize)> {
    let mut before = text;
    // One without an end is no variable, and does not hide those before it.
    while let Some(start) = before.rfind("${") {
        if let Some(length) = text[start..].find('}') {
            return Some((start, start + length));
        }
        before = &text[..start];
    }
    None
}

/// `env:X, 'a, b'` has two.
fn alternatives(expression: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quote, mut open) = (0, None, 0_usize);
    for (at, c) in expression.char_indices() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => open += 1,
            (None, ')') => open = open.saturating_sub(1),
            (None, ',') if open == 0 => {
                parts.push(expression[start..at].trim());
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(expression[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn literal(source: &str) -> Option<Value> {
    let quoted = |quote: char| source.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = quoted('\'').or_else(|| quoted('"')) {
        return Some(text.into());
    }
    match source {
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        _ => source
            .parse::<serde_json::Number>()
            .ok()
            .and_then(|number| {
                let whole = number.as_i64().map(Value::from);
                whole.or_else(|| number.as_f64().map(Value::from))
            }),
    }
}

/// `file(a.yml):b.c` is `file(a.yml)` and `b.c`.
fn head_and_address(source: &str) -> (&str, &str) {
    let (head, address) = match source.find(')') {
        Some(at) => source.split_at(at + 1),
        None => source.split_at(source.find(':').unwrap_or(source.len())),
    };
    (head, address.strip_prefix(':').unwrap_or(address))
}

fn git(address: &str) -> Found {
    const KNOWN: [&str; 5] = ["sha1", "commit", "branch", "message", "messageSubject"];
    match KNOWN.contains(&address) {
        true => Found::Ours(format!("git:{address}")),
        false => Found::Nothing,
    }
}

fn boolean(given: &str) -> Found {
    match given
        .trim()
        .trim_matches(['\'', '"'])
        .to_lowercase()
        .as_str()
    {
        "true" | "1" => Found::Value(true.into()),
        "false" | "0" | "null" => Found::Value(false.into()),
        _ => Found::Nothing,
    }
}

fn with_default(ours: String, rest: Found) -> String {
    match rest {
        Found::Value(Value::String(text)) if !text.contains('\'') => format!("{ours}, '{text}'"),
        Found::Value(value) => match scalar_text(&value) {
            Some(text) => format!("{ours}, {text}"),
            None => ours,
        },
        Found::Ours(next) => format!("{ours}, {next}"),
        Found::Nothing => ours,
    }
}
