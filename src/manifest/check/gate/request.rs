//! What a gate sends, and what may be asked of an answer.

use std::collections::BTreeMap;

use super::super::super::raw::{At, Named, Report};

pub(in crate::manifest::check) fn request_path(
    path: &At<String>,
    report: &mut Report,
) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '#';
    if path.value.starts_with('/') && path.value.chars().all(is_plain) {
        return Some(path.value.clone());
    }
    let help = "such as `/stock/42?full=1`; the host is the slot's";
    report.fault(
        &path.place,
        "must start with `/` and hold no space or fragment",
        help,
    );
    None
}

pub(in crate::manifest::check) fn response_status(
    status: &At<u32>,
    report: &mut Report,
) -> Option<u16> {
    let code = u16::try_from(status.value)
        .ok()
        .filter(|code| (100..=599).contains(code));
    if code.is_none() {
        report.fault(
            &status.place,
            format!("`{}` is no HTTP status", status.value),
            "100 to 599",
        );
    }
    code
}

pub(in crate::manifest::check) fn within(
    number: &At<u32>,
    max: u32,
    report: &mut Report,
) -> Option<u32> {
    if number.value <= max {
        return Some(number.value);
    }
    report.fault(&number.place, format!("must be at most {max}"), "");
    None
}

pub(in crate::manifest::check) fn headers_of(
    headers: &Option<At<Named<String, String>>>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let Some(headers) = headers else {
        return BTreeMap::new();
    };
    for (name, value) in &headers.value.0 {
        if http::HeaderName::from_bytes(name.value.as_bytes()).is_err() {
            report.fault(
                &name.place,
                "is no name of a header",
                "such as `x-request-id`",
            );
        }
        if http::HeaderValue::from_str(&value.value).is_err() {
            report.fault(
                &value.place,
                "is no value of a header",
                "one line of plain text",
            );
        }
    }
    headers.value.to_map()
}
