//! Operations on queues of SQS.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    Lambda, Refusal,
    messages::{MESSAGES_MAX, Message, name_of},
    needed, refused,
};

const MISSING: &str = "com.amazonaws.sqs#QueueDoesNotExist";
/// SQS takes 256 KiB; a request that asks for more of anything is refused.
const MESSAGE_MAX: usize = 1024 * 1024;
const BATCH_MAX: usize = 10;
const POLL: Duration = Duration::from_millis(50);

pub(super) async fn carry_out(
    lambda: &Lambda,
    operation: &str,
    request: &Value,
) -> Result<Value, Refusal> {
    match operation {
        "CreateQueue" => create(lambda, request),
        "GetQueueUrl" => {
            let name = needed(request, "QueueName")?;
            lambda.around.queues().open(name);
            Ok(json!({"QueueUrl": url(lambda, name)}))
        }
        "ListQueues" => {
            let prefix = request["QueueNamePrefix"].as_str().unwrap_or_default();
            let queues = lambda.around.queues();
            let names = queues.0.keys().filter(|name| name.starts_with(prefix));
            let urls: Vec<_> = names.map(|name| url(lambda, name)).collect();
            Ok(json!({"QueueUrls": urls}))
        }
        "GetQueueAttributes" => attributes(lambda, request),
        "SetQueueAttributes" => {
            let name = name_of(needed(request, "QueueUrl")?);
            let told = texts(&request["Attributes"]);
            lambda.around.queues().open(name).attributes.extend(told);
            Ok(json!({}))
        }
        "SendMessage" => send(lambda, name_of(needed(request, "QueueUrl")?), request),
        "SendMessageBatch" => send_batch(lambda, request),
        "ReceiveMessage" => receive(lambda, request).await,
        "DeleteMessage" => {
            let name = name_of(needed(request, "QueueUrl")?);
            let receipt = needed(request, "ReceiptHandle")?;
            lambda.around.queues().delete(name, receipt);
            Ok(json!({}))
        }
        "DeleteMessageBatch" => delete_batch(lambda, request),
        "ChangeMessageVisibility" => change_visibility(lambda, request),
        "PurgeQueue" => {
            let name = name_of(needed(request, "QueueUrl")?);
            lambda.around.queues().open(name).messages.take(|_| true);
            Ok(json!({}))
        }
        "DeleteQueue" => {
            let name = name_of(needed(request, "QueueUrl")?);
            match lambda.around.queues().0.remove(name) {
                Some(_) => Ok(json!({})),
                None => refused(MISSING, "The specified queue does not exist."),
            }
        }
        other => refused(
            "UnknownOperationException",
            format!("this endpoint does not know {other} of SQS"),
        ),
    }
}

fn url(lambda: &Lambda, name: &str) -> String {
    format!("{}{}/{name}", lambda.base, lambda.place.account)
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let entries = map.as_object().into_iter().flatten();
    let texts = entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

fn create(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let name = needed(request, "QueueName")?;
    let bare = name.strip_suffix(".fifo").unwrap_or(name);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if bare.is_empty() || name.len() > 80 || !bare.chars().all(is_part) {
        return refused(
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        );
    }
    let told = texts(&request["Attributes"]);
    lambda.around.queues().open(name).attributes.extend(told);
    Ok(json!({"QueueUrl": url(lambda, name)}))
}

fn attributes(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let name = name_of(needed(request, "QueueUrl")?);
    let now = lambda.clock.now();
    let mut queues = lambda.around.queues();
    let queue = queues.open(name);
    let (hidden, waiting): (Vec<_>, Vec<_>) =
        queue.messages.iter().partition(|it| it.visible > now);
    let mut told = queue.attributes.clone();
    let place = &lambda.place;
    let arn = format!("arn:aws:sqs:{}:{}:{name}", place.region, place.account);
    told.insert("QueueArn".to_owned(), arn);
    let seconds = queue.visibility().as_secs().to_string();
    told.insert("VisibilityTimeout".to_owned(), seconds);
    told.insert(
        "ApproximateNumberOfMessages".to_owned(),
        waiting.len().to_string(),
    );
    told.insert(
        "ApproximateNumberOfMessagesNotVisible".to_owned(),
        hidden.len().to_string(),
    );
    let asked: Vec<&str> = request["AttributeNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !asked.is_empty() && !asked.contains(&"All") {
        told.retain(|name, _| asked.contains(&name.as_str()));
    }
    Ok(json!({"Attributes": told}))
}

fn send(lambda: &Lambda, queue: &str, request: &Value) -> Result<Value, Refusal> {
    let body = needed(request, "MessageBody")?;
    if body.len() > MESSAGE_MAX {
        let message = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {MESSAGE_MAX} bytes."
        );
        return refused("InvalidParameterValue", message);
    }
    let wait = Duration::from_secs(
        request["DelaySeconds"]
            .as_u64()
            .unwrap_or_default()
            .min(900),
    );
    let attributes = request["MessageAttributes"].clone();
    let now = lambda.clock.now();
    let mut queues = lambda.around.queues();
    match queues.send(queue, body.to_owned(), attributes, now, wait) {
        Some(id) => Ok(json!({"MessageId": id, "MD5OfMessageBody": md5(body)})),
        None => refused(
            "OverLimit",
            format!("the queue holds {MESSAGES_MAX} messages, which is what this endpoint keeps"),
        ),
    }
}

fn entries(request: &Value) -> Result<&Vec<Value>, Refusal> {
    match request["Entries"].as_array() {
        Some(entries) if (1..=BATCH_MAX).contains(&entries.len()) => Ok(entries),
        Some(_) | None => refused(
            "TooManyEntriesInBatchRequest",
            "a batch has one to ten entries",
        ),
    }
}

fn send_batch(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let queue = name_of(needed(request, "QueueUrl")?);
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for entry in entries(request)? {
        match send(lambda, queue, entry) {
            Ok(mut told) => {
                told["Id"] = entry["Id"].clone();
                sent.push(told);
            }
            Err(Refusal {
                status: _,
                kind,
                message,
            }) => {
                failed.push(json!({"Id": entry["Id"], "Code": kind, "Message": message, "SenderFault": true}));
            }
        }
    }
    Ok(json!({"Successful": sent, "Failed": failed}))
}

/// Waits for a message as long as the caller likes to.
async fn receive(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let queue = name_of(needed(request, "QueueUrl")?);
    let most = request["MaxNumberOfMessages"]
        .as_u64()
        .unwrap_or(1)
        .clamp(1, 10);
    let most = usize::try_from(most).unwrap_or(1);
    let hidden = request["VisibilityTimeout"]
        .as_u64()
        .map(Duration::from_secs);
    let wait = request["WaitTimeSeconds"]
        .as_u64()
        .unwrap_or_default()
        .min(20);
    let deadline = lambda.clock.now().after(Duration::from_secs(wait));
    loop {
        let now = lambda.clock.now();
        let read = lambda.around.queues().read(queue, most, now, hidden);
        if !read.is_empty() || now >= deadline {
            let told: Vec<_> = read.iter().map(shown).collect();
            return Ok(match told.is_empty() {
                true => json!({}),
                false => json!({"Messages": told}),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn shown(message: &Message) -> Value {
    let mut told = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "MD5OfBody": md5(&message.body),
        "Attributes": system_attributes(message),
    });
    if message.attributes.is_object() {
        told["MessageAttributes"] = message.attributes.clone();
    }
    told
}

/// What SQS itself says about a message.
pub(super) fn system_attributes(message: &Message) -> Value {
    let first = message.first_read.unwrap_or(message.sent);
    json!({
        "ApproximateReceiveCount": message.reads.to_string(),
        "SentTimestamp": message.sent.millis().to_string(),
        "SenderId": "AIDALOCALVERDIGRIS000",
        "ApproximateFirstReceiveTimestamp": first.millis().to_string(),
    })
}

fn delete_batch(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let queue = name_of(needed(request, "QueueUrl")?);
    let mut gone = Vec::new();
    for entry in entries(request)? {
        let receipt = needed(entry, "ReceiptHandle")?;
        lambda.around.queues().delete(queue, receipt);
        gone.push(json!({"Id": entry["Id"]}));
    }
    Ok(json!({"Successful": gone, "Failed": []}))
}

fn change_visibility(lambda: &Lambda, request: &Value) -> Result<Value, Refusal> {
    let queue = name_of(needed(request, "QueueUrl")?);
    let receipt = needed(request, "ReceiptHandle")?;
    let wait = request["VisibilityTimeout"].as_u64().unwrap_or_default();
    let visible = lambda.clock.now().after(Duration::from_secs(wait));
    let mut queues = lambda.around.queues();
    let messages = &mut queues.open(queue).messages;
    if let Some(message) = messages.find(|message| message.receipt == receipt) {
        message.visible = visible;
    }
    Ok(json!({}))
}

/// Clients compare it with their own; it guards nothing.
pub(super) fn md5(text: &str) -> String {
    use md5::{Digest as _, Md5};

    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
