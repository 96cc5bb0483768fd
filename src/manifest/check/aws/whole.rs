//! What goes together: keys of `aws:` with one another, with the runtime, and with the rest of the function.

use super::super::super::{
    aws::AwsFunction,
    raw::Report,
    spec::{HttpRoute, Runtime},
    yaml::Place,
};
use crate::name::{EnvironmentName, ServiceName};

/// What else a function is.
pub(in crate::manifest::check) struct Around<'a> {
    pub(in crate::manifest::check) runtime: Option<&'a Runtime>,
    pub(in crate::manifest::check) http: Option<&'a HttpRoute>,
    pub(in crate::manifest::check) has_queue: bool,
}

/// What Lambda lets a version's variables and our mark of what `blue` has take together; see `check_env_sizes`.
const MARK_MAX: usize = 2048;

pub(in crate::manifest::check) fn whole(
    aws: &AwsFunction,
    around: &Around<'_>,
    place: &Place,
    report: &mut Report,
) {
    let mut told = |message: &str, help: &str| report.fault(&place.key(), message, help);
    let is_image = aws.image.is_some();
    if aws.file_system.is_some() && aws.vpc.is_none() {
        told("a file system needs a network", "add `vpc`");
    }
    if aws.layers.as_ref().is_some_and(|it| !it.is_empty()) && is_image {
        told("an image has no layers", "put them in the image");
    }
    if aws.url.is_some() && around.http.is_none() {
        told(
            "`url` is for functions that answer HTTP",
            "add `http`, or remove it",
        );
    }
    if aws.url.as_ref().is_some_and(|url| url.stream)
        && !is_image
        && let Some(runtime @ Runtime::Python(_)) = around.runtime
    {
        let message = format!("Lambda's own runtime for {runtime} answers in one piece");
        let help = "remove `stream`; Node and executables stream, and so does an image that brings a runtime which can";
        told(&message, help);
    }
    if aws.queue.is_some() && !around.has_queue {
        told(
            "`queue` below `aws` is for functions that read one",
            "add `queue` to the function",
        );
    }
    if aws.role.is_some() && !aws.allow.is_empty() {
        let help = "remove `role`, and the function gets one of its own; or remove `allow`, and give the role these rights";
        told("`allow` is for functions with a role of their own", help);
    }
    if let Some(message) = snap_start_fault(aws, around.runtime) {
        told(&message, "remove `snapStart`");
    }
    if callers_len(aws) > MARK_MAX {
        let message = "its permissions, events and URL take more than 2048 bytes: they are kept in a variable of each version";
        told(message, "use shorter filters, or fewer of them");
    }
}

fn snap_start_fault(aws: &AwsFunction, runtime: Option<&Runtime>) -> Option<String> {
    if aws.snap_start != Some(true) {
        return None;
    }
    let knows = match runtime {
        None => true,
        Some(Runtime::Python(version)) => !matches!(version.as_str(), "3.10" | "3.11"),
        Some(Runtime::Node(_) | Runtime::Executable) => false,
    };
    let warm = aws.concurrency.as_ref().and_then(|it| it.provisioned);
    let storage = aws.ephemeral_storage.is_some_and(|size| size.0 > 512);
    let what = match () {
        () if aws.image.is_some() => "an image",
        () if !knows => "this runtime",
        () if warm.is_some() => "provisioned concurrency",
        () if aws.file_system.is_some() => "a file system",
        () if storage => "more than 512Mi of ephemeral storage",
        () => return None,
    };
    Some(format!("Lambda takes no snapshots with {what}"))
}

/// Bytes of what a version must remember for its alias: who calls it and how, and what the function and its logs are marked with.
pub(in crate::manifest::check) fn mark_len(aws: &AwsFunction) -> usize {
    let labels = AwsFunction {
        tags: aws.tags.clone(),
        logs: aws.logs.clone().filter(|it| it.retention.is_some()),
        ..AwsFunction::default()
    };
    callers_len(aws) + json_len(&labels) + aws.name.as_ref().map_or(0, |_| SERVICE_MARK)
}

/// A function whose name says nothing of whose it is says it in a variable.
const SERVICE_MARK: usize = "VERDIGRIS_SERVICE".len() + ServiceName::MAX + EnvironmentName::MAX + 1;

fn callers_len(aws: &AwsFunction) -> usize {
    json_len(&AwsFunction {
        asynchronous: aws.asynchronous.clone(),
        concurrency: aws.concurrency.clone(),
        url: aws.url.clone(),
        permissions: aws.permissions.clone(),
        queue: aws.queue.clone(),
        events: aws.events.clone(),
        ..AwsFunction::default()
    })
}

fn json_len(remembered: &AwsFunction) -> usize {
    // Cannot fail: every key is a string and every value has a JSON form.
    let json = serde_json::to_string(remembered).unwrap_or_default();
    json.len().saturating_sub("{}".len())
}
