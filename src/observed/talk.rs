//! What is asked of a running function, and what it says: its log, and the answer to one call.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::name::{Called, FunctionName, ServiceKey, Slot, Timestamp};

/// Which lines of a log are wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogsWanted {
    pub service: ServiceKey,
    /// On a cloud that keeps the logs of all functions of a service together, all are told.
    pub function: FunctionName,
    pub called: Called,
    pub since: Timestamp,
    /// Lines without this text are left out.
    pub containing: Option<String>,
    /// The newest so many.
    pub lines_max: usize,
}

/// What a log told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogsTold {
    /// The newest of those that were wanted, oldest first.
    pub lines: Vec<LogLine>,
    /// There was too much to read: of what was written before, lines may be missing.
    pub missing_before: Option<Timestamp>,
}

/// A line that a function, or its platform, wrote.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    pub text: String,
}

/// One call of a function of a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invocation {
    pub service: ServiceKey,
    pub function: FunctionName,
    pub called: Called,
    pub slot: Slot,
    pub input: Input,
}

/// What a function is called with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// As a user would.
    Http {
        method: String,
        /// With its query.
        path: String,
        body: Option<String>,
    },
    /// As its queue would.
    Message(String),
}

/// A request to a function's own address, as it is signed. Bodies are whole.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    pub body: &'a [u8],
}

/// What came of a call.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoked {
    /// The cloud's own word for what ran: `version 41`, `production`.
    pub label: String,
    /// Of HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub body: String,
    /// Why the function itself failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The end of its log, where the cloud tells it with the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}
