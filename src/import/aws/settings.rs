//! What the provider says for all functions, and a function for itself: limits, variables, and what Lambda alone is asked for.

use serde_yaml::{Mapping, Value};

use super::super::{
    Job, names,
    tree::{At, filled, put},
};
use crate::manifest::{self, looks_secret};

/// Keys of ours: of the service or function itself, and below its `aws`.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) own: Mapping,
    pub(super) aws: Mapping,
}

impl Settings {
    fn own(&mut self, key: &str, value: Option<Value>) {
        put(&mut self.own, key, value);
    }

    fn aws(&mut self, key: &str, value: Option<Value>) {
        put(&mut self.aws, key, value);
    }
}

/// Reads the keys that provider and functions share. `place` is `spec` or `functions.NAME`.
pub(super) fn settings(job: &mut Job<'_>, at: &At<'_>, place: &str) -> Settings {
    let mut found = Settings::default();
    found.own(
        "memory",
        number(
            job,
            at.get("memorySize"),
            128..=10_240,
            &format!("{place}.memory"),
            "Mi",
        ),
    );
    found.own(
        "timeout",
        number(
            job,
            at.get("timeout"),
            1..=900,
            &format!("{place}.timeout"),
            "s",
        ),
    );
    found.own(
        "env",
        environment(job, at.get("environment"), &format!("{place}.env")),
    );
    let field = |key: &str| format!("{place}.aws.{key}");
    found.aws(
        "architecture",
        one_of(
            job,
            at.get("architecture"),
            &["x86_64", "arm64"],
            &field("architecture"),
        ),
    );
    let storage = at.get("ephemeralStorageSize");
    found.aws(
        "ephemeralStorage",
        number(job, storage, 512..=10_240, &field("ephemeralStorage"), "Mi"),
    );
    found.aws("layers", layers(job, at.get("layers"), &field("layers")));
    found.aws("vpc", vpc(job, at.get("vpc"), &field("vpc")));
    found.aws(
        "deadLetter",
        arn(
            job,
            at.get("onError"),
            &["sqs", "sns"],
            &field("deadLetter"),
        ),
    );
    found.aws(
        "asynchronous",
        asynchronous(job, at, &field("asynchronous")),
    );
    found.aws(
        "kmsKey",
        arn(
            job,
            at.either(&["kmsKeyArn", "awsKmsKeyArn"]),
            &["kms"],
            &field("kmsKey"),
        ),
    );
    found.aws("tags", tags(job, at.get("tags"), &field("tags")));
    found
}

pub(super) type Bounds = std::ops::RangeInclusive<u64>;

/// A number with its unit; without one, the number itself.
pub(super) fn number(
    job: &mut Job<'_>,
    at: Option<At<'_>>,
    bounds: Bounds,
    field: &str,
    unit: &str,
) -> Option<Value> {
    let at = at.filter(|at| !at.is_null())?;
    let Some(number) = at.number().filter(|number| bounds.contains(number)) else {
        let (low, high) = (bounds.start(), bounds.end());
        job.ledger.impossible(
            &at,
            format!("is no number from {low} to {high}: write `{field}` yourself"),
        );
        return None;
    };
    job.ledger.taken(&at, field);
    Some(match unit {
        "" => number.into(),
        unit => format!("{number}{unit}").into(),
    })
}

pub(super) fn one_of(
    job: &mut Job<'_>,
    at: Option<At<'_>>,
    words: &[&str],
    field: &str,
) -> Option<Value> {
    let at = at.filter(|at| !at.is_null())?;
    let text = at.text().unwrap_or_default();
    match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
        Some(word) => {
            job.ledger.taken(&at, field);
            Some((*word).into())
        }
        None => {
            job.ledger.impossible(
                &at,
                format!("is none of {}: write `{field}` yourself", words.join(", ")),
            );
            None
        }
    }
}

/// The ARN of something that is there.
pub(super) fn arn(
    job: &mut Job<'_>,
    at: Option<At<'_>>,
    services: &[&str],
    field: &str,
) -> Option<Value> {
    let at = at.filter(|at| !at.is_null())?;
    // `{ type, arn }`, as destinations have it.
    let inner = at.get("arn").unwrap_or_else(|| at.clone());
    match job.stack.text(inner.value) {
        Ok(text) if manifest::is_arn(&text, services) => {
            job.ledger.taken(&at, field);
            Some(text.into())
        }
        Ok(_) => {
            job.ledger.impossible(
                &at,
                format!(
                    "is no ARN of `{}`: write it as `{field}`",
                    services.join("` or `")
                ),
            );
            None
        }
        Err(why) => {
            job.ledger
                .impossible(&at, format!("{why}: write its ARN as `{field}`"));
            None
        }
    }
}

/// A list of texts, of which those that are not known are left out and told.
pub(super) fn texts(
    job: &mut Job<'_>,
    at: &At<'_>,
    field: &str,
    is_good: impl Fn(&str) -> bool,
) -> Vec<Value> {
    let mut kept = Vec::new();
    for item in at.items() {
        match job.stack.text(item.value) {
            Ok(text) if is_good(&text) => kept.push(text.into()),
            Ok(text) => job.ledger.impossible(
                &item,
                format!("`{text}` is not taken there: write `{field}` yourself"),
            ),
            Err(why) => job
                .ledger
                .impossible(&item, format!("{why}: write it to `{field}`")),
        }
    }
    kept
}

fn layers(job: &mut Job<'_>, at: Option<At<'_>>, field: &str) -> Option<Value> {
    let at = at?;
    let is_version =
        |text: &str| manifest::is_arn(text, &["lambda"]) && text.split(':').count() == 8;
    let kept = texts(job, &at, field, is_version);
    job.ledger.taken(&at, field);
    (!kept.is_empty()).then(|| kept.into())
}

/// A network needs both of its lists whole.
fn vpc(job: &mut Job<'_>, at: Option<At<'_>>, field: &str) -> Option<Value> {
    let at = at?;
    let ids = |job: &mut Job<'_>, key: &str, start: &str| {
        let list = at.get(key)?;
        let read = list
            .items()
            .iter()
            .map(|item| job.stack.text(item.value).ok())
            .collect::<Option<Vec<_>>>()?;
        let is_id = |id: &String| {
            id.strip_prefix(start).is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric())
            })
        };
        (!read.is_empty() && read.iter().all(is_id)).then(|| Value::from(read))
    };
    let subnets = ids(job, "subnetIds", "subnet-");
    let groups = ids(job, "securityGroupIds", "sg-");
    let (Some(subnets), Some(groups)) = (subnets, groups) else {
        let why = match at.is_null() {
            true => format!(
                "a function cannot leave its service's network: write `{field}` at the functions that are in one"
            ),
            false => format!(
                "ids that CloudFormation or Serverless knows only: write them as `{field}: {{ subnets, securityGroups }}`"
            ),
        };
        job.ledger.impossible(&at, why);
        return None;
    };
    job.ledger.taken(&at, field);
    let mut vpc = Mapping::new();
    put(&mut vpc, "subnets", Some(subnets));
    put(&mut vpc, "securityGroups", Some(groups));
    if at
        .get("ipv6AllowedForDualStack")
        .is_some_and(|at| at.is_true())
    {
        put(&mut vpc, "ipv6", Some(true.into()));
    }
    filled(vpc)
}

fn asynchronous(job: &mut Job<'_>, at: &At<'_>, field: &str) -> Option<Value> {
    const TO: [&str; 4] = ["sqs", "sns", "lambda", "events"];
    let mut found = Mapping::new();
    let of = |key: &str| format!("{field}.{key}");
    put(
        &mut found,
        "retries",
        number(
            job,
            at.get("maximumRetryAttempts"),
            0..=2,
            &of("retries"),
            "",
        ),
    );
    put(
        &mut found,
        "maxAge",
        number(
            job,
            at.get("maximumEventAge"),
            60..=21_600,
            &of("maxAge"),
            "s",
        ),
    );
    for (key, our) in [("onSuccess", "onSuccess"), ("onFailure", "onFailure")] {
        let to = at.get("destinations").and_then(|to| to.get(key));
        put(&mut found, our, arn(job, to, &TO, &of(our)));
    }
    filled(found)
}

fn tags(job: &mut Job<'_>, at: Option<At<'_>>, field: &str) -> Option<Value> {
    let at = at?;
    let mut tags = Mapping::new();
    let is_part = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    for (key, tag) in at.entries() {
        let text = job.stack.text(tag.value).unwrap_or_default();
        let lower = key.to_lowercase();
        let is_taken = lower.starts_with("aws:") || lower.starts_with("verdigris:");
        let is_good = !is_taken && key.chars().all(is_part) && text.chars().all(is_part);
        if is_good && !tag.is_null() {
            tags.insert(key.into(), text.into());
        } else {
            job.ledger.impossible(
                &tag,
                format!("is no tag that AWS takes: write it to `{field}`"),
            );
        }
    }
    job.ledger.taken(&at, field);
    filled(tags)
}

/// Variables: plain ones, secrets of each cloud's own store, and those that nobody knows here.
pub(in crate::import) fn environment(
    job: &mut Job<'_>,
    at: Option<At<'_>>,
    field: &str,
) -> Option<Value> {
    let at = at?;
    let mut variables = Mapping::new();
    for (name, variable) in at.entries() {
        if !manifest::is_variable_name(&name) {
            job.ledger.impossible(
                &variable,
                "the platform sets it, or it is no name of a variable on both clouds",
            );
        } else if let Some(secret) = secret_of(&name, variable.value) {
            job.ledger.changed(
                &variable,
                format!("the secret `{secret}` of each cloud's own store: put it there"),
            );
            variables.insert(
                name.into(),
                Mapping::from_iter([("secret".into(), secret.into())]).into(),
            );
        } else if variable.is_null() {
            job.ledger.unneeded(&variable, "has no value");
        } else {
            match job.stack.text(variable.value) {
                Ok(_) if super::super::intrinsics::Stack::is_call(variable.value) => {
                    let text = job.stack.text(variable.value).unwrap_or_default();
                    job.ledger.changed(
                        &variable,
                        format!("the name that the file gives it: `{text}`"),
                    );
                    variables.insert(name.into(), text.into());
                }
                Ok(text) => {
                    variables.insert(name.into(), text.into());
                }
                Err(why) => {
                    job.ledger
                        .impossible(&variable, format!("{why}: write its value to `{field}`"));
                }
            }
        }
    }
    job.ledger.taken(&at, field);
    filled(variables)
}

/// The name of the secret, where a variable is one: fetched from a store of secrets, or called like one in the environment.
fn secret_of(name: &str, value: &Value) -> Option<String> {
    const STORES: [&str; 4] = ["ssm", "vault", "doppler", "cf.secrets"];
    let text = value.as_str()?;
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    let (source, address) = inner.split_once(':')?;
    let source = source.split(['(', '.']).next()?;
    let address = address.split(',').next()?.trim();
    if STORES.contains(&source) {
        let address = address.split('~').next().unwrap_or(address);
        return Some(names::queue(
            address.trim_start_matches("/aws/reference/secretsmanager/"),
        ));
    }
    let is_secret = source == "env" && (looks_secret(address) || looks_secret(name));
    is_secret.then(|| names::queue(&address.to_lowercase()))
}
