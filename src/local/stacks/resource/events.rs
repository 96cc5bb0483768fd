//! What calls functions: mappings, queues, topics and their subscriptions, rules.

use serde_json::{Map, Value, json};

use super::{
    Answer, Asked, Live, Step, made as made_of, name_of, needed,
    request::{first, segment},
    tags, text, typed,
};
use crate::local::stacks::{
    Fault,
    value::{Made, text_of},
};

// --- mappings ---

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// Numbers and switches are so on the wire, whatever the template wrote; names stay texts.
fn mapping(properties: &Value) -> Map<String, Value> {
    let members = properties.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| *name != "Tags");
    let members = members.map(|(name, value)| match name.as_str() {
        "FunctionName" | "EventSourceArn" => (name.clone(), value.clone()),
        _ => (name.clone(), typed(value)),
    });
    members.collect()
}

pub(super) fn create_mapping(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    needed(asked, "FunctionName")?;
    let mut body = mapping(asked.properties);
    let tags = tags(asked);
    if !tags.is_empty() {
        body.insert("Tags".to_owned(), json!(tags));
    }
    Ok(vec![Step::lambda(
        "POST",
        MAPPINGS.to_owned(),
        &Value::Object(body),
    )])
}

pub(super) fn made_mapping(asked: &Asked<'_>, answers: &[Answer]) -> Result<Made, Fault> {
    let id = first(answers)?.member("UUID")?;
    let (region, account) = (&asked.place.region, &asked.place.account);
    let arn = format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{id}");
    Ok(made_of(
        &id,
        [("Id", id.as_str()), ("EventSourceMappingArn", arn.as_str())],
    ))
}

pub(super) fn update_mapping(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let mut body = mapping(asked.properties);
    for fixed in [
        "EventSourceArn",
        "SelfManagedEventSource",
        "StartingPosition",
        "StartingPositionTimestamp",
    ] {
        body.remove(fixed);
    }
    let path = format!("{MAPPINGS}/{}", segment(&live.made.physical));
    Ok(vec![Step::lambda("PUT", path, &Value::Object(body))])
}

pub(super) fn delete_mapping(live: &Live) -> Vec<Step> {
    let path = format!("{MAPPINGS}/{}", segment(&live.made.physical));
    let look = Step::lambda("GET", path.clone(), &Value::Null);
    // It is Deleting for a while, and reads on.
    vec![
        Step::lambda("DELETE", path, &Value::Null),
        look.until_gone(),
    ]
}

// --- queues ---

/// Attributes are texts; a redrive policy is JSON in one.
fn attributes(properties: &Value) -> Map<String, Value> {
    let members = properties.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| !["QueueName", "Tags"].contains(&name.as_str()));
    let texts = members.map(|(name, value)| {
        let text = text_of(value).unwrap_or_else(|| value.to_string());
        (name.clone(), json!(text))
    });
    texts.collect()
}

pub(super) fn create_queue(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let mut name = name_of(asked, "QueueName");
    let is_fifo = text(asked.properties, "FifoQueue").is_some_and(|it| it == "true");
    if is_fifo && !name.ends_with(".fifo") {
        name.push_str(".fifo");
    }
    let body = json!({"QueueName": name, "Attributes": attributes(asked.properties)});
    Ok(vec![Step::json("AmazonSQS.CreateQueue", &body)])
}

pub(super) fn made_queue(asked: &Asked<'_>, answers: &[Answer]) -> Result<Made, Fault> {
    let url = first(answers)?.member("QueueUrl")?;
    let name = url.rsplit('/').next().unwrap_or_default();
    let (region, account) = (&asked.place.region, &asked.place.account);
    let arn = format!("arn:aws:sqs:{region}:{account}:{name}");
    Ok(made_of(
        &url,
        [
            ("Arn", arn.as_str()),
            ("QueueName", name),
            ("QueueUrl", url.as_str()),
        ],
    ))
}

pub(super) fn update_queue(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let body = json!({"QueueUrl": live.made.physical, "Attributes": attributes(asked.properties)});
    Ok(vec![Step::json("AmazonSQS.SetQueueAttributes", &body)])
}

pub(super) fn delete_queue(live: &Live) -> Vec<Step> {
    vec![Step::json(
        "AmazonSQS.DeleteQueue",
        &json!({"QueueUrl": live.made.physical}),
    )]
}

// --- topics ---

pub(super) fn create_topic(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let name = name_of(asked, "TopicName");
    Ok(vec![Step::form("CreateTopic", &[("Name", &name)])])
}

pub(super) fn made_topic(asked: &Asked<'_>, answers: &[Answer]) -> Result<Made, Fault> {
    let arn = first(answers)?.element("TopicArn")?;
    let name = name_of(asked, "TopicName");
    Ok(made_of(
        &arn,
        [("TopicArn", arn.as_str()), ("TopicName", name.as_str())],
    ))
}

pub(super) fn delete_topic(live: &Live) -> Vec<Step> {
    vec![Step::form(
        "DeleteTopic",
        &[("TopicArn", &live.made.physical)],
    )]
}

pub(super) fn subscribe(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let [topic, protocol, endpoint] =
        ["TopicArn", "Protocol", "Endpoint"].map(|name| needed(asked, name));
    let (topic, protocol, endpoint) = (topic?, protocol?, endpoint?);
    let filter = asked.properties.get("FilterPolicy").map(Value::to_string);
    let mut members = vec![
        ("TopicArn", topic.as_str()),
        ("Protocol", protocol.as_str()),
        ("Endpoint", endpoint.as_str()),
    ];
    if let Some(filter) = &filter {
        members.extend([
            ("Attributes.entry.1.key", "FilterPolicy"),
            ("Attributes.entry.1.value", filter),
        ]);
    }
    Ok(vec![Step::form("Subscribe", &members)])
}

pub(super) fn made_subscription(answers: &[Answer]) -> Result<Made, Fault> {
    let arn = first(answers)?.element("SubscriptionArn")?;
    Ok(made_of(&arn, [("Arn", arn.as_str())]))
}

pub(super) fn update_subscription(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let filter = asked.properties.get("FilterPolicy").map(Value::to_string);
    let members = [
        ("SubscriptionArn", live.made.physical.as_str()),
        ("AttributeName", "FilterPolicy"),
        ("AttributeValue", filter.as_deref().unwrap_or("{}")),
    ];
    Ok(vec![Step::form("SetSubscriptionAttributes", &members)])
}

pub(super) fn unsubscribe(live: &Live) -> Vec<Step> {
    vec![Step::form(
        "Unsubscribe",
        &[("SubscriptionArn", &live.made.physical)],
    )]
}

// --- rules ---

fn targets(properties: &Value) -> Vec<&Value> {
    properties["Targets"]
        .as_array()
        .into_iter()
        .flatten()
        .collect()
}

/// A rule and its targets; those that `old` had and that are gone are taken away.
pub(super) fn put_rule(asked: &Asked<'_>, old: &Value) -> Result<Vec<Step>, Fault> {
    let name = name_of(asked, "Name");
    let mut rule = Map::from_iter([("Name".to_owned(), json!(name))]);
    rule.insert(
        "ScheduleExpression".to_owned(),
        json!(needed(asked, "ScheduleExpression")?),
    );
    for member in ["Description", "State"] {
        rule.extend(
            asked
                .properties
                .get(member)
                .map(|it| (member.to_owned(), it.clone())),
        );
    }
    let mut steps = vec![Step::json("AWSEvents.PutRule", &Value::Object(rule))];
    let wanted = targets(asked.properties);
    let ids: Vec<_> = wanted.iter().filter_map(|it| text(it, "Id")).collect();
    let gone = targets(old).into_iter().filter_map(|it| text(it, "Id"));
    let gone: Vec<_> = gone.filter(|id| !ids.contains(id)).collect();
    if !gone.is_empty() {
        steps.push(Step::json(
            "AWSEvents.RemoveTargets",
            &json!({"Rule": name, "Ids": gone}),
        ));
    }
    if !wanted.is_empty() {
        steps.push(Step::json(
            "AWSEvents.PutTargets",
            &json!({"Rule": name, "Targets": wanted}),
        ));
    }
    Ok(steps)
}

pub(super) fn made_rule(asked: &Asked<'_>) -> Made {
    let name = name_of(asked, "Name");
    let (region, account) = (&asked.place.region, &asked.place.account);
    let arn = format!("arn:aws:events:{region}:{account}:rule/{name}");
    made_of(&name, [("Arn", arn.as_str())])
}

pub(super) fn delete_rule(live: &Live) -> Vec<Step> {
    let rule = &live.made.physical;
    let ids: Vec<_> = targets(&live.properties)
        .into_iter()
        .filter_map(|it| text(it, "Id"))
        .collect();
    vec![
        Step::json(
            "AWSEvents.RemoveTargets",
            &json!({"Rule": rule, "Ids": ids}),
        ),
        Step::json("AWSEvents.DeleteRule", &json!({"Name": rule})),
    ]
}
