//! What a package is made from, as plain values.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::name::{FunctionName, ObjectId, ServiceName};

/// Everything that decides the bytes of a service's packages.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Recipe {
    pub service: ServiceName,
    pub runtime: Runtime,
    /// A shell command that runs in the exported folder; nothing is run where it is absent.
    pub build: Option<String>,
    pub functions: BTreeMap<FunctionName, Entry>,
    /// The Git tree of the source folder.
    pub source_tree: ObjectId,
    /// Variables for the build command. They end up in the cache key: no secrets here.
    pub environment: BTreeMap<String, String>,
    /// Parts of Azure's `host.json` that the service writes itself.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub host: Map<String, Value>,
}

/// What runs the handlers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// An ASGI application per handler.
    Python { version: String },
    /// A fetch handler per handler.
    Node { version: String },
    /// A program that serves HTTP on `$PORT`.
    Executable,
}

/// One function: which code, and what calls it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Entry {
    pub handler: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpRoute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

/// Which requests a function answers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HttpRoute {
    /// Upper case; empty means any.
    pub methods: Vec<String>,
    /// Segments; `{name}` matches one segment, `{name+}` the rest.
    pub path: String,
}

/// What one function of a package is called by. A cloud may need one entry of its own for each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trigger<'a> {
    Http(&'a HttpRoute),
    Queue(&'a str),
    Schedule(&'a str),
}

// === impl Runtime ===

impl Runtime {
    /// The name in `verdigris.json`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Python { version: _ } => "python",
            Self::Node { version: _ } => "node",
            Self::Executable => "executable",
        }
    }
}

// === impl Entry ===

impl Entry {
    /// What calls this function, in a fixed order.
    pub fn triggers(&self) -> impl Iterator<Item = Trigger<'_>> {
        let Self {
            handler: _,
            http,
            queue,
            schedule,
        } = self;
        http.iter()
            .map(Trigger::Http)
            .chain(queue.iter().map(|queue| Trigger::Queue(queue)))
            .chain(schedule.iter().map(|when| Trigger::Schedule(when)))
    }
}
