//! What hangs on functions: versions, aliases, permissions, URLs, and how asynchronous calls go.

use serde_json::{Map, Value, json};

use super::{
    Answer, Asked, Live, Step, made as made_of, needed,
    request::{first, segment},
    text, typed,
};
use crate::local::stacks::{Fault, value::Made};

const FUNCTIONS: &str = "/2015-03-31/functions";
const URLS: &str = "/2021-10-31/functions";
const LATER: &str = "/2019-09-25/functions";
const PROVISIONED: &str = "/2019-09-30/functions";

/// These members of the properties, as far as they are given.
fn picked(properties: &Value, names: &[&str]) -> Map<String, Value> {
    let given = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), properties.get(name)?.clone())));
    given.collect()
}

/// A function's name and qualifier out of its ARN.
fn split(arn: &str) -> (&str, &str) {
    let behind = arn
        .split_once(":function:")
        .map_or(arn, |(_, behind)| behind);
    behind.split_once(':').unwrap_or((behind, ""))
}

// --- versions ---

pub(super) fn create_version(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let function = needed(asked, "FunctionName")?;
    let body = picked(asked.properties, &["CodeSha256", "Description"]);
    let path = format!("{FUNCTIONS}/{}/versions", segment(&function));
    Ok(vec![Step::lambda("POST", path, &Value::Object(body))])
}

pub(super) fn made_version(answers: &[Answer]) -> Result<Made, Fault> {
    let answer = first(answers)?;
    let (arn, version) = (answer.member("FunctionArn")?, answer.member("Version")?);
    Ok(made_of(
        &arn,
        [("Version", version.as_str()), ("FunctionArn", arn.as_str())],
    ))
}

pub(super) fn delete_version(live: &Live) -> Vec<Step> {
    let (function, version) = split(&live.made.physical);
    let path = format!("{FUNCTIONS}/{}?Qualifier={version}", segment(function));
    vec![Step::lambda("DELETE", path, &Value::Null)]
}

// --- aliases ---

fn alias(properties: &Value) -> Map<String, Value> {
    let mut body = picked(properties, &["Name", "Description", "FunctionVersion"]);
    let weights = &properties["RoutingConfig"]["AdditionalVersionWeights"];
    let weights = weights.as_array().into_iter().flatten();
    let weights =
        weights.filter_map(|it| Some((text(it, "FunctionVersion")?, it["FunctionWeight"].clone())));
    let weights: Map<_, _> = weights.collect();
    body.insert(
        "RoutingConfig".to_owned(),
        json!({"AdditionalVersionWeights": weights}),
    );
    body
}

pub(super) fn create_alias(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let (function, name) = (needed(asked, "FunctionName")?, needed(asked, "Name")?);
    let path = format!("{FUNCTIONS}/{}/aliases", segment(&function));
    let created = Step::lambda("POST", path, &Value::Object(alias(asked.properties)));
    Ok([created]
        .into_iter()
        .chain(provisioned(asked.properties, &function, &name))
        .collect())
}

fn provisioned(properties: &Value, function: &str, alias: &str) -> Option<Step> {
    let asked = properties.get("ProvisionedConcurrencyConfig")?;
    let count = typed(&asked["ProvisionedConcurrentExecutions"]);
    let path = format!(
        "{PROVISIONED}/{}/provisioned-concurrency?Qualifier={}",
        segment(function),
        segment(alias)
    );
    Some(Step::lambda(
        "PUT",
        path,
        &json!({"ProvisionedConcurrentExecutions": count}),
    ))
}

pub(super) fn made_alias(answers: &[Answer]) -> Result<Made, Fault> {
    let arn = first(answers)?.member("AliasArn")?;
    Ok(made_of(&arn, [("AliasArn", arn.as_str())]))
}

pub(super) fn update_alias(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let (function, name) = split(&live.made.physical);
    let mut body = alias(asked.properties);
    body.remove("Name");
    let path = format!(
        "{FUNCTIONS}/{}/aliases/{}",
        segment(function),
        segment(name)
    );
    let mut steps = vec![Step::lambda("PUT", path, &Value::Object(body))];
    let member = "ProvisionedConcurrencyConfig";
    let is_new = live.properties.get(member) != asked.properties.get(member);
    steps.extend(provisioned(asked.properties, function, name).filter(|_| is_new));
    if is_new && asked.properties.get(member).is_none() {
        let path = format!(
            "{PROVISIONED}/{}/provisioned-concurrency?Qualifier={}",
            segment(function),
            segment(name)
        );
        steps.push(Step::lambda("DELETE", path, &Value::Null));
    }
    Ok(steps)
}

pub(super) fn delete_alias(live: &Live) -> Vec<Step> {
    let (function, name) = split(&live.made.physical);
    let path = format!(
        "{FUNCTIONS}/{}/aliases/{}",
        segment(function),
        segment(name)
    );
    vec![Step::lambda("DELETE", path, &Value::Null)]
}

// --- permissions ---

const PERMISSION: &[&str] = &[
    "Action",
    "EventSourceToken",
    "FunctionUrlAuthType",
    "Principal",
    "PrincipalOrgID",
    "SourceAccount",
    "SourceArn",
];

pub(super) fn create_permission(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let function = needed(asked, "FunctionName")?;
    let mut body = picked(asked.properties, PERMISSION);
    body.insert("StatementId".to_owned(), json!(asked.name));
    let by_url = asked.properties.get("InvokedViaFunctionUrl");
    body.extend(by_url.map(|it| ("InvokedViaFunctionUrl".to_owned(), typed(it))));
    let path = format!("{FUNCTIONS}/{}/policy", segment(&function));
    Ok(vec![Step::lambda("POST", path, &Value::Object(body))])
}

pub(super) fn delete_permission(live: &Live) -> Vec<Step> {
    let function = text(&live.properties, "FunctionName").unwrap_or_default();
    let path = format!(
        "{FUNCTIONS}/{}/policy/{}",
        segment(&function),
        segment(&live.made.physical)
    );
    vec![Step::lambda("DELETE", path, &Value::Null)]
}

// --- URLs ---

fn url_path(properties: &Value) -> String {
    let function = text(properties, "TargetFunctionArn").unwrap_or_default();
    let qualifier = text(properties, "Qualifier");
    let qualifier = qualifier.map(|it| format!("?Qualifier={}", segment(&it)));
    format!(
        "{URLS}/{}/url{}",
        segment(&function),
        qualifier.unwrap_or_default()
    )
}

fn url(properties: &Value) -> Value {
    Value::Object(picked(properties, &["AuthType", "Cors", "InvokeMode"]))
}

pub(super) fn create_url(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    needed(asked, "TargetFunctionArn")?;
    let path = url_path(asked.properties);
    Ok(vec![Step::lambda("POST", path, &url(asked.properties))])
}

pub(super) fn made_url(answers: &[Answer]) -> Result<Made, Fault> {
    let answer = first(answers)?;
    let (arn, url) = (answer.member("FunctionArn")?, answer.member("FunctionUrl")?);
    Ok(made_of(
        &arn,
        [("FunctionArn", arn.as_str()), ("FunctionUrl", url.as_str())],
    ))
}

pub(super) fn update_url(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let path = url_path(&live.properties);
    Ok(vec![Step::lambda("PUT", path, &url(asked.properties))])
}

pub(super) fn delete_url(live: &Live) -> Vec<Step> {
    vec![Step::lambda(
        "DELETE",
        url_path(&live.properties),
        &Value::Null,
    )]
}

// --- asynchronous calls ---

fn later_path(properties: &Value) -> String {
    let function = text(properties, "FunctionName").unwrap_or_default();
    let qualifier = text(properties, "Qualifier").unwrap_or_default();
    format!(
        "{LATER}/{}/event-invoke-config?Qualifier={}",
        segment(&function),
        segment(&qualifier)
    )
}

pub(super) fn put_asynchronous(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    needed(asked, "FunctionName")?;
    needed(asked, "Qualifier")?;
    let mut body = picked(asked.properties, &["DestinationConfig"]);
    for name in ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"] {
        body.extend(
            asked
                .properties
                .get(name)
                .map(|it| (name.to_owned(), typed(it))),
        );
    }
    Ok(vec![Step::lambda(
        "PUT",
        later_path(asked.properties),
        &Value::Object(body),
    )])
}

pub(super) fn made_asynchronous(asked: &Asked<'_>) -> Result<Made, Fault> {
    let (function, qualifier) = (needed(asked, "FunctionName")?, needed(asked, "Qualifier")?);
    Ok(made_of(&format!("{function}|{qualifier}"), []))
}

pub(super) fn delete_asynchronous(live: &Live) -> Vec<Step> {
    vec![Step::lambda(
        "DELETE",
        later_path(&live.properties),
        &Value::Null,
    )]
}
