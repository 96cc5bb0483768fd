//! What a functions host and a language worker say to one another, as far as it is said here. The numbers are the protocol's. Pure.

use std::collections::BTreeMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(string, tag = "1")]
    pub(super) request_id: String,
    /// Absent where it is something that we have no use for.
    #[prost(oneof = "Content", tags = "2, 4, 5, 8, 9, 16, 17, 20")]
    pub(super) content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Content {
    #[prost(message, tag = "2")]
    Log(Log),
    #[prost(message, tag = "4")]
    Invoke(Invoke),
    #[prost(message, tag = "5")]
    Invoked(Invoked),
    #[prost(message, tag = "8")]
    Load(Load),
    #[prost(message, tag = "9")]
    Loaded(Loaded),
    #[prost(message, tag = "16")]
    Initialised(Initialised),
    #[prost(message, tag = "17")]
    Initialise(Initialise),
    #[prost(message, tag = "20")]
    Started(Started),
}

// === the opening ===

/// The worker's first words.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Started {
    #[prost(string, tag = "2")]
    pub(super) worker_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Initialise {
    #[prost(string, tag = "1")]
    pub(super) host_version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Initialised {
    #[prost(message, optional, tag = "3")]
    pub(super) result: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Load {
    #[prost(string, tag = "1")]
    pub(super) function_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(string, tag = "1")]
    pub(super) directory: String,
    #[prost(string, tag = "2")]
    pub(super) script_file: String,
    #[prost(string, tag = "3")]
    pub(super) entry_point: String,
    #[prost(string, tag = "4")]
    pub(super) name: String,
    #[prost(btree_map = "string, message", tag = "6")]
    pub(super) bindings: BTreeMap<String, Binding>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Binding {
    #[prost(string, tag = "2")]
    pub(super) kind: String,
    /// In, out, both: 0, 1, 2.
    #[prost(int32, tag = "3")]
    pub(super) direction: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Loaded {
    #[prost(string, tag = "1")]
    pub(super) function_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) result: Option<Status>,
}

// === invocations ===

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Invoke {
    #[prost(string, tag = "1")]
    pub(super) invocation_id: String,
    #[prost(string, tag = "2")]
    pub(super) function_id: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) input: Vec<Parameter>,
    /// What the trigger tells of it.
    #[prost(btree_map = "string, message", tag = "4")]
    pub(super) metadata: BTreeMap<String, TypedData>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Invoked {
    #[prost(string, tag = "1")]
    pub(super) invocation_id: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) output: Vec<Parameter>,
    #[prost(message, optional, tag = "3")]
    pub(super) result: Option<Status>,
    #[prost(message, optional, tag = "4")]
    pub(super) returned: Option<TypedData>,
}

/// The value of one binding.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Parameter {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) data: Option<TypedData>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TypedData {
    #[prost(oneof = "Data", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) data: Option<Data>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Data {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(string, tag = "2")]
    Json(String),
    #[prost(bytes = "vec", tag = "3")]
    Bytes(Vec<u8>),
    #[prost(bytes = "vec", tag = "4")]
    Stream(Vec<u8>),
    #[prost(message, tag = "5")]
    Http(Box<Http>),
    #[prost(sint64, tag = "6")]
    Int(i64),
    #[prost(double, tag = "7")]
    Double(f64),
}

/// A request, or the answer to one.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Http {
    #[prost(string, tag = "1")]
    pub(super) method: String,
    #[prost(string, tag = "2")]
    pub(super) url: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(super) headers: BTreeMap<String, String>,
    #[prost(message, optional, boxed, tag = "4")]
    pub(super) body: Option<Box<TypedData>>,
    /// What the route's placeholders stand for.
    #[prost(btree_map = "string, string", tag = "10")]
    pub(super) params: BTreeMap<String, String>,
    #[prost(string, tag = "12")]
    pub(super) status: String,
    #[prost(btree_map = "string, string", tag = "15")]
    pub(super) query: BTreeMap<String, String>,
}

// === outcomes and logs ===

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(message, optional, tag = "2")]
    pub(super) exception: Option<Exception>,
    /// Failure, success, cancelled: 0, 1, 2.
    #[prost(int32, tag = "4")]
    pub(super) status: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Exception {
    #[prost(string, tag = "1")]
    pub(super) stack_trace: String,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Log {
    /// From trace, 0, to critical, 5.
    #[prost(int32, tag = "3")]
    pub(super) level: i32,
    #[prost(string, tag = "4")]
    pub(super) message: String,
    /// Of the function, or of the worker itself: 0, 1.
    #[prost(int32, tag = "8")]
    pub(super) category: i32,
}

const SUCCESS: i32 = 1;
const WARNING: i32 = 3;
const OF_THE_WORKER: i32 = 1;

impl Status {
    /// Nothing said is no success.
    pub(super) fn check(told: Option<Self>) -> Result<(), Exception> {
        let Self { exception, status } = told.unwrap_or_default();
        match exception {
            None if status == SUCCESS => Ok(()),
            told => Err(told.unwrap_or_else(|| Exception {
                stack_trace: String::new(),
                message: format!("the worker told status {status} and no reason"),
            })),
        }
    }
}

impl Log {
    /// Whether somebody who reads a function's log wants it: a worker tells every step that it takes.
    pub(super) fn matters(&self) -> bool {
        self.category != OF_THE_WORKER || self.level >= WARNING
    }
}
