//! Rates and cron expressions of EventBridge, as five fields in UTC.

use super::events::Calls;
use crate::{
    import::{Job, tree::At},
    manifest,
};

/// An event `schedule`.
pub(super) fn schedule(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls) {
    if let Some(off) = at.get("enabled").filter(At::is_false) {
        job.ledger.changed(at, "was switched off: left out");
        job.ledger.changed(&off, "was switched off: left out");
        return;
    }
    let rates = match at.get("rate") {
        None => vec![at.clone()],
        Some(rate) if rate.text().is_some() => vec![rate],
        Some(rates) => rates.items(),
    };
    for rate in rates {
        add(job, &rate, calls);
    }
    job.ledger.taken(at, "functions.NAME.schedule");
    leftovers(job, at);
}

/// The `schedule` of an event of EventBridge.
pub(super) fn of_bus(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls) {
    if let Some(rate) = at.get("schedule") {
        add(job, &rate, calls);
    }
    job.ledger.taken(at, "functions.NAME.schedule");
    leftovers(job, at);
}

/// What a schedule says besides when.
fn leftovers(job: &mut Job<'_>, at: &At<'_>) {
    for key in ["input", "inputPath", "inputTransformer"] {
        if let Some(input) = at.get(key) {
            job.ledger.impossible(&input, "a schedule brings a CloudEvent and no data of its own: put it in the function or its variables");
        }
    }
    for key in ["name", "description", "eventBus"] {
        if let Some(name) = at.get(key) {
            job.ledger
                .unneeded(&name, "a schedule has no name beside its function's");
        }
    }
    for key in ["method"] {
        if let Some(method) = at.get(key) {
            job.ledger.unneeded(
                &method,
                "which service of Amazon's keeps the time makes no difference",
            );
        }
    }
    for key in ["retryPolicy", "deadLetterQueueArn"] {
        if let Some(policy) = at.get(key) {
            job.ledger
                .changed(&policy, "nearest: `aws.asynchronous` of the function");
        }
    }
    if let Some(zone) = at
        .get("timezone")
        .filter(|zone| zone.text().as_deref() != Some("UTC"))
    {
        job.ledger
            .impossible(&zone, "schedules are in UTC: move the hours");
    }
}

fn add(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls) {
    let written = job.stack.text(at.value).unwrap_or_default();
    match cron(&written).filter(|(cron, _)| manifest::is_schedule(cron)) {
        Some((cron, told)) => {
            match told {
                None => job.ledger.taken(at, "functions.NAME.schedule"),
                Some(told) => job.ledger.changed(at, format!("`{cron}`, {told}")),
            }
            calls.schedules.push(cron);
        }
        None => {
            let why =
                "no five fields say so: write the nearest `schedule`, such as `0 6 * * MON-FRI`";
            job.ledger.impossible(at, why);
        }
    }
}

/// Five fields, and what is said where they do not mean quite the same.
pub(crate) fn cron(written: &str) -> Option<(String, Option<&'static str>)> {
    let inner = |name: &str| written.trim().strip_prefix(name)?.strip_suffix(')');
    if let Some(rate) = inner("rate(") {
        return every(rate);
    }
    let fields: Vec<&str> = inner("cron(")?.split_whitespace().collect();
    let [minute, hour, day, month, weekday, year] = fields[..] else {
        return None;
    };
    // The last of a month and the third Friday have no place in five fields.
    if [day, weekday]
        .iter()
        .any(|field| field.contains(['L', 'W', '#']) && !field.contains("WED"))
    {
        return None;
    }
    let fields = [
        steps(minute, 59),
        steps(hour, 23),
        steps(&day.replace('?', "*"), 31),
        steps(month, 12),
        weekdays(&weekday.replace('?', "*"))?,
    ];
    let told = (year != "*").then_some("in every year");
    Some((fields.join(" "), told))
}

/// `rate(10 minutes)`: counted by the clock, and no more from the moment of the deployment.
fn every(rate: &str) -> Option<(String, Option<&'static str>)> {
    let (number, unit) = rate.trim().split_once(' ')?;
    let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
    let (number, unit) = match (number, unit.trim_end_matches('s')) {
        (minutes, "minute") if minutes % 1440 == 0 => (minutes / 1440, "day"),
        (minutes, "minute") if minutes % 60 == 0 => (minutes / 60, "hour"),
        (hours, "hour") if hours % 24 == 0 => (hours / 24, "day"),
        (number, unit) => (number, unit),
    };
    let step = |number: u32| {
        if number == 1 {
            "*".to_owned()
        } else {
            format!("*/{number}")
        }
    };
    let (cron, whole) = match unit {
        "minute" if number < 60 => (format!("{} * * * *", step(number)), 60),
        "hour" if number < 24 => (format!("0 {} * * *", step(number)), 24),
        "day" if number < 31 => (format!("0 0 {} * *", step(number)), 1),
        _ => return None,
    };
    let told = (whole % number != 0).then_some("which starts anew each hour, day or month");
    Some((cron, told))
}

/// `0/5` is every fifth from 0 on.
fn steps(field: &str, most: u32) -> String {
    let item = |item: &str| match item.split_once('/') {
        Some(("0" | "*", step)) => format!("*/{step}"),
        Some((from, step)) if !from.contains('-') => format!("{from}-{most}/{step}"),
        _ => item.to_owned(),
    };
    let items: Vec<String> = field.split(',').map(item).collect();
    items.join(",")
}

/// Amazon counts the days of a week from 1 for Sunday, cron from 0.
fn weekdays(field: &str) -> Option<String> {
    let day = |text: &str| match text.parse::<u32>() {
        Ok(number) => number.checked_sub(1).map(|day| day.to_string()),
        Err(_) => Some(text.to_owned()),
    };
    let item = |item: &str| {
        let (range, step) = item
            .split_once('/')
            .map_or((item, None), |(range, step)| (range, Some(step)));
        let days: Option<Vec<String>> = range.split('-').map(day).collect();
        let days = days?.join("-");
        Some(match step {
            Some(step) => format!("{days}/{step}"),
            None => days,
        })
    };
    let items: Option<Vec<String>> = field.split(',').map(item).collect();
    Some(items?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_expressions_become_five_fields() {
        let table = [
            ("rate(1 minute)", Some("* * * * *")),
            ("rate(10 minutes)", Some("*/10 * * * *")),
            ("rate(120 minutes)", Some("0 */2 * * *")),
            ("rate(1 day)", Some("0 0 * * *")),
            ("rate(7 minutes)", Some("*/7 * * * *")),
            ("rate(90 minutes)", None),
            ("rate(0 minutes)", None),
            ("cron(0 12 * * ? *)", Some("0 12 * * *")),
            (
                "cron(0/15 8-18 ? * MON-FRI *)",
                Some("*/15 8-18 * * MON-FRI"),
            ),
            ("cron(5/20 9 ? * 2-6 *)", Some("5-59/20 9 * * 1-5")),
            ("cron(0 9 1 1,7 ? 2030)", Some("0 9 1 1,7 *")),
            ("cron(0 9 L * ? *)", None),
            ("cron(0 9 ? * 6#3 *)", None),
            ("cron(0 9 ? * WED *)", Some("0 9 * * WED")),
            ("cron(0 9 ? * 0 *)", None),
            ("every day", None),
        ];
        for (written, wanted) in table {
            let found = cron(written).map(|(cron, _)| cron);
            assert_eq!(found.as_deref(), wanted, "{written}");
            assert!(
                found.is_none_or(|found| manifest::is_schedule(&found)),
                "{written}"
            );
        }
    }
}
