//! What a program sees and a client gets, the same on both clouds: requests, answers, routes and events. Pure.

use std::collections::BTreeMap;

use super::json::{self, Value};

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
        let bodiless = method == "HEAD" || matches!(status, 204 | 205 | 304);
        let body = if bodiless { Vec::new() } else { body };
        if !body.is_empty() && !kept.iter().any(|(name, _)| name == "content-type") {
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
            body,
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

// === Routes ===

/// What `verdigris.json` says.
pub(crate) struct Package {
    functions: Value,
    routes: Vec<Route>,
}

struct Route {
    function: String,
    methods: Vec<String>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Segment {
    Literal(String),
    Name,
    Rest,
}

/// Which function answers a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Found<'a> {
    Function(&'a str),
    /// The path is right, the method is not.
    Methods(Vec<&'a str>),
    Nothing,
}

/// What an event came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Queue,
    Schedule,
}

impl Package {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let functions = json::parse(text)?.get("functions").clone();
        let mut routes: Vec<Route> = functions
            .members()
            .iter()
            .filter_map(|(name, entry)| Route::parse(name, entry.get("http")))
            .collect();
        routes.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Some(Self { functions, routes })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions
            .members()
            .iter()
            .map(|(name, _)| name.as_str())
    }

    pub(crate) fn handler(&self, function: &str) -> Option<&str> {
        self.functions.get(function).get("handler").text()
    }

    pub(crate) fn queue(&self, function: &str) -> Option<&str> {
        self.functions.get(function).get("queue").text()
    }

    /// The function that answers; `only` that one where the cloud has chosen already.
    pub(crate) fn find(&self, method: &str, path: &str, only: Option<&str>) -> Found<'_> {
        let mut allowed = Vec::new();
        if path.starts_with(EVENTS) {
            return Found::Nothing;
        }
        for route in &self.routes {
            if only.is_none_or(|name| name == route.function) && route.matches(path) {
                if route.methods.is_empty() || route.methods.iter().any(|known| known == method) {
                    return Found::Function(&route.function);
                }
                allowed.extend(route.methods.iter().map(String::as_str));
            }
        }
        allowed.sort_unstable();
        allowed.dedup();
        if allowed.is_empty() {
            Found::Nothing
        } else {
            Found::Methods(allowed)
        }
    }

    /// The function and the kind of trigger that an Azure function of this name stands for.
    pub(crate) fn invoked<'a>(&self, name: &'a str) -> Option<(&'a str, Kind)> {
        let (base, suffix) = name.split_once('_').unwrap_or((name, ""));
        let has = |kind| *self.functions.get(base).get(kind) != Value::Null;
        match suffix {
            "" if has("http") => None,
            "" | "queue" if has("queue") => Some((base, Kind::Queue)),
            "" | "schedule" if has("schedule") => Some((base, Kind::Schedule)),
            _ => None,
        }
    }
}

impl Route {
    fn parse(function: &str, http: &Value) -> Option<Self> {
        let path = http.get("path").text()?;
        let methods = http.get("methods").list().iter();
        Some(Self {
            function: function.to_owned(),
            methods: methods.filter_map(Value::text).map(str::to_owned).collect(),
            segments: path
                .strip_prefix('/')?
                .split('/')
                .map(Segment::parse)
                .collect(),
        })
    }

    /// Sorts literal segments before names, and names before the rest of a path.
    fn rank(&self) -> (Vec<u8>, std::cmp::Reverse<usize>, &str) {
        let kinds = self.segments.iter().map(|segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Name => 1,
            Segment::Rest => 2,
        });
        (
            kinds.collect(),
            std::cmp::Reverse(self.segments.len()),
            &self.function,
        )
    }

    fn matches(&self, path: &str) -> bool {
        let given: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        for (index, wanted) in self.segments.iter().enumerate() {
            let Some(segment) = given.get(index) else {
                return false;
            };
            let fits = match wanted {
                Segment::Rest => return given[index..].iter().any(|part| !part.is_empty()),
                Segment::Name => !segment.is_empty(),
                Segment::Literal(text) => decode_percent(segment) == text.as_bytes(),
            };
            if !fits {
                return false;
            }
        }
        given.len() == self.segments.len()
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'))
        {
            Some(name) if name.ends_with('+') => Self::Rest,
            Some(_) => Self::Name,
            None => Self::Literal(text.to_owned()),
        }
    }
}

/// What is not a proper escape stays as it is.
fn decode_percent(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| {
            bytes
                .get(at + offset)
                .and_then(|digit| char::from(*digit).to_digit(16))
        };
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                // Two digits of four bits fit a byte.
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

// === Events ===

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
    pub(crate) fn request(self, function: &str, queue: Option<&str>) -> Request {
        let (kind, source) = match queue {
            Some(queue) => ("dev.verdigris.queue.message", format!("/queues/{queue}")),
            None => ("dev.verdigris.schedule", format!("/schedules/{function}")),
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
