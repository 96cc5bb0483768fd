//! Queues, streams, topics and buckets.

use serde_yaml::{Mapping, Value};

use super::{
    events::Calls,
    settings::{arn, number},
};
use crate::import::{
    Job, names,
    tree::{At, put},
};

const OFF: &str = "was switched off: left out";

fn is_off(job: &mut Job<'_>, at: &At<'_>) -> bool {
    let off = at.get("enabled").filter(At::is_false);
    if let Some(off) = &off {
        job.ledger.changed(at, OFF);
        job.ledger.changed(off, OFF);
    }
    off.is_some()
}

/// The ARN of a source, whether it stands alone or under a key.
fn source(job: &mut Job<'_>, at: &At<'_>, key: &str) -> Result<String, String> {
    let inner = at
        .get(key)
        .filter(|_| at.text().is_none())
        .unwrap_or_else(|| at.clone());
    job.stack.text(inner.value)
}

pub(super) fn queue(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls) {
    if is_off(job, at) {
        return;
    }
    let arn = match source(job, at, "arn") {
        Ok(arn) if crate::manifest::is_arn(&arn, &["sqs"]) => arn,
        Ok(_) => {
            return job
                .ledger
                .impossible(at, "is no ARN of a queue: write `functions.NAME.queue`");
        }
        Err(why) => {
            return job.ledger.impossible(
                at,
                format!("{why}: write the queue's name as `functions.NAME.queue`"),
            );
        }
    };
    let own = arn.rsplit(':').next().unwrap_or_default();
    let name = names::queue(own);
    let of_here = format!(
        "arn:aws:sqs:{}:{}:{name}",
        job.stack.region, job.stack.account
    );
    let mut options = Mapping::new();
    if arn != of_here {
        put(&mut options, "arn", Some(arn.clone().into()));
    }
    let field = "functions.NAME.aws.queue";
    read_batch(job, at, &mut options, field, "maximumBatchingWindow");
    let is_large = options
        .get("batch")
        .and_then(Value::as_u64)
        .is_some_and(|batch| batch > 10);
    if is_large && options.get("window").is_none() {
        put(&mut options, "window", Some("1s".into()));
    }
    let most = number(
        job,
        at.get("maximumConcurrency"),
        2..=1_000,
        &format!("{field}.maxConcurrency"),
        "",
    );
    put(&mut options, "maxConcurrency", most);
    batch_failures(job, at);
    job.ledger.taken(
        at,
        format!("functions.NAME.queue, and {field} for how it is read"),
    );
    calls.queues.push((name, options));
}

/// What queues and streams share.
fn read_batch(job: &mut Job<'_>, at: &At<'_>, found: &mut Mapping, field: &str, window: &str) {
    put(
        found,
        "batch",
        number(
            job,
            at.get("batchSize"),
            1..=10_000,
            &format!("{field}.batch"),
            "",
        ),
    );
    put(
        found,
        "window",
        number(
            job,
            at.get(window),
            0..=300,
            &format!("{field}.window"),
            "s",
        ),
    );
    if let Some(patterns) = at.get("filterPatterns") {
        let maps: Vec<Value> = patterns
            .items()
            .iter()
            .filter(|it| it.value.is_mapping())
            .map(|it| it.value.clone())
            .collect();
        if maps.len() == patterns.items().len() && (1..=5).contains(&maps.len()) {
            job.ledger.taken(&patterns, format!("{field}.filters"));
            put(found, "filters", Some(maps.into()));
        } else {
            job.ledger.impossible(
                &patterns,
                format!("one to five maps are taken: write `{field}.filters`"),
            );
        }
    }
}

fn batch_failures(job: &mut Job<'_>, at: &At<'_>) {
    if let Some(kind) = at.get("functionResponseType") {
        job.ledger.unneeded(
            &kind,
            "each message is a call of its own, and those that failed are told to Lambda",
        );
    }
}

pub(super) fn stream(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls) {
    if is_off(job, at) {
        return;
    }
    let (text, kind) = match source(job, at, "arn") {
        Ok(arn) if crate::manifest::is_arn(&arn, &["kinesis"]) => (arn, "kinesis"),
        Ok(arn) if crate::manifest::is_arn(&arn, &["dynamodb"]) && arn.contains("/stream/") => {
            (arn, "dynamodb")
        }
        Ok(_) => {
            return job.ledger.impossible(
                at,
                "is no ARN of a stream: write `functions.NAME.aws.events`",
            );
        }
        Err(why) => {
            return job.ledger.impossible(
                at,
                format!("{why}: write its ARN to `functions.NAME.aws.events`"),
            );
        }
    };
    let field = "functions.NAME.aws.events.NAME";
    let mut found = Mapping::new();
    put(&mut found, kind, Some(text.clone().into()));
    put(&mut found, "from", start(job, at, field));
    read_batch(job, at, &mut found, field, "batchWindow");
    let count = |job: &mut Job<'_>, key: &str, our: &str, bounds, unit| {
        number(job, at.get(key), bounds, &format!("{field}.{our}"), unit)
    };
    put(
        &mut found,
        "parallel",
        count(job, "parallelizationFactor", "parallel", 1..=10, ""),
    );
    put(
        &mut found,
        "retries",
        count(job, "maximumRetryAttempts", "retries", 0..=10_000, ""),
    );
    put(
        &mut found,
        "maxAge",
        count(
            job,
            "maximumRecordAgeInSeconds",
            "maxAge",
            60..=604_800,
            "s",
        ),
    );
    if let Some(bisect) = at.get("bisectBatchOnFunctionError") {
        job.ledger.taken(&bisect, format!("{field}.bisect"));
        put(&mut found, "bisect", bisect.is_true().then(|| true.into()));
    }
    let failed = at.get("destinations").and_then(|to| to.get("onFailure"));
    let failed = arn(job, failed, &["sqs", "sns"], &format!("{field}.onFailure"));
    put(&mut found, "onFailure", failed);
    without_place(job, at);
    batch_failures(job, at);
    job.ledger.taken(at, field);
    calls.event(kind, found);
}

/// What a stream cannot be asked for here.
fn without_place(job: &mut Job<'_>, at: &At<'_>) {
    for (key, why) in [
        ("consumer", "a stream is read without a consumer of its own"),
        (
            "tumblingWindowInSeconds",
            "batches are not summed up: keep the sum in a store of your own",
        ),
    ] {
        if let Some(at) = at.get(key).filter(|at| !at.is_false()) {
            job.ledger.impossible(&at, why);
        }
    }
}

/// `LATEST`, `TRIM_HORIZON` or a moment. Serverless starts with the oldest where nothing is said.
fn start(job: &mut Job<'_>, at: &At<'_>, field: &str) -> Option<Value> {
    let Some(written) = at.get("startingPosition") else {
        return Some("oldest".into());
    };
    match written.text().unwrap_or_default().as_str() {
        "LATEST" => {
            job.ledger.taken(&written, format!("{field}.from"));
            None
        }
        "TRIM_HORIZON" => {
            job.ledger.taken(&written, format!("{field}.from"));
            Some("oldest".into())
        }
        _ => {
            job.ledger.impossible(
                &written,
                "a stream is read from `latest` or `oldest` on; nearest: `oldest`",
            );
            if let Some(moment) = at.get("startingPositionTimestamp") {
                job.ledger.impossible(
                    &moment,
                    "a stream is read from `latest` or `oldest` on; nearest: `oldest`",
                );
            }
            Some("oldest".into())
        }
    }
}

pub(super) fn topic(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls) {
    let written = source(job, at, "arn");
    let named = at
        .get("topicName")
        .and_then(|name| job.stack.text(name.value).ok());
    let field = "functions.NAME.aws.events.NAME.sns";
    let name = |name: &str| {
        format!(
            "arn:aws:sns:{}:{}:{name}",
            job.stack.region, job.stack.account
        )
    };
    let arn = match written {
        Ok(arn) if arn.starts_with("arn:") => arn,
        Ok(topic) => name(&topic),
        Err(why) => match named {
            Some(topic) => name(&topic),
            None => {
                return job
                    .ledger
                    .impossible(at, format!("{why}: write the topic's ARN as `{field}`"));
            }
        },
    };
    if !crate::manifest::is_arn(&arn, &["sns"]) {
        return job
            .ledger
            .impossible(at, format!("is no topic: write its ARN as `{field}`"));
    }
    let mut found = Mapping::new();
    put(&mut found, "sns", Some(arn.clone().into()));
    if let Some(filter) = at.get("filterPolicy").filter(|it| it.value.is_mapping()) {
        job.ledger
            .taken(&filter, "functions.NAME.aws.events.NAME.filter");
        put(&mut found, "filter", Some(filter.value.clone()));
    }
    for key in ["filterPolicyScope", "redrivePolicy"] {
        if let Some(at) = at.get(key) {
            job.ledger
                .impossible(&at, "the subscription is made and kept, and this is none of its keys: set it there by hand");
        }
    }
    if let Some(name) = at.get("displayName") {
        job.ledger
            .unneeded(&name, "topics are not made: this one must be there");
    }
    job.ledger.changed(
        at,
        format!("{field}: the topic must be there; its subscription is made with the release, to the alias `blue`"),
    );
    calls.event("sns", found);
}

pub(super) fn bucket(job: &mut Job<'_>, at: &At<'_>, calls: &mut Calls) {
    let field = "functions.NAME.aws.events.NAME.s3";
    let bucket = match source(job, at, "bucket") {
        Ok(bucket) => bucket,
        Err(why) => {
            return job
                .ledger
                .impossible(at, format!("{why}: write the bucket's name as `{field}`"));
        }
    };
    let root = job.root.clone();
    let listed = || {
        root.get("provider")?
            .get("s3")?
            .get(&bucket)?
            .get("name")?
            .text()
    };
    let name = listed().unwrap_or_else(|| bucket.clone());
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    if !(3..=63).contains(&name.len()) || !name.bytes().all(is_part) {
        return job.ledger.impossible(
            at,
            format!("`{name}` is no name of a bucket: write it as `{field}`"),
        );
    }
    let mut found = Mapping::new();
    put(&mut found, "s3", Some(name.clone().into()));
    let on = at.get("event").and_then(|event| event.text());
    let on = on.unwrap_or_else(|| "s3:ObjectCreated:*".to_owned());
    put(&mut found, "on", Some(vec![Value::from(on)].into()));
    for rule in at.get("rules").iter().flat_map(At::items) {
        for key in ["prefix", "suffix"] {
            if let Some(text) = rule.get(key).and_then(|at| at.text()) {
                put(&mut found, key, Some(text.into()));
            }
        }
    }
    job.ledger.changed(
        at,
        format!("{field}: the bucket must be there; its notification is made with the release, to the alias `blue`"),
    );
    for key in ["existing", "forceDeploy"] {
        if let Some(at) = at.get(key) {
            job.ledger.unneeded(&at, "buckets are never made here");
        }
    }
    calls.event("s3", found);
}
