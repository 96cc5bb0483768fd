//! Triggers and bindings of Azure Functions.

use serde_yaml::Mapping;

use crate::{
    import::{Job, names, tree::At},
    manifest,
};

/// Triggers that a function has no word for here, and what comes nearest.
const OTHERS: [(&str, &str); 18] = [
    (
        "eventHub",
        "no reader of Event Hubs is set up; nearest: a queue between, with `queue`",
    ),
    (
        "eventGrid",
        "no subscription to Event Grid is made; nearest: one that puts its events into a queue, with `queue`",
    ),
    (
        "blob",
        "no trigger by blobs; nearest: Event Grid tells a queue of them, with `queue`",
    ),
    (
        "cosmosDB",
        "no reader of Cosmos DB is set up: use its SDK in the function",
    ),
    ("table", "tables are reached by their SDK in the function"),
    (
        "mobileTable",
        "tables are reached by their SDK in the function",
    ),
    ("apiHubFile", "files are reached by an SDK in the function"),
    (
        "apiHubTable",
        "tables are reached by an SDK in the function",
    ),
    (
        "notificationHub",
        "notifications are sent by an SDK in the function",
    ),
    ("sendGrid", "mail is sent by an SDK in the function"),
    ("twilioSms", "messages are sent by an SDK in the function"),
    ("bot", "a bot is reached by its SDK in the function"),
    ("signalR", "SignalR is reached by its SDK in the function"),
    ("manual", "nobody calls it by hand; nearest: `http`"),
    (
        "serviceBus",
        "a queue of Storage is read here, and none of Service Bus: whoever sends writes to one, with `queue`",
    ),
    (
        "orchestration",
        "Durable Functions need their own extension: keep them in an app of their own",
    ),
    (
        "activity",
        "Durable Functions need their own extension: keep them in an app of their own",
    ),
    (
        "entity",
        "Durable Functions need their own extension: keep them in an app of their own",
    ),
];

/// What the platform puts before every route where `host.json` says nothing.
const PREFIX: &str = "api";

/// What is said where callers were asked for a key.
pub(crate) const NO_KEY: &str = "no key is asked for: check the caller in the function, or put API Management in front (`azure.api`)";

/// Settings of a binding that have a place in code only.
const SETTINGS: [(&str, &str); 5] = [
    (
        "name",
        "what calls arrives as an HTTP request: no variable is bound",
    ),
    (
        "direction",
        "what calls comes in, by HTTP; what goes out is sent by an SDK in the function",
    ),
    (
        "connection",
        "Verdigris connects queues by the app's own identity",
    ),
    (
        "accessRights",
        "Verdigris connects queues by the app's own identity",
    ),
    ("webHookType", "the function looks at the request itself"),
];

/// What calls a function: one map for each time that it stands in the manifest.
pub(super) fn calls(job: &mut Job<'_>, function: &At<'_>, key: &str) -> Vec<Mapping> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for event in function.get("events").iter().flat_map(At::items) {
        let kinds = event.entries();
        // Older files keep the settings below a key of their own.
        let old = event.get("x-azure-settings");
        for (kind, at) in &kinds {
            let from = Event {
                kind,
                at,
                beside: &event,
                old: old.as_ref(),
            };
            found.extend(from.call(job, key));
        }
        tell_settings(job, &event);
        if let Some(old) = &old {
            job.ledger.taken(old, "settings stand beside what calls");
            tell_settings(job, old);
        }
    }
    gather(found)
}

/// The first of each kind together, then the second of each, and so on.
fn gather(found: Vec<(&str, String)>) -> Vec<Mapping> {
    let mut maps: Vec<Mapping> = Vec::new();
    for (key, value) in found {
        match maps.iter_mut().find(|map| !map.contains_key(key)) {
            Some(map) => {
                map.insert(key.into(), value.into());
            }
            None => maps.push(Mapping::from_iter([(key.into(), value.into())])),
        }
    }
    maps
}

/// One key of an event, with its settings within, beside or below it.
struct Event<'e> {
    kind: &'e str,
    at: &'e At<'e>,
    beside: &'e At<'e>,
    old: Option<&'e At<'e>>,
}

impl<'e> Event<'e> {
    fn setting(&self, key: &str) -> Option<At<'e>> {
        let within = self.at.get(key);
        within
            .or_else(|| self.beside.get(key))
            .or_else(|| self.old.and_then(|old| old.get(key)))
    }

    fn is_out(&self) -> bool {
        self.setting("direction")
            .and_then(|at| at.text())
            .is_some_and(|word| word == "out")
    }

    fn call(&self, job: &mut Job<'_>, key: &str) -> Option<(&'static str, String)> {
        let plain = self.kind.trim_end_matches("Trigger");
        if self.is_out() && is_binding(plain) {
            job.ledger.impossible(
                self.at,
                "nothing goes out by a binding: send it by an SDK in the function",
            );
            return None;
        }
        let called = match plain {
            "http" => self.http(job, key),
            "timer" => self.timer(job),
            "queue" => self.queue(job, "queueName"),
            "serviceBus" => self.service_bus(job),
            other => {
                let (_, told) = OTHERS.iter().find(|(name, _)| *name == other)?;
                job.ledger.impossible(self.at, *told);
                None
            }
        };
        tell_settings(job, self.at);
        called
    }

    fn http(&self, job: &mut Job<'_>, key: &str) -> Option<(&'static str, String)> {
        self.auth_level(job);
        let route = self.setting("route");
        let written = route.as_ref().and_then(At::text);
        let (path, lost) = path_of(&at_app(job, written.as_deref().unwrap_or(key)));
        let methods = self.setting("methods");
        let listed = methods
            .as_ref()
            .map(|at| at.items().iter().filter_map(At::text).collect::<Vec<_>>());
        let listed = listed.filter(|listed| !listed.is_empty()).map_or_else(
            || "ANY".to_owned(),
            |listed| listed.join(",").to_uppercase(),
        );
        let whole = format!("{listed} {path}");
        if !manifest::is_route(&whole)
            || !listed
                .split(',')
                .all(|method| job.claim(if method == "ANY" { "" } else { method }, &path))
        {
            job.ledger.impossible(
                self.at,
                "is no route that both clouds have, or another function answers the same requests",
            );
            return None;
        }
        job.ledger.taken(self.at, "functions.NAME.http");
        for at in [route, methods].iter().flatten() {
            match lost.filter(|_| at.path.ends_with("route")) {
                Some(lost) => job
                    .ledger
                    .changed(at, format!("functions.NAME.http: {lost}")),
                None => job.ledger.taken(at, "functions.NAME.http"),
            }
        }
        Some(("http", whole))
    }

    /// Where nothing is said, a key of the function is asked for.
    fn auth_level(&self, job: &mut Job<'_>) {
        let level = self.setting("authLevel");
        let word = level.as_ref().and_then(At::text);
        if word.is_some_and(|word| word.eq_ignore_ascii_case("anonymous")) {
            if let Some(level) = &level {
                job.ledger
                    .taken(level, "whoever reaches the address may call");
            }
            return;
        }
        if let Some(level) = &level {
            job.ledger.impossible(level, NO_KEY);
        }
        job.ledger.todo(format!(
            "`{}` asked its callers for a key, and answers everybody here: {NO_KEY}",
            self.beside.path
        ));
    }

    fn timer(&self, job: &mut Job<'_>) -> Option<(&'static str, String)> {
        let schedule = self.setting("schedule").unwrap_or_else(|| self.at.clone());
        let written = schedule.text().unwrap_or_default();
        let fields: Vec<&str> = written.split_whitespace().collect();
        let cron = match fields[..] {
            // Azure's first field is seconds.
            ["0", _, _, _, _, _] => Some(fields[1..].join(" ")),
            [_, _, _, _, _] => Some(fields.join(" ")),
            _ => None,
        };
        let cron = cron.filter(|cron| manifest::is_schedule(cron));
        match &cron {
            Some(_) => job.ledger.taken(&schedule, "functions.NAME.schedule"),
            None => job.ledger.impossible(&schedule, "a schedule has five fields and counts minutes: write the nearest `schedule`, such as `* * * * *`"),
        }
        job.ledger.taken(self.at, "functions.NAME.schedule");
        cron.map(|cron| ("schedule", cron))
    }

    fn queue(&self, job: &mut Job<'_>, key: &str) -> Option<(&'static str, String)> {
        let named = self.setting(key);
        let at = named.unwrap_or_else(|| self.at.clone());
        let written = at.text()?;
        let name = names::queue(&written);
        if name == written {
            job.ledger.taken(&at, "functions.NAME.queue");
        } else {
            job.ledger.changed(
                &at,
                format!("functions.NAME.queue is `{name}`: a name that both clouds take"),
            );
        }
        job.ledger.taken(self.at, "functions.NAME.queue");
        Some(("queue", name))
    }

    fn service_bus(&self, job: &mut Job<'_>) -> Option<(&'static str, String)> {
        for key in ["topicName", "subscriptionName"] {
            if let Some(at) = self.setting(key) {
                job.ledger.impossible(&at, "no subscription to a topic is made; nearest: one that forwards to a queue, with `queue`");
            }
        }
        if self.setting("queueName").is_none() && self.at.text().is_none_or(|text| text == "true") {
            job.ledger.impossible(
                self.at,
                "names no queue: write it as `functions.NAME.queue`",
            );
            return None;
        }
        let found = self.queue(job, "queueName");
        let told = "functions.NAME.queue is a queue of Storage here: whoever sends to Service Bus writes to that one";
        let named = self.setting("queueName");
        for at in named.iter().chain([self.at]) {
            job.ledger.rather(at, told);
        }
        found
    }
}

/// A path at the app's own address: below what its `host.json` says, else below `api`. What stands behind API Management is
/// called by the paths of its operations, to which the gateway adds the rest.
fn at_app(job: &Job<'_>, route: &str) -> String {
    let provider = job.root.get("provider");
    let gateway = provider.and_then(|it| it.get("apim"));
    if gateway.is_some_and(|it| !it.is_false()) {
        return route.to_owned();
    }
    let host = (job.around.files)("host.json");
    let host: Option<serde_json::Value> = host.and_then(|it| serde_json::from_str(&it).ok());
    let prefix = host.as_ref();
    let prefix = prefix.and_then(|it| it.pointer("/extensions/http/routePrefix")?.as_str());
    let parts = [prefix.unwrap_or(PREFIX), route].map(|it| it.trim_matches('/'));
    let parts: Vec<&str> = parts.into_iter().filter(|it| !it.is_empty()).collect();
    parts.join("/")
}

fn is_binding(kind: &str) -> bool {
    ["http", "timer", "queue", "serviceBus"].contains(&kind)
        || OTHERS.iter().any(|(name, _)| *name == kind)
}

fn tell_settings(job: &mut Job<'_>, at: &At<'_>) {
    for (key, told) in SETTINGS {
        if let Some(at) = at.get(key) {
            job.ledger.unneeded(&at, told);
        }
    }
}

/// What is said of a trigger that a function has no word for here: `eventHubTrigger`.
pub(crate) fn no_trigger(kind: &str) -> &'static str {
    const UNKNOWN: &str =
        "nothing here calls a function so; nearest: whoever sends writes to a queue, with `queue`";
    let plain = kind.trim_end_matches("Trigger");
    let mut others = OTHERS.iter();
    let known = others.find(|(name, _)| name.eq_ignore_ascii_case(plain));
    known.map_or(UNKNOWN, |(_, told)| told)
}

/// `api/stock/{sku:int?}` is `/api/stock/{sku}`, `{*rest}` takes the rest; and what is lost by it.
pub(crate) fn path_of(route: &str) -> (String, Option<&'static str>) {
    let mut lost = None;
    let part = |part: &str| match part
        .strip_prefix('{')
        .and_then(|part| part.strip_suffix('}'))
    {
        None => part.to_owned(),
        Some(name) => {
            let plain = name.split([':', '?', '=']).next().unwrap_or(name);
            if plain != name {
                lost = Some(
                    "what else a part of the path must be is not asked here: look at it in the function; and a part that may be missing must be there",
                );
            }
            match plain.strip_prefix('*') {
                Some(rest) => format!("{{{}+}}", rest.trim_start_matches('*')),
                None => format!("{{{plain}}}"),
            }
        }
    };
    let parts: Vec<String> = route.trim_matches('/').split('/').map(part).collect();
    (format!("/{}", parts.join("/")), lost)
}
