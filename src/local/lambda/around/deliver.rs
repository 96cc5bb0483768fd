//! Brings messages and schedules to functions.
//!
//! # Guarantees
//!
//! A message is deleted only after a function took it, and comes back where it did not. What a mapping or rule is attached to is asked
//! anew for every call, so that an alias that moves takes them along.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Lambda,
    cron::Schedule,
    messages::{Message, name_of},
    queues::{md5, system_attributes},
    rules::arn,
};
use crate::{
    local::lambda::{record::Mapping, run::Outcome, wire::Reference},
    name::Timestamp,
};

const PAUSE: Duration = Duration::from_millis(100);
/// Calls of one mapping at once, where it says nothing.
const AT_ONCE: u64 = 5;

/// Runs until the endpoint stops.
pub(in crate::local::lambda) async fn deliver(lambda: &Arc<Lambda>) {
    let mut running: BTreeMap<String, Arc<()>> = BTreeMap::new();
    let mut minute = minute_of(lambda.clock.now());
    loop {
        tokio::time::sleep(PAUSE).await;
        for mapping in ready_mappings(lambda) {
            let token = running.entry(mapping.id.clone()).or_default();
            serve(lambda, &mapping, token);
        }
        let now = lambda.clock.now();
        if minute_of(now) != minute {
            minute = minute_of(now);
            call_due(lambda, now);
        }
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(60_000)
}

fn ready_mappings(lambda: &Lambda) -> Vec<Mapping> {
    let now = lambda.clock.now();
    let mut mappings = lambda.mappings();
    mappings.retain(|_, mapping| mapping.settle(now));
    let ready = mappings
        .values()
        .filter(|it| it.enabled && it.change.is_none() && it.source().contains(":sqs:"));
    ready.cloned().collect()
}

/// Starts as many calls as there are messages and room for. The token counts those under way.
fn serve(lambda: &Arc<Lambda>, mapping: &Mapping, token: &Arc<()>) {
    let number = |value: &Value| value.as_u64();
    let most = mapping.members.get("ScalingConfig");
    let most = most.and_then(|it| number(&it["MaximumConcurrency"]));
    let most = usize::try_from(most.unwrap_or(AT_ONCE)).unwrap_or(1);
    let batch = mapping.members.get("BatchSize").and_then(number);
    let batch = usize::try_from(batch.unwrap_or(10)).unwrap_or(10);
    while Arc::strong_count(token) <= most {
        let queue = name_of(mapping.source());
        let now = lambda.clock.now();
        let messages = lambda.around.queues().read(queue, batch, now, None);
        if messages.is_empty() {
            return;
        }
        let work = call(
            Arc::clone(lambda),
            mapping.clone(),
            messages,
            Arc::clone(token),
        );
        lambda.tasks.spawn(work);
    }
}

async fn call(lambda: Arc<Lambda>, mapping: Mapping, messages: Vec<Message>, _under_way: Arc<()>) {
    let source = mapping.source();
    let records: Vec<_> = messages
        .iter()
        .map(|message| record(message, source, &lambda.place.region))
        .collect();
    let payload = json!({"Records": records});
    let Some(answer) = invoke(&lambda, &mapping.function_arn, &payload).await else {
        return;
    };
    let failures = answer["batchItemFailures"].as_array().into_iter().flatten();
    let failed: Vec<_> = failures
        .filter_map(|it| it["itemIdentifier"].as_str())
        .collect();
    let mut queues = lambda.around.queues();
    for message in &messages {
        if !failed.contains(&message.id.as_str()) {
            queues.delete(name_of(source), &message.receipt);
        }
    }
}

/// A message in the shape in which Lambda hands it over.
fn record(message: &Message, source: &str, region: &str) -> Value {
    let attributes = message.attributes.as_object().into_iter().flatten();
    let attributes: serde_json::Map<String, Value> = attributes
        .map(|(name, it)| {
            let told = json!({
                "stringValue": it["StringValue"],
                "binaryValue": it["BinaryValue"],
                "dataType": it["DataType"],
            });
            (name.clone(), told)
        })
        .collect();
    json!({
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": system_attributes(message),
        "messageAttributes": attributes,
        "md5OfBody": md5(&message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": source,
        "awsRegion": region,
    })
}

/// What the function answered; none where it failed, which its log tells.
pub(super) async fn invoke(lambda: &Arc<Lambda>, function: &str, payload: &Value) -> Option<Value> {
    let reference = Reference::parse(function, None).ok()?;
    let ready = lambda.ready(&reference).await.ok()?;
    let payload = Bytes::from(payload.to_string());
    let ran = lambda.run(ready, payload).await.ok()?;
    match ran.outcome {
        Outcome::Answered(body) => Some(serde_json::from_slice(&body).unwrap_or_default()),
        Outcome::Failed {
            payload: _,
            kind: _,
        } => None,
    }
}

/// Every rule that is due in this minute calls its targets, where they permit it.
fn call_due(lambda: &Arc<Lambda>, now: Timestamp) {
    let rules = lambda.around.rules().clone();
    for (name, rule) in rules {
        let due = Schedule::parse(&rule.expression).is_some_and(|it| it.is_due(now));
        if !rule.enabled || !due {
            continue;
        }
        let rule_arn = arn(lambda, &name);
        for target in rule.targets.values() {
            let event = match &target.input {
                Some(input) => serde_json::from_str(input).unwrap_or_default(),
                None => event(lambda, &rule_arn, now),
            };
            if !permits(lambda, &target.arn, "events.amazonaws.com", &rule_arn) {
                tracing::warn!(
                    rule = name,
                    target = target.arn,
                    "the function does not permit this rule to call it"
                );
                continue;
            }
            let (lambda, function) = (Arc::clone(lambda), target.arn.clone());
            let tasks = lambda.tasks.clone();
            tasks.spawn(async move {
                // A call that fails has said so in the function's log.
                drop(invoke(&lambda, &function, &event).await);
            });
        }
    }
}

fn event(lambda: &Lambda, rule: &str, now: Timestamp) -> Value {
    let seconds = now.to_string();
    let seconds = seconds.split('.').next().unwrap_or_default();
    json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": lambda.place.account,
        "time": format!("{seconds}Z"),
        "region": lambda.place.region,
        "resources": [rule],
        "detail": {},
    })
}

/// Whether the policy of what is called lets a service call it for this resource.
pub(super) fn permits(lambda: &Lambda, function: &str, service: &str, source: &str) -> bool {
    let Ok(reference) = Reference::parse(function, None) else {
        return false;
    };
    let functions = lambda.functions();
    let key = reference.qualifier.as_deref().unwrap_or_default();
    let policy = functions
        .get(&reference.name)
        .and_then(|it| it.policies.get(key));
    policy.is_some_and(|policy| policy.permits(service, source))
}
