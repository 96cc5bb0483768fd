//! Roles of IAM.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Answer, Asked, Live, Step, made as made_of, name_of, request::first, tags, text};
use crate::local::stacks::{Fault, fault, value::Made};

pub(super) fn create(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let name = name_of(asked, "RoleName");
    let trust = document(asked.properties, "AssumeRolePolicyDocument")?;
    let mut members = vec![
        ("RoleName", name.as_str()),
        ("AssumeRolePolicyDocument", trust.as_str()),
    ];
    let texts = [
        "Path",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
    ];
    let texts: Vec<_> = texts
        .into_iter()
        .filter_map(|it| Some((it, text(asked.properties, it)?)))
        .collect();
    members.extend(texts.iter().map(|(name, value)| (*name, value.as_str())));
    let tags = tags(asked);
    let numbered = tags.iter().enumerate().flat_map(|(index, (key, value))| {
        let number = index + 1;
        [
            (format!("Tags.member.{number}.Key"), key),
            (format!("Tags.member.{number}.Value"), value),
        ]
    });
    let numbered: Vec<_> = numbered.collect();
    members.extend(
        numbered
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let mut steps = vec![Step::form("CreateRole", &members)];
    steps.extend(given(
        &name,
        &policies(asked.properties)?,
        &attached(asked.properties),
    ));
    Ok(steps)
}

/// A policy as text; some templates write it so.
fn document(properties: &Value, name: &str) -> Result<String, Fault> {
    match &properties[name] {
        Value::String(text) => Ok(text.clone()),
        it @ Value::Object(_) => Ok(it.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => fault(format!(
            "Properties validation failed: required key [{name}] not found"
        )),
    }
}

fn policies(properties: &Value) -> Result<BTreeMap<String, String>, Fault> {
    let all = properties["Policies"].as_array().into_iter().flatten();
    let all = all.map(|it| {
        Ok((
            text(it, "PolicyName").unwrap_or_default(),
            document(it, "PolicyDocument")?,
        ))
    });
    all.collect()
}

fn attached(properties: &Value) -> BTreeSet<String> {
    let all = properties["ManagedPolicyArns"]
        .as_array()
        .into_iter()
        .flatten();
    all.filter_map(|it| Some(it.as_str()?.to_owned())).collect()
}

fn given(
    role: &str,
    policies: &BTreeMap<String, String>,
    attached: &BTreeSet<String>,
) -> Vec<Step> {
    let policies = policies.iter().map(|(name, document)| {
        let members = [
            ("RoleName", role),
            ("PolicyName", name),
            ("PolicyDocument", document),
        ];
        Step::form("PutRolePolicy", &members)
    });
    let attached = attached.iter().map(|arn| {
        Step::form(
            "AttachRolePolicy",
            &[("RoleName", role), ("PolicyArn", arn)],
        )
    });
    policies.chain(attached).collect()
}

fn taken<'n>(
    role: &str,
    policies: impl Iterator<Item = &'n String>,
    attached: impl Iterator<Item = &'n String>,
) -> Vec<Step> {
    let policies = policies.map(|name| {
        Step::form(
            "DeleteRolePolicy",
            &[("RoleName", role), ("PolicyName", name)],
        )
    });
    let attached = attached.map(|arn| {
        Step::form(
            "DetachRolePolicy",
            &[("RoleName", role), ("PolicyArn", arn)],
        )
    });
    policies.chain(attached).collect()
}

pub(super) fn made(answers: &[Answer]) -> Result<Made, Fault> {
    let answer = first(answers)?;
    let (arn, id) = (answer.element("Arn")?, answer.element("RoleId")?);
    Ok(made_of(
        &answer.element("RoleName")?,
        [("Arn", arn.as_str()), ("RoleId", id.as_str())],
    ))
}

/// Tags and what bounds a role stay as they were made: nothing here acts on them.
pub(super) fn update(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let role = &live.made.physical;
    let trust = "AssumeRolePolicyDocument";
    let mut steps = Vec::new();
    if live.properties.get(trust) != asked.properties.get(trust) {
        let document = document(asked.properties, trust)?;
        steps.push(Step::form(
            "UpdateAssumeRolePolicy",
            &[("RoleName", role), ("PolicyDocument", &document)],
        ));
    }
    let (old, new) = (policies(&live.properties)?, policies(asked.properties)?);
    let (before, after) = (attached(&live.properties), attached(asked.properties));
    let fresh = new.iter().filter(|(name, it)| old.get(*name) != Some(it));
    let fresh = fresh.map(|(name, it)| (name.clone(), it.clone())).collect();
    steps.extend(given(
        role,
        &fresh,
        &after.difference(&before).cloned().collect(),
    ));
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    steps.extend(taken(role, gone, before.difference(&after)));
    Ok(steps)
}

pub(super) fn delete(live: &Live) -> Vec<Step> {
    let role = &live.made.physical;
    let policies = policies(&live.properties).unwrap_or_default();
    let attached = attached(&live.properties);
    let mut steps = taken(role, policies.keys(), attached.iter());
    steps.push(Step::form("DeleteRole", &[("RoleName", role)]));
    steps
}
