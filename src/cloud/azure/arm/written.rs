//! What each writing call of ours makes of later answers: who reads before Azure tells it asks again.
//!
//! A resource is known by its path. What is awaited of it: that it is there or gone, its version, its tags, its state, and settings.

use std::cell::LazyCell;

use azure_core::http::Method;
use serde_json::Value;

use super::{
    Answer, Arm, Call, Payload,
    operation::{self, Operation},
};
use crate::cloud::unseen::{Mark, Unseen, there};

const THERE: &str = "there";
const ETAG: &str = "etag";
const STATE: &str = "state";
const NAMES: &str = "names";
const TAG: &str = "tag ";
const SETTING: &str = "setting ";

const LISTED: &str = "/config/appsettings/list";
const TAGS: &str = "/providers/microsoft.resources/tags/default";
const ROLES: &str = "/providers/microsoft.authorization/roleassignments";
/// Settings that say what a slot holds.
const OURS: &str = "VERDIGRIS_";

/// What a call writes.
pub(super) struct Written {
    operation: Operation,
    path: String,
    body: Value,
    if_match: Option<String>,
}

impl Written {
    pub(super) fn of(call: &Call<'_>) -> Self {
        let body = match &call.payload {
            Payload::Json(body) => body.clone(),
            Payload::Nothing | Payload::Package(_, _) | Payload::Blob(_) | Payload::Storage => {
                Value::Null
            }
        };
        Self {
            operation: call.operation,
            path: path_of(call),
            body,
            if_match: call.if_match.clone(),
        }
    }
}

fn path_of(call: &Call<'_>) -> String {
    call.url.path().to_ascii_lowercase()
}

/// By what a read of one thing is known.
pub(super) fn one(call: &Call<'_>) -> String {
    path_of(call)
}

/// By what a list is known: of roles, whose they are.
pub(super) fn many(call: &Call<'_>) -> String {
    let path = path_of(call);
    let mut query = call.url.query_pairs();
    let filter = query.find(|(name, _)| name == "$filter");
    match filter.filter(|_| path.ends_with(ROLES)) {
        Some((_, filter)) => roles_of(filter.split('\'').nth(1).unwrap_or_default(), &path),
        None => list_at(&path),
    }
}

/// They are listed by group: those that are given elsewhere are not told there.
fn roles_of(principal: &str, path: &str) -> String {
    let group: Vec<_> = path.split('/').take(5).collect();
    format!("roles {principal} {}", group.join("/"))
}

fn list_at(path: &str) -> String {
    format!("list {path}")
}

/// What an answer says of a part.
pub(super) fn marks(told: Option<&Answer>) -> impl Fn(&str) -> Mark {
    let body = LazyCell::new(move || told.map(Answer::json).unwrap_or_default());
    move |part| {
        let told = told?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match part {
            THERE => there(true),
            ETAG => told.etag.clone(),
            STATE => text(&body["properties"]["state"]),
            NAMES => Some(names_in(&body)),
            part => match part.strip_prefix(TAG) {
                Some(tag) => text(&body["tags"][tag]),
                None => text(&body["properties"][part.strip_prefix(SETTING)?]),
            },
        }
    }
}

/// Whether a list has an item.
pub(super) fn listed(items: &[Value], name: &str) -> Mark {
    let is = |item: &Value| {
        let told = item["name"].as_str().unwrap_or_default();
        last_of(told).eq_ignore_ascii_case(name)
    };
    there(items.iter().any(is))
}

fn last_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Of `slotConfigNames`, in any order.
fn names_in(body: &Value) -> String {
    let names = body["properties"]["appSettingNames"].as_array();
    let mut names: Vec<_> = names.into_iter().flatten().map(Value::to_string).collect();
    names.sort_unstable();
    names.concat()
}

fn texts(map: &Value) -> impl Iterator<Item = (&String, &str)> {
    let map = map.as_object().into_iter().flatten();
    map.filter_map(|(name, value)| Some((name, value.as_str()?)))
}

impl Arm {
    /// It was taken.
    pub(super) fn note(&self, written: &Written) {
        let Written {
            operation,
            path,
            body,
            if_match,
        } = written;
        // Packages are told by their accounts, at once.
        if !path.starts_with("/subscriptions/") {
            return;
        }
        let unseen = &self.unseen;
        match operation.name {
            name if name == operation::SITES_START.name => {
                let site = path.trim_end_matches("/start");
                unseen.wrote(site, STATE, Some("Running".to_owned()));
            }
            name if name == operation::TAGS_PATCH.name => note_tags(unseen, path, body),
            name if name == operation::SETTINGS_PUT.name => {
                let list = format!("{path}/list");
                unseen.forget(&list);
                for (name, value) in texts(&body["properties"]) {
                    note_setting(unseen, &list, name, value);
                }
            }
            name if name == operation::STICKY_PUT.name => {
                unseen.wrote(path, NAMES, Some(names_in(body)));
            }
            _ if operation.method == Method::Put => {
                self.note_put(path, body, if_match.as_deref());
            }
            _ if operation.method == Method::Delete => self.note_gone(path),
            _ => {}
        }
    }

    fn note_put(&self, path: &str, body: &Value, if_match: Option<&str>) {
        let unseen = &self.unseen;
        let (parent, name) = path.rsplit_once('/').unwrap_or_default();
        match body["properties"]["principalId"].as_str() {
            Some(principal) => return unseen.replaced(&roles_of(principal, path), name, None),
            None => unseen.replaced(&list_at(parent), name, None),
        }
        unseen.replaced(path, THERE, None);
        if let Some(before) = if_match.filter(|version| *version != "*") {
            unseen.replaced(path, ETAG, Some(before.to_owned()));
        }
        if is_app(path) {
            unseen.replaced(&format!("{path}{LISTED}"), THERE, None);
            for (tag, value) in texts(&body["tags"]) {
                let part = format!("{TAG}{tag}");
                unseen.wrote(path, &part, Some(value.to_owned()));
            }
        }
    }

    fn note_gone(&self, path: &str) {
        let (parent, name) = path.rsplit_once('/').unwrap_or_default();
        self.unseen.forget(&format!("{path}/"));
        self.unseen.forget(path);
        self.unseen.wrote(path, THERE, None);
        self.unseen.wrote(&list_at(parent), name, None);
        if is_app(path) {
            self.unseen.wrote(&format!("{path}{LISTED}"), THERE, None);
        }
    }

    /// Each of two slots, by its id, holds what the other one had before.
    pub(in crate::cloud::azure) fn note_exchange<'a>(
        &self,
        slots: [&str; 2],
        had: [impl Iterator<Item = (&'a String, &'a String)>; 2],
    ) {
        let [one, other] = slots.map(|id| format!("{}{LISTED}", id.to_ascii_lowercase()));
        let [of_one, of_other] = had;
        for (list, coming) in [(one, of_other), (other, of_one)] {
            self.unseen.forget(&list);
            for (name, value) in coming.filter(|(name, _)| name.starts_with(OURS)) {
                note_setting(&self.unseen, &list, name, value);
            }
        }
    }
}

fn note_setting(unseen: &Unseen, list: &str, name: &str, value: &str) {
    let part = format!("{SETTING}{name}");
    unseen.wrote(list, &part, Some(value.to_owned()));
}

fn note_tags(unseen: &Unseen, path: &str, body: &Value) {
    let resource = path.trim_end_matches(TAGS);
    let goes = body["operation"] == "Delete";
    for (tag, value) in texts(&body["properties"]["tags"]) {
        let part = format!("{TAG}{tag}");
        unseen.wrote(resource, &part, (!goes).then(|| value.to_owned()));
    }
}

/// A Function App or a slot of one.
fn is_app(path: &str) -> bool {
    let below = path.split_once("/providers/microsoft.web/sites/");
    let parts = below.map(|(_, rest)| rest.split('/').collect::<Vec<_>>());
    parts.is_some_and(|parts| matches!(parts.as_slice(), [_] | [_, "slots", _]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_says_what_was_written() {
        let body = json!({"tags": {"owner": "us"}, "properties": {"state": "Running", "appSettingNames": ["b", "a"], "X": "1"}});
        let answer = Answer {
            status: 200,
            body: body.to_string().into(),
            ..Answer::default()
        };
        let mark = marks(Some(&answer));
        for (part, told) in [
            (THERE, Some("")),
            (ETAG, None),
            (STATE, Some("Running")),
            (NAMES, Some("\"a\"\"b\"")),
            ("tag owner", Some("us")),
            ("tag other", None),
            ("setting X", Some("1")),
        ] {
            assert_eq!(mark(part).as_deref(), told, "{part}");
        }
        assert_eq!(marks(None)(THERE), None);
        let slots = [json!({"name": "app/green"})];
        assert_eq!(listed(&slots, "green"), Some(String::new()));
        assert_eq!(listed(&slots, "app"), None);
    }

    #[test]
    fn apps_and_slots_are_told_from_what_is_in_them() {
        let site = "/subscriptions/s/resourcegroups/g/providers/microsoft.web/sites/app";
        assert!(is_app(site));
        assert!(is_app(&format!("{site}/slots/green")));
        assert!(!is_app(&format!("{site}/config/web")));
        assert!(!is_app("/subscriptions/s/resourcegroups/g"));
    }
}
