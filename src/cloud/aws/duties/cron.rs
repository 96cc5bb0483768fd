//! From five fields of cron to expressions of EventBridge. Pure.
//!
//! EventBridge counts days of the week otherwise, and takes either a day of the month or one of the week. Cron runs when one of the two
//! matches, so that both together become two expressions.

use std::collections::BTreeSet;

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// One or two expressions. The cron expression was checked by whoever read the manifest.
pub(super) fn expressions(cron: &str) -> Vec<String> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Vec::new();
    };
    let (minute, hour, month) = (from(minute, 0), from(hour, 0), from(month, 1));
    let of = |day: &str, weekday: &str| {
        let day = from(day, 1);
        format!("cron({minute} {hour} {day} {month} {weekday} *)")
    };
    // `*/2` is a restriction, too.
    match (day, weekday) {
        ("*", "*") => vec![of("*", "?")],
        (_, "*") => vec![of(day, "?")],
        ("*", _) => vec![of("?", &days(weekday))],
        (_, _) => vec![of(day, "?"), of("?", &days(weekday))],
    }
}

/// EventBridge knows where steps begin, and no steps within a range.
fn from(field: &str, low: usize) -> String {
    let item = |item: &str| match item.split_once('/') {
        Some(("*", step)) => format!("{low}/{step}"),
        Some((range, step)) => match range.split_once('-') {
            Some((from, to)) => steps(from, to, step).unwrap_or_else(|| item.to_owned()),
            None => item.to_owned(),
        },
        None => item.to_owned(),
    };
    field.split(',').map(item).collect::<Vec<_>>().join(",")
}

/// None where months are named: those ranges have no steps that anybody writes.
fn steps(from: &str, to: &str, step: &str) -> Option<String> {
    let (from, to, step): (usize, usize, usize) =
        (from.parse().ok()?, to.parse().ok()?, step.parse().ok()?);
    let each = (from..=to).step_by(step.max(1)).map(|it| it.to_string());
    Some(each.collect::<Vec<_>>().join(","))
}

/// All days by name, since ranges may run over the end of the week here and not there.
fn days(field: &str) -> String {
    let mut named = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').map_or((item, 1), |(range, step)| {
            (range, step.parse().unwrap_or(1))
        });
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from), number(to)),
            None if range == "*" => (0, 6),
            None if item.contains('/') => (number(range), 6),
            None => (number(range), number(range)),
        };
        named.extend((from..=to).step_by(step.max(1)).map(|day| day % DAYS.len()));
    }
    let names = named.into_iter().map(|day| DAYS[day]);
    names.collect::<Vec<_>>().join(",")
}

fn number(day: &str) -> usize {
    let name = DAYS.iter().position(|name| name.eq_ignore_ascii_case(day));
    name.or_else(|| day.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_becomes_what_event_bridge_reads() {
        let table: [(&str, &[&str]); 9] = [
            ("*/15 * * * *", &["cron(0/15 * * * ? *)"]),
            ("10-30/10 8-18 */2 * *", &["cron(10,20,30 8-18 1/2 * ? *)"]),
            ("0 3 1 * *", &["cron(0 3 1 * ? *)"]),
            ("0 3 * * 1-5", &["cron(0 3 ? * MON,TUE,WED,THU,FRI *)"]),
            ("0 3 * * 5-7", &["cron(0 3 ? * SUN,FRI,SAT *)"]),
            ("0 3 * * sun,3", &["cron(0 3 ? * SUN,WED *)"]),
            ("0 3 * * */2", &["cron(0 3 ? * SUN,TUE,THU,SAT *)"]),
            ("0 3 * JAN-MAR 0", &["cron(0 3 ? JAN-MAR SUN *)"]),
            ("0 3 1 * MON", &["cron(0 3 1 * ? *)", "cron(0 3 ? * MON *)"]),
        ];
        for (cron, expected) in table {
            assert_eq!(expressions(cron), expected, "{cron}");
        }
    }
}
