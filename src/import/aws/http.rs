//! Routes of API Gateway's two kinds. A function answers at its own address here; nobody stands before it.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::events::Calls;
use crate::{
    import::{
        Job,
        tree::{At, filled, put},
    },
    manifest,
};

/// Routes of one function as they are read.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Path and methods; no method is any.
    found: Vec<(String, BTreeSet<String>)>,
    cors: Option<Value>,
    /// Callers were asked who they are.
    is_guarded: bool,
}

const GUARDED: &str = "nobody is asked before the function here; until you check the caller in it, its address takes signed requests only \
    (`aws.url.auth: iam`)";

impl Routes {
    /// An event of a REST API.
    pub(super) fn rest(&mut self, job: &mut Job<'_>, at: &At<'_>) {
        self.route(job, at);
        if let Some(cors) = at.get("cors") {
            let found = cors_of_rest(job, &cors);
            self.cors = self.cors.take().or(found);
        }
        for key in ["authorizer", "private"] {
            self.guard(job, at.get(key));
        }
        if let Some(wait) = at.get("async") {
            job.ledger.impossible(
                &wait,
                "whoever calls waits for the answer; nearest: a queue, with `queue`",
            );
        }
    }

    /// An event of an HTTP API.
    pub(super) fn http(&mut self, job: &mut Job<'_>, at: &At<'_>, cors: Option<&Value>) {
        self.route(job, at);
        self.cors = self.cors.take().or_else(|| cors.cloned());
        self.guard(job, at.get("authorizer"));
    }

    fn guard(&mut self, job: &mut Job<'_>, at: Option<At<'_>>) {
        let Some(at) = at.filter(|at| !at.is_false()) else {
            return;
        };
        self.is_guarded = true;
        let kind = at
            .get("type")
            .and_then(|kind| kind.text())
            .or_else(|| at.text());
        if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("aws_iam")) {
            job.ledger.changed(
                &at,
                "`aws.url.auth: iam`: whoever signs as somebody who is permitted",
            );
        } else {
            job.ledger.impossible(&at, GUARDED);
        }
    }

    fn route(&mut self, job: &mut Job<'_>, at: &At<'_>) {
        let written = match at.text() {
            Some(text) => match text.split_once(' ') {
                Some((method, path)) => (method.to_owned(), path.to_owned()),
                None => ("*".to_owned(), text),
            },
            None => {
                let part = |key: &str| at.get(key).and_then(|at| at.text());
                (
                    part("method").unwrap_or_else(|| "*".to_owned()),
                    part("path").unwrap_or_else(|| "*".to_owned()),
                )
            }
        };
        let (method, path) = (written.0.to_uppercase(), path(&written.1));
        let is_any = method == "*" || method == "ANY";
        let (word, claimed) = match is_any {
            true => ("ANY", ""),
            false => (method.as_str(), method.as_str()),
        };
        let is_known = manifest::is_route(&format!("{word} {path}"));
        if !is_known || !job.claim(claimed, &path) {
            let why = match is_known {
                true => "another function of the file answers the same requests",
                false => "is no route that both clouds have",
            };
            job.ledger.impossible(at, why);
            return;
        }
        job.ledger.taken(at, "functions.NAME.http");
        let word = word.to_owned();
        match self.found.iter_mut().find(|(known, _)| *known == path) {
            Some((_, methods)) => {
                methods.insert(word);
            }
            None => self.found.push((path, BTreeSet::from([word]))),
        }
    }

    /// Hands the routes over.
    pub(super) fn close(self, _job: &mut Job<'_>, calls: &mut Calls) {
        for (path, methods) in self.found {
            let methods: Vec<String> = match methods.contains("ANY") {
                true => vec!["ANY".to_owned()],
                false => methods.into_iter().collect(),
            };
            calls.http.push(format!("{} {path}", methods.join(",")));
        }
        if self.is_guarded {
            put(&mut calls.url, "auth", Some("iam".into()));
        }
        put(&mut calls.url, "cors", self.cors);
    }
}

/// `users/{user-id}` is `/users/{user_id}`; `*` is every path.
fn path(written: &str) -> String {
    let written = written.trim().trim_matches('/');
    if written == "*" || written == "$default" {
        return "/{path+}".to_owned();
    }
    let part = |part: &str| match part.starts_with('{') {
        true => part.replace(['-', '.', '$'], "_"),
        false => part.to_owned(),
    };
    let parts: Vec<String> = written.split('/').map(part).collect();
    format!("/{}", parts.join("/"))
}

/// CORS of an HTTP API or a function's URL; `true` is everything.
pub(super) fn cors(job: &mut Job<'_>, at: &At<'_>, field: &str) -> Option<Value> {
    if at.is_false() || at.is_null() {
        job.ledger
            .unneeded(at, "no page of another origin may call unless it is said");
        return None;
    }
    let mut cors = Mapping::new();
    put(
        &mut cors,
        "origins",
        list(at.get("allowedOrigins")).or_else(everything),
    );
    put(&mut cors, "methods", list(at.get("allowedMethods")));
    put(&mut cors, "headers", list(at.get("allowedHeaders")));
    put(&mut cors, "expose", list(at.get("exposedResponseHeaders")));
    if at.get("allowCredentials").is_some_and(|at| at.is_true()) {
        put(&mut cors, "credentials", Some(true.into()));
    }
    put(&mut cors, "maxAge", age(at.get("maxAge")));
    job.ledger.taken(at, field);
    filled(cors)
}

fn cors_of_rest(job: &mut Job<'_>, at: &At<'_>) -> Option<Value> {
    if at.is_false() || at.is_null() {
        job.ledger
            .unneeded(at, "no page of another origin may call unless it is said");
        return None;
    }
    let mut cors = Mapping::new();
    let origins = list(at.get("origins")).or_else(|| list(at.get("origin")));
    put(&mut cors, "origins", origins.or_else(everything));
    put(&mut cors, "methods", list(at.get("methods")));
    put(&mut cors, "headers", list(at.get("headers")));
    if at.get("allowCredentials").is_some_and(|at| at.is_true()) {
        put(&mut cors, "credentials", Some(true.into()));
    }
    put(&mut cors, "maxAge", age(at.get("maxAge")));
    job.ledger.taken(at, "functions.NAME.aws.url.cors");
    if let Some(control) = at.get("cacheControl") {
        job.ledger.impossible(
            &control,
            "answers to a browser's question are kept for `maxAge`",
        );
    }
    filled(cors)
}

fn everything() -> Option<Value> {
    Some(vec![Value::from("*")].into())
}

/// Texts, whether one or a list of them.
fn list(at: Option<At<'_>>) -> Option<Value> {
    let at = at?;
    let one = at
        .text()
        .map(|text| text.split(',').map(|part| part.trim().to_owned()).collect());
    let texts: Vec<String> =
        one.unwrap_or_else(|| at.items().iter().filter_map(At::text).collect());
    (!texts.is_empty()).then(|| texts.into())
}

fn age(at: Option<At<'_>>) -> Option<Value> {
    let seconds = at?.number()?;
    (seconds > 0).then(|| format!("{}s", seconds.min(86_400)).into())
}
