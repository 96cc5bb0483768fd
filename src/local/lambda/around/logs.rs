//! Log groups of CloudWatch: their names, how long they keep, and what functions wrote.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::{super::Lambda, Refusal, needed, refused};

/// Where Lambda writes for a function.
const OWN: &str = "/aws/lambda/";

/// Groups of one answer.
const GROUPS_PAGE: usize = 50;

/// CloudWatch's own page.
const PAGE: usize = 10_000;

pub(super) fn carry_out(
    lambda: &Lambda,
    operation: &str,
    request: &Value,
) -> Result<Value, Refusal> {
    if operation == "FilterLogEvents" {
        return filter(lambda, request);
    }
    let groups = &lambda.around.retentions;
    let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
    match operation {
        "CreateLogGroup" => {
            let name = needed(request, "logGroupName")?;
            if groups.contains_key(name) {
                let message = "The specified log group already exists";
                return refused("ResourceAlreadyExistsException", message);
            }
            groups.insert(name.to_owned(), None);
            Ok(json!({}))
        }
        "PutRetentionPolicy" => {
            let name = needed(request, "logGroupName")?;
            let Some(days) = groups.get_mut(name) else {
                return no_group();
            };
            *days = request["retentionInDays"].as_u64();
            Ok(json!({}))
        }
        "DeleteRetentionPolicy" => {
            let name = needed(request, "logGroupName")?;
            let Some(days) = groups.get_mut(name) else {
                return no_group();
            };
            *days = None;
            Ok(json!({}))
        }
        "DescribeLogGroups" => {
            let prefix = request["logGroupNamePrefix"].as_str().unwrap_or_default();
            let limit = request["limit"].as_u64();
            let limit = limit.and_then(|limit| usize::try_from(limit).ok());
            let named = groups.iter().filter(|(name, _)| name.starts_with(prefix));
            let named = named.take(limit.unwrap_or(GROUPS_PAGE));
            let told = named.map(|(name, days)| {
                let mut told = json!({"logGroupName": name});
                if let Some(days) = days {
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

/// `FilterLogEvents`. A pattern is a text in quotes, or one word.
fn filter(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let group = needed(request, "logGroupName")?;
    let function = group.strip_prefix(OWN).unwrap_or(group);
    let Some(kept) = lambda.runner.kept_logs(function) else {
        let groups = lambda.around.retentions.lock();
        let is_known = groups
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(group);
        return match is_known {
            true => Ok(json!({"events": [], "searchedLogStreams": []})),
            false => no_group(),
        };
    };
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
    let lines = kept.lines();
    let fits = lines.iter().enumerate().filter(|(_, line)| {
        let at = line.at.millis();
        from.is_none_or(|from| at >= from)
            && until.is_none_or(|until| at <= until)
            && line.text.contains(&pattern)
    });
    let mut rest = fits.skip(start);
    let told = rest.by_ref().take(limit).map(|(index, line)| {
        json!({
            "logStreamName": "local",
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
