//! What calls a function.

use serde_yaml::{Mapping, Value};

use super::{Provider, http, schedule, sources};
use crate::import::{Job, names, tree::At};

/// What calls one function, in our words.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// `GET /stock/{sku}`
    pub(super) http: Vec<String>,
    /// Names, and how each is read.
    pub(super) queues: Vec<(String, Mapping)>,
    pub(super) schedules: Vec<String>,
    /// How its address answers.
    pub(super) url: Mapping,
    pub(super) events: Mapping,
    pub(super) permissions: Mapping,
}

impl Calls {
    /// Adds a source of events by a name that is free.
    pub(super) fn event(&mut self, name: &str, source: Mapping) {
        insert(&mut self.events, name, source);
    }
}

fn insert(map: &mut Mapping, name: &str, value: Mapping) {
    let taken = map
        .keys()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let name = names::free(&names::entry(name), 40, &taken);
    map.insert(name.into(), value.into());
}

/// Events that others send: who they are, and what is to be done there.
const SENDERS: [(&str, &str, &str); 9] = [
    (
        "alexaSkill",
        "alexa-appkit.amazon.com",
        "name the alias `blue` as the skill's endpoint",
    ),
    (
        "alexaSmartHome",
        "alexa-connectedhome.amazon.com",
        "name the alias `blue` as the skill's endpoint",
    ),
    (
        "alb",
        "elasticloadbalancing.amazonaws.com",
        "keep the load balancer, and make the alias `blue` a target of its group",
    ),
    (
        "cloudwatchEvent",
        "events.amazonaws.com",
        "keep the rule, and make the alias `blue` its target",
    ),
    (
        "cloudwatchLog",
        "logs.amazonaws.com",
        "keep the subscription filter, and make the alias `blue` its destination",
    ),
    (
        "cognitoUserPool",
        "cognito-idp.amazonaws.com",
        "name the alias `blue` as the pool's trigger",
    ),
    (
        "eventBridge",
        "events.amazonaws.com",
        "keep the rule, and make the alias `blue` its target",
    ),
    (
        "iot",
        "iot.amazonaws.com",
        "keep the rule, and make the alias `blue` its action",
    ),
    (
        "iotFleetProvisioning",
        "iot.amazonaws.com",
        "keep the template, and make the alias `blue` its hook",
    ),
];

pub(super) fn calls(job: &mut Job<'_>, function: &At<'_>, provider: &Provider) -> Calls {
    let mut calls = Calls::default();
    let mut routes = http::Routes::default();
    for event in function.get("events").iter().flat_map(At::items) {
        let kinds = match event.text() {
            // `- http` alone says nothing; a name alone is a kind.
            Some(_) => {
                job.ledger.impossible(&event, "says nothing of what calls");
                continue;
            }
            None => event.entries(),
        };
        for (kind, at) in kinds {
            match kind.as_str() {
                "http" => routes.rest(job, &at),
                "httpApi" => routes.http(job, &at, provider.cors.as_ref()),
                "schedule" => schedule::schedule(job, &at, &mut calls),
                "sqs" => sources::queue(job, &at, &mut calls),
                "stream" => sources::stream(job, &at, &mut calls),
                "sns" => sources::topic(job, &at, &mut calls),
                "s3" => sources::bucket(job, &at, &mut calls),
                "eventBridge" if at.get("schedule").is_some() => {
                    schedule::of_bus(job, &at, &mut calls);
                }
                _ => sender(job, &kind, &at, &mut calls),
            }
        }
    }
    routes.close(job, &mut calls);
    calls
}

/// Whoever sends is allowed to; that it sends is arranged outside.
fn sender(job: &mut Job<'_>, kind: &str, at: &At<'_>, calls: &mut Calls) {
    let Some((_, principal, todo)) = SENDERS.iter().find(|(name, _, _)| *name == kind) else {
        return;
    };
    let mut permission = Mapping::new();
    permission.insert("principal".into(), (*principal).into());
    let is_there = calls
        .permissions
        .values()
        .any(|known| *known == Value::Mapping(permission.clone()));
    if !is_there {
        insert(&mut calls.permissions, kind, permission);
    }
    job.ledger.changed(
        at,
        format!("`{principal}` may call the function (`aws.permissions`); {todo}"),
    );
}
