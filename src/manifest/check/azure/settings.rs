//! Application settings, those that stay with their slot, and `host.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::{
    super::{
        azure::Sticky,
        raw::{At, EnvText, Named, Report, StickyText},
        spec::EnvValue,
    },
    filled,
};

/// Settings that the platform or we ourselves set: a release that had them would not run as planned.
const OURS: [&str; 10] = [
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_SLOT_NAME",
    "WEBSITE_SITE_NAME",
    "WEBSITE_HOSTNAME",
];

/// Parts of `host.json` that anyone may write; the others are what makes a package run here.
const HOST_KEYS: [&str; 11] = [
    "aggregator",
    "concurrency",
    "extensions",
    "functionTimeout",
    "healthMonitor",
    "logging",
    "managedDependency",
    "retry",
    "singleton",
    "telemetryMode",
    "watchDirectories",
];

pub(super) fn plain(
    written: &Option<At<Named<String, String>>>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let Some(written) = written else {
        return BTreeMap::new();
    };
    for (name, value) in &written.value.0 {
        check_name(name, report);
        check_value(&value.value, value, report);
    }
    written.value.to_map()
}

fn check_name(name: &At<String>, report: &mut Report) {
    if let Some((message, help)) = refusal(&name.value) {
        report.fault(&name.place, message, help);
    }
}

/// Whether people may set it.
pub(in crate::manifest) fn is_setting(name: &str) -> bool {
    refusal(name).is_none()
}

fn refusal(name: &str) -> Option<(&'static str, &'static str)> {
    let is_ours = OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name));
    if is_ours || name.starts_with("VERDIGRIS_") || name.starts_with("AzureWebJobsStorage") {
        let help = "remove it: it is set by Verdigris or by the platform";
        return Some(("is no setting of yours", help));
    }
    let is_switch = name.starts_with("AzureWebJobs.") && name.ends_with(".Disabled");
    if is_switch {
        let help = "remove it: queues and schedules run on blue alone, and Verdigris sees to that";
        return Some(("switches a function off", help));
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if name.is_empty() || !name.chars().all(is_part) {
        let help = "letters, digits and `_`; `:` and `.` where the host asks for them";
        return Some(("is no name of a setting", help));
    }
    None
}

fn check_value<T>(text: &str, at: &At<T>, report: &mut Report) {
    if text.contains('\0') {
        report.fault(&at.place, "a setting cannot hold a NUL", "remove it");
    }
}

pub(super) fn sticky(
    written: &Option<At<Named<String, StickyText>>>,
    moving: &Option<At<Named<String, String>>>,
    report: &mut Report,
) -> BTreeMap<String, Sticky> {
    let mut checked = BTreeMap::new();
    for (name, text) in written.iter().flat_map(|at| &at.value.0) {
        check_name(name, report);
        let moves = |other: &(At<String>, At<String>)| other.0.value == name.value;
        if moving.iter().flat_map(|at| &at.value.0).any(moves) {
            let help = "keep one: a setting stays with its slot or moves with the code";
            report.fault(&name.place, "stands in `settings` too", help);
        }
        let StickyText { blue, green } = &text.value;
        if blue.is_none() && green.is_none() {
            let help = "write `{ blue: …, green: … }`, or one of the two";
            report.fault(&text.place.key(), "has no value on any slot", help);
        }
        let sticky = Sticky {
            blue: blue.as_ref().and_then(|at| given(at, report)),
            green: green.as_ref().and_then(|at| given(at, report)),
        };
        checked.insert(name.value.clone(), sticky);
    }
    checked
}

fn given(written: &At<EnvText>, report: &mut Report) -> Option<EnvValue> {
    match &written.value {
        EnvText::Plain(text) => {
            check_value(text, written, report);
            Some(EnvValue::Plain(text.clone()))
        }
        EnvText::Secret(secret) => {
            let name = secret.secret.as_ref()?;
            filled(name, report).map(EnvValue::Secret)
        }
    }
}

/// What may be said of `host.json`: the rest of it is what starts the package's program, and routes to it.
pub(super) fn host(written: &Option<At<Value>>, report: &mut Report) -> Map<String, Value> {
    let Some(written) = written else {
        return Map::new();
    };
    let Value::Object(parts) = &written.value else {
        let help = "such as `{ functionTimeout: \"00:05:00\" }`";
        report.fault(&written.place, "is no part of a `host.json`", help);
        return Map::new();
    };
    for key in parts.keys() {
        if !HOST_KEYS.contains(&key.as_str()) {
            let message = format!("`{key}` of `host.json` is not yours to write");
            let help = format!("these are: {}", HOST_KEYS.join(", "));
            report.fault(&written.place, message, help);
        }
    }
    if parts
        .get("extensions")
        .and_then(|it| it.pointer("/http/routePrefix"))
        .is_some()
    {
        let help = "remove it: both clouds answer at the paths of `http`";
        report.fault(
            &written.place,
            "`routePrefix` would move every function",
            help,
        );
    }
    parts.clone()
}
