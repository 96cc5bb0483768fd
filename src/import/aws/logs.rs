//! Where and how functions log.

use serde_yaml::{Mapping, Value};

use super::settings::{number, one_of};
use crate::import::{
    Job,
    tree::{At, filled, put},
};

/// Days that CloudWatch keeps logs for.
const RETENTIONS: [u64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

pub(super) fn logs(
    job: &mut Job<'_>,
    at: Option<At<'_>>,
    days: Option<At<'_>>,
    field: &str,
) -> Option<Value> {
    let mut found = Mapping::new();
    let part = |key: &str| at.as_ref().and_then(|at| at.get(key));
    let of = |key: &str| format!("{field}.{key}");
    let format = one_of(job, part("logFormat"), &["json", "text"], &of("format"));
    let is_json = format.as_ref().and_then(Value::as_str) == Some("json");
    put(&mut found, "format", format);
    for (key, our) in [
        ("applicationLogLevel", "level"),
        ("systemLogLevel", "systemLevel"),
    ] {
        let known: &[&str] = match our {
            "level" => &["trace", "debug", "info", "warn", "error", "fatal"],
            _ => &["debug", "info", "warn"],
        };
        match part(key) {
            Some(level) if !is_json => job
                .ledger
                .impossible(&level, "levels need `format: json` beside them"),
            level => put(&mut found, our, one_of(job, level, known, &of(our))),
        }
    }
    if let Some(group) = part("logGroup") {
        match job.stack.text(group.value) {
            Ok(text) => {
                job.ledger.taken(&group, of("group"));
                put(&mut found, "group", Some(text.into()));
            }
            Err(why) => job
                .ledger
                .impossible(&group, format!("{why}: write it as `{}`", of("group"))),
        }
    }
    let is_kept = days
        .as_ref()
        .and_then(At::number)
        .is_none_or(|days| RETENTIONS.contains(&days));
    match days {
        Some(days) if !is_kept => job
            .ledger
            .impossible(&days, "CloudWatch keeps logs for no such number of days"),
        days => put(
            &mut found,
            "retention",
            number(job, days, 1..=3653, &of("retention"), ""),
        ),
    }
    filled(found)
}
