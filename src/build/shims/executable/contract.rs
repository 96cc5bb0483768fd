//! What a program sees and a client gets, the same on both clouds: requests, answers and events. Pure.

use std::collections::BTreeMap;

use super::json;

/// Only events have paths that begin so: a client's request to one of them is not found.
pub(crate) const EVENTS: &str = "/.verdigris/";

const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Names and values; a value's characters are its bytes (Latin-1).
pub(crate) type Headers = Vec<(String, String)>;

/// A request as the program is to see it, whichever cloud it came through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What goes back: header names in lower case and once each, cookies apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) cookies: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(
        method: &str,
        path: &str,
        query: &str,
        headers: Headers,
        body: Vec<u8>,
    ) -> Self {
        let mut joined: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            if HOP_BY_HOP.contains(&name.as_str()) || name == "content-length" || name == "expect" {
                continue;
            }
            let glue = if name == "cookie" { "; " } else { "," };
            join(joined.entry(name), glue, &value);
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            joined.insert("content-length".to_owned(), body.len().to_string());
        }
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            visible(path)
        };
        Self {
            method: method.to_owned(),
            path,
            query: visible(query),
            headers: joined,
            body,
        }
    }
}

impl Answer {
    pub(crate) fn new(
        status: u16,
        headers: Headers,
        body: Vec<u8>,
        method: &str,
        release: &str,
    ) -> Self {
        let body = if is_bodiless(status, method) {
            Vec::new()
        } else {
            body
        };
        let head = Self::head(status, headers, !body.is_empty(), release);
        Self { body, ..head }
    }

    /// An answer whose body goes by itself, if it has one.
    pub(crate) fn head(status: u16, headers: Headers, has_body: bool, release: &str) -> Self {
        let mut kept: Headers = Vec::new();
        let mut cookies = Vec::new();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            if name == "set-cookie" {
                cookies.push(value);
            } else if name == "content-length"
                || name == "x-verdigris-release"
                || HOP_BY_HOP.contains(&name.as_str())
            {
                continue;
            } else if let Some((_, known)) = kept.iter_mut().find(|(known, _)| *known == name) {
                known.push_str(", ");
                known.push_str(&value);
            } else {
                kept.push((name, value));
            }
        }
        if has_body && !kept.iter().any(|(name, _)| name == "content-type") {
            kept.push((
                "content-type".to_owned(),
                "application/octet-stream".to_owned(),
            ));
        }
        kept.push(("x-verdigris-release".to_owned(), release.to_owned()));
        Self {
            status,
            headers: kept,
            cookies,
            body: Vec::new(),
        }
    }

    pub(crate) fn plain(status: u16, text: &str, method: &str, release: &str) -> Self {
        let headers = vec![(
            "content-type".to_owned(),
            "text/plain; charset=utf-8".to_owned(),
        )];
        Self::new(
            status,
            headers,
            format!("{text}\n").into_bytes(),
            method,
            release,
        )
    }
}

pub(crate) fn is_bodiless(status: u16, method: &str) -> bool {
    method == "HEAD" || matches!(status, 204 | 205 | 304)
}

fn join(entry: std::collections::btree_map::Entry<'_, String, String>, glue: &str, value: &str) {
    entry
        .and_modify(|known| {
            known.push_str(glue);
            known.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

/// Leaves a raw path or query as it is, except for what could not have been sent so.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if ('!'..='~').contains(&c) {
            shown.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                shown.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    shown
}

/// A header's value as the bytes that it stands for.
pub(crate) fn value_bytes(value: &str) -> Vec<u8> {
    let narrow: Result<Vec<u8>, _> = value.chars().map(|c| u8::try_from(u32::from(c))).collect();
    narrow.unwrap_or_else(|_| value.as_bytes().to_vec())
}

// === Events ===

/// What sent an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    Schedule,
    Queue(&'a str),
    Topic(&'a str),
    Bucket(&'a str),
    Stream(&'a str),
}

/// What a CloudEvent tells about itself; what is unknown is left out.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) deliveries: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Event {
    /// The event as a request in CloudEvents' binary mode.
    pub(crate) fn request(self, function: &str, origin: Origin<'_>) -> Request {
        let (kind, source) = match origin {
            Origin::Schedule => ("dev.verdigris.schedule", format!("/schedules/{function}")),
            Origin::Queue(name) => ("dev.verdigris.queue.message", format!("/queues/{name}")),
            Origin::Topic(name) => ("dev.verdigris.topic.message", format!("/topics/{name}")),
            Origin::Bucket(name) => ("dev.verdigris.bucket.change", format!("/buckets/{name}")),
            Origin::Stream(name) => ("dev.verdigris.stream.record", format!("/streams/{name}")),
        };
        let attributes = [
            ("ce-deliverycount", self.deliveries),
            ("ce-id", self.id),
            ("ce-source", Some(source)),
            ("ce-specversion", Some("1.0".to_owned())),
            ("ce-time", self.time),
            ("ce-type", Some(kind.to_owned())),
        ];
        let mut headers: Headers = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), visible(&value?))))
            .collect();
        if !self.body.is_empty() {
            let is_json = json::parse(&self.body).is_some();
            let kind = if is_json {
                "application/json"
            } else {
                "text/plain; charset=utf-8"
            };
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        headers.push(("host".to_owned(), "localhost".to_owned()));
        Request::new(
            "POST",
            &format!("{EVENTS}events/{function}"),
            "",
            headers,
            self.body,
        )
    }
}

/// Milliseconds since 1970 as RFC 3339, after Howard Hinnant's way from days to dates.
pub(crate) fn moment(millis: &str) -> Option<String> {
    let millis: i64 = millis
        .parse()
        .ok()
        .filter(|millis| (0..=253_402_300_799_999).contains(millis))?;
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1_000 % 60, rest % 1_000);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    ))
}
