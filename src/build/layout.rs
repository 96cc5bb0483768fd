//! The files that we add to a service's own, and the digest of all that decides a package. Pure.
//!
//! # What a handler can count on
//!
//! The shims hold these on both clouds, and one suite of requests compares them:
//!
//! - Path and query arrive as the client wrote them. Header names are in lower case, sorted, once each: values of a
//!   repeated one are joined by a comma, cookies by `; `. A body arrives whole, with its `content-length`.
//! - An answer is sent whole, after the handler is done; on AWS piece by piece, where the function's address is asked to stream
//!   and its runtime can. Repeated headers are joined by `, `, except cookies. A body
//!   without a type is `application/octet-stream`. `x-verdigris-release` is added.
//! - A handler that fails, cannot be loaded or dies gives 500 and a plain text; the reason is in the log only. Where no
//!   route fits, 404; where the method does not, 405: on AWS too, whose function URLs know no routes.
//! - Events arrive as `POST /.verdigris/events/<function>`, as CloudEvents in binary mode (`ce-id`, `ce-source`,
//!   `ce-specversion`, `ce-time`, `ce-type`, for queues `ce-deliverycount` and the message as body). A status below 300
//!   accepts; else the message or event has failed. No client can reach these paths.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Value, json};

use crate::name::{CloudName, FunctionName, InputDigest};

use super::recipe::{Entry, Recipe, Runtime, Trigger};

/// A file that we put into a package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Generated {
    /// Path in the package, with `/` between folders.
    pub path: String,
    pub content: Cow<'static, [u8]>,
    pub executable: bool,
}

/// Raised when the same inputs have to give other packages than before, for a reason that no input shows.
const FORMAT: u32 = 1;

const SHIM_PYTHON: &[u8] = include_bytes!("shims/verdigris_shim.py");
const SHIM_NODE: &[u8] = include_bytes!("shims/verdigris_shim.mjs");
const SHIM_EXECUTABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/verdigris-shim"));

/// All files that Verdigris adds to the built folder for `cloud`, sorted by path.
pub fn layout(recipe: &Recipe, cloud: CloudName) -> Vec<Generated> {
    let mut files = vec![text("verdigris.json", &description(recipe))];
    files.push(shim(&recipe.runtime, cloud));
    match cloud {
        CloudName::Aws => {}
        CloudName::Azure => {
            files.push(text("host.json", &host(recipe)));
            files.extend(bindings(&recipe.functions));
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The digest of everything that decides the bytes of the package of `recipe` for `cloud`.
pub fn input_digest(recipe: &Recipe, cloud: CloudName) -> InputDigest {
    let generated: BTreeMap<String, String> = layout(recipe, cloud)
        .into_iter()
        .map(|file| (file.path, InputDigest::of(&file.content).hex()))
        .collect();
    let all = json!({ "format": FORMAT, "cloud": cloud, "recipe": recipe, "generated": generated });
    // `serde_json` keeps the keys of a `Value` sorted or in the order above: either way the same text for the same inputs.
    InputDigest::of(all.to_string().as_bytes())
}

/// The folders of one function on Azure, where a function has exactly one trigger: the first keeps the function's
/// name, each further one adds `_queue` or `_schedule`. No function of ours may hold an underscore, so none collides.
pub fn azure_functions<'a>(name: &FunctionName, entry: &'a Entry) -> Vec<(String, Trigger<'a>)> {
    entry
        .triggers()
        .enumerate()
        .map(|(index, trigger)| match (index, &trigger) {
            (0, _) | (_, Trigger::Http(_)) => (name.to_string(), trigger),
            (_, Trigger::Queue(_)) => (format!("{name}_queue"), trigger),
            (_, Trigger::Schedule(_)) => (format!("{name}_schedule"), trigger),
        })
        .collect()
}

#[derive(Serialize)]
struct Description<'a> {
    service: &'a str,
    runtime: &'a str,
    functions: &'a BTreeMap<FunctionName, Entry>,
}

fn description(recipe: &Recipe) -> Value {
    json!(Description {
        service: recipe.service.as_str(),
        runtime: recipe.runtime.as_str(),
        functions: &recipe.functions,
    })
}

fn shim(runtime: &Runtime, cloud: CloudName) -> Generated {
    let (path, content, executable) = match (runtime, cloud) {
        (Runtime::Python { version: _ }, CloudName::Aws | CloudName::Azure) => {
            ("verdigris_shim.py", SHIM_PYTHON, false)
        }
        (Runtime::Node { version: _ }, CloudName::Aws | CloudName::Azure) => {
            ("verdigris_shim.mjs", SHIM_NODE, false)
        }
        (Runtime::Executable, CloudName::Aws) => ("bootstrap", SHIM_EXECUTABLE, true),
        (Runtime::Executable, CloudName::Azure) => ("verdigris-shim", SHIM_EXECUTABLE, true),
    };
    Generated {
        path: path.to_owned(),
        content: Cow::Borrowed(content),
        executable,
    }
}

/// What makes the package run, over what the service writes itself.
fn host(recipe: &Recipe) -> Value {
    let mut host = Value::Object(recipe.host.clone());
    lay_over(&mut host, needed_host(&recipe.runtime));
    host
}

/// Objects are put together key by key; anything else is replaced.
fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

fn needed_host(runtime: &Runtime) -> Value {
    let (program, arguments): (&str, &[&str]) = match runtime {
        Runtime::Python { version: _ } => ("python3", &["verdigris_shim.py"]),
        Runtime::Node { version: _ } => ("node", &["verdigris_shim.mjs"]),
        Runtime::Executable => ("./verdigris-shim", &[]),
    };
    json!({
        "version": "2.0",
        "customHandler": {
            "description": { "defaultExecutablePath": program, "arguments": arguments },
            "enableForwardingHttpRequest": true,
        },
        "extensions": { "http": { "routePrefix": "" } },
        "extensionBundle": {
            "id": "Microsoft.Azure.Functions.ExtensionBundle",
            "version": "[4.*, 5.0.0)",
        },
    })
}

fn bindings(functions: &BTreeMap<FunctionName, Entry>) -> impl Iterator<Item = Generated> {
    functions
        .iter()
        .flat_map(|(name, entry)| azure_functions(name, entry))
        .map(|(folder, trigger)| {
            let bindings = json!({ "bindings": binding(&trigger) });
            text(&format!("{folder}/function.json"), &bindings)
        })
}

fn binding(trigger: &Trigger<'_>) -> Value {
    match trigger {
        Trigger::Http(route) => {
            let mut incoming = json!({
                "type": "httpTrigger",
                "direction": "in",
                "name": "req",
                "authLevel": "anonymous",
                "route": azure_route(&route.path),
            });
            if !route.methods.is_empty() {
                let methods: Vec<String> = route
                    .methods
                    .iter()
                    .map(|m| m.to_ascii_lowercase())
                    .collect();
                incoming["methods"] = json!(methods);
            }
            json!([incoming, { "type": "http", "direction": "out", "name": "res" }])
        }
        Trigger::Queue(queue) => json!([{
            "type": "queueTrigger",
            "direction": "in",
            "name": "message",
            "queueName": queue,
            "connection": "AzureWebJobsStorage",
        }]),
        Trigger::Schedule(when) => json!([{
            "type": "timerTrigger",
            "direction": "in",
            "name": "timer",
            "schedule": azure_schedule(when),
        }]),
    }
}

/// Azure writes routes without the leading slash and the rest of a path as `{*name}`. The root is `/` itself, since an
/// empty route would mean the function's name.
fn azure_route(path: &str) -> String {
    let route = path.trim_start_matches('/');
    if route.is_empty() {
        return "/".to_owned();
    }
    let segments: Vec<String> = route
        .split('/')
        .map(|segment| {
            let rest = segment
                .strip_prefix('{')
                .and_then(|inner| inner.strip_suffix("+}"));
            rest.map_or_else(|| segment.to_owned(), |name| format!("{{*{name}}}"))
        })
        .collect();
    segments.join("/")
}

/// Azure's timers begin with seconds; five fields of cron mean second zero.
fn azure_schedule(when: &str) -> String {
    if when.split_whitespace().count() == 5 {
        format!("0 {when}")
    } else {
        when.to_owned()
    }
}

fn text(path: &str, value: &Value) -> Generated {
    let mut content = format!("{value:#}");
    content.push('\n');
    Generated {
        path: path.to_owned(),
        content: Cow::Owned(content.into_bytes()),
        executable: false,
    }
}
