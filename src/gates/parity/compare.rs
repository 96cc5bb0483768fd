//! Compares two answers, after what is declared not to matter was left out. Knows nothing of gates or slots, so that whoever has two
//! answers to the same request can use it.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::{
    gates::{
        json::is_same,
        shown::{HIDDEN, is_secret},
    },
    manifest::gates::Normal,
    rollout::evidence::cut_end,
};

/// Differences that are told of one pair of answers.
const FOUND_MAX: usize = 20;

/// Longest value that is shown.
const SHOWN_MAX: usize = 300;

/// Bytes that a compiled pattern may take; the manifest's check allows no more.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Headers that differ between any two answers, or between the clouds, and say nothing about the release.
const VARYING: [&str; 14] = [
    "age",
    "alt-svc",
    "connection",
    "content-length",
    "date",
    "etag",
    "keep-alive",
    "request-context",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "via",
    "x-powered-by",
];
const VARYING_STARTS: [&str; 6] = [
    "x-amz-",
    "x-amzn-",
    "x-azure-",
    "x-ms-",
    "x-request-",
    "x-verdigris-",
];

/// An answer as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// One thing that differs, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    pub what: String,
    pub one: String,
    pub other: String,
}

/// What is compared, ready to be used.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    normal: &'a Normal,
    replace: Vec<(Regex, &'a str)>,
}

const NOTHING: &str = "nothing";

impl<'a> Comparison<'a> {
    /// # Errors
    ///
    /// A pattern that is no regular expression.
    pub fn new(normal: &'a Normal) -> Result<Self, String> {
        let mut replace = Vec::new();
        for rule in &normal.replace {
            let mut builder = RegexBuilder::new(&rule.pattern);
            let built = builder.size_limit(PATTERN_BYTES_MAX).build();
            let regex =
                built.map_err(|_| format!("`{}` is no regular expression", rule.pattern))?;
            replace.push((regex, rule.with.as_str()));
        }
        Ok(Self { normal, replace })
    }

    /// What differs, the first of it; empty where the answers are alike.
    pub fn differences(&self, one: &Answer, other: &Answer) -> Vec<Found> {
        let mut found = Vec::new();
        if one.status != other.status {
            found.push(Found {
                what: "status".to_owned(),
                one: one.status.to_string(),
                other: other.status.to_string(),
            });
        }
        for name in self.compared_headers(one, other) {
            let (here, there) = (self.header(one, &name), self.header(other, &name));
            if here != there {
                let show = |value: Option<String>| match value {
                    None => NOTHING.to_owned(),
                    Some(_) if is_secret(&name) => HIDDEN.to_owned(),
                    Some(value) => shown(&value),
                };
                found.push(Found {
                    what: format!("header {name}"),
                    one: show(here),
                    other: show(there),
                });
            }
        }
        self.compare_bodies(&one.body, &other.body, &mut found);
        found.truncate(FOUND_MAX);
        found
    }

    fn compared_headers(&self, one: &Answer, other: &Answer) -> BTreeSet<String> {
        let Normal {
            headers,
            ignore_headers,
            ignore: _,
            sort: _,
            replace: _,
        } = self.normal;
        let chosen = headers.iter().filter(|name| *name != "*").cloned();
        let mut compared: BTreeSet<String> = chosen.collect();
        if headers.iter().any(|name| name == "*") {
            let all = one.headers.iter().chain(&other.headers);
            let told = all.map(|(name, _)| name);
            let matters = |name: &&String| !is_varying(name) && !ignore_headers.contains(name);
            compared.extend(told.filter(matters).cloned());
        }
        compared
    }

    /// All values of a header, or none.
    fn header(&self, answer: &Answer, name: &str) -> Option<String> {
        let of_name = answer.headers.iter().filter(|(known, _)| known == name);
        let values: Vec<String> = of_name.map(|(_, value)| self.replaced(value)).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn replaced(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (regex, with) in &self.replace {
            text = regex.replace_all(&text, *with).into_owned();
        }
        text
    }

    fn compare_bodies(&self, one: &[u8], other: &[u8], found: &mut Vec<Found>) {
        let parse = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
        if let (Some(one), Some(other)) = (parse(one), parse(other)) {
            compare_json(&self.normalised(one), &self.normalised(other), "", found);
            return;
        }
        match (str::from_utf8(one), str::from_utf8(other)) {
            (Ok(one), Ok(other)) => {
                compare_texts(&self.replaced(one), &self.replaced(other), found);
            }
            (_, _) if one != other => found.push(Found {
                what: "body".to_owned(),
                one: format!("{} bytes", one.len()),
                other: format!("{} other bytes", other.len()),
            }),
            (_, _) => {}
        }
    }

    fn normalised(&self, mut value: Value) -> Value {
        for pointer in &self.normal.ignore {
            change(&mut value, &parts(pointer), &mut |parent| match parent {
                Place::Entry(map, key) => {
                    map.remove(key);
                }
                // The others keep their places.
                Place::Item(item) => *item = Value::Null,
            });
        }
        if !self.replace.is_empty() {
            self.replace_texts(&mut value);
        }
        for pointer in &self.normal.sort {
            sort_at(&mut value, &parts(pointer));
        }
        value
    }

    fn replace_texts(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.replaced(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace_texts(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.replace_texts(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn is_varying(name: &str) -> bool {
    VARYING.contains(&name) || VARYING_STARTS.iter().any(|start| name.starts_with(start))
}

/// The parts of a JSON pointer.
fn parts(pointer: &str) -> Vec<String> {
    let parts = pointer.split('/').skip(1);
    parts
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// Where a pointer ends.
enum Place<'v> {
    Entry(&'v mut serde_json::Map<String, Value>, &'v str),
    Item(&'v mut Value),
}

/// Does something at every place that a pointer names.
fn change(value: &mut Value, parts: &[String], work: &mut dyn FnMut(Place<'_>)) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    match value {
        Value::Object(map) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            for key in keys.iter().filter(|key| part == "*" || *key == part) {
                if rest.is_empty() {
                    work(Place::Entry(map, key));
                } else if let Some(inner) = map.get_mut(key) {
                    change(inner, rest, work);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                if part != "*" && *part != index.to_string() {
                } else if rest.is_empty() {
                    work(Place::Item(item));
                } else {
                    change(item, rest, work);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn sort_at(value: &mut Value, parts: &[String]) {
    if parts.is_empty() {
        sort(value);
        return;
    }
    change(value, parts, &mut |place| match place {
        Place::Entry(map, key) => {
            if let Some(value) = map.get_mut(key) {
                sort(value);
            }
        }
        Place::Item(item) => sort(item),
    });
}

fn sort(value: &mut Value) {
    if let Value::Array(items) = value {
        items.sort_by_cached_key(Value::to_string);
    }
}

fn compare_json(one: &Value, other: &Value, at: &str, found: &mut Vec<Found>) {
    if found.len() >= FOUND_MAX {
        return;
    }
    match (one, other) {
        (Value::Object(here), Value::Object(there)) => {
            let keys: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
            for key in keys {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (here.get(key), there.get(key)) {
                    (Some(one), Some(other)) => compare_json(one, other, &at, found),
                    (one, other) => found.push(differs(&at, one, other)),
                }
            }
        }
        (Value::Array(here), Value::Array(there)) => {
            for index in 0..here.len().max(there.len()) {
                let at = format!("{at}/{index}");
                match (here.get(index), there.get(index)) {
                    (Some(one), Some(other)) => compare_json(one, other, &at, found),
                    (one, other) => found.push(differs(&at, one, other)),
                }
            }
        }
        (one, other) if is_same(one, other) => {}
        (one, other) => found.push(differs(at, Some(one), Some(other))),
    }
}

fn differs(at: &str, one: Option<&Value>, other: Option<&Value>) -> Found {
    let show = |value: Option<&Value>| match value {
        Some(value) => shown(&value.to_string()),
        None => NOTHING.to_owned(),
    };
    Found {
        what: format!("body {at}").trim_end().to_owned(),
        one: show(one),
        other: show(other),
    }
}

/// The first line that differs says enough: later ones often follow from it.
fn compare_texts(one: &str, other: &str, found: &mut Vec<Found>) {
    if one == other {
        return;
    }
    let (mut here, mut there) = (one.split('\n'), other.split('\n'));
    let mut number = 1_usize;
    let (one, other) = loop {
        match (here.next(), there.next()) {
            (Some(one), Some(other)) if one == other => number += 1,
            (one, other) => break (one, other),
        }
    };
    let show = |line: Option<&str>| line.map_or_else(|| NOTHING.to_owned(), shown);
    found.push(Found {
        what: format!("body, line {number}"),
        one: show(one),
        other: show(other),
    });
}

fn shown(value: &str) -> String {
    let is_shown = |c: &char| !c.is_control() || *c == '\t';
    let mut shown: String = value.chars().filter(is_shown).collect();
    let whole = shown.len();
    cut_end(&mut shown, SHOWN_MAX);
    if shown.len() < whole {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::gates::Replacement;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Answer {
            status,
            headers: headers.iter().map(owned).collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn told(normal: &Normal, one: &Answer, other: &Answer) -> String {
        let found = Comparison::new(normal).unwrap().differences(one, other);
        let tell = |it: &Found| format!("{}: {} | {}", it.what, it.one, it.other);
        found.iter().map(tell).collect::<Vec<_>>().join("\n")
    }

    fn bodies(normal: &Normal, one: &str, other: &str) -> String {
        told(normal, &answer(200, &[], one), &answer(200, &[], other))
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn json_is_compared_by_what_it_says() {
        let plain = Normal::default();
        assert_eq!(
            bodies(&plain, r#"{"a":1,"b":[2]}"#, r#"{ "b":[2.0], "a":1 }"#),
            ""
        );
        assert_eq!(
            bodies(
                &plain,
                r#"{"a":1,"b/c":{"d":[1,2]},"gone":null}"#,
                r#"{"a":"1","b/c":{"d":[1]},"new":true}"#
            ),
            "body /a: 1 | \"1\"\nbody /b~1c/d/1: 2 | nothing\nbody /gone: null | nothing\nbody /new: nothing | true"
        );
        assert_eq!(bodies(&plain, "1", "2"), "body: 1 | 2");
        assert_eq!(bodies(&plain, "{", "{}"), "body, line 1: { | {}");
    }

    #[test]
    fn what_is_declared_not_to_matter_does_not() {
        let normal = Normal {
            ignore: strings(&["/at", "/items/*/id", "/pair/0"]),
            sort: strings(&["/items"]),
            replace: vec![Replacement {
                pattern: r"https://[a-z.]+/".to_owned(),
                with: "HOST/".to_owned(),
            }],
            ..Normal::default()
        };
        let one = r#"{"at":1,"items":[{"id":1,"s":"a"},{"id":2,"s":"b"}],"pair":[1,2],"next":"https://a.example/x"}"#;
        let other = r#"{"at":2,"items":[{"id":8,"s":"b"},{"id":9,"s":"a"}],"pair":[3,2],"next":"https://b.example/x"}"#;
        assert_eq!(bodies(&normal, one, other), "");
        let worse = other.replace(r#""s":"a""#, r#""s":"c""#);
        assert_eq!(
            bodies(&normal, one, &worse),
            "body /items/0/s: \"a\" | \"b\"\nbody /items/1/s: \"b\" | \"c\""
        );
        assert_eq!(
            bodies(&normal, "see https://a.example/x", "see https://b.c/x"),
            ""
        );
    }

    #[test]
    fn chosen_headers_are_compared_and_secrets_hidden() {
        let one = answer(
            200,
            &[
                ("content-type", "a"),
                ("x-token", "s1"),
                ("date", "1"),
                ("x-n", "1"),
            ],
            "",
        );
        let other = answer(
            500,
            &[("content-type", "b"), ("x-token", "s2"), ("date", "2")],
            "",
        );
        let some = Normal {
            headers: strings(&["content-type"]),
            ..Normal::default()
        };
        assert_eq!(
            told(&some, &one, &other),
            "status: 200 | 500\nheader content-type: a | b"
        );
        let all = Normal {
            headers: strings(&["*"]),
            ignore_headers: strings(&["content-type"]),
            ..Normal::default()
        };
        assert_eq!(
            told(&all, &one, &other),
            "status: 200 | 500\nheader x-n: 1 | nothing\nheader x-token: (hidden) | (hidden)"
        );
    }

    #[test]
    fn texts_tell_their_first_line_that_differs_and_bytes_their_number() {
        let plain = Normal::default();
        assert_eq!(bodies(&plain, "a\nb\nc", "a\nx\ny"), "body, line 2: b | x");
        assert_eq!(bodies(&plain, "a", "a\nb"), "body, line 2: nothing | b");
        let bytes = |bytes: &[u8]| Answer {
            body: bytes.to_vec(),
            ..answer(200, &[], "")
        };
        assert_eq!(
            told(&plain, &bytes(&[0xff, 1]), &bytes(&[0xff])),
            "body: 2 bytes | 1 other bytes"
        );
    }
}
