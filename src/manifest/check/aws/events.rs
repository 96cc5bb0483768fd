//! Sources of events.

use std::collections::BTreeSet;

use super::{
    super::{
        super::{
            aws::{Batch, Bucket, EventSource, QueueOptions, Stream, Topic},
            raw::{At, EventText, Length, QueueText, Report},
        },
        bounded, value,
    },
    arn_of,
    parts::{failed_to, seconds},
};

const FILTERS_MAX: usize = 5;
const BATCH_MAX: u32 = 10_000;
/// A larger batch of a queue must be waited for.
const BATCH_AT_ONCE: u32 = 10;

pub(super) fn queue(written: &At<QueueText>, report: &mut Report) -> Option<QueueOptions> {
    let QueueText {
        arn,
        batch,
        window,
        filters,
        max_concurrency,
    } = &written.value;
    let batch = batch_of(batch, window, filters, report);
    let is_large = batch.batch.is_some_and(|size| size > BATCH_AT_ONCE);
    if is_large && batch.window.is_none_or(|window| window.as_secs() == 0) {
        let help = "add `window: 1s` or more, or take at most 10";
        report.fault(
            &written.place.key(),
            "a batch above 10 needs a window",
            help,
        );
    }
    Some(QueueOptions {
        arn: arn_of(arn, &["sqs"], report),
        batch,
        max_concurrency: bounded(max_concurrency, 2..=1_000, "Lambda", report),
    })
}

fn batch_of(
    batch: &Option<At<u32>>,
    window: &Option<At<Length>>,
    filters: &Option<At<Vec<At<serde_json::Value>>>>,
    report: &mut Report,
) -> Batch {
    let patterns = filters.iter().flat_map(|at| &at.value);
    let mut kept = Vec::new();
    for pattern in patterns {
        if pattern.value.is_object() {
            kept.push(pattern.value.to_string());
        } else {
            let help = "such as `{ body: { kind: [order] } }`";
            report.fault(&pattern.place, "is no pattern", help);
        }
    }
    if let Some(at) = filters.as_ref().filter(|at| at.value.len() > FILTERS_MAX) {
        report.fault(
            &at.place.key(),
            "names more than five filters",
            "Lambda takes at most five",
        );
    }
    Batch {
        batch: bounded(batch, 1..=BATCH_MAX, "Lambda", report),
        window: seconds(window, 0..=300, report),
        filters: kept,
    }
}

/// Keys that belong to streams, topics and buckets.
fn strangers<'t>(
    text: &'t EventText,
    kind: &str,
) -> Vec<(&'static str, &'t super::super::super::yaml::Place)> {
    let EventText {
        kinesis: _,
        dynamodb: _,
        sns: _,
        s3: _,
        from,
        batch,
        window,
        parallel,
        retries,
        max_age,
        bisect,
        on_failure,
        filters,
        filter,
        on,
        prefix,
        suffix,
    } = text;
    let of_stream = [
        ("from", from.as_ref().map(|at| &at.place)),
        ("batch", batch.as_ref().map(|at| &at.place)),
        ("window", window.as_ref().map(|at| &at.place)),
        ("parallel", parallel.as_ref().map(|at| &at.place)),
        ("retries", retries.as_ref().map(|at| &at.place)),
        ("maxAge", max_age.as_ref().map(|at| &at.place)),
        ("bisect", bisect.as_ref().map(|at| &at.place)),
        ("onFailure", on_failure.as_ref().map(|at| &at.place)),
        ("filters", filters.as_ref().map(|at| &at.place)),
    ];
    let of_topic = [("filter", filter.as_ref().map(|at| &at.place))];
    let of_bucket = [
        ("on", on.as_ref().map(|at| &at.place)),
        ("prefix", prefix.as_ref().map(|at| &at.place)),
        ("suffix", suffix.as_ref().map(|at| &at.place)),
    ];
    let groups: [(&str, &[_]); 3] = [
        ("stream", &of_stream),
        ("topic", &of_topic),
        ("bucket", &of_bucket),
    ];
    let others = groups.into_iter().filter(|(of, _)| *of != kind);
    others
        .flat_map(|(_, keys)| keys)
        .filter_map(|(key, place)| place.map(|place| (*key, place)))
        .collect()
}

pub(super) fn event(written: &At<EventText>, report: &mut Report) -> Option<EventSource> {
    let text = &written.value;
    let kinds = [&text.kinesis, &text.dynamodb, &text.sns, &text.s3];
    if kinds.iter().filter(|kind| kind.is_some()).count() != 1 {
        if !report.has_fault_below(&written.place) {
            let help = "give it one of `kinesis`, `dynamodb`, `sns` and `s3`";
            report.fault(&written.place.key(), "has not exactly one source", help);
        }
        return None;
    }
    let kind = match () {
        () if text.sns.is_some() => "topic",
        () if text.s3.is_some() => "bucket",
        () => "stream",
    };
    for (key, place) in strangers(text, kind) {
        report.fault(
            &place.key(),
            format!("`{key}` means nothing to a {kind}"),
            "remove it",
        );
    }
    match kind {
        "topic" => topic(text, report).map(EventSource::Topic),
        "bucket" => bucket(text, written, report).map(EventSource::Bucket),
        _ => stream(text, report).map(EventSource::Stream),
    }
}

fn stream(text: &EventText, report: &mut Report) -> Option<Stream> {
    let kinesis = arn_of(&text.kinesis, &["kinesis"], report);
    let table = arn_of(&text.dynamodb, &["dynamodb"], report);
    Some(Stream {
        arn: kinesis.or(table)?,
        from: value(&text.from).unwrap_or_default(),
        batch: batch_of(&text.batch, &text.window, &text.filters, report),
        parallel: bounded(&text.parallel, 1..=10, "Lambda", report),
        retries: bounded(&text.retries, 0..=10_000, "Lambda", report),
        max_age: seconds(&text.max_age, 60..=604_800, report),
        bisect: value(&text.bisect).unwrap_or_default(),
        on_failure: failed_to(&text.on_failure, report),
    })
}

fn topic(text: &EventText, report: &mut Report) -> Option<Topic> {
    let filter = text.filter.as_ref();
    if let Some(at) = filter.filter(|at| !at.value.is_object()) {
        report.fault(
            &at.place,
            "is no filter policy",
            "such as `{ kind: [order] }`",
        );
    }
    Some(Topic {
        arn: arn_of(&text.sns, &["sns"], report)?,
        filter: filter.map(|at| at.value.to_string()),
    })
}

fn bucket(text: &EventText, written: &At<EventText>, report: &mut Report) -> Option<Bucket> {
    let name = text.s3.as_ref()?;
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    if !(3..=63).contains(&name.value.len()) || !name.value.bytes().all(is_part) {
        let help = "3 to 63 lower-case letters, digits, `-` and `.`; not its ARN";
        report.fault(&name.place, "is no name of a bucket", help);
        return None;
    }
    let mut on = BTreeSet::new();
    for event in text.on.iter().flat_map(|at| &at.value) {
        if !event.value.starts_with("s3:") {
            let help = "such as `s3:ObjectCreated:*`";
            report.fault(&event.place, "is no event of S3", help);
        }
        on.insert(event.value.clone());
    }
    if on.is_empty() {
        let help = "add `on: [\"s3:ObjectCreated:*\"]`";
        report.fault(&written.place.key(), "says nothing of what calls", help);
        return None;
    }
    Some(Bucket {
        name: name.value.clone(),
        on,
        prefix: value(&text.prefix),
        suffix: value(&text.suffix),
    })
}
