//! Stacks as answers show them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Lambda, ask::desired, invalid, seen};
use crate::{
    cloud::xml::escaped,
    local::{
        lambda::around::forms::{Form, Refusal, needed},
        stacks::{
            changes::Shown,
            record::{Event, Held, Stack, Status, Wish},
        },
    },
};

/// Events and resources of one answer.
const PAGE: usize = 100;
/// What is shown of a parameter with `NoEcho`.
const HIDDEN: &str = "****";

/// A tree as elements: lists have members, and what is null is left out.
pub(super) fn xml(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => it.to_string(),
        Value::String(text) => escaped(text),
        Value::Array(all) => all
            .iter()
            .map(|it| format!("<member>{}</member>", xml(it)))
            .collect(),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, it)| !it.is_null());
            members
                .map(|(name, it)| format!("<{name}>{}</{name}>", xml(it)))
                .collect()
        }
    }
}

/// One page of a list; the token is where the next one begins.
fn page(form: &Form, list: &str, all: Vec<Value>) -> Value {
    let start = form
        .get("NextToken")
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    let next = start + PAGE;
    let more = (all.len() > next).then(|| next.to_string());
    let shown: Vec<_> = all.into_iter().skip(start).take(PAGE).collect();
    json!({list: shown, "NextToken": more})
}

pub(super) fn stacks(lambda: &Lambda, form: &Form) -> Result<Value, Refusal> {
    if form.contains_key("StackName") {
        return seen(lambda, form, |it| Ok(json!({"Stacks": [stack(it)]})));
    }
    let stacks = lambda.stacks();
    let there = stacks
        .0
        .values()
        .filter(|it| it.status != Status::DeleteComplete);
    Ok(page(form, "Stacks", there.map(stack).collect()))
}

fn stack(stack: &Stack) -> Value {
    let outputs = stack.outputs.iter().map(|output| {
        let Shown { name, value, description, export } = output;
        json!({"OutputKey": name, "OutputValue": value, "Description": description, "ExportName": export})
    });
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": stack.description,
        "Parameters": parameters(&stack.wish),
        "CreationTime": stack.created.to_string(),
        "LastUpdatedTime": stack.updated.map(|it| it.to_string()),
        "DeletionTime": stack.deleted.map(|it| it.to_string()),
        "RollbackConfiguration": {},
        "StackStatus": stack.status.as_str(),
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.keeps_failed,
        "NotificationARNs": [],
        "Capabilities": stack.wish.capabilities,
        "Outputs": outputs.collect::<Vec<_>>(),
        "Tags": tags(&stack.wish.tags),
        "EnableTerminationProtection": false,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    })
}

/// With their values, but for those that are not to be seen.
pub(super) fn parameters(wish: &Wish) -> Value {
    let Ok(desired) = desired(wish) else {
        return json!([]);
    };
    let all = desired.template.parameters.iter().map(|(name, parameter)| {
        let value = match parameter.no_echo {
            true => HIDDEN.to_owned(),
            false => {
                let given = wish.parameters.get(name).cloned();
                let default = || {
                    parameter
                        .default
                        .as_ref()
                        .and_then(crate::local::stacks::value::text_of)
                };
                given.or_else(default).unwrap_or_default()
            }
        };
        json!({"ParameterKey": name, "ParameterValue": value})
    });
    all.collect()
}

pub(super) fn tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// `ListStacks`, with those that are gone.
pub(super) fn all(lambda: &Lambda, form: &Form) -> Value {
    let wanted = super::ask::members(form, "StackStatusFilter");
    let stacks = lambda.stacks();
    let shown = stacks
        .0
        .values()
        .filter(|it| wanted.is_empty() || wanted.iter().any(|status| status == it.status.as_str()));
    let shown = shown.map(|it| {
        json!({
            "StackId": it.id,
            "StackName": it.name,
            "TemplateDescription": it.description,
            "CreationTime": it.created.to_string(),
            "LastUpdatedTime": it.updated.map(|at| at.to_string()),
            "DeletionTime": it.deleted.map(|at| at.to_string()),
            "StackStatus": it.status.as_str(),
            "StackStatusReason": it.reason,
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        })
    });
    page(form, "StackSummaries", shown.collect())
}

pub(super) fn exports(lambda: &Lambda) -> Value {
    let stacks = lambda.stacks();
    let there = stacks
        .0
        .values()
        .filter(|it| it.status != Status::DeleteComplete);
    let exports = there.flat_map(|stack| {
        let exported = stack.outputs.iter();
        exported.filter_map(move |output| {
            let name = output.export.as_ref()?;
            Some(json!({"ExportingStackId": stack.id, "Name": name, "Value": output.value}))
        })
    });
    json!({"Exports": exports.collect::<Vec<_>>()})
}

/// Newest first.
pub(super) fn events(stack: &Stack, form: &Form) -> Result<Value, Refusal> {
    let shown = stack.events.iter().rev().map(|event| {
        let Event {
            id,
            at,
            logical,
            physical,
            kind,
            status,
            reason,
        } = event;
        json!({
            "StackId": stack.id,
            "EventId": id,
            "StackName": stack.name,
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "Timestamp": at.to_string(),
            "ResourceStatus": status.as_str(),
            "ResourceStatusReason": reason,
        })
    });
    Ok(page(form, "StackEvents", shown.collect()))
}

fn held(logical: &str, held: &Held, at: &str) -> Value {
    let Held {
        live,
        status,
        changed,
    } = held;
    json!({
        "LogicalResourceId": logical,
        "PhysicalResourceId": live.made.physical,
        "ResourceType": live.kind,
        at: changed.to_string(),
        "ResourceStatus": status.as_str(),
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    })
}

/// With what its stack is called.
fn of_stack(stack: &Stack, mut shown: Value) -> Value {
    shown["StackName"] = json!(stack.name);
    shown["StackId"] = json!(stack.id);
    shown
}

pub(super) fn resource(stack: &Stack, logical: &str) -> Result<Value, Refusal> {
    let Some(there) = stack.resources.get(logical) else {
        let name = &stack.name;
        return invalid(format!(
            "Resource {logical} does not exist for stack {name}"
        ));
    };
    let shown = of_stack(stack, held(logical, there, "LastUpdatedTimestamp"));
    Ok(json!({"StackResourceDetail": shown}))
}

/// `DescribeStackResources`: of a stack, or of the stack that a resource belongs to.
pub(super) fn resources(lambda: &Lambda, form: &Form) -> Result<Value, Refusal> {
    let shown = |stack: &Stack| {
        let wanted = form.get("LogicalResourceId");
        let all = stack.resources.iter();
        let all = all.filter(|(name, _)| wanted.is_none_or(|it| it == *name));
        let all = all.map(|(name, it)| of_stack(stack, held(name, it, "Timestamp")));
        Ok(json!({"StackResources": all.collect::<Vec<_>>()}))
    };
    let Some(physical) = form.get("PhysicalResourceId") else {
        needed(form, "StackName")?;
        return seen(lambda, form, shown);
    };
    let stacks = lambda.stacks();
    let has = |stack: &&Stack| stack.physical().values().any(|it| it == physical);
    match stacks.0.values().find(has) {
        Some(stack) => shown(stack),
        None => invalid(format!("Stack for {physical} does not exist")),
    }
}

pub(super) fn summaries(stack: &Stack, form: &Form) -> Value {
    let all = stack.resources.iter();
    let all = all.map(|(name, it)| held(name, it, "LastUpdatedTimestamp"));
    page(form, "StackResourceSummaries", all.collect())
}

/// `GetTemplate`: of a stack, or of a change set before it is carried out.
pub(super) fn template(lambda: &Lambda, form: &Form) -> Result<Value, Refusal> {
    let is_processed = form
        .get("TemplateStage")
        .is_some_and(|it| it == "Processed");
    let shown = |wish: &Wish| {
        let body = match is_processed {
            true => wish.tree.to_string(),
            false => wish.text.clone(),
        };
        Ok(json!({"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}))
    };
    match form.contains_key("ChangeSetName") {
        true => shown(&super::sets::found(lambda, form)?.1.wish),
        false => seen(lambda, form, |stack| shown(&stack.wish)),
    }
}
