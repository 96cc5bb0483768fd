//! `parity` gates: a file of requests, and what about the answers is overlooked.

use super::super::{
    super::{
        gates::{Normal, ParityGate, Replacement},
        raw::{At, ParityText, ReplaceText, Report},
    },
    value,
};

/// More would make every answer a long search.
const RULES_MAX: usize = 100;

/// A pattern that grows beyond this when it is compiled is not one that people meant.
const PATTERN_BYTES_MAX: usize = 1 << 20;

pub(in crate::manifest::check) fn parity(
    text: &ParityText,
    report: &mut Report,
) -> Option<ParityGate> {
    let ParityText {
        requests,
        against,
        headers,
        ignore_headers,
        ignore,
        sort,
        replace,
        allow,
    } = text;
    let compared = match headers {
        None => vec!["content-type".to_owned()],
        Some(_) => header_names(headers, report),
    };
    let normal = Normal {
        headers: compared,
        ignore_headers: header_names(ignore_headers, report),
        ignore: pointers(ignore, report),
        sort: pointers(sort, report),
        replace: replacements(replace, report)?,
    };
    Some(ParityGate {
        requests: value(requests)?,
        against: value(against).unwrap_or_default(),
        normal,
        allow_unsafe: allow.is_some(),
    })
}

fn header_names(names: &Option<At<Vec<At<String>>>>, report: &mut Report) -> Vec<String> {
    let mut checked = Vec::new();
    for name in few(names, report) {
        if name.value == "*" {
            checked.push(name.value.clone());
        } else if let Ok(parsed) = http::HeaderName::from_bytes(name.value.as_bytes()) {
            checked.push(parsed.as_str().to_owned());
        } else {
            let help = "such as `cache-control`, or `*`";
            report.fault(&name.place, "is no name of a header", help);
        }
    }
    checked
}

fn pointers(pointers: &Option<At<Vec<At<String>>>>, report: &mut Report) -> Vec<String> {
    let mut checked = Vec::new();
    for pointer in few(pointers, report) {
        if !pointer.value.is_empty() && !pointer.value.starts_with('/') {
            let bare = pointer.value.trim_start_matches('$').replace('.', "/");
            let help = format!("write `/{}`", bare.trim_start_matches('/'));
            report.fault(&pointer.place, "a JSON pointer starts with `/`", help);
        }
        checked.push(pointer.value.clone());
    }
    checked
}

fn replacements(
    rules: &Option<At<Vec<At<ReplaceText>>>>,
    report: &mut Report,
) -> Option<Vec<Replacement>> {
    let mut checked = Vec::new();
    for rule in few(rules, report) {
        let ReplaceText { pattern, with } = &rule.value;
        let pattern = pattern.as_ref()?;
        let mut builder = regex::RegexBuilder::new(&pattern.value);
        if let Err(error) = builder.size_limit(PATTERN_BYTES_MAX).build() {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default();
            let why = why.trim_start_matches("error: ");
            report.fault(
                &pattern.place,
                format!("is no regular expression: {why}"),
                "",
            );
        }
        checked.push(Replacement {
            pattern: pattern.value.clone(),
            with: value(with).unwrap_or_default(),
        });
    }
    Some(checked)
}

fn few<'t, T>(list: &'t Option<At<Vec<At<T>>>>, report: &mut Report) -> &'t [At<T>] {
    let Some(list) = list else {
        return &[];
    };
    if list.value.len() > RULES_MAX {
        let message = format!("holds {} entries", list.value.len());
        report.fault(&list.place, message, format!("at most {RULES_MAX}"));
    }
    &list.value
}
