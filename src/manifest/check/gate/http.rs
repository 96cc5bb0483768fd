//! The requests of a gate: each can be sent, and asks only for what an answer before it left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json_path::JsonPath;

use super::super::{
    super::{
        raw::{At, CaptureText, ExpectText, HttpText, Named, Report, RequestText},
        spec::{Capture, HttpGate, HttpStep},
        template::{is_name, names},
        yaml::Place,
    },
    value,
};
use super::request::{headers_of, request_path, response_status, within};

const RETRIES_MAX: u32 = 100;
const REQUESTS_MAX: usize = 20;

/// Longer ones are a program.
const JSON_PATH_MAX: usize = 256;

/// `is_judged` says that a condition speaks of the last answer's status.
pub(in crate::manifest::check) fn http(
    text: &At<HttpText>,
    is_judged: bool,
    report: &mut Report,
) -> Option<HttpGate> {
    let mut known = BTreeSet::new();
    let Some(requests) = &text.value.requests else {
        let request = alone(&text.value);
        if request.path.is_none() {
            report.fault(&text.place.key(), "`path` is missing", "");
        }
        return step(&request, is_judged, &mut known, report).map(HttpGate::from);
    };
    for place in other_keys(&text.value) {
        let help = "write it into one of the `requests`";
        report.fault(&place.key(), "does not stand beside `requests`", help);
    }
    let count = requests.value.len();
    if count == 0 || count > REQUESTS_MAX {
        let message = format!("must be between 1 and {REQUESTS_MAX} requests");
        report.fault(&requests.place, message, "");
    }
    let mut steps = Vec::new();
    for (index, request) in requests.value.iter().enumerate() {
        let is_judged = is_judged && index + 1 == count;
        steps.push(step(&request.value, is_judged, &mut known, report));
    }
    let mut steps = steps.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
    Some(HttpGate {
        first: steps.next()?,
        then: steps.collect(),
    })
}

/// The one request of a gate that has no list of them.
fn alone(text: &HttpText) -> RequestText {
    let HttpText {
        requests: _,
        path,
        method,
        headers,
        body,
        status,
        expect,
        latency,
        retries,
        capture,
    } = text.clone();
    RequestText {
        name: None,
        path,
        method,
        headers,
        body,
        status,
        expect,
        latency,
        retries,
        capture,
    }
}

fn other_keys(text: &HttpText) -> Vec<Place> {
    fn place<T>(field: &Option<At<T>>) -> Option<Place> {
        field.as_ref().map(|at| at.place.clone())
    }
    let HttpText {
        requests: _,
        path,
        method,
        headers,
        body,
        status,
        expect,
        latency,
        retries,
        capture,
    } = text;
    let places = [
        place(path),
        place(method),
        place(headers),
        place(body),
        place(status),
        place(expect),
        place(latency),
        place(retries),
        place(capture),
    ];
    places.into_iter().flatten().collect()
}

fn step(
    text: &RequestText,
    is_judged: bool,
    known: &mut BTreeSet<String>,
    report: &mut Report,
) -> Option<HttpStep> {
    check_names(text, known, report);
    let RequestText {
        name,
        path,
        method,
        headers,
        body,
        status,
        expect,
        latency,
        retries,
        capture,
    } = text;
    let path = path.as_ref().and_then(|path| request_path(path, report));
    let status = match status {
        None => Some((!is_judged).then_some(200)),
        Some(status) => response_status(status, report).map(Some),
    };
    let retries = retries
        .as_ref()
        .map_or(Some(0), |at| within(at, RETRIES_MAX, report));
    let headers = headers_of(headers, report);
    let expect = expect.as_ref().map(|at| &at.value);
    let expect_headers = match expect {
        Some(ExpectText { headers, json: _ }) => headers_of(headers, report),
        None => BTreeMap::new(),
    };
    let expect_json = expect.and_then(|expect| expect.json.as_ref());
    let expect_json = expect_json.map(|json| json_places(&json.value, report));
    let capture = captures(capture, report);
    known.extend(capture.keys().cloned());
    Some(HttpStep {
        name: value(name).map(|name| name.to_string()),
        method: value(method).map_or_else(|| "GET".to_owned(), |word| word.0),
        path: path?,
        headers,
        body: value(body),
        status: status?,
        expect_headers,
        expect_json: expect_json.unwrap_or_default(),
        latency: value(latency).map(|length| length.0),
        retries: retries?,
        capture,
    })
}

/// Everything that a request asks for was captured before it.
fn check_names(text: &RequestText, known: &BTreeSet<String>, report: &mut Report) {
    let headers = text.headers.iter().flat_map(|headers| &headers.value.0);
    let expect = text.expect.iter().map(|at| &at.value);
    let expected = expect
        .clone()
        .flat_map(|it| &it.headers)
        .flat_map(|at| &at.value.0);
    let mut texts: Vec<(String, Place)> = text
        .path
        .iter()
        .chain(&text.body)
        .chain(headers.chain(expected).map(|(_, value)| value))
        .map(|at| (at.value.clone(), at.place.clone()))
        .collect();
    for (_, value) in expect.flat_map(|it| &it.json).flat_map(|at| &at.value.0) {
        texts.extend(
            texts_of(&value.value)
                .into_iter()
                .map(|text| (text, value.place.clone())),
        );
    }
    for (text, place) in texts {
        for name in names(&text)
            .into_iter()
            .filter(|name| !known.contains(*name))
        {
            let message = format!("no request before this one captures `{name}`");
            let help = format!("`$${{{name}}}` stands for the text `${{{name}}}` itself");
            report.fault(&place, message, help);
        }
    }
}

fn texts_of(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(texts_of).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(texts_of).collect(),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
            Vec::new()
        }
    }
}

fn captures(
    texts: &Option<At<Named<String, CaptureText>>>,
    report: &mut Report,
) -> BTreeMap<String, Capture> {
    let mut captures = BTreeMap::new();
    for (name, text) in texts.iter().flat_map(|at| &at.value.0) {
        if !is_name(&name.value) {
            let help = "letters, digits and `_`, such as `orderId`";
            report.fault(&name.place, "is no name for a captured value", help);
        }
        let capture = capture(text, report);
        captures.extend(capture.map(|capture| (name.value.clone(), capture)));
    }
    captures
}

fn capture(text: &At<CaptureText>, report: &mut Report) -> Option<Capture> {
    let json = |value: String, place: &Place, report: &mut Report| {
        let place = place.clone();
        json_place(
            &At {
                value: value.clone(),
                place,
            },
            report,
        );
        Capture::Json(value)
    };
    match &text.value {
        CaptureText::Json(path) => Some(json(path.clone(), &text.place, report)),
        CaptureText::Long(long) => match (&long.json, &long.header) {
            (Some(path), None) => Some(json(path.value.clone(), &path.place, report)),
            (None, Some(header)) => {
                if ::http::HeaderName::from_bytes(header.value.as_bytes()).is_err() {
                    report.fault(
                        &header.place,
                        "is no name of a header",
                        "such as `location`",
                    );
                }
                Some(Capture::Header(header.value.clone()))
            }
            (Some(_), Some(_)) | (None, None) => {
                report.fault(&text.place, "must be `json` or `header`", "one of the two");
                None
            }
        },
    }
}

/// A pointer or a path that can be looked up.
fn json_place(place: &At<String>, report: &mut Report) {
    let text = &place.value;
    if text.starts_with('$') {
        let is_deep = text.matches(['(', '[', '!']).count() > 32;
        let parsed = if is_deep || text.len() > JSON_PATH_MAX {
            Err("it is too long".to_owned())
        } else {
            JsonPath::parse(text).map_err(|error| format!("see column {}", error.position() + 1))
        };
        if let Err(why) = parsed {
            let message = format!("is no JSON path: {why}");
            report.fault(&place.place, message, "such as `$.items[0].sku` (RFC 9535)");
        }
    } else if !text.is_empty() && !text.starts_with('/') {
        let help = format!("write `/{}` or `$.{text}`", text.replace('.', "/"));
        let message = "a JSON pointer starts with `/`, a JSON path with `$`";
        report.fault(&place.place, message, help);
    }
}

fn json_places(
    json: &Named<String, serde_json::Value>,
    report: &mut Report,
) -> BTreeMap<String, serde_json::Value> {
    for (place, _) in &json.0 {
        json_place(place, report);
    }
    json.to_map()
}
