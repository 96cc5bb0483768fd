//! The `aws:` of services and functions: forms and bounds, each as Lambda has them.

mod arn;
mod events;
mod parts;
mod rights;
mod twice;
mod whole;

use std::collections::BTreeMap;

pub(in crate::manifest) use self::{
    arn::is_arn,
    rights::{is_action, is_resource},
};
pub(super) use self::{
    twice::{Written, check_events, check_logs},
    whole::{Around, mark_len, whole},
};
use super::{
    super::{
        aws::AwsFunction,
        raw::{At, FunctionAwsText, Named, Report},
        spec::Megabytes,
    },
    value,
};

const STORAGE_MIN: u32 = 512;
const NAME_MAX: usize = 64;
const LAYERS_MAX: usize = 5;
/// Lambda takes fifty tags, and ours are among them.
const TAGS_MAX: usize = 44;

/// What one `aws:` says. What is wrong is reported and left out, since no release is made of a document with faults.
pub(super) fn aws(written: &Option<At<FunctionAwsText>>, report: &mut Report) -> AwsFunction {
    let Some(written) = written else {
        return AwsFunction::default();
    };
    let FunctionAwsText {
        name,
        architecture,
        ephemeral_storage,
        layers,
        vpc,
        file_system,
        dead_letter,
        asynchronous,
        concurrency,
        snap_start,
        tracing,
        logs,
        kms_key,
        url,
        permissions,
        queue,
        events,
        tags,
        image,
        role,
        allow,
    } = &written.value;
    AwsFunction {
        name: name.as_ref().and_then(|at| name_of(at, report)),
        architecture: value(architecture),
        ephemeral_storage: storage(ephemeral_storage, report),
        layers: layers.as_ref().map(|at| layers_of(at, report)),
        vpc: vpc.as_ref().and_then(|at| parts::vpc(at, report)),
        file_system: file_system
            .as_ref()
            .and_then(|at| parts::file_system(at, report)),
        dead_letter: arn_of(dead_letter, &["sqs", "sns"], report),
        asynchronous: asynchronous
            .as_ref()
            .and_then(|at| parts::asynchronous(at, report)),
        concurrency: concurrency
            .as_ref()
            .and_then(|at| parts::concurrency(at, report)),
        snap_start: value(snap_start),
        tracing: value(tracing),
        logs: logs.as_ref().and_then(|at| parts::logs(at, report)),
        kms_key: arn_of(kms_key, &["kms"], report),
        url: url.as_ref().and_then(|at| parts::url(at, report)),
        permissions: named(permissions, report, parts::permission),
        queue: queue.as_ref().and_then(|at| events::queue(at, report)),
        events: named(events, report, events::event),
        tags: tags_of(tags, report),
        image: image.as_ref().and_then(|at| image_of(at, report)),
        role: arn_of(role, &["iam"], report),
        allow: named(allow, report, rights::rights),
    }
}

/// By Lambda's own rule: what is to be adopted may be called anything that Lambda takes.
fn name_of(name: &At<String>, report: &mut Report) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=NAME_MAX).contains(&name.value.len()) && name.value.chars().all(is_part) {
        return Some(name.value.clone());
    }
    let help = "at most 64 letters, digits, `-` and `_`: the name alone, not its ARN";
    report.fault(&name.place, "is no name of a Lambda function", help);
    None
}

fn storage(size: &Option<At<Megabytes>>, report: &mut Report) -> Option<Megabytes> {
    let size = size.as_ref()?;
    if size.value.0 < STORAGE_MIN {
        let help = "Lambda gives every function that much";
        report.fault(&size.place, "is less than 512Mi", help);
        return None;
    }
    Some(size.value)
}

fn layers_of(layers: &At<Vec<At<String>>>, report: &mut Report) -> Vec<String> {
    if layers.value.len() > LAYERS_MAX {
        let message = format!("names {} layers", layers.value.len());
        report.fault(&layers.place.key(), message, "Lambda takes at most five");
    }
    let mut kept: Vec<String> = Vec::new();
    for layer in &layers.value {
        let text = &layer.value;
        let is_layer = is_arn(text, &["lambda"]) && is_layer_version(text);
        if !is_layer {
            let help =
                "such as `arn:aws:lambda:eu-west-1:123456789012:layer:tools:7`, with its version";
            report.fault(&layer.place, "is no ARN of a layer's version", help);
        } else if kept.contains(text) {
            report.fault(&layer.place, "stands here twice", "keep one");
        } else {
            kept.push(text.clone());
        }
    }
    kept
}

fn is_layer_version(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    matches!(parts[..], [_, _, _, _, _, "layer", name, version] if !name.is_empty() && is_number(version))
}

/// An ARN of one of these services.
fn arn_of(written: &Option<At<String>>, services: &[&str], report: &mut Report) -> Option<String> {
    let written = written.as_ref()?;
    if is_arn(&written.value, services) {
        return Some(written.value.clone());
    }
    let names = services.join("` or `");
    let message = format!("is no ARN of `{names}`");
    report.fault(&written.place, message, arn::example(services));
    None
}

/// Entries by name, where the name is one that AWS takes for a statement or a resource.
fn named<T, V>(
    written: &Option<At<Named<String, T>>>,
    report: &mut Report,
    check: impl Fn(&At<T>, &mut Report) -> Option<V>,
) -> BTreeMap<String, V> {
    let Some(written) = written else {
        return BTreeMap::new();
    };
    let mut checked = BTreeMap::new();
    for (name, text) in &written.value.0 {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_name = (1..=40).contains(&name.value.len()) && name.value.chars().all(is_part);
        if !is_name {
            let help = "at most 40 letters, digits, `-` and `_`";
            report.fault(&name.place, "is no name that AWS takes", help);
        } else if name.value.starts_with("verdigris") {
            let help = "names that start with `verdigris` are Verdigris's own";
            report.fault(&name.place, "is taken", help);
        }
        checked.extend(check(text, report).map(|good| (name.value.clone(), good)));
    }
    checked
}

fn tags_of(
    written: &Option<At<Named<String, String>>>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let Some(written) = written else {
        return BTreeMap::new();
    };
    if written.value.0.len() > TAGS_MAX {
        let message = format!("has {} tags", written.value.0.len());
        report.fault(&written.place.key(), message, "at most 44 beside our own");
    }
    for (name, text) in &written.value.0 {
        let lower = name.value.to_lowercase();
        if lower.starts_with("aws:") || lower.starts_with("verdigris:") {
            let help = "tags that start with `aws:` are Amazon's, with `verdigris:` Verdigris's";
            report.fault(&name.place, "is taken", help);
        }
        let is_part = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        let fits =
            |text: &str, most: usize| text.chars().count() <= most && text.chars().all(is_part);
        if name.value.is_empty() || !fits(&name.value, 128) || !fits(&text.value, 256) {
            let help =
                "letters, digits, spaces and `_.:/=+-@`; a name has at most 128, a value 256";
            report.fault(&name.place, "is no tag that AWS takes", help);
        }
    }
    written.value.to_map()
}

/// A tag of an image can be moved by anyone at any time; a release must stay what it is.
fn image_of(image: &At<String>, report: &mut Report) -> Option<String> {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (place, digest) = image
        .value
        .split_once("@sha256:")
        .unwrap_or((&image.value, ""));
    let is_registry = |host: &str| host.contains(".dkr.ecr.") && host.contains(".amazonaws.com");
    if !place
        .split_once('/')
        .is_some_and(|(host, name)| is_registry(host) && !name.is_empty())
    {
        let help = "such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:…`; Lambda runs images of ECR only";
        report.fault(&image.place, "is no image of ECR", help);
        return None;
    }
    if !is_digest(digest) {
        let help = "write `@sha256:` and its 64 digits: a tag can be moved, and a release must stay what it is";
        report.fault(&image.place, "names no digest", help);
        return None;
    }
    Some(image.value.clone())
}
