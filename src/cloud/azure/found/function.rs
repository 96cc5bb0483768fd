//! A function of an app of others: what calls it, as its listing tells. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Notes;
use crate::{
    import::clouds::{FoundFunction, NO_KEY, no_trigger, path_of},
    manifest,
};

/// What the platform puts before every route where nobody says otherwise.
const PREFIX: &str = "api";
const STORAGE: &str = "AzureWebJobsStorage";

/// One function of the list, and what becomes of its triggers and bindings.
pub(super) fn function(
    listed: &Value,
    variables: &BTreeMap<String, String>,
    notes: &mut Notes,
) -> FoundFunction {
    let told = &listed["properties"];
    let config = &told["config"];
    let name = told["name"].as_str().or_else(|| listed["name"].as_str());
    let name = name.unwrap_or_default().rsplit('/').next();
    let name = name.unwrap_or_default();
    let found = FoundFunction {
        name: name.to_owned(),
        handler: config["scriptFile"].as_str().unwrap_or(name).to_owned(),
        ..FoundFunction::default()
    };
    let mut reading = Reading {
        found,
        variables,
        notes,
    };
    if told["isDisabled"] == true {
        let why = "was switched off, and no key says so: here it runs, until it is removed from the manifest";
        reading.left("isDisabled", why);
        let todo = format!(
            "`{name}` was switched off, and here it runs: remove it from the manifest where that is meant"
        );
        reading.notes.todo.push(todo);
    }
    let bindings = config["bindings"].as_array();
    if bindings.is_none_or(Vec::is_empty) {
        reading.left(
            "bindings",
            "its listing does not say what calls it: write `http`, `queue` or `schedule`",
        );
    }
    for binding in bindings.into_iter().flatten() {
        reading.binding(binding, told["invoke_url_template"].as_str());
    }
    reading.found
}

struct Reading<'r> {
    found: FoundFunction,
    variables: &'r BTreeMap<String, String>,
    notes: &'r mut Notes,
}

impl Reading<'_> {
    fn left(&mut self, what: &str, why: &str) {
        let path = format!("{}.{what}", self.found.name);
        self.notes.left.push((path, why.to_owned()));
    }

    fn changed(&mut self, what: &str, how: &str) {
        let path = format!("{}.{what}", self.found.name);
        self.notes.changed.push((path, how.to_owned()));
    }

    fn binding(&mut self, binding: &Value, address: Option<&str>) {
        let kind = binding["type"].as_str().unwrap_or_default();
        match kind {
            "httpTrigger" => self.http(binding, address),
            "queueTrigger" => self.queue(binding),
            "timerTrigger" => self.timer(binding),
            "http" => {}
            kind if kind.ends_with("Trigger") => self.left(kind, no_trigger(kind)),
            kind => {
                let why =
                    "nothing comes in or goes out by a binding: reach it by an SDK in the function";
                self.left(&format!("bindings.{kind}"), why);
            }
        }
    }

    fn http(&mut self, binding: &Value, address: Option<&str>) {
        let name = self.found.name.clone();
        let route = binding["route"].as_str().filter(|it| !it.is_empty());
        let route = route.unwrap_or(&name);
        let prefix = match address.and_then(|it| prefix(it, route)) {
            Some(prefix) => prefix,
            None => {
                let how = "its address was not told: `api` stands before its route, as where `host.json` says nothing";
                self.changed("http.routePrefix", how);
                PREFIX.to_owned()
            }
        };
        let parts = [prefix.as_str(), route.trim_matches('/')];
        let parts: Vec<&str> = parts.into_iter().filter(|it| !it.is_empty()).collect();
        let (path, lost) = path_of(&parts.join("/"));
        if let Some(lost) = lost {
            self.changed("http.route", lost);
        }
        let methods = binding["methods"].as_array().into_iter().flatten();
        let methods: Vec<String> = methods
            .filter_map(|method| Some(method.as_str()?.to_ascii_uppercase()))
            .collect();
        self.found.http = Some(match methods.is_empty() {
            true => path,
            false => format!("{} {path}", methods.join(",")),
        });
        // Where nothing is said, a key of the function is asked for.
        let level = binding["authLevel"].as_str().unwrap_or("function");
        if !level.eq_ignore_ascii_case("anonymous") {
            self.left("authLevel", NO_KEY);
            let todo = format!(
                "`{name}` asked its callers for a key, and answers everybody here: {NO_KEY}"
            );
            self.notes.todo.push(todo);
        }
    }

    /// `%NAME%` is what the setting of that name says.
    fn setting(&mut self, what: &str, written: &str) -> Option<String> {
        let named = written
            .strip_prefix('%')
            .and_then(|rest| rest.strip_suffix('%'));
        let Some(named) = named else {
            return Some(written.to_owned());
        };
        match self.variables.get(named).cloned() {
            Some(value) => {
                let how = format!(
                    "`{value}`, which the setting `{named}` says now: it does not follow the setting"
                );
                self.changed(what, &how);
                Some(value)
            }
            None => {
                let why =
                    format!("names the setting `{named}`, which is not there: write the value");
                self.left(what, &why);
                None
            }
        }
    }

    fn queue(&mut self, binding: &Value) {
        let written = binding["queueName"].as_str().unwrap_or_default();
        let Some(queue) = self.setting("queueName", written) else {
            return;
        };
        let connection = binding["connection"].as_str().unwrap_or(STORAGE);
        let account = account(self.variables, connection);
        let place = account.as_ref().map_or_else(
            || format!("where the setting `{connection}` says"),
            |account| format!("in the storage account `{account}`"),
        );
        let how = format!(
            "the queue is {place}, and here it is one of the environment's storage account: name that one by `storage` of the environment's `azure`, or let whoever sends write to the new one"
        );
        self.changed("queue.connection", &how);
        self.found.queue = Some(queue);
    }

    fn timer(&mut self, binding: &Value) {
        if binding["runOnStartup"] == true {
            self.left(
                "runOnStartup",
                "a schedule calls when its time comes, and not when the app starts",
            );
        }
        let written = binding["schedule"].as_str().unwrap_or_default();
        let Some(schedule) = self.setting("schedule", written) else {
            return;
        };
        match five(&schedule) {
            Some(five) => self.found.schedule = Some(five),
            None => {
                let why = format!(
                    "`{schedule}` is none of five fields, which count minutes: write the nearest `schedule`, such as `* * * * *`"
                );
                self.left("schedule", &why);
            }
        }
    }
}

/// What stands before a route in the address of its function. Azure writes addresses in lower case, so that parts are counted.
fn prefix(address: &str, route: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let (_, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap_or_default();
    let parts = |text: &str| {
        let parts = text.trim_matches('/').split('/');
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let (all, own) = (parts(path), parts(route));
    let before = all.len().checked_sub(own.len())?;
    Some(all[..before].join("/"))
}

/// Without the seconds, which come first there, where they say nothing.
fn five(schedule: &str) -> Option<String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    let five = match fields.as_slice() {
        ["0", rest @ ..] if rest.len() == 5 => rest.join(" "),
        fields if fields.len() == 5 => fields.join(" "),
        _ => return None,
    };
    manifest::is_schedule(&five).then_some(five)
}

/// The name of the storage account that a connection is to.
fn account(variables: &BTreeMap<String, String>, connection: &str) -> Option<String> {
    let setting = |end: &str| {
        let names = [
            format!("{connection}{end}"),
            format!("AzureWebJobs{connection}{end}"),
        ];
        names.iter().find_map(|name| variables.get(name))
    };
    if let Some(name) = setting("__accountName") {
        return Some(name.clone());
    }
    if let Some(address) = setting("__queueServiceUri") {
        let host = address.split("://").nth(1)?;
        return host.split('.').next().map(str::to_owned);
    }
    let parts = setting("")?.split(';');
    let mut names = parts.filter_map(|part| part.trim().strip_prefix("AccountName="));
    names.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is read of one binding, and what is told.
    fn read(binding: Value, address: Option<&str>) -> String {
        let variables = [
            ("EVERY", "0 */5 * * * *"),
            ("QUEUE", "orders"),
            (
                STORAGE,
                "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=k",
            ),
            ("Other__accountName", "other"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let listed = json!({ "properties": {
            "name": "stock",
            "config": { "bindings": [binding] },
            "invoke_url_template": address,
        }});
        let mut notes = Notes::default();
        let found = function(&listed, &variables.into(), &mut notes);
        let called = [found.http, found.queue, found.schedule];
        let called: Vec<String> = called.into_iter().flatten().collect();
        let told = notes.left.iter().chain(&notes.changed);
        let told: Vec<&str> = told.map(|(path, _)| path.as_str()).collect();
        format!("{} | {}", called.join(" + "), told.join(" "))
    }

    #[test]
    fn addresses_are_those_that_callers_know() {
        let at = "https://shop.azurewebsites.net";
        let http = |route: &str| json!({ "type": "httpTrigger", "route": route, "authLevel": "ANONYMOUS" });
        for (route, address, wanted) in [
            (
                "stock/{sku}",
                Some("/api/stock/{sku}"),
                "/api/stock/{sku} | ",
            ),
            ("stock/{sku}", Some("/stock/{sku}"), "/stock/{sku} | "),
            (
                "stock/{sku}",
                Some("/shop/v1/stock/{sku}?"),
                "/shop/v1/stock/{sku} | ",
            ),
            ("", Some("/api/stock"), "/api/stock | "),
            ("/", Some("/"), "/ | "),
            ("{*rest}", Some("/api/{*rest}"), "/api/{rest+} | "),
            (
                "s/{id:int?}",
                Some("/api/s/{id:int?}"),
                "/api/s/{id} | stock.http.route",
            ),
            ("stock", None, "/api/stock | stock.http.routePrefix"),
        ] {
            let address = address.map(|path| format!("{at}{path}"));
            assert_eq!(read(http(route), address.as_deref()), wanted, "{route}");
        }
    }

    #[test]
    fn what_calls_is_taken_over_or_told() {
        let at = Some("https://shop.azurewebsites.net/api/stock");
        for (binding, wanted) in [
            (
                json!({ "type": "httpTrigger", "methods": ["get"] }),
                "GET /api/stock | stock.authLevel",
            ),
            (
                json!({ "type": "httpTrigger", "authLevel": "Admin" }),
                "/api/stock | stock.authLevel",
            ),
            (
                json!({ "type": "timerTrigger", "schedule": "0 0 3 * * *" }),
                "0 3 * * * | ",
            ),
            (
                json!({ "type": "timerTrigger", "schedule": "*/10 * * * * *" }),
                " | stock.schedule",
            ),
            (
                json!({ "type": "timerTrigger", "schedule": "00:05:00" }),
                " | stock.schedule",
            ),
            (
                json!({ "type": "timerTrigger", "schedule": "%EVERY%" }),
                "*/5 * * * * | stock.schedule",
            ),
            (
                json!({ "type": "timerTrigger", "schedule": "%NONE%" }),
                " | stock.schedule",
            ),
            (
                json!({ "type": "timerTrigger", "schedule": "0 0 3 * * *", "runOnStartup": true }),
                "0 3 * * * | stock.runOnStartup",
            ),
            (
                json!({ "type": "queueTrigger", "queueName": "%QUEUE%" }),
                "orders | stock.queueName stock.queue.connection",
            ),
            (
                json!({ "type": "serviceBusTrigger", "queueName": "orders" }),
                " | stock.serviceBusTrigger",
            ),
            (
                json!({ "type": "blobTrigger", "path": "in/{name}" }),
                " | stock.blobTrigger",
            ),
            (
                json!({ "type": "table", "direction": "out" }),
                " | stock.bindings.table",
            ),
        ] {
            assert_eq!(read(binding.clone(), at), wanted, "{binding}");
        }
        let shown = |connection: Option<&str>| {
            let binding =
                json!({ "type": "queueTrigger", "queueName": "q", "connection": connection });
            let listed =
                json!({ "properties": { "name": "f", "config": { "bindings": [binding] } } });
            let variables = BTreeMap::from([("Other__accountName".to_owned(), "other".to_owned())]);
            let mut notes = Notes::default();
            function(&listed, &variables, &mut notes);
            notes.changed.remove(0).1
        };
        assert!(shown(Some("Other")).contains("account `other`"));
        assert!(shown(None).contains("the setting `AzureWebJobsStorage`"));
    }

    #[test]
    fn a_function_that_was_switched_off_is_told() {
        let listed = json!({ "properties": { "name": "f", "isDisabled": true, "config": {} } });
        let mut notes = Notes::default();
        function(&listed, &BTreeMap::new(), &mut notes);
        let told: Vec<&str> = notes.left.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(told, ["f.isDisabled", "f.bindings"]);
        assert_eq!(notes.todo.len(), 1);
    }
}
