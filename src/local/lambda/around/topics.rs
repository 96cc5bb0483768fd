//! Topics of SNS that call functions. A topic comes into being when it is first named; filter policies are kept and not applied.

use std::{collections::BTreeMap, sync::Arc};

use axum::{http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Lambda,
    deliver::{invoke, permits},
    forms::{Form, Refusal, answered, element, needed, read, result},
    messages::name_of,
};

pub(super) const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
const CALLER: &str = "sns.amazonaws.com";

/// Subscriptions by topic, and there by their ARNs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::local::lambda) struct Topics(BTreeMap<String, BTreeMap<String, Subscription>>);

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Subscription {
    endpoint: String,
    filter: Option<String>,
}

pub(super) fn is_known(operation: &str) -> bool {
    let known = [
        "CreateTopic",
        "DeleteTopic",
        "GetSubscriptionAttributes",
        "ListSubscriptionsByTopic",
        "Publish",
        "SetSubscriptionAttributes",
        "Subscribe",
        "Unsubscribe",
    ];
    known.contains(&operation)
}

pub(super) fn carry_out(lambda: &Arc<Lambda>, operation: &str, body: &[u8]) -> Response {
    let form = read(body);
    let done = match operation {
        "Publish" => publish(lambda, &form),
        _ => changed(lambda, operation, &form),
    };
    answered(
        operation,
        NAMESPACE,
        done.map(|told| result(operation, &told)),
    )
}

/// Changes the topics, and writes them down before the answer is given. A refusal changes nothing.
fn changed(lambda: &Lambda, operation: &str, form: &Form) -> Result<String, Refusal> {
    let mut topics = lambda.around.topics();
    let mut fresh = topics.clone();
    let told = done(lambda, &mut fresh, operation, form)?;
    if let Some(Err(fault)) = lambda.keep.as_ref().map(|keep| keep.save_topics(&fresh)) {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Err((status, "InternalError", fault.to_string()));
    }
    *topics = fresh;
    Ok(told)
}

fn done(
    lambda: &Lambda,
    topics: &mut Topics,
    operation: &str,
    form: &Form,
) -> Result<String, Refusal> {
    match operation {
        "CreateTopic" => {
            let place = &lambda.place;
            let name = needed(form, "Name")?;
            let arn = format!("arn:aws:sns:{}:{}:{name}", place.region, place.account);
            topics.0.entry(arn.clone()).or_default();
            Ok(element("TopicArn", &arn))
        }
        "DeleteTopic" => {
            topics.0.remove(needed(form, "TopicArn")?);
            Ok(String::new())
        }
        "Subscribe" => subscribe(topics, form),
        "Unsubscribe" => {
            let arn = needed(form, "SubscriptionArn")?;
            // One that is gone is quietly gone.
            for subscriptions in topics.0.values_mut() {
                subscriptions.remove(arn);
            }
            Ok(String::new())
        }
        "SetSubscriptionAttributes" => {
            let value = form.get("AttributeValue").cloned();
            let (_, subscription) = there(topics, form)?;
            match needed(form, "AttributeName")? {
                "FilterPolicy" => subscription.filter = value.filter(|it| it != "{}"),
                other => return Err(invalid(format!("AttributeName: {other}"))),
            }
            Ok(String::new())
        }
        "GetSubscriptionAttributes" => {
            let (topic, subscription) = there(topics, form)?;
            let Subscription { endpoint, filter } = subscription.clone();
            let entry = |name: &str, value: &str| {
                let pair = [element("key", name), element("value", value)];
                format!("<entry>{}</entry>", pair.concat())
            };
            let mut entries = vec![
                entry("TopicArn", &topic),
                entry("Protocol", "lambda"),
                entry("Endpoint", &endpoint),
            ];
            entries.extend(filter.map(|it| entry("FilterPolicy", &it)));
            Ok(format!("<Attributes>{}</Attributes>", entries.concat()))
        }
        "ListSubscriptionsByTopic" => {
            let topic = needed(form, "TopicArn")?;
            let subscriptions = topics.0.entry(topic.to_owned()).or_default();
            let members = subscriptions.iter().map(|(arn, it)| {
                let parts = [
                    element("SubscriptionArn", arn),
                    element("Owner", &lambda.place.account),
                    element("Protocol", "lambda"),
                    element("Endpoint", &it.endpoint),
                    element("TopicArn", topic),
                ];
                format!("<member>{}</member>", parts.concat())
            });
            let members: String = members.collect();
            Ok(format!("<Subscriptions>{members}</Subscriptions>"))
        }
        other => Err(invalid(format!(
            "this endpoint does not know {other} of SNS"
        ))),
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    let message = format!("Invalid parameter: {}", message.into());
    (StatusCode::BAD_REQUEST, "InvalidParameter", message)
}

/// The same subscription again is the one that is there; with another filter it is refused.
fn subscribe(topics: &mut Topics, form: &Form) -> Result<String, Refusal> {
    let topic = needed(form, "TopicArn")?;
    let endpoint = needed(form, "Endpoint")?;
    if needed(form, "Protocol")? != "lambda" {
        return Err(invalid("this endpoint calls functions only"));
    }
    let of_filter = |key: &str| form.get(key).is_some_and(|it| it == "FilterPolicy");
    let filter = form.get("Attributes.entry.1.value");
    let filter = filter
        .filter(|_| of_filter("Attributes.entry.1.key"))
        .cloned();
    let subscriptions = topics.0.entry(topic.to_owned()).or_default();
    let there = subscriptions.iter().find(|(_, it)| it.endpoint == endpoint);
    let arn = match there {
        Some((_, it)) if it.filter != filter => {
            return Err(invalid(
                "Attributes Reason: Subscription already exists with different attributes",
            ));
        }
        Some((arn, _)) => arn.clone(),
        None => {
            let arn = format!("{topic}:{}", Uuid::new_v4());
            let endpoint = endpoint.to_owned();
            subscriptions.insert(arn.clone(), Subscription { endpoint, filter });
            arn
        }
    };
    Ok(element("SubscriptionArn", &arn))
}

fn there<'t>(
    topics: &'t mut Topics,
    form: &Form,
) -> Result<(String, &'t mut Subscription), Refusal> {
    let arn = needed(form, "SubscriptionArn")?;
    let found = topics.0.iter_mut().find_map(|(topic, all)| {
        let subscription = all.get_mut(arn)?;
        Some((topic.clone(), subscription))
    });
    found.ok_or_else(|| {
        let message = "Subscription does not exist".to_owned();
        (StatusCode::NOT_FOUND, "NotFound", message)
    })
}

/// Calls every subscribed function that permits it. A call that fails is not tried again.
fn publish(lambda: &Arc<Lambda>, form: &Form) -> Result<String, Refusal> {
    let topic = needed(form, "TopicArn")?;
    let message = needed(form, "Message")?;
    let id = Uuid::new_v4().to_string();
    let subscriptions = lambda.around.topics().0.get(topic).cloned();
    for (arn, subscription) in subscriptions.into_iter().flatten() {
        let function = subscription.endpoint;
        if !permits(lambda, &function, CALLER, topic) {
            let topic = name_of(topic);
            tracing::warn!(
                topic,
                function,
                "the function does not permit this topic to call it"
            );
            continue;
        }
        let told = told(lambda, (topic, &arn), &id, message);
        let (lambda, tasks) = (Arc::clone(lambda), lambda.tasks.clone());
        // A call that fails has said so in the function's log.
        tasks.spawn(async move { drop(invoke(&lambda, &function, &told).await) });
    }
    Ok(element("MessageId", &id))
}

fn told(lambda: &Lambda, (topic, subscription): (&str, &str), id: &str, message: &str) -> Value {
    json!({"Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription,
        "Sns": {
            "Type": "Notification",
            "MessageId": id,
            "TopicArn": topic,
            "Subject": null,
            "Message": message,
            "Timestamp": lambda.clock.now().to_string(),
            "SignatureVersion": "1",
            "MessageAttributes": {},
        },
    }]})
}
