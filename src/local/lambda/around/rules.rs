//! Rules of EventBridge that call functions by the clock.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Lambda, Refusal, cron::Schedule, needed, refused};

const MISSING: &str = "ResourceNotFoundException";
const NAME_MAX: usize = 64;
const TARGETS_MAX: usize = 5;

/// By name.
pub(in crate::local::lambda) type Rules = BTreeMap<String, Rule>;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::local::lambda) struct Rule {
    pub(super) expression: String,
    pub(super) enabled: bool,
    description: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// By their ids: ARN and, where one was given, the input.
    pub(super) targets: BTreeMap<String, Target>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Target {
    pub(super) arn: String,
    pub(super) input: Option<String>,
}

pub(super) fn arn(lambda: &Lambda, rule: &str) -> String {
    let place = &lambda.place;
    format!(
        "arn:aws:events:{}:{}:rule/{rule}",
        place.region, place.account
    )
}

pub(super) fn carry_out(
    lambda: &Lambda,
    operation: &str,
    request: &Value,
) -> Result<Value, Refusal> {
    match operation {
        "PutRule" => put(lambda, request),
        "DescribeRule" => see(lambda, request, |name, rule| shown(lambda, name, rule)),
        "ListRules" => list(lambda, request),
        "DeleteRule" => delete(lambda, request),
        "EnableRule" => change(lambda, request, |rule| rule.enabled = true),
        "DisableRule" => change(lambda, request, |rule| rule.enabled = false),
        "PutTargets" => put_targets(lambda, request),
        "ListTargetsByRule" => list_targets(lambda, request),
        "ListTagsForResource" => list_tags(lambda, request),
        "RemoveTargets" => remove_targets(lambda, request),
        other => refused(
            "UnknownOperationException",
            format!("this endpoint does not know {other} of EventBridge"),
        ),
    }
}

/// Changes the rules, and writes them down before the answer is given. A refusal changes nothing.
fn changed<T>(
    lambda: &Lambda,
    change: impl FnOnce(&mut Rules) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut rules = lambda.around.rules();
    let mut fresh = rules.clone();
    let told = change(&mut fresh)?;
    if let Err(fault) = lambda.save_rules(&fresh) {
        return Err(Refusal {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "InternalException",
            message: fault.to_string(),
        });
    }
    *rules = fresh;
    Ok(told)
}

fn missing<T>(name: &str) -> Result<T, Refusal> {
    refused(
        MISSING,
        format!("Rule {name} does not exist on EventBus default."),
    )
}

fn put(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let name = needed(request, "Name")?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_part) {
        let message = format!(
            "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+"
        );
        return refused("ValidationException", message);
    }
    let expression = needed(request, "ScheduleExpression")?;
    if Schedule::parse(expression).is_none() {
        return refused(
            "ValidationException",
            "Parameter ScheduleExpression is not valid.",
        );
    }
    changed(lambda, |rules| {
        let before = rules.remove(name);
        // Of a rule that is there they are left as they are.
        let tags = before.as_ref().map(|it| it.tags.clone());
        let rule = Rule {
            tags: tags.unwrap_or_else(|| tags_of(request)),
            expression: expression.to_owned(),
            enabled: request["State"] != "DISABLED",
            description: request["Description"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            targets: before.map(|it| it.targets).unwrap_or_default(),
        };
        rules.insert(name.to_owned(), rule);
        Ok(json!({"RuleArn": arn(lambda, name)}))
    })
}

fn shown(lambda: &Lambda, name: &str, rule: &Rule) -> Value {
    json!({
        "Name": name,
        "Arn": arn(lambda, name),
        "ScheduleExpression": rule.expression,
        "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
        "Description": rule.description,
        "EventBusName": "default",
    })
}

fn see(
    lambda: &Lambda,
    request: &Value,
    look: impl FnOnce(&str, &Rule) -> Value,
) -> Result<Value, Refusal> {
    let name = needed(request, "Name")?;
    match lambda.around.rules().get(name) {
        Some(rule) => Ok(look(name, rule)),
        None => missing(name),
    }
}

fn list(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let prefix = request["NamePrefix"].as_str().unwrap_or_default();
    let rules = lambda.around.rules();
    let named = rules.iter().filter(|(name, _)| name.starts_with(prefix));
    let told: Vec<_> = named
        .map(|(name, rule)| shown(lambda, name, rule))
        .collect();
    Ok(json!({"Rules": told}))
}

fn tags_of(request: &Value) -> BTreeMap<String, String> {
    let tags = request["Tags"].as_array().into_iter().flatten();
    let pair = |tag: &Value| {
        let text = |name: &str| tag[name].as_str().map(str::to_owned);
        Some((text("Key")?, text("Value")?))
    };
    tags.filter_map(pair).collect()
}

fn list_tags(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let resource = needed(request, "ResourceARN")?;
    let name = resource.split_once(":rule/").map_or("", |(_, name)| name);
    let rules = lambda.around.rules();
    let Some(rule) = rules.get(name) else {
        return missing(name);
    };
    let tags = rule.tags.iter();
    let tags = tags.map(|(tag, value)| json!({"Key": tag, "Value": value}));
    Ok(json!({"Tags": tags.collect::<Vec<_>>()}))
}

fn delete(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let name = needed(request, "Name")?;
    changed(lambda, |rules| {
        if rules.get(name).is_some_and(|rule| !rule.targets.is_empty()) {
            return refused(
                "ValidationException",
                "Rule can't be deleted since it has targets.",
            );
        }
        // A rule that is not there is deleted, too.
        rules.remove(name);
        Ok(json!({}))
    })
}

fn change(
    lambda: &Lambda,
    request: &Value,
    change: impl FnOnce(&mut Rule),
) -> Result<Value, Refusal> {
    let name = needed(request, "Name")?;
    changed(lambda, |rules| match rules.get_mut(name) {
        Some(rule) => {
            change(rule);
            Ok(json!({}))
        }
        None => missing(name),
    })
}

fn put_targets(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let name = needed(request, "Rule")?;
    let asked = request["Targets"].as_array().into_iter().flatten();
    let mut targets = BTreeMap::new();
    for target in asked {
        let arn = needed(target, "Arn")?.to_owned();
        let input = target["Input"].as_str().map(str::to_owned);
        targets.insert(needed(target, "Id")?.to_owned(), Target { arn, input });
    }
    changed(lambda, |rules| {
        let Some(rule) = rules.get_mut(name) else {
            return missing(name);
        };
        rule.targets.extend(targets);
        if rule.targets.len() > TARGETS_MAX {
            return refused(
                "LimitExceededException",
                "The requested resource exceeds the maximum number allowed.",
            );
        }
        Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
    })
}

fn list_targets(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let name = needed(request, "Rule")?;
    let rules = lambda.around.rules();
    let Some(rule) = rules.get(name) else {
        return missing(name);
    };
    let told = rule.targets.iter().map(|(id, target)| {
        let mut told = json!({"Id": id, "Arn": target.arn});
        if let Some(input) = &target.input {
            told["Input"] = json!(input);
        }
        told
    });
    Ok(json!({"Targets": told.collect::<Vec<_>>()}))
}

fn remove_targets(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let name = needed(request, "Rule")?;
    let ids: Vec<_> = request["Ids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    changed(lambda, |rules| match rules.get_mut(name) {
        Some(rule) => {
            rule.targets.retain(|id, _| !ids.contains(&id.as_str()));
            Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
        }
        None => missing(name),
    })
}
