//! Log groups of CloudWatch: their names, how long they keep, and what functions wrote.

use std::{collections::BTreeMap, sync::PoisonError};

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{super::Lambda, Refusal, needed, refused};
use crate::local::process::LogLine;

/// A group that somebody made.
#[derive(Debug, Default)]
pub(in crate::local::lambda) struct LogGroup {
    /// How long it keeps; none where for ever.
    days: Option<u64>,
    tags: BTreeMap<String, String>,
}

/// Where Lambda writes for a function.
const OWN: &str = "/aws/lambda/";

/// What every process of a function writes to.
const STREAM: &str = "local";

/// Groups of one answer.
const GROUPS_PAGE: usize = 50;

/// CloudWatch's own page.
const PAGE: usize = 10_000;

pub(super) fn carry_out(
    lambda: &Lambda,
    operation: &str,
    request: &Value,
) -> Result<Value, Refusal> {
    match operation {
        "FilterLogEvents" => return filter(lambda, request),
        "DescribeLogStreams" => return streams(lambda, request),
        _ => {}
    }
    let groups = &lambda.around.log_groups;
    let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
    match operation {
        "CreateLogGroup" => {
            let name = needed(request, "logGroupName")?;
            if groups.contains_key(name) {
                let message = "The specified log group already exists";
                return refused("ResourceAlreadyExistsException", message);
            }
            let tags = BTreeMap::deserialize(&request["tags"]).unwrap_or_default();
            groups.insert(name.to_owned(), LogGroup { days: None, tags });
            Ok(json!({}))
        }
        "PutRetentionPolicy" => {
            let name = needed(request, "logGroupName")?;
            let Some(group) = groups.get_mut(name) else {
                return no_group();
            };
            group.days = request["retentionInDays"].as_u64();
            Ok(json!({}))
        }
        "DeleteRetentionPolicy" => {
            let name = needed(request, "logGroupName")?;
            let Some(group) = groups.get_mut(name) else {
                return no_group();
            };
            group.days = None;
            Ok(json!({}))
        }
        "DeleteLogGroup" => match groups.remove(needed(request, "logGroupName")?) {
            Some(_) => Ok(json!({})),
            None => no_group(),
        },
        "ListTagsForResource" => {
            let arn = needed(request, "resourceArn")?;
            let name = arn.split_once(":log-group:").map_or("", |(_, name)| name);
            match groups.get(name) {
                Some(group) => Ok(json!({"tags": group.tags})),
                None => no_group(),
            }
        }
        "DescribeLogGroups" => {
            let prefix = request["logGroupNamePrefix"].as_str().unwrap_or_default();
            let limit = request["limit"].as_u64();
            let limit = limit.and_then(|limit| usize::try_from(limit).ok());
            let named = groups.iter().filter(|(name, _)| name.starts_with(prefix));
            let named = named.take(limit.unwrap_or(GROUPS_PAGE));
            let told = named.map(|(name, group)| {
                let mut told = json!({"logGroupName": name});
                if let Some(days) = group.days {
                    told["retentionInDays"] = json!(days);
                }
                told
            });
            Ok(json!({"logGroups": told.collect::<Vec<_>>()}))
        }
        other => refused(
            "UnknownOperationException",
            format!("this endpoint does not know {other} of CloudWatch Logs"),
        ),
    }
}

/// What a group holds; nothing where the group is there and its function never ran.
fn kept_of(lambda: &Lambda, group: &str) -> Result<Vec<LogLine>, Refusal> {
    let function = group.strip_prefix(OWN).unwrap_or(group);
    if let Some(kept) = lambda.runner.kept_logs(function) {
        return Ok(kept.lines());
    }
    let groups = lambda.around.log_groups.lock();
    let groups = groups.unwrap_or_else(PoisonError::into_inner);
    if groups.contains_key(group) {
        return Ok(Vec::new());
    }
    refused(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}

/// `DescribeLogStreams`: all processes of a function write to one.
fn streams(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let lines = kept_of(lambda, needed(request, "logGroupName")?)?;
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
        return Ok(json!({"logStreams": []}));
    };
    Ok(json!({"logStreams": [{
        "logStreamName": STREAM,
        "creationTime": first.at.millis(),
        "firstEventTimestamp": first.at.millis(),
        "lastEventTimestamp": last.at.millis(),
        "lastIngestionTime": last.at.millis(),
    }]}))
}

/// `FilterLogEvents`. A pattern is a text in quotes, or one word.
fn filter(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let lines = kept_of(lambda, needed(request, "logGroupName")?)?;
    let bounds = ["startTime", "endTime"].map(|name| request[name].as_i64());
    let [from, until] = bounds;
    let pattern = request["filterPattern"].as_str().unwrap_or_default();
    let pattern = pattern.trim_matches('"').replace("\\\"", "\"");
    let start = request["nextToken"].as_str().unwrap_or("0");
    let Ok(start) = start.parse::<usize>() else {
        return refused(
            "InvalidParameterException",
            "The specified nextToken is invalid.",
        );
    };
    let limit = request["limit"].as_u64();
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE);
    let fits = lines.iter().enumerate().filter(|(_, line)| {
        let at = line.at.millis();
        from.is_none_or(|from| at >= from)
            && until.is_none_or(|until| at <= until)
            && line.text.contains(&pattern)
    });
    let mut rest = fits.skip(start);
    let told = rest.by_ref().take(limit).map(|(index, line)| {
        json!({
            "logStreamName": STREAM,
            "timestamp": line.at.millis(),
            "message": format!("{}\n", line.text),
            "ingestionTime": line.at.millis(),
            "eventId": format!("{index:056}"),
        })
    });
    let mut body = json!({"events": told.collect::<Vec<_>>(), "searchedLogStreams": []});
    if rest.next().is_some() {
        body["nextToken"] = (start + limit).to_string().into();
    }
    Ok(body)
}

fn no_group() -> Result<Value, Refusal> {
    let message = "The specified log group does not exist.";
    refused("ResourceNotFoundException", message)
}
