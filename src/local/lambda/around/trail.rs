//! The account's log of writing calls, as CloudTrail tells it: who, what, when. In memory, the newest few thousand.

use std::collections::VecDeque;

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{super::Lambda, Refusal, refused};
use crate::{
    local::lambda::wire::{Call, Operation, Place},
    name::Timestamp,
};

/// Older ones are forgotten.
const KEPT: usize = 5000;

/// CloudTrail's own page.
const PAGE: usize = 50;

/// Parameters that an event tells of a request; the others may be secret.
const TOLD: [&str; 9] = [
    "FunctionName",
    "FunctionVersion",
    "Name",
    "EventSourceArn",
    "StatementId",
    "Rule",
    "RoleName",
    "PolicyName",
    "PolicyArn",
];

/// Newest first.
#[derive(Debug, Default)]
pub(in crate::local::lambda) struct Trail(VecDeque<Told>);

#[derive(Debug)]
struct Told {
    id: String,
    name: String,
    source: &'static str,
    at: Timestamp,
    who: String,
    resources: Vec<String>,
    event: Value,
}

/// A call that succeeded.
pub(in crate::local::lambda) struct Made {
    source: &'static str,
    name: String,
    /// The access key.
    who: String,
    agent: Option<String>,
    parameters: Map<String, Value>,
}

impl Trail {
    fn note(&mut self, made: Made, place: &Place, at: Timestamp) {
        let Made {
            source,
            name,
            who,
            agent,
            parameters,
        } = made;
        let account = &place.account;
        let id = uuid::Uuid::new_v4().to_string();
        let texts = parameters.values().filter_map(Value::as_str);
        let resources: Vec<String> = texts.map(function_of).map(str::to_owned).collect();
        let event = json!({
            "eventVersion": "1.08",
            "userIdentity": {
                "type": "IAMUser",
                "principalId": who,
                "arn": format!("arn:aws:iam::{account}:user/{who}"),
                "accountId": account,
                "accessKeyId": who,
                "userName": who,
            },
            "eventTime": seconds(at),
            "eventSource": source,
            "eventName": name,
            "awsRegion": place.region,
            "sourceIPAddress": "127.0.0.1",
            "userAgent": agent,
            "requestParameters": parameters,
            "readOnly": false,
            "eventID": id,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": account,
            "eventCategory": "Management",
        });
        self.0.push_front(Told {
            id,
            name,
            source,
            at,
            who,
            resources,
            event,
        });
        self.0.truncate(KEPT);
    }
}

/// `LookupEvents`.
pub(super) fn carry_out(
    lambda: &Lambda,
    operation: &str,
    request: &Value,
) -> Result<Value, Refusal> {
    if operation != "LookupEvents" {
        return refused(
            "UnknownOperationException",
            format!("this endpoint does not know {operation} of CloudTrail"),
        );
    }
    let attributes = request["LookupAttributes"].as_array();
    let attribute = attributes.and_then(|all| all.first());
    let bounds = ["StartTime", "EndTime"].map(|name| request[name].as_f64());
    let token = request["NextToken"].as_str();
    let start: usize = match token.map(str::parse) {
        None => 0,
        Some(Ok(start)) => start,
        Some(Err(_)) => return refused("InvalidNextTokenException", "Invalid token."),
    };
    let size = request["MaxResults"].as_u64();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.unwrap_or(PAGE).clamp(1, PAGE);
    let trail = lambda.around.trail();
    let fits = |told: &&Told| is_within(told, bounds) && attribute.is_none_or(|it| told.has(it));
    let mut rest = trail.0.iter().filter(fits).skip(start);
    let page: Vec<Value> = rest.by_ref().take(size).map(Told::body).collect();
    let mut body = json!({"Events": page});
    if rest.next().is_some() {
        body["NextToken"] = (start + size).to_string().into();
    }
    Ok(body)
}

impl Told {
    fn has(&self, attribute: &Value) -> bool {
        let value = attribute["AttributeValue"].as_str().unwrap_or_default();
        match attribute["AttributeKey"].as_str() {
            Some("ResourceName") => self.resources.iter().any(|name| name == value),
            Some("ReadOnly") => value == "false",
            Some("EventName") => self.name == value,
            Some("EventSource") => self.source == value,
            Some("Username" | "AccessKeyId") => self.who == value,
            Some("EventId") => self.id == value,
            Some(_) | None => false,
        }
    }

    fn body(&self) -> Value {
        let resources = self.resources.iter();
        let resources = resources
            .map(|name| json!({"ResourceType": "AWS::Lambda::Function", "ResourceName": name}));
        json!({
            "EventId": self.id,
            "EventName": self.name,
            "ReadOnly": "false",
            "AccessKeyId": self.who,
            "EventTime": self.at.millis() / 1000,
            "EventSource": self.source,
            "Username": self.who,
            "Resources": resources.collect::<Vec<_>>(),
            "CloudTrailEvent": self.event.to_string(),
        })
    }
}

fn is_within(told: &Told, [from, until]: [Option<f64>; 2]) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 are far below 2^52"
    )]
    let at = (told.at.millis() / 1000) as f64;
    from.is_none_or(|from| at >= from) && until.is_none_or(|until| at <= until)
}

/// The function in a name or an ARN.
fn function_of(text: &str) -> &str {
    match text.split_once(":function:") {
        Some((_, rest)) => rest.split(':').next().unwrap_or(rest),
        None => text,
    }
}

/// Without fractions, as CloudTrail writes it.
fn seconds(at: Timestamp) -> String {
    let text = Timestamp::from_millis(at.millis() / 1000 * 1000).to_string();
    text.replace(".000Z", "Z")
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The access key that a request is signed with; signatures are not checked here.
fn key_of(headers: &HeaderMap) -> String {
    let authorization = header(headers, "authorization");
    let credential = authorization.and_then(|it| it.split_once("Credential="));
    let key = credential.and_then(|(_, rest)| rest.split('/').next());
    key.filter(|key| !key.is_empty())
        .unwrap_or("anonymous")
        .to_owned()
}

/// What an event tells of a call to Lambda; None where it writes nothing.
pub(in crate::local::lambda) fn of_call(operation: Operation, call: &Call) -> Option<Made> {
    if !operation.writes() {
        return None;
    }
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let mut parameters = told_of(&body);
    if let Some(first) = call.path.first() {
        parameters.insert("functionName".to_owned(), first.clone().into());
    }
    if let Some(second) = call.path.get(1) {
        parameters.insert("name".to_owned(), second.clone().into());
    }
    Some(Made {
        source: "lambda.amazonaws.com",
        name: operation.event_name(),
        who: key_of(&call.headers),
        agent: header(&call.headers, "user-agent").map(str::to_owned),
        parameters,
    })
}

/// What an event tells of a call to EventBridge or IAM, whose name comes first; None where it writes nothing.
pub(super) fn of_other(
    source: &'static str,
    operation: &str,
    headers: &HeaderMap,
    request: &Value,
) -> Option<Made> {
    let reads = ["Describe", "Get", "List"];
    (!reads.iter().any(|read| operation.starts_with(read))).then(|| Made {
        source,
        name: operation.to_owned(),
        who: key_of(headers),
        agent: header(headers, "user-agent").map(str::to_owned),
        parameters: told_of(request),
    })
}

impl Lambda {
    /// Notes a call that succeeded.
    pub(in crate::local::lambda) fn note(&self, made: Option<Made>) {
        if let Some(made) = made {
            let mut trail = self.around.trail();
            trail.note(made, &self.place, self.clock.now());
        }
    }
}

/// Names only, as their first letters are written there.
fn told_of(body: &Value) -> Map<String, Value> {
    let told = TOLD.iter().filter_map(|name| {
        let (first, rest) = name.split_at(1);
        let value = body[*name].as_str()?;
        Some((first.to_ascii_lowercase() + rest, value.into()))
    });
    told.collect()
}
