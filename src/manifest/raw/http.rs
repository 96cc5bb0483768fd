//! What an `http` gate asks, as written.

use schemars::JsonSchema;

use super::{
    MethodWord,
    read::{At, Entries, Named, Read, Report},
    scalar::Length,
    short::CaptureText,
};
use crate::{
    manifest::yaml::{Node, Place},
    name::GateName,
};

record! {
    /// One request to the slot and what its answer must be like, or several of them as `requests`.
    HttpText needs [] {
        /// Requests, one after the other, in the place of all other keys.
        "requests" requests: Vec<At<RequestText>>,
        /// Path and query.
        "path" path: String,
        /// `GET` without it.
        "method" method: MethodWord,
        "headers" headers: Named<String, String>,
        "body" body: String,
        /// Status that the answer must have; 200 without it, unless a condition speaks of `status`.
        "status" status: u32,
        "expect" expect: ExpectText,
        /// Longest accepted answer time.
        "latency" latency: Length,
        /// Further tries within one measurement.
        "retries" retries: u32,
        /// Names for parts of the answer: a JSON path or pointer, or `{ header: NAME }`. Later requests write `${name}`.
        "capture" capture: Named<String, CaptureText>,
    }
}

record! {
    /// One request of several.
    RequestText needs ["path"] {
        /// For people, in evidence.
        "name" name: GateName,
        /// Path and query.
        "path" path: String,
        /// `GET` without it.
        "method" method: MethodWord,
        "headers" headers: Named<String, String>,
        "body" body: String,
        /// Status that the answer must have; 200 without it, unless a condition speaks of `status`.
        "status" status: u32,
        "expect" expect: ExpectText,
        /// Longest accepted answer time.
        "latency" latency: Length,
        /// Further tries within one measurement.
        "retries" retries: u32,
        /// Names for parts of the answer: a JSON path or pointer, or `{ header: NAME }`. Later requests write `${name}`.
        "capture" capture: Named<String, CaptureText>,
    }
}

record! {
    CaptureLong needs [] {
        /// A JSON path or pointer.
        "json" json: String,
        /// The name of a header.
        "header" header: String,
    }
}

record! {
    /// What the answer must hold besides its status.
    ExpectText needs [] {
        /// Headers with exactly these values.
        "headers" headers: Named<String, String>,
        /// JSON pointers (RFC 6901, `/a/0`) or JSON paths (RFC 9535, `$.a[0]`) and the values that they must hold.
        "json" json: Named<String, serde_json::Value>,
    }
}
