//! Queues of SQS: messages that come back until somebody deletes them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Lambda, Refusal, needed, refused};
use crate::name::Timestamp;

const MISSING: &str = "com.amazonaws.sqs#QueueDoesNotExist";
/// SQS takes 256 KiB; a request that asks for more of anything is refused.
const MESSAGE_MAX: usize = 1024 * 1024;
const BATCH_MAX: usize = 10;
/// What a queue on a laptop may hold before it refuses more.
const MESSAGES_MAX: usize = 120_000;
const VISIBILITY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// By name.
#[derive(Debug, Default)]
pub(in crate::local::lambda) struct Queues(BTreeMap<String, Queue>);

#[derive(Debug)]
struct Queue {
    messages: VecDeque<Message>,
    attributes: BTreeMap<String, String>,
}

/// A message as a reader gets it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    /// Of the last time that it was read.
    pub(super) receipt: String,
    pub(super) body: String,
    pub(super) attributes: Value,
    pub(super) sent: Timestamp,
    pub(super) first_read: Option<Timestamp>,
    pub(super) reads: u32,
    visible: Timestamp,
}

impl Queue {
    fn new(attributes: BTreeMap<String, String>) -> Self {
        Self {
            messages: VecDeque::new(),
            attributes,
        }
    }

    fn visibility(&self) -> Duration {
        let told = self.attributes.get("VisibilityTimeout");
        let seconds = told.and_then(|text| text.parse().ok());
        seconds.map_or(VISIBILITY, Duration::from_secs)
    }

    /// Where messages go that were read too often, and how often that is.
    fn redrive(&self) -> Option<(String, u32)> {
        let told: Value = serde_json::from_str(self.attributes.get("RedrivePolicy")?).ok()?;
        let arn = told["deadLetterTargetArn"].as_str()?;
        let most = told["maxReceiveCount"].as_u64().or_else(|| {
            let text = told["maxReceiveCount"].as_str();
            text.and_then(|text| text.parse().ok())
        })?;
        Some((name_of(arn).to_owned(), u32::try_from(most).ok()?))
    }
}

/// The last part of an ARN or URL.
pub(super) fn name_of(address: &str) -> &str {
    address.rsplit([':', '/']).next().unwrap_or_default()
}

impl Queues {
    fn open(&mut self, name: &str) -> &mut Queue {
        let fresh = || Queue::new(BTreeMap::new());
        self.0.entry(name.to_owned()).or_insert_with(fresh)
    }

    fn send(
        &mut self,
        name: &str,
        body: String,
        attributes: Value,
        now: Timestamp,
        wait: Duration,
    ) -> Option<String> {
        let queue = self.open(name);
        if queue.messages.len() >= MESSAGES_MAX {
            return None;
        }
        let id = Uuid::new_v4().to_string();
        queue.messages.push_back(Message {
            id: id.clone(),
            receipt: String::new(),
            body,
            attributes,
            sent: now,
            first_read: None,
            reads: 0,
            visible: now.after(wait),
        });
        Some(id)
    }

    /// Up to so many messages that nobody else reads now. They come back after a while, unless they are deleted.
    pub(super) fn read(
        &mut self,
        name: &str,
        most: usize,
        now: Timestamp,
        hidden: Option<Duration>,
    ) -> Vec<Message> {
        let queue = self.open(name);
        let hidden = hidden.unwrap_or_else(|| queue.visibility());
        let redrive = queue.redrive();
        let mut read = Vec::new();
        let mut dead = Vec::new();
        for message in &mut queue.messages {
            if read.len() == most {
                break;
            }
            if message.visible > now {
                continue;
            }
            if redrive
                .as_ref()
                .is_some_and(|(_, most)| message.reads >= *most)
            {
                dead.push(message.id.clone());
                continue;
            }
            message.reads += 1;
            message.first_read.get_or_insert(now);
            message.receipt = Uuid::new_v4().to_string();
            message.visible = now.after(hidden);
            read.push(message.clone());
        }
        if let Some((to, _)) = redrive.filter(|_| !dead.is_empty()) {
            self.bury(name, &to, &dead, now);
        }
        read
    }

    fn bury(&mut self, from: &str, to: &str, dead: &[String], now: Timestamp) {
        let queue = self.open(from);
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut queue.messages)
            .into_iter()
            .partition(|message| dead.contains(&message.id));
        queue.messages = kept;
        for message in gone {
            let fresh = Message {
                reads: 0,
                first_read: None,
                visible: now,
                ..message
            };
            self.open(to).messages.push_back(fresh);
        }
    }

    pub(super) fn delete(&mut self, name: &str, receipt: &str) {
        let queue = self.open(name);
        queue.messages.retain(|message| message.receipt != receipt);
    }
}

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
            lambda.around.queues().open(name).messages.clear();
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
    let mut messages = queues.open(queue).messages.iter_mut();
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
